r"""Rows seen from a halfspace: margins, distances in the complement, and coordinates there.

A row x is read as :math:`x'=T^\top(x,1)`: lifted by a constant where the halfspace has an intercept, and mapped by an invertible T where
one was chosen. Both turn halfspaces into homogeneous ones and back, so that a statement about all homogeneous halfspaces of the mapped
rows is one about all halfspaces of the rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.spectral import orthonormal_complement
from algos.common.validation import canonical_array, check_finite_rows
from algos.testable_halfspaces._arguments import unit_direction

__all__ = ["MAX_CONDITION", "TINY_SQUARE", "View", "is_invertible", "length_of", "row_source", "whitening_map"]

FloatArray = npt.NDArray[np.float64]

MAX_CONDITION = 1e5
"""Columns that are dependent up to this (columns scaled to unit length) are not whitened: rounding would be amplified too far."""

_U = 2.0**-53

TINY_SQUARE = float(np.finfo(np.float64).tiny)
"""Added to a squared length per term of its sum: squares of shorter numbers underflow, and a short row must not pass for none."""


def row_source(X: Any) -> RowSource:
    """Return the rows as a source of dense blocks; an array is checked here, a stream when it is read."""
    if isinstance(X, RowSource):
        source = X
    elif hasattr(X, "__array__") or isinstance(X, list | tuple):
        blocks = isinstance(X, list | tuple) and bool(X) and getattr(X[0], "ndim", 0) == 2
        source = RowSource(X) if blocks or isinstance(X, np.memmap) else RowSource(canonical_array(X))
    else:
        source = RowSource(X)
    if source.is_sparse:
        raise TypeError("X is sparse, which is not supported here; convert it with X.toarray()")
    return source


def whitening_map(X: Any, *, lift: bool) -> FloatArray | None:
    r"""Return an upper triangular T for which the rows :math:`T^\top(x,1)` have second moments I, or None: columns nearly dependent."""
    source = row_source(X)
    gram = np.zeros((source.n_features + lift, source.n_features + lift))
    for block in source:
        rows = _lifted(block.X, lift)
        with np.errstate(over="ignore", invalid="ignore"):
            gram += rows.T @ rows
    if not np.all(np.isfinite(gram)) or np.any(np.diag(gram) <= 0.0):
        return None
    lengths = np.sqrt(np.diag(gram))
    try:
        factor = np.linalg.cholesky(gram / np.outer(lengths, lengths)).T
    except np.linalg.LinAlgError:
        return None
    if np.linalg.cond(factor) > MAX_CONDITION:
        return None
    inverse = np.linalg.solve(factor, np.eye(len(gram)))
    return np.ascontiguousarray(np.triu(inverse) / lengths[:, None] * np.sqrt(source.n_rows))


def is_invertible(T: npt.NDArray[Any], m: int) -> bool:
    """Whether T is a finite m x m matrix whose rows, scaled to unit length, are independent beyond rounding: units do not matter."""
    if T.shape != (m, m) or T.dtype.kind not in "fiu" or not np.all(np.isfinite(T)):
        return False
    largest = np.max(np.abs(T), axis=1, keepdims=True)
    if not np.all(largest > 0.0):
        return False
    scaled = T / largest
    return bool(np.linalg.matrix_rank(scaled / np.linalg.norm(scaled, axis=1, keepdims=True)) == m)


def _lifted(rows: npt.NDArray[Any], lift: bool) -> FloatArray:
    rows = np.asarray(rows, dtype=np.float64)
    return np.column_stack([rows, np.ones(len(rows))]) if lift else rows


def length_of(v: FloatArray) -> float:
    """Return the length of a vector whose squares may overflow or underflow: its unit is one over that of the rows."""
    largest = float(np.max(np.abs(v), initial=0.0))
    return largest * float(np.linalg.norm(v / largest)) if 0.0 < largest < np.inf else largest


@dataclass(frozen=True, eq=False)
class View:
    """Rows seen from a halfspace.

    Attributes
    ----------
    source : RowSource
        The rows as given.
    w : ndarray of shape (m,)
        Unit normal in mapped coordinates.
    project : ndarray of shape (d + lift, m - 1)
        Maps a lifted row to its coordinates z in the complement of w.
    lift : bool
    t : ndarray of shape (n,)
        Margins.
    rho : ndarray of shape (n,)
        Lengths of z, never too small.
    blur : ndarray of shape (n,)
        Margins up to this size may have the wrong sign by rounding.
    """

    source: RowSource
    w: FloatArray
    project: FloatArray
    lift: bool
    t: FloatArray
    rho: FloatArray
    blur: FloatArray

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.t)

    @property
    def k(self) -> int:
        """Dimension of the complement."""
        return int(self.project.shape[1])

    @classmethod
    def of(cls, X: Any, w: Any, *, lift: bool = False, transform: FloatArray | None = None) -> "View":
        """Read all rows once.

        Parameters
        ----------
        X : array-like or any source of rows of shape (n, d)
        w : array-like of shape (d + lift,)
            Normal in the original coordinates, the intercept last.
        lift : bool, default=False
            Whether a constant 1 is appended to every row.
        transform : ndarray of shape (d + lift, d + lift), optional
            T.
        """
        source = row_source(X)
        given = unit_direction(w, source.n_features + lift)
        T = np.eye(given.size) if transform is None else transform
        mapped = given if transform is None else np.linalg.solve(T, given)
        length = float(np.linalg.norm(mapped))
        mapped = np.asarray(mapped / length, dtype=np.float64)
        along = given / length  # the same margin, from the original coordinates: its rounding does not depend on T
        project = np.ascontiguousarray(T @ orthonormal_complement(mapped))
        pieces: tuple[list[FloatArray], ...] = ([], [], [])
        for block in source:
            for column, piece in zip(pieces, _measure(block.X, block.start, along, None if transform is None else T, lift), strict=True):
                column.append(piece)
        t, rho, blur = (_joined(column) for column in pieces)
        return cls(source, mapped, project, lift, t, rho, blur)

    def coordinates(self, chosen: npt.NDArray[np.bool_]) -> FloatArray:
        """Return z of the chosen rows, in order."""
        z = np.empty((int(np.count_nonzero(chosen)), self.k))
        filled = 0
        for block in self.source:
            here = chosen[block.start : block.stop]
            if here.any():
                rows = np.asarray(block.X if here.all() else block.X[here], dtype=np.float64)
                part = z[filled : filled + len(rows)]
                np.matmul(rows, self.project[: rows.shape[1]], out=part)
                if self.lift:
                    part += self.project[-1]
                filled += len(rows)
        return z


def _joined(pieces: list[FloatArray]) -> FloatArray:
    """Join columns and let go of the pieces, so that a long table is held twice for one column at a time."""
    whole = np.concatenate(pieces)
    pieces.clear()
    return whole


def _measure(
    rows: npt.NDArray[Any], start: int, along: FloatArray, T: FloatArray | None, lift: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    rows = np.asarray(rows, dtype=np.float64)
    d = rows.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        t = rows @ along[:d] + (along[d] if lift else 0.0)
        length = np.einsum("ij,ij->i", rows, rows) + lift + (d + 2) * TINY_SQUARE
        mapped = length
        if T is not None:
            image = rows @ T[:d] + (T[d] if lift else 0.0)
            mapped = np.einsum("ij,ij->i", image, image) + (d + 2) * TINY_SQUARE
        square = np.maximum(mapped - t * t, 0.0) + 8.0 * (d + 2) * _U * mapped
    if not np.all(np.isfinite(square)):
        check_finite_rows(rows, start=start)
        raise ValueError("X has entries whose squares overflow; divide X by a constant")
    return t, np.sqrt(square), 4.0 * (d + 2) * _U * np.sqrt(length) * length_of(along)
