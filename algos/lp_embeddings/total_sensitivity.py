"""Total lp sensitivity of a table from a few exact sensitivities, with a confidence interval inside proved bounds."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_range
from algos.lp_embeddings import bounds
from algos.lp_embeddings._arguments import checked_exponent
from algos.lp_embeddings._score_problem import ScoreProblem

__all__ = ["TotalSensitivity", "total_sensitivity"]

FloatArray = npt.NDArray[np.float64]

_ROW_TOL = 1e-4  # of each exact sensitivity: far below the spread of the sample
_DELTA = 1e-3


@dataclass(frozen=True)
class TotalSensitivity:
    """Sum of all sensitivities of a table.

    Attributes
    ----------
    estimate : float
        Unbiased up to the accuracy of single sensitivities (1e-4), clipped to the bounds.
    lower, upper : float
        Proved bounds.
    ci : (float, float)
        Confidence interval inside the bounds, of level 1 - 1e-3 for any sample size; equal to the bounds when every row was solved.
    """

    estimate: float
    lower: float
    upper: float
    ci: tuple[float, float]


def total_sensitivity(
    A: Any, p: float, *, m: int = 64, random_state: RandomStateLike = None, n_jobs: int | None = None
) -> TotalSensitivity:
    r"""Estimate the total sensitivity :math:`S = \sum_i s_i` from the exact sensitivities of a few rows.

    Rows are drawn with probabilities :math:`\pi_i = w_i/\sum w`, w near the Lewis weights, and

    .. math:: \hat S = \frac1m\sum_k \frac{s_{i_k}}{\pi_{i_k}},

    whose terms lie between :math:`d^{p/2}` and d, because sensitivities and Lewis weights differ by a factor between 1 and
    :math:`d^{p/2-1}`.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d); brought into memory, with a whitened copy.
    p : float
        Exponent, 1 <= p < inf.
    m : int, default=64
        Rows to draw; with as many as there are distinct directions, all are solved instead. The default gives a standard error of a few
        percent.
    random_state : None, int, Generator or RandomState, default=None
        Draws the rows.
    n_jobs : int, optional
        Threads for the support problems; results do not depend on it.

    Returns
    -------
    TotalSensitivity

    Raises
    ------
    ValueError
        p outside [1, inf), m below 1, NaN or infinite entries.

    Notes
    -----
    Each row costs one `lp_support`. The interval comes from bets against the mean, valid for every m, over the range of the terms that the
    bounds on the sensitivities prove.

    References
    ----------
    Derived: docs/theory/lp_embeddings.md, "One sensitivity". Sampling rows by Lewis weights to estimate the sum: S. Padmanabhan,
    D. Woodruff, Q. Zhang, "Computing approximate lp sensitivities", NeurIPS 2023 (recalled).

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import total_sensitivity
    >>> total_sensitivity(np.vstack([np.eye(3), np.eye(3)]), 1.0).estimate.__round__(3)
    3.0
    """
    p = checked_exponent(p)
    m = check_range(m, name="m", low=1, integer=True)
    rng = as_generator(random_state)
    problem = ScoreProblem.of(A, p, dense=True)
    if problem.rank == 0:
        return TotalSensitivity(0.0, 0.0, 0.0, (0.0, 0.0))
    lower, upper = problem.bracket()
    if m >= lower.size or np.all(upper <= (1.0 + _ROW_TOL) * lower):
        lower, upper = problem.solve(lower, upper, _ROW_TOL, n_jobs)
        ends = problem.total_bounds(lower, upper)
        return TotalSensitivity(_between(_sum(np.sqrt(lower * upper)), *ends), *ends, ci=ends)
    ends = problem.total_bounds(lower, upper)
    law = problem.lewis.weights / _sum(problem.lewis.weights)
    live = law > 0.0
    ratios = lower[live] / law[live], upper[live] / law[live]
    drawn = rng.choice(lower.size, size=m, p=law)
    rows, where = np.unique(drawn, return_inverse=True)
    low, high = problem.row_sensitivities(rows, _ROW_TOL, n_jobs)
    low, high = np.maximum(low, lower[rows]), np.minimum(high, upper[rows])
    terms = (low / law[rows])[where], (high / law[rows])[where]
    ci = bounds.betting_interval(
        lower=terms[0], upper=terms[1], smallest=float(ratios[0].min()), largest=float(ratios[1].max()), delta=_DELTA
    )
    estimate = _between(float(np.mean(np.sqrt(terms[0] * terms[1]))), *ends)
    return TotalSensitivity(estimate, *ends, ci=(_between(ci[0], *ends), _between(ci[1], *ends)))


def _sum(values: FloatArray) -> float:
    return math.fsum(values.tolist())


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
