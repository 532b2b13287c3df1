r"""The affine map that brings rows to the target's mean and covariance, and rows read through it.

Rows are read as :math:`x'=(x-c)F`, followed by a constant 1 where halfspaces have an intercept. The map is fitted on the rows that learn. A
halfspace of the mapped rows is one of the rows as given, so that predictions and certificates are in the user's own columns.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.testable_halfspaces._null_tables import Map

__all__ = ["TargetMap", "chosen_rows", "is_on_disk", "null_transform", "uncentred_standardising", "uncentred_whitening"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Transform = Literal["whiten", "standardize"] | None

_SHORTEST = 1e-153
"""Columns of a smaller spread, whose squares underflow, count as constant."""

_DEPENDENT = 1e-12
"""A column whose square distance from the span of those before it is a smaller share of its square length counts as dependent."""


@dataclass(frozen=True, eq=False)
class TargetMap:
    """Affine map of rows.

    Attributes
    ----------
    columns : ndarray of shape (n_features,), bool
        Columns that are used; the others are constant on the learning rows or depend on those before them.
    centre : ndarray of shape (d,)
        c, over the columns used.
    factor : ndarray of shape (d, d) or None
        F; None is the identity without centring.
    lift : bool
        Whether a constant 1 follows.
    """

    columns: BoolArray
    centre: FloatArray
    factor: FloatArray | None
    lift: bool

    @classmethod
    def fit(cls, rows: RowSource, transform: Transform, *, lift: bool) -> "TargetMap":
        """Fit the map on the learning rows, in one pass.

        Means are subtracted only with `lift`: otherwise halfspaces would have an intercept that nobody asked for.
        """
        n, d = rows.n_rows, rows.n_features
        centre, moments = _moments(rows, centred=lift)
        columns = _independent(moments) if n > d + lift else np.ones(d, dtype=bool)
        if not columns.any():
            columns = np.ones(d, dtype=bool)  # nothing to learn from; the classifier will be a constant
        kept = moments[np.ix_(columns, columns)]
        if transform is None:
            return cls(columns, np.zeros(len(kept)), None, lift)
        if transform == "whiten" and n <= d + lift:
            raise ValueError(
                f"target_transform='whiten' with {n} learning rows and {d} columns: their covariance is singular; "
                "give more rows, or use target_transform='standardize'"
            )
        return cls(columns, centre[columns], _whitening(kept) if transform == "whiten" else np.diag(1.0 / _spreads(kept)), lift)

    @property
    def matrix(self) -> FloatArray | None:
        """The map as an invertible matrix T on rows ``(x, 1)`` (or x without `lift`), None for the identity."""
        if self.factor is None:
            return None
        if not self.lift:
            return self.factor
        T = np.eye(len(self.factor) + 1)
        T[:-1, :-1], T[-1, :-1] = self.factor, -self.centre @ self.factor
        return T

    def normal(self, w: FloatArray) -> FloatArray:
        """Return the normal, the intercept last, in the columns used, of a halfspace of mapped rows."""
        T = self.matrix
        return np.array(w, dtype=np.float64) if T is None else np.asarray(T @ w)

    def functional(self, v: FloatArray) -> FloatArray:
        """Return the unit vector u over all columns for which <u, x> orders rows as <v, x'> does."""
        return self.spread(v if self.factor is None else np.asarray(self.factor @ v))

    def spread(self, v: FloatArray) -> FloatArray:
        """Return a direction over the columns used as a unit vector over all columns."""
        u = np.zeros(self.columns.size)
        u[self.columns] = v
        length = float(np.linalg.norm(u))
        return u / length if length > 0.0 else u

    def project(self, X: npt.NDArray[Any], direction: FloatArray) -> FloatArray:
        """Return <v, x'> of rows for the unit v that belongs to a unit vector over all columns."""
        u = direction[self.columns]
        v = u if self.factor is None else np.linalg.solve(self.factor, u)
        length = float(np.linalg.norm(v))
        return np.asarray((X[:, self.columns] - self.centre) @ u / (length if length > 0.0 else 1.0), dtype=np.float64)

    def rows(self, given: RowSource, *, lift: bool, stream: bool) -> RowSource:
        """Return mapped rows of a source of the columns in use: a copy, or with `stream` a source that maps them anew in every pass."""
        if self.factor is None and not lift:
            return given

        def blocks() -> Iterator[npt.NDArray[Any]]:
            for block in given:
                yield self._mapped(block.X, lift)

        return RowSource(blocks) if stream else RowSource(np.concatenate(list(blocks())))

    def _mapped(self, rows: npt.NDArray[Any], lift: bool) -> npt.NDArray[Any]:
        d = rows.shape[1]
        mapped = np.empty((len(rows), d + lift), dtype=rows.dtype)
        mapped[:, :d] = rows if self.factor is None else (rows - self.centre) @ self.factor
        mapped[:, d:] = 1.0
        return mapped


