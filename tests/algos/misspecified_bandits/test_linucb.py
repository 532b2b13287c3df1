"""LinUCB equals its definition: ridge regression from scratch, indices by plain numpy, and promises that keep."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import Ridge

from algos.misspecified_bandits import LinearBanditEnv, MisspecifiedLinUCB, run
from algos.misspecified_bandits._linucb_kernels import LANES, tiles_of
from algos.misspecified_bandits.bounds import confidence_radius, elimination_width, linucb_regret, phase_pulls, regret_rate

DRIFT = 1e-8  # relative drift that the design of the updates promises after 10,000 pulls
ROUNDING = 1e-10  # of a short run, where both sides solve well-conditioned systems


def actions(n, d, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def from_scratch(X, history, ridge):
    """Predictions, widths and the rows of V^-1 X' of ridge regression, by the normal equations."""
    pulled, rewards = history
    V = ridge * np.eye(X.shape[1]) + X[pulled].T @ X[pulled]
    inverse_rows = np.linalg.solve(V, X.T)
    return X @ np.linalg.solve(V, X[pulled].T @ rewards), np.sqrt(np.einsum("ij,ji->i", X, inverse_rows)), inverse_rows


def exactly(X, history, ridge):
    """Predictions, widths and ln(det V / ridge^d) of ridge regression in rational numbers; only the last steps are rounded."""
    n, d = X.shape
    rows = [[Fraction(x) for x in row] for row in X.tolist()]
    counts, sums = [0] * n, [Fraction(0)] * n
    for action, reward in zip(history.questions.tolist(), history.values.tolist(), strict=True):
        counts[action] += 1
        sums[action] += Fraction(reward)
    table = []
    for i in range(d):
        line = [sum((c * x[i] * x[j] for c, x in zip(counts, rows, strict=True) if c), Fraction(ridge * (i == j))) for j in range(d)]
        table.append([*line, *(Fraction(i == j) for j in range(d))])
    log_det = 0.0
    for j in range(d):
        log_det += math.log(table[j][j] / Fraction(ridge))
        table[j] = [x / table[j][j] for x in table[j]]
        for i in range(d):
            if i != j:
                table[i] = [x - table[i][j] * y for x, y in zip(table[i], table[j], strict=True)]
    inverse = [line[d:] for line in table]
    right = [sum((t * x[i] for t, x in zip(sums, rows, strict=True)), Fraction(0)) for i in range(d)]
    coef = [sum(x * y for x, y in zip(line, right, strict=True)) for line in inverse]
    f = [float(sum(x * y for x, y in zip(row, coef, strict=True))) for row in rows]
    squares = [sum(row[i] * inverse[i][j] * row[j] for i in range(d) for j in range(d)) for row in rows]
    return np.array(f), np.sqrt([float(x) for x in squares]), log_det


def twin_index(X, history, *, ridge, sigma, delta, R, eps, misspec):
    pulled = history.questions
    f, w, inverse_rows = from_scratch(X, history, ridge)
    V = ridge * np.eye(X.shape[1]) + X[pulled].T @ X[pulled]
    log_det = np.linalg.slogdet(V)[1] - X.shape[1] * np.log(ridge)
    beta = sigma * np.sqrt(2.0 * np.log(1.0 / delta) + log_det) + np.sqrt(ridge) * R
    wrong = {
        "none": 0.0,
        "cauchy": eps * np.sqrt(len(pulled)) * w,
        "exact": eps * np.abs(X[pulled] @ inverse_rows).sum(axis=0) if len(pulled) else 0.0,
    }
    return f + beta * w + wrong[misspec]


