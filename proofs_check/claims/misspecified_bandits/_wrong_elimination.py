"""Mistakes in optimistic elimination and in the number of repeats."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from algos.common.guarantees import Guarantee
from algos.misspecified_bandits import OptimisticElimination
from algos.misspecified_bandits._learner import BanditLearner

Learner = type[OptimisticElimination]
AnyLearner = type[BanditLearner]


def stopping_after_one(original: Learner) -> Learner:
    """End the search with the first answer."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _finished(self) -> bool:
            return bool(self._means)

    return Wrong


def stopping_within(factor: float) -> Callable[[Learner], Learner]:
    """End the search within several tolerances of the largest promise."""

    def wrap(original: Learner) -> Learner:
        class Wrong(original):  # type: ignore[misc, valid-type]
            def _start(self) -> None:
                super()._start()
                self._near_enough = factor * self.tolerance_

        return Wrong

    return wrap


def recommending_the_last(original: Learner) -> Learner:
    """Recommend the last query."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _choose(self) -> int:
            actions, _ = self.history_
            return int(actions[-1]) if actions.size else 0

    return Wrong


def recommending_the_worst(original: Learner) -> Learner:
    """Recommend the action of the smallest answer."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _choose(self) -> int:
            actions, rewards = self.history_
            return int(actions[np.argmin(rewards)]) if actions.size else 0

    return Wrong


def asking_again(original: Learner) -> Learner:
    """Ask for the action of the largest promise, whether it has an answer or not."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _start(self) -> None:
            super()._start()
            self._near_enough = -math.inf

        def _finished(self) -> bool:
            return False

        def _fresh(self, n: int) -> "list[int]":
            return [int(np.argmax(self._promises_left()))]

    return Wrong


def filtering_within(tolerance: Callable[[float, float], float]) -> Callable[[Learner], Learner]:
    """Drop candidates beyond another function of eps and of the error of the net."""

    def wrap(original: Learner) -> Learner:
        class Wrong(original):  # type: ignore[misc, valid-type]
            def _start(self) -> None:
                super()._start()
                self.tolerance_ = tolerance(self.eps, vars(self)["tolerance_"] - self.eps)

        return Wrong

    return wrap


def promising_without_tolerance(original: Learner) -> Learner:
    """Take the largest promise for a bound on rewards."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _promise(self) -> "Guarantee":
            right: Guarantee = super()._promise()
            if math.isnan(right.value):
                return right
            return Guarantee("worst case", max(0.0, right.value - self.tolerance_), right.premises)

    return Wrong


# --- repeats --------------------------------------------------------------------------------------------------------------------------


def with_repeats(change: Callable[[int], int]) -> Callable[[AnyLearner], AnyLearner]:
    """Pull every action another number of times."""

    def wrap(original: AnyLearner) -> AnyLearner:
        class Wrong(original):  # type: ignore[misc, valid-type]
            def _bind(self, X: "Any", key: int) -> "Any":
                super()._bind(X, key)
                self.n_repeats_ = change(vars(self)["n_repeats_"])
                return self

        return Wrong

    return wrap


def best_single_pull(original: AnyLearner) -> AnyLearner:
    """Recommend the action of the largest single answer."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _choose(self) -> int:
            actions, rewards = self.history_
            return int(actions[np.argmax(rewards)]) if actions.size else 0

    return Wrong


def fewer(change: Callable[[int], int]) -> Callable[[Any], Any]:
    """Change the number of repeats."""
    return lambda repeats: lambda **k: max(1, change(repeats(**k)))


def one_query(repeats: Any) -> Any:
    """Leave out the number of actions."""
    return lambda **k: repeats(**{**k, "n_queries": 1})


def root_of_sigma(repeats: Any) -> Any:
    """Use sigma where its square belongs."""
    return lambda **k: repeats(**{**k, "sigma": math.sqrt(k["sigma"])})


def sure_of(delta: float) -> Callable[[Any], Any]:
    """Use a fixed delta."""
    return lambda repeats: lambda **k: repeats(**{**k, "delta": delta})
