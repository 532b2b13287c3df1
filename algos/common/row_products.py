"""Products of a table's rows with small matrices, a cache-sized slice at a time: Gram matrices, triangular factors, row lengths."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from algos.common.blocks import Block, RowSource, tree_sum
from algos.common.kernels import kernel
from algos.common.validation import check_finite_rows, is_sparse

__all__ = ["ScaledTable", "csr_gram", "row_squares"]

Array = NDArray[np.float64]
Factors = tuple[Array, ...]

_SLICE_ENTRIES = 2**18  # a row slice of this size stays in the second-level cache while it is multiplied
_MIN_SLICE, _MAX_SLICE = 2**8, 2**13
_SCALE_SAFE = (1e-100, 1e100)  # row multipliers whose squares are harmless


@kernel(signatures=("(f8[:, ::1], f8[::1])",), fastmath={"reassoc", "contract"})
def row_squares(Y: Array, out: Array) -> None:
    """Write the squared Euclidean length of every row of ``Y`` (b, r) into ``out`` (b,).

    Sums may be reassociated, so that they are vectorised: all terms are non-negative, so the relative error stays below r u.
    """
    for i in range(Y.shape[0]):
        total = 0.0
        for j in range(Y.shape[1]):
            total += Y[i, j] * Y[i, j]
        out[i] = total


@kernel(signatures=("(Array(f8, 1, 'C', True), Array(i8, 1, 'C', True), Array(i8, 1, 'C', True), f8[:, ::1])",))
def csr_gram(data: Array, indices: NDArray[np.int64], indptr: NDArray[np.int64], out: Array) -> None:
    """Add the upper triangle of the Gram matrix of CSR rows (columns sorted) to ``out`` (d, d).

    The work is half the sum over rows of the squared number of entries.
    """
    for i in range(indptr.shape[0] - 1):
        for a in range(indptr[i], indptr[i + 1]):
            value, row = data[a], indices[a]
            for b in range(a, indptr[i + 1]):
                out[row, indices[b]] += value * data[b]


@dataclass(frozen=True, eq=False)
class ScaledTable:
    """The table ``diag(scale) A`` with ``sqrt(ridge) I`` below it, never formed.

    Parameters
    ----------
    source : RowSource
        Rows of A (n, d).
    scale : ndarray of shape (n,) or None
        Row multipliers, divided by ``unit``.
    ridge : float
        Ridge, divided by ``unit**2``.
    unit : float
        Power of two that was divided out, so that squares of multipliers neither overflow nor vanish.
    """

    source: RowSource
    scale: Array | None = None
    ridge: float = 0.0
    unit: float = 1.0

    @classmethod
    def make(cls, X: Any, scale: ArrayLike | None = None, ridge: float = 0.0) -> "ScaledTable":
        """Check the multipliers and bring them into a safe range.

        Parameters
        ----------
        X : table
            Whatever :class:`~algos.common.blocks.RowSource` reads.
        scale : array-like of shape (n,), optional
            Row multipliers.
        ridge : float, default=0.0
            Non-negative.

        Returns
        -------
        ScaledTable

        Raises
        ------
        ValueError
            ``scale`` of another length, or with NaN or infinite entries.
        """
        source = RowSource.of(X, name="A")
        if scale is None:
            return cls(source, None, ridge)
        factors = checked_scale(scale, source)
        largest = float(np.abs(factors).max())
        if largest == 0.0 or _SCALE_SAFE[0] < largest < _SCALE_SAFE[1]:
            return cls(source, factors, ridge)
        unit = math.ldexp(1.0, math.frexp(largest)[1] - 1)
        return cls(source, factors / unit, ridge / unit / unit, unit)

    def slices(self, block: Block, factors: Factors) -> Iterator[tuple[int, Array]]:
        """Yield the rows of a block, multiplied and scaled, as (number of the first row, dense slice).

        The slice is overwritten by the next one. Multipliers are applied after the first factor, which brings the entries near 1.
        """
        rows = _slice_rows(max([self.source.n_features, *(factor.shape[1] for factor in factors)]))
        buffers: dict[int, Array] = {}
        for first in range(0, block.X.shape[0], rows):
            X = block.X[first : first + rows]
            start = block.start + first
            scale = None if self.scale is None else self.scale[start : start + X.shape[0]]
            yield start, _product(X, scale, factors, buffers)

    def gram(self, factors: Factors = ()) -> Array:
        """Return the Gram matrix of ``diag(scale) A F_1 F_2 ...`` plus the ridge's share, in one pass."""
        with np.errstate(over="ignore", invalid="ignore"):
            G = tree_sum(self._block_gram(block, factors) for block in self.source)
        if self.ridge > 0.0 and factors:
            below = ridge_rows(self.ridge, factors)
            return G + below.T @ below
        return G

    def _block_gram(self, block: Block, factors: Factors) -> Array:
        if not factors and is_sparse(block.X):
            return self._sparse_gram(block)
        if not factors and self.scale is None and block.X.dtype == np.float64:
            return block.X.T @ block.X  # type: ignore[no-any-return]  # numpy calls syrk here: half the work of a product
        size = factors[-1].shape[1] if factors else self.source.n_features
        G = np.zeros((size, size))
        for _, Y in self.slices(block, factors):
            G += Y.T @ Y
        return G

    def _sparse_gram(self, block: Block) -> Array:
        X = block.X
        data = np.asarray(X.data, dtype=np.float64)
        if self.scale is not None:
            data = data * np.repeat(self.scale[block.start : block.stop], np.diff(X.indptr))
        G = np.zeros((self.source.n_features, self.source.n_features))
        csr_gram(_read_only(data), _read_only(X.indices), _read_only(X.indptr), G)
        return np.triu(G) + np.triu(G, 1).T

    def triangle(self, factors: Factors) -> Array:
        """Return R of the QR factorisation of ``diag(scale) A F_1 ...`` with the ridge rows below, in one pass.

        Shape (min(rows, r), r). Slices are factorised one below the other within a block, blocks in a tree.
        """
        R = tree_sum((self._block_triangle(block, factors) for block in self.source), _stacked_triangle)
        return _stacked_triangle(R, ridge_rows(self.ridge, factors)) if self.ridge > 0.0 else R

    def _block_triangle(self, block: Block, factors: Factors) -> Array:
        R = np.zeros((0, factors[-1].shape[1]))
        for _, Y in self.slices(block, factors):
            R = _stacked_triangle(R, Y)
        return R

    def column_peaks(self) -> Array:
        """Return the largest absolute entry of every column of ``diag(scale) A``, in one pass."""
        peaks: Array = np.zeros(self.source.n_features)
        with np.errstate(over="ignore"):
            for block in self.source:
                for _, Y in self._scaled_slices(block):
                    np.maximum(peaks, _column_peaks(Y), out=peaks)
        return peaks

    def _scaled_slices(self, block: Block) -> Iterator[tuple[int, Any]]:
        if not is_sparse(block.X):
            return self.slices(block, ())
        scale = None if self.scale is None else self.scale[block.start : block.stop]
        return iter([(block.start, block.X if scale is None else sp.csr_array(block.X.multiply(scale[:, None])))])

    def check_finite(self) -> None:
        """Raise ValueError naming the first NaN or infinite entry of A, if there is one."""
        for block in self.source:
            X = block.X
            if is_sparse(X):
                bad = np.flatnonzero(~np.isfinite(X.data))[:1]
                row = int(np.searchsorted(X.indptr, bad[0], side="right")) - 1 if bad.size else 0
                X, start = X[row : row + 1].toarray(), block.start + row
            else:
                start = block.start
            check_finite_rows(X, name=self.source.name, start=start)


