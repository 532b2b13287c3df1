"""Formulas about quantile regression: losses, gaps and what sampling costs."""

import math

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings.bounds._checks import need

__all__ = [
    "gap_of_slack",
    "joint_equation_price",
    "prediction_rounding",
    "quantile_gap_identity",
    "quantile_loss",
    "rearrangement_gain",
    "relative_gap",
    "sketch_and_solve_ratio",
]


def quantile_loss(*, residuals: npt.ArrayLike, quantile: float, weights: npt.ArrayLike = 1.0) -> float:
    r"""Weighted quantile loss :math:`\sum_i \omega_i (t\,r_i^+ + (1-t)\,r_i^-)`; half the absolute loss at t = 1/2.

    Examples
    --------
    >>> quantile_loss(residuals=[2.0, -1.0], quantile=0.9)
    1.9
    """
    r = np.asarray(residuals, dtype=np.float64)
    loss = np.maximum(quantile * r, (quantile - 1.0) * r)
    return math.fsum(np.ravel(np.asarray(weights, dtype=np.float64) * loss).tolist())


def quantile_gap_identity(
    *, band_residuals: npt.ArrayLike, band_dual: npt.ArrayLike, flipped_residuals: npt.ArrayLike, quantile: float
) -> float:
    r"""Primal minus dual value of all rows from the band alone: :math:`\sum_{band}(\rho_t(r_i)-y_i r_i)+\sum_{flipped}|r_i|`.

    Parameters
    ----------
    band_residuals, band_dual : array_like of shape (b,)
        Residuals and dual values of the rows inside the band.
    flipped_residuals : array_like of shape (f,)
        Residuals of outside rows whose sign differs from the one assumed by their dual value.
    quantile : float
        The quantile t.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The gap". It needs a dual that is orthogonal to every column.

    Examples
    --------
    >>> quantile_gap_identity(band_residuals=[0.0, 1.0], band_dual=[0.2, 0.5], flipped_residuals=[-3.0], quantile=0.5)
    3.0
    """
    r, y = np.asarray(band_residuals, dtype=np.float64), np.asarray(band_dual, dtype=np.float64)
    inside = np.maximum(quantile * r, (quantile - 1.0) * r) - y * r
    return math.fsum([*inside.tolist(), *np.abs(np.asarray(flipped_residuals, dtype=np.float64)).tolist()])


def relative_gap(*, primal: float, dual: float, scale: float = 0.0) -> float:
    r"""Proven relative suboptimality :math:`\max(P-D, 0)/\max(P, f)`, with :math:`f = 10^{-14}` times the scale of the data.

    It is 0 when P and P - D are both at most f.

    Parameters
    ----------
    primal, dual : float
        Loss reached and lower bound on every loss.
    scale : float, default=0
        Weighted sum of the absolute responses: below 1e-14 of it the loss is rounding noise.

    Examples
    --------
    >>> relative_gap(primal=2.0, dual=1.5)
    0.25
    >>> relative_gap(primal=1e-15, dual=0.0, scale=1.0)
    0.0
    """
    return gap_of_slack(primal=primal, slack=max(primal - dual, 0.0), floor=1e-14 * scale)


def gap_of_slack(*, primal: float, slack: float, floor: float) -> float:
    r"""`relative_gap` from the difference :math:`P-D`, for where it is known more accurately than P and D are.

    Examples
    --------
    >>> gap_of_slack(primal=2.0, slack=0.5, floor=0.0)
    0.25
    """
    if primal <= floor and slack <= floor:
        return 0.0
    return slack / max(primal, floor, math.ulp(0.0))


def joint_equation_price(*, unmet: npt.ArrayLike, reach: float, objective: float, levels: npt.ArrayLike) -> float:
    r"""Return what several quantile regressions together lose by dual equations that are not met.

    It is :math:`2\,c\,P\sum_j e_j/\min(t_j, 1-t_j)`, with P the sum of the losses.

    Parameters
    ----------
    unmet : array_like of shape (k,)
        Lengths e of the residuals of the dual equations in a basis that whitens the table, a number for each level.
    reach : float
        Factor c by which :math:`|SAz|_2\le c\,|WAz|_1` in this basis.
    objective : float
        Sum P of the losses of all levels.
    levels : array_like of shape (k,)
        Quantiles t.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Forbidding crossings in the fit". A better fit has a sum of at most P, so each level has.

    Examples
    --------
    >>> joint_equation_price(unmet=[1e-3, 0.0], reach=0.5, objective=2.0, levels=[0.5, 0.9])
    0.004
    """
    t = np.asarray(levels, dtype=np.float64)
    return 2.0 * reach * objective * float(np.sum(np.asarray(unmet, dtype=np.float64) / np.minimum(t, 1.0 - t)))


def prediction_rounding(*, columns: int) -> float:
    r"""Bound on the rounding of a difference of two fitted values, relative to the larger sum of the sizes of their terms.

    It is :math:`4(d+1)u` with :math:`u=2^{-53}`: a sum of d products and an intercept has an error of at most :math:`(d+1)u` to first
    order, in any order of summation, and the difference of two has their errors and its own.

    Examples
    --------
    >>> prediction_rounding(columns=3) == 16 * 2.0**-53
    True
    """
    return 4.0 * (columns + 1) * 2.0**-53


def rearrangement_gain(*, levels: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    r"""Fall :math:`\sum_j t_j (q_{(j)} - q_j)` of the summed quantile losses when predicted quantiles are sorted, whatever the responses.

    Parameters
    ----------
    levels : array_like of shape (k,)
        Increasing quantiles t.
    predictions : array_like of shape (..., k)
        Predictions q; the result is the sum over all rows.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Quantiles that do not cross".

    Examples
    --------
    >>> rearrangement_gain(levels=[0.25, 0.75], predictions=[[2.0, 0.0], [0.0, 1.0]])
    1.0
    """
    q, t = np.asarray(predictions, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    return math.fsum(np.ravel((np.sort(q, axis=-1) - q) * t).tolist())


def sketch_and_solve_ratio(*, eps: float, quantile: float = 0.5) -> float:
    r"""Loss of the sample's minimiser over the optimum when the sample preserves the l1 norm of [A b] to 1 +- eps.

    It is :math:`\left(\frac{\max(t,1-t)}{\min(t,1-t)}\right)^2\frac{1+\varepsilon}{1-\varepsilon}`; the first factor is 1 at the
    median, and is needed elsewhere because an l1 embedding does not preserve the quantile loss itself.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Sketch and solve".

    Examples
    --------
    >>> sketch_and_solve_ratio(eps=0.5)
    3.0
    """
    need(0.0 <= eps < 1.0, f"eps={eps!r} must lie in [0, 1)")
    need(0.0 < quantile < 1.0, f"quantile={quantile!r} must lie strictly between 0 and 1")
    skew = max(quantile, 1.0 - quantile) / min(quantile, 1.0 - quantile)
    return skew**2 * (1.0 + eps) / (1.0 - eps)
