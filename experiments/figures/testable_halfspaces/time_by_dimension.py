"""Features and processor time of the tester-learner against the dimension, beside moment matching and polynomial regression by degree."""

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Time against the dimension"
TOPIC = "estimators"
DATA: tuple[str, ...] = ()
METHODS = ("ours", "moments 4", "moments 6", "moments 8", "regression 2", "regression 3", "regression 4")
NAMES = ("ours: learn, test, certify", *(f"moments to degree {k}" for k in (4, 6, 8)), *(f"l1 regression, degree {k}" for k in (2, 3, 4)))
ETA = 0.1

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows : int
        Rows of every table.
    dimensions : tuple of int
        Columns.
    tables : int
        Tables for each dimension; every method is called once on each.
    most_work : float
        A method gets a table only if rows times squared features is at most this.
    seed : int
    """

    rows: int = 2000
    dimensions: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16, 20)
    tables: int = 3
    most_work: float = 3e8
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=20_000, dimensions=(2, 3, 4, 6, 8, 10, 14, 20, 30), most_work=6e9)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return processor seconds by method (in the order of `METHODS`), dimension and table; NaN where the method would be too slow.

    One process whatever `jobs`: methods would disturb each other.
    """
    from ...provenance import machine

    shape = (len(METHODS), len(parameters.dimensions), parameters.tables)
    seconds = np.full(shape, np.nan)
    with (progress or Silent()).step("tables", int(np.prod(shape[1:]))) as step:
        _measure(parameters, min(parameters.dimensions), 0)  # compiled code is loaded off the clock
        for place, d in enumerate(parameters.dimensions):
            for table in range(parameters.tables):
                seconds[:, place, table] = _measure(parameters, d, table)
                step.advance()
    return {
        "dimensions": np.array(parameters.dimensions),
        "seconds": seconds,
        "features": np.array([[features(method, d) for d in parameters.dimensions] for method in METHODS]),
        "rows": np.array(parameters.rows),
        "processor": np.array(str(machine()["processor"])),
    }


def features(method: str, d: int) -> int:
    """Return how many numbers a method works with: quadratic forms, moments, or coefficients.

    Examples
    --------
    >>> features("ours", 10), features("moments 4", 10), features("regression 3", 10)
    (55, 1001, 286)
    """
    if method == "ours":
        return d * (d + 1) // 2
    return math.comb(d + int(method[-1]), d)


