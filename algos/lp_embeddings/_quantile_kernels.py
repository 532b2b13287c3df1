"""Compiled loops of the quantile solvers: element-wise work of the interior point method, the loss of a block, row hashes.

Matrix products stay with BLAS; only passes over vectors are here, each reading its inputs once. Every kernel has a numpy twin in
``tests/algos/lp_embeddings/test_interior_point.py`` or ``test_quantile_regression.py``.

The barrier variables follow the module `interior_point`: ``u = y - lo`` and ``s = hi - y`` are the distances of the dual to its box,
``v - z`` is the residual, and the Newton step needs ``theta = 1 / (z / u + v / s)``.
"""

# Reductions may be reassociated so that they vectorise: they feed step lengths and stopping tests, never a certified number on their own.
# `pinball_block` is the exception that feeds certified sums; it works on at most a few thousand rows, and the blocks are added exactly.

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

Array = npt.NDArray[np.float64]

_REASSOCIATE = {"reassoc", "contract"}
_V = "f8[::1]"


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V})",), fastmath=_REASSOCIATE)
def barrier_state(u: Array, s: Array, z: Array, v: Array, lower: Array, upper: Array, theta: Array, target: Array) -> tuple[float, float]:
    """Fill `theta` and ``target = theta * (v - z)``; return the complementarity gap and the loss of the residual ``v - z``."""
    gap = 0.0
    loss = 0.0
    for i in range(u.shape[0]):
        residual = v[i] - z[i]
        weight = u[i] * s[i] / (z[i] * s[i] + v[i] * u[i])
        theta[i] = weight
        target[i] = weight * residual
        gap += u[i] * z[i] + s[i] * v[i]
        loss += max(upper[i] * residual, lower[i] * residual)
    return gap, loss


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, {_V})",), fastmath=_REASSOCIATE)
def predictor(u: Array, s: Array, z: Array, v: Array, theta: Array, moved: Array) -> tuple[float, float, float, float, float]:
    """Ratio tests and gap coefficients of the affine step whose fitted values change by `moved` = A dx.

    Returns ``(primal, dual, du_part, dz_part, cross)``: the largest relative decrease on the side of (u, s) and of (z, v), and the
    coefficients with which the gap after steps ``a`` and ``b`` is ``gap + a du_part + b dz_part + a b cross``.
    """
    shrink_box = 0.0
    shrink_slack = 0.0
    du_part = 0.0
    dz_part = 0.0
    cross = 0.0
    for i in range(u.shape[0]):
        du = theta[i] * (v[i] - z[i] - moved[i])
        p = du / u[i]
        m = du / s[i]
        dz = -z[i] * (1.0 + p)
        dv = -v[i] * (1.0 - m)
        shrink_box = max(shrink_box, max(-p, m))
        shrink_slack = max(shrink_slack, max(1.0 + p, 1.0 - m))
        du_part += du * (z[i] - v[i])
        dz_part += u[i] * dz + s[i] * dv
        cross += du * (dz - dv)
    return shrink_box, shrink_slack, du_part, dz_part, cross


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, {_V}, f8, {_V}, {_V}, {_V})",))
def corrector(
    u: Array, s: Array, z: Array, v: Array, theta: Array, moved: Array, mu: float, centre_u: Array, centre_s: Array, target: Array
) -> None:
    """Second-order targets after the affine step `moved`: fill `centre_u`, `centre_s` and ``target = theta * (centre_u - centre_s)``."""
    for i in range(u.shape[0]):
        du = theta[i] * (v[i] - z[i] - moved[i])
        dz = -z[i] * (1.0 + du / u[i])
        dv = -v[i] * (1.0 - du / s[i])
        cu = (mu - du * dz) / u[i] - z[i]
        cs = (mu + du * dv) / s[i] - v[i]
        centre_u[i] = cu
        centre_s[i] = cs
        target[i] = theta[i] * (cu - cs)


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V})",), fastmath=_REASSOCIATE)
def combined_direction(
    u: Array, s: Array, z: Array, v: Array, theta: Array, moved: Array, target: Array, centre_u: Array, centre_s: Array
) -> tuple[float, float]:
    """Turn the targets into the step, in place, and return the ratio tests ``(box, slack)``.

    On return `target` holds ``du``, `centre_u` holds ``dz`` and `centre_s` holds ``dv``.
    """
    shrink_box = 0.0
    shrink_slack = 0.0
    for i in range(u.shape[0]):
        du = target[i] - theta[i] * moved[i]
        p = du / u[i]
        m = du / s[i]
        dz = centre_u[i] - z[i] * p
        dv = centre_s[i] + v[i] * m
        target[i] = du
        centre_u[i] = dz
        centre_s[i] = dv
        shrink_box = max(shrink_box, max(-p, m))
        shrink_slack = max(shrink_slack, max(-dz / z[i], -dv / v[i]))
    return shrink_box, shrink_slack


