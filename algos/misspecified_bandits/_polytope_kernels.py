"""Compiled dual simplex for linear programs with few variables in a box, and the sweeps over supports that are made of it.

A program is ``maximise c @ w subject to G @ w <= b``, where the first rows of G are the sides of the box, so that some corner of the box is
always a start. Every step keeps multipliers that prove an upper bound: ``multipliers @ b``, plus the box times what rounding left of
``c - G.T @ multipliers``. The bound returned is therefore true even where the steps were cut short or lost digits.

The twins of these loops are linear programs solved by HiGHS, in ``tests/algos/misspecified_bandits/test_version_space.py``.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_V, _M, _I = "f8[::1]", "f8[:, ::1]", "i8[::1]"
_FEASIBLE = 1e-12  # violation of a row, relative to its terms, that counts as none
_PIVOT = 1e-11  # smallest share of a row that can be exchanged
_PATIENCE = 60  # steps after which the rule of lowest indices replaces the rule of the largest violation: it cannot cycle
_STEPS = 500


@kernel(signatures=(f"({_M}, {_M})",))
def invert(matrix: FloatArray, inverse: FloatArray) -> bool:
    """Overwrite `inverse` by the inverse of a small matrix, which is destroyed; return whether there is one."""
    n = matrix.shape[0]
    for i in range(n):
        for j in range(n):
            inverse[i, j] = 1.0 if i == j else 0.0
    for k in range(n):
        pivot = k
        for i in range(k + 1, n):
            if abs(matrix[i, k]) > abs(matrix[pivot, k]):
                pivot = i
        if abs(matrix[pivot, k]) < 1e-300:
            return False
        if pivot != k:
            for j in range(n):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
                inverse[k, j], inverse[pivot, j] = inverse[pivot, j], inverse[k, j]
        scale = 1.0 / matrix[k, k]
        for j in range(n):
            matrix[k, j] *= scale
            inverse[k, j] *= scale
        for i in range(n):
            factor = matrix[i, k]
            if i != k and factor != 0.0:
                for j in range(n):
                    matrix[i, j] -= factor * matrix[k, j]
                    inverse[i, j] -= factor * inverse[k, j]
    return True


@kernel(signatures=(f"({_M}, {_V}, {_V}, {_V}, b1)",))
def entering_row(G: FloatArray, b: FloatArray, box: FloatArray, w: FloatArray, first: bool) -> int:
    """Return the row that w violates most, or the first one that it violates; -1 if there is none."""
    worst, place = 0.0, -1
    for i in range(b.shape[0]):
        excess, size = -b[i], abs(b[i])
        for j in range(w.shape[0]):
            excess += G[i, j] * w[j]
            size += abs(G[i, j]) * box[j]
        if excess > _FEASIBLE * size and excess > worst:
            worst, place = excess, i
            if first:
                break
    return place


@kernel(signatures=(f"({_V}, {_V}, {_I}, b1)",))
def leaving_place(multipliers: FloatArray, change: FloatArray, basis: IntArray, first: bool) -> int:
    """Return the place in the basis whose multiplier reaches zero first; -1 if none falls."""
    largest = 0.0
    for k in range(change.shape[0]):
        largest = max(largest, abs(change[k]))
    least = np.inf
    for k in range(change.shape[0]):
        if change[k] > _PIVOT * largest:
            least = min(least, multipliers[k] / change[k])
    place = -1
    for k in range(change.shape[0]):
        tied = change[k] > _PIVOT * largest and multipliers[k] / change[k] <= least + 1e-14 * (1.0 + least)
        if tied and (place < 0 or (basis[k] < basis[place] if first else change[k] > change[place])):
            place = k
    return place


@kernel(signatures=(f"({_M}, {_V}, {_V}, {_V}, {_I}, f8, {_V})",))
def dual_ascent(G: FloatArray, b: FloatArray, c: FloatArray, box: FloatArray, basis: IntArray, stop: float, w: FloatArray) -> float:
    """Return a proved upper bound of the maximum of ``c @ w``, which is the maximum itself unless it is at most `stop`.

    `basis` must have multipliers of the right sign; it is replaced by the last one, and `w` by its point.
    """
    n = c.shape[0]
    rows, inverse = np.empty((n, n)), np.empty((n, n))
    multipliers, change = np.empty(n), np.empty(n)
    value = np.inf
    for step in range(_STEPS):
        for k in range(n):
            for j in range(n):
                rows[k, j] = G[basis[k], j]
        if not invert(rows, inverse):
            break
        bound = 0.0
        for k in range(n):
            total, point = 0.0, 0.0
            for j in range(n):
                total += inverse[j, k] * c[j]
                point += inverse[k, j] * b[basis[j]]
            multipliers[k] = max(total, 0.0)
            w[k] = point
            bound += multipliers[k] * b[basis[k]]
        for j in range(n):
            left = c[j]
            for k in range(n):
                left -= multipliers[k] * G[basis[k], j]
            bound += abs(left) * box[j]
        value = min(value, bound)
        if value <= stop:
            break
        first = step >= _PATIENCE
        row = entering_row(G, b, box, w, first)
        if row < 0:
            break
        for k in range(n):
            total = 0.0
            for j in range(n):
                total += inverse[j, k] * G[row, j]
            change[k] = total
        place = leaving_place(multipliers, change, basis, first)
        if place < 0:
            break
        basis[place] = row
    return value


@kernel(signatures=(f"({_M}, {_V}, {_V}, {_I}, f8, b1, {_M}, {_V})",))
def fill_rows(
    seen: FloatArray, low: FloatArray, high: FloatArray, support: IntArray, R: float, error: bool, G: FloatArray, b: FloatArray
) -> None:
    """Fill the rows ``|w| <= R``, [``-h <= 0``], ``low - [h] <= seen @ w <= high + [h]``; those in brackets with `error`."""
    s = support.shape[0]
    n = s + 1 if error else s
    G[: 2 * s + (1 if error else 0), :] = 0.0
    for j in range(s):
        G[2 * j, j], G[2 * j + 1, j] = 1.0, -1.0
        b[2 * j] = b[2 * j + 1] = R
    row = 2 * s
    if error:
        G[row, s], b[row] = -1.0, 0.0
        row += 1
    for i in range(low.shape[0]):
        for j in range(s):
            G[row, j] = seen[i, support[j]]
            G[row + 1, j] = -G[row, j]
        if n > s:
            G[row, s] = G[row + 1, s] = -1.0
        b[row], b[row + 1] = high[i], -low[i]
        row += 2


@kernel(signatures=(f"({_M}, {_V}, {_V}, i8[:, ::1], b1[::1], f8, f8, i8[:, ::1], {_V}, {_M})",))
def misfit_floors(
    seen: FloatArray,
    low: FloatArray,
    high: FloatArray,
    supports: IntArray,
    alive: BoolArray,
    R: float,
    stop: float,
    bases: IntArray,
    floors: FloatArray,
    coefs: FloatArray,
) -> None:
    """Put into `floors` the least h for which ``low - h <= seen @ w <= high + h`` has a solution in the box, for every live support.

    Each floor is proved by multipliers. Work on a support ends early when its floor exceeds `stop`. The bases are starts and results.
    """
    m, s = low.shape[0], supports.shape[1]
    G, b = np.empty((2 * s + 1 + 2 * m, s + 1)), np.empty(2 * s + 1 + 2 * m)
    c, box, w = np.zeros(s + 1), np.full(s + 1, R), np.empty(s + 1)
    c[s] = -1.0
    for i in range(supports.shape[0]):
        if not alive[i]:
            continue
        fill_rows(seen, low, high, supports[i], R, True, G, b)
        largest = 0.0
        for k in range(m):
            size = max(abs(low[k]), abs(high[k]))
            for j in range(s):
                size += R * abs(seen[k, supports[i, j]])
            largest = max(largest, size)
        box[s] = largest
        value = dual_ascent(G, b, c, box, bases[i], -stop, w)
        floors[i] = max(floors[i], -value)
        for j in range(s):
            coefs[i, j] = min(max(w[j], -R), R)


@kernel(signatures=("(f8[::1], f8[::1], f8[:, ::1], f8[::1], i8[::1], f8, f8[::1])",))
def linear_maximum(c: FloatArray, box: FloatArray, G: FloatArray, b: FloatArray, basis: IntArray, stop: float, w: FloatArray) -> float:
    """Return the maximum of ``c @ w``, starting at the corner of the box that c points to."""
    for j in range(c.shape[0]):
        basis[j] = 2 * j if c[j] >= 0.0 else 2 * j + 1
    return dual_ascent(G, b, c, box, basis, stop, w)


@kernel(
    signatures=(
        f"(f8[:, ::1], b1[::1], {_M}, {_V}, {_V}, i8[:, ::1], b1[::1], f8, f8, {_V})",
        f"(f4[:, ::1], b1[::1], {_M}, {_V}, {_V}, i8[:, ::1], b1[::1], f8, f8, {_V})",
    )
)
def largest_prediction(
    X: FloatArray,
    wanted: BoolArray,
    seen: FloatArray,
    low: FloatArray,
    high: FloatArray,
    supports: IntArray,
    alive: BoolArray,
    R: float,
    least: float,
    coef: FloatArray,
) -> tuple[float, int, int]:
    """Return the largest prediction above `least` of the wanted actions by live supports, the action and the place of the support.

    `coef` receives the model. Without one above `least` the action is -1. Ranges of the coefficients rule out most actions without
    a program of their own.
    """
    m, s = low.shape[0], supports.shape[1]
    G, b = np.empty((2 * s + 2 * m, s)), np.empty(2 * s + 2 * m)
    c, box, w, basis = np.zeros(s), np.full(s, R), np.empty(s), np.empty(s, dtype=np.int64)
    smallest, largest, reach = np.empty(s), np.empty(s), np.empty(X.shape[0])
    best, action, place = least, -1, -1
    for i in range(supports.shape[0]):
        if not alive[i]:
            continue
        fill_rows(seen, low, high, supports[i], R, False, G, b)
        for j in range(s):
            c[:] = 0.0
            c[j] = 1.0
            largest[j] = linear_maximum(c, box, G, b, basis, -np.inf, w)
            c[j] = -1.0
            smallest[j] = -linear_maximum(c, box, G, b, basis, -np.inf, w)
        furthest = -1
        for a in range(X.shape[0]):
            reach[a] = -np.inf
            if not wanted[a]:
                continue
            reach[a] = 0.0
            for j in range(s):
                x = X[a, supports[i, j]]
                reach[a] += x * (largest[j] if x > 0.0 else smallest[j])
            if furthest < 0 or reach[a] > reach[furthest]:
                furthest = a
        for turn in range(-1, X.shape[0]):
            a = furthest if turn < 0 else turn  # a good start rules out more
            if a < 0 or not reach[a] > best:
                continue
            for j in range(s):
                c[j] = X[a, supports[i, j]]
            value = min(linear_maximum(c, box, G, b, basis, best, w), reach[a])
            reach[a] = value
            if value > best:
                best, action, place = value, a, i
                for j in range(s):
                    coef[j] = w[j]
    return best, action, place
