"""Excess error of the ramp path and of five other learners under four kinds of noise, and what is certified beside the truth."""

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

    from algos.testable_halfspaces import HalfspaceInstance

TITLE = "Error against noise"
TOPIC = "ramp_learner"
DATA: tuple[str, ...] = ()
SETTINGS: tuple[tuple[str, str | None, float], ...] = (
    *(("rcn", None, rate) for rate in (0.1, 0.3, 0.4)),
    *(("massart", "wedge", rate) for rate in (0.2, 0.4, 0.49)),
    *(("agnostic", "cap", rate) for rate in (0.02, 0.05, 0.1)),
    *(("agnostic", "leverage", rate) for rate in (0.01, 0.05)),
)
GROUPS = (("every label\nflips", 0, 3), ("wedge\nflips", 3, 6), ("cap is\nrelabelled", 6, 9), ("far-off\nrows", 9, 11))
FLOOR = 2e-4  # lower edge of the left panel; smaller and negative values are drawn there
BOUNDED = 6  # settings for which an excess can be certified; the others get a lower bound on the optimum
METHODS = ("ramp", "chow", "logistic", "svm", "perceptron", "polynomial")
NAMES = ("ramp path (ours)", "mean of y x (Chow)", "LogisticRegression", "LinearSVC", "Perceptron", "l1 polynomial")

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]
Predict = Callable[[FloatArray], NDArray[Any]]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows, columns : int
        Shape of the tables that the methods learn from.
    fresh : int
        Rows on which errors are measured.
    tables : int
        Tables for each noise.
    degree, polynomial_tables : int
        Degree of the polynomial regression, and tables that it gets.
    certified_rows, certified_columns, certified_tables : int
        The same for the right panel, half of whose rows learn where an excess is certified.
    seed : int
    """

    rows: int = 4000
    columns: int = 5
    fresh: int = 20_000
    tables: int = 4
    degree: int = 3
    polynomial_tables: int = 2
    certified_rows: int = 60_000
    certified_columns: int = 3
    certified_tables: int = 1
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=20_000, columns=10, fresh=50_000, tables=8, certified_rows=200_000, certified_columns=5, certified_tables=2)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return excess errors by setting (in the order of `SETTINGS`), method (of `METHODS`) and table, and certified numbers with the truth.

    NaN where a method does not get the table.
    """
    from joblib import Parallel, delayed

    from ...provenance import versions

    learn = [(a, b) for a in range(len(SETTINGS)) for b in range(parameters.tables)]
    prove = [(a, b) for a in range(len(SETTINGS)) for b in range(parameters.certified_tables)]
    excess = np.empty((len(SETTINGS), len(METHODS), parameters.tables))
    proved = np.empty((len(SETTINGS), 2, parameters.certified_tables))
    with (
        (progress or Silent()).step("tables", len(learn) + len(prove)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        for (a, b), column in zip(learn, pool(delayed(_excesses)(parameters, a, b) for a, b in learn), strict=True):
            excess[a, :, b] = column
            step.advance()
        for (a, b), pair in zip(prove, pool(delayed(_proved)(parameters, a, b) for a, b in prove), strict=True):
            proved[a, :, b] = pair
            step.advance()
    return {
        "excess": excess,
        "proved": proved[:, 0],
        "truth": proved[:, 1],
        "rates": np.array([rate for _, _, rate in SETTINGS]),
        "shape": np.array([parameters.rows, parameters.columns, parameters.fresh]),
        "certified_shape": np.array([parameters.certified_rows, parameters.certified_columns]),
        "degree": np.array(parameters.degree),
        "polynomial_tables": np.array(parameters.polynomial_tables),
        "scikit_learn": np.array(versions(("scikit-learn",))["scikit-learn"]),
    }


def _instances(setting: int, n: int, d: int, fresh: int, key: list[int]) -> tuple["HalfspaceInstance", FloatArray, FloatArray]:
    """Return a table to learn from, and fresh rows with the probability that their labels differ from the planted halfspace's."""
    from algos.testable_halfspaces import make_halfspace
    from algos.testable_halfspaces.instances import HalfspaceInstance

    noise, adversary, rate = SETTINGS[setting]
    rng = np.random.default_rng([*key, setting])
    if adversary == "leverage":  # spoils the table to learn from; the error that counts is that on clean rows
        table = make_halfspace(n, d, noise="agnostic", rate=rate, adversary=adversary, random_state=rng)
        return table, rng.standard_normal((fresh, d)), np.zeros(fresh)
    both = make_halfspace(n + fresh, d, noise=noise, rate=rate, adversary=adversary, random_state=rng)  # type: ignore[arg-type]
    X, y, w = both.X[:n], both.y[:n], both.w
    mistakes = int(np.count_nonzero((X @ w >= 0.0) != (y > 0.0)))
    table = HalfspaceInstance(both.name, X, y, w, both.noise, rate, both.flips[:n], mistakes, both.gaussian)
    return table, both.X[n:], both.flips[n:]


def excess_error(wrong: NDArray[np.bool_], flips: FloatArray) -> float:
    """Return the excess error over the planted halfspace: each row on which the two differ costs 1 - 2 times its flip probability.

    Examples
    --------
    >>> excess_error(np.array([True, True, False, False]), np.array([0.0, 0.25, 0.0, 1.0]))
    0.375
    """
    return float(np.mean(np.where(wrong, 1.0 - 2.0 * flips, 0.0)))


def _excesses(parameters: Parameters, setting: int, table: int) -> list[float]:
    """Return the excess error of every method on one table."""
    learn, X, flips = _instances(setting, parameters.rows, parameters.columns, parameters.fresh, [parameters.seed, table])
    right = X @ learn.w >= 0.0
    methods = _learners(learn.X, learn.y, parameters, with_polynomial=table < parameters.polynomial_tables)
    return [excess_error(methods[name](X) != right, flips) if name in methods else np.nan for name in METHODS]


def _learners(X: FloatArray, y: FloatArray, parameters: Parameters, *, with_polynomial: bool) -> dict[str, Predict]:
    """Fit every method; each returned function says which rows it labels +1."""
    from sklearn.linear_model import LogisticRegression, Perceptron
    from sklearn.svm import LinearSVC

    from algos.testable_halfspaces import ramp_path

    from ...baselines.polynomial_regression import fit_polynomial

    fitted = (
        LogisticRegression(fit_intercept=False),
        LinearSVC(fit_intercept=False, dual=False),
        Perceptron(fit_intercept=False, random_state=parameters.seed),
    )
    normals = [ramp_path(X, y, random_state=parameters.seed).best.w, y @ X, *(method.fit(X, y).coef_[0] for method in fitted)]
    found: dict[str, Predict] = {name: _side(w) for name, w in zip(METHODS, normals, strict=False)}
    if with_polynomial:
        polynomial = fit_polynomial(X, y, parameters.degree, seed=parameters.seed)
        found["polynomial"] = lambda rows: polynomial.predict(rows) > 0.0
    return found


def _side(w: FloatArray) -> Predict:
    return lambda rows: rows @ w >= 0.0


def _proved(parameters: Parameters, setting: int, table: int) -> tuple[float, float]:
    """Return what is certified on one table, and the true value: the excess error, or the planted halfspace's share of mistakes."""
    from algos.testable_halfspaces import certify, ramp_path

    n, d = parameters.certified_rows, parameters.certified_columns
    learn, X, flips = _instances(setting, n, d, parameters.fresh, [parameters.seed, table, 1])
    if setting >= BOUNDED:
        w = ramp_path(learn.X, learn.y, random_state=parameters.seed).best.w
        return certify(learn.X, learn.y, w).o_low, learn.n_mistakes / n
    half = n // 2
    w = ramp_path(learn.X[:half], learn.y[:half], random_state=parameters.seed).best.w
    certificate = certify(learn.X[half:], learn.y[half:], w, noise="massart", eta=learn.rate)
    return certificate.eps_hat if not certificate.vacuous else 1.0, excess_error((X @ w >= 0.0) != (X @ learn.w >= 0.0), flips)


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    excess = arrays["excess"]
    middle = np.nanmedian(excess, axis=2)
    ratio = middle[:, 2] / middle[:, 0]
    n, d, fresh = (int(value) for value in arrays["shape"])
    rows, columns = (int(value) for value in arrays["certified_shape"])
    best = int(np.count_nonzero(middle[:, 0] <= middle[:, 1:].min(axis=1)))
    known = int(np.count_nonzero(_certified(arrays)))
    return Description(
        question="How far from the best halfspace do learners end under label noise, and how much of it can be certified?",
        answer=(
            f"The ramp path has the smallest median excess in {best} of {len(SETTINGS)} settings, at most "
            f"{100 * middle[:, 0].max():.2g} %; that of LogisticRegression is {ratio.min():.2g} to {ratio.max():.3g} times as large. "
            f"Something is certified in {known} of {len(SETTINGS)} settings, and {_violations(arrays)} of {arrays['proved'].size} "
            "certificates contradict the truth."
        ),
        data=(
            "Generated Gaussian rows, labels of a planted halfspace. Flips of every label with the probability given; flips only where a "
            "second halfspace at 0.8 rad disagrees; a share of the rows, a cap, relabelled; a share of the rows replaced by rows at -20 w* "
            "with label +1."
        ),
        sizes=(
            f"Left: {n:,} x {d}, {excess.shape[2]} tables for each noise ({int(arrays['polynomial_tables'])} for the polynomial of degree "
            f"{int(arrays['degree'])}), errors on {fresh:,} fresh rows; dots are medians, bars the 5-95 % range; values below "
            f"{100 * FLOOR:g} % are drawn at the lower edge (a polynomial can err less than every halfspace). Peers: scikit-learn "
            f"{arrays['scikit_learn']}. Right: medians over {arrays['proved'].shape[1]} table(s) of {rows:,} x {columns}, delta = 0.05; "
            "the optimum is at most the planted halfspace's share of mistakes."
        ),
        alt=(
            "Left: excess error by noise on a log scale; blue dots of the ramp path lie lowest, mostly below a hundredth, the perceptron "
            "highest, and far-off rows ruin all but the ramp path. Right: certified bounds as dashes above the true excess and below the "
            "true optimum."
        ),
        numbers={
            "median_excess": {name: middle[:, place].tolist() for place, name in enumerate(METHODS)},
            "logistic_over_ramp": [float(ratio.min()), float(ratio.max())],
            "certified": np.median(arrays["proved"], axis=1).tolist(),
            "truth": np.median(arrays["truth"], axis=1).tolist(),
            "violations": _violations(arrays),
        },
    )


def _certified(arrays: Arrays) -> NDArray[np.bool_]:
    """Return in which settings the median certificate says more than the trivial."""
    middle = np.median(arrays["proved"], axis=1)
    return np.where(np.arange(len(SETTINGS)) < BOUNDED, middle < 0.5, middle > 0.0)


def _violations(arrays: Arrays) -> int:
    """Return how many certificates claim a smaller excess, or a larger optimum, than what is known to be true."""
    proved, truth = arrays["proved"], arrays["truth"]
    bounded = np.arange(len(SETTINGS))[:, None] < BOUNDED
    return int(np.count_nonzero(np.where(bounded, proved < truth, proved > truth)))


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: excess errors on the left, certified numbers and the truth on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    _draw_excess(left, arrays)
    _draw_proved(right, arrays)
    for axes in (left, right):
        _draw_settings(axes, arrays)
    return figure


def _draw_settings(axes: "Axes", arrays: Arrays) -> None:
    """Name the settings below the axis: rates, and groups under them."""
    from .. import style

    axes.set_xticks(range(len(SETTINGS)), [f"{rate:g}".removeprefix("0") for rate in arrays["rates"]])
    axes.tick_params(axis="x", length=0)
    for name, start, stop in GROUPS:
        axes.text((start + stop - 1) / 2, -0.09, name, transform=axes.get_xaxis_transform(), ha="center", va="top")
        if start:
            axes.axvline(start - 0.5, color=style.PREMISE_FAILS, linewidth=0.8, zorder=0)
    axes.set_xlim(-0.6, len(SETTINGS) - 0.4)


def _draw_excess(axes: "Axes", arrays: Arrays) -> None:
    """Draw every method at every setting, side by side."""
    from .. import style

    marks = ((style.OURS, "o"), *zip((style.PEERS * 2)[:5], "vsDP*", strict=True))
    for place, (color, marker) in enumerate(marks):
        values = np.maximum(arrays["excess"][:, place], FLOOR)
        low, middle, high = np.nanquantile(values, (0.05, 0.5, 0.95), axis=1)
        x = np.arange(len(SETTINGS)) + 0.14 * (place - 2.5)
        bars = (middle - low, high - middle)
        axes.errorbar(x, middle, bars, color=color, marker=marker, linestyle="none", elinewidth=0.8, label=NAMES[place], clip_on=False)
    axes.set(yscale="log", ylabel="excess error over the planted halfspace", ylim=(FLOOR, 20.0))
    axes.set_yticks([0.001, 0.01, 0.1, 1], ["0.1 %", "1 %", "10 %", "100 %"])
    axes.legend(ncols=3, loc="upper left", borderaxespad=0.0, handletextpad=0.1, columnspacing=0.8)
    axes.set_title(f"Learners: {int(arrays['shape'][0]):,} rows, d = {int(arrays['shape'][1])}")


def _draw_proved(axes: "Axes", arrays: Arrays) -> None:
    """Draw the truth and, joined to it, what is certified about it."""
    from .. import style

    proved, truth = np.median(arrays["proved"], axis=1), np.median(arrays["truth"], axis=1)
    known, place = _certified(arrays), np.arange(len(SETTINGS))
    bounded = place < BOUNDED
    numbers = np.r_[truth, proved[known]]
    floor = 10.0 ** np.floor(np.log10(numbers[numbers > 0.0].min()))
    truth = np.maximum(truth, floor)  # no fresh row on which the halfspaces differ: at the lower edge
    axes.plot(place[bounded], truth[bounded], color=style.OURS, marker="o", linestyle="none", label="excess error, true")
    axes.plot(place[~bounded], truth[~bounded], color=style.EXACT, marker="s", linestyle="none", label="optimum, at most")
    axes.vlines(place[known], truth[known], proved[known], color=style.BOUND, linewidth=0.8, linestyle="--", zorder=1)
    dash: dict[str, Any] = {"color": style.BOUND, "linestyle": "none", "clip_on": False, "markeredgewidth": 2.0}
    axes.plot(place[known], proved[known], marker="_", markersize=11, label="certified", **dash)
    nothing = np.where(bounded, 1.0, floor)
    axes.plot(place[~known], nothing[~known], marker="x", markersize=6, label="nothing certified", **dash)
    axes.set(yscale="log", ylim=(floor, 20.0))
    ticks = [tick for tick in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1) if tick >= floor]
    axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.legend(ncols=2, loc="upper left", borderaxespad=0.0, handletextpad=0.1, columnspacing=0.8)
    axes.set_title(f"Certificates: {int(arrays['certified_shape'][0]):,} rows, d = {int(arrays['certified_shape'][1])}")
