r"""Regret under misspecification: confidence sets of ridge regression, LinUCB, and phased elimination."""

import math

from algos.misspecified_bandits.bounds._checks import need

__all__ = ["confidence_radius", "elimination_width", "linucb_regret", "misspecification_regret", "phase_pulls", "regret_rate"]


def confidence_radius(*, sigma: float, log_det: float, ridge: float, R: float, delta: float) -> float:
    r"""Return :math:`\sigma\sqrt{2\ln(1/\delta)+\ln(\det V/\lambda^d)}+\sqrt\lambda R`.

    With probability at least :math:`1-\delta` the ridge estimate without misspecification stays within this distance of
    :math:`\theta` in the norm of V, at all times at once, whatever was pulled: the self-normalised bound for vector martingales, and the
    bias :math:`\lambda\|\theta\|_{V^{-1}}\le\sqrt\lambda R`.

    Parameters
    ----------
    sigma : float
        The noise is sigma-subgaussian given the past.
    log_det : float
        :math:`\ln(\det V/\lambda^d)`.
    ridge : float
        :math:`\lambda`.
    R : float
        Largest Euclidean length of :math:`\theta`.
    delta : float
        Probability of failure, in (0, 1).

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> confidence_radius(sigma=0.0, log_det=3.0, ridge=4.0, R=0.5, delta=0.05)
    1.0
    """
    need(sigma >= 0.0, f"sigma={sigma!r} must not be negative")
    need(log_det >= -1e-9, f"log_det={log_det!r} must not be negative")
    need(ridge > 0.0, f"ridge={ridge!r} must be positive")
    need(R >= 0.0, f"R={R!r} must not be negative")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie between 0 and 1")
    return sigma * math.sqrt(2.0 * math.log(1.0 / delta) + max(log_det, 0.0)) + math.sqrt(ridge) * R


def linucb_regret(
    *, T: int, d: int, eps: float, sigma: float = 1.0, delta: float = 0.05, R: float = 1.0, ridge: float = 1.0, length: float = 1.0
) -> float:
    r"""Return :math:`2(\beta_T+\varepsilon\sqrt T)\sqrt{T\,c\,D}+2\varepsilon T`, a bound on the regret of LinUCB with widened confidence.

    Here :math:`D=d\ln(1+TL^2/(d\lambda))\ge\ln(\det V/\lambda^d)` and :math:`c=x/\ln(1+x)` for :math:`x=L^2/\lambda`, so that
    :math:`h\le c\ln(1+h)` for every squared width. A round costs at most twice its width and twice :math:`\varepsilon`, and the squared
    widths sum to at most :math:`cD`. Holds with probability at least :math:`1-\delta`.

    Parameters
    ----------
    T, d : int
        Rounds and columns.
    eps : float
        Misspecification.
    sigma, delta, R, ridge : float
        As in `confidence_radius`.
    length : float, default=1.0
        L, the largest length of an action.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> linucb_regret(T=1, d=1, eps=0.0, sigma=0.0)
    2.0
    """
    _check_horizon(T, d, eps)
    need(length > 0.0, f"length={length!r} must be positive")
    need(ridge > 0.0, f"ridge={ridge!r} must be positive")
    x = length * length / ridge
    log_det = d * math.log1p(T * x / d)
    radius = confidence_radius(sigma=sigma, log_det=log_det, ridge=ridge, R=R, delta=delta)
    return 2.0 * (radius + eps * math.sqrt(T)) * math.sqrt(T * x / math.log1p(x) * log_det) + 2.0 * eps * T


def regret_rate(*, T: int, d: int, K: int, eps: float) -> float:
    r"""Return :math:`\sqrt{dT\ln(KT)}+\varepsilon\sqrt d\,T\ln T`, the shape of the regret of phased elimination, without constants.

    Parameters
    ----------
    T, d, K : int
        Rounds, columns, actions.
    eps : float
        Misspecification.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> round(regret_rate(T=10_000, d=4, K=100, eps=0.0))
    743
    """
    _check_horizon(T, d, eps)
    need(K >= 1, f"K={K!r} must be at least 1")
    return math.sqrt(d * T * math.log(K * T)) + eps * math.sqrt(d) * T * math.log(T)


