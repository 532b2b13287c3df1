"""A weighted sample of a table that can be read again: scores from some passes, and one pass that draws."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from algos.common.blocks import RowSource
from algos.common.validation import is_sparse
from algos.lp_embeddings import bounds
from algos.lp_embeddings._buckets import Bucket, Plan
from algos.lp_embeddings._reduction import has_entries, largest_share, proved_factors, weighted_rows
from algos.lp_embeddings.importance import RowScores, draw_rows, row_scores, take_rows
from algos.lp_embeddings.merge_reduce import Stream

__all__ = ["join_columns", "sample_table"]

FloatArray = npt.NDArray[np.float64]


def join_columns(X: Any, y: Any) -> Any:
    """Return ``[X y]``, float32 only if both are."""
    columns = np.asarray(y).reshape(X.shape[0], -1)
    if columns.dtype != np.float32:
        columns = columns.astype(np.float64)
    stack: Any = sp.hstack if is_sparse(X) else np.hstack
    joined = stack([X, columns])
    return sp.csr_array(joined) if is_sparse(X) else joined


def sample_table(source: RowSource, weights: FloatArray | None, plan: Plan, *, start: int, delta: float) -> Stream:
    """Return the state of a stream that has seen the table of a source (with its targets) and kept one sample of it.

    The sample is that of `draw_rows` for the scores of the weighted table, whatever pieces the source comes in.
    """
    table = source if not source.has_target else RowSource(_Blocks(source, None, plan.p), name=source.name)
    weighted = table if weights is None else RowSource(_Blocks(source, weights, plan.p), name=source.name)
    n = source.n_rows
    ranges = ((start, start + n),)
    level = max(1, math.ceil(math.log2(n / plan.leaf)) + 1)  # as deep as a tree over as many rows
    if not any(has_entries(block.X) for block in weighted):
        empty = Bucket.fresh(next(iter(table)).X[:0], start)
        return Stream(plan, (replace(empty, level=level, total_bounds=(0.0, 0.0)),), (), ranges)
    found = row_scores(weighted, plan.p, plan.reduction)  # type: ignore[arg-type]  # checked where the plan was made
    drawn, probabilities = draw_rows(weighted, found, plan.size, seed=plan.seed)
    kept = drawn.indices
    rows = take_rows(table, kept)
    given = 1.0 if weights is None else weights[kept]
    extremes = bounds.total_sensitivity_range(p=plan.p, rank=found.rank)
    total = max(found.total_bounds[0], extremes[0]), min(found.total_bounds[1], extremes[1])
    bucket = Bucket(rows, given * drawn.weights, kept + start, probabilities[kept], found.scores[kept], level, total_bounds=total)
    low, high, lost = _proved(found, probabilities, bucket, weighted, plan, delta)
    risk = 0.0 if plan.p == 2.0 else delta
    return Stream(plan, (replace(bucket, low=low, high=high, lost=lost),), (), ranges, reductions=1, risk=risk)


def _proved(
    found: RowScores, probabilities: FloatArray, bucket: Bucket, weighted: RowSource, plan: Plan, delta: float
) -> tuple[float, float, bool]:
    sample = weighted_rows(bucket.table, bucket.weights, plan.p)
    share = largest_share(found.sensitivity_upper, probabilities)
    if found.sampler == "root_leverage" and plan.p < 2.0 and share > 0.0:
        share = math.inf  # rows drawn over several rounds: their factors were not recorded
    return proved_factors(sample, plan.p, rank=found.rank, share=share, delta=delta, table=weighted)


class _Blocks:
    """The blocks ``diag(weights)^(1/p) [X y]`` of a source, made each time they are read."""

    def __init__(self, source: RowSource, weights: FloatArray | None, p: float) -> None:
        self._source, self._weights, self._p = source, weights, p

    def __iter__(self) -> Iterator[Any]:
        for block in self._source:
            rows = block.X if block.y is None else join_columns(block.X, block.y)
            yield rows if self._weights is None else weighted_rows(rows, self._weights[block.start : block.stop], self._p)
