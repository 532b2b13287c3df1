r"""Tests of the band around a halfspace: its share of the rows, and their moments in the other directions.

A certificate lives on the rows near the hyperplane. For a standard Gaussian marginal the number of rows with :math:`|t|\le h` is binomial
with a known probability, so that its test is exact without any simulation. Given the margin, the other coordinates are standard Gaussian.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf, ndtr

from algos.common.binomial import binomial_interval, binomial_p_value
from algos.common.validation import check_range
from algos.testable_halfspaces._arguments import checked_sigma
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces.band_statistics import MAX_QUARTIC_DIM
from algos.testable_halfspaces.bounds import FLAT_SHARE, HALF_WIDTH, ramp_density
from algos.testable_halfspaces.calibration import THEORY_LIMITS, Calibration
from algos.testable_halfspaces.quartic_forms import quartic_gram, smat, spectral_supremum
from algos.testable_halfspaces.results import Measured, TestResult

__all__ = ["band_measurements", "band_probability", "band_test"]

FloatArray = npt.NDArray[np.float64]

BANDS = (("band_mass_inner", FLAT_SHARE), ("band_mass_outer", HALF_WIDTH))
"""The two bands whose rows are counted, in units of sigma: where the ramp's slope is constant, and where it is not zero."""

_NARROW = 1e-5  # relative width below which the square of the width is beyond what a difference of two float probabilities resolves


def band_probability(width: float, *, intercept: float = 0.0) -> float:
    r"""Return the probability that a standard Gaussian row lies within a distance of a hyperplane.

    The margin is :math:`t=\sqrt{1-b^2}\,N+b` with N standard Gaussian: for b = 0 the probability is :math:`2\Phi(h)-1`.

    Parameters
    ----------
    width : float
        Distance h, at least 0.
    intercept : float, default=0.0
        Last entry b of the unit normal of the lifted rows (x, 1), in (-1, 1).

    Returns
    -------
    float

    Examples
    --------
    >>> round(band_probability(1.0), 4)
    0.6827
    """
    b: float = check_range(intercept, name="intercept", low=-1.0, high=1.0, low_open=True, high_open=True)
    h: float = check_range(width, name="width", low=0.0)
    spread = math.sqrt(1.0 - b * b)
    if b == 0.0:
        return float(erf(h / math.sqrt(2.0)))
    if h < _NARROW * spread:  # the difference below would cancel; the density is constant over such a band
        return 2.0 * h * math.exp(-0.5 * (b / spread) ** 2) / (spread * math.sqrt(2.0 * math.pi))
    return float(ndtr((h - b) / spread) - ndtr((-h - b) / spread))


def band_measurements(X: Any, w: npt.ArrayLike, sigma: float, *, fit_intercept: bool = False) -> tuple[Measured, ...]:
    r"""Measure the band around a halfspace.

    Parameters
    ----------
    X : array-like of shape (n, d), or any source of rows
        Rows.
    w : array-like of shape (d,), or (d + 1,) with an intercept
        Normal, the intercept last.
    sigma : float
        Width parameter.
    fit_intercept : bool, default=False
        Whether rows are lifted to (x, 1).

    Returns
    -------
    tuple of Measured
        ``band_mass_inner``, ``band_mass_outer``: rows with :math:`|t|\le\sigma/6` and :math:`\sigma/2` over the number expected, with the
        exact binomial p-value. Over the band, weighted by :math:`\psi`: ``band_mean``, length of the mean of z;
        ``band_covariance_low``, ``band_covariance_high``, extreme eigenvalues of the mean of :math:`zz^\top`; ``band_kurtosis``, certified
        supremum of the fourth moments, up to 60 columns. An empty band has infinite mean and kurtosis.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces.band_test import band_measurements
    >>> X = np.random.default_rng(0).standard_normal((20_000, 3))
    >>> mass = band_measurements(X, [1.0, 0.0, 0.0], 0.5)[0]
    >>> mass.name, 0.9 < mass.value < 1.1
    ('band_mass_inner', True)
    """
    width = checked_sigma(sigma)
    view = View.of(X, w, lift=fit_intercept)
    return measure_view(view, width)


def measure_view(view: View, sigma: float) -> tuple[Measured, ...]:
    """Return the measurements of rows that were seen from the halfspace already."""
    n, b = view.n, float(view.w[-1]) if view.lift else 0.0
    measured = []
    for name, share in BANDS:
        p = band_probability(share * sigma, intercept=b)
        count = int(np.count_nonzero(np.abs(view.t) <= share * sigma))
        ratio = count / (n * p) if p > 0.0 else (math.inf if count else 1.0)
        measured.append(Measured(name, ratio, n, _row_direction(view), None, binomial_p_value(count, n, p)))
    return (*measured, *_conditional_moments(view, sigma))


def _row_direction(view: View) -> FloatArray:
    """Return the normal in the space of the rows: the direction in which the mass is wrong."""
    normal = view.w[: view.project.shape[0] - view.lift]
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / length if length > 0.0 else normal)