@pytest.mark.parametrize("misspec", ["none", "cauchy", "exact"])
@pytest.mark.parametrize("kind", ["float64", "float32", "sparse"])
@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_every_question_has_the_largest_index_of_the_definition(misspec, kind, sigma):
    X = actions(150, 5)
    if kind == "sparse":
        X = sp.random_array((150, 5), density=0.4, rng=np.random.default_rng(1), format="csr")
    X = X.astype(np.float32 if kind == "float32" else np.float64)
    dense = (X.toarray() if kind == "sparse" else X).astype(float)
    rng = np.random.default_rng(2)
    mean = dense[:, 0] * 0.8 + rng.uniform(-0.1, 0.1, 150)
    learner = MisspecifiedLinUCB(eps=0.1, sigma=sigma, misspec=misspec, ridge=0.3, delta=0.1, R=1.5, refresh=17).fit(X)
    for _ in range(60):
        index = twin_index(dense, learner.history_, ridge=0.3, sigma=sigma, delta=0.1, R=1.5, eps=0.1, misspec=misspec)
        if sigma == 0.0:
            index[learner.history_.questions] = -np.inf
        (asked,) = learner.ask()
        assert index[asked] >= index.max() - ROUNDING * 10.0
        learner.tell(asked, mean[asked] + sigma * rng.standard_normal())
    f, w, _ = from_scratch(dense, learner.history_, 0.3)
    np.testing.assert_allclose(learner.predictions_, f, atol=ROUNDING)
    np.testing.assert_allclose(learner.widths_, w, atol=ROUNDING)
    np.testing.assert_allclose(dense @ learner.coef_, f, atol=ROUNDING)


@pytest.mark.parametrize(("ridge", "refresh"), [(1.0, 5000), (1e-6, 2000), (1e-6, 5000), (1e-6, 10**6), (1.0, 10**6)])
@pytest.mark.parametrize("pulls", ["one", "few", "many"])
def test_ten_thousand_pulls_do_not_drift(ridge, refresh, pulls):
    X = actions(40, 5, seed=3)
    rng = np.random.default_rng(4)
    pulled = {"one": np.zeros(10_000, int), "few": rng.integers(0, 3, 10_000), "many": rng.integers(0, 40, 10_000)}[pulls]
    rewards = X[pulled, 0] + 0.1 * rng.standard_normal(10_000)
    learner = MisspecifiedLinUCB(sigma=0.1, misspec="none", ridge=ridge, refresh=refresh).fit(X).tell(pulled, rewards)
    f, w, log_det = exactly(X, learner.history_, ridge)
    assert np.max(np.abs(learner.widths_ / w - 1.0)) < DRIFT
    assert np.max(np.abs(learner.predictions_ - f)) < DRIFT * np.max(np.abs(f))
    assert learner.log_det_ == pytest.approx(log_det, rel=DRIFT)


def test_coefficients_are_those_of_ridge_regression():
    X = actions(40, 4)
    rng = np.random.default_rng(0)
    pulled, rewards = rng.integers(0, 40, 200), rng.standard_normal(200)
    learner = MisspecifiedLinUCB(sigma=1.0, misspec="none", ridge=2.5).fit(X).tell(pulled, rewards)
    peer = Ridge(alpha=2.5, fit_intercept=False).fit(X[pulled], rewards)
    np.testing.assert_allclose(learner.coef_, peer.coef_, atol=ROUNDING)
    np.testing.assert_allclose(learner.predictions_, peer.predict(X), atol=ROUNDING)
    assert learner.recommend() == int(np.argmax(peer.predict(X)))


@pytest.mark.parametrize("n", [1, LANES - 1, LANES, LANES + 1, 2 * LANES])
def test_tiles_hold_the_actions_whatever_their_number(n):
    X = actions(n, 3)
    tiles = tiles_of(X)
    flat = tiles.transpose(0, 2, 1).reshape(-1, 3)
    assert np.array_equal(flat[:n], X)
    assert not flat[n:].any()
    learner = MisspecifiedLinUCB(eps=0.1).fit(X)
    while not learner.done_:
        asked = learner.ask()
        learner.tell(asked, X[asked, 0])
    assert sorted(learner.history_.questions.tolist()) == list(range(n))
    assert learner.bound_ == 0.0
    assert learner.recommend() == int(np.argmax(X[:, 0]))


