"""Two-sided bounds on lp sensitivities from one leverage computation."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.linalg import row_leverages, whitening
from algos.common.validation import check_range
from algos.lp_embeddings import bounds

__all__ = ["SensitivityBracket", "checked_exponent", "checked_weights", "sensitivity_bracket"]

FloatArray = npt.NDArray[np.float64]


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


def checked_exponent(p: Any) -> float:
    """Return p as a float after checking 1 <= p < inf."""
    number = check_range(p, name="p", low=1.0)
    if number == np.inf:
        raise ValueError("p=inf is not covered: scores for the max norm are not defined by these formulas; give a finite p, for example 10")
    return float(number)


def checked_weights(v: npt.ArrayLike, n: int, *, name: str) -> FloatArray:
    """Return weights as float64 after checking length, sign and finiteness."""
    weights = np.asarray(v, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"{name} has shape {weights.shape}; one weight for each of the {n} rows is needed, shape ({n},)")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0.0)))
    if bad.size:
        raise ValueError(f"{name}[{bad[0]}]={weights[bad[0]]} must be finite and not negative")
    return weights
