"""Rows in blocks: one way to read an array, a memory-mapped file, a sparse table, a dask array or a stream of blocks.

Every source is read in blocks of the same fixed number of rows, whatever pieces it comes in, and sums over blocks are taken in a fixed
pairwise order. Results are therefore the same to the last bit for a table in memory and for the same table in pieces.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp

from algos.common.validation import as_table, canonical_array, canonical_rows, is_sparse, real_dtype

__all__ = ["BLOCK_ROWS", "Block", "RowSource", "row_blocks", "tree_sum"]

T = TypeVar("T")

BLOCK_ROWS = 2**16
"""Rows in a block: long enough that the cost of a block in Python does not count, short enough for memory."""


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows of a table.

    Parameters
    ----------
    start : int
        Number of the first row.
    X : ndarray or csr_array of shape (b, d)
        Rows; a view of the source where that is possible.
    y : ndarray of shape (b,) or (b, k), or None
        Targets of these rows.
    weights : ndarray of shape (b,) or None
        Weights of these rows.
    """

    start: int
    X: Any
    y: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def stop(self) -> int:
        """Number of the row after the last one."""
        return self.start + int(self.X.shape[0])


class RowSource:
    """A table that can be read from the first row to the last as often as needed.

    Parameters
    ----------
    X : array-like, memmap, sparse matrix, dask array, or re-iterable of blocks
        Table of shape (n, d). A list or tuple whose first item is a 2-D array, any other object with ``__iter__`` that starts
        again each time, and a function without arguments that returns an iterator are taken as blocks, top to bottom. An array, also a
        memory-mapped one, is never copied as a whole: other types than float64 and float32, and column-major order, are converted block
        by block. A dask array is computed one row chunk at a time; a chunk has to fit in memory.
    y : array-like of shape (n,) or (n, k), optional
        Targets.
    weights : array-like of shape (n,), optional
        Row weights.
    name : str, default="X"
        Name of the table in messages.

    Attributes
    ----------
    n_rows : int
        Number of rows. For a stream of blocks this costs one pass unless a pass was made before.
    n_features : int
        Number of columns.
    is_sparse : bool
        Whether blocks are ``csr_array``.
    dtype : dtype
        float64 or float32.
    has_target : bool
        Whether ``y`` was given.

    Raises
    ------
    TypeError
        A source that can be read only once, or not a table.
    ValueError
        Empty, not two-dimensional, blocks of different width or kind, ``y`` or ``weights`` of another length, or a stream whose
        second pass has another number of rows.

    Notes
    -----
    Iterating yields :class:`Block` of exactly ``BLOCK_ROWS`` rows (the last one shorter). NaN and infinite entries are not looked
    for here; the algorithms see them in their first pass.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.blocks import RowSource
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> whole, pieces = RowSource(X), RowSource([X[:1], X[1:6]])
    >>> pieces.n_rows, pieces.n_features
    (6, 2)
    >>> all((a.X == b.X).all() for a, b in zip(whole, pieces))
    True
    """

    def __init__(self, X: Any, y: Any = None, weights: Any = None, *, name: str = "X") -> None:
        self.name = name
        self._pieces, table = _reader(X, name)
        self._table = table
        self._n_rows: int | None = None if table is None else int(table.shape[0])
        first = table
        if table is None:  # dask knows the kind and type of its chunks; other streams are asked for their first piece
            first = X._meta if hasattr(X, "_meta") else next(iter(self._pieces()), None)
        if first is None:
            raise ValueError(f"{name} has no blocks; at least one row is needed")
        self.n_features: int = int((X if hasattr(X, "_meta") else first).shape[1])
        self.is_sparse: bool = is_sparse(first)
        self.dtype: np.dtype[Any] = np.dtype(real_dtype(first.dtype, name))
        self._y = None if y is None else np.asarray(y)
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        for label, values in (("y", self._y), ("weights", self._weights)):
            if values is not None and (values.ndim == 0 or values.shape[0] != self.n_rows):
                raise ValueError(f"{label} has shape {values.shape}, {name} has {self.n_rows} rows; give one entry per row")

    @classmethod
    def of(cls, X: Any, *, name: str = "X") -> "RowSource":
        """Return ``X`` itself if it is a source already, else a source that reads it under the given name."""
        return X if isinstance(X, RowSource) else cls(X, name=name)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        if self._n_rows is None:
            self._n_rows = sum(piece.shape[0] for piece in self._checked_pieces())
        return self._n_rows

    @property
    def has_target(self) -> bool:
        """Whether ``y`` was given."""
        return self._y is not None

    def __iter__(self) -> Iterator[Block]:
        return self.blocks(BLOCK_ROWS)

    def blocks(self, rows: int) -> Iterator[Block]:
        """Yield blocks of ``rows`` rows, the last one shorter.

        Parameters
        ----------
        rows : int
            Rows in a block; at least 1.

        Yields
        ------
        Block
        """
        if rows < 1:
            raise ValueError(f"rows={rows} is not positive; give at least 1")
        start = 0
        for X in self._cut(rows):
            stop = start + X.shape[0]
            y = None if self._y is None else self._y[start:stop]
            weights = None if self._weights is None else self._weights[start:stop]
            yield Block(start, X, y, weights)
            start = stop
        if self._n_rows is not None and self._n_rows != start:
            raise ValueError(
                f"{self.name} had {self._n_rows} rows in one pass and {start} in another; a source must give the same rows each time"
            )
        self._n_rows = start

    def _cut(self, rows: int) -> Iterator[Any]:
        if self._table is not None:
            for first in range(0, self._table.shape[0], rows):
                yield _slice(self._table, first, first + rows)
        else:
            yield from _reblock(self._checked_pieces(), rows, self.is_sparse)

    def _checked_pieces(self) -> Iterator[Any]:
        count = 0
        for count, piece in enumerate(self._pieces(), start=1):
            kind, expected = _kind(piece), (self.n_features, self.is_sparse, self.dtype)
            if kind != expected:
                raise ValueError(
                    f"block {count - 1} of {self.name} has (columns, sparse, dtype) = {kind}, the first {expected}; make the blocks alike"
                )
            yield piece
        if not count:
            raise ValueError(f"{self.name} gave no blocks in a later pass; give an object that can be read again, such as a list")


