"""One reduction: weighted rows, their importance, a draw, and what is proved about the sample."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from algos.common.blocks import RowSource
from algos.common.linalg import Whitening, row_leverages, whitening
from algos.common.randomness import index_uniforms
from algos.common.validation import is_sparse
from algos.lp_embeddings import bounds
from algos.lp_embeddings._buckets import Bucket, Plan
from algos.lp_embeddings.importance import row_scores
from algos.lp_embeddings.samplers import inclusion_probabilities, root_leverage

__all__ = ["has_entries", "largest_share", "proved_factors", "reduce_bucket", "weighted_rows"]

FloatArray = npt.NDArray[np.float64]

_ROUNDED = 1e-5  # relative error of a whitening, ten times the 1e-6 that it is asked for
_MISSING = 1e-13  # relative size of a squared singular value that is rounding: ten times the unit roundoff times the usual rank
_LARGE = 500  # columns whose entries leave 2**-500..2**500 are scaled before scores are computed, which changes no score


def reduce_bucket(stack: Bucket, plan: Plan, *, level: int, delta: float) -> Bucket:
    r"""Draw about `plan.size` of the rows by their importance; every weight is divided by its row's probability.

    Parameters
    ----------
    stack : Bucket
        Weighted rows. Rows of zeros and of weight zero are dropped; they count in no norm.
    plan : Plan
        What to draw.
    level : int
        Level of the random numbers, at which no row of the stack may have been drawn before.
    delta : float
        Probability with which the proved factors `low` and `high` may be wrong; not used for p = 2, where they are computed.

    Returns
    -------
    Bucket
        One level higher. All rows are kept if there are no more than `plan.size`.
    """
    found = _importance(stack, plan)
    if found is None:
        return replace(stack.take(slice(0, 0)), level=stack.level + 1, total_bounds=(0.0, 0.0))
    q = inclusion_probabilities(found.scores, plan.size)
    rows = np.flatnonzero(index_uniforms(plan.seed, stack.indices, level) < q)
    kept = stack.take(rows)
    weights, sample = kept.weights / q[rows], found.table[rows]
    low, high, lost = _proved(found, q, sample * (q[rows] ** (-1.0 / plan.p))[:, None], plan.p, delta)
    return replace(
        kept,
        weights=weights,
        probabilities=kept.probabilities * q[rows],
        scores=found.scores[rows],
        level=stack.level + 1,
        low=stack.low * low,
        high=stack.high * high,
        lost=stack.lost or lost,
        total_bounds=found.total_bounds,
    )


@dataclass(frozen=True, eq=False)
class _Importance:
    """Scores of a stack of rows, with what proofs need: the table with its weights in it, and bounds on the sensitivities."""

    table: Any
    scores: FloatArray
    upper: FloatArray
    rank: int
    white: Whitening | None
    total_bounds: tuple[float, float] | None


def _importance(stack: Bucket, plan: Plan) -> _Importance | None:
    """Return the scores of the weighted rows; None if all of them are zero."""
    try:
        return _scores(weighted_rows(stack.table, stack.weights, plan.p), plan)
    except ValueError:
        balanced = _balanced(stack.table)
        if balanced is None:
            raise
        return _scores(weighted_rows(balanced, stack.weights, plan.p), plan)


def _scores(table: Any, plan: Plan) -> _Importance | None:
    by_leverage = plan.reduction in ("root_leverage", "leverage") or (plan.p == 2.0 and plan.reduction != "uniform")
    if not by_leverage:
        if not has_entries(table):
            return None
        found = row_scores(table, plan.p, plan.reduction)  # type: ignore[arg-type]  # checked where the plan was made
        return _Importance(table, found.scores, found.sensitivity_upper, found.rank, None, found.total_bounds)
    source = RowSource(table, name="X")
    white = whitening(source)
    if white.rank == 0:
        return None
    leverage = np.minimum(row_leverages(source, white), 1.0)
    if plan.p > 2.0:  # leverage scores where no theorem covers them: the bound of the universal bracket with equal weights
        upper = bounds.sensitivity_upper(p=plan.p, v=np.ones(len(leverage)), leverages=leverage)
        return _Importance(table, leverage, upper, white.rank, white, None)
    rooted = leverage if plan.p == 2.0 else root_leverage(leverage, plan.p)
    upper = rooted * float(leverage.max()) ** (1.0 - plan.p / 2.0)
    return _Importance(table, leverage if plan.reduction == "leverage" else rooted, upper, white.rank, white, None)


def weighted_rows(table: Any, weights: FloatArray, p: float) -> Any:
    """Return the rows multiplied by the p-th roots of their weights; the table itself if all weights are 1."""
    if np.all(weights == 1.0):
        return table
    scale = weights ** (1.0 / p)
    with np.errstate(over="ignore"):  # an infinite entry is found, and answered by a balanced table
        return sp.csr_array(sp.diags_array(scale) @ table) if is_sparse(table) else table * scale[:, None]


def has_entries(table: Any) -> bool:
    """Return whether a table with rows has an entry that is not zero."""
    return bool(table.count_nonzero()) if is_sparse(table) else bool(table[0].any() or table.any())


def _balanced(table: Any) -> Any | None:
    """Return the table with columns of extreme size multiplied by powers of two; None if there is no such column or NaN is the trouble."""
    largest = abs(table).max(axis=0)
    peaks = np.asarray(largest.todense() if is_sparse(table) else largest, dtype=np.float64).ravel()
    exponents = np.where(peaks > 0.0, np.frexp(peaks)[1], 0)
    if not np.isfinite(peaks).all() or np.abs(exponents).max() < _LARGE:
        return None
    if not is_sparse(table):
        return np.ldexp(np.asarray(table, dtype=np.float64), -exponents)
    scaled: Any = table.astype(np.float64)
    scaled.data = np.ldexp(scaled.data, -exponents[scaled.indices])
    return scaled


def _proved(found: _Importance, q: FloatArray, sample: Any, p: float, delta: float) -> tuple[float, float, bool]:
    share = largest_share(found.upper, q)
    return proved_factors(sample, p, rank=found.rank, share=share, delta=delta, table=found.table, white=found.white)


def largest_share(upper: FloatArray, q: FloatArray) -> float:
    """Return the largest ratio of a sensitivity to its probability among rows that were neither certain nor impossible; else 0."""
    return float(np.max(upper * (q < 1.0) / np.where(q > 0.0, q, np.inf)))


def proved_factors(
    sample: Any, p: float, *, rank: int, share: float, delta: float, table: Any, white: Whitening | None = None
) -> tuple[float, float, bool]:
    """Return factors between which the norms of a sample are proved to be, and whether it has lost a direction.

    Parameters
    ----------
    sample : ndarray or csr_array of shape (k, d)
        Rows with their weights in them.
    p : float
        Exponent.
    rank : int
        Rank of the table that was sampled.
    share : float
        Largest ratio of sensitivity to probability among rows that were not certain; 0 if all were, infinite if nothing is known.
    delta : float
        Probability with which the factors may be wrong, for p other than 2.
    table : table
        What was sampled, with its weights in it; read for p = 2 if it has not been whitened yet.
    white : Whitening, optional
        Its whitening.

    Returns
    -------
    low, high : float
        0 and infinity where nothing is proved.
    lost : bool
    """
    if share == 0.0:
        return 1.0, 1.0, False
    if p == 2.0:
        return _spectrum(whitening(table) if white is None else white, sample)
    if sample.shape[0] < rank or (whitening(sample).rank < rank if white is None else _singular(white.apply(sample))):
        return 0.0, math.inf, True
    eps = bounds.proved_distortion(p=p, rank=rank, share=share, delta=delta) if share < math.inf else math.inf
    return (0.0, math.inf, False) if eps == math.inf else (1.0 - eps, 1.0 + eps, False)


def _singular(whitened: FloatArray) -> bool:
    """Whether a direction is missing from the sampled rows of a table in the basis in which it is orthonormal."""
    squares = np.linalg.eigvalsh(whitened.T @ whitened)
    return bool(squares[0] <= _MISSING * squares[-1])


def _spectrum(white: Whitening, sample: Any) -> tuple[float, float, bool]:
    if sample.shape[0] < white.rank:
        return 0.0, math.inf, True
    singular = np.linalg.svd(white.apply(sample), compute_uv=False)
    smallest, largest = float(singular[-1]), float(singular[0])
    if smallest <= _ROUNDED:
        return 0.0, math.inf, True
    return smallest * (1.0 - _ROUNDED), largest * (1.0 + _ROUNDED), False
