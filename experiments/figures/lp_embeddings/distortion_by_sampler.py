"""Distortion of samples by seven kinds of scores on three tables, against the rows sampled."""

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

    from algos.lp_embeddings import RowScores
    from algos.lp_embeddings.distortion import Reference

TITLE = "Distortion by sampler"
TOPIC = "distortion"
DATA = ()
TABLES = ("heavy_tailed", "spiked", "legendre")
TITLES = ("t(1.2) entries", "30 I above Gaussian rows", "Legendre polynomials")
SAMPLERS = ("uniform", "leverage", "root_leverage", "lewis", "sensitivity", "l2_augmented", "leverage_sensitivity")
NAMES = ("uniform", "leverage", "root leverage in rounds", "Lewis weights", "sensitivities", "sensitivities + leverage", "larger share")
EPS = 0.5
SIDE_STEP = 1.035  # samplers stand side by side at each size
TOP = 3.0  # upper end of the axis; larger distortions are drawn there

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    exponents : tuple of float
        A row of panels for each.
    rows, columns : int
        Shape of the tables.
    sizes : tuple of int
        Expected rows of the samples.
    draws : int
        Samples for each table, score and size.
    seed : int
    """

    exponents: tuple[float, ...] = (1.0,)
    rows: int = 600
    columns: int = 6
    sizes: tuple[int, ...] = (20, 40, 80, 160)
    draws: int = 6
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(exponents=(1.0, 4.0), rows=2000, sizes=(20, 40, 80, 160, 320, 640), draws=40)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return distortions by exponent, table, score (in the order of `SAMPLERS`), size and draw; NaN where a score does not cover p."""
    from joblib import Parallel, delayed

    shape = (len(parameters.exponents), len(TABLES), len(SAMPLERS), len(parameters.sizes), parameters.draws)
    found = np.full(shape, np.nan)
    cells = [(a, b, c) for a, b, c in np.ndindex(shape[:3]) if _covers(SAMPLERS[c], parameters.exponents[a])]
    with (
        (progress or Silent()).step("distortions", len(cells)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        values = pool(delayed(_cell)(parameters, parameters.exponents[a], TABLES[b], SAMPLERS[c]) for a, b, c in cells)
        for place, cell in zip(cells, values, strict=True):
            found[place] = cell
            step.advance()
    return {
        "p": np.array(parameters.exponents),
        "tables": np.array(TABLES),
        "samplers": np.array(SAMPLERS),
        "sizes": np.array(parameters.sizes),
        "distortion": found,
        "shape": np.array([parameters.rows, parameters.columns]),
    }


def _covers(sampler: str, p: float) -> bool:
    """Whether a score has a theorem, or at least a meaning, at this exponent."""
    if sampler in ("l2_augmented", "root_leverage"):
        return p <= 2.0
    return p >= 2.0 if sampler == "leverage_sensitivity" else True


def _cell(parameters: Parameters, p: float, table: str, sampler: str) -> FloatArray:
    """Return the distortions of one score on one table by size and draw; a draw keeps its random numbers at all sizes and scores."""
    from algos.lp_embeddings import instances
    from algos.lp_embeddings.distortion import Reference
    from algos.lp_embeddings.importance import row_scores

    A = instances.random_families(parameters.rows, parameters.columns, names=[table], random_state=parameters.seed)[table].A
    scores, reference = row_scores(A, p, sampler), Reference.of(A, p)  # type: ignore[arg-type]
    draws = range(parameters.draws)
    return np.array([[_one(A, scores, reference, size, 1000 * parameters.seed + draw) for draw in draws] for size in parameters.sizes])


def _one(A: FloatArray, scores: "RowScores", reference: "Reference", size: float, seed: int) -> float:
    """Return the distortion of one sample."""
    from algos.lp_embeddings.distortion import measure
    from algos.lp_embeddings.importance import draw_rows

    sample, _ = draw_rows(A, scores, size, seed=seed)
    return measure(reference, A[sample.indices] * sample.scale(scores.p)[:, None], starts=3).lower


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    medians = np.nanmedian(np.where(np.isnan(arrays["distortion"][0]), np.inf, arrays["distortion"][0]), axis=-1)
    sizes, rows = arrays["sizes"], int(arrays["shape"][0])
    needed = _first_below(medians, sizes)
    importance = needed[:, 1:6]
    worst = int(np.nanmax(importance)) if np.isfinite(importance).any() else rows
    uniform = ", ".join(
        f"{title} {'more than ' + str(sizes[-1]) if np.isnan(value) else format(int(value))}"
        for title, value in zip(("heavy tails", "spikes", "polynomials"), needed[:, 0], strict=True)
    )
    p = float(arrays["p"][0])
    return Description(
        question="Does it matter by which score rows are sampled?",
        answer=(
            f"At p = {p:g} the median distortion is at most {EPS:g} from {worst} rows on for every importance score and every table, while "
            f"uniform sampling needs, of {rows:,} rows: {uniform}."
        ),
        data=f"Generated tables of {rows:,} x {arrays['shape'][1]}; sensitivities are upper bounds from Lewis weights.",
        sizes=(
            f"{arrays['distortion'].shape[-1]} draws for each table, score and size, the same random numbers for all; dots are medians, "
            f"bars the 5-95 % range, values above {TOP:g} at the upper edge. Distortions are lower bounds found by search; a sample that "
            "lost a direction has at least 1."
        ),
        alt=(
            "Panels of falling dots on log axes, a column for each table. The importance scores lie close together and are below one half "
            "from 80 rows on; grey squares of uniform sampling stay above one half on the table with heavy tails."
        ),
        numbers={
            "rows_for_half": {
                str(table): {name: None if np.isnan(value) else int(value) for name, value in zip(SAMPLERS, row, strict=True)}
                for table, row in zip(arrays["tables"], needed, strict=True)
            },
            "largest_size": int(sizes[-1]),
        },
    )


def _first_below(medians: FloatArray, sizes: NDArray[Any]) -> FloatArray:
    """Return the first size from which on the median stays at most EPS; NaN if there is none."""
    below = np.logical_and.accumulate((medians <= EPS)[..., ::-1], axis=-1)[..., ::-1]
    return np.where(below.any(axis=-1), sizes[np.argmax(below, axis=-1)].astype(np.float64), np.nan)


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: a column for each table, a row for each exponent."""
    from .. import style

    width, height = style.TWO_PANELS
    count = len(arrays["p"])
    figure = style.new_figure(size=(width, height if count == 1 else 1.7 * height))
    axes = figure.subplots(count, len(TABLES), sharex=True, sharey="row", squeeze=False)
    for row in range(count):
        for column, title in enumerate(TITLES):
            _draw_panel(axes[row, column], arrays, row, column)
            axes[row, column].set_title(title if count == 1 else f"{title}, p = {arrays['p'][row]:g}")
        axes[row, 0].set_ylabel("distortion")
        _draw_names(axes[row, -1], arrays, row)
    for below in axes[-1]:
        below.set_xlabel("rows expected in the sample")
    return figure


def _draw_panel(axes: "Axes", arrays: Arrays, row: int, column: int) -> None:
    from .. import style

    sizes, found = arrays["sizes"], np.minimum(arrays["distortion"][row, column], TOP)
    axes.axhline(EPS, color=style.BOUND, linestyle="--", linewidth=1.0)
    for place, (color, marker) in enumerate(_marks()):
        values = found[place]
        if np.isnan(values).all():
            continue
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), axis=1)
        beside = sizes * SIDE_STEP ** (place - 3)
        axes.errorbar(
            beside, middle, (middle - low, high - middle), color=color, marker=marker, markersize=3.5, linewidth=0.8, elinewidth=0.8
        )
    smallest = float(np.nanmin(arrays["distortion"][row]))
    axes.set(xscale="log", yscale="log", ylim=(0.7 * smallest, TOP * 1.05))
    axes.set_xticks(sizes, [f"{size}" for size in sizes])
    ticks = [1e-8, 1e-6, 1e-4, 0.01, 1.0] if smallest < 1e-3 else [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    ticks = [tick for tick in ticks if tick > smallest]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _draw_names(axes: "Axes", arrays: Arrays, row: int) -> None:
    """Write the names of the scores, in their colours, right of a row of panels."""
    shown = [place for place in range(len(SAMPLERS)) if not np.isnan(arrays["distortion"][row, 0, place]).all()]
    for line, place in enumerate(shown):
        axes.text(1.04, 0.95 - 0.08 * line, NAMES[place], color=_marks()[place][0], transform=axes.transAxes, va="top")
    axes.text(1.04, 0.95 - 0.08 * (len(shown) + 0.6), f"dashed: {EPS:g}", color="#D55E00", transform=axes.transAxes, va="top")


def _marks() -> list[tuple[str, str]]:
    """Colours and markers in the order of SAMPLERS."""
    from .. import style

    return [
        (style.PEERS[0], "s"),
        (style.PEERS[1], "D"),
        (style.PEERS[2], "v"),
        (style.OURS_TWO, "^"),
        (style.OURS_THIRD, "P"),
        (style.OURS, "o"),
        (style.OURS, "X"),
    ]