def _conditional_moments(view: View, sigma: float) -> list[Measured]:
    names = ("band_mean", "band_covariance_low", "band_covariance_high", "band_kurtosis")[: None if view.k < MAX_QUARTIC_DIM else -1]
    if view.k == 0:
        return []
    inside = np.abs(view.t) < HALF_WIDTH * sigma
    weights = ramp_density(margin=view.t[inside], sigma=sigma) if inside.any() else np.zeros(0)
    if not weights.sum() > 0.0:
        return [Measured(name, 0.0 if name == "band_covariance_low" else math.inf, 0, _row_direction(view)) for name in names]
    weights = weights / weights.sum()
    z = view.coordinates(inside)
    unit = float(np.max(np.abs(z))) or 1.0
    z = z / unit
    mean = weights @ z
    values, vectors = np.linalg.eigh((z.T * weights) @ z)
    sizes, directions = [np.linalg.norm(mean), max(values[0], 0.0), values[-1]], [mean, vectors[:, 0], vectors[:, -1]]
    if len(names) > len(sizes):
        fourth, _, maximiser = spectral_supremum(quartic_gram(z, weights), view.k)
        sizes.append(fourth)
        directions.append(np.linalg.eigh(smat(maximiser, view.k))[1][:, -1])
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.array(sizes) * np.float64(unit) ** np.array([1, 2, 2, 4])[: len(sizes)]
    return [
        Measured(name, float(size), weights.size, _in_rows(view.project, direction, view.lift))
        for name, size, direction in zip(names, scaled, directions, strict=True)
    ]


def _in_rows(basis: FloatArray, v: FloatArray, lift: bool) -> FloatArray:
    """Return the unit vector of a direction in the band's coordinates, in the space of the rows."""
    direction = (basis @ v)[: basis.shape[0] - lift]
    length = float(np.linalg.norm(direction))
    return np.asarray(direction / length if length > 0.0 else direction)


def band_test(
    X: Any, w: npt.ArrayLike, sigma: float, *, fit_intercept: bool = False, calibration: Calibration | None = None, level: float = 0.05
) -> tuple[TestResult, ...]:
    r"""Test whether the rows near a hyperplane are those of a standard Gaussian marginal.

    Parameters
    ----------
    X : array-like of shape (n, d), or any source of rows
        Rows that did not take part in the choice of w and sigma.
    w : array-like of shape (d,), or (d + 1,) with an intercept
        Normal.
    sigma : float
        Width parameter.
    fit_intercept : bool, default=False
        Whether rows are lifted to (x, 1).
    calibration : Calibration, optional
        Thresholds from `calibrate` for this width. Without one, the masses are tested by the exact binomial test, and the moments of the
        band against fixed slacks of a factor two.
    level : float, default=0.05
        Probability that a Gaussian table fails either of the mass tests; not used with a calibration.

    Returns
    -------
    tuple of TestResult
        One for each statistic of `band_measurements`.

    Raises
    ------
    ValueError
        NaN, infinite or huge entries, w zero or of another length, sigma not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces.band_test import band_test
    >>> X = np.random.default_rng(0).standard_normal((20_000, 3))
    >>> all(test.passed for test in band_test(X, [1.0, 0.0, 0.0], 0.5))
    True
    >>> X[:, 0] += 0.6 * np.sign(X[:, 0])  # a gap next to the hyperplane
    >>> [test.name for test in band_test(X, [1.0, 0.0, 0.0], 0.5) if not test.passed][:2]
    ['band_mass_inner', 'band_mass_outer']
    """
    measured = band_measurements(X, w, sigma, fit_intercept=fit_intercept)
    if calibration is not None:
        return calibration.judge(measured)
    level = check_range(level, name="level", low=0.0, high=1.0, low_open=True, high_open=True)
    return tuple(_judge_exactly(item, sigma, w, fit_intercept, level) for item in measured)


def _judge_exactly(item: Measured, sigma: float, w: npt.ArrayLike, lift: bool, level: float) -> TestResult:
    shares = dict(BANDS)
    low, high = THEORY_LIMITS[item.name]
    mean = sd = math.nan
    if item.name in shares:
        normal = np.asarray(w, dtype=np.float64).ravel()
        b = float(normal[-1] / np.linalg.norm(normal)) if lift else 0.0
        p = band_probability(shares[item.name] * float(sigma), intercept=b)
        expected = item.n_used * p
        counts: Sequence[int] = binomial_interval(item.n_used, p, level / len(BANDS))
        slack = 1e-9  # counts are whole: this keeps rounding of the ratio from moving one across a threshold
        low, high = (counts[0] - slack) / expected, (counts[1] + slack) / expected
        mean, sd = 1.0, math.sqrt((1.0 - p) / expected)
    return TestResult(item.name, item.value, low, high, item.p_value, item.direction, mean, sd, item.n_used, item.bracket)
