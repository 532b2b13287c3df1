"""Formulas about lp regression: norms, the bound that a dual vector proves, and the price of equations that are missed."""

import math

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings.bounds._checks import need, need_exponent

__all__ = ["lp_dual_bound", "lp_dual_norm", "lp_norm", "norm_comparison"]


def lp_norm(*, values: npt.ArrayLike, p: float, weights: npt.ArrayLike = 1.0) -> float:
    r"""Weighted norm :math:`(\sum_i \omega_i |r_i|^p)^{1/p}` of residuals, the objective of lp regression; no scale overflows.

    Examples
    --------
    >>> print(f"{lp_norm(values=[3e200, -4e200], p=2.0):.3g}")
    5e+200
    """
    need_exponent(p)
    size = np.abs(np.asarray(values, dtype=np.float64))
    largest = float(size.max(initial=0.0))
    if largest == 0.0:
        return 0.0
    terms = np.asarray(weights, dtype=np.float64) * (size / largest) ** p
    return float(largest * math.fsum(np.ravel(terms).tolist()) ** (1.0 / p))


def lp_dual_norm(*, dual: npt.ArrayLike, p: float, weights: npt.ArrayLike = 1.0) -> float:
    r"""Norm :math:`(\sum_i \omega_i |y_i/\omega_i|^{p'})^{1/p'}`, :math:`1/p+1/p'=1`, that is dual to `lp_norm`; the maximum for p = 1.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The dual norm". Rows of weight zero must have dual value zero.

    Examples
    --------
    >>> lp_dual_norm(dual=[3.0, -4.0], p=1.0)
    4.0
    """
    need_exponent(p)
    y, w = np.broadcast_arrays(np.asarray(dual, dtype=np.float64), np.asarray(weights, dtype=np.float64))
    alive = w > 0.0
    need(not np.any(y[~alive]), "dual must be zero where the weight is zero")
    ratio = np.abs(y[alive]) / w[alive]
    if p == 1.0:
        return float(ratio.max(initial=0.0))
    return lp_norm(values=ratio, p=p / (p - 1.0), weights=w[alive])


def lp_dual_bound(*, responses: npt.ArrayLike, dual: npt.ArrayLike, p: float, weights: npt.ArrayLike = 1.0) -> float:
    r"""Lower bound :math:`b^\top y / \|y\|_{p'}` on every weighted lp norm of :math:`b - Ax`, for y orthogonal to the columns of A.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The dual norm".

    Examples
    --------
    >>> lp_dual_bound(responses=[1.0, 3.0], dual=[-1.0, 1.0], p=1.0)  # no number is nearer to 1 and 3 together
    2.0
    """
    length = lp_dual_norm(dual=dual, p=p, weights=weights)
    if length == 0.0:
        return 0.0
    y = np.asarray(dual, dtype=np.float64) / length
    return math.fsum((np.asarray(responses, dtype=np.float64) * y).tolist())


def norm_comparison(*, p: float, leverages: npt.ArrayLike, ratios: npt.ArrayLike = 1.0) -> float:
    r"""Return k with :math:`(\sum_i (c_i v_i)^2)^{1/2} \le k (\sum_i |v_i|^p)^{1/p}` for all v = Bz.

    It is :math:`\max_i \tau_i^{1/p-1/2} c_i` for p <= 2 and the norm of c with exponent :math:`2p/(p-2)` for p >= 2; without ratios these
    are a power of the largest leverage score and :math:`n^{1/2-1/p}`.

    Parameters
    ----------
    p : float
        Exponent.
    leverages : array_like of shape (n,)
        Leverage scores :math:`\tau_i` of ``diag(c) B``.
    ratios : array_like of shape (n,), default=1
        Positive multipliers c.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The dual norm".

    Examples
    --------
    >>> norm_comparison(p=1.0, leverages=[0.25, 0.25, 0.25, 0.25])
    0.5
    """
    need_exponent(p)
    tau, c = np.broadcast_arrays(np.asarray(leverages, dtype=np.float64), np.asarray(ratios, dtype=np.float64))
    if p < 2.0:
        return float(np.max(tau ** (1.0 / p - 0.5) * c, initial=0.0))
    largest = float(np.max(c, initial=0.0))
    if p == 2.0 or largest == 0.0:
        return largest
    exponent = 2.0 * p / (p - 2.0)
    return largest * math.pow(float(np.sum((c / largest) ** exponent)), 1.0 / exponent)