@kernel(signatures=(f"({_V}, {_V}, {_V}, {_V}, {_V}, {_V}, {_V}, f8, f8)",))
def take_step(u: Array, s: Array, z: Array, v: Array, du: Array, dz: Array, dv: Array, box_step: float, slack_step: float) -> None:
    """Move (u, s) by `box_step` and (z, v) by `slack_step`, in place."""
    for i in range(u.shape[0]):
        u[i] += box_step * du[i]
        s[i] -= box_step * du[i]
        z[i] += slack_step * dz[i]
        v[i] += slack_step * dv[i]


@kernel(signatures=(f"(f8[:, ::1], {_V}, f8[:, ::1])",))
def scale_rows(A: Array, weights: Array, out: Array) -> None:
    """Fill `out` with the rows of `A` times the square roots of `weights`."""
    for i in range(A.shape[0]):
        root = np.sqrt(weights[i])
        for j in range(A.shape[1]):
            out[i, j] = root * A[i, j]


@kernel(signatures=(f"({_V}, {_V}, f8, {_V})",), fastmath=_REASSOCIATE)
def pinball_block(residual: Array, weights: Array, quantile: float, slope: Array) -> float:
    """Sum of ``weights * rho(residual)``; `slope` receives the subgradient ``weights * (t if residual > 0 else t - 1)``."""
    total = 0.0
    for i in range(residual.shape[0]):
        slope[i] = weights[i] * (quantile if residual[i] > 0.0 else quantile - 1.0)
        total += slope[i] * residual[i]
    return total


@kernel(signatures=(f"({_V}, {_V}, f8, {_V})",), fastmath=_REASSOCIATE)
def duality_block(residual: Array, weights: Array, quantile: float, dual: Array) -> tuple[float, float]:
    """Return ``(sum w rho(r), sum w rho(r) - y r)``, the second as a sum of terms that are nonnegative when y is in its box."""
    total = 0.0
    slack = 0.0
    for i in range(residual.shape[0]):
        slope = weights[i] * (quantile if residual[i] > 0.0 else quantile - 1.0)
        total += slope * residual[i]
        slack += (slope - dual[i]) * residual[i]
    return total, slack


@kernel(signatures=(f"(f8[:, ::1], {_V}, u8[::1])",))
def row_hashes(A: Array, b: Array, out: npt.NDArray[np.uint64]) -> None:
    """64-bit hash of every row of ``[A b]``: equal bits have equal hashes."""
    bits = np.empty(1, np.float64)
    word = bits.view(np.uint64)
    for i in range(A.shape[0]):
        state = np.uint64(0x9E3779B97F4A7C15)
        for j in range(A.shape[1] + 1):
            bits[0] = A[i, j] if j < A.shape[1] else b[i]
            state = (state ^ word[0]) * np.uint64(0xBF58476D1CE4E5B9)
            state ^= state >> np.uint64(29)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0x94D049BB133111EB)
        out[i] = state ^ (state >> np.uint64(31))
