"""Compiled products and small solves on a table kept column by column, for the solvers of the support function.

The solvers run thousands of times on tables of a few thousand rows, where calls into BLAS cost more than the arithmetic. Tables are
stored transposed, one contiguous line for each column, so that every loop below runs along a line.
"""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

Array = npt.NDArray[np.float64]

# Sums may be reassociated so that they vectorise. None of them is a certified number on its own: the bounds that a solver reports allow
# for the rounding of sums of n terms, which is far below every tolerance accepted.
REASSOCIATE = {"reassoc", "contract"}
_V, _M = "f8[::1]", "f8[:, ::1]"
_SLICE = 1024  # entries of a line handled together: ten lines stay in the first-level cache
_MET = 1e-14  # relative residual of the dual equations that is rounding
_FIRST_RIDGE, _LAST_RIDGE = 1e-16, 1e-2  # a larger ridge would decide what is orthogonal to nearly all rows


@kernel(signatures=(f"({_M}, {_V}, {_V}, {_M})",), fastmath=REASSOCIATE)
def weighted_gram(lines: Array, weights: Array, scratch: Array, gram: Array) -> None:
    """Fill the lower triangle of `gram` with ``Q.T diag(weights) Q`` for ``lines = Q.T``; `scratch` has the length of a line."""
    d, n = lines.shape
    for j in range(d):
        for k in range(j, d):
            gram[k, j] = 0.0
    for first in range(0, n, _SLICE):
        part = weights[first : first + _SLICE]  # views start at 0: the compiler then knows that indices are not negative, and vectorises
        scaled = scratch[first : first + _SLICE]
        for j in range(d):
            column = lines[j, first : first + _SLICE]
            for i in range(part.shape[0]):
                scaled[i] = part[i] * column[i]
            k = j
            while k + 1 < d:
                one, two = lines[k, first : first + _SLICE], lines[k + 1, first : first + _SLICE]
                a = 0.0
                b = 0.0
                for i in range(part.shape[0]):
                    a += scaled[i] * one[i]
                    b += scaled[i] * two[i]
                gram[k, j] += a
                gram[k + 1, j] += b
                k += 2
            if k < d:
                one = lines[k, first : first + _SLICE]
                a = 0.0
                for i in range(part.shape[0]):
                    a += scaled[i] * one[i]
                gram[k, j] += a


@kernel(signatures=(f"({_M}, {_V}, {_V})",), fastmath=REASSOCIATE)
def table_times(lines: Array, x: Array, out: Array) -> None:
    """Fill `out` with ``Q x`` for ``lines = Q.T``."""
    d, n = lines.shape
    for i in range(n):
        out[i] = 0.0
    j = 0
    while j + 3 < d:
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        for i in range(n):
            out[i] += x0 * lines[j, i] + x1 * lines[j + 1, i] + x2 * lines[j + 2, i] + x3 * lines[j + 3, i]
        j += 4
    while j < d:
        x0 = x[j]
        for i in range(n):
            out[i] += x0 * lines[j, i]
        j += 1


@kernel(signatures=(f"({_M}, {_V}, {_V})",), fastmath=REASSOCIATE)
def adjoint_times(lines: Array, y: Array, out: Array) -> None:
    """Fill `out` with ``Q.T y`` for ``lines = Q.T``."""
    d, n = lines.shape
    for j in range(d):
        total = 0.0
        for i in range(n):
            total += lines[j, i] * y[i]
        out[j] = total


@kernel(signatures=(f"({_V}, {_V})",))
def inner(a: Array, b: Array) -> float:
    """Inner product of two short vectors."""
    total = 0.0
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@kernel(signatures=(f"({_M}, {_M})",))
def cholesky(gram: Array, lower: Array) -> bool:
    """Factor the lower triangle of `gram`, regularised only as far as float64 demands; False if that is not enough."""
    d = gram.shape[0]
    ridge = _FIRST_RIDGE
    while ridge <= _LAST_RIDGE:
        positive = True
        for j in range(d):
            pivot = gram[j, j] * (1.0 + ridge)
            for k in range(j):
                pivot -= lower[j, k] * lower[j, k]
            if not pivot > 0.0:  # also false for NaN
                positive = False
                break
            root = np.sqrt(pivot)
            lower[j, j] = root
            for i in range(j + 1, d):
                entry = gram[i, j]
                for k in range(j):
                    entry -= lower[i, k] * lower[j, k]
                lower[i, j] = entry / root
        if positive:
            return True
        ridge *= 100.0
    return False


@kernel(signatures=(f"({_M}, {_V}, {_V})",))
def cholesky_solve(lower: Array, b: Array, x: Array) -> None:
    """Solve ``lower @ lower.T @ x = b``."""
    d = b.shape[0]
    for i in range(d):
        entry = b[i]
        for k in range(i):
            entry -= lower[i, k] * x[k]
        x[i] = entry / lower[i, i]
    for i in range(d - 1, -1, -1):
        entry = x[i]
        for k in range(i + 1, d):
            entry -= lower[k, i] * x[k]
        x[i] = entry / lower[i, i]


@kernel(signatures=(f"({_M}, {_V}, f8, {_V}, {_V}, {_V})",))
def meet_equations(lines: Array, g: Array, factor: float, y: Array, moved: Array, error: Array) -> float:
    """Move `y`, in place, to the nearest solution of ``Q.T y = factor * g``; return the length of what was left before the last move.

    The columns of Q are orthonormal, the length of g is 1. The remainder bounds how far any entry of `y` is from an exact solution.
    """
    rest = np.inf
    for _ in range(3):
        adjoint_times(lines, y, error)
        total = 0.0
        for j in range(error.shape[0]):
            error[j] = factor * g[j] - error[j]
            total += error[j] ** 2
        rest = np.sqrt(total)
        if not rest > _MET * abs(factor):
            break
        table_times(lines, error, moved)
        for i in range(y.shape[0]):
            y[i] += moved[i]
    return float(rest)
