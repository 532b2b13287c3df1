r"""Formulas of the certificates: minorants of a row's share in the gradient, fluctuations, and what mistakes can contribute.

If some halfspace at angle :math:`\theta` from w explains the labels up to noise, then every row pushes the gradient of the ramp loss
along the direction v in which that halfspace is tilted. With :math:`u=\operatorname{sign}(t)\langle v,z\rangle` and
:math:`c=|t|\cot\theta` the push of a row is at least :math:`\psi f_c(u)`, where :math:`f_c(u)=-|u|` for :math:`|u|\le c` and
:math:`\beta_0|u|` beyond. A quadratic or quartic below :math:`f_c` turns the mean push into moments of z that can be bounded over all v
at once.
"""

import math

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.bounds._checks import need, need_rate

__all__ = [
    "LAST_TUNED",
    "gradient_deviation",
    "minorant_target",
    "mistake_push",
    "norm_minorant",
    "quartic_minorant",
    "side_deviation",
]

FloatArray = npt.NDArray[np.float64]

LAST_TUNED = 0.75
"""Largest c for which the best radius under Gaussian moments, R^2 = (3 - c^2) / (1 - c^2), is used; it runs away as c tends to 1."""

_RADIUS_MARGIN = 0.95
"""The quartic needs c < R; its coefficients blow up as c approaches R, so it is left at this share of it."""

_NORM_MARGIN = 0.98
"""The same for the norm variant and the row's own norm."""


def minorant_target(*, u: npt.ArrayLike, c: npt.ArrayLike, advantage: float) -> FloatArray:
    r"""Least push of a row: :math:`f_c(u)=-|u|` for :math:`|u|\le c`, else :math:`\beta_0|u|`.

    Parameters
    ----------
    u, c : array-like
        Signed coordinates, and nonnegative thresholds.
    advantage : float
        :math:`\beta_0=1-2\eta` in (0, 1].

    Examples
    --------
    >>> minorant_target(u=[-0.5, -2.0], c=1.0, advantage=0.6).tolist()
    [-0.5, 1.2]
    """
    need_rate(advantage)
    size = np.abs(np.asarray(u, dtype=np.float64))
    return np.asarray(np.where(size <= np.asarray(c, dtype=np.float64), -size, advantage * size))


