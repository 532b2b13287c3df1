"""Brackets that may miss: what they miss is paid for, on both sides, and nothing is judged on a bracket that was not declared."""

import math

import numpy as np
import pytest

from proofs_check import Catalogue, Interval, Mutant, check, rules
from proofs_check.model import BlockRecord, ClaimDefinitionError


def coin(p, *, miss=0.0, half_width=0.05, liar=0.0, **options):
    """P(X > 1/2) = p, seen through a bracket that is moved to the wrong side with probability `liar`."""
    cat = Catalogue("tests/brackets")

    @cat.tail(
        "BK-01",
        bound=lambda *, delta: 0.5,
        levels=(0.2,),
        families={"coin": [{"n": 1}]},
        impl={"f": float},
        mutants=[Mutant("always", "impl", {"f": lambda f: lambda x: 1.0}, why="fails every time")],
        source="folklore",
        plain="a coin",
        **options,
    )
    def measure(inst, rng, impl):
        x = impl.f(rng.random() < p)
        if rng.random() < liar:
            x = 1.0 - x
        return Interval(x - half_width, x + half_width, "a simulated bracket", miss=miss)

    return cat["BK-01"]


def evidence(claim, k, n):
    state = rules.new_state(claim, "quick", claim.parts())
    part = claim.parts()[0]
    rules.update(state, BlockRecord("", claim.id, "", part.subject, part.family, 0, part.level, 1, 0, n=n, k_lo=k, k_hi=k))
    return rules.finish(state, True)[2][0]


def test_a_miss_moves_both_nulls_inwards():
    """R with p0 + beta and A with p1 - beta are those of a claim whose probabilities are these."""
    sure, missing = evidence(coin(0.1), 30, 192), evidence(coin(0.1, bracket_miss=0.02), 30, 192)
    assert missing.ln_R < sure.ln_R
    assert missing.ln_A < sure.ln_A
    from proofs_check import evalues

    p1 = evalues.odds_margin(0.2)
    assert (missing.ln_R, missing.ln_A) == evalues.count_evidence(30, 30, 192, 0.2 + 0.02, p1 - 0.02)


def liars(runs):
    """P(failure) is .2 exactly, the bracket lies in .08 of the trials: refutations without paying for it, and when it is declared."""
    naive = [check(coin(0.2, liar=0.08, alpha_R=0.05), root=root, mutants="none").status for root in range(runs)]
    paid = [
        check(coin(0.2, liar=0.08, miss=0.08, bracket_miss=0.08, alpha_R=0.05), root=root, mutants="none").status for root in range(runs)
    ]
    return naive.count("REFUTED"), paid.count("REFUTED")


def test_a_liar_within_what_it_declares_never_turns_a_true_claim():
    naive, paid = liars(12)
    assert naive >= 2
    assert paid <= 3  # P(more than 3 of 12 at .05) = .002


@pytest.mark.slow
def test_a_liar_within_what_it_declares_refutes_one_true_claim_in_twenty_at_most():
    naive, paid = liars(400)
    assert naive > 100
    assert paid <= 20 + 4 * 19**0.5


def test_no_acceptance_where_brackets_miss_more_often_than_the_margin_allows():
    found = evidence(coin(0.0, bracket_miss=0.4), 0, 1536)
    assert found.status == "INCONCLUSIVE"
    assert found.ln_A == -math.inf
    assert "brackets may miss" in found.reason


def test_a_bracket_that_is_less_certain_than_declared_is_an_error():
    verdict = check(coin(0.0, miss=0.01), mutants="none")
    assert verdict.status == "ERROR"
    assert "misses with probability 0.01, the claim declares bracket_miss=0" in verdict.reason


def test_brackets_of_an_instance_take_their_share_of_the_error_probability():
    cat = Catalogue("tests/brackets")
    for claim_id, miss in (("BK-02", 1e-7), ("BK-03", 1e-6)):
        cat.tail(
            claim_id,
            bound=lambda *, n, m=miss: Interval(0.5, 0.6, "a certified optimum", miss=m),
            levels=(0.2,),
            families={"coin": [{"n": 1}, {"n": 2}]},
            impl={"f": float},
            instance_miss=2e-7,
            mutants=[Mutant("always", "impl", {"f": lambda f: lambda x: 1.0}, why="fails every time")],
            source="folklore",
            plain="a coin",
        )(lambda inst, rng, impl: impl.f(rng.random() < 0.05))
    assert check(cat["BK-02"]).status == "VERIFIED"
    assert "declare instance_miss" in check(cat["BK-03"]).reason
    assert cat["BK-02"].rule.refutes_at == pytest.approx(-math.log(8e-7))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"instance_miss": 1e-3}, "half of the error probabilities"),
        ({"bracket_miss": 1.0}, r"a probability in \[0, 1\)"),
        ({"sense": "==", "bracket_miss": 0.01}, "only one-sided statements"),
    ],
)
def test_what_cannot_be_paid_for_is_a_definition_error(options, words):
    with pytest.raises(ClaimDefinitionError, match=words):
        coin(0.1, **options)


def test_inverted_and_uncertain_brackets_are_named():
    with pytest.raises(ValueError, match="inverted or undefined interval"):
        Interval(2.0, 1.0, "c")
    with pytest.raises(ValueError, match="inverted or undefined interval"):
        Interval(np.nan, 1.0, "c")
    with pytest.raises(ClaimDefinitionError, match="0 for a bracket that is certain"):
        Interval(0.0, 1.0, "c", miss=1.0)
