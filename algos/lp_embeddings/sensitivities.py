"""The lp sensitivities of all rows: bounds from a few leverage computations, exact values, estimates from a sample."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.linalg import row_leverages, whitening
from algos.common.randomness import RandomStateLike
from algos.common.validation import check_option, check_range
from algos.lp_embeddings import bounds
from algos.lp_embeddings._arguments import checked_exponent, checked_weights
from algos.lp_embeddings._score_problem import ScoreProblem

__all__ = ["Sensitivities", "SensitivityBracket", "lp_sensitivities", "sensitivity_bracket"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """The lp sensitivities of a table, known between bounds.

    Attributes
    ----------
    lower, upper : ndarray of shape (n,)
        Proved bounds, in [0, 1]; 0 for rows of zeros. They hold for every method.
    estimate : ndarray of shape (n,)
        Value between the bounds: their geometric mean, or what a sample says (``method="coreset"``).
    total_bounds : (float, float)
        Proved bounds on the sum of the sensitivities.
    conditional_ : bool
        Whether the estimate (never the bounds) rests on a sample that is assumed to preserve norms.
    """

    lower: FloatArray
    upper: FloatArray
    estimate: FloatArray
    total_bounds: tuple[float, float]
    conditional_: bool


def lp_sensitivities(
    A: Any,
    p: float,
    *,
    method: Literal["bracket", "exact", "coreset"] = "bracket",
    rtol: float = 1e-2,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
) -> Sensitivities:
    r"""Find the lp sensitivities :math:`s_i = \max_x |a_i x|^p/\|Ax\|_p^p` of all rows of a table.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d), of any rank.
    p : float
        Exponent, 1 <= p < inf. For p = 2 sensitivities are leverage scores, which every method returns.
    method : {"bracket", "exact", "coreset"}, default="bracket"
        ``"bracket"``
            Bounds from the iterates that lead to Lewis weights, at most 8 leverage computations. The ratio of the bounds is at most about
            :math:`d^{|1-p/2|}`, and that is what it is as a rule. Streams and tables out of memory are fine.
        ``"exact"``
            One support problem for every direction that occurs among the rows (see `lp_support`), solved until
            ``upper <= (1 + rtol) * lower``. Up to 20,000 directions; the table is held in memory.
        ``"coreset"``
            The bounds of ``"bracket"``, and for every row an estimate: its support problem on a sample drawn by Lewis weights. The
            estimate is good if the sample preserves norms, which is likely but not proved: ``conditional_`` is set.
    rtol : float, default=1e-2
        Relative width of the bounds at which an exact problem stops; sampling needs no more. About 1e-7 can be had.
    n_jobs : int, optional
        Threads for the support problems (None is 1, -1 all cores). Results do not depend on it.
    random_state : None, int, Generator or RandomState, default=None
        Draws the sample of ``"coreset"``; unused otherwise.

    Returns
    -------
    Sensitivities

    Raises
    ------
    ValueError
        p outside [1, inf), an unknown method, NaN or infinite entries, or too many directions for ``"exact"``.

    Warns
    -----
    ConvergenceWarning
        Some exact problem ended wider than ``rtol``; its bounds are returned as they are.

    Notes
    -----
    Rows that are multiples of one another are merged first and share the result in proportion to the p-th power of their factors (for
    tables in memory). For even p the upper bounds are intersected with the leverage scores of the monomials of degree p/2, if these are
    at most 500 and cheap enough.
    Time: O(n d^2) for each leverage computation; O(n d^2) for each of the 5 to 30 steps of each support problem (a row of a table of
    2,000 rows and 10 columns takes 0.2 to 0.5 ms at p = 1).

    References
    ----------
    Derived: docs/theory/lp_embeddings.md, "The universal bracket", "One sensitivity" and "Even exponents".

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import lp_sensitivities
    >>> A = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -2.0], [0.0, 0.0]])
    >>> lp_sensitivities(A, 1.0, method="exact").estimate.round(3)
    array([1.   , 0.333, 0.667, 0.   ])
    """
    p = checked_exponent(p)
    check_option(method, ("bracket", "exact", "coreset"), name="method")
    rtol = check_range(rtol, name="rtol", low=0.0, high=1.0, low_open=True)
    problem = ScoreProblem.of(A, p, dense=method != "bracket")
    if method == "exact":
        problem.check_size()
    lower, upper = problem.bracket()
    estimate = None
    if method == "exact":
        lower, upper = problem.solve(lower, upper, rtol, n_jobs)
        _warn_if_wide(lower, upper, rtol)
    elif method == "coreset":
        estimate = np.clip(problem.estimate(random_state, n_jobs), lower, upper)
    return _spread(problem, lower, upper, estimate)


def _spread(problem: ScoreProblem, lower: FloatArray, upper: FloatArray, estimate: FloatArray | None) -> Sensitivities:
    total = problem.total_bounds(lower, upper)
    middle = np.sqrt(lower) * np.sqrt(upper) if estimate is None else estimate
    lower, upper, middle = (problem.spread(scores) for scores in (lower, upper, middle))
    return Sensitivities(lower, upper, middle, total, estimate is not None)


def _warn_if_wide(lower: FloatArray, upper: FloatArray, rtol: float) -> None:
    wide = np.flatnonzero(upper > (1.0 + rtol) * lower)
    if wide.size:
        from sklearn.exceptions import ConvergenceWarning  # importing scikit-learn costs seconds, and this is rare

        worst = float(np.max(upper[wide] / np.maximum(lower[wide], np.finfo(float).tiny))) - 1.0
        warnings.warn(
            f"{wide.size} of {lower.size} sensitivities are known only up to the factor 1 + {worst:.2g}, wider than rtol={rtol:g}; "
            "the bounds are valid: raise rtol",
            ConvergenceWarning,
            stacklevel=3,
        )


class SensitivityBracket(NamedTuple):
    """Lower and upper bounds on the sensitivity of every row; unpacks as ``lower, upper``."""

    lower: FloatArray
    upper: FloatArray


def sensitivity_bracket(A: Any, p: float, v: npt.ArrayLike) -> SensitivityBracket:
    r"""Bound every lp sensitivity of a table from both sides, with any positive weights.

    The sensitivity of row i is :math:`s_i = \max_x |a_i x|^p/\|Ax\|_p^p`. With :math:`t_i` the leverage scores of
    :math:`V^{1/2-1/p}A`, :math:`c_i = v_i^{1-p/2}t_i^{p/2}` and :math:`\rho = \max_i t_i/v_i`,

    .. math::

        c_i\Big(\sum v\Big)^{p/2-1} \le s_i \le c_i\,\rho^{1-p/2} \quad (p \le 2), \qquad
        c_i\,\rho^{1-p/2} \le s_i \le c_i\Big(\sum v\Big)^{p/2-1} \quad (p \ge 2).

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d).
    p : float
        Exponent, 1 <= p < inf.
    v : array-like of shape (n,)
        Positive weights; zero is allowed where a row is zero. Lewis weights give the ratio :math:`d^{|1-p/2|}` or better, ones
        give the classical bounds by leverage scores. A common factor does not matter.

    Returns
    -------
    SensitivityBracket
        ``lower`` and ``upper``, arrays of shape (n,) in [0, 1]; zero for zero rows.

    Raises
    ------
    ValueError
        p outside [1, inf), weights of another length, negative or not finite, or zero at a row that is not zero.

    Notes
    -----
    Two passes over the table, time O(n d^2), memory O(n + d^2). The bounds hold up to the error of the leverage scores, at most
    1e-6 relative.

    References
    ----------
    Derived: docs/theory/lp_embeddings.md, "The universal bracket".

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import sensitivity_bracket
    >>> A = np.array([[3.0], [1.0], [0.0]])
    >>> lower, upper = sensitivity_bracket(A, 1.0, [0.75, 0.25, 0.0])
    >>> lower.round(12), upper.round(12)
    (array([0.75, 0.25, 0.  ]), array([0.75, 0.25, 0.  ]))
    """
    p = checked_exponent(p)
    source = RowSource.of(A, name="A")
    weights = checked_weights(v, source.n_rows, name="v")
    log_scale = (0.5 - 1.0 / p) * np.log(np.where(weights > 0.0, weights, 1.0))
    scale = np.exp(log_scale - np.max(log_scale))
    leverages = row_leverages(source, whitening(source, scale=scale), scale=scale)
    misplaced = np.flatnonzero((weights <= 0.0) & (leverages > 0.0))
    if misplaced.size:
        i = misplaced[0]
        raise ValueError(f"v[{i}] is 0 although row {i} of A is not zero; give it a positive weight")
    return SensitivityBracket(*(f(p=p, v=weights, leverages=leverages) for f in (bounds.sensitivity_lower, bounds.sensitivity_upper)))
