r"""The smallest number of mistakes of any homogeneous halfspace, exactly, for up to three columns.

The mistakes of w change only where w is orthogonal to some row. In the plane these breakpoints are sorted by angle and swept; in space the
same is done in the plane orthogonal to each row, since every cell of the arrangement touches one of these planes. Rows that are parallel,
opposite, or lie in one plane make breakpoints coincide: exactly there the prediction of several rows is sign(0) = +1 at once, which can be
better than on both sides. Floats that are too close to tell apart are compared as the integers that they are.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import canonical_array
from algos.testable_halfspaces._arguments import checked_labels, read_only
from algos.testable_halfspaces._exact_lines import IntArray, Lines, Sweep, Vector, exact_lines, exact_order, sweep
from algos.testable_halfspaces._kernels import half_circle_keys, sweep_half_circle

__all__ = ["ExactError", "exact_halfspace_error"]

FloatArray = npt.NDArray[np.float64]

_KEY_GAP = 2.0**-48
"""Keys of the half circle have an error of at most 2**-50, so keys further apart than this are certainly in the right order."""

_PLANE_GAP = 2.0**-44
"""The same for keys in the plane orthogonal to a row, whose coordinates are sums of three products, per unit of projected length."""


@dataclass(frozen=True, eq=False)
class ExactError:
    """The best homogeneous halfspace of a data set.

    Attributes
    ----------
    n_mistakes : int
        Fewest rows that any halfspace sign(<w, x>), sign(0) = +1, w not zero, gets wrong. Exact.
    n_rows : int
        Rows.
    w : ndarray of shape (d,)
        A direction that attains it, of any length; up to rounding where the best directions form a very thin cone or a single ray.

    Examples
    --------
    >>> ExactError(3, 60, np.array([1.0, 0.0])).error
    0.05
    """

    n_mistakes: int
    n_rows: int
    w: FloatArray

    @property
    def error(self) -> float:
        """Smallest error rate on the rows."""
        return self.n_mistakes / self.n_rows


def exact_halfspace_error(X: Any, y: npt.ArrayLike) -> ExactError:
    r"""Return :math:`\min_{w\ne0}\#\{i:\operatorname{sign}\langle w,x_i\rangle\ne y_i\}` with sign(0) = +1, exactly.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows, d at most 3.
    y : array-like of shape (n,)
        Labels -1 and +1.

    Returns
    -------
    ExactError

    Raises
    ------
    ValueError
        More than three columns, other labels, NaN or infinite entries.

    Notes
    -----
    d = 2: O(n log n), about the time of sorting n numbers. When breakpoints coincide (duplicates, lattices) they are sorted again in
    integer arithmetic, which takes some ten microseconds for each distinct row. d = 3: O(n^2 log n), a second for a thousand rows.

    Examples
    --------
    >>> from algos.testable_halfspaces.exact_oracles import exact_halfspace_error
    >>> X = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    >>> exact_halfspace_error(X, [1, 1, 1, -1]).n_mistakes  # w = (0, 1) puts the first two rows on the boundary, predicted +1
    0
    """
    rows = np.ascontiguousarray(canonical_array(X), dtype=np.float64)
    n, d = rows.shape
    if d > 3:
        raise ValueError(f"X has {d} columns; the exact search is for at most 3: use a planted direction as an upper bound instead")
    labels = checked_labels(y, n)
    if d == 1:
        return _on_the_line(rows, labels)
    if d == 2:
        return _by_keys(rows, labels) or _in_the_plane(exact_lines(rows, labels), n)
    return _in_space(exact_lines(rows, labels), n)


def _on_the_line(rows: FloatArray, labels: FloatArray) -> ExactError:
    mistakes = [int(np.count_nonzero((sign * rows[:, 0] >= 0.0) != (labels > 0.0))) for sign in (1.0, -1.0)]
    return ExactError(min(mistakes), labels.size, np.array([1.0 if mistakes[0] <= mistakes[1] else -1.0]))


# --- two columns ---------------------------------------------------------------------------------------------------------------------


def _by_keys(rows: FloatArray, labels: FloatArray) -> ExactError | None:
    """Sweep the half circle by one sort of floats; None when two breakpoints are too close to tell apart."""
    keys = np.empty(labels.size)
    used, wrong, lost = half_circle_keys(read_only(rows), read_only(labels), keys)
    keys = keys[:used]
    keys.sort()
    fewest, at_fewest, most, at_most, close = sweep_half_circle(keys, wrong, _KEY_GAP)
    if close:
        return None
    opposite = used - most < fewest  # the opposite direction has the other prediction on every row that is not zero
    w = _arc_direction(keys, at_most if opposite else at_fewest)
    return ExactError(lost + (used - most if opposite else fewest), labels.size, -w if opposite else w)


def _arc_direction(keys: FloatArray, place: int) -> FloatArray:
    """Return the middle of the arc before sorted key number `place`."""
    if keys.size == 0:
        return np.array([1.0, 0.0])
    left = keys[place - 1] if place > 0 else keys[-1] - 2.0
    right = keys[place] if place < keys.size else keys[0] + 2.0
    middle = 0.5 * (left + right)
    sign = -1.0 if middle < 1.0 or middle >= 3.0 else 1.0
    share = 2.0 - (middle + 2.0 if middle < 1.0 else middle - 2.0 if middle >= 3.0 else middle)
    return sign * np.array([share, 1.0 - abs(share)])


def _cross(p: Vector, q: Vector) -> int:
    return p[0] * q[1] - p[1] * q[0]


def _in_the_plane(lines: Lines, n: int) -> ExactError:
    """Sweep the half circle in integer arithmetic."""
    if not lines.vectors:
        return ExactError(lines.lost, n, np.array([1.0, 0.0]))
    kept = [vector[0] > 0 or (vector[0] == 0 and vector[1] < 0) for vector in lines.vectors]
    breakpoints = [(-v[1], v[0]) if keep else (v[1], -v[0]) for v, keep in zip(lines.vectors, kept, strict=True)]
    order, ends = exact_order(breakpoints, _cross)
    found = sweep(*_costs(lines, np.array(kept), order), ends)
    if found.point is not None and found.point < found.arc:
        return ExactError(lines.lost + found.point, n, _signed(breakpoints[order[found.point_place]], found.point_opposite))
    left = breakpoints[order[found.arc_place - 1]]
    right = breakpoints[order[found.arc_place % len(order)]]
    before_first, after_last = found.arc_place == 0, found.arc_place == len(order)
    middle = (-1.0 if before_first else 1.0) * _unit(left) + (-1.0 if after_last else 1.0) * _unit(right)
    if not np.any(middle):  # one line only: the arc is a half circle
        middle = np.array([-_unit(left)[1], _unit(left)[0]]) * (-1.0 if before_first else 1.0)
    return ExactError(lines.lost + found.arc, n, -middle if found.arc_opposite else middle)


def _costs(lines: Lines, kept: npt.NDArray[np.bool_], order: list[int]) -> tuple[IntArray, IntArray, IntArray]:
    """Mistakes before, after and at each breakpoint: a line whose breakpoint is its vector turned left is above before it."""
    before, after = np.where(kept, lines.above, lines.below), np.where(kept, lines.below, lines.above)
    return before[order], after[order], lines.on[order]


def _unit(vector: Vector) -> FloatArray:
    """Return an integer vector of any size as a float vector of length one."""
    largest = max(abs(value) for value in vector)
    scaled = np.array([value / largest for value in vector])  # Python divides integers of any size correctly rounded
    return np.asarray(scaled / np.linalg.norm(scaled), dtype=np.float64)


def _signed(vector: Vector, opposite: bool) -> FloatArray:
    """Return an integer vector as floats without rounding where that is possible."""
    largest = max(abs(value) for value in vector)
    floats = np.array([float(value) for value in vector]) if largest < 2**1023 else _unit(vector)
    return -floats if opposite else floats


# --- three columns -------------------------------------------------------------------------------------------------------------------


def _in_space(lines: Lines, n: int) -> ExactError:
    """Sweep the circle of directions orthogonal to each line, with the line itself on its better side."""
    count = len(lines.vectors)
    if not count:
        return ExactError(lines.lost, n, np.array([1.0, 0.0, 0.0]))
    units = np.array([_unit(vector) for vector in lines.vectors])
    best: tuple[int, FloatArray] | None = None
    for i in range(count):
        others = np.flatnonzero(np.arange(count) != i)
        sides = (int(lines.above[i]), 1.0), (int(lines.below[i]), -1.0), (int(lines.on[i]), 0.0)
        side = min(sides, key=lambda side: side[0])  # an open side among equals
        order, kept, ends = _float_circle(units, i, others) or _exact_circle(lines, i, others)
        found = sweep(*_costs(_subset(lines, others), kept, order), ends)
        on_circle = int(lines.on[i])
        if best is None or found.arc + side[0] < best[0]:
            best = found.arc + side[0], _arc_in_space(lines, units, i, others[order], kept[order], found, side[1])
        if found.point is not None and found.point + on_circle < best[0]:
            p = _cross3(lines.vectors[i], lines.vectors[others[order[found.point_place]]])
            best = found.point + on_circle, _signed(p, found.point_opposite != (not kept[order[found.point_place]]))
    assert best is not None
    return ExactError(lines.lost + best[0], n, best[1])


def _subset(lines: Lines, chosen: npt.NDArray[np.intp]) -> Lines:
    return Lines((), lines.above[chosen], lines.below[chosen], lines.on[chosen], 0)


def _float_circle(
    units: FloatArray, i: int, others: npt.NDArray[np.intp]
) -> tuple[list[int], npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None:
    """Order the breakpoints ``units[i] x units[j]`` in the plane orthogonal to line i; None when two are too close to tell apart."""
    across = units[others] - np.outer(units[others] @ units[i], units[i])
    length = np.linalg.norm(across, axis=1)
    if others.size == 0 or np.min(length) < 1e-6:
        return None
    first, second = _plane_basis(units[i])
    p, q = -(across @ second), across @ first  # the projected line, turned left
    kept = (q > 0.0) | ((q == 0.0) & (p > 0.0))
    p, q = np.where(kept, p, -p), np.where(kept, q, -q)
    keys = 2.0 - p / (np.abs(p) + q)
    order = np.argsort(keys)
    gaps = np.diff(keys[order], append=keys[order[0]] + 2.0)
    if np.min(gaps) <= _PLANE_GAP / np.min(length):
        return None
    return order.tolist(), kept, np.ones(others.size, dtype=np.bool_)


def _plane_basis(normal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two unit vectors that make a right-handed basis with `normal` as the third."""
    axis = np.eye(3)[int(np.argmin(np.abs(normal)))]
    first = np.cross(normal, axis)
    first /= np.linalg.norm(first)
    return first, np.cross(normal, first)


