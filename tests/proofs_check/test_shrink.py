import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs_check import Budget, Catalogue, Family, Instance, Mutant, SearchSpace, replay, run
from proofs_check.exact import unseal
from proofs_check.reducing import _ladder
from proofs_check.search import Objective, search_worst
from proofs_check.shrink import _row_deletions, shrink


def size(params):
    return params["n"]


# ------------------------------------------------------------------------------------------------------------------------ shrinker


@settings(derandomize=True, deadline=None, max_examples=20)
@given(n=st.integers(1, 5), seed=st.integers(0, 999))
def test_every_committed_step_violates_and_no_step_grows(n, seed):
    """Violated when the sum lies near 1.4: possible with a single number, and with none at all impossible."""
    confirmed = []

    def slack(params, x):
        return 1.5 - abs(float(x.sum()) - 1.4)

    def violates(params, x):
        if slack(params, x) > 1.0:
            confirmed.append((params["n"], tuple(x.tolist())))
            return True
        return False

    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    x += (1.4 - x.sum()) / n
    found = shrink(slack, violates, size, {"n": n}, x, rng, reoptimise=100)
    assert (found.params["n"], found.vector) in confirmed
    assert found.params["n"] <= n
    kept = [step for step in found.steps if step.kept]
    assert all(step.slack > 1.0 for step in kept)
    assert found.vector == (1.0,)  # the coarsest number within .5 of 1.4, alone


def test_without_a_smaller_violation_the_input_is_returned():
    x = (0.1, 0.2, 0.3)
    found = shrink(lambda p, y: 2.0 if tuple(y) == x else 0.0, lambda p, y: tuple(y) == x, size, {"n": 3}, x, np.random.default_rng(0))
    assert (dict(found.params), found.vector, found.improved) == ({"n": 3}, x, False)
    assert "no smaller violation" in found.describe()


def test_what_does_not_violate_is_refused():
    with pytest.raises(ValueError, match="does not violate"):
        shrink(lambda p, x: 0.0, lambda p, x: False, size, {"n": 1}, [1.0], np.random.default_rng(0))


def test_evaluations_are_limited():
    calls = []

    def slack(params, x):
        calls.append(1)
        return float(np.cos(x).sum())

    shrink(slack, lambda p, x: slack(p, x) > 7.5, size, {"n": 8}, np.zeros(8), np.random.default_rng(0), reoptimise=50, evaluations=100)
    # An attempt that has begun is finished: its deletions, and three searches; verification and rounding are not counted.
    assert len(calls) < 100 + 8 + 3 * 50 + 500


def test_rounding_leaves_no_negative_zero():
    found = shrink(
        lambda p, x: 2.0, lambda p, x: x[0] > 0.5, size, {"n": 2}, [0.9, -0.2], np.random.default_rng(0), shapes=lambda p: ((2,),)
    )
    assert found.vector == (1.0, 0.0)
    assert math.copysign(1.0, found.vector[1]) == 1.0


def test_deleting_a_row_takes_the_same_index_from_every_array():
    A, B, c = np.arange(12.0).reshape(3, 4), np.arange(6.0).reshape(3, 2) + 100, np.array([7.0])
    x = np.concatenate([A.ravel(), B.ravel(), c])
    deleted = list(_row_deletions(x, [(3, 4), (3, 2), (1,)], [(2, 4), (2, 2), (1,)]))
    assert len(deleted) == 3
    for i, y in enumerate(deleted):
        assert np.array_equal(y, np.concatenate([np.delete(A, i, 0).ravel(), np.delete(B, i, 0).ravel(), c]))
    square = list(_row_deletions(np.arange(9.0), [(3, 3)], [(2, 2)]))
    assert np.array_equal(square[1], [0, 2, 6, 8])


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="same arrays for all parameters"):
        list(_row_deletions(np.zeros(4), [(2, 2)], [(2,)]))


def test_ladder_climbs_to_just_below():
    assert _ladder(1) == []
    assert _ladder(2) == [1]
    for value in range(2, 200):
        rungs = _ladder(value)
        assert rungs == sorted(set(rungs))
        assert rungs[0] == 1
        assert rungs[-1] < value <= max(rungs[-1] + 1, math.ceil(1.5 * rungs[-1]))


def _shrunk(rank_truncation, constant, root, shapes=True):
    options = {"shapes": rank_truncation.shapes} if shapes else {}
    claim = rank_truncation.claim(constant, sizes=((4, 4, 2),), tight=None, **options)
    found = search_worst(claim, evaluations=4000, root=root)
    assert found.violated
    objective = Objective(claim, claim.subjects[0], claim.families[0], root=root)
    return shrink(
        lambda p, x: objective(p, x, 0),
        lambda p, x: objective.violates(p, x, 0),
        rank_truncation.dimension,
        found.found[0].params,
        found.found[0].vector,
        np.random.default_rng(root),
        shapes=options.get("shapes"),
    )


@pytest.mark.slow
def test_violation_at_four_by_four_shrinks_to_two_by_two(rank_truncation):
    """The smallest violation of the golden ratio's rivals is 2 x 2 of rank 1: a single row or column is truncated without loss."""
    result = _shrunk(rank_truncation, 1.3, root=1)
    assert dict(result.params) == {"m": 2, "n": 2, "rank": 1}
    assert result.slack > 1.0


