r"""Whitening of a tall table: a small matrix that makes its columns orthonormal, from passes over row blocks.

For a table :math:`A` (n rows, d columns, rank r) :func:`whitening` returns :math:`R^{-1}` (d, r) with
:math:`(A R^{-1})^T A R^{-1} = I`. Three paths, from fast to safe:

``gram``
    Cholesky factor of the Gram matrix, columns scaled to unit length. The relative error of squared row norms grows like
    :math:`u \kappa^2` (u = 1.1e-16): about 1e-6 at condition 1e5, and *silently wrong* from about 1e7 on. It is used only while
    :math:`u \kappa^2` is at most ``rtol``, with :math:`\kappa` estimated from the factor and its inverse.
``shifted``
    Cholesky of the Gram matrix plus a tiny multiple of the identity, then up to three rounds on the table whitened so far; the error
    grows like :math:`u \kappa`.
``svd``
    Triangular factor by Householder QR of blocks, then its singular values; decides the rank, for tables whose columns are dependent.
"""

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack

from algos.common.blocks import RowSource
from algos.common.row_products import ScaledTable, checked_scale, row_squares
from algos.common.validation import check_option, check_range

__all__ = ["UNIT_ROUNDOFF", "Whitening", "row_leverages", "whitening"]

Array = NDArray[np.float64]
Path = Literal["gram", "shifted", "svd"]

UNIT_ROUNDOFF = 2.0**-53
"""Largest relative rounding error of one float64 operation."""

_MAX_ROUNDS = 3  # from a shifted start two rounds orthonormalise up to condition 1e14; the third removes what is left
_SETTLED = 10.0  # a round whose factor has at most this condition leaves columns that are orthonormal to about 1e-14
_TRUSTED = 1e7  # above this condition the rounding of a Gram matrix hides its smallest eigenvalue: the rank is in doubt
_RANK_ROWS = 2**12  # the rounding of a factor built from slices stops growing with the number of rows
_SQUARES_SAFE = (1e-250, 1e250)  # squared column lengths whose products neither overflow nor lose digits to underflow
_ENTRIES_SAFE = (1e-280, 1e280)  # largest entries of columns whose reciprocals, times a condition number, are normal numbers


@dataclass(frozen=True, eq=False)
class Whitening:
    """The matrix that whitens a table, and how it was found.

    Parameters
    ----------
    R_inv : ndarray of shape (d, r), float64
        ``A @ R_inv`` has orthonormal columns (with a ridge: ``R_inv.T @ (A.T @ A + ridge I) @ R_inv = I``). Rows that belong to columns
        of zeros are zero.
    rank : int
        Number of columns of ``R_inv``: the numerical rank.
    cond : float
        Estimated condition number of the table with columns scaled to unit length: the product of the 1-norms of the factor and its
        inverse, or the ratio of the extreme singular values kept (``svd``). 1 for a table of zeros.
    method : {"gram", "shifted", "svd"}
        The path that gave the result.
    factors : tuple of ndarray
        Matrices whose product is ``R_inv``. Applied one after the other they lose less to rounding than their product does.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.linalg import whitening
    >>> white = whitening(2.0 * np.eye(3))
    >>> white.apply(np.array([[2.0, 0.0, 0.0]])).tolist()
    [[1.0, 0.0, 0.0]]
    """

    R_inv: Array
    rank: int
    cond: float
    method: Path
    factors: tuple[Array, ...]

    def apply(self, X: Any) -> Array:
        """Return the whitened rows ``X @ R_inv``.

        Parameters
        ----------
        X : ndarray or csr_array of shape (b, d)
            Rows.

        Returns
        -------
        ndarray of shape (b, r), float64
        """
        return reduce(lambda Y, factor: Y @ factor, self.factors, X)