def _kind(piece: Any) -> tuple[int, bool, np.dtype[Any]]:
    return int(piece.shape[1]), is_sparse(piece), np.dtype(piece.dtype)


def _reader(X: Any, name: str) -> tuple[Callable[[], Iterator[Any]], Any]:
    """Return a function that reads the pieces again each time, and the table itself if it is one piece."""
    if hasattr(X, "to_delayed") and hasattr(X, "chunks"):
        return _dask_reader(X, name), None
    stream = X if callable(X) and not hasattr(X, "__iter__") else _block_iterable(X, name)
    if stream is None:
        table = _whole_table(X, name)
        return lambda: iter((table,)), table

    def read() -> Iterator[Any]:
        for piece in stream() if callable(stream) else stream:
            if piece.shape[0]:
                yield canonical_array(piece, name=f"a block of {name}", sparse=True, check_finite=False)

    return read, None


def _whole_table(X: Any, name: str) -> Any:
    if is_sparse(X):
        return canonical_array(X, name=name, sparse=True, check_finite=False)
    table = as_table(X, name=name)
    if table.dtype.kind == "O" or 0 in table.shape:
        return canonical_array(table, name=name, check_finite=False)
    real_dtype(table.dtype, name)  # raises for what is not a number
    return table  # other types and orders are converted block by block: a memory-mapped file is never copied


def _block_iterable(X: Any, name: str) -> Any:
    if is_sparse(X) or hasattr(X, "__array__") or hasattr(X, "__array_interface__") or not hasattr(X, "__iter__"):
        return None
    if isinstance(X, list | tuple):
        return X if X and getattr(X[0], "ndim", 0) == 2 else None  # a list of lists is one table
    if iter(X) is X:
        raise TypeError(
            f"{name} is an iterator, which can be read only once, and more than one pass is needed; "
            "give a list of blocks, an object whose __iter__ starts again, or a function that returns a new iterator"
        )
    return X


def _dask_reader(X: Any, name: str) -> Callable[[], Iterator[Any]]:
    if X.ndim != 2:
        raise ValueError(f"{name} has {X.ndim} dimension(s), 2 are expected; give a table")
    whole_rows = X.rechunk({1: -1}) if len(X.chunks[1]) > 1 else X

    def read() -> Iterator[Any]:
        for i in range(whole_rows.numblocks[0]):
            piece = whole_rows.blocks[i].compute()
            if piece.shape[0]:
                yield canonical_array(piece, name=f"a chunk of {name}", sparse=True, check_finite=False)

    return read


