"""Compiled loops for the largest and smallest values of many linear functions over all actions.

Columns are contiguous, and a slice of them serves eight directions before the next slice is read. The running extremes are kept for many
lanes side by side, which the compiler vectorises (it does not vectorise a running maximum in one variable); the places are found afterwards
in the few lanes that hold the extreme.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = ["SLICE", "count_net_extremes", "net_extremes"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LANES = 64
_FOLDS = 4  # values of a lane that are compared before the running extreme is loaded and stored
_TOGETHER = 8  # directions that share a slice of the columns
SLICE = _LANES * _FOLDS
"""Columns come in whole slices: the last action is repeated, which changes no extreme and no lowest place."""


@kernel
def _value(columns: FloatArray, direction: FloatArray, i: int) -> float:
    """Return the value at one action, summed in the same order as over a slice, so that equal values are found again."""
    total = direction[0] * columns[0, i]
    for k in range(1, direction.shape[0]):
        total += direction[k] * columns[k, i]
    return total  # type: ignore[no-any-return]


@kernel
def _fold(p: float, q: float, r: float, t: float, high: FloatArray, low: FloatArray, j: int) -> None:
    """Compare four values with the running extremes of lane j."""
    pq, rt = (p if p > q else q), (r if r > t else t)
    most, best = (pq if pq > rt else rt), high[j]
    high[j] = most if most > best else best
    pq, rt = (p if p < q else q), (r if r < t else t)
    least, worst = (pq if pq < rt else rt), low[j]
    low[j] = least if least < worst else worst


@kernel
def _scan_two(columns: FloatArray, direction: FloatArray, first: int, high: FloatArray, low: FloatArray) -> None:
    a, b = direction[0], direction[1]
    x, y = columns[0, first : first + SLICE], columns[1, first : first + SLICE]
    for j in range(_LANES):
        p = a * x[j] + b * y[j]
        q = a * x[j + _LANES] + b * y[j + _LANES]
        r = a * x[j + 2 * _LANES] + b * y[j + 2 * _LANES]
        t = a * x[j + 3 * _LANES] + b * y[j + 3 * _LANES]
        _fold(p, q, r, t, high, low, j)


@kernel
def _scan_three(columns: FloatArray, direction: FloatArray, first: int, high: FloatArray, low: FloatArray) -> None:
    a, b, c = direction[0], direction[1], direction[2]
    x, y, z = columns[0, first : first + SLICE], columns[1, first : first + SLICE], columns[2, first : first + SLICE]
    for j in range(_LANES):
        p = a * x[j] + b * y[j] + c * z[j]
        q = a * x[j + _LANES] + b * y[j + _LANES] + c * z[j + _LANES]
        r = a * x[j + 2 * _LANES] + b * y[j + 2 * _LANES] + c * z[j + 2 * _LANES]
        t = a * x[j + 3 * _LANES] + b * y[j + 3 * _LANES] + c * z[j + 3 * _LANES]
        _fold(p, q, r, t, high, low, j)


@kernel
def _add_column(x: FloatArray, weight: float, values: FloatArray) -> None:
    for j in range(SLICE):  # a fixed number of turns, or the compiler does not vectorise
        values[j] += weight * x[j]


@kernel
def _fold_slice(values: FloatArray, high: FloatArray, low: FloatArray) -> None:
    a, b, c, d = values[:_LANES], values[_LANES : 2 * _LANES], values[2 * _LANES : 3 * _LANES], values[3 * _LANES :]
    for j in range(_LANES):
        _fold(a[j], b[j], c[j], d[j], high, low, j)


@kernel
def _scan_any(columns: FloatArray, direction: FloatArray, first: int, high: FloatArray, low: FloatArray, values: FloatArray) -> None:
    weight, x = direction[0], columns[0, first : first + SLICE]
    for j in range(SLICE):
        values[j] = weight * x[j]
    for k in range(1, direction.shape[0]):
        _add_column(columns[k, first : first + SLICE], direction[k], values)
    _fold_slice(values, high, low)


@kernel
def _first_place(columns: FloatArray, direction: FloatArray, target: float, lanes: FloatArray) -> int:
    """Return the lowest action whose value is the target; the lanes that hold it say where to look."""
    place = columns.shape[1]
    for j in range(_LANES):
        if lanes[j] == target:
            for i in range(j, place, _LANES):
                if _value(columns, direction, i) == target:
                    place = i
                    break
    return place  # type: ignore[no-any-return]


@kernel(signatures=("(f8[:, ::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])",))
def net_extremes(columns: FloatArray, directions: FloatArray, places: IntArray, extremes: FloatArray) -> None:
    """Write argmax and argmin of every direction (m, s) over the actions into ``places`` (2, m), the values into ``extremes``.

    ``columns`` (s, n) is the transposed table of the support, finite, with n a positive multiple of `SLICE`. Of equal values the lowest
    action counts.
    """
    m, s = directions.shape
    highs, lows, values = np.empty((_TOGETHER, _LANES)), np.empty((_TOGETHER, _LANES)), np.empty(SLICE)
    for block in range(0, m, _TOGETHER):
        width = min(_TOGETHER, m - block)
        highs[:] = -np.inf
        lows[:] = np.inf
        for first in range(0, columns.shape[1], SLICE):
            for e in range(width):
                if s == 2:
                    _scan_two(columns, directions[block + e], first, highs[e], lows[e])
                elif s == 3:
                    _scan_three(columns, directions[block + e], first, highs[e], lows[e])
                else:
                    _scan_any(columns, directions[block + e], first, highs[e], lows[e], values)
        for e in range(width):
            high, low = highs[e].max(), lows[e].min()
            extremes[0, block + e], extremes[1, block + e] = high, low
            places[0, block + e] = _first_place(columns, directions[block + e], high, highs[e])
            places[1, block + e] = _first_place(columns, directions[block + e], low, lows[e])


@kernel(signatures=("(i8[:, ::1], i8[::1])",))
def count_net_extremes(places: IntArray, counts: IntArray) -> None:
    """Add 1 to the count of every action among the places, once however often it occurs there."""
    seen = np.zeros(counts.shape[0], dtype=np.bool_)
    for row in range(places.shape[0]):
        for k in range(places.shape[1]):
            action = places[row, k]
            if not seen[action]:
                seen[action] = True
                counts[action] += 1
