"""Runs stop when told and lose no answer, simulations do not depend on threads, and chances are those of trying every needle."""

from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import clone

from algos.misspecified_bandits import (
    AdaptiveAdversary,
    ExhaustiveSearch,
    HullEnumeration,
    LinearBanditEnv,
    OptimisticElimination,
    RandomSearch,
    run,
    simulate,
    transcript_success,
)
from algos.misspecified_bandits.bounds import needle_success_curve
from algos.misspecified_bandits.instances import make_identical_features, make_jl_needle, make_rs_needle

X = np.random.default_rng(0).standard_normal((12, 3))
MEAN = X @ [0.5, 0.0, -0.5]


def same(first, second):
    fields = ("queries", "rewards", "steps", "recommended", "suboptimality")
    return first.stopped == second.stopped and all(np.array_equal(getattr(first, name), getattr(second, name)) for name in fields)


def test_a_trace_holds_what_happened():
    env = LinearBanditEnv(X, MEAN)
    trace = run(env, ExhaustiveSearch(s=2), budget=None)
    assert trace.queries.tolist() == list(range(12))
    np.testing.assert_array_equal(trace.rewards, MEAN)
    np.testing.assert_array_equal(trace.suboptimality, MEAN.max() - np.maximum.accumulate(MEAN))
    assert trace.steps.tolist() == list(range(1, 13))
    assert (trace.stopped, trace.final, trace.n_pulls, trace.n_distinct) == ("done", 0.0, env.n_pulls, env.n_distinct)


def test_budget_batches_looks_and_conditions():
    def env():
        return LinearBanditEnv(X, MEAN)

    trace = run(env(), ExhaustiveSearch(s=2), budget=7, batch=3, look_every=2)
    assert (trace.n_pulls, trace.stopped, trace.steps.tolist()) == (7, "budget", [6, 7])
    trace = run(env(), ExhaustiveSearch(s=2, budget=5), budget=7, batch=4)
    assert (trace.n_pulls, trace.stopped, trace.steps.tolist()) == (5, "done", [4, 5])
    trace = run(env(), ExhaustiveSearch(s=2), budget=None, stop_when=lambda learner: learner.n_queries_ == 4)
    assert (trace.n_pulls, trace.stopped) == (4, "stop_when")
    noisy = run(LinearBanditEnv(X, MEAN, sigma=0.1, random_state=0), RandomSearch(sigma=0.1, eps=0.2, random_state=0), budget=45, batch=8)
    assert (noisy.n_pulls, noisy.stopped) == (45, "budget")


def test_regret_is_what_the_environment_counts():
    env = LinearBanditEnv(X, MEAN, sigma=0.1, random_state=0)
    trace = run(env, RandomSearch(sigma=0.1, eps=0.2, random_state=0), budget=31, batch=4)
    regret = trace.regret(env.mean)
    assert regret.shape == (31,)
    assert regret[-1] == pytest.approx(env.regret())
    np.testing.assert_allclose(np.diff(regret), [env.suboptimality(a) for a in trace.queries[1:]], atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"), [({"budget": 0}, "budget=0"), ({"batch": 0}, "batch=0"), ({"look_every": 0}, "look_every")]
)
def test_numbers_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        run(LinearBanditEnv(X, MEAN), ExhaustiveSearch(s=2), **({"budget": 3} | options))
    with pytest.raises(ValueError, match="first=4"):
        simulate(lambda rng: LinearBanditEnv(X, MEAN), ExhaustiveSearch(s=2), 3, budget=2, first=4)


class Interrupted(LinearBanditEnv):
    """Breaks down at one of its pulls."""

    at = 4

    def pull(self, actions):
        if self.n_pulls == self.at:
            self.at = -1
            raise KeyboardInterrupt
        return super().pull(actions)