def _exact_circle(lines: Lines, i: int, others: npt.NDArray[np.intp]) -> tuple[list[int], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Order the breakpoints in integer arithmetic: for p = x_i x x_j and q = x_i x x_k the turn has the sign of det(x_i, p, q)."""
    normal = lines.vectors[i]
    if others.size == 0:
        return [], np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.bool_)
    breakpoints = [_cross3(normal, lines.vectors[j]) for j in others]
    reference = breakpoints[0]

    def turn(p: Vector, q: Vector) -> int:
        return _dot(normal, _cross3(p, q))

    def ahead(p: Vector) -> bool:
        side = turn(reference, p)
        return side > 0 or (side == 0 and _dot(reference, p) > 0)

    kept = [ahead(p) for p in breakpoints]
    order, ends = exact_order([p if keep else (-p[0], -p[1], -p[2]) for p, keep in zip(breakpoints, kept, strict=True)], turn)
    return order, np.array(kept), ends


def _cross3(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _dot(a: Vector, b: Vector) -> int:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _arc_in_space(
    lines: Lines, units: FloatArray, i: int, others: npt.NDArray[np.intp], kept: npt.NDArray[np.bool_], found: Sweep, side: float
) -> FloatArray:
    """Return a direction inside an arc of the circle orthogonal to line i, tilted to the side that was chosen for the line itself."""
    if others.size == 0:
        return side * units[i] if side else _plane_basis(units[i])[0]

    def breakpoint_at(place: int) -> FloatArray:
        return _unit(_cross3(lines.vectors[i], lines.vectors[others[place]])) * (1.0 if kept[place] else -1.0)

    before_first, after_last = found.arc_place == 0, found.arc_place == others.size
    left = breakpoint_at(found.arc_place - 1) * (-1.0 if before_first else 1.0)
    right = breakpoint_at(found.arc_place % others.size) * (-1.0 if after_last else 1.0)
    middle = left + right
    if np.linalg.norm(middle) < 1e-9:  # one breakpoint only: the arc is a half circle
        middle = np.cross(units[i], left)
    middle = (-middle if found.arc_opposite else middle) / np.linalg.norm(middle)
    slack = np.abs(units[others] @ middle) / np.maximum(np.abs(units[others] @ units[i]), 1e-300)
    return np.asarray(middle + side * 0.5 * min(1.0, float(np.min(slack))) * units[i], dtype=np.float64)
