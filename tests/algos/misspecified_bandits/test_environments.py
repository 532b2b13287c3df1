"""Environments count and answer as said, refuse what is no action, and opponents keep to what they have answered."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from algos.misspecified_bandits import (
    AdaptiveAdversary,
    ExhaustiveSearch,
    HullEnumeration,
    LinearBanditEnv,
    RandomSearch,
    ResistingOracle,
)

ROUNDING = 1e-12  # sums of a few numbers of order one

X = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, 0.0]])
THETA = np.array([0.5, -0.25])
MEAN = X @ THETA + np.array([0.1, -0.1, 0.0, 0.05])


def play(learner, env):
    learner.fit(env.X)
    while not learner.done_:
        actions = learner.ask()
        learner.tell(actions, env.pull(actions))
    return learner


def test_pulls_distinct_actions_and_regret_are_counted():
    env = LinearBanditEnv(X, MEAN, theta=THETA)
    np.testing.assert_array_equal(env.pull([3, 1, 1]), MEAN[[3, 1, 1]])
    assert env.pull(0).tolist() == [MEAN[0]]
    assert (env.n_pulls, env.n_distinct, env.counts.tolist()) == (4, 3, [1, 2, 0, 1])
    assert env.best == 0
    assert env.regret() == pytest.approx(4 * MEAN[0] - MEAN[[3, 1, 1, 0]].sum(), abs=ROUNDING)
    assert env.suboptimality(1) == MEAN[0] - MEAN[1]
    assert env.eps == pytest.approx(0.1, abs=ROUNDING)
    assert np.isnan(LinearBanditEnv(X, MEAN).eps)


def test_noise_has_its_size_and_does_not_depend_on_how_pulls_are_grouped():
    def env():
        return LinearBanditEnv(X, MEAN, sigma=0.3, random_state=3)

    actions = np.tile(np.arange(4), 500)
    whole = env().pull(actions)
    parts = env()
    np.testing.assert_array_equal(whole, np.concatenate([parts.pull(part) for part in np.array_split(actions, 7)]))
    # 2000 numbers: mean within 5 and variance within 5 standard errors
    noise = (whole - MEAN[actions]) / 0.3
    assert abs(noise.mean()) < 5 / np.sqrt(2000)
    assert abs(noise.var() - 1) < 5 * np.sqrt(2 / 2000)
    middle = env()
    middle.pull(actions[:100])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(middle)).pull(actions[100:]), whole[100:])


def test_sparse_features_give_the_same_linear_part():
    assert LinearBanditEnv(sp.csr_array(X), MEAN, theta=THETA).eps == LinearBanditEnv(X, MEAN, theta=THETA).eps


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": MEAN[:3]}, r"mean has shape \(3,\); X has 4 actions"),
        ({"mean": np.where(np.arange(4) == 2, np.inf, MEAN)}, r"mean\[2\]=inf"),
        ({"theta": [1.0]}, "2 features"),
        ({"sigma": -1.0}, "sigma=-1.0"),
        ({"eps": -1.0}, "eps=-1.0"),
        ({"eps": 0.09}, r"mean\[0\].*more than eps=0.09; raise eps"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        LinearBanditEnv(**({"X": X, "mean": MEAN, "theta": THETA} | change))


@pytest.mark.parametrize("make", [lambda: LinearBanditEnv(X, MEAN), lambda: ResistingOracle(X), lambda: AdaptiveAdversary(X, THETA, 0.1)])
def test_what_is_no_action_is_refused_and_not_counted(make):
    env = make()
    for actions in ([0, 4], [-1], [[0, 1]]):
        with pytest.raises(ValueError, match=r"action|shape"):
            env.pull(actions)
    with pytest.raises(TypeError, match="integers"):
        env.pull([0.0])
    with pytest.raises(ValueError, match="action=4"):
        env.suboptimality(4)
    assert env.n_pulls == 0
    assert env.pull([]).tolist() == []


@pytest.mark.parametrize("q", range(7))
def test_every_learner_fails_against_the_oracle_that_puts_the_needle_last(q):
    actions = np.eye(6)
    for seed in range(4):
        oracle = ResistingOracle(actions, 0.25, gap=2.0)
        learner = RandomSearch(s=1, budget=max(q, 1), random_state=seed).fit(actions)
        asked = learner.ask(q) if q else np.empty(0, dtype=int)
        learner.tell(asked, oracle.pull(asked))
        needle, mean = oracle.finish(learner.recommend())
        np.testing.assert_array_equal(mean[asked], 0.25)  # the answers were true
        unseen = set(range(6)) - set(asked.tolist()) - {learner.recommend()}
        assert needle == min(unseen, default=None)
        assert oracle.suboptimality(learner.recommend()) == (2.0 if unseen else 0.0)
        assert bool(unseen) == (q <= 6 - 1)  # the recommended action was seen, but for q = 0
    guess = ResistingOracle(actions)
    guess.pull(np.arange(5))
    assert guess.finish(5).needle is None  # K - 1 queries and the right guess


def test_the_adversary_costs_an_enumeration_exactly_twice_the_misspecification():
    # all actions look alike: the learner queries one of them, sees -eps, and any other has +eps
    opponent = AdaptiveAdversary(np.tile([[0.6, 0.8]], (5, 1)), [0.5, 0.0], 0.125)
    learner = play(HullEnumeration(s=2), opponent)
    assert opponent.n_distinct == learner.n_queries_ == 1
    assert opponent.suboptimality(learner.recommend()) == 2 * 0.125
    full = AdaptiveAdversary(X, THETA, 0.1)
    learner = play(ExhaustiveSearch(s=1), full)
    assert full.suboptimality(learner.recommend()) == 0.0


def test_rewards_of_an_adversary_are_chosen_once_and_from_its_options():
    seen = []

    def choose(action, options):
        seen.append(action)
        return options[len(seen) % 3]

    opponent = AdaptiveAdversary(X, THETA, 0.1, choose=choose)
    first = opponent.pull([2, 0, 1])
    assert opponent.pull([1, 0, 2]).tolist() == first[::-1].tolist()
    assert seen == [2, 0, 1]
    np.testing.assert_allclose(first, (X @ THETA)[[2, 0, 1]] + [0.0, 0.1, -0.1], atol=ROUNDING)
    assert np.abs(opponent.mean - X @ THETA).max() <= 0.1 + ROUNDING
    with pytest.raises(ValueError, match="one of"):
        AdaptiveAdversary(X, THETA, 0.1, choose=lambda action, options: 9.0).pull(0)
