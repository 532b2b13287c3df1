"""Extremes in a net against matrix products, the promise against the worst errors, and equal results for any number of threads."""

from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp

from algos.misspecified_bandits._columns import largest_length, support_columns
from algos.misspecified_bandits._net_kernels import net_extremes
from algos.misspecified_bandits.bounds.nets import net_size
from algos.misspecified_bandits.cover_enumeration import SparseCoverEnumeration, cover_actions
from algos.misspecified_bandits.hull_enumeration import hull_actions
from algos.misspecified_bandits.nets import ball_net, sphere_net

ROUNDING = 1e-12  # rewards are of order one


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 63, 256, 700])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extremes_are_the_first_ones(s, n, dtype):
    # small integers: all sums are exact, and most extremes are tied
    rng = np.random.default_rng(n)
    columns = rng.integers(-2, 3, (s, n)).astype(dtype)
    directions = rng.integers(-2, 3, (21, s)).astype(float)
    places, values = np.empty((2, 21), dtype=np.int64), np.empty((2, 21))
    net_extremes(support_columns(columns, np.arange(s)), directions, places, values)
    products = directions @ columns.astype(float)
    np.testing.assert_array_equal(places, [products.argmax(axis=1), products.argmin(axis=1)])
    np.testing.assert_array_equal(values, [products.max(axis=1), products.min(axis=1)])


@pytest.mark.parametrize("net", ["sphere", "ball"])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_all_supports_and_directions_are_looked_at(net, s):
    X = np.random.default_rng(s).standard_normal((90, 4))
    directions = sphere_net(s, 0.3) if net == "sphere" else ball_net(s, 0.3)
    expected = set()
    for support in combinations(range(4), s):
        products = directions @ X[:, support].T
        expected |= set(products.argmax(axis=1)) | set(products.argmin(axis=1))
    found = cover_actions(X, s, eta=0.3, net=net)
    # the weight 0, where a net has it, chooses the first action
    assert set(found.tolist()) ^ {int(a) for a in expected} <= {0}
    assert cover_actions(X, s, eta=0.3, net=net, n_jobs=2).tolist() == found.tolist()
    assert cover_actions(1e200 * X, s, eta=0.3, net=net).tolist() == found.tolist()
    assert cover_actions(sp.csr_array(X), s, eta=0.3, net=net).tolist() == found.tolist()
    if s > 1:
        assert set(found.tolist()) - {0} <= set(hull_actions(X, s).tolist())


@pytest.mark.parametrize(("net", "s"), [("sphere", 1), ("sphere", 2), ("sphere", 3), ("ball", 2)])
def test_the_bound_holds_against_errors_that_know_the_queries(net, s):
    rng = np.random.default_rng(s)
    X = rng.standard_normal((120, 4))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    eps, R = 0.2, 1.5
    learner = SparseCoverEnumeration(s, eps, R, net=net, eta=0.4).fit(X)
    for support in combinations(range(4), s):
        theta = rng.standard_normal(s)
        theta *= R / np.linalg.norm(theta)
        error = np.full(120, eps)
        error[learner.planned_] = -eps
        rewards = X[:, support] @ theta + error
        learner.fit(X)
        actions = learner.ask(120)
        learner.tell(actions, rewards[actions])
        assert rewards.max() - rewards[learner.recommend()] <= learner.bound_ + ROUNDING
    squares = np.sort(X**2, axis=1)[:, -s:].sum(axis=1)
    assert learner.bound_ == pytest.approx(2 * eps + 2 * 0.4 * R * np.sqrt(squares.max()))
    assert learner.n_candidates_ == len(list(combinations(range(4), s))) * net_size(s=s, eta=0.4, net=net)


def test_the_default_radius_halves_the_bound():
    X = np.random.default_rng(0).standard_normal((30, 3))
    learner = SparseCoverEnumeration(s=2, eps=0.3, R=2.0).fit(X)
    assert learner.eta_ == 0.15
    learner.tell(np.arange(30), X[:, 0])
    assert learner.bound_ == pytest.approx(2 * 0.3 * (1 + learner.length_))


def test_order_and_actions_do_not_depend_on_threads_or_on_sparsity():
    X = np.round(np.random.default_rng(1).standard_normal((200, 6)), 1) * (np.random.default_rng(2).random((200, 6)) < 0.4)
    plans = [
        SparseCoverEnumeration(s=2, eps=0.1, n_jobs=n_jobs).fit(table).planned_.tolist()
        for n_jobs in (None, 1, 2)
        for table in (X, sp.csr_array(X))
    ]
    assert all(plan == plans[0] for plan in plans)
    assert len(set(plans[0])) == len(plans[0])


@pytest.mark.parametrize("s", [1, 2, 4])
def test_lengths_are_taken_over_the_best_support(s):
    X = np.random.default_rng(3).standard_normal((50, 4))
    expected = max(np.linalg.norm(X[:, support], axis=1).max() for support in combinations(range(4), s))
    assert largest_length(X, s) == pytest.approx(expected, rel=ROUNDING)
    assert largest_length(sp.csr_array(X), s) == pytest.approx(expected, rel=ROUNDING)
    assert largest_length(1e-200 * X, s) == pytest.approx(1e-200 * expected, rel=ROUNDING)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give a positive eps, or eta"),
        ({"eps": 0.0}, "give a positive eps, or eta"),
        ({"eta": 0.0}, "eta"),
        ({"eps": 0.1, "net": "cube"}, "net='cube'"),
        ({"eps": 0.1, "max_candidates": 100}, "200 candidates.*larger eta"),
        ({"eps": 1e-9, "s": 3}, "max_candidates=200000000"),
        ({"eps": 0.1, "n_jobs": 0}, "n_jobs=0"),
    ],
)
def test_what_cannot_be_enumerated_is_refused(options, message):
    X = np.random.default_rng(10).standard_normal((20, 5))
    with pytest.raises(ValueError, match=message):
        SparseCoverEnumeration(**options).fit(X)


def test_functions_refuse_what_the_learner_refuses():
    with pytest.raises(ValueError, match="eta"):
        cover_actions(np.eye(3), 2, eta=0.0)
    with pytest.raises(ValueError, match="net="):
        cover_actions(np.eye(3), 2, eta=0.1, net="cube")
    with pytest.raises(ValueError, match="s=4"):
        cover_actions(np.eye(3), 4, eta=0.1)
