"""Weighted rows that stand for a part of a stream, and how a stream is reduced."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from algos.common.validation import is_sparse

__all__ = ["Bucket", "Plan"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """How a stream is reduced.

    Attributes
    ----------
    p : float
        Exponent.
    size : float
        Expected rows after a reduction.
    leaf : int
        Rows that are reduced together at the bottom.
    reduction : str
        Kind of the scores.
    seed : int
        Key of the random numbers.
    """

    p: float
    size: float
    leaf: int
    reduction: str
    seed: int


@dataclass(frozen=True, eq=False)
class Bucket:
    """Weighted rows that stand for a part of the stream.

    Attributes
    ----------
    table : ndarray or csr_array of shape (k, d)
        Rows as they arrived.
    weights : ndarray of shape (k,)
        What multiplies a row's term in a sum.
    indices : ndarray of shape (k,), int64
        Numbers of the rows in the stream, increasing.
    probabilities : ndarray of shape (k,)
        Product of the probabilities with which the row survived.
    scores : ndarray of shape (k,)
        Importance in the last reduction; NaN before the first.
    level : int
        Reductions behind the rows.
    low, high : float
        The weighted lp norm is proved to be between these multiples of that of the rows it stands for, in all directions.
    lost : bool
        Whether a reduction lost a direction.
    total_bounds : tuple of float or None
        Bounds on the total sensitivity of what was reduced last.
    """

    table: Any
    weights: FloatArray
    indices: IndexArray
    probabilities: FloatArray
    scores: FloatArray
    level: int = 0
    low: float = 1.0
    high: float = 1.0
    lost: bool = False
    total_bounds: tuple[float, float] | None = None

    @classmethod
    def fresh(cls, table: Any, start: int, weights: FloatArray | None = None) -> "Bucket":
        """Return rows that have just arrived; the table is not copied."""
        n = int(table.shape[0])
        ones = np.ones(n)
        indices = np.arange(start, start + n, dtype=np.int64)
        return cls(table, ones if weights is None else weights, indices, ones, np.full(n, np.nan))

    def __len__(self) -> int:
        return int(self.table.shape[0])

    @property
    def first(self) -> float:
        """Smallest row number; infinite if there is no row."""
        return float(self.indices[0]) if len(self) else math.inf

    def take(self, rows: Any) -> "Bucket":
        """Return some of the rows; a slice is a view where that is possible."""
        parts = (self.weights, self.indices, self.probabilities, self.scores)
        weights, indices, probabilities, scores = (part[rows] for part in parts)
        return replace(self, table=self.table[rows], weights=weights, indices=indices, probabilities=probabilities, scores=scores)

    def copy(self) -> "Bucket":
        """Return a copy that does not change when the caller's arrays do."""
        return replace(self, table=self.table.copy(), weights=self.weights.copy())

    @classmethod
    def stack(cls, parts: Iterable["Bucket"]) -> "Bucket":
        """Put samples of disjoint parts of the stream one below the other, in the order of their rows."""
        full = [part for part in parts if len(part)]
        if len(full) == 1:
            return full[0]
        tables = [part.table for part in full]
        table: Any = sp.csr_array(sp.vstack(tables, format="csr")) if is_sparse(tables[0]) else np.concatenate(tables)
        columns = ([getattr(part, name) for part in full] for name in ("weights", "indices", "probabilities", "scores"))
        weights, indices, probabilities, scores = map(np.concatenate, columns)
        # the p-th powers of norms add up, so that the worse of two factors holds for the sum
        low, high = min(part.low for part in full), max(part.high for part in full)
        level, lost = max(part.level for part in full), any(part.lost for part in full)
        result = cls(table, weights, indices, probabilities, scores, level, low, high, lost)
        increasing = bool(np.all(np.diff(result.indices) > 0))
        return result if increasing else result.take(np.argsort(result.indices, kind="stable"))

    def to_state(self) -> dict[str, Any]:
        """Return the content in types that `save_state` writes."""
        state = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "table"}
        if is_sparse(self.table):
            return {**state, "csr": [self.table.data, self.table.indices, self.table.indptr, list(self.table.shape)]}
        return {**state, "table": self.table}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Bucket":
        """Rebuild a bucket from `to_state`."""
        content = dict(state)
        if "csr" in content:
            data, indices, indptr, shape = content.pop("csr")
            content["table"] = sp.csr_array((data, indices, indptr), shape=tuple(shape))
        bounds_read = content.pop("total_bounds")
        return cls(**content, total_bounds=None if bounds_read is None else (bounds_read[0], bounds_read[1]))
