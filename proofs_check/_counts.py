"""E-values from counts of failures: one-sided, two-sided and sign tests, their boundaries and a confidence sequence."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln, xlog1py, xlogy

__all__ = [
    "Boundary",
    "boundary",
    "confidence_sequence",
    "count_evidence",
    "first_count",
    "log_accept",
    "log_accept_two_sided",
    "log_refute",
    "log_refute_two_sided",
    "log_sign",
    "odds_margin",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Below this the incomplete beta function has lost digits to the subnormal range; the finite sum takes over.
_SMALLEST_TAIL = 1e-280


def odds_margin(p: float, factor: float = 2.25) -> float:
    r"""Probability whose odds are ``factor`` times those of ``p``.

    .. math:: p_1 = \frac{f p}{1 + (f - 1) p}

    Parameters
    ----------
    p : float
        Probability in (0, 1).
    factor : float, default=2.25
        Factor on the odds. With 2.25 about 1,500 trials accept at failure rates of a few per cent, the budget of the quick tier.

    Returns
    -------
    float
        A probability in (0, 1).

    Examples
    --------
    >>> round(odds_margin(0.1), 12)
    0.2
    """
    return factor * p / (1.0 + (factor - 1.0) * p)


def log_refute(k: ArrayLike, n: ArrayLike, p0: ArrayLike) -> Float:
    r"""Log e-value against ":math:`P(\text{failure}) \le p_0`" after ``k`` failures in ``n`` trials.

    Uniform mixture of likelihood ratios over :math:`\theta \in [p_0, 1]`:

    .. math:: R = \frac{1}{1-p_0}\int_{p_0}^1 \Big(\frac{\theta}{p_0}\Big)^k \Big(\frac{1-\theta}{1-p_0}\Big)^{n-k} d\theta .

    Each factor has mean one at :math:`p = p_0` and a mean that increases in :math:`p`, hence at most one under the null, also when
    the trials are dependent but obey the statement conditionally on the past.

    Parameters
    ----------
    k, n : array_like of int
        Failures and trials, ``0 <= k <= n``.
    p0 : array_like of float
        Largest failure probability that the claim allows, in (0, 1).

    Returns
    -------
    ndarray of float64
        ``ln R``, nondecreasing in ``k``.

    Notes
    -----
    Where the incomplete beta function underflows, the integral equals a finite sum of positive terms, which is then used:
    :math:`R = \frac{1}{n+1-k} \sum_{i=0}^{k} \frac{k (k-1) \cdots (k-i+1)}{(n+2-k) \cdots (n+1-k+i)} \big(\frac{1-p_0}{p_0}\big)^i`.

    Examples
    --------
    >>> round(float(log_refute(13, 13, 0.5)), 3)  # ln((2**14 - 1) / 14)
    7.065
    """
    k, n, p = _counts(k, n, p0)
    return _log_upper(k, n, p, 1.0 - p)


def log_accept(k: ArrayLike, n: ArrayLike, p1: ArrayLike) -> Float:
    r"""Log e-value against ":math:`P(\text{failure}) \ge p_1`" after ``k`` failures in ``n`` trials.

    Half of the mass is the uniform mixture over :math:`\theta \in [0, p_1]`, half an atom at :math:`\theta = 0`, which makes loose
    bounds cheap to accept:

    .. math:: A = \tfrac12 1\{k=0\} (1-p_1)^{-n} + \frac{1}{2 p_1} \int_0^{p_1}
              \Big(\frac{\theta}{p_1}\Big)^k \Big(\frac{1-\theta}{1-p_1}\Big)^{n-k} d\theta .

    Parameters
    ----------
    k, n : array_like of int
        Failures and trials, ``0 <= k <= n``.
    p1 : array_like of float
        Smallest failure probability that must not be accepted, in (0, 1).

    Returns
    -------
    ndarray of float64
        ``ln A``, nonincreasing in ``k``.

    Examples
    --------
    >>> log_accept([0, 1], 34, 0.2).round(2)
    array([7.03, 2.8 ])
    """
    k, n, p = _counts(k, n, p1)
    mixture = _log_upper(n - k, n, 1.0 - p, p) - math.log(2.0)
    atom = np.where(k == 0, xlog1py(-n, -p) - math.log(2.0), -np.inf)
    return np.logaddexp(mixture, atom)


def log_refute_two_sided(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float:
    r"""Log e-value against ":math:`P(\text{event}) = p` exactly": uniform mixture over all of [0, 1].

    .. math:: \ln R = \ln B(k+1, n-k+1) - k \ln p - (n-k) \ln(1-p)

    Parameters
    ----------
    k, n : array_like of int
        Events and trials.
    p : array_like of float
        The exact probability that the claim states, in (0, 1).

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> round(float(log_refute_two_sided(1, 1, 0.5)), 12)
    0.0
    """
    k, n, p = _counts(k, n, p)
    return np.asarray(betaln(k + 1, n - k + 1) - xlogy(k, p) - xlog1py(n - k, -p))


def log_accept_two_sided(k: ArrayLike, n: ArrayLike, low: ArrayLike, high: ArrayLike) -> Float:
    """Log e-value against "the probability is at most ``low`` or at least ``high``".

    The smaller of the two one-sided values: whichever side is true, its own e-process bounds this one from above.

    Parameters
    ----------
    k, n : array_like of int
        Events and trials.
    low, high : array_like of float
        Ends of the indifference zone around the stated probability, ``0 < low < high < 1``.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> bool(log_accept_two_sided(500, 1000, 0.4, 0.6) > np.log(1e3))
    True
    """
    k, n, p = _counts(k, n, low)
    return np.minimum(log_accept(k, n, high), log_accept(n - k, n, 1.0 - p))


def log_sign(k: ArrayLike, n: ArrayLike) -> Float:
    """Log e-value against "the event has probability at most one half", for statements about a median.

    Parameters
    ----------
    k, n : array_like of int
        Events and repetitions. Ties belong to the event or not according to the statement, never by chance.

    Returns
    -------
    ndarray of float64
        Unanimous repetitions reach 1e3 at ``n = 13`` and 1e6 at ``n = 24``.

    Examples
    --------
    >>> bool(log_sign(24, 24) >= np.log(1e6)), bool(log_sign(23, 23) >= np.log(1e6))
    (True, False)
    """
    return log_refute(k, n, 0.5)


@lru_cache(maxsize=1 << 16)
def count_evidence(k_refute: int, k_accept: int, n: int, p0: float, p1: float) -> tuple[float, float]:
    """Both log e-values of one part at one look: :func:`log_refute` and :func:`log_accept` for plain numbers, remembered.

    Parameters
    ----------
    k_refute, k_accept : int
        Failures as the refuting side counts them (sure ones) and as the accepting side does (possible ones too).
    n : int
        Trials.
    p0, p1 : float
        Allowed failure probability and the one that must not be accepted.

    Returns
    -------
    tuple of float
        ``(ln R, ln A)``.

    Examples
    --------
    >>> [round(value, 3) for value in count_evidence(0, 0, 64, 0.1, 0.2)]
    [-4.174, 13.662]
    """
    if not (0 <= k_refute <= n and 0 <= k_accept <= n):
        raise ValueError(f"k={k_refute}, {k_accept} of n={n}: counts must satisfy 0 <= k <= n")
    mixture = _log_upper_number(n - k_accept, n, 1.0 - p1, p1) - math.log(2.0)
    if k_accept == 0:
        atom = -n * math.log1p(-p1) - math.log(2.0)
        mixture = max(atom, mixture) + math.log1p(math.exp(-abs(atom - mixture)))
    return _log_upper_number(k_refute, n, p0, 1.0 - p0), mixture


@dataclass(frozen=True, slots=True)
class Boundary:
    """Integer stopping boundaries of one part, one entry per look.

    Attributes
    ----------
    looks : ndarray of int64
        Numbers of trials at which the part is looked at.
    k_refute : ndarray of int64
        Smallest count of failures whose ``R`` reaches its threshold; ``n + 1`` where none does.
    k_accept : ndarray of int64
        Largest count whose ``A`` reaches its threshold; ``-1`` where none does.
    """

    looks: Int
    k_refute: Int
    k_accept: Int


@lru_cache(maxsize=256)
def boundary(p0: float, p1: float, horizon: int, step: int = 64, alpha_R: float = 1e-6, alpha_A: float = 1e-3) -> Boundary:
    """Tabulate where a part is refuted or accepted, so that a hot loop compares integers only.

    Parameters
    ----------
    p0, p1 : float
        Allowed failure probability and the one that must not be accepted, ``p0 < p1``.
    horizon : int
        Largest number of trials.
    step : int, default=64
        Trials between two looks: the block of the engine.
    alpha_R, alpha_A : float
        Error levels; divide ``alpha_R`` by the part's weight when several parts share it.

    Returns
    -------
    Boundary

    Notes
    -----
    Bisection over the count, vectorised over all looks: ``O(horizon / step * log(horizon))`` incomplete beta functions.

    Examples
    --------
    >>> b = boundary(0.1, 0.2, 34, step=1)
    >>> int(b.k_accept[-1]), int(b.k_accept[-2])
    (0, -1)
    """
    if not 0.0 < p0 < p1 < 1.0:
        raise ValueError(f"p0={p0!r}, p1={p1!r}: need 0 < p0 < p1 < 1; choose a margin that keeps p1 below one")
    if step < 1 or horizon < step:
        raise ValueError(f"horizon={horizon!r}, step={step!r}: need 1 <= step <= horizon")
    looks = np.arange(step, horizon + 1, step, dtype=np.int64)
    refute = first_count(looks, lambda k: log_refute(k, looks, p0) >= -math.log(alpha_R))
    accept = first_count(looks, lambda k: log_accept(k, looks, p1) < -math.log(alpha_A)) - 1
    for table in (looks, refute, accept):
        table.setflags(write=False)
    return Boundary(looks, refute, accept)


def first_count(looks: Int, test: Callable[[Int], NDArray[np.bool_]]) -> Int:
    """Find the smallest count at which a monotone test holds, for every look.

    Parameters
    ----------
    looks : ndarray of int64
        Numbers of trials ``n``.
    test : callable
        Maps counts (one per look, between 0 and ``n``) to booleans; once true it stays true as the count grows.

    Returns
    -------
    ndarray of int64
        Between 0 and ``n + 1``, the latter where the test never holds.

    Examples
    --------
    >>> n = np.array([10, 20])
    >>> first_count(n, lambda k: k >= 0.5 * n).tolist()
    [5, 10]
    """
    low, high = np.full(looks.shape, -1, dtype=np.int64), looks + 1
    while np.any(high - low > 1):
        middle = np.clip((low + high) // 2, 0, looks)
        holds, open_ = test(middle), high - low > 1
        high = np.where(open_ & holds, middle, high)
        low = np.where(open_ & ~holds, middle, low)
    return high


def confidence_sequence(k: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Interval for a probability that is valid at all times at once, however the run was stopped.

    The set of all ``p`` that :func:`log_refute_two_sided` does not reject at ``alpha``.

    Parameters
    ----------
    k, n : int
        Events and trials.
    alpha : float, default=0.05
        P(the interval ever misses the probability) is at most ``alpha``.

    Returns
    -------
    tuple of float
        Lower and upper end.

    Examples
    --------
    >>> low, high = confidence_sequence(0, 300)
    >>> low, round(high, 3)
    (0.0, 0.029)
    """
    from scipy.optimize import brentq

    if n == 0:
        return 0.0, 1.0
    centre = k / n

    def excess(p: float) -> float:
        return float(log_refute_two_sided(k, n, p)) + math.log(alpha)

    tiny = 1e-300
    low = 0.0 if k == 0 or excess(tiny) < 0.0 else float(brentq(excess, tiny, centre if k < n else 1.0 - 2.0**-53, xtol=1e-15))
    high = 1.0 if k == n or excess(1.0 - 2.0**-53) < 0.0 else float(brentq(excess, max(centre, tiny), 1.0 - 2.0**-53, xtol=1e-15))
    return low, high


