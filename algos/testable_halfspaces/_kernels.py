"""Compiled loops of the halfspace learner: the ramp loss with its derivatives, single-row descent, the sweep of a half circle.

Every kernel has a numpy twin in ``tests/algos/testable_halfspaces/test_ramp_learner.py`` or ``test_exact_oracles.py``. The ramp and its
slope are written out here because they are the inside of the loops; a test compares them with ``bounds``, where the formulas live.

Rows are worked on in chunks that stay in the first-level cache: margins of a chunk, then their ramp values without branches, then the rows
inside the band, four at a time. A table is thereby read once for the loss and its gradient together.
"""

# Sums may be reassociated so that they vectorise; rows with slope zero are left out before they are multiplied, so that an
# overflowed margin (inf) never meets a factor 0.

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = ["half_circle_keys", "psgd_rows", "ramp_curvature", "ramp_rows", "sweep_half_circle"]

Array = npt.NDArray[np.float64]
Table = npt.NDArray[np.floating]

_REASSOCIATE = {"reassoc", "contract"}
_CHUNK = 512  # margins, slopes and the rows of a chunk fit the first-level cache up to some 40 columns
_LENGTH_EVERY = 256  # steps between corrections of the length: its error grows by a rounding or so per step
_V = "Array(f8, 1, 'C', True)"
_TABLES = ("Array(f8, 2, 'C', True)", "Array(f4, 2, 'C', True)")


@kernel(signatures=tuple(f"({X}, {_V}, {_V}, f8, f8[::1])" for X in _TABLES), fastmath=_REASSOCIATE)
def ramp_rows(X: Table, y: Array, w: Array, sigma: float, total: Array) -> tuple[float, float]:
    """Add ``sum_i k_i y_i x_i`` to `total`, where ``k_i = psi(t_i) 2 sigma / 3``; return ``(sum_i sign V, sum_i k_i y_i t_i)``.

    The ramp loss of row i is 1/2 plus the first summand.
    """
    n, d = X.shape
    margins = np.empty(_CHUNK)
    heights = np.empty(_CHUNK)
    slopes = np.empty(_CHUNK)
    inside = np.empty(_CHUNK + 1, np.int64)
    inverse = 1.0 / sigma
    loss = 0.0
    along = 0.0
    for start in range(0, n, _CHUNK):
        size = min(_CHUNK, n - start)
        for i in range(size):
            margin = 0.0
            for j in range(d):
                margin += np.float64(X[start + i, j]) * w[j]
            margins[i] = margin
        for i in range(size):
            label = y[start + i]
            a = abs(margins[i]) * inverse
            r = min(max(3.0 * a - 0.5, 0.0), 1.0)
            height = 1.5 * min(a, 1.0 / 6.0) + 0.5 * r * (1.0 - r * r * (1.0 - 0.5 * r))
            heights[i] = height if margins[i] * label < 0.0 else -height
            slopes[i] = label * (1.0 - r * r * (3.0 - 2.0 * r))
        # a loop of its own: beside stores, the order of the sum would hang on where the arrays lie in memory
        for i in range(size):
            loss += heights[i]
        count = 0
        for i in range(size):
            inside[count] = i
            count += slopes[i] != 0.0
        k = 0
        while k + 4 <= count:
            i0, i1, i2, i3 = inside[k], inside[k + 1], inside[k + 2], inside[k + 3]
            c0, c1, c2, c3 = slopes[i0], slopes[i1], slopes[i2], slopes[i3]
            along += c0 * margins[i0] + c1 * margins[i1] + c2 * margins[i2] + c3 * margins[i3]
            for j in range(d):
                total[j] += c0 * X[start + i0, j] + c1 * X[start + i1, j] + c2 * X[start + i2, j] + c3 * X[start + i3, j]
            k += 4
        while k < count:
            i0 = inside[k]
            along += slopes[i0] * margins[i0]
            for j in range(d):
                total[j] += slopes[i0] * X[start + i0, j]
            k += 1
    return loss, along


@kernel(signatures=tuple(f"({X}, {_V}, {_V}, {_V}, f8, f8[::1])" for X in _TABLES), fastmath=_REASSOCIATE)
def ramp_curvature(X: Table, y: Array, w: Array, u: Array, sigma: float, total: Array) -> tuple[float, float]:
    """Add ``sum_i c_i x_i`` to `total`; return ``(sum_i c_i t_i, sum_i y_i k_i t_i)``.

    Here ``c_i = -y_i k'_i <x_i, u>`` with ``k = psi 2 sigma / 3``, and u is orthogonal to w.
    """
    inverse = 1.0 / sigma
    along = 0.0
    level = 0.0
    for i in range(X.shape[0]):
        margin = 0.0
        for j in range(X.shape[1]):
            margin += np.float64(X[i, j]) * w[j]
        a = abs(margin) * inverse
        if a < 0.5:
            r = max(3.0 * a - 0.5, 0.0)
            level += y[i] * (1.0 - r * r * (3.0 - 2.0 * r)) * margin
            if r > 0.0:
                step = 0.0
                for j in range(X.shape[1]):
                    step += np.float64(X[i, j]) * u[j]
                # d/dt of 1 - 3 r^2 + 2 r^3 is -6 r (1 - r) * 3 sign(t) / sigma
                c = y[i] * 18.0 * inverse * r * (1.0 - r) * step
                if margin < 0.0:
                    c = -c
                along += c * margin
                for j in range(X.shape[1]):
                    total[j] += c * X[i, j]
    return along, level


