"""The sensitivities of one table: its distinct directions, the bracket around each, and the problems that narrow it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.linalg import Whitening, row_leverages, whitening
from algos.common.monomials import monomial_count, weighted_monomials
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import canonical_array, is_sparse
from algos.lp_embeddings import bounds
from algos.lp_embeddings._parallel_rows import MergedRows, merge_parallel_rows
from algos.lp_embeddings._support_problem import WhitenedTable
from algos.lp_embeddings.lewis_weights import LewisResult, search_weights
from algos.lp_embeddings.samplers import inclusion_probabilities, sample_rows

__all__ = ["ScoreProblem"]

FloatArray = npt.NDArray[np.float64]

_MOST_DIRECTIONS = 20_000
_LEWIS_TOL, _LEWIS_STEPS = 1e-2, 8  # the bracket needs no convergence; beyond this it narrows by less than a percent
_LARGEST_LIFT = 500
_LIFT_WORK = 2e11  # multiplications that a lifted bound may cost: some ten seconds
_CORESET_EPS, _CORESET_L = 0.25, 2.0  # sample sizes aim at a distortion of a quarter


@dataclass(frozen=True, eq=False)
class ScoreProblem:
    """A table whose parallel rows are merged, if it is in memory, with the Lewis weights that all methods start from.

    Attributes
    ----------
    p : float
        Exponent.
    source : RowSource
        The merged table.
    merged : MergedRows or None
        How scores go back to the original rows; None if the rows are as they were.
    """

    p: float
    source: RowSource
    merged: MergedRows | None

    @classmethod
    def of(cls, A: Any, p: float, *, dense: bool) -> "ScoreProblem":
        """Set up the problem; with `dense` any table is brought into memory."""
        if isinstance(A, list | tuple) and not (A and getattr(A[0], "ndim", 0) == 2):
            A = canonical_array(A, name="A")  # a list of rows, not of blocks
        if dense and not isinstance(A, np.ndarray):
            source = RowSource.of(A, name="A")
            A = np.concatenate([block.X.toarray() if is_sparse(block.X) else block.X for block in source])
        if not isinstance(A, np.ndarray) or (isinstance(A, np.memmap) and not dense):
            return cls(p, RowSource.of(A, name="A"), None)
        table = canonical_array(A, name="A")
        merged = merge_parallel_rows(table, p)
        if merged.rows.shape[0] == 0:
            return cls(p, RowSource(table, name="A"), None)  # zeros only
        return cls(p, RowSource(merged.rows, name="A"), None if merged.rows is table else merged)

    @cached_property
    def lewis(self) -> LewisResult:
        """Approximate Lewis weights and the best bounds of all iterates."""
        return search_weights(self.source, self.p, tol=_LEWIS_TOL, max_iter=_LEWIS_STEPS)

    @property
    def rank(self) -> int:
        """Rank of the table."""
        return self.lewis.rank

    @cached_property
    def table(self) -> WhitenedTable:
        """The whitened copy on which support problems are solved."""
        return WhitenedTable.of(self.source)

    def check_size(self) -> None:
        """Refuse more directions than one can wait for."""
        n = self.source.n_rows
        if n > _MOST_DIRECTIONS:
            raise ValueError(
                f"method='exact' solves a problem for each of {n} rows, parallel rows merged; at most {_MOST_DIRECTIONS} are accepted: "
                "use method='bracket' or 'coreset', total_sensitivity for the sum, or lp_support for single rows"
            )

    def spread(self, scores: FloatArray) -> FloatArray:
        """Hand scores of merged rows down to the original rows."""
        return scores if self.merged is None else self.merged.spread(scores)

    def bracket(self) -> tuple[FloatArray, FloatArray]:
        """Bounds from the Lewis iterates and, for even p, from the lifted table."""
        lower, upper = self.lewis.sensitivity_lower, self.lewis.sensitivity_upper
        if self.rank and self._lift_is_cheap():
            upper = np.minimum(upper, lifted_leverages(self.source, self.p))
        return np.minimum(lower, upper), upper  # where both are exact, rounding may cross them

    def total_bounds(self, lower: FloatArray, upper: FloatArray) -> tuple[float, float]:
        """Bounds on the sum, not outside what the rank allows."""
        if self.rank == 0:
            return 0.0, 0.0
        smallest, largest = bounds.total_sensitivity_range(p=self.p, rank=self.rank)
        low, high = (min(max(math.fsum(side.tolist()), smallest), largest) for side in (lower, upper))
        return low, max(low, high)

    def _lift_is_cheap(self) -> bool:
        if self.p % 2.0 != 0.0 or self.p <= 2.0:
            return False
        size = monomial_count(self.rank, int(self.p) // 2)
        return size <= _LARGEST_LIFT and 2.0 * self.source.n_rows * size**2 <= _LIFT_WORK

    def solve(self, lower: FloatArray, upper: FloatArray, rtol: float, n_jobs: int | None) -> tuple[FloatArray, FloatArray]:
        """Narrow the bounds of the rows that are wider than `rtol`, one support problem each."""
        wide = np.flatnonzero(upper > (1.0 + rtol) * lower)
        if wide.size == 0:
            return lower, upper
        found = self.row_sensitivities(wide, rtol, n_jobs)
        lower, upper = lower.copy(), upper.copy()
        lower[wide] = np.maximum(lower[wide], found[0])
        upper[wide] = np.minimum(upper[wide], found[1])
        return np.minimum(lower, upper), upper

    def row_sensitivities(self, rows: npt.NDArray[np.intp], rtol: float, n_jobs: int | None) -> tuple[FloatArray, FloatArray]:
        """Solve the support problems of some rows of the merged table."""
        forms = np.ascontiguousarray(self.table.lines[:, rows].T)
        return _powers(self.table, forms, self.lewis.weights, self.p, rtol, n_jobs)

    def estimate(self, random_state: RandomStateLike, n_jobs: int | None) -> FloatArray:
        """Sensitivities with respect to a Lewis sample, for every row of the merged table."""
        if self.rank == 0 or self.p == 2.0:
            return self.lewis.sensitivity_upper
        seed = int(as_generator(random_state).integers(2**63))
        weights, rows = self.lewis.weights, self._dense_rows()
        size = bounds.sample_size(sampler="lewis", p=self.p, d=self.rank, eps=_CORESET_EPS, L=_CORESET_L)
        level = 0
        while True:
            sample = sample_rows(inclusion_probabilities(weights, size), seed=seed, level=level)
            scaled = rows[sample.indices] * sample.scale(self.p)[:, None]
            table = WhitenedTable.of(RowSource(scaled))
            if table.rank == self.rank:
                break
            size, level = 2 * size, level + 1  # a sample without some direction cannot answer; the whole table can
        forms = table.white.apply(rows)
        lower, upper = _powers(table, forms, weights[sample.indices] * sample.weights, self.p, 1e-3, n_jobs)
        return np.asarray(np.sqrt(lower) * np.sqrt(upper))

    def _dense_rows(self) -> FloatArray:
        return np.concatenate([block.X for block in self.source]).astype(np.float64, copy=False)


def _powers(
    table: WhitenedTable, forms: FloatArray, lewis: FloatArray, p: float, rtol: float, n_jobs: int | None
) -> tuple[FloatArray, FloatArray]:
    """Bounds on the p-th powers of support functions, started at the solutions of the table reweighted by Lewis weights."""
    log_weights = (1.0 - 2.0 / p) * np.log(np.maximum(lewis, np.finfo(float).tiny))
    weights = np.exp(np.clip(log_weights - log_weights.max(), -50.0, 0.0))
    gram = (table.lines * weights) @ table.lines.T
    try:
        starts = np.linalg.solve(gram, forms.T).T
    except np.linalg.LinAlgError:
        starts, weights = forms, np.ones_like(weights)
    lost = ~(np.einsum("ij,ij->i", starts, forms) > 0.0)  # a start that rounding has spoilt
    starts[lost] = forms[lost]
    lower, upper = table.supports(forms, p, starts=starts, weights=weights, tol=float(np.expm1(np.log1p(rtol) / p)), n_jobs=n_jobs)
    return np.minimum(lower**p, 1.0), np.minimum(upper**p, 1.0)


def lifted_leverages(source: RowSource, p: float) -> FloatArray:
    """Leverage scores of the monomials of degree p/2 of the rows, p even: upper bounds on the sensitivities."""
    lifted = RowSource(_LiftedRows(source, whitening(source), int(p) // 2))
    return np.minimum(row_leverages(lifted, whitening(lifted)), 1.0)


class _LiftedRows:
    """Monomials of a table's whitened rows, made block by block each time they are read."""

    def __init__(self, source: RowSource, white: Whitening, degree: int) -> None:
        self._source, self._white, self._degree = source, white, degree

    def __iter__(self) -> Iterator[FloatArray]:
        rows = max(1, 2**22 // monomial_count(self._white.rank, self._degree))  # 32 MB a block
        for block in self._source.blocks(rows):
            yield weighted_monomials(self._white.apply(block.X), self._degree)