def _slice(table: Any, first: int, stop: int) -> Any:
    if not is_sparse(table):
        return canonical_rows(np.asarray(table[first:stop]), real_dtype(table.dtype))
    stop = min(stop, table.shape[0])
    low, high = int(table.indptr[first]), int(table.indptr[stop])
    return csr_rows(table.data[low:high], table.indices[low:high], table.indptr[first : stop + 1] - low, table.shape[1])


def csr_rows(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, n_features: int) -> Any:
    """Return rows as ``csr_array`` with int64 indices, which scipy's own slicing may narrow.

    Parameters
    ----------
    data, indices : ndarray of shape (nnz,)
        Entries and their columns, row by row; not copied.
    indptr : ndarray of shape (b + 1,)
        Where each row begins.
    n_features : int
        Number of columns.

    Returns
    -------
    csr_array of shape (b, n_features)
    """
    rows: Any = sp.csr_array((data, indices, indptr), shape=(indptr.shape[0] - 1, n_features), copy=False)
    rows.indices, rows.indptr = indices.astype(np.int64, copy=False), indptr.astype(np.int64, copy=False)
    return rows


def _reblock(pieces: Iterator[Any], rows: int, sparse: bool) -> Iterator[Any]:
    waiting: list[Any] = []
    have = 0
    for piece in pieces:
        first = 0
        while have + piece.shape[0] - first >= rows:
            cut = first + rows - have
            waiting.append(_slice(piece, first, cut))
            yield _stack(waiting, sparse)
            waiting, have, first = [], 0, cut
        if first < piece.shape[0]:
            waiting.append(_slice(piece, first, piece.shape[0]))
            have += piece.shape[0] - first
    if waiting:
        yield _stack(waiting, sparse)


def _stack(pieces: list[Any], sparse: bool) -> Any:
    if len(pieces) == 1:
        return pieces[0]
    if not sparse:
        return np.concatenate(pieces, axis=0)
    offsets = np.cumsum([0, *(piece.data.shape[0] for piece in pieces)])
    indptr = np.concatenate([np.zeros(1, np.int64), *(piece.indptr[1:] + offset for piece, offset in zip(pieces, offsets, strict=False))])
    data, indices = (np.concatenate([getattr(piece, part) for piece in pieces]) for part in ("data", "indices"))
    return csr_rows(data, indices, indptr, pieces[0].shape[1])


def row_blocks(X: Any, rows: int = BLOCK_ROWS) -> Iterator[tuple[int, Any]]:
    """Yield the rows of any source in blocks of a fixed size.

    Parameters
    ----------
    X : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d); see :class:`RowSource`.
    rows : int, default=2**16
        Rows in a block.

    Yields
    ------
    start : int
        Number of the first row.
    block : ndarray or csr_array of shape (b, d)
        Rows ``start, ..., start + b - 1``.

    Raises
    ------
    ValueError
        ``rows`` below 1, or a source that :class:`RowSource` refuses.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.blocks import row_blocks
    >>> [(start, len(block)) for start, block in row_blocks(np.ones((5, 2)), rows=2)]
    [(0, 2), (2, 2), (4, 1)]
    """
    for block in RowSource.of(X).blocks(rows):
        yield block.start, block.X


def tree_sum(items: Iterable[T], merge: Callable[[T, T], T] = operator.add) -> T:
    """Add items pairwise in a fixed order, like the carries of a binary counter.

    The rounding error grows with the logarithm of the number of items instead of the number itself, and only about log2(k) partial sums
    are alive at a time. The order depends on the number of items alone.

    Parameters
    ----------
    items : iterable
        Numbers or arrays of one shape. Arrays that are given are not changed.
    merge : callable, default=operator.add
        Any other associative operation on two items, the earlier one first.

    Returns
    -------
    number or ndarray
        The sum.

    Raises
    ------
    ValueError
        No items.

    Examples
    --------
    >>> from algos.common.blocks import tree_sum
    >>> tree_sum([1, 2, 3, 4, 5])
    15
    """
    partial: list[tuple[int, T]] = []  # (level, sum of 2**level items), levels falling
    for item in items:
        level, total = 0, item
        while partial and partial[-1][0] == level:
            total = merge(partial.pop()[1], total)
            level += 1
        partial.append((level, total))
    if not partial:
        raise ValueError("items is empty; there is nothing to add")
    _, total = partial.pop()
    while partial:
        total = merge(partial.pop()[1], total)
    return total