def _counts(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> tuple[Float, Float, Float]:
    k, n, p = np.asarray(k, np.float64), np.asarray(n, np.float64), np.asarray(p, np.float64)
    if not k.shape == n.shape == p.shape:
        k, n, p = np.broadcast_arrays(k, n, p)
    if not np.all((k >= 0) & (k <= n)):
        raise ValueError("counts must satisfy 0 <= k <= n")
    if not np.all((p > 0.0) & (p < 1.0)):
        raise ValueError(f"probabilities must lie strictly between 0 and 1, not at {float(p.min())!r}..{float(p.max())!r}")
    return k, n, p


def _log_upper(k: Float, n: Float, p: Float, q: Float) -> Float:
    """Log of the uniform mixture over [p, 1] relative to p; ``q = 1 - p`` is passed apart to keep its digits when p is near one."""
    tail = betaincc(k + 1, n - k + 1, p)
    with np.errstate(divide="ignore"):
        value = np.asarray(betaln(k + 1, n - k + 1) - xlogy(k, p) - xlogy(n - k, q) + np.log(tail) - np.log(q))
    small = tail < _SMALLEST_TAIL
    for index in np.argwhere(small) if small.any() else ():
        at = tuple(index)
        value[at] = _log_upper_sum(float(k[at]), float(n[at]), float(q[at] / p[at]))
    return value


def _log_upper_number(k: int, n: int, p: float, q: float) -> float:
    """Value of :func:`_log_upper` for plain numbers, twenty times faster."""
    tail = float(betaincc(k + 1.0, n - k + 1.0, p))
    if tail < _SMALLEST_TAIL:
        return _log_upper_sum(k, n, q / p)
    value = float(betaln(k + 1.0, n - k + 1.0)) + math.log(tail) - math.log(q)
    return value - (k * math.log(p) if k else 0.0) - ((n - k) * math.log(q) if n > k else 0.0)


def _log_upper_sum(k: float, n: float, odds: float) -> float:
    """Finite sum for the same mixture, in scaled chunks; its terms fall geometrically wherever the beta function underflows."""
    total, log_scale, chunk, start = 0.0, 0.0, 512, 0
    while start <= k:
        i = np.arange(start, min(start + chunk, int(k) + 1))
        ratios = np.concatenate(([1.0], (k - i[:-1]) / (n + 2 - k + i[:-1]) * odds))
        terms = np.cumprod(ratios)
        total += math.exp(log_scale) * float(terms.sum())
        start += len(i)
        last = float(terms[-1]) * (k - i[-1]) / (n + 2 - k + i[-1]) * odds
        if last <= 0.0 or log_scale + math.log(last) < math.log(total) - 40.0:
            break
        log_scale += math.log(last)
    return math.log(total) - math.log(n + 1 - k)
