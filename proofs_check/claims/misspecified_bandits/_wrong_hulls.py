"""Mistakes in the enumeration of hulls, as learners with another plan or functions that return other vertices."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import HullEnumeration, hull_actions, hull_vertices

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Change = Callable[[FloatArray, int, IntArray], npt.ArrayLike]  # actions, s and the right plan -> another plan
Vertices = Callable[[FloatArray], IntArray]


def planned(change: Change) -> Callable[[type[HullEnumeration]], type[HullEnumeration]]:
    """Make learners with another plan."""

    def wrap(original: type[HullEnumeration]) -> type[HullEnumeration]:
        class Wrong(original):  # type: ignore[misc, valid-type]
            def _listed(self) -> "IntArray":
                return np.unique(np.asarray(change(self._X, self.s, super()._listed()), dtype=np.int64))

        return Wrong

    return wrap


def recommending_the_worst(original: type[HullEnumeration]) -> type[HullEnumeration]:
    """Make learners that minimise."""

    class Wrong(original):  # type: ignore[misc, valid-type]
        def _choose(self) -> int:
            actions, rewards = self.history_
            return int(actions[np.argmin(rewards)])

    return Wrong


def above_the_ends(vertices: Vertices) -> Vertices:
    """Return the vertices on or above the line between the leftmost and the rightmost point."""

    def wrong(points: FloatArray) -> IntArray:
        if points.shape[1] != 2:
            return vertices(points)
        found = vertices(points)
        x, y = points[found].T
        left, right = np.lexsort((y, x))[[0, -1]]
        above = (x[right] - x[left]) * (y - y[left]) - (y[right] - y[left]) * (x - x[left]) >= 0.0
        upper: IntArray = found[above]
        return upper

    return wrong


def upper_chain(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query the upper half of every hull."""
    half = above_the_ends(hull_vertices)
    return np.concatenate([half(X[:, list(support)]) for support in itertools.combinations(range(X.shape[1]), s)])


def maxima(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query the largest action of every column."""
    return np.asarray(np.argmax(X, axis=0))


def columns(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query the ends of every column."""
    return hull_actions(X, 1)


def pairs(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query the hulls of pairs of columns."""
    return hull_actions(X, 2)


def without_last_column(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Look at the first columns only."""
    return hull_actions(X[:, :-1], s) if s < X.shape[1] else plan


def sixteen_directions(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query the extremes of sixteen directions of every plane."""
    angles = np.arange(16) * (np.pi / 8.0)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    return np.concatenate([np.argmax(X[:, list(pair)] @ directions, axis=0) for pair in itertools.combinations(range(X.shape[1]), 2)])


def joggled(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query the hulls of points that were moved a little."""
    return hull_actions(X + 1e-6 * np.random.default_rng(0).standard_normal(X.shape), s)


def first_half(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query the first half of the plan."""
    return plan[: plan.size // 2]


def everything(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query all actions."""
    return np.arange(len(X))


def ties_kept(X: FloatArray, s: int, plan: IntArray) -> IntArray:
    """Query every action whose projection equals that of a vertex."""
    found = []
    for support in itertools.combinations(range(X.shape[1]), s):
        points = X[:, list(support)]
        found.append(with_copies(hull_vertices)(points))
    return np.concatenate(found)


def with_copies(vertices: Vertices) -> Vertices:
    """Return all copies of vertices."""

    def wrong(points: FloatArray) -> IntArray:
        chosen = {tuple(row) for row in points[vertices(points)].tolist()}
        return np.array([i for i, row in enumerate(points.tolist()) if tuple(row) in chosen], dtype=np.int64)

    return wrong


def last_copies(vertices: Vertices) -> Vertices:
    """Return the last copy of every vertex."""
    return lambda points: np.sort(len(points) - 1 - vertices(points[::-1]))


def joggled_vertices(vertices: Vertices) -> Vertices:
    """Return the vertices that Qhull finds when it moves points at random."""

    def wrong(points: FloatArray) -> IntArray:
        from scipy.spatial import ConvexHull

        _, first = np.unique(points, axis=0, return_index=True)
        return np.sort(first[ConvexHull(points[first], qhull_options="QJ").vertices])

    return wrong


def chain(*, weak: bool) -> Callable[[Vertices], Vertices]:
    """Make a monotone chain with rounded turns that keeps points on edges, if weak."""

    def half(points: FloatArray, order: list[int]) -> list[int]:
        kept: list[int] = []
        for i in order:
            while len(kept) > 1 and _pops(points[kept[-2]], points[kept[-1]], points[i], weak):
                kept.pop()
            kept.append(i)
        return kept

    def wrap(vertices: Vertices) -> Vertices:
        def wrong(points: FloatArray) -> IntArray:
            _, first = np.unique(points, axis=0, return_index=True)
            order = first.tolist()  # in lexicographic order
            return np.unique(half(points, order) + half(points, order[::-1])).astype(np.int64)

        return wrong

    return wrap


def _pops(a: FloatArray, b: FloatArray, c: FloatArray, weak: bool) -> Any:
    turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return turn < 0.0 if weak else turn <= 0.0
