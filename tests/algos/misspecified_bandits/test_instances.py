"""Instances are what they say they are, adversaries keep within eps, two worlds differ as much as brute force can make them."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from algos.misspecified_bandits import HullEnumeration, hull_actions, run
from algos.misspecified_bandits.instances import (
    ADVERSARIES,
    best_sparse_fit,
    make_diabetes_bandit,
    make_ls_adversary,
    make_sparse_gaussian,
    make_sparse_sign,
    mimic_pair,
    misspecify,
)
from algos.misspecified_bandits.norming import norming_constant

ROUNDING = 1e-12  # sums of a few numbers of order one
SOLVER = 1e-7  # optimal values by HiGHS


@pytest.mark.parametrize("make", [make_sparse_gaussian, make_sparse_sign])
@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("signal", ["random", "equal", "geometric"])
def test_errors_keep_within_eps_and_models_are_sparse(make, adversary, signal):
    queries = [3, 1] if adversary == "against_queries" else None
    instance = make(40, 9, 4, 0.15, adversary=adversary, queries=queries, signal=signal, R=2.0, random_state=5)
    again = make(40, 9, 4, 0.15, adversary=adversary, queries=queries, signal=signal, R=2.0, random_state=5)
    np.testing.assert_array_equal(instance.mean, again.mean)
    assert instance.support.size == 4
    assert np.linalg.norm(instance.theta) == pytest.approx(2.0)
    assert np.abs(instance.nu).max() <= 0.15
    assert (np.abs(instance.nu).max() > 0.1) == (adversary != "none")
    env = instance.env()
    np.testing.assert_array_equal(env.mean, instance.X @ instance.theta + instance.nu)
    sizes = np.abs(instance.X) if make is make_sparse_sign else np.linalg.norm(instance.X, axis=1)
    np.testing.assert_allclose(sizes, 1.0, rtol=ROUNDING)
    values = np.sort(np.abs(instance.theta[instance.support]))
    if signal != "random":
        np.testing.assert_allclose(values[1:] / values[:-1], 1.0 if signal == "equal" else 2.0, rtol=ROUNDING)


def test_the_top_is_flattened():
    instance = make_sparse_gaussian(25, 5, 2, 0.1, adversary="flatten_top", random_state=0)
    top = np.argsort(instance.X @ instance.theta)[-3:]
    assert set(np.flatnonzero(instance.nu == -0.1)) == set(top)
    assert (instance.nu == 0.1).sum() == 22


def test_a_hidden_tail_leaves_no_trace_where_eps_allows():
    instance = make_sparse_sign(60, 12, 6, 0.3, adversary="hide_tail", signal="geometric", random_state=1)
    order = instance.support[np.argsort(np.abs(instance.theta[instance.support]))]
    # signs: the coefficients' sizes add up, and the smallest that stay within 0.3 vanish altogether
    n_hidden = int((np.cumsum(np.abs(instance.theta[order])) <= 0.3).sum())
    assert 0 < n_hidden < 6
    kept = instance.theta.copy()
    kept[order[:n_hidden]] = 0.0
    np.testing.assert_allclose(instance.mean, instance.X @ kept, atol=ROUNDING)
    small = make_sparse_sign(60, 12, 6, 0.001, adversary="hide_tail", signal="equal", random_state=1)
    np.testing.assert_array_equal(np.abs(small.nu), 0.001)


def test_a_decoy_is_a_coefficient_on_an_idle_column():
    instance = make_sparse_sign(60, 7, 2, 0.2, adversary="decoy", random_state=2)
    fitted, *_ = np.linalg.lstsq(instance.X, instance.mean)
    extra = np.flatnonzero(np.abs(fitted - instance.theta) > 1e-9)
    assert extra.size == 1
    assert extra[0] not in instance.support
    assert fitted[extra[0]] == pytest.approx(0.2)


def test_an_adversary_that_knows_the_queries_costs_an_enumeration_twice_eps():
    X = make_sparse_sign(300, 6, 2, 0.0, adversary="none", random_state=3).X
    queries = hull_actions(X, 2)
    theta = np.array([0.6, 0.0, -0.8, 0.0, 0.0, 0.0])
    instance = misspecify(X, theta, 0.25, adversary="against_queries", queries=queries)
    # equal projections: an action that was not queried has the same linear part as the best one that was
    assert run(instance.env(), HullEnumeration(s=2), budget=None).final == pytest.approx(0.5, abs=ROUNDING)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adversary": "nature"}, "adversary='nature'"),
        ({"adversary": "against_queries"}, "queries=None do not go together"),
        ({"queries": [0]}, "do not go together"),
        ({"eps": -1.0}, r"eps=-1\.0"),
        ({"theta": [0.0, 0.0]}, "not all 0"),
        ({"theta": [1.0]}, "2 finite numbers"),
        ({"adversary": "decoy"}, "outside the support"),
        ({"X": [[1.0, np.nan]]}, "NaN"),
    ],
)
def test_adversaries_without_what_they_need_are_refused(change, message):
    arguments = {"X": np.eye(2), "theta": [1.0, 1.0], "eps": 0.1} | change
    with pytest.raises(ValueError, match=message):
        misspecify(**arguments)


@pytest.mark.parametrize(("change", "message"), [({"s": 5}, "s=5"), ({"K": 0}, "K=0"), ({"R": 0.0}, "R=0"), ({"signal": "big"}, "signal=")])
def test_sizes_are_checked(change, message):
    arguments = {"K": 5, "d": 4, "s": 2, "eps": 0.1} | change
    with pytest.raises(ValueError, match=message):
        make_sparse_gaussian(**arguments)


# --- two worlds -----------------------------------------------------------------------------------------------------------------------


def brute_difference(X, queries, s, eps, R):
    """The largest difference, by a program for every support and action, in the variables of both models."""
    best = 0.0
    d = X.shape[1]
    for ours, theirs in itertools.product(itertools.combinations(range(d), s), repeat=2):
        if set(ours) & set(theirs):
            continue
        rows = np.hstack([X[:, ours], -X[:, theirs]])
        A = np.vstack([rows[queries], -rows[queries]])
        for row in rows:
            best = max(best, -linprog(-row, A, np.full(len(A), 2 * eps), bounds=(-R, R), method="highs").fun)
    return best


@pytest.mark.parametrize(("d", "s", "n_queries", "R"), [(4, 1, 3, 1.0), (5, 1, 1, 0.7), (4, 2, 6, 10.0), (4, 2, 3, 1.0)])
@pytest.mark.parametrize("kind", ["gauss", "sign"])
def test_two_worlds_differ_as_much_as_any_and_answer_alike(d, s, n_queries, R, kind):
    rng = np.random.default_rng(d + s)
    X = rng.standard_normal((9, d)) if kind == "gauss" else rng.choice([-1.0, 1.0], (9, d))
    queries = rng.choice(9, n_queries, replace=False)
    pair = mimic_pair(X, queries, s=s, eps=0.1, R=R)
    assert pair.difference == pytest.approx(brute_difference(X, queries, s, 0.1, R), abs=SOLVER)
    for world in pair:
        assert world.support.size <= s
        assert np.abs(world.theta).max() <= R + SOLVER
        assert np.abs(world.nu).max() <= 0.1 + SOLVER
        np.testing.assert_allclose(world.mean[pair.queries], pair.answers, atol=ROUNDING)
    assert pair.queries.tolist() == sorted(queries.tolist())
    assert pair.first.mean[pair.action] - pair.second.mean[pair.action] == pytest.approx(pair.difference, abs=2 * 0.1 + SOLVER)


def test_the_difference_stays_below_the_bound_by_eigenvalues():
    # entries of size 1: the difference is at most 2 eps sqrt(k / lambda), with the smallest eigenvalue over all supports of size k
    X = np.random.default_rng(8).choice([-1.0, 1.0], (40, 6))
    queries = np.arange(14)
    pair = mimic_pair(X, queries, s=2, eps=0.1, R=100.0)
    values = [np.linalg.eigvalsh(X[:14][:, S].T @ X[:14][:, S] / 14)[0] for S in itertools.combinations(range(6), 4)]
    assert 0.2 < pair.difference <= 0.2 * np.sqrt(4 / min(values)) + SOLVER


def test_the_difference_is_the_norming_constant_of_the_queries():
    # another program of the room, over the norm that the queries give
    X = np.random.default_rng(12).standard_normal((30, 5))
    queries = [1, 4, 9, 16, 25, 7, 8]
    gamma = norming_constant(X, queries, 4)
    assert mimic_pair(X, queries, s=2, eps=0.1, R=1e3).difference == pytest.approx(0.2 * gamma.value, rel=1e-6)


def test_without_queries_only_the_box_limits_the_difference():
    X = np.random.default_rng(9).standard_normal((7, 4))
    pair = mimic_pair(X, [], s=1, eps=0.1, R=0.5)
    largest = np.sort(np.abs(X), axis=1)[:, -2:].sum(axis=1)
    assert pair.difference == pytest.approx(0.5 * largest.max(), abs=SOLVER)
    assert pair.action == int(np.argmax(largest))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"queries": [9]}, ValueError, "numbered from 0 to 8"),
        ({"queries": [0.5]}, TypeError, "integers"),
        ({"eps": 0.0}, ValueError, "eps=0"),
        ({"s": 5}, ValueError, "s=5"),
        ({"max_supports": 5}, ValueError, "6 supports are more than max_supports=5"),
    ],
)
def test_worlds_refuse_what_they_cannot_use(change, error, message):
    arguments = {"queries": [0, 1], "s": 1, "eps": 0.1} | change
    with pytest.raises(error, match=message):
        mimic_pair(np.random.default_rng(0).standard_normal((9, 4)), **arguments)


# --- least squares --------------------------------------------------------------------------------------------------------------------


def largest_suboptimality(X, weights, eps):
    """The worst case by linear programs over linear part and errors, with the fit's maximum as constraints."""
    K, d = X.shape
    gram = (X.T * weights) @ X
    fit = X @ np.linalg.solve(gram, X.T * weights)  # fitted rewards from rewards
    to_rewards = np.hstack([X, np.eye(K)])
    fitted = fit @ to_rewards
    best = 0.0
    for a, c in itertools.permutations(range(K), 2):
        rows = np.delete(fitted - fitted[c], c, axis=0)
        bounds = [(None, None)] * d + [(-eps, eps)] * K
        best = max(best, -linprog(to_rewards[c] - to_rewards[a], rows, np.zeros(K - 1), bounds=bounds, method="highs").fun)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_is_misled_as_much_as_linear_programs_allow(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((9, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    weights = np.where(np.arange(9) % 2 == 0, rng.random(9), 0.0)
    worst = make_ls_adversary(X, weights, 0.3)
    assert worst.value == pytest.approx(largest_suboptimality(X, weights, 0.3), abs=SOLVER)
    instance = worst.instance
    assert np.abs(instance.nu).max() <= 0.3
    root = np.sqrt(weights)
    theta, *_ = np.linalg.lstsq(X * root[:, None], instance.mean * root)
    assert worst.exposed  # distinct unit rows
    assert int(np.argmax(X @ theta)) == worst.recommended
    assert instance.mean.max() - instance.mean[worst.recommended] == pytest.approx(worst.value, rel=1e-5)
    assert int(np.argmax(instance.mean)) == worst.better


def test_a_pair_is_found_in_any_block_and_without_full_rank():
    rng = np.random.default_rng(11)
    X = rng.standard_normal((700, 2)) @ rng.standard_normal((2, 4))
    weights = np.zeros(700)
    weights[[5, 600, 650]] = 1.0
    W = X @ np.linalg.pinv(X[[5, 600, 650]])
    D = -W
    D[[5, 600, 650], [0, 1, 2]] += 1.0
    out = (weights == 0).astype(float)
    brute = 0.0
    for a in range(700):
        values = np.abs(D[a] - D).sum(axis=1) + out + out[a]
        values[a] = 0.0
        brute = max(brute, values.max())
    worst = make_ls_adversary(X, weights, 0.5)
    assert worst.value == pytest.approx(0.5 * brute, rel=1e-9)
    instance = worst.instance
    assert instance.mean[worst.better] - instance.mean[worst.recommended] == pytest.approx(worst.value, rel=1e-5)


def test_designs_that_bound_nothing_are_refused():
    with pytest.raises(ValueError, match="does not span"):
        make_ls_adversary(np.eye(3), [1.0, 1.0, 0.0], 0.1)
    with pytest.raises(ValueError, match="none negative"):
        make_ls_adversary(np.eye(3), [1.0, -1.0, 1.0], 0.1)
    with pytest.raises(ValueError, match=r"eps=0\.0"):
        make_ls_adversary(np.eye(3), np.ones(3), 0.0)
    twins = make_ls_adversary([[1.0], [1.0]], [1.0, 1.0], 0.25)
    assert not twins.exposed
    assert twins.value == pytest.approx(0.5)


# --- surfaces -------------------------------------------------------------------------------------------------------------------------


def test_the_surface_is_as_far_from_sparse_models_as_documented():
    # shares of the rewards' range; the smallest error for three columns is the only one that leaves a linear model useful
    bandit = make_diabetes_bandit(0.003)
    spread = np.ptp(bandit.mean)
    fits = [bandit.sparse_fit(s) for s in (1, 2)]
    assert [fit.support for fit in fits] == [(2,), (2, 8)]
    np.testing.assert_allclose([fit.eps / spread for fit in fits], [0.344, 0.147], atol=5e-4)
    three = best_sparse_fit(bandit.X[:, [2, 3, 8]], bandit.mean, 3)
    assert three.eps / spread == pytest.approx(0.0046, abs=5e-5)
    assert bandit.feature_names[2] == "bmi"
    np.testing.assert_allclose(bandit.X.mean(axis=0), 0.0, atol=ROUNDING)
    for fit in (*fits, three):
        assert fit.lower == pytest.approx(fit.eps, abs=SOLVER)


def test_hulls_of_the_surface_hold_its_best_action():
    bandit = make_diabetes_bandit(0.03)
    trace = run(bandit.env(), HullEnumeration(s=3), budget=None)
    assert trace.final == 0.0
    assert trace.n_pulls < 0.5 * 442


def test_the_best_sparse_fit_is_that_of_brute_force():
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((15, 4)), rng.standard_normal(15)
    for intercept in (True, False):
        best = np.inf
        for support in itertools.combinations(range(4), 2):
            A = np.column_stack([X[:, support], np.full(15, float(intercept)), np.full(15, 1.0)])
            rows = np.vstack([A * [1, 1, 1, -1], -A * [1, 1, 1, 1]])
            best = min(best, linprog([0, 0, 0, 1], rows, np.r_[y, -y], bounds=[(None, None)] * 3 + [(0, None)], method="highs").fun)
        fit = best_sparse_fit(X, y, 2, intercept=intercept)
        assert fit.eps == pytest.approx(best, abs=SOLVER)
        assert np.abs(X @ fit.theta + fit.intercept - y).max() == pytest.approx(fit.eps, abs=SOLVER)
        assert (fit.intercept != 0.0) == intercept
    with pytest.raises(ValueError, match="s=5"):
        best_sparse_fit(X, y, 5)
    with pytest.raises(ValueError, match="gamma=0"):
        make_diabetes_bandit(0.0)
    with pytest.raises(ValueError, match="columns="):
        make_diabetes_bandit(columns=(10,))