def checked_scale(scale: ArrayLike, source: RowSource) -> Array:
    """Return row multipliers as float64 after checking their length and their values."""
    factors = np.asarray(scale, dtype=np.float64)
    if factors.shape != (source.n_rows,):
        raise ValueError(f"scale has shape {factors.shape}, one multiplier for each of the {source.n_rows} rows is needed")
    if not np.isfinite(factors.sum()):
        check_finite_rows(factors.reshape(-1, 1), name="scale")
    return factors


def ridge_rows(ridge: float, factors: Factors) -> Array:
    """Return ``sqrt(ridge) F_1 F_2 ...``: the rows that a ridge appends to the table."""
    rows = math.sqrt(ridge) * factors[0]
    for factor in factors[1:]:
        rows = rows @ factor
    return rows


def _slice_rows(width: int) -> int:
    fitting = max(_SLICE_ENTRIES // max(width, 1), 1)
    power: int = 1 << (fitting.bit_length() - 1)
    return min(max(power, _MIN_SLICE), _MAX_SLICE)  # a power of two, so that slices fill blocks exactly


def _product(X: Any, scale: Array | None, factors: Factors, buffers: dict[int, Array]) -> Array:
    if factors and not is_sparse(X) and X.dtype == np.float64:
        Y = np.matmul(X, factors[0], out=_buffer(buffers, 1, X.shape[0], factors[0].shape[1]))
    elif factors:
        Y = np.ascontiguousarray((X.astype(np.float64) if X.dtype != np.float64 else X) @ factors[0])
    elif scale is None:
        return np.asarray(X.toarray() if is_sparse(X) else X, dtype=np.float64)
    else:
        dense: np.ndarray = X.toarray() if is_sparse(X) else X
        np.multiply(dense, scale[:, None], out=_buffer(buffers, 0, *dense.shape))
        return buffers[0][: X.shape[0]]
    if scale is not None:
        Y *= scale[:, None]
    for k, factor in enumerate(factors[1:], start=2):
        Y = np.matmul(Y, factor, out=_buffer(buffers, k, Y.shape[0], factor.shape[1]))
    return Y


def _buffer(buffers: dict[int, Array], k: int, rows: int, columns: int) -> Array:
    if k not in buffers:
        buffers[k] = np.empty((rows, columns))
    return buffers[k][:rows]


def _stacked_triangle(above: Array, below: Array) -> Array:
    R: Any = np.linalg.qr(np.concatenate([above, below]), mode="r")
    return np.asarray(R, dtype=np.float64)


def _column_peaks(X: Any) -> Array:
    peaks: Array = np.zeros(X.shape[1])
    if is_sparse(X):
        np.maximum.at(peaks, X.indices, np.abs(X.data))
    else:
        np.maximum(X.max(axis=0), -X.min(axis=0), out=peaks)
    return peaks


def _read_only(values: np.ndarray) -> np.ndarray:
    view = values.view()
    view.flags.writeable = False  # numba compiles read-only and writable arguments apart: always pass the former
    return view
