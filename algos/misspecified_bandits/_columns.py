"""Actions by columns: the columns of a support as contiguous rows, in whole slices, whatever the table is."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from algos.common.validation import is_sparse
from algos.misspecified_bandits._net_kernels import SLICE

__all__ = ["largest_length", "scaled_columns", "support_columns"]

FloatArray = npt.NDArray[np.float64]


def scaled_columns(X: Any, *, each: bool = False) -> Any:
    """Return the table by columns, multiplied by a power of two that brings its largest entry near 1.

    Nothing is rounded, unless an entry is beyond 2**-1000 of the largest, and products of entries do not overflow.

    Parameters
    ----------
    X : ndarray or csr matrix of shape (n, d)
        Finite table, float64 or float32.
    each : bool, default=False
        Whether every column of a dense table has a power of its own.

    Returns
    -------
    ndarray of shape (d, n), C-contiguous, in the type of X; or csc_array of shape (n, d)
    """
    if is_sparse(X):
        columns: Any = sp.csc_array(X)
        largest = float(np.abs(columns.data).max()) if columns.nnz else 0.0
        columns.data = np.ldexp(columns.data.astype(np.float64), -math.frexp(largest)[1])
        return columns
    columns = np.ascontiguousarray(X.T)
    largest_each = np.maximum(columns.max(axis=1), -columns.min(axis=1))
    return np.ldexp(columns, -np.frexp(largest_each if each else np.full_like(largest_each, largest_each.max()))[1][:, None])


def support_columns(columns: Any, support: npt.NDArray[np.int64]) -> FloatArray:
    """Return the columns of a support as rows of float64, filled up to whole slices by repeating the last action.

    Parameters
    ----------
    columns : ndarray of shape (d, n) or csc_array of shape (n, d)
        What `scaled_columns` returned.
    support : ndarray of int64, shape (s,)
        Columns.

    Returns
    -------
    ndarray of float64, of shape (s, n rounded up to a multiple of `SLICE`)
    """
    chosen = columns[:, support].toarray().T if is_sparse(columns) else columns[support]
    n = chosen.shape[1]
    filled = np.empty((chosen.shape[0], -(-n // SLICE) * SLICE))
    filled[:, :n] = chosen
    filled[:, n:] = filled[:, n - 1 : n]
    return filled


def largest_length(X: Any, s: int) -> float:
    """Return the largest Euclidean length of an action on any support of s columns.

    Parameters
    ----------
    X : ndarray or csr matrix of shape (n, d)
        Finite table.
    s : int
        Size of supports.

    Returns
    -------
    float
        The root of the largest sum of the s largest squares in a row, over rows.
    """
    best = 0.0
    rows = max(1, 2**20 // X.shape[1])
    for first in range(0, X.shape[0], rows):
        part = X[first : first + rows]
        part = np.abs(part.toarray() if is_sparse(part) else part).astype(np.float64)
        unit = float(part.max()) or 1.0
        top = np.partition(part / unit, part.shape[1] - s, axis=1)[:, part.shape[1] - s :]
        best = max(best, unit * math.sqrt(float(np.max(np.sum(top * top, axis=1)))))
    return best