@pytest.mark.slow
def test_most_violations_shrink_to_the_smallest_size(rank_truncation):
    """Measured: 10 of 10 for 1.5 and for 1.3; without deletion by rows the same."""
    for constant in (1.5, 1.3):
        results = [_shrunk(rank_truncation, constant, root, shapes=root % 2 == 0) for root in range(8)]
        assert sum(dict(r.params) == {"m": 2, "n": 2, "rank": 1} for r in results) >= 7


# ---------------------------------------------------------------------------------------------------- through the engine, and back


def _run(claim, folder):
    cat = Catalogue("tests/shrink")
    cat.add(claim)
    return cat, run((), catalogue=cat, mutants="none", out=folder).verdicts[0]


def test_stored_counterexample_is_shrunk_and_separates_right_from_wrong(rank_truncation, tmp_path):
    claim = rank_truncation.claim(1.3, sizes=((3, 3, 1),), tight=None, shapes=rank_truncation.shapes)
    few = {tier: replace(budget, search_evals=600) for tier, budget in claim.tiers.items()}
    wrong, verdict = _run(replace(claim, tiers=few), tmp_path)
    stored = verdict.counterexamples[0]
    assert "m=2,n=2,rank=1" in stored.part
    again = replay(stored.path, catalogue=wrong)
    assert again.violated
    assert (again.measured, again.bound) == (stored.measured, stored.bound)
    right = Catalogue("tests/right")
    right.add(rank_truncation.claim())
    assert not replay(stored.path, catalogue=right).violated
    with open(stored.path, encoding="utf-8") as file:
        steps = json.load(file)["shrink"]
    assert any(step["kept"] for step in steps)


def short_bound(*, n, delta):
    return 0.5


def long_runs_fail(inst, rng, impl):
    return float(rng.random() < (0.6 if inst.n >= 3 else 0.05))


def _random_claim(**family):
    cat = Catalogue("tests/random")
    cat.tail(
        "TST-05",
        bound=short_bound,
        levels=(0.1,),
        families=[Family("coins", grid=({"n": 40},), **family)],
        impl={"f": len},
        mutants=[Mutant("none", "impl", {"f": lambda f: f}, why="not run here")],
        source="folklore",
        plain="coins that fail too often from n = 3 on",
    )(long_runs_fail)
    return cat["TST-05"]


def test_random_statistic_shrinks_by_fresh_problems(tmp_path):
    """P(fail) = .6 from n = 3 on and .05 below, against .1: three is the smallest violation, and is confirmed on fresh trials."""
    cat, verdict = _run(_random_claim(), tmp_path)
    assert verdict.status == "REFUTED"
    assert "n=3" in verdict.counterexamples[0].part
    assert replay(verdict.counterexamples[0].path, catalogue=cat).violated


def _decode(x, point):
    return Instance({**point, "n": point["n"]}, {"x": x})


def test_searched_random_statistic_shrinks_by_fresh_trials(tmp_path):
    claim = _random_claim(build=lambda rng, p: _decode(rng.normal(size=p["n"]), p), search=SearchSpace(size, _decode))
    few = {tier: replace(budget, search_evals=320) for tier, budget in claim.tiers.items()}
    _, verdict = _run(replace(claim, tiers=few, families=(replace(claim.families[0], grid=({"n": 6},)),)), tmp_path)
    assert verdict.status == "REFUTED"
    assert "n=3" in verdict.counterexamples[0].part


def test_a_decoder_that_falls_over_on_smaller_problems_ends_the_shrinking_and_not_the_run(tmp_path):
    """The shrinker asks for sizes that the author never listed; what the claim's code raises there leaves the violation as it was found."""

    def two_numbers(x, point):
        return Instance({**point, "size": abs(x[0]) + abs(x[1])}, {"x": x})  # IndexError at n = 1

    cat = Catalogue("tests/fragile")
    cat.inequality(
        "TST-06",
        bound=lambda *, n: 1.0,
        families=[Family("pairs", lambda rng, p: two_numbers(np.zeros(2), p), ({"n": 2},), search=SearchSpace(size, two_numbers))],
        impl={"f": len},
        mutants=[Mutant("none", "impl", {"f": lambda f: f}, why="not run here")],
        source="folklore",
        plain="two numbers are small",
        budgets={tier: Budget(1, 1, search_evals=100) for tier in ("quick", "full", "nightly")},
    )(lambda inst, rng, impl: inst.size)
    cat.inequality("TST-07", **_TRUE)(lambda inst, rng, impl: 0.0)
    first, second = run((), catalogue=cat, mutants="none", out=tmp_path).verdicts
    assert (first.status, second.status) == ("REFUTED", "SURVIVED")
    steps = unseal(Path(first.counterexamples[0].path).read_text())["shrink"]
    assert [step["after"] for step in steps] == ["IndexError: index 1 is out of bounds for axis 0 with size 1"]
    assert replay(first.counterexamples[0].path, catalogue=cat).violated


_TRUE = {
    "bound": lambda *, n: 1.0,
    "families": {"one": [{"n": 1}]},
    "impl": {"f": len},
    "mutants": [Mutant("none", "impl", {"f": lambda f: f}, why="not run here")],
    "source": "folklore",
    "plain": "zero is at most one",
}
