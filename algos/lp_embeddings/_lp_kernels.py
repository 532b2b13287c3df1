"""Compiled loops of lp regression: powers of residuals, and what a Newton step and its line search need of them.

Each kernel reads its vectors once. Sums are taken over fixed stretches of rows first, so that their rounding does not grow with the
number of rows. Every kernel has a numpy twin in ``tests/algos/lp_embeddings/test_lp_regression.py``.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

Array = npt.NDArray[np.float64]

_STRETCH = 4096
_TINY = 1e-12  # residuals below this share of the typical one have no curvature that float64 could use
_REASSOCIATE = {"reassoc", "contract"}
_V = "f8[::1]"


@kernel(signatures=("(f8, f8)",))
def power(base: float, exponent: float) -> float:
    """Return ``base**exponent`` for a positive base; the exponents of common p without a call of the mathematical library."""
    if exponent == 0.0:
        return 1.0
    if exponent == 1.0:
        return base
    if exponent == 2.0:
        return base * base
    if exponent == 0.5:
        return float(np.sqrt(base))
    if exponent == -0.5:
        return float(1.0 / np.sqrt(base))
    return float(base**exponent)


@kernel(signatures=(f"({_V}, {_V}, f8, f8)",), fastmath=_REASSOCIATE)
def power_sum(values: Array, weights: Array, unit: float, p: float) -> float:
    """Sum of ``weights * |values / unit|**p``."""
    total = 0.0
    for start in range(0, values.shape[0], _STRETCH):
        part = 0.0
        for i in range(start, min(start + _STRETCH, values.shape[0])):
            size = abs(values[i]) / unit
            if size > 0.0:
                part += weights[i] * power(size, p - 2.0) * size * size
        total += part
    return total


@kernel(signatures=(f"({_V}, {_V}, f8, f8)",), fastmath=_REASSOCIATE)
def dual_power_sum(dual: Array, weights: Array, unit: float, conjugate: float) -> float:
    """Sum of ``weights * |dual / (weights * unit)|**conjugate``, all weights positive."""
    total = 0.0
    for start in range(0, dual.shape[0], _STRETCH):
        part = 0.0
        for i in range(start, min(start + _STRETCH, dual.shape[0])):
            size = abs(dual[i]) / (weights[i] * unit)
            if size > 0.0:
                part += weights[i] * power(size, conjugate - 2.0) * size * size
        total += part
    return total


@kernel(signatures=(f"({_V}, {_V}, f8, f8, f8, {_V}, {_V})",))
def curvature(residual: Array, weights: Array, unit: float, p: float, floor: float, root: Array, pull: Array) -> None:
    """Fill ``root**2 = weights * max(|u|, floor)**(p - 2)`` and ``pull = weights * |u|**(p - 2) * u`` for ``u = residual / unit``."""
    for i in range(residual.shape[0]):
        u = residual[i] / unit
        size = abs(u)
        c = weights[i] * power(max(size, floor), p - 2.0)
        root[i] = np.sqrt(c)
        pull[i] = c * u
        if 0.0 < size < floor:
            pull[i] = weights[i] * power(size, p - 2.0) * u


@kernel(signatures=(f"({_V}, {_V}, {_V}, f8, f8, f8)",), fastmath=_REASSOCIATE)
def along_line(residual: Array, moved: Array, weights: Array, unit: float, p: float, step: float) -> tuple[float, float, float]:
    """Return the sum F of ``weights |t|**p`` with ``t = residual / unit - step * moved``, and slope and curvature of F / p in `step`."""
    total = slope = curvature_ = 0.0
    for start in range(0, residual.shape[0], _STRETCH):
        part = part_slope = part_curvature = 0.0
        for i in range(start, min(start + _STRETCH, residual.shape[0])):
            t = residual[i] / unit - step * moved[i]
            c = weights[i] * power(max(abs(t), _TINY), p - 2.0)
            part += c * t * t
            part_slope -= c * t * moved[i]
            part_curvature += c * moved[i] * moved[i]
        total += part
        slope += part_slope
        curvature_ += part_curvature
    return total, slope, (p - 1.0) * curvature_
