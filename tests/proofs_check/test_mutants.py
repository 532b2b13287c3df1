"""Mistakes are injected under the same seeds, and somebody notices or the run fails."""

import numpy as np
import pytest

from proofs_check import Catalogue, ClaimDefinitionError, Mutant, run
from proofs_check.mutants import inject, killers, mutant_parts, wanted
from proofs_check.records import load_records


def fates(result, claim):
    verdict = next(v for v in result.verdicts if v.claim == claim)
    return {mutant.id: (mutant.status, mutant.killer) for mutant in verdict.mutants}


def test_every_kind_of_mistake_meets_its_fate(synthetic):
    result = run(catalogue=synthetic.mutants, out=None)
    assert fates(result, "MU-01") == {
        "harmless": ("equivalent", ""),
        "crash": ("killed", "MU-01"),
        "crash_unexpected": ("error", "MU-01"),
        "too_small": ("killed", "MU-02"),  # the owner cannot see it, the companion can
        "world": ("killed", "MU-01"),
        "slow": ("not run", ""),
    }
    assert fates(result, "MU-02") == {"less": ("killed", "MU-02")}
    assert result.exit_code == 3  # nothing is wrong with the claims, but a crash proves nothing


def test_all_mutants_run_when_asked(synthetic):
    assert fates(run(catalogue=synthetic.mutants, out=None, mutants="all"), "MU-01")["slow"] == ("killed", "MU-01")
    assert fates(run(catalogue=synthetic.mutants, out=None, mutants="none"), "MU-02")["less"] == ("not run", "")


def test_a_surviving_mutant_fails_the_run(synthetic):
    result = run("BD-03", catalogue=synthetic.bad, out=None)
    assert result.verdicts[0].status == "SURVIVED"
    assert [mutant.id for mutant in result.survivors] == ["unnoticed"]
    assert result.exit_code == 1


def declared(mutant, **options):
    cat = Catalogue("test")
    defaults = {"families": {"coins": [{"n": 4}, {"n": 8}]}, "impl": {"f": float}, "source": "folklore", "plain": "p"}
    cat.tail("ZZ-01", bound=lambda *, delta: 1 - delta, levels=(0.5, 0.2), mutants=[mutant], **(defaults | options))(
        lambda inst, rng, impl: impl.f(rng.random())
    )
    return cat


def test_a_refuted_equivalence_fails_the_run():
    from proofs_check import EquivalentProof

    mutant = Mutant("twice", "impl", {"f": lambda f: lambda x: 2 * f(x)}, why="twice", equivalent=EquivalentProof("not really"))
    result = run(catalogue=declared(mutant), out=None)
    assert fates(result, "ZZ-01") == {"twice": ("survived", "ZZ-01")}
    assert result.exit_code == 1


def test_mutants_see_the_same_random_numbers(tmp_path):
    """A mutant that changes nothing gives the numbers of the original, block by block."""
    run(catalogue=declared(Mutant("same", "impl", {"f": lambda f: f}, why="nothing")), out=tmp_path)
    records = load_records(tmp_path / "0001").records.values()
    numbers = {}
    for record in records:
        if record.stream == 1:
            numbers.setdefault(record.mutant, {})[record.instance, record.level, record.block] = (record.k_lo, record.slack_max)
    assert set(numbers) == {"", "ZZ-01/same"}
    common = set(numbers[""]) & set(numbers["ZZ-01/same"])
    assert common
    assert all(numbers[""][key] == numbers["ZZ-01/same"][key] for key in common)


def test_a_quick_mutant_runs_on_its_declared_part_and_pays_for_the_others():
    mutant = Mutant("twice", "impl", {"f": lambda f: lambda x: 2 * f(x)}, why="twice", part="coins(n=8)@0.2")
    claim = declared(mutant)["ZZ-01"]
    parts = mutant_parts(claim, mutant, "quick")
    assert [(part.label, part.weight) for part in parts] == [("coins(n=8)@0.2", 0.25)]
    assert len(mutant_parts(claim, mutant, "full")) == 4


def test_injection_replaces_one_thing_only():
    claim = declared(Mutant("twice", "impl", {"f": lambda f: lambda x: 2 * f(x)}, why="twice"), impl={"f": float, "g": abs})["ZZ-01"]
    subject = claim.subjects[0]
    original, mutated = inject(claim, subject, None), inject(claim, subject, claim.mutants[0])
    assert (original.impl.f(2), mutated.impl.f(2)) == (2.0, 4.0)
    assert mutated.impl.g is abs
    assert mutated.bound is claim.bound
    whole = Mutant("whole", "impl", lambda impl: {**impl, "g": np.sign}, why="by a function of the mapping")
    assert inject(claim, subject, whole).impl.g is np.sign
    assert subject.impl["g"] is abs


def test_a_mutant_of_what_is_not_there_is_refused():
    claim = declared(Mutant("other", "impl", {"h": lambda f: f}, why="replaces h"))["ZZ-01"]
    with pytest.raises(ClaimDefinitionError, match=r"mutant 'other' replaces \['h'\], but impl holds \['f'\]"):
        inject(claim, claim.subjects[0], claim.mutants[0])
    result = run(catalogue=declared(Mutant("other", "impl", {"h": lambda f: f}, why="replaces h")), out=None)
    assert fates(result, "ZZ-01") == {"other": ("error", "ZZ-01")}


def test_killers_are_asked_in_order(synthetic):
    claim = synthetic.mutants["MU-01"]
    assert killers(claim, claim.mutants[0]) == ("MU-01", "MU-02")
    assert killers(claim, Mutant("b", "bound", lambda f: f, why="w")) == ("MU-01",)
    assert killers(claim, Mutant("k", "impl", {}, why="w", killers=("MU-02",))) == ("MU-02",)


@pytest.mark.parametrize(
    ("which", "tier", "quick", "slow"), [("auto", "quick", 1, 0), ("auto", "full", 1, 1), ("quick", "full", 1, 0), ("none", "full", 0, 0)]
)
def test_which_mutants_run(which, tier, quick, slow):
    pair = (Mutant("q", "impl", {}, why="w"), Mutant("s", "impl", {}, why="w", quick=False))
    assert [wanted(mutant, tier, which) for mutant in pair] == [bool(quick), bool(slow)]
