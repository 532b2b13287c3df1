"""Compiled interior point method for the support function of the l1 ball ``{x : |Q x|_1 <= 1}``.

For a whitened table Q and a direction g the two problems are

    min |Q x|_1   subject to   g . x = 1          max lam   subject to   Q.T y = lam g,  |y_i| <= 1

with one optimal value, the reciprocal of the support function. Residuals are split as ``Q x = v - z`` with ``v, z > 0``; the
complementary pairs are ``(v, 1 - y)`` and ``(z, 1 + y)``. A strictly feasible dual is at hand: a reweighted least squares
solution, scaled into the box. It stays feasible, so every iterate has a bracket, and the loop stops as soon as that is narrow enough.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel
from algos.lp_embeddings._support_linalg import (
    REASSOCIATE,
    adjoint_times,
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
_STEP_BACK = 0.99995  # fraction of the way to the boundary
_START_INSIDE = 0.9  # largest entry of the first dual
_START_SLACK = 0.1  # first slacks, relative to the mean residual
_STALL = 12  # iterations without a narrower bracket after which float64 has done what it can


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V})",), fastmath=REASSOCIATE)
def _state(r: Array, y: Array, v: Array, z: Array, theta: Array) -> tuple[float, float]:
    """Fill the Newton weights `theta`; return the complementarity gap and the l1 norm of the residual."""
    gap = 0.0
    loss = 0.0
    for i in range(r.shape[0]):
        s = 1.0 - y[i]
        u = 1.0 + y[i]
        theta[i] = s * u / (v[i] * u + z[i] * s)
        gap += v[i] * s + z[i] * u
        loss += abs(r[i])
    return gap, loss


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V})",), fastmath=REASSOCIATE)
def _predict(y: Array, v: Array, z: Array, theta: Array, fitted: Array) -> tuple[float, float, float, float, float]:
    """Ratio tests of the affine step towards `fitted`, and the coefficients of the gap after steps of two lengths."""
    box = 0.0
    slack = 0.0
    by_box = 0.0
    by_slack = 0.0
    cross = 0.0
    for i in range(y.shape[0]):
        s = 1.0 - y[i]
        u = 1.0 + y[i]
        dy = theta[i] * fitted[i]
        p = dy / s
        m = dy / u
        dv = v[i] * (p - 1.0)
        dz = -z[i] * (1.0 + m)
        box = max(box, max(p, -m))
        slack = max(slack, max(1.0 - p, 1.0 + m))
        by_box += dy * (z[i] - v[i])
        by_slack += s * dv + u * dz
        cross += dy * (dz - dv)
    return box, slack, by_box, by_slack, cross


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, f8, {_V}, {_V}, {_V})",), fastmath=REASSOCIATE)
def _centre(y: Array, v: Array, z: Array, theta: Array, fitted: Array, mu: float, centre_v: Array, centre_z: Array, pull: Array) -> None:
    """Second-order targets after the affine step: where the slacks should be, and what that adds to the equations."""
    for i in range(y.shape[0]):
        s = 1.0 - y[i]
        u = 1.0 + y[i]
        dy = theta[i] * fitted[i]
        dv = v[i] * (dy / s - 1.0)
        dz = -z[i] * (1.0 + dy / u)
        centre_v[i] = (mu + dv * dy) / s
        centre_z[i] = (mu - dz * dy) / u
        pull[i] = theta[i] * (centre_v[i] - centre_z[i])


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V})",), fastmath=REASSOCIATE)
def _combine(y: Array, v: Array, z: Array, theta: Array, fitted: Array, centre_v: Array, centre_z: Array, dy: Array) -> tuple[float, float]:
    """Fill the step: `dy`, and ``dv, dz`` in place of the targets; return both ratio tests."""
    box = 0.0
    slack = 0.0
    for i in range(y.shape[0]):
        move = theta[i] * (fitted[i] - centre_v[i] + centre_z[i])
        p = move / (1.0 - y[i])
        m = move / (1.0 + y[i])
        dv = centre_v[i] + v[i] * (p - 1.0)
        dz = centre_z[i] - z[i] * (1.0 + m)
        dy[i] = move
        centre_v[i] = dv
        centre_z[i] = dz
        box = max(box, max(p, -m))
        slack = max(slack, max(-dv / v[i], -dz / z[i]))
    return box, slack


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V}, f8, f8)",), fastmath=REASSOCIATE)
def _move(
    r: Array, y: Array, v: Array, z: Array, fitted: Array, dy: Array, dv: Array, dz: Array, box_step: float, slack_step: float
) -> float:
    """Take the step in place; return the largest entry of the dual."""
    largest = 0.0
    for i in range(y.shape[0]):
        y[i] += box_step * dy[i]
        v[i] += slack_step * dv[i]
        z[i] += slack_step * dz[i]
        r[i] += slack_step * (fitted[i] - r[i])
        largest = max(largest, abs(y[i]))
    return largest


@kernel(signatures=("(f8,)",))
def _step_length(shrink: float) -> float:
    return 1.0 if shrink <= _STEP_BACK else _STEP_BACK / shrink


@kernel(signatures=(f"({_M}, {_V}, {_V}, f8, i8, {_V}, {_V}, {_M})",))
def l1_support(
    lines: Array, g: Array, weights: Array, tol: float, max_iter: int, x: Array, y: Array, work: Array
) -> tuple[float, float, int]:
    """Support function of the l1 ball in direction g: return ``(lower, upper, steps)``.

    Parameters
    ----------
    lines : ndarray of shape (d, n)
        Transposed table with orthonormal columns Q.
    g : ndarray of shape (d,)
        Direction, not zero.
    weights : ndarray of shape (n,)
        The first dual is ``weights * (Q x)``, moved to the nearest multiple that meets the equations.
    tol : float
        Wanted ``upper / lower - 1``.
    max_iter : int
        Limit on Newton steps.
    x : ndarray of shape (d,)
        First iterate with ``g . x > 0``, of any length; replaced by the solution with ``|Q x|_1 = 1``.
    y : ndarray of shape (n,)
        Replaced by the dual with ``Q.T y = g``.
    work : ndarray of shape (10, n)
        Scratch space.
    """
    d, n = lines.shape
    v, z, theta, fitted, dy, dv, dz, pull, r, scratch = (
        work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7], work[8], work[9],
    )  # fmt: skip
    gram, lower_factor = np.empty((d, d)), np.empty((d, d))
    toward, bend, target, error = np.empty(d), np.empty(d), np.empty(d), np.empty(d)
    size = inner(g, x)
    for j in range(d):
        x[j] /= size
    table_times(lines, x, r)
    value, largest = _first_dual(lines, g, weights, r, y, fitted, error)
    mean = 0.0
    for i in range(n):
        mean += abs(r[i]) / n
    for i in range(n):
        v[i] = max(r[i], 0.0) + _START_SLACK * mean
        z[i] = max(-r[i], 0.0) + _START_SLACK * mean
    steps = 0
    narrowest, since = np.inf, 0
    best_x, best_y, best_value = x.copy(), y.copy(), value
    while True:
        gap, loss = _state(r, y, v, z, theta)
        adjoint_times(lines, y, error)
        for j in range(d):
            error[j] = value * g[j] - error[j]
        width = (largest + np.sqrt(inner(error, error))) * loss / value
        if not np.isfinite(width):
            break
        since += 1
        if width < narrowest:
            narrowest, since = width, 0
            best_x[:] = x
            best_y[:] = y
            best_value = value
        if width <= 1.0 + tol or steps >= max_iter or since > _STALL:
            break
        weighted_gram(lines, theta, scratch, gram)
        if not cholesky(gram, lower_factor):
            break
        cholesky_solve(lower_factor, g, toward)
        stiffness = inner(g, toward)
        cholesky_solve(lower_factor, error, bend)
        change = _affine_target(g, toward, bend, stiffness, target)
        table_times(lines, target, fitted)
        box, slack, by_box, by_slack, cross = _predict(y, v, z, theta, fitted)
        a, b = _step_length(box), _step_length(slack)
        after = max(gap + a * by_box + b * by_slack + a * b * cross, 0.0)
        _centre(y, v, z, theta, fitted, gap / (2 * n) * min(1.0, after / gap) ** 3, dv, dz, pull)
        adjoint_times(lines, pull, bend)
        for j in range(d):
            error[j] += bend[j]
        cholesky_solve(lower_factor, error, bend)
        change = _affine_target(g, toward, bend, stiffness, target)
        table_times(lines, target, fitted)
        box, slack = _combine(y, v, z, theta, fitted, dv, dz, dy)
        a, b = _step_length(box), _step_length(slack)
        largest = _move(r, y, v, z, fitted, dy, dv, dz, a, b)
        value += a * change
        for j in range(d):
            x[j] += b * (target[j] - x[j])
        steps += 1
    x[:] = best_x
    y[:] = best_y
    _correct(lines, g, best_value, 0.01 * tol, y, theta, fitted, scratch, gram, lower_factor)
    lower, upper = _close(lines, g, best_value, x, y, r, fitted, error)
    return lower, upper, steps


@kernel(signatures=(f"({_M}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V})",))
def _first_dual(lines: Array, g: Array, weights: Array, r: Array, y: Array, moved: Array, error: Array) -> tuple[float, float]:
    """Fill y with a strictly feasible dual near ``weights * r``; return its value and its largest entry."""
    for i in range(y.shape[0]):
        y[i] = weights[i] * r[i]
    adjoint_times(lines, y, error)
    value = inner(error, g) / inner(g, g)
    if not value > 0.0:
        value = 1.0
    meet_equations(lines, g, value, y, moved, error)
    largest = 0.0
    for i in range(y.shape[0]):
        largest = max(largest, abs(y[i]))
    for i in range(y.shape[0]):
        y[i] *= _START_INSIDE / largest
    return value * _START_INSIDE / largest, _START_INSIDE


@kernel(signatures=(f"({_V}, {_V}, {_V}, f8, {_V})",))
def _affine_target(g: Array, toward: Array, bend: Array, stiffness: float, target: Array) -> float:
    """Fill `target` with the coefficients that meet the equations and ``g . target = 1``; return the change of the dual value."""
    change = (1.0 - inner(g, bend)) / stiffness
    for j in range(g.shape[0]):
        target[j] = change * toward[j] + bend[j]
    return change


@kernel(signatures=(f"({_M}, {_V}, f8, f8, {_V}, {_V}, {_V}, {_V}, {_M}, {_M})",))
def _correct(
    lines: Array, g: Array, value: float, small: float, y: Array, room: Array, moved: Array, scratch: Array, gram: Array, factor: Array
) -> None:
    """Move y towards its equations in the metric of the distance to the box, so that entries at their bound hardly move."""
    d, n = lines.shape
    error, shift = np.empty(d), np.empty(d)
    for _ in range(2):
        for i in range(n):
            room[i] = max(1.0 - abs(y[i]), 0.0)
        adjoint_times(lines, y, error)
        for j in range(d):
            error[j] = value * g[j] - error[j]
        if inner(error, error) <= small**2:  # a correction that ignores the box moves no entry by more
            return
        weighted_gram(lines, room, scratch, gram)
        if not cholesky(gram, factor):
            return
        cholesky_solve(factor, error, shift)
        table_times(lines, shift, moved)
        for i in range(n):
            if not abs(room[i] * moved[i]) <= room[i]:  # also for NaN: the equations cannot be met inside the box
                return
        for i in range(n):
            y[i] += room[i] * moved[i]


@kernel(signatures=(f"({_M}, {_V}, f8, {_V}, {_V}, {_V}, {_V}, {_V})",))
def _close(lines: Array, g: Array, value: float, x: Array, y: Array, r: Array, moved: Array, error: Array) -> tuple[float, float]:
    """Scale x to norm 1 and y to ``Q.T y = g``, compute both bounds afresh, the upper one with what the equations still lack."""
    rest = meet_equations(lines, g, value, y, moved, error)
    largest = 0.0
    for i in range(y.shape[0]):
        largest = max(largest, abs(y[i]))
        y[i] /= value
    table_times(lines, x, r)
    norm = 0.0
    for i in range(r.shape[0]):
        norm += abs(r[i])
    for j in range(x.shape[0]):
        x[j] /= norm
    return inner(g, x), (largest + rest) / value


@kernel(signatures=(f"({_M}, {_M}, {_M}, {_V}, f8, i8, {_V}, {_V}, i8[::1])",))
def l1_supports(
    lines: Array, targets: Array, starts: Array, weights: Array, tol: float, max_iter: int, lower: Array, upper: Array, steps: Counts
) -> None:
    """Apply `l1_support` to every row of `targets`, started at the rows of `starts`; fill the three results."""
    d, n = lines.shape
    work, x, y = np.empty((10, n)), np.empty(d), np.empty(n)
    for k in range(targets.shape[0]):
        x[:] = starts[k]
        lower[k], upper[k], steps[k] = l1_support(lines, targets[k], weights, tol, max_iter, x, y, work)
