"""Exact confidence limits for a probability from a count."""

from typing import Literal

from algos.common.validation import check_option, check_range

__all__ = ["clopper_pearson"]


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