def chosen_rows(X: npt.NDArray[Any], chosen: BoolArray | None, columns: BoolArray, *, copy: bool = True) -> RowSource:
    """Return some rows and columns as a source; without `copy`, and for a table in a file, they are picked in every pass."""
    if chosen is None and columns.all():
        return RowSource(X)
    if copy and not is_on_disk(X):
        rows = X if chosen is None else X.take(np.flatnonzero(chosen), axis=0)
        return RowSource(rows if columns.all() else rows[:, columns])

    def blocks() -> Iterator[npt.NDArray[Any]]:
        for block in RowSource(X):
            rows = block.X if chosen is None else block.X[chosen[block.start : block.stop]]
            if len(rows):
                yield rows if columns.all() else np.ascontiguousarray(rows[:, columns])

    return RowSource(blocks)


def is_on_disk(X: Any) -> bool:
    """Whether an array is a view of a memory-mapped file."""
    while X is not None:
        if isinstance(X, np.memmap | mmap.mmap):
            return True
        X = getattr(X, "base", None)
    return False


def null_transform(transform: Transform, *, lift: bool) -> Any:
    """Return what `calibrate` does to a simulated table, so that it is what `TargetMap` does to the user's."""
    if transform is None or lift:
        return transform
    return uncentred_whitening if transform == "whiten" else uncentred_standardising


def uncentred_whitening(fold: FloatArray) -> Map:
    """Return the linear map that gives the fold's rows second moments I."""
    factor = _whitening(fold.T @ fold / len(fold))
    return lambda rows: np.ascontiguousarray(rows @ factor)


def uncentred_standardising(fold: FloatArray) -> Map:
    """Return the map that divides every column by its root mean square over the fold."""
    spreads = _spreads(np.diag(np.mean(fold * fold, axis=0)))
    return lambda rows: rows / spreads


def _moments(rows: RowSource, *, centred: bool) -> tuple[FloatArray, FloatArray]:
    """Return means and covariances, or zeros and second moments."""
    d = rows.n_features
    total, gram, shift = np.zeros(d), np.zeros((d, d)), np.zeros(d)
    for block in rows:
        X = np.asarray(block.X, dtype=np.float64)
        if centred and block.start == 0:
            shift = X[0].copy()  # far from zero, a variance would drown in the rounding of the second moment
        with np.errstate(over="ignore", invalid="ignore"):
            X = X - shift
            total += X.sum(axis=0)
            gram += X.T @ X
    if not np.all(np.isfinite(gram)):
        raise ValueError("X has entries whose squares overflow; divide X by a constant")
    if not centred:
        return np.zeros(d), gram / rows.n_rows
    mean = total / rows.n_rows
    return shift + mean, gram / rows.n_rows - np.outer(mean, mean)


def _independent(moments: FloatArray) -> BoolArray:
    """Return the columns that do not depend on those before them."""
    d = len(moments)
    lengths = np.sqrt(np.maximum(np.diag(moments), 0.0))
    kept = lengths > _SHORTEST
    scaled = moments / np.outer(np.where(kept, lengths, 1.0), np.where(kept, lengths, 1.0))
    residual, basis = np.ones(d), np.zeros((0, d))  # a Cholesky factorisation that passes over dependent columns
    for j in range(d):
        if not kept[j] or residual[j] <= _DEPENDENT:
            kept[j] = False
            continue
        row = (scaled[j] - basis[:, j] @ basis) / np.sqrt(residual[j])
        basis = np.vstack([basis, row])
        residual = residual - row * row
    return kept


def _spreads(moments: FloatArray) -> FloatArray:
    spreads = np.sqrt(np.maximum(np.diag(moments), 0.0))
    return np.where(spreads > 0.0, spreads, 1.0)


def _whitening(moments: FloatArray) -> FloatArray:
    """Return the F with F^T moments F = I that turns the standardised columns least."""
    spreads = _spreads(moments)
    values, vectors = np.linalg.eigh(moments / np.outer(spreads, spreads))
    roots = np.sqrt(np.maximum(values, _DEPENDENT))
    return np.asarray((vectors / roots) @ vectors.T / spreads[:, None])