def _width(method: str, d: int) -> int:
    """Return the columns of the largest table that a method multiplies: moments come as products of two monomials of half the degree."""
    return math.comb(d + int(method[-1]) // 2, d) if method.startswith("moments") else features(method, d)


def _measure(parameters: Parameters, d: int, table: int) -> list[float]:
    """Return the seconds of every method on one table."""
    from algos.testable_halfspaces import make_halfspace

    from ...baselines.polynomial_regression import fit_polynomial

    X, y, _ = make_halfspace(parameters.rows, d, noise="rcn", rate=ETA, random_state=np.random.default_rng([parameters.seed, d, table]))

    def call(method: str) -> Callable[[], Any]:
        if method == "ours":
            return lambda: _learn_test_certify(X, y, parameters.seed)
        degree = int(method[-1])
        return (lambda: matched_moments(X, degree)) if method.startswith("moments") else (lambda: fit_polynomial(X, y, degree))

    slow = (parameters.rows * float(_width(method, d)) ** 2 > parameters.most_work for method in METHODS)
    return [math.nan if skip else _timed(call(method)) for method, skip in zip(METHODS, slow, strict=True)]


def _timed(method: Callable[[], Any]) -> float:
    """Return the processor seconds of a call that garbage collection does not interrupt."""
    gc.disable()
    try:
        started = time.process_time()
        method()
        return time.process_time() - started
    finally:
        gc.enable()


def _learn_test_certify(X: FloatArray, y: FloatArray, seed: int) -> None:
    """Do what the estimator does, but for the calibration of its tests, which is simulated once per shape and kept."""
    from algos.testable_halfspaces import TestableHalfspace

    options: dict[str, Any] = {"fit_intercept": False, "calibration": "theory", "on_reject": "ignore", "random_state": seed}
    TestableHalfspace("massart", eta=ETA, **options).fit(X, y)


def matched_moments(X: FloatArray, degree: int) -> FloatArray:
    """Return all moments up to an even degree as mean products of monomials of half of it, which is one product of matrices.

    Examples
    --------
    >>> matched_moments(np.array([[1.0], [3.0]]), 2).tolist()
    [[1.0, 2.0], [2.0, 5.0]]
    """
    from ...baselines.polynomial_regression import monomials

    table = monomials(X, degree // 2)
    return np.asarray(table.T @ table / len(X))


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    middle, dimensions = np.median(arrays["seconds"], axis=2), arrays["dimensions"]
    last = [int(np.flatnonzero(np.isfinite(row))[-1]) for row in middle]
    facts = [f"{_full(place)} {middle[place, at] / middle[0, at]:.2g} at d = {dimensions[at]}" for place, at in enumerate(last) if place]
    slope = _slope(dimensions, middle[0])
    steepest = {name: _slope(dimensions, row) for name, row in zip(METHODS[1:], middle[1:], strict=True)}
    return Description(
        question="What does a certificate cost beside methods whose work grows with a power of the dimension?",
        answer=(
            f"Learning, testing and certifying {int(arrays['rows']):,} rows takes {middle[0, last[0]]:.2g} s at d = "
            f"{dimensions[last[0]]} and grows like d^{slope:.1f} there. In units of its time, each at the largest dimension that it was "
            f"given, the others take: {'; '.join(facts)}."
        ),
        data=f"Generated Gaussian rows, every label flipped with probability {ETA:g}; nothing is substituted.",
        sizes=(
            f"{arrays['seconds'].shape[2]} tables for each dimension, one call each; lines are medians, bands the 5-95 % range. Processor "
            f"time, one thread, of this machine ({arrays['processor']}). Ours: TestableHalfspace without an intercept; the simulation of "
            "thresholds, once per shape, is not counted. Moments: products of all monomials of half the degree; they test and do not "
            "learn. l1 regression: certified_quantile to a gap of 1e-3; it learns and does not test."
        ),
        alt=(
            "Left: numbers of features against the dimension in log-log axes: the lines of degree 4, 6 and 8 rise steeply above ours. "
            "Right: measured times; ours rises slowly, moments to degree 4 lie below it, the others cross it as the dimension grows."
        ),
        numbers={
            "seconds_ours": {str(d): float(value) for d, value in zip(dimensions, middle[0], strict=True)},
            "slope_ours": slope,
            "slopes": steepest,
            "features_at_largest": {name: int(row[-1]) for name, row in zip(METHODS, arrays["features"], strict=True)},
        },
    )


def _full(place: int) -> str:
    """Return a method's name in a sentence."""
    kind, degree = METHODS[place].split()
    return f"{'moments to' if kind == 'moments' else 'l1 regression of'} degree {degree}"


def _slope(dimensions: FloatArray, seconds: FloatArray) -> float:
    """Return the power of the dimension over the last three sizes."""
    known = np.flatnonzero(np.isfinite(seconds))[-3:]
    return float(np.polyfit(np.log(dimensions[known]), np.log(np.maximum(seconds[known], 1e-6)), 1)[0])


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: numbers of features on the left, times on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    _draw_features(left)
    _draw_times(right, arrays)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="dimension d")
        ticks = [tick for tick in (2, 5, 10, 20, 50) if tick <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axes.tick_params(axis="x", which="minor", labelbottom=False)
    return figure


def _draw_features(axes: "Axes") -> None:
    """Draw how many features each method needs."""
    from .. import style

    d = np.arange(2, 51)
    for method, color, dash, text in (
        ("ours", style.OURS, "-", "ours: d (d + 1) / 2"),
        ("moments 4", style.PEERS[0], "-", "degree 4"),
        ("moments 6", style.PEERS[1], "--", "degree 6"),
        ("moments 8", style.PEERS[1], ":", "degree 8"),
    ):
        values = [features(method, int(dimension)) for dimension in d]
        axes.plot(d, values, color=color, linestyle=dash)
        style.end_label(axes, 50, values[-1], text, color=color)
    axes.set(ylabel="features", xlim=(1.9, 190))
    axes.set_title("Features: quadratic forms; monomials, C(d + k, k)")


def _draw_times(axes: "Axes", arrays: Arrays) -> None:
    """Draw the medians with their range; a method with fewer than four sizes gets dots only."""
    from .. import style

    marks = ((style.OURS, "o", "-"), *((style.PEERS[0], mark, "-") for mark in "s^D"), *((style.PEERS[2], mark, "--") for mark in "s^D"))
    for (color, marker, dash), text, values in zip(marks, NAMES, arrays["seconds"], strict=True):
        known = np.isfinite(values).all(axis=1)
        d, shown = arrays["dimensions"][known], np.maximum(values[known], 1e-5)
        if not known.any():
            continue
        style.median_band(axes, d, shown, color=color, marker=marker, linestyle=dash if known.sum() >= 4 else "none", label=text)
    axes.set(ylabel="processor time (s)", xlim=(0.9 * arrays["dimensions"][0], 5.0 * arrays["dimensions"][-1]))
    axes.legend(loc="lower right", borderaxespad=0.0)
    axes.set_title(f"Time, {int(arrays['rows']):,} rows")
