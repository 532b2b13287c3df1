"""A table prepared for measuring the distortion of many of its sketches: whitened once, with parallel rows merged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linalg import Whitening, whitening
from algos.common.validation import canonical_array, is_sparse

__all__ = ["Reference", "merge_parallel"]

FloatArray = npt.NDArray[np.float64]

_WHITE = 1e-12  # accuracy asked of the whitening; far below any distortion
_OUTSIDE = 1e-9  # share of a row of the sketch, outside the row space of the table, that is not rounding


@dataclass(frozen=True, eq=False)
class Reference:
    """A table in coordinates in which its columns are orthonormal.

    Attributes
    ----------
    p : float
        Exponent.
    width : int
        Columns of the table.
    white : Whitening
        The coordinates.
    rows : ndarray of shape (k, r)
        The table in these coordinates; for p other than 2 with parallel rows merged, which keeps the norm.
    span : ndarray of shape (r, d) or None
        Rows that span those of the table where its columns are dependent: what a sketch has to be a combination of.
    """

    p: float
    width: int
    white: Whitening
    rows: FloatArray
    span: FloatArray | None

    @classmethod
    def of(cls, A: Any, p: float) -> "Reference":
        """Prepare a table."""
        table = canonical_array(A, name="A", sparse=True)
        white = whitening(table, rtol=_WHITE)
        if white.rank == 0:
            raise ValueError("A has only zeros; the ratio of the norms is not defined for any direction")
        rows = np.ascontiguousarray(white.apply(table), dtype=np.float64)
        span = np.asarray((table.T @ rows).T) if white.rank < table.shape[1] else None
        return cls(p, table.shape[1], white, rows if p == 2.0 else merge_parallel(rows, p), span)

    @property
    def basis(self) -> FloatArray:
        """The (d, r) matrix that turns coordinates into coefficients of the columns."""
        return self.white.R_inv

    def coordinates(self, TA: Any) -> FloatArray:
        """Return a sketch in the coordinates of the table, parallel rows merged."""
        shape = TA.shape if is_sparse(TA) else np.shape(TA)
        if len(shape) == 2 and shape[0] == 0:
            sketch: Any = np.zeros((0, shape[1]))
        else:
            sketch = canonical_array(TA, name="TA", sparse=True)
        if sketch.shape[1] != self.width:
            raise ValueError(f"TA has {sketch.shape[1]} columns and A has {self.width}; a sketch keeps the columns")
        rows = np.ascontiguousarray(self.white.apply(sketch), dtype=np.float64)
        if self.span is not None:
            _refuse_outside(self.span, sketch, rows)
        return rows if self.p == 2.0 else merge_parallel(rows, self.p)


def _refuse_outside(span: FloatArray, sketch: Any, coordinates: FloatArray) -> None:
    """Raise where the sketch is not zero in a direction in which the table is."""
    unit = np.max(np.abs(span), axis=0)
    weigh = np.divide(1.0, unit, out=np.ones_like(unit), where=unit > 0.0)  # columns may have very different units
    rows = (sketch.toarray() if is_sparse(sketch) else sketch) * weigh
    outside = np.linalg.norm(rows - coordinates @ (span * weigh), axis=1)
    bad = np.flatnonzero(outside > _OUTSIDE * np.linalg.norm(rows, axis=1))
    if bad.size:
        raise ValueError(
            f"row {bad[0]} of TA is no combination of the rows of A: the ratio of the norms is infinite in a direction where A is zero; "
            "give a sketch of this table"
        )


def merge_parallel(rows: FloatArray, p: float) -> FloatArray:
    """Replace rows that are multiples ``c_j a`` of each other by ``(sum |c_j|^p)^(1/p) a``, which keeps every lp norm; drop zero rows."""
    if len(rows) < 2:
        return rows
    peak = np.argmax(np.abs(rows), axis=1)
    size = rows[np.arange(len(rows)), peak]
    alive = size != 0.0
    size = size[alive]
    # 2^-42: rows that were multiples before the whitening differ by its rounding afterwards; merging them then errs by as much
    unit = np.ldexp(np.rint(np.ldexp(rows[alive] / size[:, None], 42)), -42)
    key = np.einsum("ij,j->i", unit, np.random.default_rng(0).standard_normal(rows.shape[1]))
    order = np.argsort(key, kind="stable")
    new = np.r_[True, np.any(unit[order[1:]] != unit[order[:-1]], axis=1)]
    if new.all():
        return np.ascontiguousarray(rows[alive])
    group = np.cumsum(new) - 1
    first = order[new]
    largest = np.maximum.reduceat(np.abs(size[order]), np.flatnonzero(new))
    total = np.bincount(group, weights=(np.abs(size[order]) / largest[group]) ** p)
    factor = largest / np.abs(size[first]) * total ** (1.0 / p)
    return np.ascontiguousarray(rows[alive][first] * factor[:, None])
