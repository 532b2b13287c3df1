"""Processor time of median regression against the rows, and the rows that enter an interior point method."""

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Time of certified median regression"
TOPIC = "quantile_regression"
DATA: tuple[str, ...] = ()
TOL = 1e-9  # gap that every method is asked for, and that ours proves
METHODS = ("certified", "interior_point", "highs", "pyqreg2")
NAMES = ("certified_quantile", "interior point on all rows", "HiGHS, dual", "pyqreg2")

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    sizes : tuple of int
        Rows of the tables.
    columns : int
    tables : int
        Tables of each size; every method is called once on each.
    highs_rows : int
        Largest table that HiGHS gets.
    seed : int
    """

    sizes: tuple[int, ...] = (1000, 2000, 4000, 8000, 16_000, 30_000)
    columns: int = 20
    tables: int = 3
    highs_rows: int = 8000
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(sizes=(1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000), tables=5, highs_rows=100_000)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return processor seconds by method (in the order of `METHODS`), size and table, and rows used and proven gaps of ours.

    NaN where a method is not installed or the table too large for it. One process whatever `jobs`: methods would disturb each other.
    """
    from ...provenance import machine, versions

    shape = (len(parameters.sizes), parameters.tables)
    seconds, rows_used, gap, excess = np.full((len(METHODS), *shape), np.nan), np.zeros(shape), np.zeros(shape), np.full(shape, np.nan)
    with (progress or Silent()).step("tables", int(np.prod(shape))) as step:
        _measure(parameters, parameters.sizes[0], parameters.tables)  # a table of its own: compiled code is loaded off the clock
        for place in np.ndindex(shape):
            size, table = parameters.sizes[place[0]], place[1]
            seconds[:, *place], rows_used[place], gap[place], excess[place] = _measure(parameters, size, table)
            step.advance()
    known = versions(("epsdelta", "scipy", "pyqreg2"))
    return {
        "sizes": np.array(parameters.sizes),
        "columns": np.array(parameters.columns),
        "seconds": seconds,
        "rows_used": rows_used,
        "gap": gap,
        "excess": excess,
        "versions": np.array([known.get("epsdelta", ""), known.get("epsdelta", ""), f"scipy {known['scipy']}", known.get("pyqreg2", "")]),
        "processor": np.array(str(machine()["processor"])),
    }


def _measure(parameters: Parameters, size: int, table: int) -> tuple[list[float], int, float, float]:
    """Return the seconds of every method on one table, and rows used, gap and the largest excess of a peer over our lower bound."""
    from algos.lp_embeddings import certified_quantile, quantile_interior_point
    from algos.lp_embeddings.bounds import quantile_loss

    from ...benchmarks._lp_quantile import PEERS, synthetic

    A, b = synthetic(size, parameters.columns, int(np.random.SeedSequence([parameters.seed, size, table]).generate_state(1)[0]))
    methods: dict[str, Callable[[], Any]] = {
        "certified": partial(certified_quantile, A, b, 0.5, tol=TOL, random_state=parameters.seed),
        "interior_point": partial(quantile_interior_point, A, b, 0.5, tol=TOL),
    }
    if size <= parameters.highs_rows:
        methods["highs"] = next(iter(PEERS["HiGHS"](A, b, 0.5).values()))
    with suppress(ImportError):  # an optional peer
        methods["pyqreg2"] = list(PEERS["pyqreg2"](A, b, 0.5).values())[-1]  # the route that it takes by default at this size
    timed = {name: _timed(method) for name, method in methods.items()}
    fit = timed["certified"][1]
    losses = [float(quantile_loss(residuals=b - A @ getattr(result, "coef", result), quantile=0.5)) for _, result in timed.values()]
    seconds = [timed[name][0] if name in timed else np.nan for name in METHODS]
    return seconds, fit.n_rows_used, fit.gap, max(losses) / fit.dual_bound - 1.0


def _timed(method: Callable[[], Any]) -> tuple[float, Any]:
    """Return processor seconds and result of a call that garbage collection does not interrupt."""
    gc.disable()
    try:
        started = time.process_time()
        result = method()
        return time.process_time() - started, result
    finally:
        gc.enable()


def planned_rows(sizes: FloatArray, columns: int) -> FloatArray:
    """Return the rows of the first sample and the first band that `certified_quantile` chooses by default.

    It solves with all rows if there are at most 2,000 of them or the band would hold half of them.

    Examples
    --------
    >>> planned_rows(np.array([10.0, 2000.0, 1e6]), 20).tolist()
    [10.0, 2000.0, 50000.0]
    """
    wide = max(1.0, columns / 20.0) ** 0.5
    sample, band = wide * np.minimum(2.0 * sizes**0.7, 20_000.0), wide * np.minimum(3.0 * sizes**0.7, 30_000.0)
    return np.where((sizes <= 2000.0) | (2.0 * band >= sizes), sizes, np.minimum(sizes, sample + band))


def _median(arrays: Arrays) -> FloatArray:
    """Return median seconds by method and size; NaN where nothing was measured."""
    return np.asarray(np.median(arrays["seconds"], axis=2))


