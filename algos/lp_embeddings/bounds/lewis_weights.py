"""Formulas about Lewis weights: rates of the iterations and certified errors."""

import math

from algos.lp_embeddings.bounds._checks import need, need_exponent

__all__ = ["lewis_contraction", "lewis_error", "logdet_gap", "optimal_relaxation", "relaxed_rate"]


def lewis_contraction(*, p: float) -> float:
    r"""Lipschitz factor of the Lewis map in :math:`\max_i |\ln(v_i/v'_i)|`: :math:`|1-p/2|`, below 1 exactly for p < 4.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Contraction". It is also the local rate of the unrelaxed iteration.

    Examples
    --------
    >>> lewis_contraction(p=3.0)
    0.5
    """
    need_exponent(p)
    return abs(1.0 - p / 2.0)


def optimal_relaxation(*, p: float) -> float:
    r"""Step :math:`\theta = 4/(p+2)` that equalises both ends of the spectrum of the relaxed Lewis map.

    Examples
    --------
    >>> optimal_relaxation(p=2.0)
    1.0
    """
    need_exponent(p)
    return 4.0 / (p + 2.0)


def relaxed_rate(*, p: float, theta: float | None = None) -> float:
    r"""Local rate of :math:`\ln v \leftarrow (1-\theta)\ln v + \theta \ln T(v)`: :math:`\max(|1-\theta|, |1-\theta p/2|)`.

    Parameters
    ----------
    p : float
        Exponent of the norm.
    theta : float, optional
        The step; by default `optimal_relaxation`, which gives :math:`|p-2|/(p+2)`. With 1 it is the classical :math:`|1-p/2|`.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Rates": the Jacobian's eigenvalues are :math:`1-\theta-\theta(p/2-1)\lambda` with
    :math:`\lambda\in[0,1]`, and the end :math:`\lambda=1` (a common factor of all weights) is always attained.

    Examples
    --------
    >>> relaxed_rate(p=6.0)
    0.5
    >>> relaxed_rate(p=6.0, theta=1.0)
    2.0
    """
    step = optimal_relaxation(p=p) if theta is None else theta
    if theta is None:
        return abs(p - 2.0) / (p + 2.0)
    return max(abs(1.0 - step), abs(1.0 - step * p / 2.0))


def lewis_error(*, residual: float, p: float) -> float:
    r"""Certified entrywise error :math:`\max_i|\ln(v_i/w_i)| \le \mathrm{res}/(1-|1-p/2|)` for p < 4; infinity from p = 4 on.

    Parameters
    ----------
    residual : float
        :math:`\max_i |\ln(T(v)_i/v_i)|` at the weights v.
    p : float
        Exponent of the norm.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Contraction" (geometric series).

    Examples
    --------
    >>> lewis_error(residual=1e-3, p=1.0)
    0.002
    >>> lewis_error(residual=1e-3, p=5.0)
    inf
    """
    factor = lewis_contraction(p=p)
    return residual / (1.0 - factor) if factor < 1.0 else math.inf


def logdet_gap(*, p: float, rank: int, overshoot: float) -> float:
    r"""Certified distance from the maximum of :math:`\log\det(A^\top V^{1-2/p}A)` over :math:`\sum v = d`, for p >= 2.

    It equals :math:`(1-2/p)\, d\, (\rho - 1)` with :math:`\rho = \max_i t_i/v_i`, because the objective is concave in v with
    slopes :math:`(1-2/p)t_i/v_i`.

    Parameters
    ----------
    p : float
        Exponent, at least 2.
    rank : int
        Rank d of the matrix; the weights sum to it.
    overshoot : float
        The number rho.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Large p".

    Examples
    --------
    >>> logdet_gap(p=4.0, rank=10, overshoot=1.01).__round__(6)
    0.05
    """
    need(p >= 2.0, f"p={p!r}: the log-determinant is concave in the weights only from p = 2 on; use lewis_error below 4")
    return (1.0 - 2.0 / p) * rank * max(overshoot - 1.0, 0.0)
