"""Phased elimination keeps what it must keep, drops what it may drop, and promises no more than holds."""

import numpy as np
import pytest

from algos.misspecified_bandits import LinearBanditEnv, PhasedElimination, run
from algos.misspecified_bandits.bounds import elimination_width, misspecification_regret, phase_pulls, regret_rate

ROUNDING = 1e-9


def actions(n, d, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def answer_all(learner, mean, batch=50, rng=None, limit=100_000):
    while not learner.done_ and learner.n_queries_ < limit:
        asked = learner.ask(batch)
        noise = 0.0 if rng is None else learner.sigma * rng.standard_normal(asked.size)
        learner.tell(asked, mean[asked] + noise)


def test_an_exact_linear_model_is_solved_by_one_design():
    X = actions(300, 5)
    mean = X @ np.array([0.5, -0.2, 0.1, 0.7, 0.3])
    learner = PhasedElimination(eps=0.0).fit(X)
    answer_all(learner, mean)
    assert learner.recommend() == int(np.argmax(mean))
    assert learner.bound_ == 0.0
    assert learner.n_distinct_ < 60
    assert learner.n_queries_ == learner.n_distinct_


def test_first_phase_is_least_squares_on_its_own_pulls_with_the_announced_numbers():
    X = actions(40, 3)
    rng = np.random.default_rng(1)
    mean = X[:, 0] * 0.9
    learner = PhasedElimination(sigma=0.6, delta=0.1, random_state=3).fit(X)
    need = learner.ask(10**6)
    pulled, counts = np.unique(need, return_counts=True)
    # whatever the design is, its scaled pulls must determine every estimate to variance (1/2)^2 ... of phase 0: 1 / (2 ln(2A 2/delta))
    V = (X[pulled] * counts[:, None]).T @ X[pulled]
    variances = 0.36 * np.einsum("ij,ji->i", X, np.linalg.solve(V, X.T))
    assert variances.max() <= 1.0 / (2.0 * np.log(2.0 * 40 * 2.0 / 0.1)) * (1.0 + ROUNDING)
    assert counts.sum() <= phase_pulls(g=2.0 * 3, sigma=0.6, phase=0, n_active=40, delta=0.1) + pulled.size
    rewards = mean[need] + 0.6 * rng.standard_normal(need.size)
    learner.tell(need, rewards)
    assert learner.phase_ == 1
    theta = np.linalg.lstsq(X[need], rewards, rcond=None)[0]
    estimates = X @ theta
    assert learner.recommend() == int(np.argmax(estimates))
    assert learner.active_.tolist() == np.flatnonzero(estimates >= estimates.max() - 2.0).tolist()


@pytest.mark.parametrize("widen", [False, True])
def test_the_best_action_stays_where_it_is_promised_and_bounds_hold(widen):
    rng = np.random.default_rng(4)
    X = actions(60, 3)
    eps = 0.1 if widen else 0.0
    for seed in range(15):
        theta = rng.standard_normal(3)
        theta /= np.linalg.norm(theta)
        mean = X @ theta + eps * np.where(rng.random(60) < 0.5, 1.0, -1.0)
        learner = PhasedElimination(eps=eps, sigma=0.3, widen=widen, random_state=seed).fit(X)
        answer_all(learner, mean, rng=rng, limit=4000)
        assert int(np.argmax(mean)) in learner.active_
        assert mean.max() - mean[learner.recommend()] <= learner.bound_


def test_a_width_without_the_action_s_own_error_loses_the_best_action():
    # actions on a line; only the long one is pulled. The best action -.99 is promised to stay; 2 eps sqrt(g) alone would drop it.
    X, eps = np.array([[-1.0], [0.99], [-0.99]]), 0.1
    mean = np.array([-eps / 0.99 - eps, -1e-6, 1e-6])  # theta = eps / .99, errors -eps, -eps - 1e-6 + 1e-6, eps + 1e-6
    theta = np.array([(eps - 1e-6) / 0.99])
    assert np.abs(mean - X @ theta).max() <= eps + 1e-5
    learner = PhasedElimination(s=1, eps=eps + 1e-5, widen=True).fit(X)
    answer_all(learner, mean)
    assert 2 in learner.active_
    estimates = -X[:, 0] * mean[0]
    far = elimination_width(phase=40, eps=eps, g=1.0) - 2.0 * eps  # the narrower width, late enough
    assert estimates[2] < estimates.max() - far


def regret(T, eps):
    X = actions(100, 4)
    theta = np.array([0.8, -0.6, 0.0, 0.0])
    linear = X @ theta
    mean = linear + np.where(linear >= np.quantile(linear, 0.9), -eps, eps)
    env = LinearBanditEnv(X, mean, sigma=0.3, theta=theta, random_state=1)
    trace = run(env, PhasedElimination(sigma=0.3, random_state=0), budget=T, batch=500, look_every=10**6)
    return env.regret() + (T - trace.n_pulls) * trace.final


def test_regret_without_knowing_the_error_grows_like_the_root_of_time_and_the_error_adds_its_share():
    short, long = regret(2_500, 0.0), regret(40_000, 0.0)
    assert long <= 16.0**0.75 * short  # sixteen times the time: 4 times the regret at best, 16 times if nothing is learnt
    assert long <= 4.0 * regret_rate(T=40_000, d=4, K=100, eps=0.0)
    assert regret(40_000, 0.1) - long <= misspecification_regret(T=40_000, d=4, eps=0.1)


def test_answers_from_elsewhere_are_not_asked_for_again():
    X = actions(50, 3)
    mean = X[:, 1]
    learner = PhasedElimination(sigma=0.4, random_state=0).fit(X)
    wanted = learner.ask(10**6)
    fresh = PhasedElimination(sigma=0.4, random_state=0).fit(X)
    told = np.repeat(np.arange(50), 3)
    fresh.tell(told, mean[told])
    left = fresh.ask(10**6)
    for action in range(50):
        needed = int((wanted == action).sum())
        assert int((left == action).sum()) == max(needed - 3, 0)


def test_one_action_and_equal_actions():
    single = PhasedElimination(eps=0.1, widen=True).fit([[1.0, 2.0]])
    assert single.done_
    assert single.recommend() == 0
    equal = PhasedElimination(eps=0.1).fit(np.ones((5, 2)))
    answer_all(equal, np.full(5, 0.5))
    assert equal.done_
    assert equal.active_.size == 5
    zero = PhasedElimination(eps=0.1).fit(np.zeros((3, 2)))
    answer_all(zero, np.array([0.05, 0.1, 0.0]))
    assert zero.done_


def test_float32_and_wide_tables_work():
    X = actions(20, 30).astype(np.float32)
    learner = PhasedElimination(eps=0.1, widen=True).fit(X)
    mean = np.linspace(0.0, 1.0, 20)
    answer_all(learner, mean)
    assert mean.max() - mean[learner.recommend()] <= learner.bound_


def test_a_wider_width_needs_the_error():
    with pytest.raises(ValueError, match="widen=True"):
        PhasedElimination(widen=True).fit(np.eye(3))


def test_without_a_premise_there_is_no_promise():
    X = actions(10, 2)
    for learner, reason in [
        (PhasedElimination(), "eps=None"),
        (PhasedElimination(eps=0.1), "widen=False"),
        (PhasedElimination(eps=0.1, sigma=0.5, widen=True), "not finished"),
    ]:
        assert np.isnan(learner.fit(X).bound_)
        assert reason in learner.guarantee_.reason
