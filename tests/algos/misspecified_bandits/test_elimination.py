"""Optimistic elimination and the exact version space against brute force, and against answers that are chosen while the learner looks."""

import itertools

import numpy as np
import pytest

from algos.misspecified_bandits import ExactVersionSpace, OptimisticElimination, certify_history
from algos.misspecified_bandits._elimination_kernels import best_promises, best_promises_of_all, first_filter, later_filter
from algos.misspecified_bandits.bounds import elimination_bound, elimination_candidates
from algos.misspecified_bandits.elimination import promised
from algos.misspecified_bandits.nets import ball_net

ROUNDING = 1e-9  # tolerances of the learner are 1e-12 wider than their formula


def unit_rows(seed, K, d, kind="gauss"):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((K, d)) if kind == "gauss" else rng.choice([-1.0, 1.0], (K, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def model(seed, d, s, length=1.0):
    rng = np.random.default_rng([7, seed])
    theta = np.zeros(d)
    values = rng.standard_normal(s)
    theta[rng.choice(d, s, replace=False)] = length * values / np.linalg.norm(values)
    return theta


def play(learner, X, reward):
    learner.fit(X)
    while not learner.done_:
        for action in learner.ask():
            learner.tell(action, reward(int(action)))
    return learner


class StallingRewards:
    """Rewards within eps of a model, chosen at the first query so that the search goes on and most candidates stay alive.

    Actions that were never queried get +eps when the search is judged. It reads the learner's candidates, which no environment may do.
    """

    def __init__(self, X, theta, eps):
        self.linear, self.eps, self.X, self.given = X @ theta, eps, X, {}
        self.learner = None

    def __call__(self, action):
        if action not in self.given:
            options = [self.linear[action] + nu for nu in (-self.eps, 0.0, self.eps)]
            self.given[action] = max(options, key=lambda y: self._worth(action, y))
        return self.given[action]

    def _worth(self, action, y):
        learner = self.learner
        predictions = np.einsum("ps,is->ip", learner._net, self.X[action][learner._supports])
        alive = np.zeros(predictions.shape, dtype=bool)
        if learner._alive is None:
            alive[:] = True
        else:
            alive[learner._alive] = True
        alive &= np.abs(predictions - y) <= learner.tolerance_
        promises = np.where(alive, learner._promises, -np.inf)
        best = max([y, *learner._means.values()])
        return best < promises.max() - learner.tolerance_, int(alive.sum())

    def judge(self, learner):
        mean = self.linear + self.eps
        for action, value in self.given.items():
            mean[action] = value
        return mean.max() - mean[learner.recommend()]


@pytest.mark.parametrize(
    ("s", "kind", "eps"), [(1, "gauss", 0.1), (2, "gauss", 0.1), (2, "sign", 0.15), (2, "gauss", 0.04), (3, "gauss", 0.2)]
)
def test_answers_chosen_while_it_looks_do_not_break_the_bound(s, kind, eps):
    worst = 0.0
    for seed in range(6):
        X, theta = unit_rows(seed, 80, 5, kind), model(seed, 5, s)
        rewards = StallingRewards(X, theta, eps)
        learner = OptimisticElimination(s=s, eps=eps)
        rewards.learner = learner
        play(learner, X, rewards)
        assert not learner.model_refuted_
        assert learner.n_queries_ <= min(80, learner.n_candidates_)
        assert rewards.judge(learner) <= learner.bound_ + ROUNDING
        assert learner.bound_ <= 4.0 * eps + ROUNDING  # eta = eps / B
        worst = max(worst, rewards.judge(learner) / eps)
    assert worst > 0.5  # the adversary does something


def test_a_tolerance_without_the_net_would_drop_the_truth():
    # the model lies eta away from the net, and misspecification pushes the answer further: eps alone is too tight
    X, eta, eps = np.array([[1.0], [0.5]]), 0.25, 0.1
    learner = OptimisticElimination(s=1, eps=eps, eta=eta).fit(X)
    theta = float(learner._net[:, 0].max()) + eta
    assert theta == pytest.approx(1.0)
    learner.tell(0, theta + eps)
    assert not learner.model_refuted_
    assert np.abs(learner._net[:, 0] - (theta + eps)).min() > eps


def test_candidates_promises_and_filters_are_those_of_brute_force():
    X = unit_rows(0, 70, 4)
    X[7] = X[3]  # of equals the lowest action counts
    supports, net = np.array(list(itertools.combinations(range(4), 2))), ball_net(2, 0.2)
    predictions = np.einsum("ps,ais->ipa", net, X[:, supports])
    promises, actions = promised(X, supports, net)
    np.testing.assert_allclose(promises, predictions.max(axis=2), atol=1e-14)
    found = np.take_along_axis(predictions, actions[:, :, None].astype(np.int64), axis=2)[:, :, 0]
    np.testing.assert_allclose(found, promises, atol=1e-14)
    assert 7 not in actions
    np.testing.assert_array_equal(
        promised(X.astype(np.float32).astype(np.float64), supports, net)[1], promised(X.astype(np.float32), supports, net)[1]
    )
    N = promises.size
    support, point = np.empty(N, dtype=np.int32), np.empty(N, dtype=np.int32)
    features = np.ascontiguousarray(X[5][supports])
    n = first_filter(np.ascontiguousarray(net.T), features, 0.3, 0.21, support, point)
    kept = np.abs(predictions[:, :, 5] - 0.3) <= 0.21
    np.testing.assert_array_equal(np.array([support[:n], point[:n]]), np.nonzero(kept))
    n = later_filter(net, np.ascontiguousarray(X[9][supports]), -0.1, 0.21, support, point, n)
    kept &= np.abs(predictions[:, :, 9] + 0.1) <= 0.21
    np.testing.assert_array_equal(np.array([support[:n], point[:n]]), np.nonzero(kept))
    for alive in (np.ones_like(kept), kept):
        best = np.full(70, -np.inf)
        if alive is kept:
            best_promises(promises, actions, support, point, n, best)
        else:
            best_promises_of_all(promises, actions, best)
        expected = np.full(70, -np.inf)
        np.maximum.at(expected, actions[alive], promises[alive])
        np.testing.assert_array_equal(best, expected)


def test_the_number_of_candidates_and_the_bound_are_their_formulas():
    X = unit_rows(1, 50, 6)
    learner = OptimisticElimination(s=2, eps=0.1, eta=0.2).fit(X)
    assert learner.n_candidates_ == 15 * len(ball_net(2, 0.2)) == elimination_candidates(d=6, s=2, eta=0.2)
    length = np.sqrt(np.sort(X**2, axis=1)[:, -2:].sum(axis=1)).max()
    assert learner.tolerance_ == pytest.approx(0.1 + 0.2 * length)
    assert elimination_bound(eps=0.1, eta=0.2, length=length) == pytest.approx(2.0 * learner.tolerance_)
    assert OptimisticElimination(s=2, eps=0.1).fit(X).eta_ == pytest.approx(0.1 / length)


def test_too_many_candidates_are_refused_with_their_number_and_the_option():
    learner = OptimisticElimination(s=3, eps=0.01)
    with pytest.raises(ValueError, match=r"make \d{8,} candidates, more than max_candidates=20000000; raise eta"):
        learner.fit(unit_rows(0, 20, 20))
    with pytest.raises(ValueError, match="more than max_candidates=10"):
        OptimisticElimination(eps=0.1, max_candidates=10).fit(unit_rows(0, 20, 4))
    with pytest.raises(ValueError, match="190 supports are more than max_supports=100"):
        ExactVersionSpace(eps=0.1, max_supports=100).fit(unit_rows(0, 20, 20))


@pytest.mark.parametrize("learner", [OptimisticElimination(), ExactVersionSpace()])
def test_eps_is_required(learner):
    with pytest.raises(ValueError, match="eps=None"):
        learner.fit(unit_rows(0, 20, 4))
    with pytest.raises(ValueError, match="look at certificate_curve"):
        OptimisticElimination(eps=0.1).fit(unit_rows(0, 20, 4)).set_params(eps=None).certificate()


def test_without_misspecification_a_radius_is_needed_and_then_the_net_is_the_only_error():
    X, theta = unit_rows(2, 60, 4), model(2, 4, 2)
    with pytest.raises(ValueError, match="eps=0 leaves no default"):
        OptimisticElimination(eps=0.0).fit(X)
    learner = play(OptimisticElimination(eps=0.0, eta=0.05), X, lambda a: float(X[a] @ theta))
    assert (X @ theta).max() - (X @ theta)[learner.recommend()] <= 0.1 + ROUNDING
    exact = play(ExactVersionSpace(eps=0.0), X, lambda a: float(X[a] @ theta))
    assert (X @ theta).max() - (X @ theta)[exact.recommend()] <= ROUNDING
    assert exact.n_queries_ < 15


@pytest.mark.parametrize("learner", [OptimisticElimination(eps=0.02, eta=0.05), ExactVersionSpace(eps=0.02)])
def test_rewards_of_no_model_are_refuted_and_promise_nothing(learner):
    X = unit_rows(3, 60, 4)
    learner.fit(X)
    assert not learner.guarantee_.holds
    learner.tell(np.arange(30), np.random.default_rng(0).uniform(-1.0, 1.0, 30))
    assert learner.model_refuted_
    assert learner.done_
    assert not learner.guarantee_.holds
    assert learner.certificate().refuted
    assert learner.ask().size == 0
    assert learner.recommend() == int(np.argmax(learner.history_.values))


@pytest.mark.parametrize("s", [1, 2, 3])
def test_the_version_space_ends_at_its_target_and_is_right(s):
    for seed in range(4):
        X, theta, eps = unit_rows(seed, 80, 5), model(seed, 5, s), 0.1
        mean = X @ theta + np.random.default_rng(seed).choice([-eps, eps], 80)
        for target in (None, 0.0, 1.0):
            learner = play(ExactVersionSpace(s=s, eps=eps, target=target), X, lambda a, mean=mean: float(mean[a]))
            assert mean.max() - mean[learner.recommend()] <= learner.bound_ + ROUNDING
            assert learner.bound_ <= (2 * eps if target is None else target) + ROUNDING
            assert not learner.model_refuted_
            certificate = learner.certificate()
            assert certificate.value == pytest.approx(learner.bound_, abs=ROUNDING)
            assert certificate.n_alive == learner.n_alive_


def test_the_certificate_of_a_learner_is_that_of_its_history_under_its_own_or_another_model():
    X, theta = unit_rows(4, 60, 5), model(4, 5, 2)
    learner = play(OptimisticElimination(eps=0.1), X, lambda a: float(X[a] @ theta))
    actions, rewards = learner.history_
    for changed in ({}, {"s": 3}, {"eps": 0.3}, {"R": 2.0}):
        expected = certify_history(X, actions, rewards, **({"s": 2, "eps": 0.1, "R": 1.0} | changed))
        assert learner.certificate(**changed).to_json() == expected.to_json()


def test_certificates_of_noisy_runs_and_their_bounds_hold():
    failures = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, theta, eps = unit_rows(seed, 60, 4), model(seed, 4, 2), 0.1
        mean = X @ theta + rng.choice([-eps, eps], 60)
        learner = OptimisticElimination(eps=eps, sigma=0.1, delta=0.1)
        play(learner, X, lambda a, mean=mean, rng=rng: mean[a] + 0.1 * rng.standard_normal())
        failures += mean.max() - mean[learner.recommend()] > learner.bound_
        assert learner.n_queries_ == learner.n_repeats_ * learner.n_distinct_
    assert failures <= 2  # each run may fail with probability 0.1, and a union bound over all actions leaves far less


def test_actions_that_are_zero_or_equal_and_models_on_all_columns_work():
    zeros = play(OptimisticElimination(eps=0.1), np.zeros((5, 3)), lambda a: 0.05)
    assert zeros.bound_ <= 0.4
    same = play(ExactVersionSpace(s=2, eps=0.1), np.ones((5, 2)) / 2, lambda a: 0.1 * (a == 4))
    assert same.bound_ <= 0.2 + ROUNDING
    X = unit_rows(5, 3, 3)
    full = play(ExactVersionSpace(s=3, eps=0.05), X, lambda a: float(X[a, 0]))
    assert full.done_
