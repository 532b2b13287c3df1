r"""What no learner can do: how likely a needle is found with few queries, and how large a needle fits below the misspecification.

A needle is one action, drawn uniformly, whose reward sticks out, among actions that all return the same value. Before it is hit, the
answers say nothing about where it is.
"""

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits.bounds._checks import need

__all__ = [
    "RsTradeoff",
    "coherence_bound",
    "jl_gap_ratio",
    "needle_queries",
    "needle_success_curve",
    "rs_actions",
    "rs_exponent",
    "rs_tradeoff",
]

_ROUNDING = 1e-12  # a ratio 2 s/t that was rounded to a float must still give back t


@overload
def needle_success_curve(*, q: int, N: int) -> float: ...
@overload
def needle_success_curve(*, q: npt.ArrayLike, N: int) -> npt.NDArray[np.float64]: ...
def needle_success_curve(*, q: npt.ArrayLike, N: int) -> float | npt.NDArray[np.float64]:
    r"""Return :math:`\min(1,(q+1)/N)`, the largest probability of finding a uniform needle among N actions with q queries.

    The needle is hit with probability at most q/N, because the answers before the hit do not depend on it; otherwise the recommendation
    is a guess among N - q actions, right with probability :math:`\frac1{N-q}\cdot\frac{N-q}N`. Coins and noise do not help. Attained by
    every learner that repeats no query, stops on the needle, and otherwise recommends an action that it has not seen.

    Parameters
    ----------
    q : int or array-like of int
        Distinct queries, not negative.
    N : int
        Actions, at least 1.

    Returns
    -------
    float, or ndarray of float64 of the shape of q

    Raises
    ------
    ValueError
        A negative q, or N below 1.

    Examples
    --------
    >>> needle_success_curve(q=3, N=25)
    0.16
    >>> needle_success_curve(q=[0, 24, 99], N=25).tolist()
    [0.04, 1.0, 1.0]
    """
    need(N >= 1, f"N={N!r} must be at least 1")
    queries = np.asarray(q)
    need(bool(np.all(queries >= 0)), f"q={q!r} must not be negative")
    curve = np.minimum(1.0, (queries + 1) / N)
    return float(curve) if queries.ndim == 0 else curve


def needle_queries(*, N: int, probability: float) -> int:
    r"""Return :math:`\max(0,\lceil PN\rceil-1)`, the fewest queries with which a uniform needle can be found with probability P.

    Parameters
    ----------
    N : int
        Actions, at least 1.
    probability : float
        P, in (0, 1].

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> needle_queries(N=125, probability=0.5)
    62
    """
    need(N >= 1, f"N={N!r} must be at least 1")
    need(0.0 < probability <= 1.0, f"probability={probability!r} must lie in (0, 1]")
    return max(0, math.ceil(probability * N * (1.0 - _ROUNDING)) - 1)


@dataclass(frozen=True)
class RsTradeoff:
    """How many actions hide a needle of what size; see `rs_tradeoff`.

    Attributes
    ----------
    ratio : float
        Gap of the needle over the misspecification; infinite for degree 0, where there is no misspecification.
    n_actions : int
    n_features : int
    """

    ratio: float
    n_actions: int
    n_features: int


def rs_tradeoff(*, s: int, p: int, t: int) -> RsTradeoff:
    r"""Return the size of the instance made of polynomials of degree at most t over the field of p elements.

    Two of the :math:`N=p^{t+1}=(d/s)^{t+1}` polynomials agree in at most t of the s places, so that the features, unit vectors with s
    equal entries in :math:`d=sp` columns, have inner products from 0 to t/s. Every query of a learner whose error must stay below
    :math:`2\varepsilon s/t` is worth 1/N.

    Parameters
    ----------
    s : int
        Sparsity, at least 1.
    p : int
        Prime, at least s.
    t : int
        Degree, from 0 to s - 1.

    Returns
    -------
    RsTradeoff

    Raises
    ------
    ValueError
        A parameter outside its range; p composite.

    Examples
    --------
    >>> rs_tradeoff(s=8, p=11, t=2)
    RsTradeoff(ratio=8.0, n_actions=1331, n_features=88)
    """
    need(s >= 1, f"s={s!r} must be at least 1")
    need(p >= s, f"p={p!r} must not be below s={s!r}: every place needs its own element of the field; take a larger prime")
    need(p >= 2 and all(p % k for k in range(2, math.isqrt(p) + 1)), f"p={p!r} is not prime; take a prime, where nonzero means invertible")
    need(0 <= t <= s - 1, f"t={t!r} must lie in 0, ..., s - 1 = {s - 1}")
    return RsTradeoff(math.inf if t == 0 else 2.0 * s / t, p ** (t + 1), s * p)


