r"""Support function of the lp ball of a table: the one question behind every sensitivity, answered with a proof.

For a table A and a direction g

.. math::

    h(g) = \max\{g\cdot x : \|Ax\|_p \le 1\} = \min\{\|y\|_{p'} : A^\top y = g\}, \qquad 1/p + 1/p' = 1 .

Any x bounds h from below by :math:`g\cdot x/\|Ax\|_p`, any y with :math:`A^\top y = g` bounds it from above. The sensitivity of row i is
:math:`h(a_i)^p`.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.validation import check_range
from algos.lp_embeddings._arguments import checked_exponent
from algos.lp_embeddings._support_problem import WhitenedTable

__all__ = ["SupportResult", "lp_support"]

FloatArray = npt.NDArray[np.float64]

_OUTSIDE = 1e-8  # part of g outside the row space, relative to its size in the units of each column, that is not rounding
_REFINEMENTS = 3


@dataclass(frozen=True, eq=False)
class SupportResult:
    r"""Maximiser of a linear form over an lp ball with the dual vector that proves it; unpacks as ``x, y, lower, upper``.

    Attributes
    ----------
    x : ndarray of shape (d,)
        Coefficients with :math:`\|Ax\|_p = 1`.
    y : ndarray of shape (n,)
        Dual vector with :math:`A^\top y = g`.
    lower, upper : float
        :math:`g\cdot x` and :math:`\|y\|_{p'}`, between which the support function lies.
    """

    x: FloatArray
    y: FloatArray
    lower: float
    upper: float

    def __iter__(self) -> Iterator[FloatArray | float]:
        return iter((self.x, self.y, self.lower, self.upper))


def lp_support(A: Any, g: npt.ArrayLike, p: float, *, tol: float = 1e-6, x0: npt.ArrayLike | None = None) -> SupportResult:
    r"""Maximise a linear form over the lp ball of a table, with primal and dual certificate.

    .. math:: h(g) = \max\{g\cdot x : \|Ax\|_p \le 1\} = \min\{\|y\|_{p'} : A^\top y = g\}

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d), of any rank. A whitened copy, n times the rank, is held in memory.
    g : array-like of shape (d,)
        Direction. It has to be a combination of the rows of A; otherwise the maximum is infinite.
    p : float
        Exponent, 1 <= p < inf.
    tol : float, default=1e-6
        Wanted ``upper / lower - 1``. Certificates are computed in float64: about 1e-9 can be had for p up to 10.
    x0 : array-like of shape (d,), optional
        First iterate, for example the solution for a similar direction; its length does not matter. By default the solution for p = 2.

    Returns
    -------
    SupportResult
        ``x`` (of minimum norm up to the scaling of the columns when A is rank deficient), ``y``, ``lower``, ``upper``. Both bounds
        hold whether or not the iteration converged. Zeros when g is zero.

    Raises
    ------
    ValueError
        g outside the row space of A (the message names the residual), p outside [1, inf), wrong shapes, NaN or infinite entries, an
        ``x0`` with ``g . x0 = 0``.

    Warns
    -----
    ConvergenceWarning
        The bracket is wider than ``tol``; it is returned as it is. To be expected only for 1 < p < 1.05, where gaps of 1e-4 (p = 1.01) to a
        few percent (p = 1.001) can remain, and for ``tol`` below 1e-7.

    Notes
    -----
    p = 2 has a closed form. For p = 1 a primal-dual interior point method keeps a feasible dual from the first step on; 5 to 35 steps.
    For other p reweighted least squares with a line search, which is Newton's method; 3 to 30 steps. It is not used at p = 1, where its
    dual can stall with a gap of percents. A step costs one Gram matrix, n d^2 operations; memory is a dozen vectors of length n beside
    the whitened copy.

    References
    ----------
    Derived: docs/theory/lp_embeddings.md, "One sensitivity".

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import lp_support
    >>> A = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> result = lp_support(A, A[2], 1.0)
    >>> round(result.lower, 5), round(result.upper, 5)
    (0.5, 0.5)
    """
    p = checked_exponent(p)
    tol = check_range(tol, name="tol", low=0.0, low_open=True)
    source = RowSource.of(A, name="A")
    form = _vector(g, source.n_features, "g")
    start = None if x0 is None else _vector(x0, source.n_features, "x0")
    table = WhitenedTable.of(source)
    if not np.any(form):
        return SupportResult(np.zeros(source.n_features), np.zeros(source.n_rows), 0.0, 0.0)
    unit = float(np.max(np.abs(form)))
    form = form / unit
    whitened, spanning = _spanned(table, form)
    size = float(np.linalg.norm(whitened))
    direction = whitened / size
    if p == 2.0:
        x, y = direction, spanning / size
    else:
        x, y = table.support(direction, p, direction if start is None else _whitened_start(table, form, start, direction), tol)[:2]
    return _certified(table, form, p, table.coefficients(x), size * y, unit, tol)


def _spanned(table: WhitenedTable, form: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the form in whitened coordinates and a y with ``A.T y = form``; raise if there is none."""
    whitened = table.direction(form)
    y = whitened @ table.lines
    for _ in range(_REFINEMENTS):
        residual = form - table.combine_rows(y)
        correction = table.direction(residual)
        whitened, y = whitened + correction, y + correction @ table.lines
    residual = np.abs(form - table.combine_rows(y))
    # relative to what the rounding of a column's product with y is: entries of y that should be 0 meet large entries of other columns
    share = residual / np.maximum(table.column_peaks() * float(np.linalg.norm(y)) + np.abs(form), np.finfo(float).tiny)
    worst = int(np.argmax(share))
    if share[worst] > _OUTSIDE:
        raise ValueError(
            "g is not a combination of the rows of A, so the maximum is infinite: the residual of A.T @ y = g is "
            f"{residual[worst]:.3g} times the largest entry of g, in column {worst}; project g on the row space, or drop that column"
        )
    return whitened, y


def _whitened_start(table: WhitenedTable, form: FloatArray, start: FloatArray, direction: FloatArray) -> FloatArray:
    if not np.any(start):
        raise ValueError("x0 is zero, so its direction is not defined; give other coefficients or leave x0 out")
    start = start / float(np.max(np.abs(start)))
    whitened = table.lines @ table.products(start)
    along = float(direction @ whitened)
    if abs(along) <= 1e-12 * float(np.linalg.norm(whitened)):
        raise ValueError(
            f"g . x0 = {float(form @ start):.3g} is zero up to rounding: x0 says nothing about g; give another x0 or leave it out"
        )
    return whitened if along > 0.0 else -whitened


def _certified(table: WhitenedTable, form: FloatArray, p: float, x: FloatArray, y: FloatArray, unit: float, tol: float) -> SupportResult:
    """Recompute both bounds from the table itself, not from its whitened copy."""
    for _ in range(2):
        y = y + table.direction(form - table.combine_rows(y)) @ table.lines
    x = x / norm(table.products(x), p)
    lower, upper = float(form @ x), norm(y, p / (p - 1.0) if p > 1.0 else np.inf)
    if not upper <= lower * (1.0 + tol):
        from sklearn.exceptions import ConvergenceWarning  # importing scikit-learn costs seconds, and this is rare

        warnings.warn(
            f"lp_support(p={p:g}) bounds the maximum between {lower * unit:.6g} and {upper * unit:.6g}, wider than tol={tol:g}; "
            "the bounds are valid: raise tol, or start from a better x0",
            ConvergenceWarning,
            stacklevel=3,
        )
    return SupportResult(x, y * unit, lower * unit, upper * unit)


def norm(r: FloatArray, p: float) -> float:
    """Return the lp norm of a vector for any p in [1, inf], without overflow."""
    largest = float(np.max(np.abs(r), initial=0.0))
    if largest == 0.0 or p == np.inf:
        return largest
    return largest * math.pow(float(np.sum((np.abs(r) / largest) ** p)), 1.0 / p)


def _vector(values: npt.ArrayLike, length: int, name: str) -> FloatArray:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (length,):
        raise ValueError(f"{name} has shape {vector.shape}; one number for each of the {length} columns of A is needed, shape ({length},)")
    if not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} has NaN or infinite entries; replace them")
    return vector
