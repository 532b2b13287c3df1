"""Compiled loops for vertices of hulls: orientation without rounding errors, the monotone chain, and pre-filters.

Most points of a projection lie deep inside its hull. Sixteen extreme points span a polygon whose inside is thrown away in one pass over
the points, which the compiler vectorises; the chain sorts the few that are left. The sign of every turn is exact, so that the vertices are
those of the given floating-point numbers, whatever is nearly collinear (barring underflow and overflow of products).
"""

import math

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = ["count_pair_vertices", "orientation", "outside_faces", "planar_vertices"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
FloatColumn = npt.NDArray[np.floating]

_LANES = 128  # points side by side; running maxima of 16 directions for all of them stay in the first-level cache
_DIRECTIONS = 8
_EXTREMES = 2 * _DIRECTIONS
_COS = np.cos(np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS)
_SIN = np.sin(np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS)
_SPLIT = 134217729.0  # 2**27 + 1 cuts a float into halves whose products are exact
_TURN_ERROR = 4.0 * 2.0**-53  # larger than (3 + 16 u) u, the relative error of the difference of two products
_INSIDE = 1e-9  # a point this deep in the polygon, in units of its size, is inside in spite of rounding
_FEW = 64  # fewer points are not worth a pre-filter


@kernel
def _two_sum(a: float, b: float) -> tuple[float, float]:
    """Return the rounded sum and its error."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@kernel
def _two_product(a: float, b: float) -> tuple[float, float]:
    """Return the rounded product and its error."""
    product = a * b
    c = _SPLIT * a
    a_high = c - (c - a)
    a_low = a - a_high
    c = _SPLIT * b
    b_high = c - (c - b)
    b_low = b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


@kernel
def _exact_orientation(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> float:
    """Return a number with the sign of the determinant, from the exact sum of its six products."""
    parts = np.zeros(12)
    size = 0
    left = (ax, -ax, -cx, -ay, ay, cy)
    right = (by, cy, by, bx, cx, bx)
    for i in range(6):
        high, low = _two_product(left[i], right[i])
        for term in (low, high):
            # grow the list of parts by one number; parts do not overlap and increase in size
            carry = term
            for j in range(size):
                carry, parts[j] = _two_sum(carry, parts[j])
            parts[size] = carry
            size += 1
    for j in range(size - 1, -1, -1):
        if parts[j] != 0.0:
            return parts[j]  # type: ignore[no-any-return]
    return 0.0


@kernel(signatures=("(f8, f8, f8, f8, f8, f8)",))
def orientation(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> float:
    """Return a number with the exact sign of (a - c) x (b - c): positive when a, b, c turn to the left."""
    left = (ax - cx) * (by - cy)
    right = (ay - cy) * (bx - cx)
    turn = left - right
    if abs(turn) > _TURN_ERROR * (abs(left) + abs(right)):
        return turn
    return _exact_orientation(ax, ay, bx, by, cx, cy)


@kernel
def _extremes(x: FloatColumn, y: FloatColumn, lanes: FloatArray, found: IntArray) -> None:
    """Write an extreme point of each of the 16 directions into ``found``, in the order of the angle."""
    n, blocks = x.shape[0], x.shape[0] // _LANES
    lanes[:_DIRECTIONS] = -np.inf
    lanes[_DIRECTIONS:] = np.inf
    for first in range(0, blocks * _LANES, _LANES):
        for e in range(_DIRECTIONS):
            c, s = _COS[e], _SIN[e]
            for j in range(_LANES):
                value = c * x[first + j] + s * y[first + j]
                high, low = lanes[e, j], lanes[e + _DIRECTIONS, j]
                lanes[e, j] = value if value > high else high
                lanes[e + _DIRECTIONS, j] = value if value < low else low
    for e in range(_EXTREMES):
        sign = 1.0 if e < _DIRECTIONS else -1.0
        c, s = sign * _COS[e % _DIRECTIONS], sign * _SIN[e % _DIRECTIONS]
        lane = 0
        for j in range(1, _LANES):
            if sign * lanes[e, j] > sign * lanes[e, lane]:
                lane = j
        best, place = -np.inf, 0
        for i in range(lane, blocks * _LANES, _LANES):
            value = c * x[i] + s * y[i]
            if value > best:
                best, place = value, i
        for i in range(blocks * _LANES, n):
            value = c * x[i] + s * y[i]
            if value > best:
                best, place = value, i
        found[e] = place


@kernel
def _outside(x: FloatColumn, y: FloatColumn, corners: IntArray, depth: FloatArray, kept: IntArray) -> int:
    """Write the points that are not deep inside the polygon of the corners into ``kept``; return their number."""
    n, edges, size = x.shape[0], 0, 0.0
    a, b, c = np.empty(_EXTREMES), np.empty(_EXTREMES), np.empty(_EXTREMES)
    for e in range(_EXTREMES):
        p, q = corners[e], corners[(e + 1) % _EXTREMES]
        px, py = np.float64(x[p]), np.float64(y[p])
        dx, dy = np.float64(x[q]) - px, np.float64(y[q]) - py
        length = math.hypot(dx, dy)
        size = max(size, abs(px), abs(py))
        if length > 0.0:
            a[edges], b[edges] = -dy / length, dx / length
            c[edges] = a[edges] * px + b[edges] * py
            edges += 1
    margin, count, blocks = (_INSIDE * size if edges else np.inf), 0, n // _LANES
    for first in range(0, blocks * _LANES, _LANES):
        depth[:] = np.inf
        for e in range(edges):
            u, v, w = a[e], b[e], c[e]
            for j in range(_LANES):  # a fixed number of turns, or the compiler does not vectorise
                value, least = u * x[first + j] + v * y[first + j] - w, depth[j]
                depth[j] = value if value < least else least
        for j in range(_LANES):
            if depth[j] <= margin:
                kept[count] = first + j
                count += 1
    for i in range(blocks * _LANES, n):
        least = np.inf
        for e in range(edges):
            least = min(least, a[e] * x[i] + b[e] * y[i] - c[e])
        if least <= margin:
            kept[count] = i
            count += 1
    return count


@kernel
def _sorted_distinct(px: FloatArray, py: FloatArray) -> IntArray:
    """Return the points in the order of (x, y), each of several equal ones by its lowest number."""
    order = np.argsort(px, kind="mergesort")
    first, n, count = 0, px.shape[0], 0
    while first < n:
        stop = first + 1
        while stop < n and px[order[stop]] == px[order[first]]:
            stop += 1
        run = order[first:stop].copy()
        if stop > first + 1:
            run = run[np.argsort(py[run], kind="mergesort")]
        for i in range(run.shape[0]):
            if i == 0 or py[run[i]] != py[run[i - 1]]:
                order[count] = run[i]
                count += 1
        first = stop
    return order[:count]


@kernel
def _half_chain(px: FloatArray, py: FloatArray, order: IntArray, stack: IntArray, base: int) -> int:
    """Walk along points in their order and keep those where the path turns left, above place ``base`` of the stack."""
    size = base
    for i in range(order.shape[0]):
        p = order[i]
        while size > base + 1:
            a, b = stack[size - 2], stack[size - 1]
            if orientation(px[a], py[a], px[b], py[b], px[p], py[p]) > 0.0:
                break
            size -= 1
        stack[size] = p
        size += 1
    return size - 1  # the last point begins the way back


@kernel(signatures=("(f8[::1], f8[::1])", "(f4[::1], f4[::1])"))
def planar_vertices(x: FloatColumn, y: FloatColumn) -> IntArray:
    """Return the vertices of the convex hull of the points (x, y), counterclockwise from the leftmost.

    Of equal points the lowest number stands for all; points inside an edge are no vertices.
    """
    n = x.shape[0]
    kept = np.arange(n)
    if n > _FEW:
        corners = np.empty(_EXTREMES, dtype=np.int64)
        _extremes(x, y, np.empty((_EXTREMES, _LANES)), corners)
        kept = kept[: _outside(x, y, corners, np.empty(_LANES), kept)]
    px, py = np.empty(kept.shape[0]), np.empty(kept.shape[0])
    for i in range(kept.shape[0]):
        px[i], py[i] = x[kept[i]], y[kept[i]]
    order = _sorted_distinct(px, py)
    if order.shape[0] == 1:
        return kept[order]
    stack = np.empty(2 * order.shape[0], dtype=np.int64)
    size = _half_chain(px, py, order, stack, 0)
    size = _half_chain(px, py, order[::-1].copy(), stack, size)
    return kept[stack[:size]]


@kernel(signatures=("(f8[:, ::1], i8[:, ::1], i8[::1])", "(f4[:, ::1], i8[:, ::1], i8[::1])"))
def count_pair_vertices(columns: FloatColumn, pairs: IntArray, counts: IntArray) -> None:
    """Add 1 to the count of every vertex of the hull in every pair of columns (d, n)."""
    for k in range(pairs.shape[0]):
        vertices = planar_vertices(columns[pairs[k, 0]], columns[pairs[k, 1]])
        for i in range(vertices.shape[0]):
            counts[vertices[i]] += 1


@kernel(signatures=("(f8[:, ::1], f8[:, ::1], f8, i8[::1])",))
def outside_faces(columns: FloatArray, faces: FloatArray, margin: float, kept: IntArray) -> int:
    """Write the points (3, n) that are above a face, or less than the margin below it, into ``kept``; return their number.

    ``faces`` (f, 4) holds outer normals and offsets; n is a multiple of the number of lanes.
    """
    height, count = np.empty(_LANES), 0
    for first in range(0, columns.shape[1], _LANES):
        height[:] = -np.inf
        x, y, z = columns[0, first : first + _LANES], columns[1, first : first + _LANES], columns[2, first : first + _LANES]
        for e in range(faces.shape[0]):
            a, b, c, d = faces[e, 0], faces[e, 1], faces[e, 2], faces[e, 3]
            for j in range(_LANES):
                value, most = a * x[j] + b * y[j] + c * z[j] + d, height[j]
                height[j] = value if value > most else most
        for j in range(_LANES):
            if height[j] >= -margin:
                kept[count] = first + j
                count += 1
    return count
