"""Every claim of the package, without a test of its own: it is well defined, survives the quick tier, and notices its mistakes."""

import re
from dataclasses import replace

import pytest

from proofs_check import RunResult, Verdict, run
from proofs_check.claims import catalogue
from proofs_check.instances import missing_data
from proofs_check.measuring import Unit, run_unit
from proofs_check.model import Claim
from proofs_check.report.mathml import formula
from proofs_check.scheduling import Track
from proofs_check.seeds import ROOT

CLAIMS = catalogue().claims
PREFIXES = {
    "lp_embeddings": "LP",
    "testable_halfspaces": "HS",
    "misspecified_bandits": "MB",
    "latent_label_shift": "LS",
    "active_multitask": "MT",
    "supervised_dictionary": "DL",
}
LP_NUMBERS = {f"LP-{n:02d}" for n in (*range(1, 25), 26, 29, 30, 31)}


@pytest.fixture(scope="module")
def quick() -> RunResult:
    return run((), tier="quick", mutants="none", out=None)


@pytest.fixture(scope="module")
def quick_with_mutants() -> RunResult:
    return run((), tier="quick", mutants="quick", out=None)


def verdict_of(result: RunResult, claim_id: str) -> Verdict:
    return next(verdict for verdict in result.verdicts if verdict.claim == claim_id)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_statement_is_complete(claim):
    assert claim.id.startswith(PREFIXES[claim.topic.split("/")[0]])
    assert claim.plain.endswith(".")
    assert claim.source.origin != "derived" or "docs/theory/" in claim.source.proof
    assert claim.kind == "expectation" or any(family.role != "typical" for family in claim.families)
    assert not claim.tex or "<math" in formula(claim.tex)


def _first_trials(claim: Claim) -> list[Unit]:
    """List the first trials of every part, four at most, without a search: verdicts belong to `make report` and to the slow tests."""
    families = tuple(replace(family, search=None) for family in claim.families)
    adversarial = any(family.role == "adversarial" for family in families)
    plain = replace(claim, families=families, tight=claim.tight if adversarial else None)
    return [replace(unit, trials=min(unit.trials, _SMOKE)) for unit in Track(plain, "quick", ROOT).units()]


_SMOKE = 4


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_part_can_be_measured_and_no_first_trial_violates(claim):
    """Instances are built, bounds evaluated and implementations called, on every part; a universal statement holds on what was seen."""
    assert missing_data(claim) == ""
    for unit in _first_trials(claim):
        for record in run_unit(unit):
            assert record.error is None
            assert record.n == unit.trials
            assert unit.subject.expected == "refuted" or claim.kind not in ("inequality", "identity") or record.k_hi == 0


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_quick_tier_finds_no_violation(claim, quick):
    verdict = verdict_of(quick, claim.id)
    assert verdict.status in ("VERIFIED", "SURVIVED"), verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize(("claim_id", "mutant_id"), [(claim.id, mutant.id) for claim in CLAIMS for mutant in claim.mutants if mutant.quick])
def test_mistake_is_noticed(claim_id, mutant_id, quick_with_mutants):
    result = next(mutant for mutant in verdict_of(quick_with_mutants, claim_id).mutants if mutant.id == mutant_id)
    assert result.status in ("killed", "equivalent"), result.reason


def test_ids_within_a_box_of_the_theory_page_share_its_number():
    numbers = {re.sub("[a-z]+$", "", claim.id) for claim in CLAIMS}
    assert {number for number in numbers if number.startswith("LP")} == LP_NUMBERS
