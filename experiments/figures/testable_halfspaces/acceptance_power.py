"""How often the moment tests accept a marginal, against its distance from the Gaussian: one planted direction, and heavy tails."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from algos.testable_halfspaces import Calibration

TITLE = "Acceptance against the distance from the Gaussian"
TOPIC = "moment_tests"
DATA: tuple[str, ...] = ()
TESTS = ("all tests", "search alone", "certified bound alone", "coordinates")
FAMILIES = ("t", "elliptical-t")
FAMILY_NAMES = ("independent t", "elliptical t")
LEVEL = 0.05

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows, columns : int
        Shape of every table.
    separations : tuple of float
        Shares l of the planted direction, sqrt(1 - l^2) N plus l times a random sign; 0 is the Gaussian.
    freedoms : tuple of float
        Degrees of freedom of the heavy-tailed tables.
    tables : int
        Tables for each point.
    null_tables : int
        Gaussian tables.
    simulated : int
        Gaussian tables from which thresholds are taken.
    seed : int
    """

    rows: int = 2000
    columns: int = 6
    separations: tuple[float, ...] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    freedoms: tuple[float, ...] = (5.0, 8.0, 12.0, 20.0, 40.0, 100.0)
    tables: int = 20
    null_tables: int = 60
    simulated: int = 119
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(
    rows=20_000, columns=10, separations=(0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8), freedoms=(5.0, 8.0, 12.0, 20.0, 40.0, 100.0, 200.0),
    tables=60, null_tables=300, simulated=199,
)  # fmt: skip


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return how many tables each test accepts, by test (in the order of `TESTS`) and separation, and all tests by family and freedom."""
    from joblib import Parallel, delayed

    from algos.testable_halfspaces import calibrate

    key = parameters.seed
    known = calibrate(parameters.rows, parameters.columns, level=LEVEL, n_calibration=parameters.simulated, key=key)
    threshold = coordinate_threshold(parameters)
    marginals: list[dict[str, Any]] = [
        {"marginal": "gaussian"},
        *({"marginal": "ngca", "weight": weight} for weight in parameters.separations),
        *({"marginal": family, "df": df} for family in FAMILIES for df in parameters.freedoms),
    ]
    counts = [parameters.null_tables if place == 0 else parameters.tables for place in range(len(marginals))]
    cells = [(place, table) for place, count in enumerate(counts) for table in range(count)]
    accepted = np.zeros((len(marginals), len(TESTS)), dtype=np.int64)
    with (
        (progress or Silent()).step("tables", len(cells)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        verdicts = pool(delayed(_verdicts)(parameters, known, threshold, marginals[place], [key, place, table]) for place, table in cells)
        for (place, _), verdict in zip(cells, verdicts, strict=True):
            accepted[place] += verdict
            step.advance()
    split = 1 + len(parameters.separations)
    return {
        "null": accepted[0],
        "planted": accepted[1:split].T,
        "heavy": accepted[split:, 0].reshape(len(FAMILIES), -1),
        "separations": np.array(parameters.separations),
        "freedoms": np.array(parameters.freedoms),
        "counts": np.array([parameters.tables, parameters.null_tables, parameters.simulated]),
        "shape": np.array([parameters.rows, parameters.columns]),
    }


def coordinate_threshold(parameters: Parameters) -> float:
    """Return the level-0.05 threshold of the smallest fourth moment of a coordinate, by its rank among Gaussian tables."""
    found = []
    for table in range(parameters.simulated):
        rng = np.random.default_rng([parameters.seed, 1_000_000, table])
        found.append(smallest_coordinate(rng.standard_normal((parameters.rows, parameters.columns))))
    return float(np.sort(found)[max(math.floor(LEVEL * (len(found) + 1)) - 1, 0)])


def smallest_coordinate(X: FloatArray) -> float:
    """Return the smallest fourth moment of a coordinate: what a test sees that does not look for directions.

    Examples
    --------
    >>> smallest_coordinate(np.array([[1.0, 2.0], [-1.0, 0.0]]))
    1.0
    """
    return float(np.min(np.mean(np.square(np.square(X)), axis=0)))


def _verdicts(
    parameters: Parameters, known: "Calibration", threshold: float, marginal: dict[str, Any], key: list[int]
) -> NDArray[np.bool_]:
    """Return which tests accept one table."""
    from algos.testable_halfspaces import gaussian_moment_test, make_halfspace

    X = make_halfspace(parameters.rows, parameters.columns, random_state=np.random.default_rng(key), **marginal).X
    tests = {test.name: test for test in gaussian_moment_test(X, calibration=known, random_state=parameters.seed)}
    return np.array(
        [
            all(test.passed for test in tests.values()),
            tests["kurtosis_low"].p_value > LEVEL,
            tests["kurtosis_lower_bound"].p_value > LEVEL,
            smallest_coordinate(X) >= threshold,
        ]
    )


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    tables, null_tables, simulated = (int(value) for value in arrays["counts"])
    rejected = 1.0 - arrays["planted"] / tables
    half = [_first_above(arrays["separations"], row) for row in rejected]
    null = 1.0 - arrays["null"][0] / null_tables
    heavy = arrays["heavy"] / tables
    n, d = (int(value) for value in arrays["shape"])
    at = int(np.argmax(arrays["separations"] >= half[0])) if math.isfinite(half[0]) else -1
    blind = float(rejected[3, at])
    return Description(
        question="How far from the Gaussian must rows be before the tests refuse them?",
        answer=(
            f"Half of the tables with one direction of separation l are refused from l = {_value(half[0])} on, where its fourth moment is "
            f"{_value(3.0 - 2.0 * half[0] ** 4)} instead of 3, and a test of the coordinates refuses {100 * blind:.2g} %. Of Gaussian "
            f"tables {100 * null:.2g} % are refused, where at most {100 * LEVEL:g} % are promised."
        ),
        data=(
            "Generated: Gaussian but for one random direction, sqrt(1 - l^2) N + l R with a random sign R; and t rows of unit variance, "
            "independent columns or one common factor."
        ),
        sizes=(
            f"{n:,} x {d}, {tables} tables for each point, {null_tables} Gaussian ones; thresholds from {simulated} simulated tables, all "
            f"seven moment tests together at level {LEVEL:g}, single tests at {LEVEL:g} each; levels hold on average over simulations, "
            "of which this is one. Bars are Clopper-Pearson intervals at 90 %. The coordinate test refuses a small fourth moment of any "
            "column."
        ),
        alt=(
            "Left: the share refused rises from 0.05 to 1 as the separation grows, for all tests, the search and the certified bound; the "
            "coordinate test stays near 0. Right: the share accepted rises to 0.95 as the degrees of freedom grow."
        ),
        numbers={
            "half_refused_at": dict(zip(TESTS, (None if math.isnan(value) else value for value in half), strict=True)),
            "null_refused": null,
            "refused": {test: row.tolist() for test, row in zip(TESTS, rejected, strict=True)},
            "heavy_accepted": {family: row.tolist() for family, row in zip(FAMILIES, heavy, strict=True)},
        },
    )


def _first_above(x: FloatArray, shares: FloatArray) -> float:
    """Return the first point at which at least half is reached; NaN if there is none."""
    reached = np.flatnonzero(shares >= 0.5)
    return float(x[reached[0]]) if reached.size else math.nan


def _value(number: float) -> str:
    return "no" if math.isnan(number) else f"{number:.3g}"


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: refusals against the separation on the left, acceptance against the degrees of freedom on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    tables, null_tables, _ = (int(value) for value in arrays["counts"])
    colors = (style.OURS, style.OURS_TWO, style.OURS_THIRD, style.PEERS[1])
    for test, (color, marker) in enumerate(zip(colors, "os^D", strict=True)):
        x = np.r_[0.0, arrays["separations"]] + 0.006 * (test - 1.5)
        refused = np.r_[null_tables - arrays["null"][test], tables - arrays["planted"][test]]
        _shares(left, x, refused, np.r_[null_tables, np.full(len(x) - 1, tables)], color, marker, TESTS[test])
    left.axhline(LEVEL, color=style.BOUND, linestyle="--")
    style.end_label(left, 0.1, LEVEL, f"level {LEVEL:g}", color=style.BOUND, dy=7, dx=0)
    left.set(xlabel="separation l (0: Gaussian)", ylabel="share of tables refused", ylim=(-0.03, 1.05))
    left.legend(loc="upper left")
    left.set_title("One direction with fourth moment 3 − 2 l⁴")
    for family, (color, marker) in enumerate(zip(colors, "os", strict=False)):
        accepted = arrays["heavy"][family]
        x = arrays["freedoms"] * 1.02 ** (2 * family - 1)
        _shares(right, x, accepted, np.full(len(x), tables), color, marker, FAMILY_NAMES[family])
    right.axhline(1.0 - LEVEL, color=style.BOUND, linestyle="--")
    style.end_label(right, arrays["freedoms"][0], 1.0 - LEVEL, "promised for the Gaussian", color=style.BOUND, dy=8, dx=0)
    right.set(xscale="log", xlabel="degrees of freedom", ylabel="share of tables accepted", ylim=(-0.03, 1.05))
    right.set_xticks(arrays["freedoms"], [f"{df:g}" for df in arrays["freedoms"]])
    right.minorticks_off()
    right.legend(loc="center left")
    right.set_title("Heavy tails, all tests")
    return figure


def _shares(axes: "Axes", x: FloatArray, hits: NDArray[Any], counts: NDArray[Any], color: str, marker: str, label: str) -> None:
    """Draw shares with their Clopper-Pearson intervals."""
    from algos.common.binomial import clopper_pearson

    share = hits / counts
    low, high = (
        np.array([clopper_pearson(int(k), int(m), 0.95, side) for k, m in zip(hits, counts, strict=True)]) for side in ("lower", "upper")
    )
    axes.errorbar(x, share, (share - low, high - share), color=color, marker=marker, linewidth=1.0, elinewidth=0.8, label=label)
