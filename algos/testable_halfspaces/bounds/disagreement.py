r"""Polynomials that dominate the indicator of disagreement, and what they give for Gaussian data.

A halfspace at angle :math:`\theta` disagrees with w on a row only if :math:`u\le-a`, where :math:`a=|t|\cot\theta` and u is the signed
coordinate of the row along the direction in which the other halfspace is tilted.
"""

import math

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.bounds._checks import need

__all__ = [
    "QUARTIC_FROM",
    "cantelli_coefficients",
    "cantelli_majorant",
    "gaussian_disagreement_slope",
    "quartic_majorant",
    "quartic_majorant_coefficients",
]

FloatArray = npt.NDArray[np.float64]

QUARTIC_FROM = 2.0
"""Distance from which the quartic majorant has the smaller Gaussian mean, up to two per cent: the two cross at 1.93."""


def cantelli_coefficients(*, a: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Coefficients of the quadratic majorant :math:`c_0-2c_1u+c_2u^2=((1-au)/(1+a^2))^2`.

    Parameters
    ----------
    a : array-like
        Nonnegative distances.

    Returns
    -------
    c0, c1, c2 : ndarray of the shape of `a`

    Examples
    --------
    >>> [float(c) for c in cantelli_coefficients(a=1.0)]
    [0.25, 0.25, 0.25]
    """
    a = np.asarray(a, dtype=np.float64)
    base, slope = _cantelli_line(a)
    return base * base, base * slope, slope * slope


def cantelli_majorant(*, u: npt.ArrayLike, a: npt.ArrayLike) -> FloatArray:
    r"""Quadratic of Cantelli's inequality: :math:`((1-au)/(1+a^2))^2`, at least 1 for :math:`u\le-a` and never negative.

    Its mean under mean 0 and variance 1 is the least possible one, :math:`1/(1+a^2)`. At a = 0 it is the constant 1.

    Parameters
    ----------
    u, a : array-like
        Coordinates, and nonnegative distances.

    Examples
    --------
    >>> cantelli_majorant(u=[-1.0, 0.0, 1.0], a=1.0).tolist()
    [1.0, 0.25, 0.0]
    """
    base, slope = _cantelli_line(np.asarray(a, dtype=np.float64))
    return np.asarray((base - slope * np.asarray(u, dtype=np.float64)) ** 2)


def _cantelli_line(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return 1 / (1 + a^2) and a / (1 + a^2); the second must survive where the square of the first underflows, or far rows get lost."""
    need(bool(np.all(a >= 0.0)), "a must not be negative")
    with np.errstate(over="ignore", divide="ignore"):
        return np.asarray(1.0 / (1.0 + a * a)), np.asarray(1.0 / (a + 1.0 / a))


def quartic_majorant_coefficients(*, a: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    r"""Coefficients of the even quartic majorant :math:`c\,(u^2+e)^2` with :math:`e=(3-a^2)/(a^2-1)` and :math:`c=(a^2+e)^{-2}`.

    Parameters
    ----------
    a : array-like
        Distances above 1. The majorant is valid while :math:`a^2+e>0`, which holds for every a > 1.

    Returns
    -------
    c, e : ndarray of the shape of `a`

    Examples
    --------
    >>> [round(float(x), 4) for x in quartic_majorant_coefficients(a=2.0)]
    [0.0744, -0.3333]
    """
    a = np.asarray(a, dtype=np.float64)
    need(bool(np.all(a > 1.0)), "a must exceed 1")
    square = a * a
    e = (3.0 - square) / (square - 1.0)
    return (square + e) ** -2.0, e


def quartic_majorant(*, u: npt.ArrayLike, a: npt.ArrayLike) -> FloatArray:
    r"""Even quartic :math:`((u^2+e)/(a^2+e))^2` with :math:`e=(3-a^2)/(a^2-1)`: at least 1 for :math:`|u|\ge a`, never negative.

    Among such squares it has the least mean for moments (1, 3): :math:`2/((a^2-1)^2+2)`.

    Parameters
    ----------
    u, a : array-like
        Coordinates, and distances above 1.

    Examples
    --------
    >>> quartic_majorant(u=[-2.0, 2.0], a=2.0).tolist()
    [1.0, 1.0]
    """
    a = np.asarray(a, dtype=np.float64)
    _, e = quartic_majorant_coefficients(a=a)
    return np.asarray(((np.asarray(u, dtype=np.float64) ** 2 + e) / (a * a + e)) ** 2)


def gaussian_disagreement_slope(*, quartic: bool = True) -> float:
    r"""Bound on the disagreement over :math:`\tan\theta` for standard Gaussian rows, as the angle goes to 0.

    It is :math:`2\varphi(0)\int_0^\infty m(a)\,da` with m(a) the mean of the majorant: 1.2533 with the quadratic one alone, 0.9694 with the
    quartic from `QUARTIC_FROM` on. The disagreement itself has slope :math:`1/\pi=0.3183`.

    Parameters
    ----------
    quartic : bool, default=True
        Whether distant rows use the quartic.

    Examples
    --------
    >>> round(gaussian_disagreement_slope(), 4), round(gaussian_disagreement_slope(quartic=False), 4)
    (0.9694, 1.2533)
    """
    if not quartic:
        return math.sqrt(math.pi / 2.0)
    # beyond the switch: the integral of 2 / ((a^2 - 1)^2 + 2)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    inverse = 0.5 * (nodes + 1.0) / QUARTIC_FROM  # substitution a = 1 / x, x from 0 to 1 / 2
    a = 1.0 / inverse
    tail = float(0.5 / QUARTIC_FROM * weights @ (a * a * 2.0 / ((a * a - 1.0) ** 2 + 2.0)))
    return math.sqrt(2.0 / math.pi) * (math.atan(QUARTIC_FROM) + tail)