def whitening(
    source: Any,
    *,
    ridge: float = 0.0,
    rtol: float = 1e-6,
    scale: ArrayLike | None = None,
    method: Literal["auto"] | Path = "auto",
    gram: Array | None = None,
) -> Whitening:
    """Whiten the columns of ``diag(scale) @ A`` by the fastest path that is safe.

    Parameters
    ----------
    source : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table A of shape (n, d); n < d is allowed. float32 is read as it is; all arithmetic is float64.
    ridge : float, default=0.0
        Non-negative number added to the diagonal of the Gram matrix.
    rtol : float, default=1e-6
        Largest value of u cond^2 for which ``gram`` is accepted; the relative error of squared row norms is then a small multiple of
        it (10 was the most in 1,500 adversarial tables, far less as a rule). The default allows condition 1e5: less time for tables
        of ordinary quality, and errors that sampling does not notice.
    scale : array-like of shape (n,), optional
        Row multipliers.
    method : {"auto", "gram", "shifted", "svd"}, default="auto"
        A named path is taken whatever the condition number; meant for comparisons.
    gram : ndarray of shape (d, d), optional
        The Gram matrix of ``diag(scale) @ A`` without the ridge, for callers that have added it up in a pass of their own. Nothing is
        read then, unless ``gram`` is not safe.

    Returns
    -------
    Whitening

    Raises
    ------
    ValueError
        NaN or infinite entries, a negative ridge, ``scale`` of another length, a column whose largest entry is not zero and outside
        1e-280..1e280.
    numpy.linalg.LinAlgError
        A named path failed.

    Notes
    -----
    Time n d^2 for ``gram``, two to four times as much for ``shifted``, about ten times for ``svd``; memory O(d^2) and a slice of rows,
    whatever n. No pass is spent on looking for NaN: they show in the diagonal of the Gram matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.linalg import whitening
    >>> A = np.vander(np.linspace(0.0, 1.0, 50), 4)
    >>> white = whitening(A)
    >>> white.rank, white.method
    (4, 'gram')
    >>> Q = A @ white.R_inv
    >>> bool(np.allclose(Q.T @ Q, np.eye(4)))
    True
    """
    ridge = check_range(ridge, name="ridge", low=0.0, high=_ENTRIES_SAFE[1])
    rtol = check_range(rtol, name="rtol", low=0.0, high=1.0)
    check_option(method, ("auto", "gram", "shifted", "svd"), name="method")
    table = ScaledTable.make(source, scale, ridge)
    G, D = _scaled_gram(table, table.gram() if gram is None else gram / table.unit / table.unit)
    if D.shape[1] == 0:
        return Whitening(D, 0, 1.0, "gram" if method == "auto" else method, (D,))
    found = _best_path(table, G, D, rtol) if method == "auto" else _named_path(table, G, D, method)
    if table.unit == 1.0:
        return found
    return replace(found, R_inv=found.R_inv / table.unit, factors=(found.factors[0] / table.unit, *found.factors[1:]))


def _best_path(table: ScaledTable, G: Array, D: Array, rtol: float) -> Whitening:
    if table.ridge == 0.0 and table.source.n_rows < D.shape[1]:
        return _svd_path(table, D)  # fewer rows than columns: the columns are dependent
    quick = _gram_path(G, D)
    if quick is not None and UNIT_ROUNDOFF * quick.cond**2 <= rtol:
        return quick
    return _shifted_path(table, G, D) or _svd_path(table, D)


def _named_path(table: ScaledTable, G: Array, D: Array, method: Path) -> Whitening:
    if method == "svd":
        return _svd_path(table, D)
    found = _gram_path(G, D) if method == "gram" else _shifted_path(table, G, D)
    if found is None:
        raise np.linalg.LinAlgError(f"method={method!r} failed: the columns are dependent to working accuracy; use method='auto'")
    return found


def _scaled_gram(table: ScaledTable, G: Array) -> tuple[Array, Array]:
    """Return the Gram matrix of the nonzero columns scaled to unit length, ridge included, and the (d, k) matrix D that scales them.

    `G` is the plain Gram matrix. No row is read again unless squares overflow or vanish, or a column is zero.
    """
    squares = G.diagonal().copy()
    if not np.isfinite(squares).all():
        table.check_finite()
    kept = np.arange(squares.size)
    lengths = np.ones_like(squares)
    with np.errstate(over="ignore"):
        suspect = ~((squares > _SQUARES_SAFE[0]) & (squares + table.ridge < _SQUARES_SAFE[1]))
    if suspect.any():
        peaks = _checked_peaks(table)
        kept = np.flatnonzero(peaks)
        if suspect[kept].any():
            lengths[kept] = np.maximum(_power_of_two(peaks[kept]), _power_of_two(np.array([math.sqrt(table.ridge)])))
            G_kept = table.gram((_selection(kept, lengths),))
            return _unit_diagonal(G_kept, kept, lengths)
    G_kept = G[np.ix_(kept, kept)]
    G_kept[np.diag_indices(kept.size)] += table.ridge
    return _unit_diagonal(G_kept, kept, lengths)


def _unit_diagonal(G: Array, kept: NDArray[np.intp], lengths: Array) -> tuple[Array, Array]:
    root = np.sqrt(G.diagonal())
    lengths = lengths.copy()
    lengths[kept] *= root
    G = G / np.outer(root, root)
    G[np.diag_indices(kept.size)] = 1.0
    return (G + G.T) / 2.0, _selection(kept, lengths)


def _checked_peaks(table: ScaledTable) -> Array:
    peaks = table.column_peaks()
    outside = np.flatnonzero((peaks > 0.0) & ~((peaks >= _ENTRIES_SAFE[0]) & (peaks <= _ENTRIES_SAFE[1])))
    if outside.size:
        j = outside[0]
        raise ValueError(
            f"column {j} of {table.source.name} has largest entry {peaks[j]:.3g}, outside 1e-280..1e280; multiply the column by a constant"
        )
    return peaks


def _power_of_two(values: Array) -> Array:
    return np.where(values > 0.0, np.ldexp(1.0, np.frexp(values)[1] - 1), 0.0)  # the largest one not above the value


