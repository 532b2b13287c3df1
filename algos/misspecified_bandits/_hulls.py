"""Vertices of the convex hull of points in any dimension: ends, the planar chain, Qhull, or one linear program per point."""

import itertools
import math

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits._columns import support_columns
from algos.misspecified_bandits._hull_kernels import outside_faces, planar_vertices
from algos.misspecified_bandits._net_kernels import net_extremes

__all__ = ["hull_of_columns", "hull_of_distinct", "hull_of_points"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FLAT = 1e-13  # a spread of this size, relative to the largest, is rounding of the principal axes
_OUTSIDE = 1e-9  # points this deep inside the hull of the extremes, in units of the largest value, are inside in spite of rounding
_SEPARATED = 1e-10  # a smaller distance from the hull of others, in units of the spread, is the accuracy of the linear program
_MANY = 4000  # Qhull itself is faster on fewer points
# 13 directions up to sign: axes, face diagonals and space diagonals of the cube
_CUBE = np.array([v for v in itertools.product((-1.0, 0.0, 1.0), repeat=3) if v > (0.0, 0.0, 0.0)])


def hull_of_points(points: FloatArray) -> IntArray:
    """Return the vertices of the hull of the rows of (n, s), in increasing order; of equal rows the lowest one."""
    n, s = points.shape
    if s == 1:
        return np.unique([int(np.argmax(points[:, 0])), int(np.argmin(points[:, 0]))]).astype(np.int64)
    if s == 2:
        return np.sort(planar_vertices(np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])))
    return hull_of_columns(support_columns(np.ascontiguousarray(points.T), np.arange(s)), n)


def hull_of_columns(columns: FloatArray, n: int) -> IntArray:
    """Return the vertices of the hull of the first n columns of (s, n filled up to whole slices), s >= 3, as `hull_of_points`."""
    candidates = _survivors(columns, n) if columns.shape[0] == 3 and n > _MANY else np.arange(n)
    points = columns[:, candidates].T
    _, first = np.unique(points, axis=0, return_index=True)
    first.sort()
    return np.sort(candidates[first[hull_of_distinct(points[first])]])


def hull_of_distinct(points: FloatArray) -> IntArray:
    """Return the vertices of the hull of distinct rows, at least one.

    Points that lie in an affine subspace up to rounding are turned into it, where the hull is found in fewer dimensions. Otherwise the
    principal axes are scaled to the same spread, which leaves the vertices what they are.
    """
    n, s = points.shape
    if n <= 2:
        return np.arange(n)
    if s <= 2:
        return hull_of_points(points)
    centred = points - points.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    rank = int(np.sum(spread > _FLAT * math.sqrt(n) * spread[0]))
    turned = np.ascontiguousarray(centred @ axes[:rank].T) / (spread[:rank] / math.sqrt(n))
    if rank < 3:
        return hull_of_points(turned)
    if n <= rank + 1:
        return np.arange(n)  # a simplex
    return _qhull(turned) if rank == 3 else _by_linear_programs(turned)


def _survivors(columns: FloatArray, n: int) -> IntArray:
    """Return the points that are not deep inside the hull of 26 extreme ones; all, if those do not span the space."""
    from scipy.spatial import ConvexHull, QhullError

    places, values = np.empty((2, len(_CUBE)), dtype=np.int64), np.empty((2, len(_CUBE)))
    net_extremes(columns, _CUBE, places, values)
    try:
        faces = ConvexHull(columns[:, np.unique(places)].T).equations
    except (QhullError, ValueError):
        return np.arange(n)
    kept = np.empty(columns.shape[1], dtype=np.int64)
    kept = kept[: outside_faces(columns, faces, _OUTSIDE * float(np.abs(values).max()), kept)]
    return kept[kept < n]


def _qhull(points: FloatArray) -> IntArray:
    """Return the vertices by Qhull; all points, if it cannot decide, which is safe: no vertex is missed."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.sort(ConvexHull(points).vertices).astype(np.int64)
    except QhullError:
        return np.arange(points.shape[0])


def _by_linear_programs(points: FloatArray) -> IntArray:
    """Return the vertices found by separating one point after the other from the vertices known so far.

    A point outside the hull of the known vertices has a direction in which it is beyond them; the farthest point in that direction is a
    vertex, and new. So there are as many programs as points and vertices, each with at most as many rows as vertices.
    """
    n, s = points.shape
    known: dict[int, None] = {}
    for axis in range(s):
        for sign in (1.0, -1.0):
            known[_farthest(points, sign * np.eye(s)[axis])] = None
    for i in range(n):
        while i not in known:
            direction = _separating(points[list(known)], points[i])
            if direction is None:
                break
            found = _farthest(points, direction)
            if found in known:  # beyond the accuracy of the program: keep the point itself
                found = i
            known[found] = None
    return np.array(sorted(known), dtype=np.int64)


def _separating(vertices: FloatArray, point: FloatArray) -> FloatArray | None:
    """Return a direction in which the point is beyond all vertices, or None if it lies in their hull."""
    from scipy.optimize import linprog

    s = point.size
    differences = vertices - point
    rows = np.column_stack([differences, np.ones(vertices.shape[0])])
    program = linprog(np.append(np.zeros(s), -1.0), A_ub=rows, b_ub=np.zeros(len(rows)), bounds=[(-1.0, 1.0)] * s + [(0.0, None)])
    if program.x is None or program.fun is None:  # undecided: in the end the point is kept
        away: FloatArray = point - vertices.mean(axis=0)
        return away
    direction: FloatArray = np.array(program.x[:s])
    return direction if program.fun < -_SEPARATED else None


def _farthest(points: FloatArray, direction: FloatArray) -> int:
    """Return the vertex that is farthest in a direction: of several, the last in lexicographic order, which is a vertex as well."""
    values = points @ direction
    ties = np.flatnonzero(values >= values.max() - 1e-13 * (1.0 + np.abs(values).max()))
    return int(ties[np.lexsort(points[ties].T[::-1])[-1]]) if ties.size > 1 else int(ties[0])
