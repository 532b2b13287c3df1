r"""The smooth ramp loss: its value, its first two derivatives, and what stochastic descent on the sphere reaches.

With :math:`a=|t|/\sigma` and :math:`r=3(a-1/6)` clipped to [0, 1] the slope of the ramp is
:math:`\psi_\sigma(t)=\frac{3}{2\sigma}(1-3r^2+2r^3)`: constant up to :math:`\sigma/6`, zero from :math:`\sigma/2` on, once continuously
differentiable, of integral 1. Every other module takes it from here.
"""

import math

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.bounds._checks import need, need_positive

__all__ = [
    "FLAT_SHARE",
    "HALF_WIDTH",
    "descent_gradient_bound",
    "gradient_lipschitz",
    "gradient_variance",
    "ramp",
    "ramp_density",
    "ramp_density_slope",
    "ramp_peak",
]

FloatArray = npt.NDArray[np.float64]

FLAT_SHARE = 1.0 / 6.0
"""The slope is constant for margins up to this share of sigma."""

HALF_WIDTH = 0.5
"""The slope is zero for margins from this share of sigma on: the band is ``|t| < sigma / 2``."""


def ramp(*, margin: npt.ArrayLike, sigma: float) -> FloatArray:
    r"""Value of the ramp: :math:`\frac12+\operatorname{sign}(t)V(|t|/\sigma)`, rising from 0 to 1 across the band.

    Here :math:`V(a)=\frac32\min(a,\frac16)+\frac12(r-r^3+\frac12 r^4)`, so that the derivative is `ramp_density`.

    Parameters
    ----------
    margin : array-like
        Signed distances t from the hyperplane.
    sigma : float
        Width parameter, positive.

    Returns
    -------
    ndarray of the shape of `margin`

    Examples
    --------
    >>> ramp(margin=[-1.0, 0.0, 0.1, 1.0], sigma=1.0).tolist()
    [0.0, 0.5, 0.65, 1.0]
    """
    need_positive(sigma, "sigma")
    t = np.asarray(margin, dtype=np.float64)
    a, r = _position(t, sigma)
    height = 1.5 * np.minimum(a, FLAT_SHARE) + 0.5 * r * (1.0 - r * r * (1.0 - 0.5 * r))
    return np.asarray(0.5 + np.sign(t) * height)


def ramp_density(*, margin: npt.ArrayLike, sigma: float) -> FloatArray:
    r"""Slope of the ramp, :math:`\psi_\sigma(t)`: the weight of a row in every statistic of the band.

    Parameters
    ----------
    margin : array-like
        Signed distances t from the hyperplane.
    sigma : float
        Width parameter, positive.

    Returns
    -------
    ndarray of the shape of `margin`

    Examples
    --------
    >>> ramp_density(margin=[0.0, 0.1, 0.5], sigma=1.0).tolist()
    [1.5, 1.5, 0.0]
    """
    need_positive(sigma, "sigma")
    _, r = _position(np.asarray(margin, dtype=np.float64), sigma)
    return np.asarray(ramp_peak(sigma=sigma) * (1.0 - r * r * (3.0 - 2.0 * r)))


def ramp_density_slope(*, margin: npt.ArrayLike, sigma: float) -> FloatArray:
    r"""Second derivative of the ramp; at most :math:`27/(4\sigma^2)` in absolute value, reached half way down.

    Parameters
    ----------
    margin : array-like
        Signed distances t from the hyperplane.
    sigma : float
        Width parameter, positive.

    Returns
    -------
    ndarray of the shape of `margin`

    Examples
    --------
    >>> ramp_density_slope(margin=[1 / 3, -1 / 3], sigma=1.0).tolist()
    [-6.75, 6.75]
    """
    need_positive(sigma, "sigma")
    t = np.asarray(margin, dtype=np.float64)
    _, r = _position(t, sigma)
    return np.asarray(-np.sign(t) * (27.0 / sigma / sigma) * r * (1.0 - r))


def ramp_peak(*, sigma: float) -> float:
    r"""Largest slope of the ramp, :math:`3/(2\sigma)`.

    Examples
    --------
    >>> ramp_peak(sigma=0.5)
    3.0
    """
    return 1.5 / sigma


def _position(t: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Distance in units of sigma, and where it lies on the way down from the plateau (0) to the edge of the band (1)."""
    a = np.abs(t) / sigma
    return a, np.clip(3.0 * a - 0.5, 0.0, 1.0)


def gradient_lipschitz(*, sigma: float, density: float = 1.0) -> float:
    r"""Lipschitz constant of the gradient on the sphere for Gaussian-like data: :math:`q(1.20/\sigma+0.07\sigma)+0.8`.

    Parameters
    ----------
    sigma : float
        Width parameter, positive.
    density : float, default=1.0
        Factor q by which the band holds more than a Gaussian's share of the rows: the mean weight divided by 0.399.

    Examples
    --------
    >>> round(gradient_lipschitz(sigma=1.0), 6)
    2.07
    """
    need_positive(sigma, "sigma")
    need_positive(density, "density")
    return density * (1.20 / sigma + 0.07 * sigma) + 0.8


def gradient_variance(*, sigma: float, n_features: int, density: float = 1.0) -> float:
    r"""Variance of a single row's gradient for Gaussian-like data: at most :math:`0.5215\,q\,(d-1)/\sigma`.

    Parameters
    ----------
    sigma : float
        Width parameter, positive.
    n_features : int
        Dimension d.
    density : float, default=1.0
        As in `gradient_lipschitz`.

    Examples
    --------
    >>> gradient_variance(sigma=0.5, n_features=11)
    10.43
    """
    need_positive(sigma, "sigma")
    need(n_features >= 1, f"n_features={n_features!r} must be at least 1")
    return density * 0.5215 * (n_features - 1) / sigma


def descent_gradient_bound(*, lipschitz: float, variance: float, steps: int, drop: float = 1.0) -> float:
    r"""Bound on the expected squared gradient at the best of T stochastic steps: :math:`2L\Delta/T+2\sqrt{2\Delta L V/T}`.

    It holds for :math:`w\leftarrow w-\beta g` followed by normalisation, with :math:`\beta=\min(1/L,\sqrt{2\Delta/(LVT)})`: the loss does
    not change along rays and g is orthogonal to w, so normalising only shortens the way.

    Parameters
    ----------
    lipschitz : float
        Lipschitz constant L of the gradient.
    variance : float
        Bound V on the mean squared error of a stochastic gradient.
    steps : int
        Number T of steps.
    drop : float, default=1.0
        Start value of the loss minus its minimum; a ramp loss lies in [0, 1].

    Examples
    --------
    >>> descent_gradient_bound(lipschitz=2.0, variance=0.0, steps=400)
    0.01
    """
    need_positive(lipschitz, "lipschitz")
    need(variance >= 0.0, f"variance={variance!r} must not be negative")
    need(steps >= 1, f"steps={steps!r} must be at least 1")
    return 2.0 * lipschitz * drop / steps + 2.0 * math.sqrt(2.0 * drop * lipschitz * variance / steps)
