"""E-values from bets on a mean, and what many e-values say together."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BETS", "betting_log_wealth", "e_bh", "e_holm", "grid_log_e", "log_average"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Fractions of the largest admissible bet, geometric: small ones find small shifts, large ones decide clear cases within tens of trials.
BETS: Float = np.geomspace(1 / 64, 0.95, 16)
BETS.setflags(write=False)


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
    return float(np.logaddexp.reduce(w) - math.log(w.size))


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
    w = [float(share) for share in weights]
    if not w or min(w) < 0.0 or math.fsum(w) > 1.0 + 1e-9:
        raise ValueError(f"weights must be nonnegative and sum to at most one, not to {math.fsum(w)!r}")
    terms = [float(e) + math.log(share) for e, share in zip(log_e, w, strict=True) if share > 0.0]
    top = max(terms, default=-math.inf)
    if not math.isfinite(top):
        return top
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


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


def _descending(log_e: ArrayLike) -> tuple[Float, Int]:
    e = np.asarray(log_e, dtype=np.float64).ravel()
    order = np.argsort(-e, kind="stable")
    return e[order], order


def _scatter(order: Int, count: int) -> NDArray[np.bool_]:
    out = np.zeros(order.size, dtype=np.bool_)
    out[order[:count]] = True
    return out