def test_equal_indices_give_the_lowest_action():
    X = np.tile(np.eye(2), (100, 1))
    learner = MisspecifiedLinUCB(eps=0.1).fit(X)
    asked = []
    for _ in range(4):
        asked += learner.ask().tolist()
        learner.tell(asked[-1:], [0.0])
    assert asked == [0, 1, 2, 3]
    assert MisspecifiedLinUCB(eps=0.1, sigma=1.0).fit(X).ask(5).tolist() == [0, 1, 2, 3, 4]


def test_an_exact_answer_counts_once():
    X = actions(30, 3)
    once, twice = (MisspecifiedLinUCB(eps=0.1).fit(X) for _ in range(2))
    once.tell([4, 7], [0.5, 0.25])
    twice.tell([4, 4, 7, 4], [0.5, 0.5, 0.25, 0.5])
    assert np.array_equal(once.predictions_, twice.predictions_)
    assert np.array_equal(once.widths_, twice.widths_)


@pytest.mark.parametrize("misspec", ["none", "cauchy", "exact"])
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_the_promise_keeps_at_all_times_against_signs_that_hurt(misspec, sigma):
    rng = np.random.default_rng(8)
    X = actions(80, 3)
    broken = 0
    for _ in range(10):
        theta = rng.standard_normal(3)
        theta /= np.linalg.norm(theta)
        mean = X @ theta + 0.2 * np.where(rng.random(80) < 0.5, 1.0, -1.0)
        learner = MisspecifiedLinUCB(eps=0.2, sigma=sigma, misspec=misspec, ridge=0.1).fit(X)
        missed = False
        for _ in range(40):
            asked = learner.ask()
            learner.tell(asked, mean[asked] + sigma * rng.standard_normal(asked.size))
            missed |= mean.max() - mean[learner.recommend()] > learner.bound_ + ROUNDING
        broken += missed
    assert broken == 0  # with noise a failure has probability 0.05 at most per run; this seed has none


class Slow(LinearBanditEnv):
    """The same rewards for a learner that is asked pull by pull."""


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("look_every", [1, 50, 1000])
def test_the_compiled_loop_of_a_run_plays_as_questions_and_answers_do(sigma, dtype, look_every):
    X = actions(130, 4).astype(dtype)
    mean = X[:, 0] * 0.7
    traces, environments = [], []
    for kind in (LinearBanditEnv, Slow):
        env = kind(X, mean, sigma=sigma, random_state=7)
        learner = MisspecifiedLinUCB(eps=0.1, sigma=sigma, ridge=1e-4, refresh=40)
        first = run(env, learner, budget=101, look_every=look_every)
        traces.append((first, run(env, learner, budget=400, look_every=look_every, resume=True)))
        environments.append(env)
    for fast, slow in zip(*traces, strict=True):
        for name in ("queries", "rewards", "steps", "recommended", "suboptimality"):
            assert np.array_equal(getattr(fast, name), getattr(slow, name))
        assert fast.stopped == slow.stopped
    assert np.array_equal(environments[0].counts, environments[1].counts)
    assert traces[0][1].n_pulls == (400 if sigma else 130)


def test_without_the_error_of_the_model_there_is_no_promise():
    learner = MisspecifiedLinUCB(misspec="none").fit(actions(5, 2))
    assert np.isnan(learner.bound_)
    assert "how wrong" in learner.guarantee_.reason


