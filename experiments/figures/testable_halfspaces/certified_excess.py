"""Certified excess error under label noise against the rows, the dimension and the flip probability, beside the true one."""

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

TITLE = "What can be certified"
TOPIC = "estimators"
DATA: tuple[str, ...] = ()

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    dimensions : tuple of int
        One curve each.
    rows : tuple of int
        Rows of the left panel's tables; half of them learn, half certify.
    eta : float
        Flip probability of the left panel.
    etas : tuple of float
        Flip probabilities of the right panel.
    eta_rows : int
        Rows of the right panel's tables.
    most_entries : float
        Tables with more entries are left out.
    tables : int
        Tables for each point.
    seed : int
    """

    dimensions: tuple[int, ...] = (2, 3, 5)
    rows: tuple[int, ...] = (3000, 8000, 20_000, 50_000)
    eta: float = 0.2
    etas: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3)
    eta_rows: int = 8000
    most_entries: float = 1e7
    tables: int = 3
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(
    dimensions=(2, 5, 10, 20), rows=(10_000, 30_000, 100_000, 300_000, 1_000_000), etas=(0.0, 0.1, 0.2, 0.3, 0.4), eta_rows=100_000
)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return certified and true excess errors by dimension, rows and table, and by dimension, flip probability and table.

    A certificate that excludes no angle says 1; NaN where no table was made.
    """
    from joblib import Parallel, delayed

    shape = len(parameters.dimensions), parameters.tables
    left = [(d, n, parameters.eta) for d in parameters.dimensions for n in parameters.rows]
    right = [(d, parameters.eta_rows, eta) for d in parameters.dimensions for eta in parameters.etas]
    cells = [(*cell, table) for cell in (*left, *right) for table in range(parameters.tables)]
    with (
        (progress or Silent()).step("fits", len(cells)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        found = []
        for pair in pool(delayed(_fit)(parameters, *cell) for cell in cells):
            found.append(pair)
            step.advance()
    pairs = np.array(found).reshape(-1, parameters.tables, 2)
    by_rows, by_eta = (part.reshape(shape[0], -1, parameters.tables, 2) for part in (pairs[: len(left)], pairs[len(left) :]))
    return {
        "dimensions": np.array(parameters.dimensions),
        "rows": np.array(parameters.rows),
        "eta": np.array(parameters.eta),
        "etas": np.array(parameters.etas),
        "eta_rows": np.array(parameters.eta_rows),
        "certified_by_rows": by_rows[..., 0],
        "true_by_rows": by_rows[..., 1],
        "certified_by_eta": by_eta[..., 0],
        "true_by_eta": by_eta[..., 1],
    }


def _fit(parameters: Parameters, d: int, n: int, eta: float, table: int) -> tuple[float, float]:
    """Return the excess error certified on one table, and the true one."""
    from algos.testable_halfspaces import TestableHalfspace, make_halfspace

    if n * d > parameters.most_entries:
        return math.nan, math.nan
    made = make_halfspace(n, d, noise="rcn", rate=eta, random_state=np.random.default_rng([parameters.seed, d, n, table]))
    model = TestableHalfspace("massart", eta=eta, fit_intercept=False, marginal=None, on_reject="ignore", random_state=parameters.seed).fit(
        made.X, made.y
    )
    return model.eps_hat_, made.excess_error(model.coef_[0])


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    certified, true = (np.median(arrays[name], axis=2) for name in ("certified_by_rows", "true_by_rows"))
    at = [int(np.flatnonzero(np.isfinite(row))[-1]) for row in certified]
    dimensions, rows = arrays["dimensions"], arrays["rows"]
    facts = ", ".join(
        f"{_percent(row[place])} at d = {d} and {rows[place]:,} rows" for d, row, place in zip(dimensions, certified, at, strict=True)
    )
    both = [value[place, last] for value in (certified, true) for place, last in enumerate(at)]
    ratio = np.array(both[: len(at)]) / np.maximum(both[len(at) :], 1e-12)
    every = np.concatenate([(arrays[f"certified_{by}"] - arrays[f"true_{by}"]).ravel() for by in ("by_rows", "by_eta")])
    return Description(
        question="How small an excess error can be certified, with how many rows, in which dimension, under how much noise?",
        answer=(
            f"With flips of probability {float(arrays['eta']):g} the median certified excess is {facts}: "
            f"{ratio.min():.3g} to {ratio.max():.3g} times the true one; {int(np.count_nonzero(every < 0.0))} of "
            f"{int(np.count_nonzero(np.isfinite(every)))} certificates are below the truth."
        ),
        data="Generated Gaussian rows and a planted halfspace; every label flipped with the probability given, which is known.",
        sizes=(
            f"{certified.shape[1]} sizes, {arrays['certified_by_rows'].shape[2]} tables for each point, half of the rows learn, half "
            "certify, delta = 0.05; lines are medians, bands the 5-95 % range, crosses mark medians that "
            "say nothing. Grey: medians of the true excess, (1 - 2 eta) angle / pi, from the smallest to the largest "
            "dimension. Bands have the default widths; the narrowest, 0.03, is what limits d = 2 with many rows."
        ),
        alt=(
            "Left: certified excess against the rows in log-log axes, one falling curve for each dimension, higher ones above; the true "
            "excess lies one to two orders of magnitude below. Right: certified excess rises with the flip probability."
        ),
        numbers={
            "certified": {f"d={d}": _plain(row) for d, row in zip(dimensions, certified, strict=True)},
            "true": {f"d={d}": _plain(row) for d, row in zip(dimensions, true, strict=True)},
            "certified_by_eta": {
                f"d={d}": _plain(row) for d, row in zip(dimensions, np.median(arrays["certified_by_eta"], axis=2), strict=True)
            },
            "certified_over_true": [float(ratio.min()), float(ratio.max())],
        },
    )


def _percent(value: float) -> str:
    return "nothing" if value >= 1.0 else f"{100 * value:.2g} %"


def _plain(row: FloatArray) -> list[float | None]:
    """Return numbers for JSON, None where there is none."""
    return [float(value) if np.isfinite(value) else None for value in row]


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: against the rows on the left, against the flip probability on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2, sharey=True)
    rows, etas = arrays["rows"].astype(float), arrays["etas"]
    lowest = min(float(np.nanmin(np.median(arrays[f"true_{by}"], axis=2))) for by in ("by_rows", "by_eta"))
    left.set(xscale="log", yscale="log", ylim=(0.5 * lowest, 2.0))
    _draw_curves(left, arrays, rows, "by_rows", 1.06)
    _draw_curves(right, arrays, etas, "by_eta", 1.0)
    ends = rows[-1] * np.array([3.0, 8.0])  # right of the curves
    left.plot(ends, 0.15 * ends[0] / ends, color=style.BOUND, linestyle="--")
    style.end_label(left, ends[0], 0.15, "slope −1", color=style.BOUND, dx=0, dy=9)
    left.set(xlabel="rows", ylabel="excess error", xlim=(0.7 * rows[0], 9.0 * rows[-1]))
    ticks = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    left.set_yticks([tick for tick in ticks if tick >= left.get_ylim()[0]])
    left.text(9.0 * rows[-1], 1.0, "× nothing certified", ha="right", va="center")
    left.set_title(f"Certified, flip probability {float(arrays['eta']):g}")
    right.set(xlabel="flip probability η", xlim=(-0.02, etas[-1] + 0.16), xticks=etas)
    right.set_title(f"Certified, {int(arrays['eta_rows']):,} rows")
    return figure


def _draw_curves(axes: "Axes", arrays: Arrays, x: FloatArray, by: str, step: float) -> None:
    """Draw one curve for each dimension, and the range of the truth below."""
    from .. import style
    from ._labels import label_shifts

    marks = ((style.OURS, "o", "-"), (style.OURS_TWO, "s", "-"), (style.OURS_THIRD, "^", "-"), (style.OURS, "D", ":"))
    medians = np.median(arrays[f"certified_{by}"], axis=2)
    shown = np.isfinite(medians) & (medians < 1.0)
    last = shown.shape[1] - 1 - np.argmax(shown[:, ::-1], axis=1)
    ends = np.where(shown.any(axis=1), medians[np.arange(len(last)), last], np.nan)
    shifts = np.zeros(len(last))
    for column in np.unique(last):  # names that stand one above the other
        shifts += label_shifts(np.where(last == column, ends, np.nan), axes.get_ylim())
    for place, (color, marker, dash) in enumerate(marks[: len(arrays["dimensions"])]):
        values, middle = arrays[f"certified_{by}"][place], medians[place]
        known = shown[place]
        style.median_band(axes, x[known], values[known], color=color, marker=marker, linestyle=dash if known.sum() > 3 else "none")
        nothing = middle >= 1.0
        if nothing.any():
            axes.plot(
                x[nothing] * step ** (place - 1), middle[nothing], color=color, marker="x", markersize=6, linestyle="none", clip_on=False
            )
        if known.any():
            style.end_label(axes, x[known][-1], float(ends[place]), f"d = {arrays['dimensions'][place]}", color=color, dy=shifts[place])
    true = np.median(arrays[f"true_{by}"], axis=2)
    low, high = np.nanmin(true, axis=0), np.nanmax(true, axis=0)
    axes.fill_between(x, low, high, color=style.PREMISE_FAILS, linewidth=0)
    style.end_label(axes, x[-1], float(np.sqrt(low[-1] * high[-1])), "true", color=style.EXACT)