@kernel(signatures=tuple(f"({X}, {_V}, f8[::1], f8, f8, i8, i8, f8[:, ::1])" for X in _TABLES), fastmath=_REASSOCIATE)
def psgd_rows(X: Table, y: Array, w: Array, sigma: float, step: float, first: int, stride: int, kept: Array) -> int:
    """Descend one row at a time, top to bottom, w kept on the unit sphere in place; store every `stride`-th iterate from `first` on.

    The unit vector is `scale` times the numbers in w, whose length is corrected now and then. A step is ``w (1 - c t) + c x`` before it is
    normalised; so the next row's margin follows from its margin before the step and the product of the two rows, both of which the
    processor has ready by then, and the squared length ``1 + c^2 (|x|^2 - t^2)`` needs no sum either. Returns the number of iterates
    stored in the rows of `kept`.
    """
    n, d = X.shape
    inverse = 1.0 / sigma
    stored = 0
    due = first
    scale = 1.0
    length = 1.0
    ahead = 0.0
    if n > 0:
        for j in range(d):
            ahead += np.float64(X[0, j]) * w[j]
    for i in range(n):
        following = min(i + 1, n - 1)
        margin = scale * ahead
        ahead = 0.0
        for j in range(d):
            ahead += np.float64(X[following, j]) * w[j]
        a = abs(margin) * inverse
        if a < 0.5:
            cross = 0.0
            square = 0.0
            for j in range(d):
                x = np.float64(X[i, j])
                cross += x * np.float64(X[following, j])
                square += x * x
            r = max(3.0 * a - 0.5, 0.0)
            c = step * y[i] * 1.5 * inverse * (1.0 - r * r * (3.0 - 2.0 * r))
            share = 1.0 - c * margin
            gain = c * length
            ahead = share * ahead + gain * cross
            for j in range(d):
                w[j] = share * w[j] + gain * X[i, j]
            root = np.sqrt(1.0 + c * c * max(square - margin * margin, 0.0))
            scale /= root
            length *= root
        if i + 1 == due or i % _LENGTH_EVERY == _LENGTH_EVERY - 1 or i + 1 == n:
            norm = 0.0
            for j in range(d):
                norm += w[j] * w[j]
            correction = 1.0 / np.sqrt(norm)
            for j in range(d):
                w[j] *= correction
            ahead *= correction
            scale = 1.0
            length = 1.0
            if i + 1 == due and stored < kept.shape[0]:
                for j in range(d):
                    kept[stored, j] = w[j]
                stored += 1
                due += stride
    return stored


@kernel(signatures=(f"({_TABLES[0]}, {_V}, f8[::1])",))
def half_circle_keys(X: Array, y: Array, keys: Array) -> tuple[int, int, int]:
    """Fill `keys` with the place of every row's breakpoint on the half circle, the lowest bit telling whether the row is wrong before it.

    The breakpoint of x is the direction (p, q) orthogonal to it with q > 0, or q = 0 and p > 0; its key ``2 - p / (|p| + q)`` grows with
    its angle from 1 to 3 and is wrong by at most 2**-50. Rows of zeros have none. Returns ``(rows that are not zero, rows wrong before
    all breakpoints, zero rows labelled -1)``.
    """
    bits = np.empty(1, np.float64)
    word = bits.view(np.int64)
    used = 0
    wrong = 0
    lost = 0
    for i in range(X.shape[0]):
        p, q = -X[i, 1], X[i, 0]
        if p == 0.0 and q == 0.0:
            lost += y[i] < 0.0
            continue
        positive = q > 0.0 or (q == 0.0 and p > 0.0)
        if not positive:
            p, q = -p, -q
        before = positive != (y[i] > 0.0)
        size = abs(p) + q
        if np.isinf(size):
            p *= 0.5
            size = abs(p) + 0.5 * q
        bits[0] = 2.0 - p / size
        word[0] = (word[0] & ~1) | before
        keys[used] = bits[0]
        used += 1
        wrong += before
    return used, wrong, lost


@kernel(signatures=("(f8[::1], i8, f8)",))
def sweep_half_circle(keys: Array, wrong: int, gap: float) -> tuple[int, int, int, int, bool]:
    """Walk over sorted keys; return ``(fewest, its arc, most, its arc, whether two keys are closer than gap)``.

    Arc k lies before key k; the last one after all keys.
    """
    bits = np.empty(1, np.float64)
    word = bits.view(np.int64)
    fewest = most = wrong
    at_fewest = at_most = 0
    close = False
    for k in range(keys.shape[0]):
        bits[0] = keys[k]
        wrong += 1 - 2 * (word[0] & 1)
        if k > 0 and keys[k] - keys[k - 1] <= gap:
            close = True
        if wrong < fewest:
            fewest, at_fewest = wrong, k + 1
        if wrong > most:
            most, at_most = wrong, k + 1
    if keys.shape[0] > 1 and keys[0] + 2.0 - keys[keys.shape[0] - 1] <= gap:
        close = True
    return fewest, at_fewest, most, at_most, close
