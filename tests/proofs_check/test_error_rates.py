"""How often the engine itself decides wrongly, run after run, beside the exact law of its rules."""

import pytest

from proofs_check import Budget, Catalogue, Family, Mutant, check, evalues
from proofs_check.calibration import _clopper_pearson
from proofs_check.model import TIERS
from proofs_check.walks import as_decided, walk

# Raised from 1e-6 and 1e-3, so that errors can be counted; intervals around counts are wrong with probability 1e-4.
ALPHA = 0.05
TRIALS, BLOCK = 512, 32


def coin(p, delta, parts=1):
    """A claim that fails with probability p in every trial and every part."""
    cat = Catalogue("tests/coins")

    @cat.tail(
        "CN-01",
        bound=lambda *, delta: 1.0 - delta,
        levels=(delta,),
        families=[Family("coins", grid=tuple({"n": n, "p": p} for n in range(parts)))],
        impl={"f": float},
        mutants=[Mutant("always", "impl", {"f": lambda f: lambda u: 1.0}, why="fails every time")],
        source="folklore",
        plain="a coin",
        alpha_R=ALPHA,
        alpha_A=ALPHA,
        budgets=dict.fromkeys(TIERS, Budget(TRIALS, BLOCK)),
    )
    def measure(inst, rng, impl):
        return 1.0 if rng.random() < inst.p else 0.0

    return cat["CN-01"]


def agrees(p, delta, runs):
    """Count verdicts of whole runs, and compare with the probabilities that dynamic programming gives for every look."""
    statuses = [check(coin(p, delta), root=root, mutants="none").status for root in range(runs)]
    table = evalues.boundary(delta, evalues.odds_margin(delta), TRIALS, step=BLOCK, alpha_R=ALPHA, alpha_A=ALPHA)
    exact = walk(p, as_decided(table, delta))
    for status, probability in (("REFUTED", exact.refuted[-1]), ("VERIFIED", exact.verified[-1])):
        low, high = _clopper_pearson(statuses.count(status), runs, 1e-4)
        assert low <= probability <= high, (status, statuses.count(status), runs, float(probability))
    return statuses, exact


def nominal(count, runs):
    """Whether a count is compatible with a probability of at most ALPHA."""
    return _clopper_pearson(count, runs, 1e-4)[0] <= ALPHA


def at_the_boundaries(delta, runs):
    true, exact = agrees(delta, delta, runs)
    assert exact.refuted[-1] <= ALPHA
    assert nominal(true.count("REFUTED"), runs)
    false, exact = agrees(evalues.odds_margin(delta), delta, runs)
    assert exact.verified[-1] <= ALPHA
    assert nominal(false.count("VERIFIED"), runs)


def test_whole_runs_err_as_often_as_the_exact_law_says():
    """A true claim at its boundary is refuted, and a false one at its margin accepted, as often as computed: at most one run in twenty."""
    at_the_boundaries(0.2, 60)


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.5, 0.2, 0.1, 0.05])
def test_thousands_of_runs_err_as_often_as_the_exact_law_says(delta):
    at_the_boundaries(delta, 3000)


@pytest.mark.slow
def test_many_parts_do_not_raise_the_error():
    """Six parts, all at the boundary: the average of their evidence refutes at most as often as one part may."""
    runs = 1000
    true = [check(coin(0.2, 0.2, parts=6), root=root, mutants="none").status for root in range(runs)]
    false = [check(coin(evalues.odds_margin(0.2), 0.2, parts=6), root=root, mutants="none").status for root in range(runs)]
    assert nominal(true.count("REFUTED"), runs)
    assert nominal(false.count("VERIFIED"), runs)
