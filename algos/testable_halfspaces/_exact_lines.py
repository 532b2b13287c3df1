"""Rows gathered into lines through the origin, in exact integer arithmetic, and the sweep of a circle past them.

Floats are integers times powers of two, so whether two rows are parallel, or three lie in a plane, has an exact answer. All rows on a line
change sides together: with r a vector along it, a halfspace has ``<w, r>`` positive, negative or zero, and each case costs a known number
of mistakes.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Lines", "Sweep", "exact_lines", "exact_order", "sweep"]

IntArray = npt.NDArray[np.int64]
Vector = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lines:
    """Distinct lines of a table.

    Attributes
    ----------
    vectors : tuple of tuple of int
        A primitive integer vector along each line.
    above, below, on : ndarray of shape (k,), int64
        Mistakes of the rows on each line when ``<w, r>`` is positive, negative, zero (predicted +1).
    lost : int
        Rows of zeros labelled -1, which every halfspace gets wrong.
    """

    vectors: tuple[Vector, ...]
    above: IntArray
    below: IntArray
    on: IntArray
    lost: int


def exact_lines(X: npt.NDArray[np.floating], y: npt.NDArray[np.float64]) -> Lines:
    """Gather the rows of a table into lines."""
    distinct, where = np.unique(X + 0.0, axis=0, return_inverse=True)
    positive = np.bincount(where.ravel()[y > 0.0], minlength=distinct.shape[0])
    negative = np.bincount(where.ravel()[y <= 0.0], minlength=distinct.shape[0])
    found: dict[Vector, list[int]] = {}
    lost = 0
    for row, plus, minus in zip(distinct.tolist(), positive.tolist(), negative.tolist(), strict=True):
        vector = _integers(row)
        if not any(vector):
            lost += minus
            continue
        along = next(value for value in vector if value) > 0
        costs = found.setdefault(vector if along else tuple(-value for value in vector), [0, 0, 0])
        costs[0] += minus if along else plus
        costs[1] += plus if along else minus
        costs[2] += minus
    costs_of_all = np.array(list(found.values()), dtype=np.int64).reshape(len(found), 3)
    return Lines(tuple(found), costs_of_all[:, 0], costs_of_all[:, 1], costs_of_all[:, 2], lost)


def _integers(row: Sequence[float]) -> Vector:
    ratios = [value.as_integer_ratio() for value in row]
    common = max(denominator for _, denominator in ratios)  # powers of two: the largest is a multiple of all
    integers = [numerator * (common // denominator) for numerator, denominator in ratios]
    divisor = math.gcd(*integers) or 1
    return tuple(value // divisor for value in integers)


def exact_order(breakpoints: Sequence[Vector], turn: Callable[[Vector, Vector], int]) -> tuple[list[int], npt.NDArray[np.bool_]]:
    """Sort directions of one half circle by angle; return the order, and for each place whether it ends a group of equal ones.

    ``turn(p, q)`` is positive when q lies counterclockwise of p.
    """

    def compare(i: int, j: int) -> int:
        turned = turn(breakpoints[i], breakpoints[j])
        return (turned < 0) - (turned > 0)

    order = sorted(range(len(breakpoints)), key=functools.cmp_to_key(compare))
    ends = [k + 1 == len(order) or turn(breakpoints[order[k]], breakpoints[order[k + 1]]) != 0 for k in range(len(order))]
    return order, np.array(ends, dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Sweep:
    """Fewest mistakes on a circle of directions.

    Attributes
    ----------
    arc : int
        Fewest mistakes on an open arc between breakpoints.
    arc_place : int
        Number of breakpoints (in sorted order) before that arc.
    arc_opposite : bool
        Whether it lies on the other half circle.
    point : int or None
        Fewest mistakes exactly at a breakpoint; None when there is none.
    point_place, point_opposite :
        The same for the breakpoint: place of the last line of its group.
    """

    arc: int
    arc_place: int
    arc_opposite: bool
    point: int | None
    point_place: int
    point_opposite: bool


def sweep(before: IntArray, after: IntArray, on: IntArray, ends: npt.NDArray[np.bool_]) -> Sweep:
    """Walk a half circle past sorted lines, and the opposite half circle with it, where every line has its other side.

    Parameters
    ----------
    before, after, on : ndarray of shape (k,), int64
        Mistakes of each line before its breakpoint, after it, and at it.
    ends : ndarray of shape (k,), bool
        Whether the next breakpoint is a different direction.
    """
    both = int(before.sum() + after.sum())
    reached = np.concatenate([[0], np.cumsum(after - before)]) + int(before.sum())
    places = np.concatenate([[0], np.flatnonzero(ends) + 1])
    arcs = reached[places]
    near, far = int(np.argmin(arcs)), int(np.argmax(arcs))
    opposite = both - int(arcs[far]) < int(arcs[near])
    arc = both - int(arcs[far]) if opposite else int(arcs[near])
    place = int(places[far if opposite else near])
    if places.size == 1:
        return Sweep(arc, place, opposite, None, 0, False)
    totals = [np.add.reduceat(values, places[:-1]) for values in (before, after, on)]
    others = arcs[:-1] - totals[0]
    here = others + totals[2]
    there = both - totals[0] - totals[1] - others + totals[2]
    near, far = int(np.argmin(here)), int(np.argmin(there))
    opposite_point = int(there[far]) < int(here[near])
    point = min(int(here[near]), int(there[far]))
    return Sweep(arc, place, opposite, point, int(places[(far if opposite_point else near) + 1]) - 1, opposite_point)
