r"""What an experimental design guarantees about least squares when the linear model is wrong."""

import math

from algos.misspecified_bandits.bounds._checks import need

__all__ = ["core_set_size", "design_pulls", "ls_prediction_error", "ls_suboptimality", "multiplicative_rounds", "multiplicative_variance"]


def ls_prediction_error(*, eps: float, g: float) -> float:
    r"""Return :math:`\varepsilon\sqrt g`, the largest error of a prediction of least squares on a design.

    With weights p and :math:`w_{ab}=p_b\varphi_a^\top V^{-1}\varphi_b` the error is at most :math:`\varepsilon\sum_b|w_{ab}|`, whose square
    is at most :math:`\varepsilon^2\sum_bp_b\sum_bp_b(\varphi_a^\top V^{-1}\varphi_b)^2=\varepsilon^2\varphi_a^\top V^{-1}\varphi_a`.

    Parameters
    ----------
    eps : float
        Misspecification.
    g : float
        Largest variance of the design.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> ls_prediction_error(eps=0.5, g=16.0)
    2.0
    """
    need(eps >= 0.0, f"eps={eps!r} must not be negative")
    need(g >= 0.0, f"g={g!r} must not be negative")
    return eps * math.sqrt(g)


def ls_suboptimality(*, eps: float, g: float, error: float = 0.0) -> float:
    r"""Return :math:`2\varepsilon(1+\sqrt g)+2e`, the suboptimality of the action with the largest prediction.

    Its reward and that of the best action are each within :math:`\varepsilon` of the linear part, and the prediction of each within
    :math:`\varepsilon\sqrt g+e`.

    Parameters
    ----------
    eps : float
        Misspecification.
    g : float
        Largest variance of the design, or the square of the largest Lebesgue function, which is at most that.
    error : float, default=0.0
        e, the largest error of a prediction that is due to noise.

    Raises
    ------
    ValueError
        A negative parameter.

    Examples
    --------
    >>> ls_suboptimality(eps=0.5, g=16.0)
    5.0
    """
    need(error >= 0.0, f"error={error!r} must not be negative")
    return 2.0 * eps + 2.0 * ls_prediction_error(eps=eps, g=g) + 2.0 * error


def multiplicative_variance(*, rank: int, n_actions: int, n_iter: int) -> float:
    r"""Return :math:`r(K/r)^{1/T}`: the largest variance of the average of T iterates of the multiplicative method.

    Parameters
    ----------
    rank : int
        r, the rank of the features.
    n_actions : int
        K, at least r.
    n_iter : int
        T.

    Raises
    ------
    ValueError
        rank < 1, n_actions < rank, or n_iter < 1.

    Examples
    --------
    >>> multiplicative_variance(rank=2, n_actions=200, n_iter=2)
    20.0
    """
    need(rank >= 1, f"rank={rank!r} must be at least 1")
    need(n_actions >= rank, f"n_actions={n_actions!r} must be at least rank={rank!r}")
    need(n_iter >= 1, f"n_iter={n_iter!r} must be at least 1")
    return float(rank * (n_actions / rank) ** (1.0 / n_iter))


def multiplicative_rounds(*, rank: int, n_actions: int, tol: float) -> int:
    r"""Return :math:`T=\lceil\ln(K/r)/\ln(1+\text{tol})\rceil`, at least 1: iterates whose average is within tol of the optimum.

    Parameters
    ----------
    rank : int
        r, the rank of the features.
    n_actions : int
        K, at least r.
    tol : float
        Positive.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> multiplicative_rounds(rank=2, n_actions=200, tol=9.0)
    2
    """
    need(tol > 0.0, f"tol={tol!r} must be positive")
    need(rank >= 1, f"rank={rank!r} must be at least 1")
    need(n_actions >= rank, f"n_actions={n_actions!r} must be at least rank={rank!r}")
    return max(1, math.ceil(math.log(n_actions / rank) / math.log1p(tol)))


def core_set_size(*, rank: int) -> int:
    r"""Return :math:`\lfloor4r\ln\ln r+16\rfloor` (at least r), within which a design with :math:`g\le2r` is known to exist.

    Recalled from the literature on the volumetric start of ellipsoid methods, not proved here; the logarithm of a logarithm counts as 0
    where it is negative.

    Parameters
    ----------
    rank : int
        r, the rank of the features.

    Raises
    ------
    ValueError
        rank < 1.

    Examples
    --------
    >>> core_set_size(rank=20)
    103
    """
    need(rank >= 1, f"rank={rank!r} must be at least 1")
    return max(rank, math.floor(4.0 * rank * math.log(max(1.0, math.log(rank))) + 16.0))


def design_pulls(*, sigma: float, variance: float, n_actions: int, delta: float, error: float) -> int:
    r"""Return :math:`n=\lceil2\sigma^2g\ln(2K/\delta)/e^2\rceil`, at least 1: pulls after which noise moves no prediction by more than e.

    With :math:`n_b\ge np_b` pulls of action b, the noise in the prediction for an action is :math:`\sigma\sqrt{g/n}`-subgaussian; there
    are K predictions with two tails each.

    Parameters
    ----------
    sigma : float
        Noise level, in the unit of the rewards.
    variance : float
        g, the largest :math:`\sum_bw_{ab}^2/p_b`; for least squares the largest variance of the design.
    n_actions : int
        K.
    delta : float
        Total probability of failure, in (0, 1).
    error : float
        e, in the unit of the rewards.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> design_pulls(sigma=0.2, variance=8.0, n_actions=1000, delta=0.05, error=0.1)
    679
    """
    need(sigma >= 0.0, f"sigma={sigma!r} must not be negative")
    need(variance >= 0.0, f"variance={variance!r} must not be negative")
    need(n_actions >= 1, f"n_actions={n_actions!r} must be at least 1")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie between 0 and 1")
    need(error > 0.0, f"error={error!r} must be positive")
    return max(1, math.ceil(2.0 * sigma * sigma * variance * math.log(2.0 * n_actions / delta) / (error * error)))
