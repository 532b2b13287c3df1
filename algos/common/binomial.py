"""Exact confidence limits for a probability from a count."""

from collections.abc import Callable
from typing import Literal

from algos.common.validation import check_option, check_range

__all__ = ["binomial_interval", "binomial_p_value", "clopper_pearson"]


def clopper_pearson(k: int, n: int, level: float, side: Literal["lower", "upper"]) -> float:
    r"""Return an exact one-sided confidence limit for a probability p of which k of n independent trials are seen.

    The upper limit is the p for which :math:`P(\mathrm{Bin}(n,p)\le k)=1-` `level`, the lower one the p for which
    :math:`P(\mathrm{Bin}(n,p)\ge k)=1-` `level`; both are quantiles of beta distributions.

    Parameters
    ----------
    k : int
        Successes, 0 <= k <= n.
    n : int
        Trials, at least 1.
    level : float
        Confidence in (0, 1): whatever p is, the limit is on the wrong side of p with probability at most ``1 - level``. An interval with
        both ends at level ``1 - alpha / 2`` has confidence ``1 - alpha``.
    side : {"lower", "upper"}
        Which limit.

    Returns
    -------
    float
        The lower limit is 0 for k = 0 and the upper one 1 for k = n.

    Raises
    ------
    TypeError
        k or n is not an integer.
    ValueError
        A value outside its range.

    References
    ----------
    Clopper, C. J. and Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case of the binomial.
    Biometrika 26, 404-413.

    Examples
    --------
    >>> from algos.common.binomial import clopper_pearson
    >>> round(clopper_pearson(0, 10, 0.95, "upper"), 4)  # 1 - 0.05 ** (1 / 10)
    0.2589
    >>> clopper_pearson(0, 10, 0.95, "lower")
    0.0
    """
    n = check_range(n, name="n", low=1, integer=True)
    k = check_range(k, name="k", low=0, high=n, integer=True)
    level = check_range(level, name="level", low=0.0, high=1.0, low_open=True, high_open=True)
    check_option(side, ("lower", "upper"), name="side")
    if (side == "lower" and k == 0) or (side == "upper" and k == n):
        return 0.0 if side == "lower" else 1.0
    from scipy.special import betainccinv, betaincinv

    if side == "lower":
        return float(betaincinv(k, n - k + 1, 1.0 - level))
    return float(betainccinv(k + 1, n - k, 1.0 - level))


def binomial_interval(n: int, p: float, level: float) -> tuple[int, int]:
    r"""Return the counts that an exact two-sided test of a known probability accepts.

    The interval [low, high] is the shortest with :math:`P(\mathrm{Bin}(n,p)<\mathrm{low})\le` `level` / 2 and
    :math:`P(\mathrm{Bin}(n,p)>\mathrm{high})\le` `level` / 2.

    Parameters
    ----------
    n : int
        Trials, at least 1.
    p : float
        Probability of a success, in [0, 1].
    level : float
        Probability with which a true p may be rejected, in (0, 1).

    Returns
    -------
    low, high : int

    Raises
    ------
    TypeError
        n is not an integer.
    ValueError
        A value outside its range.

    Examples
    --------
    >>> from algos.common.binomial import binomial_interval
    >>> binomial_interval(10, 0.5, 0.05)  # P(0 or 1 successes) = 11 / 1024
    (2, 8)
    """
    n = check_range(n, name="n", low=1, integer=True)
    p = check_range(p, name="p", low=0.0, high=1.0)
    level = check_range(level, name="level", low=0.0, high=1.0, low_open=True, high_open=True)

    # P(Bin(n, p) <= k) = P(Bin(n, 1 - p) >= n - k): no tail is computed as one minus another
    low = _first(n, lambda k: _tail(n, 1.0 - p, n - k) > level / 2.0)
    high = _first(n, lambda k: _tail(n, p, k + 1) <= level / 2.0)
    return low, high


def binomial_p_value(k: int, n: int, p: float) -> float:
    r"""Return the exact two-sided p-value of k successes.

    It is twice the smaller of :math:`P(\mathrm{Bin}(n,p)\le k)` and :math:`P(\mathrm{Bin}(n,p)\ge k)`.

    Parameters
    ----------
    k : int
        Successes, 0 <= k <= n.
    n : int
        Trials, at least 1.
    p : float
        Probability of a success under the hypothesis, in [0, 1].

    Returns
    -------
    float
        At most 1. It is at most a level exactly when k lies outside `binomial_interval` at that level.

    Raises
    ------
    TypeError
        k or n is not an integer.
    ValueError
        A value outside its range.

    Examples
    --------
    >>> from algos.common.binomial import binomial_p_value
    >>> binomial_p_value(1, 10, 0.5) == 2 * 11 / 1024
    True
    """
    n = check_range(n, name="n", low=1, integer=True)
    k = check_range(k, name="k", low=0, high=n, integer=True)
    p = check_range(p, name="p", low=0.0, high=1.0)
    return min(1.0, 2.0 * _tail(n, p, k), 2.0 * _tail(n, 1.0 - p, n - k))


def _tail(n: int, p: float, k: int) -> float:
    """Return P(Bin(n, p) >= k)."""
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    from scipy.special import betainc

    return float(betainc(k, n - k + 1, p))


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest count in 0..n for which a condition that stays true once it is true holds; n if it never does."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
