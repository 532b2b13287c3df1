"""Formulas about lp sensitivities: the bracket around each, the range of their sum, families where the sum is known."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from algos.lp_embeddings.bounds._checks import need_exponent

__all__ = [
    "sensitivity_lower",
    "sensitivity_upper",
    "sign_cube_total_sensitivity",
    "total_sensitivity_range",
    "two_basis_total_sensitivity",
]

FloatArray = npt.NDArray[np.float64]


def _log_brackets(p: float, v: npt.ArrayLike, leverages: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Logarithms of the core times max(t/v)^(1-p/2) and of the core times (sum v)^(p/2-1); -inf where a score is zero."""
    need_exponent(p)
    weights, scores = np.asarray(v, dtype=np.float64), np.asarray(leverages, dtype=np.float64)
    live = (scores > 0.0) & (weights > 0.0)
    log_v = np.log(np.where(live, weights, 1.0))
    log_t = np.log(np.where(live, scores, 1.0))
    log_core = np.where(live, (1.0 - p / 2.0) * log_v + (p / 2.0) * log_t, -math.inf)
    if not live.any():
        return log_core, log_core
    top = float(np.max(weights))
    log_total = math.log(top) + math.log(float(np.sum(weights / top)))  # a sum of huge weights must not overflow
    log_rho = float(np.max((log_t - log_v)[live]))
    return log_core + (1.0 - p / 2.0) * log_rho, log_core + (p / 2.0 - 1.0) * log_total


def sensitivity_lower(*, p: float, v: npt.ArrayLike, leverages: npt.ArrayLike) -> FloatArray:
    r"""Lower bound on every lp sensitivity from any positive weights.

    With :math:`t_i` the leverage scores of :math:`V^{1/2-1/p}A`, core :math:`c_i = v_i^{1-p/2} t_i^{p/2}`, :math:`\rho=\max t_i/v_i`:
    :math:`s_i \ge c_i (\sum v)^{p/2-1}` for :math:`p\le 2` and :math:`s_i \ge c_i \rho^{1-p/2}` for :math:`p\ge 2`.

    Parameters
    ----------
    p : float
        Exponent of the norm, 1 <= p < inf.
    v : array_like of shape (n,)
        The weights. Any positive numbers are valid; Lewis weights make the bracket narrow.
    leverages : array_like of shape (n,)
        Leverage scores of the rows of A multiplied by ``v**(1/2 - 1/p)``.

    Returns
    -------
    ndarray of shape (n,)
        Lower bounds, at most 1.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The universal bracket".

    Examples
    --------
    >>> sensitivity_lower(p=1.0, v=[1.0, 1.0], leverages=[1.0, 1.0]).round(4)
    array([0.7071, 0.7071])
    """
    by_ratio, by_total = _log_brackets(p, v, leverages)
    return np.asarray(np.exp(np.minimum(by_total if p <= 2.0 else by_ratio, 0.0)))


def sensitivity_upper(*, p: float, v: npt.ArrayLike, leverages: npt.ArrayLike) -> FloatArray:
    r"""Upper bound on every lp sensitivity from any positive weights; see `sensitivity_lower` for the symbols.

    :math:`s_i \le c_i \rho^{1-p/2}` for :math:`p\le 2` and :math:`s_i \le c_i (\sum v)^{p/2-1}` for :math:`p\ge 2`, and never above 1.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The universal bracket".

    Examples
    --------
    >>> sensitivity_upper(p=1.0, v=[1.0, 4.0], leverages=[1.0, 1.0])
    array([1., 1.])
    """
    by_ratio, by_total = _log_brackets(p, v, leverages)
    return np.asarray(np.exp(np.minimum(by_ratio if p <= 2.0 else by_total, 0.0)))


def total_sensitivity_range(*, p: float, rank: int) -> tuple[float, float]:
    r"""Smallest and largest total sensitivity of a matrix of rank d: between :math:`\min(d, d^{p/2})` and :math:`\max(d, d^{p/2})`.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The universal bracket" (take Lewis weights for v).

    Examples
    --------
    >>> total_sensitivity_range(p=1.0, rank=16)
    (4.0, 16.0)
    """
    need_exponent(p)
    ends = float(rank), float(rank) ** (p / 2.0)
    return min(ends), max(ends)


def two_basis_total_sensitivity(*, d: int, p: float, bases: int = 2) -> float:
    r"""Total sensitivity :math:`Jd/(1+(J-1)d^{1-p/2})` of J mutually unbiased bases of R^d, all rows alike.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Two bases". Within a factor 2 of the smallest possible value for p < 2.

    Examples
    --------
    >>> two_basis_total_sensitivity(d=16, p=1.0)
    6.4
    """
    need_exponent(p)
    return bases * d / (1.0 + (bases - 1) * math.pow(d, 1.0 - p / 2.0))


def sign_cube_total_sensitivity(*, d: int, p: float) -> float:
    r"""Total sensitivity :math:`d^p / E|\epsilon_1+\dots+\epsilon_d|^p` of the 2^(d-1) sign vectors.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Sign cube".

    Examples
    --------
    >>> round(sign_cube_total_sensitivity(d=10, p=1.0), 7)
    4.0634921
    """
    need_exponent(p)
    k = np.arange(d + 1)
    moment = float(np.sum(special.comb(d, k) * np.abs((2.0 * k - d) / d) ** p)) / 2.0**d
    return 1.0 / moment