def quartic_minorant(*, c: npt.ArrayLike, advantage: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Coefficients of :math:`q_c(u)=-p_0+p_2u^2-p_4u^4\le f_c(u)`.

    With :math:`R^2=(3-c'^2)/(1-c'^2)`, :math:`c'=\min(c,3/4)`, the quartic meets :math:`f_c` at c and touches it at R:
    :math:`p_4=\frac{\beta_0(R^2+c^2)/(2R)+c}{(R^2-c^2)^2}`, :math:`p_2=\frac{\beta_0}{2R}+2p_4R^2`, :math:`p_0=p_4R^4-\frac{\beta_0R}2`.
    Where c is close to R, or where its mean under moments (1, 3) is larger, :math:`-(1+u^2)/2\le-|u|` takes its place.

    Parameters
    ----------
    c : array-like
        Nonnegative thresholds; infinity is allowed.
    advantage : float
        :math:`\beta_0` in (0, 1].

    Returns
    -------
    p0, p2, p4 : ndarray of the shape of `c`
        p4 is never negative.

    Notes
    -----
    For c up to 3/4 no even quartic below :math:`f_c` has a larger mean under moments (1, 3): there it equals the mean of :math:`f_c` under
    the law on :math:`\pm c` and :math:`\pm R` that has these moments.

    Examples
    --------
    >>> [round(float(p), 4) for p in quartic_minorant(c=0.0, advantage=1.0)]
    [0.0, 0.866, 0.0962]
    """
    need_rate(advantage)
    c = np.asarray(c, dtype=np.float64)
    need(bool(np.all(c >= 0.0)), "c must not be negative")
    tuned = np.minimum(c, LAST_TUNED) ** 2
    square = (3.0 - tuned) / (1.0 - tuned)
    radius = np.sqrt(square)
    usable = c < _RADIUS_MARGIN * radius
    near = np.where(usable, c, 0.0)
    p4 = (advantage * (square + near * near) / (2.0 * radius) + near) / (square - near * near) ** 2
    p2 = advantage / (2.0 * radius) + 2.0 * p4 * square
    p0 = p4 * square * square - advantage * radius / 2.0
    usable &= -p0 + p2 - 3.0 * p4 > -1.0
    return np.where(usable, p0, 0.5), np.where(usable, p2, -0.5), np.where(usable, p4, 0.0)


def norm_minorant(*, c: npt.ArrayLike, norm: npt.ArrayLike, advantage: float) -> tuple[FloatArray, FloatArray]:
    r"""Coefficients of a quadratic :math:`-p_0+p_2u^2\le f_c(u)` for :math:`|u|\le\rho`, the norm of the row.

    It is the chord through :math:`(c,-c)` and :math:`(\rho,\beta_0\rho)`: :math:`p_2=(\beta_0\rho+c)/(\rho^2-c^2)`, :math:`p_0=c+p_2c^2`.
    Where c is close to :math:`\rho` or beyond, the constant :math:`-\rho` takes its place. In the plane :math:`|u|=\rho`, and the chord
    is exact.

    Parameters
    ----------
    c, norm : array-like
        Nonnegative thresholds, and norms of the rows in the complement of w.
    advantage : float
        :math:`\beta_0` in (0, 1].

    Returns
    -------
    p0, p2 : ndarray of the common shape

    Examples
    --------
    >>> [float(p) for p in norm_minorant(c=0.0, norm=2.0, advantage=0.5)]
    [0.0, 0.25]
    """
    need_rate(advantage)
    c, rho = np.broadcast_arrays(np.asarray(c, dtype=np.float64), np.asarray(norm, dtype=np.float64))
    need(bool(np.all(c >= 0.0) and np.all(rho >= 0.0)), "c and norm must not be negative")
    usable = c < _NORM_MARGIN * rho
    # in units of rho, so that nothing overflows
    ratio = np.divide(c, rho, out=np.zeros(rho.shape), where=usable)
    p2 = np.divide((advantage + ratio) / (1.0 - ratio * ratio), rho, out=np.zeros(rho.shape), where=usable)
    p0 = np.where(usable, rho * (ratio + (advantage + ratio) / (1.0 - ratio * ratio) * ratio * ratio), rho)
    return p0, np.where(usable, p2, 0.0)


def gradient_deviation(*, second: float, largest: float, log_term: float, n: int, advantage: float) -> float:
    r"""Fluctuation of the gradient along one fixed direction, given the rows: the smaller of Hoeffding's and Bernstein's bound.

    .. math::
        \min\Bigl(\sqrt{2N_2L/n},\ \sqrt{2(1-\beta_0^2)N_2L/n}+\frac{bL}{3n}\Bigr)

    Both bound the same fixed sum of independent labels, so that taking the smaller costs nothing. The unknown direction is fixed, too:
    there is no factor for the dimension.

    Parameters
    ----------
    second : float
        :math:`N_2`, the largest value of mean :math:`\psi^2\langle v,z\rangle^2` over directions.
    largest : float
        b = 2 max :math:`\psi_i\rho_i`.
    log_term : float
        :math:`L=\ln(1/\delta_1)`.
    n : int
        Number of rows.
    advantage : float
        :math:`\beta_0=1-2\eta`.

    Examples
    --------
    >>> round(gradient_deviation(second=2.0, largest=3.0, log_term=4.0, n=400, advantage=0.6), 6)
    0.17
    """
    need_rate(advantage)
    need(n >= 1, f"n={n!r} must be at least 1")
    hoeffding = math.sqrt(2.0 * second * log_term / n)
    bernstein = math.sqrt(max(1.0 - advantage * advantage, 0.0)) * hoeffding + largest * log_term / (3.0 * n)
    return min(hoeffding, bernstein)


def side_deviation(*, log_term: float, n: int) -> float:
    r"""Excess of the share of flipped labels over :math:`\eta` (Hoeffding): :math:`\sqrt{L/(2n)}`.

    Examples
    --------
    >>> side_deviation(log_term=2.0, n=100)
    0.1
    """
    need(n >= 1, f"n={n!r} must be at least 1")
    return math.sqrt(log_term / (2.0 * n))


def mistake_push(
    *, share: float, weight: float, second: float, covariance: float, fourth: float, largest_pushes: float = math.inf
) -> float:
    r"""Bound H on mean :math:`1_N\psi|u|` over every set N with a share o of the rows and every direction.

    .. math::
        H=\min\bigl(\sqrt{N_2\,o},\ \sqrt{\lambda_{\max}(M_2)\,Q},\ K_4^{1/4}Q^{3/4},\ Q_\rho\bigr)

    by the Cauchy-Schwarz and Hölder inequalities, and since :math:`|u|\le\rho`.

    Parameters
    ----------
    share : float
        o, the share of the rows in N.
    weight : float
        Q, one n-th of the sum of the largest :math:`\psi_i`, as many as N has rows.
    second, covariance, fourth : float
        :math:`N_2`, :math:`\lambda_{\max}(M_2)` and :math:`K_4`: suprema over directions of the means of :math:`\psi^2u^2`,
        :math:`\psi u^2` and :math:`\psi u^4`.
    largest_pushes : float, default=inf
        :math:`Q_\rho`, one n-th of the sum of the largest :math:`\psi_i\rho_i`, as many as N has rows.

    Examples
    --------
    >>> mistake_push(share=0.01, weight=0.04, second=1.0, covariance=1.0, fourth=1e4)
    0.1
    """
    need(min(share, weight, second, covariance, fourth) >= 0.0, "shares, weights and moments must not be negative")
    options = (
        math.sqrt(second) * math.sqrt(share),
        math.sqrt(covariance) * math.sqrt(weight),
        fourth**0.25 * weight**0.75,
        largest_pushes,
    )
    return float(min(options))
