r"""What the certificates give for standard Gaussian rows and infinitely many of them: the constants that no data can improve.

Angles are in units of the band: as :math:`\sigma\to0` every bound depends on :math:`\tan\theta/\sigma` alone.
"""

import functools
import itertools
import math

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.bounds._checks import need, need_positive, need_rate
from algos.testable_halfspaces.bounds.certificates import LAST_TUNED, mistake_push, quartic_minorant
from algos.testable_halfspaces.bounds.disagreement import gaussian_disagreement_slope
from algos.testable_halfspaces.bounds.ramp_learner import FLAT_SHARE, HALF_WIDTH, ramp_density

__all__ = [
    "DENSITY_AT_ZERO",
    "gaussian_agnostic_angle",
    "gaussian_agnostic_factor",
    "gaussian_band_moments",
    "gaussian_excluded_angle",
    "gaussian_push",
]

FloatArray = npt.NDArray[np.float64]

DENSITY_AT_ZERO = 1.0 / math.sqrt(2.0 * math.pi)
"""Density of the margin at the hyperplane, 0.39894."""

_NODES = 80  # on each smooth piece: far beyond the accuracy of float64


def _band_nodes(*breaks: float) -> tuple[FloatArray, FloatArray]:
    """Margins in units of sigma and quadrature weights for integrals over the band, both sides together; smooth between the breaks."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    pieces = list(itertools.pairwise(sorted({0.0, FLAT_SHARE, HALF_WIDTH, *(place for place in breaks if 0.0 < place < HALF_WIDTH)})))
    nodes = np.concatenate([0.5 * (b - a) * x + 0.5 * (a + b) for a, b in pieces])
    weights = np.concatenate([0.5 * (b - a) * w for a, b in pieces])
    return nodes, 2.0 * weights


def gaussian_band_moments(*, sigma: float) -> dict[str, float]:
    r"""Return the band statistics of standard Gaussian rows as :math:`\sigma\to0`.

    Parameters
    ----------
    sigma : float
        Width parameter, positive.

    Returns
    -------
    dict of str to float
        ``m0`` (mean weight, 0.39894), ``B`` (mean weighted margin, :math:`0.06982\sigma`), ``M2`` (0.39894), ``N2``
        (:math:`0.52147/\sigma`) and ``K4`` (:math:`3m_0`).

    Examples
    --------
    >>> {key: round(value, 4) for key, value in gaussian_band_moments(sigma=1.0).items()}
    {'m0': 0.3989, 'B': 0.0698, 'M2': 0.3989, 'N2': 0.5215, 'K4': 1.1968}
    """
    need_positive(sigma, "sigma")
    a, weights = _band_nodes()
    psi = ramp_density(margin=a, sigma=1.0)
    m0 = DENSITY_AT_ZERO * float(weights @ psi)
    return {
        "m0": m0,
        "B": DENSITY_AT_ZERO * float(weights @ (psi * a)) * sigma,
        "M2": m0,
        "N2": DENSITY_AT_ZERO * float(weights @ (psi * psi)) / sigma,
        "K4": 3.0 * m0,
    }


@functools.lru_cache(maxsize=64)
def _bends(advantage: float) -> tuple[float, float]:
    """Return the thresholds c at which the mean of the minorant has a bend: the last tuned radius, and the end of the quartic."""
    low, high = LAST_TUNED, 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if quartic_minorant(c=middle, advantage=advantage)[2] > 0.0 else (low, middle)
    return LAST_TUNED, high


def gaussian_push(*, angle: float, advantage: float, quartic: bool = True) -> float:
    r"""Lower bound on the mean push towards a halfspace with :math:`\tan\theta=` `angle` :math:`\cdot\sigma`.

    Parameters
    ----------
    angle : float
        :math:`\tan\theta/\sigma`, positive.
    advantage : float
        :math:`\beta_0` in (0, 1].
    quartic : bool, default=True
        With the quartic minorant; otherwise with :math:`f_c(u)\ge\beta_0|u|-(1+\beta_0)c` and the quartic bound on the mean of
        :math:`|u|`.

    Examples
    --------
    >>> gaussian_push(angle=0.3, advantage=1.0) < 0 < gaussian_push(angle=0.5, advantage=1.0)
    True
    """
    need_positive(angle, "angle")
    need_rate(advantage)
    a, weights = _band_nodes(*(angle * c for c in _bends(float(advantage)))) if quartic else _band_nodes()
    psi = ramp_density(margin=a, sigma=1.0)
    c = a / angle
    if quartic:
        p0, p2, p4 = quartic_minorant(c=c, advantage=advantage)
        values = -p0 + p2 - 3.0 * p4
    else:
        p0, p2, p4 = quartic_minorant(c=np.zeros(1), advantage=1.0)
        values = advantage * float(-p0[0] + p2[0] - 3.0 * p4[0]) - (1.0 + advantage) * c
    return DENSITY_AT_ZERO * float(weights @ (psi * values))


def gaussian_excluded_angle(*, advantage: float, quartic: bool = True, slack: float = 0.0) -> float:
    r"""Smallest :math:`\tan\theta/\sigma` that the certificate excludes for Gaussian rows without fluctuations.

    Parameters
    ----------
    advantage : float
        :math:`\beta_0` in (0, 1].
    quartic : bool, default=True
        As in `gaussian_push`.
    slack : float, default=0.0
        Gradient that has to be exceeded.

    Returns
    -------
    float
        Infinity when no angle is excluded.

    Examples
    --------
    >>> [round(gaussian_excluded_angle(advantage=1 - 2 * eta), 3) for eta in (0.0, 0.2, 0.4)]
    [0.379, 0.495, 1.09]
    """
    from scipy.optimize import brentq

    def excess(log_angle: float) -> float:
        return gaussian_push(angle=math.exp(log_angle), advantage=advantage, quartic=quartic) - slack

    low, high = math.log(1e-3), math.log(1e6)
    if excess(high) <= 0.0:
        return math.inf
    return math.exp(float(brentq(excess, low, high, xtol=1e-14)))


def gaussian_agnostic_angle(*, widths: float) -> float:
    r"""Smallest :math:`\tan\theta/o` excluded for a halfspace with a small error rate o.

    Parameters
    ----------
    widths : float
        Width of the band in units of the error rate, :math:`\sigma/o`.

    Returns
    -------
    float
        Infinity when no angle is excluded.

    Examples
    --------
    >>> round(gaussian_agnostic_angle(widths=50.0), 1)
    39.6
    """
    need_positive(widths, "widths")
    moments = gaussian_band_moments(sigma=1.0)
    push = mistake_push(
        share=1.0 / widths,
        weight=_largest_weight(1.0 / widths),
        second=moments["N2"],
        covariance=moments["M2"],
        fourth=moments["K4"],
    )
    return widths * gaussian_excluded_angle(advantage=1.0, slack=2.0 * push)


def _largest_weight(share: float) -> float:
    """Total weight of the heaviest rows of a band of width 1 that make up this share of all rows (margins have constant density)."""
    half = min(share / (2.0 * DENSITY_AT_ZERO), HALF_WIDTH)
    if half <= FLAT_SHARE:
        return 1.5 * min(share, 2.0 * DENSITY_AT_ZERO * half)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    beyond = FLAT_SHARE + 0.5 * (half - FLAT_SHARE) * (x + 1.0)
    tail = 0.5 * (half - FLAT_SHARE) * float(w @ ramp_density(margin=beyond, sigma=1.0))
    return 2.0 * DENSITY_AT_ZERO * (1.5 * FLAT_SHARE + tail)


def gaussian_agnostic_factor(*, widths: float | None = None) -> float:
    r"""Best proven ratio error / optimum of the agnostic certificate on Gaussian rows, as the error goes to 0 and n to infinity.

    It is 1 plus the disagreement slope times :math:`\tan\theta/o`.

    Parameters
    ----------
    widths : float, optional
        Width of the band in units of the optimum; by default the best one is searched.

    Examples
    --------
    >>> round(gaussian_agnostic_factor(widths=50.0), 1)
    39.4
    """
    slope = gaussian_disagreement_slope()
    if widths is not None:
        return 1.0 + slope * gaussian_agnostic_angle(widths=widths)
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda s: gaussian_agnostic_angle(widths=math.exp(s)), bounds=(math.log(20.0), math.log(500.0)), method="bounded"
    )
    need(bool(math.isfinite(found.fun)), "no width excludes an angle")
    return 1.0 + slope * float(found.fun)