def _selection(kept: NDArray[np.intp], lengths: Array) -> Array:
    D = np.zeros((lengths.size, kept.size))
    D[kept, np.arange(kept.size)] = 1.0 / lengths[kept]
    return D


def _cholesky(G: Array) -> tuple[Array, Array, float] | None:
    """Return (R, inverse of R, condition estimate) with G = R.T R, or None if G is not positive definite to working accuracy."""
    R, failed = lapack.dpotrf(G, lower=0, clean=1)
    if failed:
        return None
    inverse, failed = lapack.dtrtri(R, lower=0)
    if failed:
        return None
    return R, inverse, float(np.linalg.norm(R, 1) * np.linalg.norm(inverse, 1))


def _gram_path(G: Array, D: Array) -> Whitening | None:
    factor = _cholesky(G)
    if factor is None:
        return None
    R_inv = D @ factor[1]
    return Whitening(R_inv, D.shape[1], factor[2], "gram", (R_inv,))


def _shifted_path(table: ScaledTable, G: Array, D: Array) -> Whitening | None:
    R, inverse = _shifted_cholesky(G)
    factors: tuple[Array, ...] = (D @ inverse,)
    for _ in range(_MAX_ROUNDS):
        step = _cholesky(table.gram(factors))  # not scaled again: a column that came out short is a sign of dependence
        if step is None or step[2] > _TRUSTED:
            return None
        factors = (*factors, step[1])
        R, inverse = step[0] @ R, inverse @ step[1]
        if step[2] <= _SETTLED:
            cond = float(np.linalg.norm(R, 1) * np.linalg.norm(inverse, 1))
            return Whitening(reduce(np.matmul, factors), D.shape[1], cond, "shifted", factors)
    return None


def _shifted_cholesky(G: Array) -> tuple[Array, Array]:
    shift = 100.0 * UNIT_ROUNDOFF * float(np.linalg.norm(G, 2))
    while True:  # ends: far below the norm the shift outgrows the rounding error of G, and any Gram matrix becomes definite
        factor = _cholesky(G + shift * np.eye(G.shape[0]))
        if factor is not None:
            return factor[0], factor[1]
        shift *= 10.0


def _svd_path(table: ScaledTable, D: Array) -> Whitening:
    values, right = np.linalg.svd(table.triangle((D,)), full_matrices=False)[1:]
    cutoff = 2.0 * max(min(table.source.n_rows, _RANK_ROWS), D.shape[1]) * UNIT_ROUNDOFF * values[0]
    rank = int(np.count_nonzero(values > cutoff))
    kept = right[:rank].T / values[:rank]
    first = D @ kept
    last = _cholesky(table.gram((first,)))  # removes the departure from orthonormality that the rounding of the first factor left
    factors = (first,) if last is None else (first, last[1])
    return Whitening(reduce(np.matmul, factors), rank, float(values[0] / values[rank - 1]), "svd", factors)


def row_leverages(source: Any, R_inv: ArrayLike | Whitening, *, scale: ArrayLike | None = None, out: Array | None = None) -> Array:
    r"""Return the squared row lengths of ``diag(scale) @ A @ R_inv``: leverage scores when ``R_inv`` whitens that table.

    Parameters
    ----------
    source : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table A of shape (n, d).
    R_inv : ndarray of shape (d, r) or Whitening
        With a :class:`Whitening` its factors are applied one after the other, which is the more accurate way.
    scale : array-like of shape (n,), optional
        Row multipliers.
    out : ndarray of shape (n,), float64, C-contiguous, optional
        Where to write.

    Returns
    -------
    ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        Shapes that do not fit.

    Notes
    -----
    One pass, n d r operations; the product is never kept, so memory beyond the result is a slice of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.linalg import row_leverages
    >>> row_leverages([[3.0, 4.0], [0.0, 1.0]], np.eye(2)).tolist()
    [25.0, 1.0]
    """
    table = RowSource.of(source, name="A")
    factors = R_inv.factors if isinstance(R_inv, Whitening) else (np.ascontiguousarray(R_inv, dtype=np.float64),)
    if factors[0].ndim != 2 or factors[0].shape[0] != table.n_features:
        raise ValueError(
            f"R_inv has shape {factors[0].shape}, the table has {table.n_features} columns; give a matrix with one row for each"
        )
    scaled = ScaledTable(table, None if scale is None else checked_scale(scale, table))
    scores = np.empty(table.n_rows) if out is None else out
    if scores.shape != (table.n_rows,) or scores.dtype != np.float64 or not scores.flags.c_contiguous:
        raise ValueError(
            f"out has shape {scores.shape} and dtype {scores.dtype}; give a C-contiguous float64 array of shape ({table.n_rows},)"
        )
    for block in table:
        for start, Y in scaled.slices(block, factors):
            row_squares(Y, scores[start : start + Y.shape[0]])
    return scores
