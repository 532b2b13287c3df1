r"""E-processes: evidence that may be looked at after every block.

An *e-process* for a null hypothesis is a nonnegative sequence whose expectation is at most one at every stopping time, so that by
Ville's inequality it exceeds :math:`1/\alpha` with probability at most :math:`\alpha` however often it is looked at. Two of them
stand behind every verdict of the harness: ``R`` against "the claim is true" and ``A`` against "the claim is false by the declared
margin". Everything is in natural logarithms, and depends on the trials only through sums, so that blocks merge in any order.

All functions accept numbers or arrays that broadcast.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln, logsumexp, xlog1py, xlogy

__all__ = [
    "BETS",
    "Boundary",
    "betting_log_wealth",
    "boundary",
    "confidence_sequence",
    "count_evidence",
    "e_bh",
    "e_holm",
    "first_count",
    "grid_log_e",
    "log_accept",
    "log_accept_two_sided",
    "log_average",
    "log_refute",
    "log_refute_two_sided",
    "log_sign",
    "odds_margin",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Fractions of the largest admissible bet, geometric: small ones find small shifts, large ones decide clear cases within tens of trials.
BETS: Float = np.geomspace(1 / 64, 0.95, 16)
BETS.setflags(write=False)

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


def betting_log_wealth(x: ArrayLike, null: float, extreme: float) -> Float:
    r"""Log wealth of the sixteen fixed bets against "the mean lies on the far side of ``null``".

    With :math:`\text{extreme} < \text{null}` the null is :math:`E X \le \text{null}` for :math:`X \ge \text{extreme}`; with
    :math:`\text{extreme} > \text{null}` it is :math:`E X \ge \text{null}` for :math:`X \le \text{extreme}`:

    .. math:: W_c = \prod_t \Big(1 + c\, \frac{X_t - \text{null}}{\text{null} - \text{extreme}}\Big).

    Parameters
    ----------
    x : array_like of float
        Observations of a block, none beyond ``extreme``.
    null : float
        Mean at the boundary of the null.
    extreme : float
        A proved bound on every observation, on the side of the null.

    Returns
    -------
    ndarray of float64, shape (16,)
        One log wealth per entry of :data:`BETS`; blocks add up.

    Raises
    ------
    ValueError
        If ``null == extreme`` (no bet exists) or an observation lies beyond ``extreme`` (the factor could be negative).

    Examples
    --------
    >>> int(betting_log_wealth([1.0, 1.0], null=0.5, extreme=0.0).argmax())
    15
    """
    x = np.atleast_1d(np.asarray(x, dtype=np.float64))
    if not math.isfinite(null) or not math.isfinite(extreme) or null == extreme:
        raise ValueError(f"null={null!r}, extreme={extreme!r}: need two different finite numbers; without them no bet is fair")
    gain = (x - null) / (null - extreme)
    if not np.all(gain >= -1.0):
        worst = float(x[np.argmin(np.where(np.isnan(gain), -np.inf, gain))])
        raise ValueError(f"observation {worst!r} lies beyond the declared bound {extreme!r}; correct the envelope, never the data")
    return np.asarray(np.log1p(np.multiply.outer(BETS, gain)).sum(axis=1))


def grid_log_e(log_wealth: ArrayLike) -> float:
    """Log e-value of the equal mixture of the sixteen bets.

    Parameters
    ----------
    log_wealth : array_like of float, shape (16,)
        Sum over blocks of :func:`betting_log_wealth`.

    Returns
    -------
    float

    Examples
    --------
    >>> grid_log_e(np.zeros(16))
    0.0
    """
    w = np.asarray(log_wealth, dtype=np.float64)
    return float(logsumexp(w) - math.log(w.size))


def log_average(log_e: Sequence[float] | Float, weights: Sequence[float] | Float) -> float:
    """Log of the weighted average of e-values, again an e-value whatever their dependence.

    Parameters
    ----------
    log_e : array_like of float
        Log e-values of the parts.
    weights : array_like of float
        Nonnegative, fixed before the run, sum at most one; what is missing counts as evidence zero.

    Returns
    -------
    float

    Examples
    --------
    >>> round(log_average([0.0, np.log(3.0)], [0.5, 0.5]), 6)  # log of (1 + 3) / 2
    0.693147
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.size == 0 or np.any(w < 0.0) or w.sum() > 1.0 + 1e-9:
        raise ValueError(f"weights must be nonnegative and sum to at most one, not to {float(w.sum())!r}")
    e = np.asarray(log_e, dtype=np.float64)
    return float(logsumexp(e, b=w)) if np.any(np.isfinite(e)) else float(e.max())


def e_holm(log_e: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    r"""Which claims are refuted when the probability of *any* false refutation must stay below ``alpha``.

    Step down: the j-th largest of M e-values is compared with :math:`(M-j+1)/\alpha`, until the first one fails.

    Parameters
    ----------
    log_e : array_like of float
        Log e-value per claim, arbitrarily dependent.
    alpha : float
        Family-wise error.

    Returns
    -------
    ndarray of bool
        In the order of ``log_e``.

    Examples
    --------
    >>> e_holm(np.log([1e6, 3.0, 25.0]), 0.1)
    array([ True, False,  True])
    """
    e, order = _descending(log_e)
    passed = e >= np.log(np.arange(e.size, 0, -1)) - math.log(alpha)
    return _scatter(order, int(np.argmin(np.append(passed, False))))


def e_bh(log_e: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    r"""Which claims are refuted when the expected share of false refutations must stay below ``alpha``.

    The largest j whose j-th largest e-value is at least :math:`M/(j \alpha)`; holds under any dependence.

    Parameters
    ----------
    log_e : array_like of float
        Log e-value per claim.
    alpha : float
        False discovery rate.

    Returns
    -------
    ndarray of bool
        In the order of ``log_e``.

    Examples
    --------
    >>> e_bh(np.log([15.0, 1.0, 9.0, 1.0]), 0.2)
    array([False, False, False, False])
    >>> e_bh(np.log([15.0, 1.0, 10.0, 1.0]), 0.2)
    array([ True, False,  True, False])
    """
    e, order = _descending(log_e)
    passed = np.flatnonzero(e >= math.log(max(e.size, 1)) - np.log(np.arange(1, e.size + 1)) - math.log(alpha))
    return _scatter(order, int(passed[-1]) + 1 if passed.size else 0)


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


def _descending(log_e: ArrayLike) -> tuple[Float, Int]:
    e = np.asarray(log_e, dtype=np.float64).ravel()
    order = np.argsort(-e, kind="stable")
    return e[order], order


def _scatter(order: Int, count: int) -> NDArray[np.bool_]:
    out = np.zeros(order.size, dtype=np.bool_)
    out[order[:count]] = True
    return out
