"""Exact worst case of least squares on an optimal design against the number of features, beside its bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "What misspecification costs least squares"
TOPIC = "least_squares"
DATA: tuple[str, ...] = ()
QUANTITIES = ("worst", "lebesgue", "best_linear")
ROUNDING = 1e-9  # of sums of some hundred weights

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    feature_counts : tuple of int
    actions : int
    programs : int
        Actions for which the best linear prediction is sought; each one is a linear program.
    tables : int
        Tables for each number of features.
    seed : int
    """

    feature_counts: tuple[int, ...] = (4, 8, 16, 32)
    actions: int = 600
    programs: int = 8
    tables: int = 4
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(feature_counts=(4, 6, 8, 12, 16, 24, 32, 48), actions=1500, programs=40, tables=5)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return, in units of eps, by features and table: exact worst case, largest Lebesgue function, best linear prediction, g."""
    from joblib import Parallel, delayed

    cells = [(d, table) for d in parameters.feature_counts for table in range(parameters.tables)]
    with (
        (progress or Silent()).step("designs", len(cells)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        found = []
        for numbers in pool(delayed(_design)(parameters, *cell) for cell in cells):
            found.append(numbers)
            step.advance()
    numbers = np.array(found).reshape(len(parameters.feature_counts), parameters.tables, len(QUANTITIES) + 1)
    arrays = {name: numbers[..., place] for place, name in enumerate(QUANTITIES)}
    sizes = np.array([parameters.actions, parameters.programs])
    return arrays | {"g": numbers[..., -1], "feature_counts": np.array(parameters.feature_counts), "sizes": sizes}


def _design(parameters: Parameters, d: int, table: int) -> tuple[float, ...]:
    """Return worst case, Lebesgue constants of least squares and of the best linear prediction, and g, for one table."""
    from algos.common.linear_programs import l1_minimize
    from algos.misspecified_bandits import g_optimal_design, lebesgue_function, ls_worst_case

    rng = np.random.default_rng([parameters.seed, d, table])
    X = rng.standard_normal((parameters.actions, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    design = g_optimal_design(X, random_state=rng)
    lebesgue = lebesgue_function(X, design)
    # The least absolute weights of all unbiased predictions, for those actions where least squares is worst.
    core = np.ascontiguousarray(X[design.support].T)
    hardest = np.argsort(-lebesgue, kind="stable")[: parameters.programs]
    best = max(float(np.abs(l1_minimize(core, X[action]).nu).sum()) for action in hardest)
    return ls_worst_case(X, design, 1.0).value, float(lebesgue.max()), best, design.g


def slope(x: FloatArray, values: FloatArray) -> float:
    """Return the slope of a line through the logarithms.

    Examples
    --------
    >>> round(slope(np.array([1.0, 2.0, 4.0]), np.array([3.0, 6.0, 12.0])), 9)
    1.0
    """
    return float(np.polyfit(np.log(x), np.log(values), 1)[0])


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    d = arrays["feature_counts"].astype(float)
    worst, lebesgue, best, g = (np.median(arrays[name], axis=1) for name in (*QUANTITIES, "g"))
    promised = 2.0 * (1.0 + np.sqrt(arrays["g"]))
    above = int(np.count_nonzero(arrays["worst"] > promised * (1.0 + ROUNDING)))
    return Description(
        question="Is the factor sqrt(d) that misspecification costs least squares real, and how loose is its bound?",
        answer=(
            f"The exact worst case is {np.min(arrays['worst'] / promised):.2f} to {np.max(arrays['worst'] / promised):.2f} of "
            f"2 (1 + sqrt g) eps and {above} of {arrays['worst'].size} pass it; the largest error of a prediction grows like d to the "
            f"power {slope(d, lebesgue):.2f}, from {lebesgue[0]:.2f} to {lebesgue[-1]:.2f} eps, where the best linear prediction from the "
            f"same queries has {best[-1]:.2f} eps or more."
        ),
        data=f"Generated rows, {int(arrays['sizes'][0]):,} on the unit sphere, no sparsity; G-optimal designs, tolerance 0.01.",
        sizes=(
            f"{arrays['worst'].shape[1]} tables for each d; lines are medians, bands the 5-95 % range. The bound with sqrt d is that of "
            "Lattimore, Szepesvari and Weisz (2020), the rate that sparsity is to beat in the paper; exact worst cases are ours. The best "
            f"linear prediction is sought for the {int(arrays['sizes'][1])} actions where least squares is worst."
        ),
        alt=(
            "Log-log plot with two pairs of nearly parallel rising lines, each a bound above an exact value, with a short reference line "
            "of slope one half; the best linear prediction rises more slowly."
        ),
        numbers={
            "worst_case_over_eps": worst.tolist(),
            "largest_prediction_error_over_eps": lebesgue.tolist(),
            "best_linear_over_eps": best.tolist(),
            "sqrt_g": np.sqrt(g).tolist(),
            "slope": slope(d, lebesgue),
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: exact values and bounds against the number of features."""
    from .. import style

    figure = style.new_figure()
    axes = figure.subplots()
    d = arrays["feature_counts"].astype(float)
    root = np.sqrt(np.median(arrays["g"], axis=1))
    for values, text in ((2.0 * (1.0 + root), "2 (1 + √g)"), (root, "√g")):
        axes.plot(d, values, color=style.BOUND, linestyle="--")
        style.end_label(axes, d[-1], values[-1], text, color=style.BOUND)
    names = ("recommendation", "prediction", "best linear")
    marks = ((style.OURS, "o"), (style.OURS_TWO, "s"), (style.OURS_THIRD, "^"))
    for name, text, (color, marker) in zip(QUANTITIES, names, marks, strict=True):
        style.median_band(axes, d, arrays[name], color=color, marker=marker)
        style.end_label(axes, d[-1], float(np.median(arrays[name][-1])), text, color=color)
    ends = d[[-2, -1]]
    low = 0.75 * float(np.median(arrays["best_linear"][-2]))
    axes.plot(ends, low * np.sqrt(ends / ends[0]), color=style.EXACT, linewidth=0.8)
    style.end_label(axes, ends[0], low, "slope 1/2", color=style.EXACT, dx=-4, ha="right")
    axes.set(xscale="log", yscale="log", xlabel="features d", ylabel="largest error / ε", xlim=(0.9 * d[0], 1.9 * d[-1]))
    axes.set_xticks(d, [f"{value:g}" for value in d])
    axes.set_yticks([1, 2, 3, 5, 10, 20], ["1", "2", "3", "5", "10", "20"])
    axes.minorticks_off()
    return figure
