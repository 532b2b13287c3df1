"""Five real tables before the moment tests: which are accepted, which refused, in what direction, and how well a halfspace does there."""

import math
import warnings
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

TITLE = "Real tables: accepted or refused, and why"
TOPIC = "moment_tests"
DATA = ("twonorm", "ring", "magic", "phoneme", "spambase")
LEVEL = 0.05
WIDE = 30  # columns beyond which a certificate takes seconds for each width
NORMAL_MEDIAN = 0.6745  # median of |N(0, 1)|
TESTS = ("mean", "covariance", "skewness", "kurtosis_high", "kurtosis_low")
SHORT = ("mean", "covariance", "skewness", "high 4th", "low 4th")

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    most_rows : int
        Tables with more rows give every k-th one.
    simulated : int
        Gaussian tables from which thresholds are taken.
    certified_columns : int
        Wider tables get no certified interval of the fourth moments, and certificates by quadratic minorants alone.
    wide_widths : tuple of float
        Widths of the band tried on tables with more than 30 columns, in units of the margins' spread; others get the default ones.
    seed : int
    """

    most_rows: int = 2000
    simulated: int = 39
    certified_columns: int = 10
    wide_widths: tuple[float, ...] = (1.0,)
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(most_rows=20_000, simulated=79, certified_columns=20, wide_widths=(2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12))


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return, by table: statistics with accepted intervals and verdicts by test (in the order of `TESTS`), directions, errors."""
    from joblib import Parallel, delayed

    with (
        (progress or Silent()).step("tables", len(DATA)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        found = []
        for row in pool(delayed(_judge)(parameters, name) for name in DATA):
            found.append(row)
            step.advance()
    return {"names": np.array(DATA), "simulated": np.array(parameters.simulated), "wide_widths": np.array(len(parameters.wide_widths))} | {
        name: np.array([row[name] for row in found]) for name in found[0]
    }


def whitened(X: FloatArray) -> FloatArray:
    """Return rows of mean 0 and covariance I, as the simulated tables are whitened.

    Examples
    --------
    >>> Z = whitened(np.random.default_rng(0).standard_normal((50, 3)) @ np.diag([1.0, 10.0, 0.1]))
    >>> bool(np.allclose(Z.T @ Z / 50, np.eye(3)))
    True
    """
    centred = X - X.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(X))
    return np.ascontiguousarray(centred @ (vectors / np.sqrt(values)))


def _judge(parameters: Parameters, name: str) -> dict[str, Any]:
    """Return everything about one table."""
    from algos.testable_halfspaces import calibrate
    from algos.testable_halfspaces.moment_tests import moment_statistics

    from ... import data

    table = data.load(name)
    assert table.y is not None
    every = math.ceil(len(table.X) / parameters.most_rows)
    X = table.X[::every]
    kept = np.ptp(X, axis=0) > 0.0
    Z, y = whitened(X[:, kept]), table.y[::every]
    n, d = Z.shape
    certify = d <= parameters.certified_columns
    known = calibrate(
        n, d, transform="whiten", level=LEVEL, n_calibration=parameters.simulated, certify=certify, key=parameters.seed, n_jobs=1
    )
    results = {test.name: test for test in known.judge(moment_statistics(Z, certify=certify, random_state=parameters.seed))}
    shown = [results[test] for test in TESTS]
    apart = Z[y > 0.0].mean(axis=0) - Z[y < 0.0].mean(axis=0)
    apart /= np.linalg.norm(apart)
    brackets = [results[test].bracket or (math.nan, math.nan) for test in ("kurtosis_low", "kurtosis_high")]
    return {
        "shape": (len(table.X), n, table.X.shape[1]),
        "statistic": [test.statistic for test in shown],
        "low": [test.low for test in shown],
        "high": [test.high for test in shown],
        "passed": [test.passed for test in shown],
        "all_passed": all(test.passed for test in results.values()),
        "p_value": [test.p_value for test in shown],
        "interval": (brackets[0][0], brackets[1][1]),
        "along_classes": [abs(float(apart @ np.asarray(test.direction))) for test in shown],
        **_errors(Z, y, parameters),
    }


def _errors(Z: FloatArray, y: FloatArray, parameters: Parameters) -> dict[str, Any]:
    """Return the training errors of two learners, and the certified lower bound on that of every halfspace with an intercept."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    from algos.testable_halfspaces import certify, ramp_path

    logistic = LogisticRegression(max_iter=1000).fit(Z, y)
    with warnings.catch_warnings():
        # Heavy tails need thousands of steps in narrow bands; the best halfspace on the way counts, stationary or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        w = ramp_path(np.column_stack([Z, np.ones(len(Z))]), y, tol=1e-3, max_iter=300, random_state=parameters.seed).best.w
    form: Any = "auto" if Z.shape[1] <= parameters.certified_columns else "norm"
    spread = float(np.median(np.abs(Z @ w[:-1] + w[-1]))) / NORMAL_MEDIAN
    widths: Any = [spread * width for width in parameters.wide_widths] if Z.shape[1] > WIDE else "auto"
    certificate = certify(Z, y, w[:-1], intercept=float(w[-1]), form=form, sigmas=widths)
    return {
        "logistic_error": float(np.mean(logistic.predict(Z) != y)),
        "ramp_error": certificate.mistakes / certificate.n,
        "opt_lower": certificate.o_low,
    }


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    names = [str(name) for name in arrays["names"]]
    refused = [name for name, passed in zip(names, arrays["all_passed"], strict=True) if not passed]
    strongest = int(np.argmax(arrays["along_classes"][:, 4] * ~arrays["passed"][:, 4]))
    ours, theirs = arrays["ramp_error"], arrays["logistic_error"]
    read = ", ".join(f"{name} {n:,} of {total:,}" for name, (total, n, _) in zip(names, arrays["shape"], strict=True))
    return Description(
        question="Which real tables look Gaussian to the tests, which are refused, and what is wrong with them?",
        answer=(
            f"{len(refused)} of {len(names)} are refused ({', '.join(refused) or 'none'}). In {names[strongest]} a direction has a fourth "
            f"moment of {arrays['statistic'][strongest, 4]:.3g}, where at least {arrays['low'][strongest, 4]:.3g} is accepted; it is the "
            f"direction of the classes (cosine {arrays['along_classes'][strongest, 4]:.3g}). The ramp path errs on fewer training rows "
            f"than LogisticRegression in {int(np.count_nonzero(ours < theirs))} tables; {_bounded(arrays['opt_lower'])}."
        ),
        data=f"Real tables, whitened, their labels not used by the tests; rows: {read}.",
        sizes=(
            f"Thresholds from {int(arrays['simulated'])} simulated Gaussian tables of the same shape, whitened likewise, all tests "
            f"together at level {LEVEL:g}. Left: smallest and largest fourth moment found over directions (dots), interval that "
            "certainly holds all of them (thin line, where computed), accepted interval (grey). Right: training errors of halfspaces "
            f"with an intercept; the lower bound is the best over the default widths of the band, for more than {WIDE} columns over "
            f"{int(arrays['wide_widths'])}."
        ),
        alt=(
            "Left: one line for each table from the smallest to the largest fourth moment, on a log scale, beside a short grey interval "
            "around 3; all but possibly one side reach beyond it. Right: pairs of dots, training errors of the ramp path and of logistic "
            "regression."
        ),
        numbers={
            name: {
                "statistic": dict(zip(TESTS, arrays["statistic"][place].tolist(), strict=True)),
                "failed": [test for test, passed in zip(TESTS, arrays["passed"][place], strict=True) if not passed],
                "cosine_with_classes": dict(zip(TESTS, arrays["along_classes"][place].tolist(), strict=True)),
                "logistic_error": float(theirs[place]),
                "ramp_error": float(ours[place]),
                "opt_lower": float(arrays["opt_lower"][place]),
            }
            for place, name in enumerate(names)
        },
    )


def _bounded(lower: FloatArray) -> str:
    """Return what is certified about the optima, for a sentence."""
    known = int(np.count_nonzero(lower > 0.0))
    if not known:
        return "no certificate excludes that the optimum is 0"
    return f"for {known} the certified lower bound on the optimum is positive, at most {100 * lower.max():.2g} %"


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: fourth moments and verdicts on the left, errors on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1), sharey=True)
    _draw_moments(left, arrays)
    place = np.arange(len(arrays["names"]))
    right.plot(100 * arrays["logistic_error"], place - 0.1, color=style.PEERS[1], marker="s", linestyle="none", label="LogisticRegression")
    right.plot(100 * arrays["ramp_error"], place + 0.1, color=style.OURS, marker="o", linestyle="none", label="ramp path")
    right.plot(100 * arrays["opt_lower"], place, color=style.BOUND, marker="|", markersize=12, markeredgewidth=2.0, linestyle="none",
               clip_on=False, label="certified optimum")  # fmt: skip
    right.set(xlabel="training rows wrong (%)", xlim=(0.0, None))
    right.tick_params(axis="y", length=0)
    right.legend(loc="lower right", borderaxespad=0.0, handletextpad=0.1)
    return figure


def _draw_moments(axes: "Axes", arrays: Arrays) -> None:
    """Draw the interval of the fourth moments beside the accepted one, and write the verdict."""
    from .. import style

    low, high = arrays["statistic"][:, 4], arrays["statistic"][:, 3]
    right = 100.0 * float(np.max(high))
    for place in range(len(arrays["names"])):
        axes.fill_between(
            [arrays["low"][place, 4], arrays["high"][place, 3]], place - 0.3, place + 0.3, color=style.PREMISE_FAILS, linewidth=0
        )
        axes.plot(arrays["interval"][place], [place, place], color=style.EXACT, linewidth=0.6)
        axes.plot([low[place], high[place]], [place, place], color=style.OURS, marker="o")
        failed = [short for short, passed in zip(SHORT, arrays["passed"][place], strict=True) if not passed]
        verdict = "accepted" if arrays["all_passed"][place] else f"refused: {', '.join(failed) or 'certified interval'}"
        axes.text(right, place, verdict, ha="right", va="bottom", fontsize="small")
        along = arrays["along_classes"][place, 4]
        axes.text(right, place, f"lowest moment: cosine {along:.3f} with the classes", ha="right", va="top", fontsize="x-small")
    axes.text(3.0, -0.32, "accepted", ha="center", va="bottom", fontsize="small")
    axes.axvline(3.0, color=style.EXACT, linewidth=0.6)
    axes.set(xscale="log", xlabel="fourth moments over all directions (Gaussian: 3)", xlim=(1.0, right))
    axes.set_xticks([1, 2, 3, 5, 10, 100, 1000], ["1", "2", "3", "5", "10", "100", "1,000"])
    axes.minorticks_off()
    axes.set_yticks(
        range(len(arrays["names"])), [f"{name}\nd = {d}" for name, (_, _, d) in zip(arrays["names"], arrays["shape"], strict=True)]
    )
    axes.set_ylim(len(arrays["names"]) - 0.5, -0.5)
