"""Compiled Newton iteration for the support function of the lp ball ``{x : |Q x|_p <= 1}``, 1 < p < inf.

Minimising ``|Q x|_p`` on ``g . x = 1`` by reweighted least squares: the weights ``|r_i|^(p-2)`` make each step a Newton step whose
length is found by a line search. The dual ``W Q z`` with ``(Q.T W Q) z = g`` meets its equations at every iterate. The weights are kept
from collapsing by a floor that falls as the iteration settles; from p = 3 on the exponent itself is raised step by step.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel
from algos.lp_embeddings._support_linalg import (
    cholesky,
    cholesky_solve,
    inner,
    meet_equations,
    table_times,
    weighted_gram,
)

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_V, _M = "f8[::1]", "f8[:, ::1]"
_FIRST_EXPONENT = 3.0  # the path of exponents starts here when p is larger
_EXPONENT_GROWTH = 1.4
_FLOORS = 16  # below p = 2 the floor of the residuals falls by half a digit a step, from 1e-2, and then starts again
_LEVEL_GAP = 0.1  # the exponent grows when the bracket at the present one is narrower than this
_SMALLEST_WEIGHT = 1e-15  # relative to the largest; below, rounding decides the Gram matrix
_FLAT_SLOPE = 0.1  # a line search ends where the slope has fallen to this share
_SETTLED = 1e-9  # a predicted relative decrease below this leaves the dual to be improved, not x
_SEARCH = 30  # slope evaluations at most
_STALL = 45  # iterations without a narrower bracket after which float64 has done what it can


@kernel(signatures=(f"({_V}, f8)",))
def vector_norm(r: Array, p: float) -> float:
    """Norm ``(sum |r_i|^p)^(1/p)`` without overflow."""
    largest = 0.0
    for i in range(r.shape[0]):
        largest = max(largest, abs(r[i]))
    if largest == 0.0:
        return 0.0
    total = 0.0
    for i in range(r.shape[0]):
        total += (abs(r[i]) / largest) ** p
    return float(largest * total ** (1.0 / p))


@kernel(signatures=(f"({_V}, {_V}, f8, f8)",))
def _slope(r: Array, move: Array, t: float, p: float) -> float:
    """Differentiate ``|r + t move|_p^p / p`` in t."""
    total = 0.0
    for i in range(r.shape[0]):
        entry = r[i] + t * move[i]
        if entry > 0.0:
            total += entry ** (p - 1.0) * move[i]
        elif entry < 0.0:
            total -= (-entry) ** (p - 1.0) * move[i]
    return total


@kernel(signatures=(f"({_V}, {_V}, f8, f8, f8, f8)",))
def line_search(r: Array, move: Array, first: float, guess: float, longest: float, p: float) -> float:
    """Step near the minimum of the convex ``|r + t move|_p`` on ``[0, longest]``: bracket the root of the slope, then regula falsi.

    `first` is the slope at 0, negative.
    """
    linear = 1.0 / (p - 1.0) if p > 2.0 else 1.0  # for large p this power of the slope is nearly linear in t
    a, at_a, b = 0.0, -((-first) ** linear), guess
    while True:
        slope = _slope(r, move, b, p)
        if abs(slope) <= -_FLAT_SLOPE * first or (slope < 0.0 and b >= longest):
            return b
        if not slope < 0.0:
            break
        a, at_a, b = b, -((-slope) ** linear), min(4.0 * b, longest)
    at_b = slope**linear
    side = 0
    for _ in range(_SEARCH):
        t: float = (a * at_b - b * at_a) / (at_b - at_a)
        if not a < t < b:  # also when the slope at b overflowed
            t = 0.5 * (a + b)
        slope = _slope(r, move, t, p)
        if abs(slope) <= -_FLAT_SLOPE * first:
            return t
        if slope < 0.0:
            a, at_a = t, -((-slope) ** linear)
            at_b *= 0.5 if side == -1 else 1.0
            side = -1
        else:
            b, at_b = t, slope**linear
            at_a *= 0.5 if side == 1 else 1.0
            side = 1
    return a


@kernel(signatures=(f"({_V}, f8, f8, {_V})",))
def _fill_weights(r: Array, exponent: float, floor: float, weights: Array) -> None:
    """Weights ``max(|r_i| / max |r|, floor)^(exponent - 2)``."""
    largest = 0.0
    for i in range(r.shape[0]):
        largest = max(largest, abs(r[i]))
    for i in range(r.shape[0]):
        weights[i] = max(abs(r[i]) / largest, floor) ** (exponent - 2.0)


@kernel(signatures=(f"({_M}, {_V}, f8, f8, i8, {_V}, {_V}, {_M})",))
def lp_support(lines: Array, g: Array, p: float, tol: float, max_iter: int, x: Array, y: Array, work: Array) -> tuple[float, float, int]:
    """Support function of the lp ball in direction g: return ``(lower, upper, steps)``.

    Parameters
    ----------
    lines : ndarray of shape (d, n)
        Transposed table with orthonormal columns Q.
    g : ndarray of shape (d,)
        Direction, not zero.
    p : float
        Exponent, above 1.
    tol : float
        Wanted ``upper / lower - 1``.
    max_iter : int
        Limit on steps.
    x : ndarray of shape (d,)
        First iterate with ``g . x > 0``, of any length; replaced by the solution with ``|Q x|_p = 1``.
    y : ndarray of shape (n,)
        Replaced by the dual with ``Q.T y = g``.
    work : ndarray of shape (5, n)
        Scratch space.
    """
    d, n = lines.shape
    r, weights, fitted, dual, scratch = work[0], work[1], work[2], work[3], work[4]
    gram, lower_factor, toward, best_x = np.empty((d, d)), np.empty((d, d)), np.empty(d), np.empty(d)
    dual_exponent = p / (p - 1.0)
    exponent = min(p, _FIRST_EXPONENT) if p > 2.0 else p
    spread, small, step = 1e-2, 1e-2, 1.0
    lower, upper = 0.0, np.inf
    since, steps = 0, 0
    size = inner(g, x)
    for j in range(d):
        x[j] /= size
    best_x[:] = x
    y[:] = 0.0
    while True:
        table_times(lines, x, r)
        norm = vector_norm(r, p)
        since += 1
        if 1.0 / norm > lower:
            lower, since = 1.0 / norm, 0
            best_x[:] = x
        floor = small if p < 2.0 else (spread ** (1.0 / (exponent - 2.0)) if p > 2.0 else 1.0)
        _fill_weights(r, exponent, floor, weights)
        weighted_gram(lines, weights, scratch, gram)
        if not cholesky(gram, lower_factor):
            break
        cholesky_solve(lower_factor, g, toward)
        table_times(lines, toward, fitted)
        for i in range(n):
            dual[i] = weights[i] * fitted[i]
        bound = vector_norm(dual, dual_exponent)
        if bound < upper:
            upper, since = bound, 0
            y[:] = dual
        if upper <= lower * (1.0 + tol) or steps >= max_iter or since > _STALL:
            break
        if p < 2.0 and steps > 0:
            small = max(1e-14, 10.0 ** (-2.0 - 0.5 * (steps % _FLOORS)))
        if exponent < p and vector_norm(dual, exponent / (exponent - 1.0)) * vector_norm(r, exponent) < 1.0 + _LEVEL_GAP:
            exponent = min(p, _EXPONENT_GROWTH * exponent)
        stiffness = inner(g, toward)
        for i in range(n):
            fitted[i] = (fitted[i] / stiffness - r[i]) / norm
            r[i] /= norm
        newton = 1.0 / (exponent - 1.0)
        guess = max(1.0, step) if p < 2.0 else newton
        slope = _slope(r, fitted, 0.0, exponent)
        step = line_search(r, fitted, slope, guess, max(2.0, 2.0 * newton), exponent) if slope < 0.0 else 0.0
        for j in range(d):
            x[j] += step * (toward[j] / stiffness - x[j])
        if step > 0.5 * newton or -slope * newton < _SETTLED:
            spread = max(_SMALLEST_WEIGHT, 0.1 * spread)
        elif step < 0.2 * newton:
            spread = min(0.1, 10.0 * spread)
        steps += 1
    x[:] = best_x
    lower, upper = _close(lines, g, p, x, y, r, fitted, toward)
    return lower, upper, steps


@kernel(signatures=(f"({_M}, {_V}, f8, {_V}, {_V}, {_V}, {_V}, {_V})",))
def _close(lines: Array, g: Array, p: float, x: Array, y: Array, r: Array, moved: Array, error: Array) -> tuple[float, float]:
    """Scale x to norm 1, let y meet its equations, and compute both bounds afresh.

    What the equations lack is at most ``rest`` in Euclidean length; the vector that would supply it has an lp' norm of at most
    ``rest`` times ``n^(1/p' - 1/2)`` below p' = 2 and of at most ``rest`` above.
    """
    rest = meet_equations(lines, g, 1.0, y, moved, error)
    conjugate = p / (p - 1.0)
    rest *= float(y.shape[0]) ** max(0.0, 1.0 / conjugate - 0.5)
    table_times(lines, x, r)
    norm = vector_norm(r, p)
    for j in range(x.shape[0]):
        x[j] /= norm
    return inner(g, x), vector_norm(y, conjugate) + rest


@kernel(signatures=(f"({_M}, {_M}, {_M}, f8, f8, i8, {_V}, {_V}, i8[::1])",))
def lp_supports(
    lines: Array, targets: Array, starts: Array, p: float, tol: float, max_iter: int, lower: Array, upper: Array, steps: Counts
) -> None:
    """Apply `lp_support` to every row of `targets`, started at the rows of `starts`; fill the three results."""
    d, n = lines.shape
    work, x, y = np.empty((5, n)), np.empty(d), np.empty(n)
    for k in range(targets.shape[0]):
        x[:] = starts[k]
        lower[k], upper[k], steps[k] = lp_support(lines, targets[k], p, tol, max_iter, x, y, work)