@pytest.mark.parametrize("learner", [RandomSearch(random_state=1), HullEnumeration(s=2), OptimisticElimination(eps=0.2)])
def test_an_interrupt_loses_no_answer(learner):
    whole = run(LinearBanditEnv(X, MEAN), clone(learner), budget=9)
    env, broken = Interrupted(X, MEAN), clone(learner)
    if whole.n_pulls > Interrupted.at:
        with pytest.raises(KeyboardInterrupt):
            run(env, broken, budget=9)
        assert broken.n_queries_ == 4
    rest = run(env, broken, budget=9, resume=whole.n_pulls > Interrupted.at)
    np.testing.assert_array_equal(rest.queries, whole.queries)
    assert rest.recommended[-1] == whole.recommended[-1]
    assert rest.steps[-1] == whole.steps[-1]


def noisy_env(rng):
    return LinearBanditEnv(rng.standard_normal((15, 3)), rng.standard_normal(15), sigma=0.5, random_state=rng)


def test_simulations_do_not_depend_on_threads_or_on_where_they_begin():
    learner = RandomSearch(sigma=0.5, eps=1.0)
    options = {"budget": 40, "random_state": 7, "batch": 5}
    plain = simulate(noisy_env, learner, 12, **options)
    for n_jobs in (1, 2, 3):
        assert all(map(same, simulate(noisy_env, learner, 12, n_jobs=n_jobs, **options), plain))
    seen = []
    rest = simulate(noisy_env, learner, 12, first=9, on_trial=lambda i, trace: seen.append(i), n_jobs=2, **options)
    assert seen == [9, 10, 11]
    assert len(rest) == 3
    assert all(map(same, rest, plain[9:]))
    assert not same(plain[0], plain[1])
    assert learner.random_state is None
    assert not hasattr(learner, "n_actions_")


FAMILIES = [make_rs_needle(3, 5, 1), make_rs_needle(2, 7, 0), make_jl_needle(20, 12, random_state=0), make_identical_features(9, d=3)]


@pytest.mark.parametrize("instance", FAMILIES, ids=lambda instance: instance.name)
@pytest.mark.parametrize(
    "learner", [ExhaustiveSearch(s=1), RandomSearch(s=1, random_state=3), HullEnumeration(s=1), OptimisticElimination(s=1, eps=0.4)]
)
@pytest.mark.parametrize("budget", [1, 4, 8])
def test_chances_are_those_of_trying_every_needle(instance, learner, budget):
    transcript = transcript_success(learner, instance, budget=budget)
    won = 0
    for needle in range(instance.n_actions):
        moved = instance.with_needle(needle)
        won += run(moved.env(), clone(learner), budget=budget).final < moved.gap
    assert transcript.success == Fraction(won, instance.n_actions)
    assert transcript.success <= transcript.bound
    assert float(transcript.bound) == needle_success_curve(q=transcript.n_queries, N=instance.n_actions)


def test_a_learner_that_recommends_what_it_has_seen_falls_short_by_its_guess():
    instance = make_rs_needle(5, 7, 1)
    transcript = transcript_success(ExhaustiveSearch(s=1), instance, budget=10)
    assert transcript.success == Fraction(10, 49)
    assert transcript.bound == Fraction(11, 49)


class Guess(RandomSearch):
    """Recommends an action that it has not seen, unless it has seen the needle: as good as anything can be."""

    def _choose(self):
        best = super()._choose()
        values = self.history_.values
        if values.size and values.max() > values.min():
            return best
        unseen = set(range(self.n_actions_)) - set(self.history_.questions.tolist())
        return min(unseen, default=best)


def test_the_bound_is_attained_exactly():
    instance = make_rs_needle(5, 7, 1)
    for budget in (2, 9, 48, 49):
        transcript = transcript_success(Guess(random_state=0), instance, budget=budget)
        assert transcript.success == transcript.bound == min(Fraction(budget + 1, 49), Fraction(1))


@pytest.mark.parametrize("learner", [RandomSearch(random_state=0), HullEnumeration(s=2), ExhaustiveSearch(s=1)])
def test_oracle_and_adversary_serve_as_environments(learner):
    instance = make_rs_needle(3, 5, 1)
    trace = run(instance.oracle(), clone(learner), budget=instance.n_actions - 2)
    assert trace.final == instance.gap
    opponent = AdaptiveAdversary(X, [0.5, 0.0, -0.5], 0.25)
    if isinstance(learner, HullEnumeration):
        assert run(opponent, clone(learner), budget=None).final <= 0.5 + 1e-12
