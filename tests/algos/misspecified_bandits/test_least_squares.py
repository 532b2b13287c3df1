"""What least squares does under a wrong model, against linear programs over the model and its errors."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

import algos.misspecified_bandits.gopt_least_squares as learner_module
from algos.misspecified_bandits import (
    GOptLeastSquares,
    g_optimal_design,
    lebesgue_function,
    ls_worst_case,
    make_ls_adversary,
    prediction_weights,
)
from algos.misspecified_bandits.bounds import design_pulls, ls_prediction_error, ls_suboptimality
from algos.misspecified_bandits.least_squares import largest_difference

ROUNDING = 1e-9
SOLVER = 1e-6  # HiGHS satisfies rows to 1e-7, and the numbers are near 10


def actions(seed, n, d, unit=True):
    X = np.random.default_rng(seed).standard_normal((n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True) if unit else X


def some_weights(seed, n, share=0.6):
    rng = np.random.default_rng([seed, 7])
    return np.where(rng.random(n) < share, rng.random(n), 0.0)


def regression(X, weights):
    """The matrix from rewards of all actions to predictions, column by column from the normal equations."""
    V = X.T @ (weights[:, None] * X)
    return X @ np.linalg.solve(V, X.T * weights)


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_those_of_the_normal_equations(seed):
    X, weights = actions(seed, 20, 3), some_weights(seed, 20)
    W = prediction_weights(X, weights)
    full = np.zeros((20, 20))
    full[:, np.flatnonzero(weights)] = W
    assert full == pytest.approx(regression(X, weights), abs=ROUNDING)
    values = lebesgue_function(X, weights)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=W.shape[1])))
    assert values == pytest.approx((W @ signs.T).max(axis=1), rel=ROUNDING)


@pytest.mark.parametrize("d", [2, 5, 9])
def test_the_lebesgue_function_is_within_the_root_of_the_variance(d):
    X = actions(d, 400, d)
    design = g_optimal_design(X, random_state=0)
    h = np.einsum("ij,jk,ik->i", X, np.linalg.inv(X.T @ (design.weights[:, None] * X)), X)
    values = design.lebesgue(X)
    assert np.all(values <= np.sqrt(h) * (1 + ROUNDING))
    assert values.max() <= ls_prediction_error(eps=1.0, g=design.g)
    assert values[design.support].min() > 0.5


def largest_suboptimality(X, weights, eps):
    """Over theta and nu with the fit of c at least that of all others, by a linear program for each pair."""
    K, d = X.shape
    fitted = regression(X, weights) @ np.hstack([X, np.eye(K)])
    rewards = np.hstack([X, np.eye(K)])
    best = 0.0
    for a, c in itertools.permutations(range(K), 2):
        rows = np.delete(fitted - fitted[c], c, axis=0)
        bounds = [(None, None)] * d + [(-eps, eps)] * K
        best = max(best, -linprog(rewards[c] - rewards[a], rows, np.zeros(K - 1), bounds=bounds, method="highs").fun)
    return best


@pytest.mark.parametrize(("seed", "unit", "share"), [(0, True, 0.6), (1, False, 0.6), (2, True, 1.0), (3, False, 1.0)])
def test_the_worst_case_is_that_of_linear_programs_and_is_attained(seed, unit, share):
    X, weights = actions(seed, 9, 3, unit), some_weights(seed, 9, share)
    value, a, c, theta, nu = ls_worst_case(X, weights, 0.3)
    assert value == pytest.approx(largest_suboptimality(X, weights, 0.3), abs=SOLVER)
    rewards = X @ theta + nu
    assert np.abs(nu).max() <= 0.3
    assert regression(X, weights) @ rewards == pytest.approx(0.0, abs=ROUNDING)
    assert rewards[a] - rewards[c] == pytest.approx(value, rel=ROUNDING)
    assert rewards.max() - rewards[c] == pytest.approx(value, rel=ROUNDING)


def brute(W, support):
    n = len(W)
    D = -W
    D[support, np.arange(len(support))] += 1.0
    out = np.ones(n)
    out[support] = 0.0
    values = np.abs(D[:, None] - D[None]).sum(axis=2) + out[:, None] + out
    np.fill_diagonal(values, -1.0)
    return values


@given(st.integers(0, 10**6), st.integers(2, 40), st.booleans())
def test_passing_over_pairs_loses_none(seed, n, repeated):
    rng = np.random.default_rng(seed)
    support = np.sort(rng.choice(n, rng.integers(1, n + 1), replace=False))
    W = rng.standard_normal((n, support.size)) * rng.exponential(size=(n, 1))
    if repeated:
        W[n // 2 :] = W[: n - n // 2]
    values = brute(W.copy(), support)
    a, c, best = largest_difference(W, support)
    assert a < c
    assert best == pytest.approx(values.max(), rel=ROUNDING)
    assert values[a, c] == pytest.approx(best, rel=ROUNDING)


@pytest.mark.parametrize("seed", range(3))
def test_the_chain_of_bounds(seed):
    X = actions(seed, 150, 4)
    design = g_optimal_design(X, random_state=seed)
    worst = ls_worst_case(X, design, 0.2)
    middle = 0.4 * (1.0 + design.lebesgue(X).max())
    assert worst.value <= middle * (1 + ROUNDING)
    assert middle <= design.worst_case(0.2) * (1 + ROUNDING)
    assert design.worst_case(0.2) == ls_suboptimality(eps=0.2, g=design.g)
    assert worst.value == pytest.approx(2 * ls_worst_case(X, design.weights * 17.0, 0.1).value, rel=ROUNDING)


@pytest.mark.parametrize("seed", range(2))
def test_the_least_lebesgue_function_is_a_norming_constant(seed):
    X, weights = actions(seed, 25, 4, unit=seed == 0), some_weights(seed, 25)
    W = prediction_weights(X, weights, criterion="lebesgue")
    core = X[weights > 0]
    assert W @ core == pytest.approx(X, abs=SOLVER)  # right for every linear model
    values = lebesgue_function(X, weights, criterion="lebesgue")
    rows, ends = np.vstack([core, -core]), np.ones(2 * len(core))
    dual = [-linprog(-x, rows, ends, bounds=[(None, None)] * 4, method="highs").fun for x in X]
    assert values == pytest.approx(dual, abs=SOLVER)
    assert np.all(values <= lebesgue_function(X, weights) + SOLVER)


@pytest.mark.parametrize("criterion", ["least_squares", "lebesgue"])
def test_dependent_columns_repeated_rows_and_units(criterion):
    X = actions(3, 12, 3, unit=False)
    wide = np.hstack([X * [1e-150, 1.0, 1e150], X[:, 1:2], np.zeros((12, 1))])
    wide, X = np.vstack([wide, wide[:3]]), np.vstack([X, X[:3]])
    weights = np.append(np.ones(12), np.zeros(3))
    assert lebesgue_function(wide, weights, criterion=criterion) == pytest.approx(
        lebesgue_function(X, weights, criterion=criterion), rel=SOLVER
    )
    assert ls_worst_case(wide, weights, 1.0).value == pytest.approx(ls_worst_case(X, weights, 1.0).value, rel=ROUNDING)


def test_columns_that_are_nearly_dependent_are_no_reason_to_refuse():
    rng = np.random.default_rng(275)
    X = rng.standard_normal((14, 8)) @ np.diag(10.0 ** -np.arange(8.0)) @ rng.standard_normal((8, 8))
    values = lebesgue_function(X, np.ones(14))
    assert values == pytest.approx(lebesgue_function(np.linalg.qr(X)[0], np.ones(14)), rel=1e-5)  # condition 1e8 times rounding


def test_single_actions_zeros_and_exact_models():
    assert tuple(ls_worst_case([[2.0]], [1.0], 0.5))[:3] == (0.0, 0, 0)
    assert lebesgue_function(np.zeros((3, 2)), [0.0, 1.0, 0.0]).tolist() == [0.0, 0.0, 0.0]
    assert lebesgue_function(np.zeros((3, 2)), [0.0, 1.0, 0.0], criterion="lebesgue").tolist() == [0.0, 0.0, 0.0]
    assert ls_worst_case(np.eye(3), np.ones(3), 0.0).value == 0.0
    assert ls_worst_case(np.zeros((2, 1)), [1.0, 0.0], 0.25).value == pytest.approx(0.5)


def test_designs_for_other_tables_are_refused():
    X = actions(0, 8, 3)
    design = g_optimal_design(X, random_state=0)
    for call in (lambda: lebesgue_function(X[1:], design), lambda: ls_worst_case(X, [1.0, -1.0] * 4, 0.1)):
        with pytest.raises(ValueError, match="one per action, none negative"):
            call()
    for criterion in ("least_squares", "lebesgue"):
        with pytest.raises(ValueError, match="does not span"):
            lebesgue_function(X, [1.0] + [0.0] * 7, criterion=criterion)
    with pytest.raises(ValueError, match="criterion"):
        prediction_weights(X, design, criterion="ridge")
    with pytest.raises(ValueError, match=r"eps=-0\.1"):
        ls_worst_case(X, design, -0.1)
    for call in (lambda: ls_prediction_error(eps=-1.0, g=1.0), lambda: ls_suboptimality(eps=1.0, g=1.0, error=-1.0)):
        with pytest.raises(ValueError, match="must not be negative"):
            call()


# --- the learner --------------------------------------------------------------------------------------------------------------------


def finish(learner, rewards):
    while not learner.done_:
        asked = learner.ask(7)
        learner.tell(asked, rewards[asked])
    return learner


@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("tol", [1.0, 1e-2])
def test_the_bound_of_the_learner_is_attained(d, tol):
    X = actions(d, 80, d)
    design = GOptLeastSquares(tol=tol, random_state=0).fit(X).design_
    worst = make_ls_adversary(X, design.weights, 0.25)
    learner = finish(GOptLeastSquares(eps=0.25, tol=tol, random_state=0).fit(X), worst.instance.mean)
    assert learner.n_queries_ == design.support.size
    lost = worst.instance.mean.max() - worst.instance.mean[learner.recommend()]
    assert lost <= learner.bound_
    assert lost == pytest.approx(learner.bound_, rel=1e-5)  # but for the push of a millionth that makes the maximum strict


def test_linear_rewards_are_learnt_exactly():
    X = actions(4, 300, 6).astype(np.float32)
    rewards = X.astype(np.float64) @ np.arange(1.0, 7.0) * 1e200
    for criterion in ("least_squares", "lebesgue"):
        learner = finish(GOptLeastSquares(eps=0.0, criterion=criterion, tol=1.0, random_state=0).fit(X), rewards)
        assert learner.recommend() == int(np.argmax(rewards))
        assert learner.bound_ == 0.0


def test_a_look_at_the_largest_prediction_is_never_worse():
    X = actions(6, 60, 4)
    better = 0
    for seed in range(12):
        rewards = X @ np.ones(4) / 4 + np.random.default_rng(seed).uniform(-0.3, 0.3, 60)
        plain = finish(GOptLeastSquares(eps=0.3, random_state=0).fit(X), rewards)
        checked = finish(GOptLeastSquares(eps=0.3, random_state=0, check_best=True).fit(X), rewards)
        assert checked.n_distinct_ == plain.n_distinct_ + (plain.recommend() not in plain.planned_)
        assert rewards[checked.recommend()] >= rewards[plain.recommend()]
        assert checked.bound_ == plain.bound_
        better += rewards[checked.recommend()] > rewards[plain.recommend()]
    assert better > 0


def test_the_least_lebesgue_function_promises_more():
    X = actions(8, 60, 5)
    bounds = [
        finish(GOptLeastSquares(eps=0.1, criterion=criterion, random_state=0).fit(X), X[:, 0]).bound_
        for criterion in ("least_squares", "lebesgue")
    ]
    assert bounds[1] < bounds[0]


def test_too_many_pairs_get_the_bound_by_the_lebesgue_function(monkeypatch):
    X = actions(9, 60, 4)
    for criterion in ("least_squares", "lebesgue"):
        exact = finish(GOptLeastSquares(eps=0.1, criterion=criterion, random_state=0).fit(X), X[:, 0])
        assert exact.bound_ > 0.0
        monkeypatch.setattr(learner_module, "_EXACT_WORK", 0)
        quick = finish(GOptLeastSquares(eps=0.1, criterion=criterion, random_state=0).fit(X), X[:, 0])
        bound = quick.bound_
        monkeypatch.undo()
        values = lebesgue_function(X, quick.design_, criterion=criterion)
        assert bound == pytest.approx(0.2 * (1.0 + values.max()), rel=ROUNDING)
        assert exact.bound_ <= bound


@pytest.mark.parametrize("criterion", ["least_squares", "lebesgue"])
def test_pulls_against_noise_are_in_proportion_and_keep_predictions_still(criterion):
    X = actions(10, 40, 3)
    learner = GOptLeastSquares(eps=0.2, sigma=0.5, delta=0.1, criterion=criterion, random_state=0).fit(X)
    W = prediction_weights(X, learner.design_, criterion=criterion)
    spread = 0.5 * np.sqrt((W**2 / learner.pulls_).sum(axis=1))
    assert np.all(2 * 40 * np.exp(-(0.2**2) / (2 * spread**2)) <= 0.1 * (1 + ROUNDING))  # two tails of 40 predictions
    if criterion == "least_squares":
        least = design_pulls(sigma=0.5, variance=learner.design_.g, n_actions=40, delta=0.1, error=0.2)
        assert least <= learner.pulls_.sum() <= least + learner.planned_.size
    finish(learner, X[:, 0])
    assert learner.n_queries_ == learner.pulls_.sum()
    assert learner.guarantee_.kind == "with probability 0.9"
    assert learner.bound_ == pytest.approx(0.2 * largest_difference(W, learner.planned_)[2] + 0.4, rel=1e-6)
    before = learner.recommend()
    learner.tell(np.repeat(learner.planned_, 50), np.full(50 * learner.planned_.size, 9.0))  # pulls that nobody planned
    assert learner.recommend() == before


def test_nothing_is_promised_too_early_or_without_eps():
    X = actions(11, 50, 4)
    learner = GOptLeastSquares(eps=0.1, budget=3, random_state=0).fit(X)
    asked = learner.ask(10)
    assert asked.size == 3
    learner.tell(asked, X[asked, 0])
    assert learner.done_
    assert "too few answers" in learner.guarantee_.reason
    assert learner.recommend() == asked[np.argmax(X[asked, 0])]
    assert "eps" in finish(GOptLeastSquares(random_state=0).fit(X), X[:, 0]).guarantee_.reason
    with pytest.raises(ValueError, match=r"check_best=True with sigma=0\.5"):
        GOptLeastSquares(sigma=0.5, check_best=True).fit(X)
    with pytest.raises(ValueError, match="tol"):
        GOptLeastSquares(tol=0.0).fit(X)
    with pytest.raises(ValueError, match="criterion"):
        GOptLeastSquares(criterion="ridge").fit(X)
