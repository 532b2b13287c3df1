"""Mistakes in nets and in the enumeration of directions."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import SparseCoverEnumeration, ball_net, cover_actions, sphere_net

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Learner = type[SparseCoverEnumeration]


def directions(s: int, eta: float, net: str) -> FloatArray:
    """Return the points of a net."""
    return sphere_net(s, eta) if net == "sphere" else ball_net(s, eta)


# --- learners -------------------------------------------------------------------------------------------------------------------------


def _planned(change: Callable[[Any, IntArray], npt.ArrayLike]) -> Callable[[Learner], Learner]:
    def wrap(original: Learner) -> Learner:
        class Wrong(original):  # type: ignore[misc, valid-type]
            def _listed(self) -> "IntArray":
                return np.unique(np.asarray(change(self, super()._listed()), dtype=np.int64))

        return Wrong

    return wrap


def _extremes(X: FloatArray, s: int, net: FloatArray, *, minima: bool = True, first: bool = False) -> IntArray:
    supports = [tuple(range(s))] if first else list(itertools.combinations(range(X.shape[1]), s))
    found = []
    for support in supports:
        values = X[:, list(support)] @ net.T
        found += [np.argmax(values, axis=0)] + ([np.argmin(values, axis=0)] if minima else [])
    return np.unique(np.concatenate(found)).astype(np.int64)


maxima_only = _planned(lambda learner, plan: _extremes(learner._X, learner.s, sphere_net(learner.s, learner.eta_), minima=False))
one_face = _planned(
    lambda learner, plan: _extremes(learner._X, learner.s, sphere_net(learner.s, learner.eta_)[: learner.n_candidates_ // (3 * learner.s)])
)
first_support = _planned(
    lambda learner, plan: _extremes(learner._X, learner.s, directions(learner.s, learner.eta_, learner.net), first=True)
)


def coarser(factor: float) -> Callable[[Learner], Learner]:
    """Make learners with a net for a larger eta."""
    return _planned(lambda learner, plan: cover_actions(learner._X, learner.s, eta=factor * learner.eta_, net=learner.net))


def recommending_the_worst(original: Learner) -> Learner:
    """Make learners that minimise."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _choose(self) -> int:
            actions, rewards = self.history_
            return int(actions[np.argmin(rewards)])

    return Wrong


# --- nets -----------------------------------------------------------------------------------------------------------------------------


def scaled_eta(factor: float) -> Callable[[Any], Any]:
    """Make nets for another eta."""
    return lambda net: lambda s, eta, *R: net(s, factor * eta, *R)


def rounded_down(net: Any) -> Any:
    """Make nets of the ball with one cell less along an axis."""
    return lambda s, eta, R: net(s, math.sqrt(s) * R / max(1, math.floor(math.sqrt(s) * R / eta)) * (1.0 + 1e-12), R)


def side_for_diagonal(net: Any) -> Any:
    """Make nets of the sphere whose cells have sides of 2 eta."""
    return lambda s, eta: net(s, eta * math.sqrt(max(s - 1, 1)))


def faces_but_one(net: Any) -> Any:
    """Leave out the last face."""

    def wrong(s: int, eta: float) -> FloatArray:
        points = np.asarray(net(s, eta))
        return points[: -(len(points) // s)] if s > 1 else points

    return wrong


def inside_only(net: Any) -> Any:
    """Leave out the midpoints outside the ball."""

    def wrong(s: int, eta: float, R: float) -> FloatArray:
        points = np.asarray(net(s, eta, R))
        return np.asarray(points[np.linalg.norm(points, axis=1) <= R])

    return wrong


def not_normalised(net: Any) -> Any:
    """Return the points of the cube."""

    def wrong(s: int, eta: float) -> FloatArray:
        points = np.asarray(net(s, eta))
        return np.asarray(points / np.max(points, axis=1, keepdims=True))

    return wrong


def both_signs(net: Any) -> Any:
    """Keep both of opposite directions."""
    return lambda s, eta: np.concatenate([net(s, eta), -net(s, eta)])


def with_a_copy(net: Any) -> Any:
    """List the first direction twice."""
    return lambda s, eta: np.concatenate([net(s, eta), net(s, eta)[:1]])


def whole_cube(net: Any) -> Any:
    """Keep all midpoints of the cube."""

    def wrong(s: int, eta: float, R: float) -> FloatArray:
        m = math.ceil(math.sqrt(s) * R / eta)
        return np.array(list(itertools.product(np.arange(1 - m, m, 2) * (R / m), repeat=s)))

    return wrong


# --- sizes ----------------------------------------------------------------------------------------------------------------------------


def one_more_axis(size: Any) -> Any:
    """Count the directions of one more dimension."""
    return lambda **k: size(**{**k, "s": k["s"] + 1})


def one_axis_less(size: Any) -> Any:
    """Count the weights of one dimension less."""
    return lambda **k: size(**{**k, "s": k["s"] - 1})


def unit_length(size: Any) -> Any:
    """Leave the length out."""
    return lambda **k: size(**{**k, "R": 1.0})


def cube_size(size: Any) -> Any:
    """Count all cells of the cube."""
    return lambda *, s, eta, net, R: math.ceil(math.sqrt(s) * R / eta) ** s


# --- extremes -------------------------------------------------------------------------------------------------------------------------


def cover_by(*, minima: bool = True, first: bool = False, skip: bool = False) -> Callable[[Any], Any]:
    """Make lists of actions by brute force with something left out."""

    def wrap(original: Any) -> Any:
        def wrong(X: FloatArray, s: int, *, eta: float, net: str) -> IntArray:
            points = directions(s, eta, net)
            return _extremes(X, s, points[1:] if skip else points, minima=minima, first=first)

        return wrong

    return wrap


def all_actions(original: Any) -> Any:
    """List everything."""
    return lambda X, s, *, eta, net: np.arange(len(X))
