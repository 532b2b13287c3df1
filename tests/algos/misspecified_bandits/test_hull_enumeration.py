"""Vertices of hulls against Qhull, rational arithmetic and linear programs; the promise of 2 eps, which is attained."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from algos.misspecified_bandits._hull_kernels import orientation
from algos.misspecified_bandits._hulls import hull_of_columns, hull_of_distinct
from algos.misspecified_bandits.hull_enumeration import HullEnumeration, hull_actions, hull_vertices

ROUNDING = 1e-12  # rewards are of order one


def is_vertex(points, i):
    """Whether a point is no convex combination of the others, by a linear program of HiGHS."""
    others = np.delete(points, i, axis=0)
    rows = np.column_stack([others, np.ones(len(others))]).T
    return linprog(np.zeros(len(others)), A_eq=rows, b_eq=np.append(points[i], 1.0)).status == 2


def vertices_by_programs(points):
    """Lowest rows of the vertices: distinct points that are no combination of the others."""
    distinct, first = np.unique(points, axis=0, return_index=True)
    if len(distinct) == 1:
        return [0]
    return sorted(first[i] for i in range(len(distinct)) if is_vertex(distinct, i))


@pytest.mark.parametrize("n", [3, 40, 64, 65, 127, 300, 1000])
@pytest.mark.parametrize("shape", ["gauss", "circle", "square"])
def test_planar_vertices_are_those_of_qhull(n, shape):
    rng = np.random.default_rng(n)
    points = rng.uniform(-1.0, 1.0, (n, 2)) if shape == "square" else rng.standard_normal((n, 2))
    if shape == "circle":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    for moved in (points, points * [1e150, 1e-150], points + 8.0):
        np.testing.assert_array_equal(hull_vertices(moved), np.sort(ConvexHull(points).vertices))
    single = points.astype(np.float32)  # rounding moves points off the hull, so that it is another one
    np.testing.assert_array_equal(hull_vertices(single), hull_vertices(single.astype(np.float64)))
    np.testing.assert_array_equal(hull_actions(single, 2), hull_vertices(single))


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("values", [2, 3, 5])
def test_vertices_of_grids_full_of_ties(s, values):
    # equal points, points inside edges and faces, and more of them than the pre-filter lets through
    points = np.random.default_rng(s).integers(0, values, (120, s)).astype(float)
    expected = vertices_by_programs(points)
    np.testing.assert_array_equal(hull_vertices(points), expected)
    np.testing.assert_array_equal(hull_vertices(points.astype(np.float32)), expected)


@pytest.mark.parametrize(("n", "s"), [(60, 3), (6000, 3), (60, 4), (40, 5), (5, 4), (4, 4)])
def test_vertices_in_space(n, s):
    points = np.random.default_rng(n + s).standard_normal((n, s))
    expected = np.arange(n) if n <= s + 1 else np.sort(ConvexHull(points).vertices)
    np.testing.assert_array_equal(hull_vertices(points), expected)
    again = np.concatenate([points, points[::-1]])  # the lowest of equal rows stands for both
    np.testing.assert_array_equal(hull_vertices(again), expected)


@pytest.mark.parametrize(("rank", "s"), [(0, 3), (1, 2), (1, 3), (2, 3), (2, 4), (3, 5)])
@pytest.mark.parametrize("n", [1, 2, 50, 5000])
def test_flat_points_have_the_vertices_of_their_own_dimension(rank, s, n):
    rng = np.random.default_rng(n + s)
    flat = rng.standard_normal((n, rank)) if rank else np.zeros((n, 1))
    points = flat @ rng.standard_normal((flat.shape[1], s)) + rng.standard_normal(s)
    if s == 2:  # in the plane signs are exact: rounding alone bends a line, so that its ends are among the vertices
        assert set(hull_vertices(points)) >= set(hull_vertices(flat))
    else:
        np.testing.assert_array_equal(hull_vertices(points), hull_vertices(flat))


def test_points_that_are_nearly_flat_keep_their_vertices():
    rng = np.random.default_rng(3)
    points = rng.standard_normal((200, 3))
    expected = hull_vertices(points)
    thin = points * [1.0, 1e-6, 1.0] @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    np.testing.assert_array_equal(hull_vertices(thin), expected)


def test_programs_and_qhull_agree_in_space():
    points = np.random.default_rng(4).standard_normal((150, 3))
    lifted = np.column_stack([points, np.abs(points[:, 0])])  # four dimensions, where programs decide
    np.testing.assert_array_equal(hull_of_distinct(lifted), np.sort(ConvexHull(lifted).vertices))
    filled = np.pad(points.T, ((0, 0), (0, 106)), mode="edge")
    np.testing.assert_array_equal(hull_of_columns(filled, 150), hull_of_distinct(points))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_turns_have_the_sign_of_exact_arithmetic(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(2), rng.standard_normal(2)
    for t in rng.uniform(-2.0, 3.0, 20):
        c = a + t * (b - a)  # nearly collinear: rounding decides the sign
        for dx in range(-2, 3):
            x = c[0] + dx * np.spacing(c[0])
            p, q, u, v, r, s = (Fraction(float(value)) for value in (*a, *b, x, c[1]))
            exact = (p - r) * (v - s) - (q - s) * (u - r)
            assert np.sign(orientation(*a, *b, x, c[1])) == (exact > 0) - (exact < 0)


@pytest.mark.parametrize("s", [1, 2, 3])
def test_all_supports_are_looked_at(s):
    X = np.random.default_rng(5).standard_normal((80, 5))
    expected = set()
    for support in combinations(range(5), s):
        part = X[:, support]
        expected |= {part.argmax(), part.argmin()} if s == 1 else set(ConvexHull(part).vertices)
    assert hull_actions(X, s).tolist() == sorted(expected)
    for n_jobs in (1, 2, 3):
        learner = HullEnumeration(s=s, n_jobs=n_jobs).fit(X)
        assert sorted(learner.planned_.tolist()) == sorted(expected)
        assert learner.planned_.tolist() == HullEnumeration(s=s).fit(X).planned_.tolist()


def test_actions_of_a_code_are_all_vertices():
    # lines f(x) = a + b x over the field with 5 elements as sets of 3 of 15 columns: no action is between others on its own columns
    X = np.zeros((25, 15))
    for a in range(5):
        for b in range(5):
            X[5 * a + b, [5 * x + (a + b * x) % 5 for x in range(3)]] = 1.0
    assert hull_actions(X, 2).size == 25


def play(learner, X, rewards):
    learner.fit(X)
    while not learner.done_:
        actions = learner.ask(50)
        learner.tell(actions, rewards[actions])
    return learner


@pytest.mark.parametrize("s", [1, 2, 3])
def test_the_recommendation_is_within_twice_eps_and_can_be_as_bad(s):
    rng = np.random.default_rng(6)
    X = rng.standard_normal((150, 4))
    eps, worst = 0.25, 0.0
    for support in combinations(range(4), s):
        for theta in (rng.standard_normal(s), np.zeros(s)):
            queried = hull_actions(X, s)
            error = np.full(150, eps)
            error[queried] = -eps  # the worst for a learner whose queries are known
            rewards = X[:, support] @ theta + error
            learner = play(HullEnumeration(s=s, eps=eps), X, rewards)
            assert learner.bound_ == 2.0 * eps
            loss = rewards.max() - rewards[learner.recommend()]
            assert loss <= learner.bound_ + ROUNDING
            worst = max(worst, loss)
    assert worst == pytest.approx(2.0 * eps, abs=ROUNDING)


def test_the_promise_waits_for_all_answers_and_for_eps():
    X = np.random.default_rng(7).standard_normal((50, 3))
    learner = HullEnumeration(s=2, budget=3).fit(X)
    learner.tell(learner.ask(3), [1.0, 2.0, 3.0])
    assert learner.done_
    assert "planned actions" in learner.guarantee_.reason
    assert "eps" in play(HullEnumeration(s=2), X, X[:, 0]).guarantee_.reason


def test_noisy_rewards_cost_twice_the_error_of_means_and_strangers_void_the_promise():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((60, 3))
    learner = HullEnumeration(s=1, eps=0.5, sigma=0.5).fit(X)
    while not learner.done_:
        actions = learner.ask(100)
        learner.tell(actions, X[actions, 0] + 0.5 * rng.standard_normal(actions.size))
    assert learner.bound_ == 4 * 0.5
    stranger = next(a for a in range(60) if a not in learner.planned_)
    learner.tell(stranger, 100.0)
    assert learner.recommend() == stranger
    assert not learner.guarantee_.holds


def test_common_actions_come_first():
    X = np.random.default_rng(9).standard_normal((200, 5))
    counts = np.zeros(200, dtype=int)
    for support in combinations(range(5), 2):
        counts[ConvexHull(X[:, support]).vertices] += 1
    planned = HullEnumeration(s=2).fit(X).planned_
    assert np.all(np.diff(counts[planned]) <= 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_candidates": 5}, "10 candidates.*max_candidates"), ({"n_jobs": 0}, "n_jobs=0"), ({"max_candidates": 0}, "max_candidates")],
)
def test_what_cannot_be_enumerated_is_refused(options, message):
    X = np.random.default_rng(10).standard_normal((20, 5))
    with pytest.raises(ValueError, match=message):
        HullEnumeration(s=2, **options).fit(X)


def test_points_must_be_a_finite_table():
    with pytest.raises(ValueError, match="NaN"):
        hull_vertices([[0.0, np.nan]])
    with pytest.raises(ValueError, match="s=3"):
        hull_actions(np.eye(2), 3)
