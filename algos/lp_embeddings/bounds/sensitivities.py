"""Formulas about lp sensitivities: the bracket around each, the range of their sum, families where the sum is known."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from algos.lp_embeddings.bounds._checks import need, need_exponent

__all__ = [
    "betting_interval",
    "lifted_total_sensitivity",
    "polynomial_total_sensitivity",
    "sensitivity_lower",
    "sensitivity_upper",
    "sign_cube_total_sensitivity",
    "total_sensitivity_range",
    "two_basis_total_sensitivity",
]

FloatArray = npt.NDArray[np.float64]

_LARGEST_LOSS = 0.9  # share of the capital that one value may cost


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


def lifted_total_sensitivity(*, p: float, rank: int) -> int:
    r"""Largest total sensitivity for even p by lifting: :math:`\binom{d+p/2-1}{p/2}`, the number of monomials of degree p/2.

    For even p, :math:`|a x|^p` is the square of a linear function of the monomials of degree p/2 in x. So sensitivities are at most the
    leverage scores of the lifted rows, whose sum is the rank of the lifted table.

    Parameters
    ----------
    p : float
        Even exponent.
    rank : int
        Rank d of the table.

    Raises
    ------
    ValueError
        p is not an even integer.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Even exponents".

    Examples
    --------
    >>> lifted_total_sensitivity(p=4.0, rank=6)
    21
    """
    need_exponent(p)
    need(p % 2.0 == 0.0, f"p={p!r} must be an even integer: only then is a power of a product a square of monomials")
    half = int(p) // 2
    return math.comb(rank + half - 1, half)


def polynomial_total_sensitivity(*, p: float, rank: int) -> float:
    r"""Largest total sensitivity of polynomials of degree d-1 on any nodes, for even p: :math:`p(d-1)/2+1`.

    The power p/2 of a polynomial of degree d-1 is a polynomial of degree p(d-1)/2, whose space has that many dimensions.

    Parameters
    ----------
    p : float
        Even exponent.
    rank : int
        Number of coefficients d.

    Raises
    ------
    ValueError
        p is not an even integer.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Even exponents".

    Examples
    --------
    >>> polynomial_total_sensitivity(p=4.0, rank=8)
    15.0
    """
    need_exponent(p)
    need(p % 2.0 == 0.0, f"p={p!r} must be an even integer: only then is the power of a polynomial the square of a polynomial")
    return p * (rank - 1) / 2.0 + 1.0


def betting_interval(
    *, lower: npt.ArrayLike, upper: npt.ArrayLike, smallest: float, largest: float, delta: float = 1e-3
) -> tuple[float, float]:
    r"""Confidence interval for the mean of independent values in a known range, each known up to an interval of its own.

    Bets :math:`\lambda_k` that depend on earlier values only make :math:`\prod_k(1\pm\lambda_k(z_k-\mu))` a supermartingale when
    :math:`\mu` is the mean, so by Ville's inequality it exceeds :math:`2/\delta` with probability at most :math:`\delta/2`.

    Parameters
    ----------
    lower, upper : array_like of shape (m,)
        Bounds on each value, in the order in which they were drawn.
    smallest, largest : float
        Range of the values, fixed before they were drawn.
    delta : float, default=1e-3
        Probability of missing the mean, at most.

    Returns
    -------
    (float, float)
        The interval, inside the range.

    Notes
    -----
    Holds for every m, not only in the limit. Much narrower than empirical Bernstein bounds for fewer than 1,000 values, whose term of
    order 1/m has a large factor.

    References
    ----------
    I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024 (recalled).

    Examples
    --------
    >>> low, high = betting_interval(lower=[0.5] * 64, upper=[0.5] * 64, smallest=0.0, largest=1.0)
    >>> round(low, 2), round(high, 2)
    (0.44, 0.56)
    """
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    need(low.ndim == 1 and low.shape == high.shape and low.size > 0, "lower and upper must be vectors of one length, at least 1")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie strictly between 0 and 1")
    width = largest - smallest
    if not width > 0.0:
        return smallest, largest
    low, high = (low - smallest) / width, (high - smallest) / width
    # an interval from below for the values that are too small, one from above for those that are too large
    from_below = _smallest_mean(np.clip(low, 0.0, 1.0), delta / 2.0)
    from_above = 1.0 - _smallest_mean(np.clip(1.0 - high, 0.0, 1.0), delta / 2.0)
    return smallest + width * from_below, smallest + width * max(from_above, from_below)


def _smallest_mean(values: FloatArray, delta: float) -> float:
    """Lower confidence limit of a mean in [0, 1]: the largest mean that the bets on larger values have refuted."""
    count = np.arange(values.size)
    mean = (0.5 + np.concatenate([[0.0], np.cumsum(values)])) / (1.0 + np.arange(values.size + 1))
    squares = np.concatenate([[0.0], np.cumsum((values - mean[1:]) ** 2)])[:-1]
    variance = (0.25 + squares) / (1.0 + count)  # of the values before
    bets = np.sqrt(2.0 * math.log(1.0 / delta) / (values.size * variance))
    refuted, possible = 0.0, 1.0
    for _ in range(60):  # every factor falls with mu, so the refuted means are an interval
        mu = 0.5 * (refuted + possible)
        gains = np.log1p(np.minimum(bets, _LARGEST_LOSS / mu) * (values - mu))
        if float(np.sum(gains)) >= math.log(1.0 / delta):
            refuted = mu
        else:
            possible = mu
    return refuted


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