def rs_exponent(*, s: int, ratio: float) -> int:
    r"""Return :math:`\lfloor2s/\rho\rfloor+1`, the power of d/s in the number of actions that an error below :math:`\rho\varepsilon` costs.

    Parameters
    ----------
    s : int
        Sparsity, at least 1.
    ratio : float
        :math:`\rho`, error over misspecification, larger than 2: the construction needs a degree below s.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> [rs_exponent(s=8, ratio=16 / t) for t in range(1, 8)]
    [2, 3, 4, 5, 6, 7, 8]

    For an error of :math:`s^\delta\varepsilon` the exponent is :math:`\lfloor2s^{1-\delta}\rfloor+1`:

    >>> rs_exponent(s=25, ratio=25**0.5)
    11
    """
    need(s >= 1, f"s={s!r} must be at least 1")
    need(
        ratio > 2.0,
        f"ratio={ratio!r} must be larger than 2: below, the degree reaches s and different polynomials can be equal on s places",
    )
    return math.floor(2.0 * s / ratio * (1.0 + _ROUNDING)) + 1


def rs_actions(*, s: int, d: int, ratio: float) -> float:
    r"""Return :math:`N=(d/s)^{\lfloor2s/\rho\rfloor+1}`: an error below :math:`\rho\varepsilon` with probability P takes P N - 1 queries.

    Parameters
    ----------
    s : int
        Sparsity.
    d : int
        Features, at least s.
    ratio : float
        :math:`\rho`, larger than 2.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Notes
    -----
    An instance exists where d/s is a prime not below s; see `rs_tradeoff`.

    Examples
    --------
    >>> rs_actions(s=8, d=88, ratio=16 / 3)
    14641.0
    """
    need(d >= s >= 1, f"d={d!r} must not be below s={s!r}")
    return float(d / s) ** rs_exponent(s=s, ratio=ratio)


def coherence_bound(*, K: int, d: int, delta: float = 0.5) -> float:
    r"""Return :math:`\sqrt{2\ln(K(K-1)/\delta)/d}`, which the coherence of K random sign vectors passes with probability at most delta.

    The inner product of two rows of random signs over :math:`\sqrt d` is a mean of d independent signs, larger in size than t with
    probability at most :math:`2e^{-dt^2/2}` (Hoeffding); there are K(K - 1)/2 pairs.

    Parameters
    ----------
    K : int
        Vectors, at least 2.
    d : int
        Signs of each.
    delta : float, default=0.5
        Probability, in (0, 1). Below 1, so vectors with a coherence within the bound exist.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> round(coherence_bound(K=1000, d=400), 3)
    0.269
    """
    need(K >= 2, f"K={K!r} must be at least 2")
    need(d >= 1, f"d={d!r} must be at least 1")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie between 0 and 1")
    return math.sqrt(2.0 * (math.log(K) + math.log(K - 1) - math.log(delta)) / d)


def jl_gap_ratio(*, coherence: float) -> float:
    r"""Return :math:`1+1/\mu`, gap over misspecification of a needle among unit vectors with inner products of size at most :math:`\mu`.

    Parameters
    ----------
    coherence : float
        :math:`\mu`, from 0 to 1; for 0 the ratio is infinite.

    Raises
    ------
    ValueError
        A coherence outside [0, 1].

    Examples
    --------
    >>> jl_gap_ratio(coherence=0.25)
    5.0
    """
    need(0.0 <= coherence <= 1.0, f"coherence={coherence!r} must lie in [0, 1]")
    return math.inf if coherence == 0.0 else 1.0 + 1.0 / coherence