def test_regret_is_below_its_bound_and_far_below_blind_play():
    X = actions(200, 4)
    rng = np.random.default_rng(0)
    theta = np.array([0.8, 0.6, 0.0, 0.0])
    mean = X @ theta + rng.uniform(-0.05, 0.05, 200)
    env = LinearBanditEnv(X, mean, sigma=0.2, theta=theta, random_state=1)
    run(env, MisspecifiedLinUCB(eps=0.05, sigma=0.2), budget=2000, look_every=2000)
    assert env.regret() <= linucb_regret(T=2000, d=4, eps=0.05, sigma=0.2)
    assert env.regret() <= 0.3 * 2000 * (mean.max() - mean.mean())


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1e8, 1e150])
def test_scaling_actions_and_ridge_together_changes_no_question(scale):
    X = actions(50, 3)
    base = MisspecifiedLinUCB(eps=0.1, sigma=0.5, misspec="none").fit(X)
    scaled = MisspecifiedLinUCB(eps=0.1, sigma=0.5, misspec="none", ridge=scale**2, R=1.0 / scale).fit(X * scale)
    for _ in range(20):
        asked = base.ask()
        assert scaled.ask().tolist() == asked.tolist()
        base.tell(asked, X[asked, 0])
        scaled.tell(asked, X[asked, 0])


def test_constant_zero_and_duplicated_actions_and_more_columns_than_rows_work():
    X = np.zeros((4, 7))
    X[1:3, 0] = 1.0
    learner = MisspecifiedLinUCB(eps=0.1).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while not learner.done_:
            asked = learner.ask()
            learner.tell(asked, [0.1 * asked[0]])
    assert learner.recommend() == 3


def test_a_run_does_not_depend_on_when_it_was_refreshed():
    X = actions(60, 4)
    rng = np.random.default_rng(3)
    noise = 0.3 * rng.standard_normal(200)
    runs = []
    for refresh in (1, 7, 5000):
        learner = MisspecifiedLinUCB(eps=0.05, sigma=0.3, misspec="exact", refresh=refresh).fit(X)
        for t in range(200):
            asked = learner.ask()
            learner.tell(asked, X[asked, 1] + noise[t])
        runs.append(learner.history_.questions.tolist())
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "eps=None with misspec='cauchy'"),
        ({"misspec": "exact"}, "eps=None with misspec='exact'"),
        ({"eps": 0.1, "misspec": "exakt"}, "misspec='exakt'"),
        ({"eps": 0.1, "ridge": 0.0}, "ridge=0.0"),
        ({"eps": 0.1, "refresh": 0}, "refresh=0"),
        ({"eps": 0.1, "R": np.inf}, "R=inf"),
    ],
)
def test_parameters_outside_their_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        clone(MisspecifiedLinUCB(**parameters)).fit(np.eye(3))


def test_formulas_agree_with_their_words():
    # the radius without noise is the bias of the ridge; with noise and no pull the tail of one normal variable is far below it
    assert confidence_radius(sigma=0.0, log_det=5.0, ridge=0.25, R=2.0, delta=0.1) == 1.0
    assert confidence_radius(sigma=1.0, log_det=0.0, ridge=1.0, R=0.0, delta=np.exp(-2.0)) == pytest.approx(2.0)
    # failure probabilities of all phases and actions: 2 A exp(-N 4^-l / (2 g sigma^2)) summed
    total = sum(
        2 * 50 * np.exp(-phase_pulls(g=6.0, sigma=0.7, phase=k, n_active=50, delta=0.1) / 4.0**k / (2 * 6.0 * 0.49)) for k in range(12)
    )
    assert total == pytest.approx(0.1 * (1.0 - 1.0 / 13.0))
    assert elimination_width(phase=3) == 0.25
    assert regret_rate(T=1, d=3, K=1, eps=1.0) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: confidence_radius(sigma=-1.0, log_det=0.0, ridge=1.0, R=1.0, delta=0.1),
        lambda: confidence_radius(sigma=1.0, log_det=0.0, ridge=1.0, R=1.0, delta=1.0),
        lambda: linucb_regret(T=0, d=1, eps=0.0),
        lambda: regret_rate(T=1, d=0, K=1, eps=0.0),
        lambda: phase_pulls(g=0.0, sigma=1.0, phase=0, n_active=1, delta=0.1),
        lambda: elimination_width(phase=-1),
    ],
)
def test_formulas_refuse_numbers_outside_their_range(call):
    with pytest.raises(ValueError, match="must"):
        call()
