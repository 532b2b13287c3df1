"""What claims about needles share: the instances, learners that search them, and mistakes of worlds, oracles and learners."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import numpy as np

from algos.misspecified_bandits import (
    ExactVersionSpace,
    ExhaustiveSearch,
    HullEnumeration,
    LinearBanditEnv,
    MisspecifiedLinUCB,
    NeedleInstance,
    OptimisticElimination,
    RandomSearch,
    ResistingOracle,
    SparseCoverEnumeration,
    SparseRecoveryBandit,
    make_identical_features,
    make_jl_needle,
    make_rs_needle,
    run,
)
from algos.misspecified_bandits._learner import BanditLearner
from algos.misspecified_bandits.environments import ResistedSearch
from proofs_check import FloatBudget, Subject

Make = Callable[..., BanditLearner]
Search = Callable[..., float]
World = Callable[[NeedleInstance, int, float, np.random.Generator], LinearBanditEnv]

RATIONAL = FloatBudget(k=1, scale=5e-324, why="counts over the number of actions, as fractions: nothing rounds")


@lru_cache(maxsize=64)
def needles(world: str, *sizes: int) -> NeedleInstance:
    """Make the instance with needle 0: polynomials (s, p, t), equal features (K,), or random signs (K, d, seed)."""
    if world == "polynomials":
        return make_rs_needle(*sizes, needle=0)
    if world == "equal":
        return make_identical_features(sizes[0], eps=0.25, needle=0)
    assert world == "signs"
    return make_jl_needle(sizes[0], sizes[1], needle=0, random_state=sizes[2])


class UnseenGuess(RandomSearch):
    """Queries at random without repeats, and when it has seen no needle, guesses the first action that it has not seen."""

    def _choose(self) -> int:
        actions, rewards = self.history_
        unseen = np.setdiff1d(np.arange(self.n_actions_), actions)
        if unseen.size and (not rewards.size or rewards.max() == rewards.min()):
            return int(unseen[0])
        return super()._choose()


def _recovery(**options: Any) -> BanditLearner:
    return SparseRecoveryBandit(on_coherent="ignore", **options)


MAKERS: Mapping[str, Make] = {
    "in_order": ExhaustiveSearch,
    "at_random": RandomSearch,
    "hulls": HullEnumeration,
    "covers": SparseCoverEnumeration,
    "elimination": OptimisticElimination,
    "version_space": ExactVersionSpace,
    "linucb": MisspecifiedLinUCB,
    "exact_linucb": partial(MisspecifiedLinUCB, misspec="exact"),
    "recovery": _recovery,
    "unseen_guess": UnseenGuess,
}
"""Learners, made from s, eps, sigma and random_state."""


def subjects(*names: str, cheater: bool = False, **more: Any) -> tuple[Subject, ...]:
    """List learners as subjects; the cheater reads the mean rewards of its world."""
    honest = [Subject(name, {"learner": MAKERS[name], "search": searched, **more}) for name in names]
    if cheater:
        honest.append(Subject("reads_the_world", {"learner": RandomSearch, "search": peeking(searched), **more}, "refuted"))
    return tuple(honest)


def made(make: Make, instance: NeedleInstance, *, seed: int, sigma: float = 0.0) -> BanditLearner:
    """Make a learner that is told the sparsity, the error, the size and the noise of the instance."""
    return make(s=min(instance.s, 2), eps=instance.eps, R=max(instance.scale, 1.0), sigma=sigma, random_state=seed)


def searched(env: Any, learner: BanditLearner, q: int) -> float:
    """Return the suboptimality after at most q pulls."""
    return run(env, learner, budget=q, look_every=2**40).final


def hidden(instance: NeedleInstance, needle: int, sigma: float, rng: np.random.Generator) -> LinearBanditEnv:
    """Make the world with a given needle."""
    return instance.with_needle(needle).env(sigma=sigma, random_state=rng)


def exact_success(impl: Any, instance: NeedleInstance, q: int, seed: int) -> Fraction:
    """Return the share of all needles that are found with q queries."""
    rng = np.random.default_rng(0)
    n = instance.n_actions
    finals = [impl.search(impl.world(instance, i, 0.0, rng), made(impl.learner, instance, seed=seed), q) for i in range(n)]
    return Fraction(sum(final < instance.gap for final in finals), n)


# --- mistakes -------------------------------------------------------------------------------------------------------------------------


def peeking(search: Search) -> Search:
    """Read the best action from the world."""
    return lambda env, learner, q: float(env.suboptimality(int(np.argmax(env.mean))))


def thrice_the_budget(search: Search) -> Search:
    """Let every query be three."""
    return lambda env, learner, q: search(env, learner, 3 * q)


def half_the_budget(search: Search) -> Search:
    """Stop too early."""
    return lambda env, learner, q: search(env, learner, max(1, q // 2))


def linear(world: World) -> World:
    """Give the neighbours of the needle, whose features overlap with its own, a larger reward: no error evens rewards out."""

    def wrong(instance: NeedleInstance, needle: int, sigma: float, rng: np.random.Generator) -> LinearBanditEnv:
        theta = instance.scale * np.asarray(instance.X[needle])
        return LinearBanditEnv(instance.X, instance.X @ theta, sigma=sigma, theta=theta, random_state=rng)

    return wrong


def early(world: World) -> World:
    """Hide the needle among the first actions."""
    return lambda instance, needle, sigma, rng: world(instance, needle % 5, sigma, rng)


def querying_twice(make: Make) -> Make:
    """Make learners that ask for everything twice."""

    def wrong(**options: Any) -> BanditLearner:
        class Twice(UnseenGuess):
            _takes_single_pulls = True

            def _propose(self, n: int) -> "list[int]":
                return [int(self._planned[min(len(self._log) // 2, self._planned.size - 1)])]

        return Twice(**options)

    return wrong


def guessing_what_it_saw(make: Make) -> Make:
    """Make learners that waste the guess on an action they have seen."""
    return RandomSearch


class FixedOracle(ResistingOracle):
    """Has put the needle at the first action before play."""

    def finish(self, recommended: int) -> ResistedSearch:
        """Decide for the first action, whatever was asked."""
        mean = np.full(self.n_actions, self.v)
        mean[0] += self.gap
        return ResistedSearch(0, mean, float(mean.max() - mean[recommended]))


class DeafOracle(ResistingOracle):
    """Puts the needle at the first action that was not queried, be it the recommended one."""

    def finish(self, recommended: int) -> ResistedSearch:
        """Decide without the recommendation."""
        needle = int(np.argmin(self.counts > 0))
        mean = np.full(self.n_actions, self.v)
        mean[needle] += self.gap
        return ResistedSearch(needle, mean, float(mean.max() - mean[recommended]))


class TalkativeOracle(ResistingOracle):
    """Answers a little more for later actions."""

    def pull(self, actions: Any) -> Any:
        """Return answers that differ."""
        return super().pull(actions) + 0.125 * np.atleast_1d(np.asarray(actions)) / self.n_actions


def oracle_of(kind: type[ResistingOracle]) -> Callable[[Any], Any]:
    """Make oracles of another kind."""
    return lambda original: lambda instance: kind(instance.X, instance.background, gap=instance.gap)


def without_centre(make: Callable[..., NeedleInstance]) -> Callable[..., NeedleInstance]:
    """Give all other actions the reward 0 in place of the middle of the linear parts."""

    def wrong(*sizes: int) -> NeedleInstance:
        right = make(*sizes)
        return replace(right, background=0.0, peak=right.scale)

    return wrong


def flat_peak(make: Callable[..., NeedleInstance]) -> Callable[..., NeedleInstance]:
    """Forget the error at the needle itself."""

    def wrong(*sizes: int) -> NeedleInstance:
        right = make(*sizes)
        return replace(right, peak=right.scale)

    return wrong


def another_degree(make: Callable[..., NeedleInstance]) -> Callable[..., NeedleInstance]:
    """Take polynomials of one degree more and rewards for the right degree."""

    def wrong(*sizes: int) -> NeedleInstance:
        world, s, p, t = sizes
        right = make(*sizes)
        return replace(make(world, s, p, min(t + 1, s - 1)), background=right.background, peak=right.peak, scale=right.scale, eps=right.eps)

    return wrong