def misspecification_regret(*, T: int, d: int, eps: float, constant: float = 2.0) -> float:
    r"""Return :math:`C\varepsilon\sqrt d\,T`, what misspecification may add to the regret.

    Parameters
    ----------
    T, d : int
        Rounds and columns.
    eps : float
        Misspecification.
    constant : float, default=2.0
        C. The default is what was never exceeded up to 20,000 rounds, not a theorem.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> misspecification_regret(T=100, d=4, eps=0.125)
    50.0
    """
    _check_horizon(T, d, eps)
    need(constant > 0.0, f"constant={constant!r} must be positive")
    return constant * eps * math.sqrt(d) * T


def phase_pulls(*, g: float, sigma: float, phase: int, n_active: int, delta: float) -> float:
    r"""Return :math:`2g\sigma^24^l\ln(2A(l+1)(l+2)/\delta)`, the pulls that a design is scaled to in phase l with A active actions.

    Each estimate then has a variance of at most :math:`\sigma^2g/N`, so that it is further than :math:`2^{-l}` off with probability at
    most :math:`\delta/(A(l+1)(l+2))`, and the sum over actions and phases is at most :math:`\delta`.

    Parameters
    ----------
    g : float
        Largest :math:`\phi^\top V(p)^{-1}\phi` of the design p.
    sigma : float
        The noise is sigma-subgaussian.
    phase : int
        l, from 0.
    n_active : int
        A.
    delta : float
        Probability of failure, in (0, 1).

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> round(phase_pulls(g=8.0, sigma=0.5, phase=2, n_active=100, delta=0.05))
    690
    """
    need(g > 0.0, f"g={g!r} must be positive")
    need(sigma >= 0.0, f"sigma={sigma!r} must not be negative")
    need(phase >= 0, f"phase={phase!r} must not be negative")
    need(n_active >= 1, f"n_active={n_active!r} must be at least 1")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie between 0 and 1")
    return 2.0 * g * sigma * sigma * 4.0**phase * math.log(2.0 * n_active * (phase + 1) * (phase + 2) / delta)


def elimination_width(*, phase: int, eps: float = 0.0, g: float = 0.0) -> float:
    r"""Return :math:`2\cdot2^{-l}+2\varepsilon(1+\sqrt g)`, by how much an estimate may be below the largest one without being removed.

    Estimates of rewards are off by at most :math:`2^{-l}` from noise, :math:`\varepsilon\sqrt g` from errors at the pulled actions, and
    :math:`\varepsilon` from the error at the action itself; the best action and the one with the largest estimate may both be. Without
    the 1 the best action can be lost: actions -1, .99 and -.99 on a line, pulls at -1 only.

    Parameters
    ----------
    phase : int
        l, from 0.
    eps : float, default=0.0
        Misspecification.
    g : float, default=0.0
        Largest :math:`n\,\phi^\top V_n^{-1}\phi` over the n pulls made.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> elimination_width(phase=2), elimination_width(phase=2, eps=0.125, g=9.0)
    (0.5, 1.5)
    """
    need(phase >= 0, f"phase={phase!r} must not be negative")
    need(eps >= 0.0, f"eps={eps!r} must not be negative")
    need(g >= 0.0, f"g={g!r} must not be negative")
    return 2.0 * 2.0**-phase + (2.0 * eps * (1.0 + math.sqrt(g)) if eps > 0.0 else 0.0)


def _check_horizon(T: int, d: int, eps: float) -> None:
    need(T >= 1, f"T={T!r} must be at least 1")
    need(d >= 1, f"d={d!r} must be at least 1")
    need(eps >= 0.0, f"eps={eps!r} must not be negative")
