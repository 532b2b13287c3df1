"""A whitened table held in memory, on which support functions of lp balls are evaluated one direction or thousands at a time."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.linalg import Whitening, whitening
from algos.common.row_products import ScaledTable
from algos.lp_embeddings._support_l1 import l1_support, l1_supports
from algos.lp_embeddings._support_lp import lp_support, lp_supports

__all__ = ["WhitenedTable"]

FloatArray = npt.NDArray[np.float64]

MAX_ITER = 100  # 5 to 35 steps are usual
_CHUNK_ENTRIES = 2**17  # directions that a worker takes at a time, times rows: some ten milliseconds of work
_ORTHONORMAL = 1e-10  # relative error of Q.T Q accepted from the whitening: two corrections then meet the dual equations to rounding


@dataclass(frozen=True, eq=False)
class WhitenedTable:
    """Orthonormal columns Q that span those of a table, transposed: one line in memory for each.

    Attributes
    ----------
    source : RowSource
        The table.
    white : Whitening
        ``Q = A @ R_inv``.
    lines : ndarray of shape (r, n)
        ``Q.T``.
    """

    source: RowSource
    white: Whitening
    lines: FloatArray

    @classmethod
    def of(cls, source: RowSource) -> "WhitenedTable":
        """Whiten a table; any rank. Memory: n times the rank."""
        white = whitening(source, rtol=_ORTHONORMAL)
        lines = np.empty((white.rank, source.n_rows))
        if white.rank:
            for block in source:
                lines[:, block.start : block.stop] = white.apply(block.X).T
        return cls(source, white, lines)

    @property
    def rank(self) -> int:
        """Rank of the table."""
        return self.white.rank

    def direction(self, g: FloatArray) -> FloatArray:
        """Turn a linear form on coefficients into one on whitened coefficients."""
        return reduce(lambda form, factor: np.asarray(factor.T @ form), self.white.factors, g)

    def coefficients(self, x: FloatArray) -> FloatArray:
        """Turn whitened coefficients into coefficients of the table's columns."""
        return reduce(lambda vector, factor: np.asarray(factor @ vector), reversed(self.white.factors), x)

    def combine_rows(self, y: FloatArray) -> FloatArray:
        """Return ``A.T @ y``."""
        total = np.zeros(self.source.n_features)
        for block in self.source:
            total += block.X.T @ y[block.start : block.stop]
        return total

    def products(self, x: FloatArray) -> FloatArray:
        """Return ``A @ x``."""
        return np.concatenate([np.asarray(block.X @ x) for block in self.source])

    def column_peaks(self) -> FloatArray:
        """Largest absolute value in every column of the table."""
        return ScaledTable.make(self.source).column_peaks()

    def support(self, form: FloatArray, p: float, start: FloatArray, tol: float) -> tuple[FloatArray, FloatArray, float, float]:
        """Support function in one whitened direction of length 1: ``(x, y, lower, upper)`` with ``|Q x|_p = 1``, ``Q.T y = form``."""
        x, y = start.copy(), np.empty(self.lines.shape[1])
        work = np.empty((10, y.size))
        if p == 1.0:
            lower, upper, _ = l1_support(self.lines, form, np.ones(y.size), tol, MAX_ITER, x, y, work)
        else:
            lower, upper, _ = lp_support(self.lines, form, p, tol, MAX_ITER, x, y, work[:5])
        return x, y, lower, upper

    def supports(
        self,
        forms: FloatArray,
        p: float,
        *,
        starts: FloatArray,
        weights: FloatArray | None = None,
        tol: float,
        n_jobs: int | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds on the support function in many whitened directions (rows), none of them zero.

        Every direction is solved by itself, so results do not depend on the number of workers.
        """
        lower, upper = np.empty(len(forms)), np.empty(len(forms))
        steps = np.empty(len(forms), dtype=np.int64)
        length = np.linalg.norm(forms, axis=1)
        unit, first = np.ascontiguousarray(forms / length[:, None]), np.ascontiguousarray(starts)
        row_weights = np.ones(self.lines.shape[1]) if weights is None else weights

        def solve(part: slice) -> None:
            results: tuple[Any, ...] = lower[part], upper[part], steps[part]
            if p == 1.0:
                l1_supports(self.lines, unit[part], first[part], row_weights, tol, MAX_ITER, *results)
            else:
                lp_supports(self.lines, unit[part], first[part], p, tol, MAX_ITER, *results)

        if p == 2.0:
            return length, length
        chunk = max(1, _CHUNK_ENTRIES // self.lines.shape[1])
        parts = [slice(k, k + chunk) for k in range(0, len(forms), chunk)]
        if n_jobs is None or n_jobs == 1 or len(parts) < 2:
            for part in parts:
                solve(part)
        else:
            from joblib import Parallel, delayed

            Parallel(n_jobs=n_jobs, prefer="threads")(delayed(solve)(part) for part in parts)  # the kernels release the GIL
        return lower * length, upper * length
