"""The tests of a fit: where the band is tested, what is measured, and how it is judged."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.testable_halfspaces._fit_steps import Chosen, Learned
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._target_map import TargetMap, Transform, null_transform
from algos.testable_halfspaces.band_test import measure_view
from algos.testable_halfspaces.calibration import Calibration, Marginal, Mode, calibrate
from algos.testable_halfspaces.disagreement import cone_bound
from algos.testable_halfspaces.moment_tests import moment_statistics
from algos.testable_halfspaces.results import Measured, TestResult

__all__ = ["TestPlace", "calibrate_fit", "measure_fit", "worst_direction"]

FloatArray = npt.NDArray[np.float64]

_GRID = 0.125
"""Step of the logarithm of width and angle: refits on similar rows then find their calibration in memory."""
_INTERCEPT_STEP = 0.125  # in units of the width: the band tested is off by at most an eighth of its half-width
_MOST_INTERCEPT = 0.95


@dataclass(frozen=True, eq=False)
class TestPlace:
    """The halfspace, width and angle at which band and disagreement are tested: nothing of it has seen the rows that are tested.

    Attributes
    ----------
    w : ndarray of shape (d,) or (d + 1,)
        Unit normal for mapped rows.
    sigma : float
    theta : float or None
        None where no angle is expected to be excluded: disagreement is then not tested.
    intercept : float or None
        Last entry of `w` if rows are lifted.
    """

    __test__ = False  # pytest collects classes whose name begins with Test

    w: FloatArray
    sigma: float
    theta: float | None
    intercept: float | None

    @classmethod
    def of(cls, learned: Learned, chosen: Chosen) -> "TestPlace":
        """Round the first chosen candidate's width, angle and intercept to a grid."""
        candidate, lift = chosen.candidates[0], learned.map.lift
        sigma, theta = _rounded(candidate.sigma), None
        if 0.0 < chosen.tau < math.inf:
            theta = min(_rounded(math.atan(chosen.tau)), 1.5)
        if not lift:
            return cls(candidate.w, sigma, theta, None)
        step = _INTERCEPT_STEP * sigma
        b = float(np.clip(round(float(candidate.w[-1]) / step) * step, -_MOST_INTERCEPT, _MOST_INTERCEPT))
        length = float(np.linalg.norm(candidate.w[:-1]))
        slope = candidate.w[:-1] / length if length > 0.0 else np.eye(1, candidate.w.size - 1)[0]
        return cls(np.append(math.sqrt(1.0 - b * b) * slope, b), sigma, theta, b)


def _rounded(value: float) -> float:
    return math.exp(round(math.log(value) / _GRID) * _GRID)


def measure_fit(
    every: RowSource, tested: RowSource, target: TargetMap, place: TestPlace, *, certify: bool
) -> tuple[tuple[Measured, ...], tuple[Measured, ...]]:
    """Measure the moments of every row, and band and disagreement of the rows kept for it; directions are in the user's columns."""
    moments = moment_statistics(target.rows(every, lift=False, stream=True), certify=certify, random_state=0)
    view = View.of(tested, target.normal(place.w), lift=target.lift, transform=target.matrix)
    band = list(measure_view(view, place.sigma))
    if place.theta is not None and view.k:
        cone = cone_bound(view, place.theta)
        direction = cone.direction[: len(cone.direction) - target.lift]
        band.append(Measured("disagreement", cone.value / math.tan(place.theta), view.n, direction if np.any(direction) else None))
    normal = target.functional(place.w[: len(place.w) - target.lift])
    judged = [replace(item, direction=normal) if _across(item) else _seen(item, target.spread) for item in band]
    return tuple(_seen(item, target.functional) for item in moments), tuple(judged)


def _across(item: Measured) -> bool:
    """Whether a measurement speaks against the rows along the normal: counts of the band, and all of an empty one."""
    return item.name.startswith("band_mass") or (item.name.startswith("band") and item.n_used == 0)


def _seen(item: Measured, outwards: Callable[[FloatArray], FloatArray]) -> Measured:
    return item if item.direction is None else replace(item, direction=outwards(item.direction))


def calibrate_fit(
    n: int,
    d: int,
    n_certify: int,
    place: TestPlace,
    *,
    transform: Transform,
    lift: bool,
    marginal: Marginal,
    mode: Mode,
    guarantee: Literal["rank", "tolerance"],
    level: float,
    n_calibration: int,
    certify: bool,
    n_jobs: int | None,
) -> Calibration:
    """Return thresholds for tables like the user's."""
    return calibrate(
        n,
        d,
        sigma=place.sigma,
        theta=place.theta,
        n_certify=n_certify,
        intercept=place.intercept,
        transform=null_transform(transform, lift=lift),
        marginal=marginal,
        mode=mode,
        guarantee=guarantee,
        level=level,
        n_calibration=n_calibration,
        certify=certify,
        n_jobs=n_jobs,
    )


def worst_direction(tests: Iterable[TestResult]) -> FloatArray | None:
    """Return the direction of the failed test that is farthest out, in standard deviations of the target or in units of its threshold."""
    failed = [test for test in tests if not test.passed and test.direction is not None]
    if not failed:
        return None

    def distance(test: TestResult) -> float:
        known = math.isfinite(test.null_mean) and test.null_sd > 0.0
        far = abs(test.statistic - test.null_mean) / test.null_sd if known else abs(test.statistic - test.threshold) / abs(test.threshold)
        return far if not math.isnan(far) else math.inf

    return max(failed, key=distance).direction
