"""Compiled loop of the distortion search: monotone ascent of a ratio of two lp norms from many starts.

The numpy twins are in ``tests/algos/lp_embeddings/test_distortion.py``.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel
from algos.lp_embeddings._lp_kernels import power

Array = npt.NDArray[np.float64]

_M, _V = "f8[:, ::1]", "f8[::1]"
_RIDGE = 1e-14  # share of the largest diagonal entry that keeps the linear systems solvable where curvature vanishes
_PROGRESS = 1e-3  # relative growth with which the first step length that has it is taken
_LEVEL = 1e-10  # relative growth below which an ascent has stopped
_SMOOTH = 1e-9  # floor of the weights below which a standstill at p < 2 is final


@kernel(signatures=(f"({_V}, f8)",))
def lp_length(values: Array, p: float) -> float:
    """Return the lp norm; entries are divided by the largest first, so that no power leaves the range of floats."""
    largest = 0.0
    for i in range(values.shape[0]):
        largest = max(largest, abs(values[i]))
    if largest == 0.0:
        return 0.0
    total = 0.0
    if p == 1.0:
        for i in range(values.shape[0]):
            total += abs(values[i]) / largest
        return largest * total
    for i in range(values.shape[0]):
        size = abs(values[i]) / largest
        if size > 0.0:
            total += power(size, p - 2.0) * size * size
    return float(largest * total ** (1.0 / p))


@kernel(signatures=(f"({_V}, {_V}, f8, f8)",))
def moved_length(values: Array, change: Array, step: float, p: float) -> float:
    """Return the lp norm of ``values + step * change``."""
    moved = np.empty_like(values)
    for i in range(values.shape[0]):
        moved[i] = values[i] + step * change[i]
    return lp_length(moved, p)


@kernel(signatures=(f"({_M}, {_V}, f8, f8)",))
def reweighted_gram(rows: Array, products: Array, p: float, floor: float) -> Array:
    """Return ``rows.T @ diag(max(|products|, floor)^(p-2)) @ rows``, products divided by their norm, floor a share of the largest."""
    n, r = rows.shape
    size = lp_length(products, p)
    largest = 0.0
    for i in range(n):
        largest = max(largest, abs(products[i]))
    scaled = np.empty_like(rows)
    for i in range(n):
        root = power(max(abs(products[i]), floor * largest) / size, 0.5 * p - 1.0)
        for j in range(r):
            scaled[i, j] = root * rows[i, j]
    gram: Array = np.dot(scaled.T, scaled)
    top = 0.0
    for j in range(r):
        top = max(top, gram[j, j])
    for j in range(r):
        gram[j, j] += _RIDGE * top
    return gram


@kernel(signatures=(f"({_M}, {_V}, f8)",))
def norm_gradient(rows: Array, products: Array, p: float) -> Array:
    """Return the gradient of ``norm(rows @ z)`` where ``products = rows @ z``; entries at a kink contribute nothing."""
    size = lp_length(products, p)
    slope = np.empty_like(products)
    for i in range(products.shape[0]):
        slope[i] = np.sign(products[i]) * power(abs(products[i]) / size, p - 1.0)
    gradient: Array = np.dot(rows.T, slope)
    return gradient


@kernel(signatures=(f"({_M}, {_M}, {_V}, {_V}, f8, f8)",))
def best_step(above: Array, below: Array, z: Array, toward: Array, p: float, ratio: float) -> float:
    """Return the step length along ``toward`` with the best ratio among a few, 0.0 if none beats ``ratio``; the first good one is taken."""
    u, v, du, dv = np.dot(below, z), np.dot(above, z), np.dot(below, toward), np.dot(above, toward)
    newton = 1.0 / (p - 1.0) if p > 2.0 else 1.0
    best, length = ratio, 0.0
    for step in (newton, 1.0, 2.0 * newton, newton / 2.0, newton / 4.0, newton / 10.0, newton / 100.0):
        low = moved_length(u, du, step, p)
        if low == 0.0:
            continue
        reached = moved_length(v, dv, step, p) / low
        if np.isfinite(reached) and reached > best:
            best, length = reached, step
            if reached > (1.0 + _PROGRESS) * ratio:
                break
    return length


@kernel(signatures=(f"({_M}, {_M}, {_M}, f8, i8)",))
def ascend(above: Array, below: Array, starts: Array, p: float, steps: int) -> tuple[Array, Array]:
    r"""Increase ``norm(above @ z) / norm(below @ z)`` from every row of ``starts``.

    The norm h above is convex, so the direction that maximises its linearisation ``grad h . x`` on the unit ball of the norm below has
    at least the same ratio. That maximiser is approached by one reweighted least squares step, ``(below^T W below)^{-1} grad h`` with
    ``W = diag(|below z|^(p-2))``, exact for p = 2. A step is taken only where the ratio itself grows, so the trace never falls,
    whatever the quality of the step.

    Returns
    -------
    directions : ndarray of shape (k, r)
    trace : ndarray of shape (steps + 1, k)
        Ratios before each step; constant from where an ascent stops.
    """
    k = starts.shape[0]
    directions = starts.copy()
    trace = np.empty((steps + 1, k))
    for s in range(k):
        z = directions[s].copy()
        u, v = np.dot(below, z), np.dot(above, z)
        size, ratio = lp_length(u, p), 0.0
        ratio = lp_length(v, p) / size
        trace[:, s] = ratio
        floor = 0.0
        for step in range(steps):
            if ratio == 0.0 or not np.isfinite(ratio):
                break
            floor = max(1e-14, 10.0 ** (-2.0 - 0.5 * step)) if p < 2.0 else 10.0 ** (-6.0 / max(p - 2.0, 1e-3))
            best = np.linalg.solve(reweighted_gram(below, u, p, floor), norm_gradient(above, v, p))
            toward = best * (size / ratio) - z
            length = best_step(above, below, z, toward, p, ratio)
            if length == 0.0:
                break
            candidate = z + length * toward
            u, v = np.dot(below, candidate), np.dot(above, candidate)  # afresh: updates would collect rounding
            size = lp_length(u, p)
            grown = lp_length(v, p) / size
            if not grown > ratio:
                break
            stop = grown <= (1.0 + _LEVEL) * ratio and (p >= 2.0 or floor <= _SMOOTH)
            z, ratio = candidate, grown
            trace[step + 1 :, s] = ratio
            if stop:
                break
        directions[s] = z
    return directions, trace
