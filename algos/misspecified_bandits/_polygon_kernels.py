"""Compiled clipping of intervals and polygons: all models on one or two columns that agree with the answers, as a list of corners.

The twins are linear programs, in ``tests/algos/misspecified_bandits/test_version_space.py``.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_V, _M, _I = "f8[::1]", "f8[:, ::1]", "i8[::1]"
_ROUNDING = 1e-14  # a corner this far outside a line, relative to the terms of its equation, is inside: clipping errs on the large side


@kernel(signatures=(f"({_M}, i8, f8, f8, f8, {_M})",))
def clip(corners: FloatArray, n: int, a0: float, a1: float, limit: float, kept: FloatArray) -> int:
    """Keep the part of a polygon with ``a0 v0 + a1 v1 <= limit``; return its number of corners, 0 also if there is no room for them."""
    count = 0
    for i in range(n):
        if count + 2 > kept.shape[0]:
            return 0
        k = i + 1 if i + 1 < n else 0
        p0, p1, q0, q1 = corners[i, 0], corners[i, 1], corners[k, 0], corners[k, 1]
        here, there = a0 * p0 + a1 * p1 - limit, a0 * q0 + a1 * q1 - limit
        inside = here <= _ROUNDING * (abs(a0 * p0) + abs(a1 * p1) + abs(limit))
        inside_next = there <= _ROUNDING * (abs(a0 * q0) + abs(a1 * q1) + abs(limit))
        if inside:
            kept[count, 0], kept[count, 1] = p0, p1
            count += 1
        if inside != inside_next:
            share = min(max(here / (here - there), 0.0), 1.0)
            kept[count, 0], kept[count, 1] = p0 + share * (q0 - p0), p1 + share * (q1 - p1)
            count += 1
    return count


@kernel(signatures=(f"({_M}, {_V}, {_V}, {_I}, f8, {_M}, {_M})",))
def model_corners(
    seen: FloatArray, low: FloatArray, high: FloatArray, support: IntArray, R: float, corners: FloatArray, spare: FloatArray
) -> int:
    """Put the corners of ``{|w| <= R, low <= seen @ w <= high}`` into `corners`; return their number.

    Models on one column are points ``(w, 0)``.
    """
    if support.shape[0] == 1:
        left, right = -R, R
        for i in range(low.shape[0]):
            x = seen[i, support[0]]
            if x == 0.0:
                if low[i] > 0.0 or high[i] < 0.0:
                    return 0
                continue
            ends = (low[i] / x, high[i] / x)
            left, right = max(left, min(ends)), min(right, max(ends))
        corners[0, 0], corners[1, 0] = left, right
        corners[0, 1] = corners[1, 1] = 0.0
        return 2 if left <= right + _ROUNDING * (abs(left) + abs(right)) else 0
    n = 4
    corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1] = -R, -R, R, -R
    corners[2, 0], corners[2, 1], corners[3, 0], corners[3, 1] = R, R, -R, R
    for i in range(low.shape[0]):
        x0, x1 = seen[i, support[0]], seen[i, support[1]]
        n = clip(corners, n, x0, x1, high[i], spare)
        n = clip(spare, n, -x0, -x1, -low[i], corners)
        if n == 0:
            return 0
    return n


@kernel(
    signatures=(
        f"(f8[:, ::1], {_M}, {_V}, {_V}, i8[:, ::1], b1[::1], f8, {_V}, {_I}, b1[::1])",
        f"(f4[:, ::1], {_M}, {_V}, {_V}, i8[:, ::1], b1[::1], f8, {_V}, {_I}, b1[::1])",
    )
)
def corner_predictions(
    columns: FloatArray,
    seen: FloatArray,
    low: FloatArray,
    high: FloatArray,
    supports: IntArray,
    alive: BoolArray,
    R: float,
    best: FloatArray,
    which: IntArray,
    empty: BoolArray,
) -> None:
    """Raise ``best[a]`` to the largest prediction of action a by a live support and note the support; mark supports without a model.

    `columns` is the transposed table of actions.
    """
    K, s = columns.shape[1], supports.shape[1]
    size = 8 + 4 * low.shape[0]
    corners, spare = np.empty((size, 2)), np.empty((size, 2))
    for i in range(supports.shape[0]):
        if not alive[i]:
            continue
        n = model_corners(seen, low, high, supports[i], R, corners, spare)
        empty[i] = n == 0
        first, second = columns[supports[i, 0]], columns[supports[i, s - 1]]
        for a in range(K):
            x0, x1 = first[a], second[a]
            value = -np.inf
            for k in range(n):
                value = max(value, corners[k, 0] * x0 + corners[k, 1] * x1)
            if value > best[a]:
                best[a], which[a] = value, i
