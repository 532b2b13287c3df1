r"""Tests of the moments of a marginal in every direction, up to degree four, against those of the standard Gaussian.

A distribution can have Gaussian moments along every coordinate axis and be far from Gaussian along one hidden direction. Each statistic
here is therefore an extreme over directions, and comes with the direction. The fourth moments are searched from many starts, and a
relaxation gives an interval that no direction leaves: searched value <= true supremum <= certified bound.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_option, check_range
from algos.testable_halfspaces._geometry import row_source
from algos.testable_halfspaces._moments import Evaluate, Moments, ascend, batch_moments, moments_of, start_directions
from algos.testable_halfspaces.calibration import Calibration, Mode, calibration_for
from algos.testable_halfspaces.quartic_forms import spectral_supremum
from algos.testable_halfspaces.results import Measured, TestResult

__all__ = ["FourthMoment", "fourth_moment_search", "gaussian_moment_test", "moment_statistics"]

FloatArray = npt.NDArray[np.float64]

MAX_QUARTIC_DIM = 60
"""Columns up to which the certified interval is computed by default: its matrix has (d (d + 1) / 2)^2 entries, 27 MB for 60."""

_EXPLORED_ROWS = 20_000
_EXPLORING_STEPS = 60
_FINISHING_STEPS = 15
_FINISHED = 4
_TOL = 1e-7  # relative change of a moment at which a search ends; sampling errors are a thousand times larger


@dataclass(frozen=True, eq=False)
class FourthMoment:
    r"""Extreme of :math:`\frac1n\sum_i\langle v,x_i\rangle^4` over unit vectors.

    Attributes
    ----------
    value : float
        Moment at `direction`, the most extreme one found.
    direction : ndarray of shape (d,)
    bound : float
        No direction is more extreme than this; infinite (or 0 for the smallest moment) when it was not computed.
    side : {"high", "low"}
    n : int
        Rows.
    """

    value: float
    direction: FloatArray
    bound: float
    side: Literal["high", "low"]
    n: int

    @property
    def bracket(self) -> tuple[float, float]:
        """Interval that holds the true extreme."""
        return (self.value, self.bound) if self.side == "high" else (self.bound, self.value)


def fourth_moment_search(
    X: Any,
    side: Literal["high", "low"] = "high",
    *,
    n_directions: int = 16,
    certify: bool | None = None,
    random_state: RandomStateLike = 0,
) -> FourthMoment:
    r"""Find the direction with the largest or smallest fourth moment.

    Parameters
    ----------
    X : array-like of shape (n, d), or any source of rows
        Rows, of second moments near I: the moment is not divided by a variance.
    side : {"high", "low"}, default="high"
        Largest or smallest.
    n_directions : int, default=16
        Directions that move together: the 4 best axes, the 4 best eigenvectors of the second moments, the 4 leading eigenvectors of the
        relaxation's maximiser, and random ones. Random starts alone missed a planted direction in one of ten tables.
    certify : bool, optional
        Whether the bound is computed; by default for up to 60 columns.
    random_state : None, int, Generator or RandomState, default=0
        Random starts.

    Returns
    -------
    FourthMoment

    Raises
    ------
    ValueError
        NaN or infinite entries, or options out of range.

    Notes
    -----
    With the bound: one pass of :math:`nD^2/2` operations, :math:`D=d(d+1)/2`, after which steps cost :math:`D^2` and read no rows.
    Without: 60 steps on 20,000 rows, and 15 steps of the 4 best directions on all rows; a step reads every row once.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces.moment_tests import fourth_moment_search
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((5000, 5))
    >>> X[:, 0] = rng.choice([-1.0, 1.0], 5000)
    >>> found = fourth_moment_search(X @ np.linalg.qr(rng.standard_normal((5, 5)))[0], "low")
    >>> round(found.value, 2), round(found.bound, 2)
    (1.0, 1.0)
    """
    check_option(side, ("high", "low"), name="side")
    count = check_range(n_directions, name="n_directions", low=1, integer=True)
    source = row_source(X)
    certified = source.n_features <= MAX_QUARTIC_DIM if certify is None else bool(certify)
    moments = moments_of(source, tensors=certified)
    return _search(source, moments, side, count, as_generator(random_state))


def _search(source: RowSource, moments: Moments, side: Literal["high", "low"], count: int, rng: np.random.Generator) -> FourthMoment:
    sign, d, tensors = (1.0 if side == "high" else -1.0), source.n_features, moments.tensors
    random = rng.standard_normal((count, d))
    random /= np.linalg.norm(random, axis=1)[:, None]

    def all_rows(V: FloatArray) -> tuple[FloatArray, FloatArray]:
        return batch_moments(source, V, 4, unit=moments.unit) if tensors is None else tensors.power(V, 4)

    scale = moments.unit**4 if moments.unit < 1e77 else np.inf
    evaluate: Evaluate = all_rows
    if tensors is None and moments.n > _EXPLORED_ROWS:
        chosen = _some_rows(source, rng)

        def some_rows(V: FloatArray) -> tuple[FloatArray, FloatArray]:
            return batch_moments(chosen, V, 4, unit=moments.unit)

        evaluate = some_rows
    bound, maximiser = np.inf if side == "high" else 0.0, None
    if tensors is not None:
        extreme, _, maximiser = spectral_supremum(sign * tensors.fourth, d)
        bound = sign * extreme * scale
    starts = start_directions(moments.second, maximiser, evaluate, sign, random)
    values, V = ascend(evaluate, starts, 4, sign, steps=_EXPLORING_STEPS, tol=_TOL)
    if tensors is None:
        best = np.argsort(sign * values)[::-1][:_FINISHED]
        values, V = ascend(all_rows, V[best], 4, sign, steps=_FINISHING_STEPS, tol=_TOL)
    top = int(np.argmax(sign * values))
    value = float(values[top]) * scale
    # the relaxation is rounded, too: where it is tight it may come out a hair inside the value found
    bound = max(bound, value) if side == "high" else max(min(bound, value), 0.0)
    return FourthMoment(value, V[top], float(bound), side, moments.n)


def _some_rows(source: RowSource, rng: np.random.Generator) -> RowSource:
    chosen = np.sort(rng.choice(source.n_rows, size=_EXPLORED_ROWS, replace=False))
    parts = [block.X[chosen[(chosen >= block.start) & (chosen < block.stop)] - block.start] for block in source]
    return RowSource(np.concatenate(parts))


def moment_statistics(X: Any, *, certify: bool | None = None, random_state: RandomStateLike = 0) -> tuple[Measured, ...]:
    r"""Measure how far the moments are from those of the standard Gaussian, in the worst direction.

    Parameters
    ----------
    X : array-like of shape (n, d), or any source of rows
        Rows.
    certify : bool, optional
        Whether fourth moments get a certified interval; by default for up to 60 columns.
    random_state : None, int, Generator or RandomState, default=0
        Random starts of the searches.

    Returns
    -------
    tuple of Measured
        ``mean``: length of the mean. ``covariance``: largest absolute eigenvalue of the covariance minus I. ``skewness``: largest third
        moment. ``kurtosis_high``, ``kurtosis_low``: extreme fourth moments found. ``kurtosis_upper_bound``, ``kurtosis_lower_bound``:
        certified ends of the interval of all fourth moments, if asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces.moment_tests import moment_statistics
    >>> X = np.random.default_rng(0).standard_normal((4000, 3))
    >>> [item.name for item in moment_statistics(X)][:3]
    ['mean', 'covariance', 'skewness']
    """
    source = row_source(X)
    certified = source.n_features <= MAX_QUARTIC_DIM if certify is None else bool(certify)
    moments = moments_of(source, tensors=certified)
    rng, n = as_generator(random_state), source.n_rows
    high, low = _search(source, moments, "high", 16, rng), _search(source, moments, "low", 16, rng)
    with np.errstate(over="ignore"):
        measured = [*_low_moments(moments), _skewness(source, moments, rng)]
        measured.append(Measured("kurtosis_high", high.value, n, high.direction, high.bracket if certified else None))
        measured.append(Measured("kurtosis_low", low.value, n, low.direction, low.bracket if certified else None))
    if certified:
        measured.append(Measured("kurtosis_upper_bound", high.bound, n, high.direction))
        measured.append(Measured("kurtosis_lower_bound", low.bound, n, low.direction))
    return tuple(measured)


def _low_moments(moments: Moments) -> tuple[Measured, Measured]:
    length = float(np.linalg.norm(moments.mean))
    direction = moments.mean / length if length > 0.0 else np.eye(moments.mean.size)[0]
    excess = (moments.second - np.outer(moments.mean, moments.mean)) * moments.unit**2 - np.eye(moments.mean.size)
    if not np.all(np.isfinite(excess)):
        excess = moments.second  # beyond the range of floats: any direction of large variance shows it
    values, vectors = np.linalg.eigh(excess)
    worst = int(np.argmax(np.abs(values)))
    size = abs(float(values[worst])) if moments.unit < 1e150 else np.inf
    return Measured("mean", length * moments.unit, moments.n, direction), Measured("covariance", size, moments.n, vectors[:, worst])


def _skewness(source: RowSource, moments: Moments, rng: np.random.Generator) -> Measured:
    d, tensors = source.n_features, moments.tensors
    starts = np.vstack([np.eye(d)[:8], rng.standard_normal((8, d))])
    starts /= np.linalg.norm(starts, axis=1)[:, None]

    def evaluate(V: FloatArray) -> tuple[FloatArray, FloatArray]:
        return batch_moments(source, V, 3, unit=moments.unit) if tensors is None else tensors.power(V, 3)

    begin = np.sign(evaluate(starts)[0])
    starts = starts * np.where(begin == 0.0, 1.0, begin)[:, None]
    values, V = ascend(evaluate, starts, 3, 1.0, steps=_FINISHING_STEPS if tensors is None else _EXPLORING_STEPS, tol=_TOL)
    top = int(np.argmax(values))
    return Measured("skewness", float(values[top]) * moments.unit**3 if moments.unit < 1e100 else np.inf, moments.n, V[top])


def gaussian_moment_test(
    X: Any,
    *,
    calibration: Calibration | Mode = "simulate",
    level: float = 0.05,
    n_calibration: int = 199,
    random_state: RandomStateLike = 0,
) -> tuple[TestResult, ...]:
    r"""Test whether the moments of the rows, in every direction, are those of the standard Gaussian.

    Parameters
    ----------
    X : array-like of shape (n, d), or any source of rows
        Rows, standardised or whitened if that is how they were calibrated; labels are not needed.
    calibration : {"simulate", "theory"} or Calibration, default="simulate"
        Where thresholds come from: simulation of Gaussian tables of the same shape (kept for further calls); fixed slacks of a factor two
        or so; or a calibration made before.
    level : float, default=0.05
        Probability that a Gaussian table fails any of the tests, with simulated thresholds.
    n_calibration : int, default=199
        Tables simulated.
    random_state : None, int, Generator or RandomState, default=0
        Random starts of the searches, and the key of the simulation where it is an int.

    Returns
    -------
    tuple of TestResult
        One for each statistic of `moment_statistics`.

    Raises
    ------
    ValueError
        NaN or infinite entries; a calibration for another number of columns or without these statistics.

    Notes
    -----
    Passing does not say that the rows are Gaussian: a direction can match any fixed number of moments and still have an empty band. That
    is what `band_test` looks for.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces.moment_tests import gaussian_moment_test
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2000, 3))
    >>> all(test.passed for test in gaussian_moment_test(X, n_calibration=79))
    True
    >>> X[:, 2] = rng.choice([-1.0, 1.0], 2000)
    >>> [test.name for test in gaussian_moment_test(X, n_calibration=79) if not test.passed]
    ['kurtosis_low', 'kurtosis_lower_bound']
    """
    source = row_source(X)
    certify = source.n_features <= MAX_QUARTIC_DIM
    known = calibration_for(calibration, source.n_rows, source.n_features, level=level, n_calibration=n_calibration, key=random_state)
    return known.judge(moment_statistics(source, certify=certify, random_state=random_state))