def _crossing(arrays: Arrays) -> str:
    """Return from which size on the certified regression is faster than the interior point method on all rows."""
    slower = np.flatnonzero(_median(arrays)[0] > _median(arrays)[1])
    if not slower.size:
        return "no size is too small for it to be faster than solving with all rows"
    return f"up to {int(arrays['sizes'][slower[-1]]):,} rows solving with all of them is faster"


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    sizes, middle = arrays["sizes"], _median(arrays)
    measured = [int(np.flatnonzero(np.isfinite(series))[-1]) if np.isfinite(series).any() else None for series in middle]
    ratios = {
        METHODS[method]: (int(sizes[at]), float(np.median(arrays["seconds"][method, at] / arrays["seconds"][0, at])))
        for method, at in enumerate(measured)
        if method and at is not None
    }
    facts = [f"{NAMES[METHODS.index(name)]} {ratio:.3g} times at {size:,} rows" for name, (size, ratio) in ratios.items()]
    share = float(np.median(arrays["rows_used"][-1]) / sizes[-1])
    peers = ", ".join(f"{NAMES[m]} ({arrays['versions'][m]})" for m in (2, 3) if measured[m] is not None)
    return Description(
        question="What does a proof of optimality over all rows cost, against solving with all rows?",
        answer=(
            f"At {sizes[-1]:,} rows the certified regression takes {middle[0, -1]:.2g} s of processor time, decides on "
            f"{100 * share:.2g} % of the rows and proves a gap of at most {arrays['gap'].max():.0e}; the others take, in units of its "
            f"time, {', '.join(facts)}; {_crossing(arrays)}."
        ),
        data=f"Generated: Gaussian design with an intercept, {int(arrays['columns'])} columns, t(3) noise; nothing is substituted.",
        sizes=(
            f"{arrays['seconds'].shape[2]} tables of each size, one call each; lines are medians, bands the 5-95 % range. "
            "Up to 2,000 rows certified_quantile solves with all of them, beyond with a sample and a band (plan: "
            f"5 n^0.7 rows, at most {int(planned_rows(np.array([1e9]), int(arrays['columns']))[0]):,}). "
            f"Processor time, one thread, of this machine ({arrays['processor']}); other machines give other times. Peers: "
            f"{peers}; all losses agree to {np.nanmax(arrays['excess']):.0e}."
        ),
        alt=(
            "Left: processor time against rows in log-log axes; the certified regression is below the interior point method on all rows "
            "from some ten thousand rows on, and far below HiGHS everywhere. Right: the rows that enter an interior point method grow "
            "like the 0.7th power of the rows, along a dashed line."
        ),
        numbers={
            "seconds_at_largest": float(middle[0, -1]),
            "rows_share_at_largest": share,
            "largest_gap": float(arrays["gap"].max()),
            "largest_excess": float(np.nanmax(arrays["excess"])),
            "time_over_ours": {name: ratio for name, (_, ratio) in ratios.items()},
            "rows_of_ratio": {name: size for name, (size, _) in ratios.items()},
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: processor time on the left, rows in the interior point method on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    _draw_times(left, arrays)
    _draw_rows(right, arrays)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="rows of the table", xlim=(0.8 * arrays["sizes"][0], 1.3 * arrays["sizes"][-1]))
    return figure


def _draw_times(axes: "Axes", arrays: Arrays) -> None:
    """Draw every method that was measured, named at its end, and the slope of a method that reads all rows."""
    from .. import style

    sizes, middle = arrays["sizes"], _median(arrays)
    marks = ((style.OURS, "o", "-"), (style.OURS_TWO, "^", "-"), (style.PEERS[0], "s", "-"), (style.PEERS[1], "D", "--"))
    for method, (color, marker, dash) in enumerate(marks):
        kept = np.isfinite(middle[method])
        if not kept.any():
            continue
        style.median_band(axes, sizes[kept], arrays["seconds"][method, kept], color=color, marker=marker, linestyle=dash)
        peer = f" ({arrays['versions'][method]})" if method == 2 else f" {arrays['versions'][method]}" if method == 3 else ""
        side: dict[str, Any] = {"dx": -8, "ha": "right"} if method == 2 else {}  # its line ends early: the others' names stand to its right
        text = (NAMES[method] + peer).replace(" on ", "\non ")
        style.end_label(axes, sizes[kept][-1], middle[method, kept][-1], text, color=color, **side)
    ends = np.array([sizes[-3], sizes[-1]], dtype=float)
    axes.plot(ends, 0.25 * middle[0, -3] * ends / ends[0], color=style.BOUND, linestyle="--")
    style.end_label(axes, ends[1], float(0.25 * middle[0, -3] * ends[1] / ends[0]), "slope 1", color=style.BOUND)
    axes.set_ylabel("processor time (s)")
    axes.set_title("Median regression to a gap of 1e−9")


def _draw_rows(axes: "Axes", arrays: Arrays) -> None:
    """Draw the distinct rows that entered a small problem, their plan, and all rows."""
    from .. import style

    sizes = arrays["sizes"].astype(float)
    style.median_band(axes, sizes, arrays["rows_used"], color=style.OURS, marker="o")
    smooth = np.geomspace(sizes[0], sizes[-1], 100)
    plan = planned_rows(smooth, int(arrays["columns"]))
    axes.plot(smooth[plan < smooth], plan[plan < smooth], color=style.BOUND, linestyle="--")
    axes.plot(smooth, smooth, color=style.EXACT, linewidth=0.8)
    style.end_label(axes, smooth[-1], plan[-1], "plan: sample\nand band, 5 n$^{0.7}$", color=style.BOUND, dy=11)
    style.end_label(axes, smooth[-1], float(np.median(arrays["rows_used"][-1])), "used", color=style.OURS, dy=-8)
    style.end_label(axes, smooth[-1], smooth[-1], "all rows", color=style.EXACT)
    axes.set_ylabel("distinct rows")
    axes.set_title("Rows that certified_quantile solves with")
