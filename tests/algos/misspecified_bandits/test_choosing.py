"""The choice of a learner: each rule by an instance for it, its number of pulls by counting, its promise by the learner itself."""

import numpy as np
import pytest
import scipy.sparse as sp

from algos.misspecified_bandits import hull_actions, which_learner
from algos.misspecified_bandits.bounds import noisy_repeats, recovery_queries

_rng = np.random.default_rng(0)
SMALL = _rng.standard_normal((500, 5))
SMALL /= np.linalg.norm(SMALL, axis=1, keepdims=True)
WIDE = _rng.choice([-1.0, 1.0], (3000, 200))
COPIES = np.hstack([WIDE[:, :30], WIDE[:, :30] + 0.1 * WIDE[:, 30:60]])
N_HULL = hull_actions(SMALL, 2).size


@pytest.mark.parametrize(
    ("X", "known", "name"),
    [
        (SMALL, {"budget": 500}, "ExhaustiveSearch"),
        (SMALL, {"budget": 499}, "HullEnumeration"),
        (SMALL, {"budget": N_HULL}, "HullEnumeration"),
        (SMALL, {"budget": N_HULL - 1, "eps": 0.1, "R": 1.0}, "OptimisticElimination"),
        (SMALL, {"budget": N_HULL - 1, "eps": 1e-5, "R": 1.0}, "ExactVersionSpace"),
        (SMALL, {"budget": N_HULL - 1, "eps": 0.1}, "SparseRecoveryBandit"),
        (SMALL, {"budget": 5}, "RandomSearch"),
        (SMALL, {"budget": 100, "s": None}, "GOptLeastSquares"),
        (SMALL, {"budget": 400, "goal": "total_reward"}, "PhasedElimination"),
        (SMALL, {"budget": 600, "sigma": 1.0, "eps": 0.1}, "RandomSearch"),
        (WIDE, {"budget": 200, "s": 4}, "SparseRecoveryBandit"),
        (WIDE, {"budget": 200, "s": 4, "eps": 0.1, "R": 1.0}, "SparseRecoveryBandit"),
        (COPIES, {"budget": 1500, "s": 4}, "GOptLeastSquares"),
    ],
)
def test_every_rule_has_its_case(X, known, name):
    choice = which_learner(X, **known)
    assert choice.name == name
    assert choice.queries <= known["budget"]
    order = [
        "ExhaustiveSearch",
        "HullEnumeration",
        "OptimisticElimination",
        "ExactVersionSpace",
        "SparseRecoveryBandit",
        "GOptLeastSquares",
    ]
    if name in order and known.get("s", 2) is not None:
        assert [other for other, _ in choice.rejected] == order[: order.index(name)]
    assert choice.explain().startswith(f"{name}: ")
    assert choice.explain().count("\n") == len(choice.rejected)


@pytest.mark.parametrize(
    ("X", "known"),
    [
        (SMALL, {"budget": 500}),
        (SMALL, {"budget": N_HULL, "eps": 0.1}),
        (SMALL, {"budget": 60, "eps": 0.1, "R": 1.0}),
        (SMALL[:100], {"budget": 60, "eps": 0.002, "R": 20.0}),
        (WIDE, {"budget": 200, "s": 3}),
        (SMALL[:10], {"budget": 4000, "sigma": 0.2, "eps": 0.1}),
    ],
)
def test_the_learner_keeps_what_was_said_of_it(X, known):
    choice = which_learner(X, **known)
    learner, rng = choice.create(random_state=0).fit(X), np.random.default_rng(0)
    mean = 0.5 * X[:, 0] - 0.4 * X[:, 1] + rng.uniform(-1.0, 1.0, len(X)) * known.get("eps", 0.0)
    while not learner.done_:
        actions = learner.ask(64)
        learner.tell(actions, mean[actions] + known.get("sigma", 0.0) * rng.standard_normal(actions.size))
    assert learner.n_queries_ <= choice.queries
    if choice.name in ("ExhaustiveSearch", "HullEnumeration"):
        assert learner.n_queries_ == choice.queries
    if not np.isnan(choice.promise):
        assert learner.bound_ <= choice.promise + 1e-9
        assert mean.max() - mean[learner.recommend()] <= choice.promise + 1e-9


def test_pulls_of_a_noisy_search_are_those_of_the_formula():
    m = recovery_queries(d=200, s=4)
    repeats = noisy_repeats(sigma=0.3, n_queries=2 * m, delta=0.05, error=0.3)
    known = {"s": 4, "sigma": 0.3, "eps": 0.3}
    assert which_learner(WIDE, budget=m * repeats, **known).name == "SparseRecoveryBandit"
    assert which_learner(WIDE, budget=m * repeats - 1, **known).name == "RandomSearch"


def test_sparse_tables_get_the_same_choice():
    for known in ({"budget": 40, "s": 2, "eps": 0.1, "R": 1.0}, {"budget": 60}, {"budget": 3}):
        dense, sparse = which_learner(SMALL, **known), which_learner(sp.csr_array(SMALL), **known)
        assert dense == sparse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "budget"),
        ({"s": 6}, "s=6"),
        ({"eps": -0.1}, "eps"),
        ({"R": 0.0}, "R"),
        ({"sigma": -1.0}, "sigma"),
        ({"delta": 1.0}, "delta"),
        ({"goal": "profit"}, "goal='profit'"),
        ({"max_supports": 0}, "max_supports"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        which_learner(SMALL, **{"budget": 10, **arguments})
