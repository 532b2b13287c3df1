"""Exact sensitivities of every row between the bounds that Lewis weights, leverage scores and lifted rows give."""

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

TITLE = "Sensitivities of single rows and their bounds"
TOPIC = "sensitivities"
DATA: tuple[str, ...] = ()
TABLES = ("heavy-tailed", "coherent")
RTOL = 1e-3  # relative width at which a sensitivity counts as exact: a tenth of the thickness of a line
LEWIS_TOL = 1e-6  # both ends of the bracket are then at the factor d^|1-p/2| from each other
SHOWN = 60  # ranks drawn, spaced evenly in their logarithm

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows, columns : int
        Shape of both tables.
    alone : int
        Columns of the coherent table that a single row carries.
    exponents : tuple of float
        Two exponents, one below 2 and one even.
    seed : int
    """

    rows: int = 400
    columns: int = 8
    alone: int = 2
    exponents: tuple[float, ...] = (1.0, 4.0)
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=4000, columns=12, alone=4)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return the sensitivities of both tables and every bound on them, indexed by table, exponent and row (by falling sensitivity)."""
    shape = (len(TABLES), len(parameters.exponents))
    found = []
    with (progress or Silent()).step("tables with their support problems", int(np.prod(shape))) as step:
        for A in _tables(parameters):
            for p in parameters.exponents:
                found.append(_scores(A, p, jobs))
                step.advance()
    return {
        "p": np.array(parameters.exponents),
        "tables": np.array(TABLES),
        "shape": np.array([parameters.rows, parameters.columns]),
        "alone": np.array(parameters.alone),
        **{name: np.reshape([each[name] for each in found], (*shape, -1)) for name in found[0]},
    }


def _tables(parameters: Parameters) -> tuple[FloatArray, FloatArray]:
    from algos.lp_embeddings import instances

    n, d, k, seed = parameters.rows, parameters.columns, parameters.alone, parameters.seed
    heavy = instances.random_families(n, d, names=["heavy_tailed"], random_state=seed)["heavy_tailed"]
    return heavy.A, instances.coherent(n, d - k, k, random_state=seed).A


def _scores(A: FloatArray, p: float, jobs: int) -> dict[str, FloatArray]:
    """Return the sensitivities and their bounds, rows sorted by falling sensitivity; the lifted bound is NaN unless p is even."""
    from algos.common.linalg import whitening
    from algos.common.monomials import weighted_monomials
    from algos.lp_embeddings import bounds, leverage_scores, lewis_weights, lp_sensitivities, sensitivity_bracket

    exact = lp_sensitivities(A, p, method="exact", rtol=RTOL, n_jobs=jobs)
    lewis = lewis_weights(A, p, tol=LEWIS_TOL, max_iter=200)
    bracket = sensitivity_bracket(A, p, lewis)
    lifted = np.full(A.shape[0], np.nan)
    if p % 2.0 == 0.0:
        lifted = leverage_scores(weighted_monomials(whitening(A).apply(A), int(p) // 2))
    scores = {
        "exact_lower": exact.lower,
        "exact_upper": exact.upper,
        "lewis": lewis,
        "bracket_lower": bracket.lower,
        "bracket_upper": bracket.upper,
        "leverage": bounds.sensitivity_upper(p=p, v=np.ones(A.shape[0]), leverages=leverage_scores(A)),
        "lifted": lifted,
    }
    order = np.argsort(-exact.estimate, kind="stable")
    return {name: score[order] for name, score in scores.items()}


def exact(arrays: Arrays) -> FloatArray:
    """Return the middle of the proved interval of each sensitivity."""
    return np.asarray(np.sqrt(arrays["exact_lower"] * arrays["exact_upper"]))


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    s, p = exact(arrays), arrays["p"]
    rows, columns = (int(size) for size in arrays["shape"])
    inside = (arrays["bracket_lower"] <= arrays["exact_upper"]) & (arrays["exact_lower"] <= arrays["bracket_upper"])
    sums = {name: arrays[name].sum(axis=2) / s.sum(axis=2) for name in ("bracket_upper", "leverage", "lifted")}
    even = int(np.flatnonzero(p % 2.0 == 0.0)[0])
    width = [columns ** abs(1.0 - each / 2.0) for each in p]
    lifted = sums["lifted"][:, even]
    heavy = {name: ratio[0] for name, ratio in sums.items()}
    return Description(
        question="How near to the sensitivity of a row are the bounds that a few leverage computations give?",
        answer=(
            f"{int(inside.sum()):,} of {inside.size:,} sensitivities lie within their Lewis bracket, whose ends are a factor "
            f"{' or '.join(f'{each:.2f} (p = {q:g})' for each, q in zip(width, p, strict=True))} apart; over the rows of the heavy-tailed "
            f"table its upper ends add up to {' and '.join(f'{each:.2f}' for each in heavy['bracket_upper'])} times the total sensitivity, "
            f"the bounds from leverage scores to {' and '.join(f'{each:.3g}' for each in heavy['leverage'])} times and, at p = "
            f"{p[even]:g}, the leverage scores of lifted rows to {lifted[0]:.2f} times (coherent: {lifted[1]:.2f})."
        ),
        data=(
            "Generated: entries with Student's t distribution of 1.2 degrees of freedom; coherent: Gaussian rows in "
            f"{columns - int(arrays['alone'])} columns beside {int(arrays['alone'])} rows that each alone carry a column."
        ),
        sizes=(
            f"{rows:,} x {columns}, rows sorted by sensitivity, which is known to {RTOL:.1g} of itself; rows are drawn at ranks spaced "
            "evenly in their logarithm. The bracket is that of the Lewis weights, which are its upper end for p <= 2 and its lower end "
            "for p >= 2; bounds above 1 are cut there."
        ),
        alt=(
            "Four panels, two tables by two exponents: sensitivity against rank in log-log axes. The black line of exact values runs "
            "inside the light band of the Lewis bracket everywhere; grey marks of the classical bound by leverage scores lie above it, "
            "by orders of magnitude at p = 4; there purple marks of the lifted bound lie just above the line for the coherent table and "
            "far above it for the heavy-tailed one."
        ),
        numbers={
            "inside_bracket": int(inside.sum()),
            "of": int(inside.size),
            "bracket_factor": {f"p={q:g}": float(each) for q, each in zip(p, width, strict=True)},
            "bound_over_total": {
                f"{name}, {table}, p={q:g}": float(ratio[a, b])
                for name, ratio in sums.items()
                for a, table in enumerate(arrays["tables"])
                for b, q in enumerate(p)
                if np.isfinite(ratio[a, b])
            },
            "total_sensitivity": {
                f"{table}, p={q:g}": float(s[a, b].sum()) for a, table in enumerate(arrays["tables"]) for b, q in enumerate(p)
            },
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: a row of panels for each exponent, a column for each table."""
    from .. import style

    figure = style.new_figure(size=(9.6, 6.4))
    panels = figure.subplots(len(arrays["p"]), len(arrays["tables"]), sharex=True, sharey="row", squeeze=False)
    for b, p in enumerate(arrays["p"]):
        for a, table in enumerate(arrays["tables"]):
            _draw_panel(panels[b, a], arrays, a, b)
            panels[b, a].set_title(f"{str(table).capitalize()}, p = {p:g}")
        panels[b, 0].set_ylabel("sensitivity and its bounds")
        _label(panels[b, 0], arrays, b)
    for axes in panels[-1]:
        axes.set_xlabel("rank of the row by sensitivity")
    return figure


def _shown(arrays: Arrays) -> NDArray[np.intp]:
    """Return the places of the rows that are drawn."""
    n = int(arrays["shape"][0])
    return np.unique(np.round(np.geomspace(1, n, SHOWN)).astype(np.intp)) - 1


def _draw_panel(axes: "Axes", arrays: Arrays, table: int, row: int) -> None:
    """Draw exact sensitivities as a line, the bracket as a band with dashed ends, and the other bounds as marks."""
    from .. import style

    at = _shown(arrays)
    rank = at + 1
    low, high, s = (values[table, row, at] for values in (arrays["bracket_lower"], arrays["bracket_upper"], exact(arrays)))
    axes.fill_between(rank, low, high, color=style.BOUND, alpha=0.12, linewidth=0)
    for end in (low, high):
        axes.plot(rank, end, color=style.BOUND, linestyle="--", linewidth=0.9)
    for name, color, marker in (("leverage", style.PEERS[1], "s"), ("lifted", style.OURS_THIRD, "^"), ("lewis", style.OURS, "o")):
        axes.plot(rank, arrays[name][table, row, at], color=color, marker=marker, markersize=2.6, linestyle="none")
    axes.plot(rank, s, color=style.EXACT, linewidth=1.2, zorder=4)
    axes.set(xscale="log", yscale="log", xlim=(0.9, 1.1 * rank[-1]))


def _label(axes: "Axes", arrays: Arrays, row: int) -> None:
    """Name the curves once for each exponent, in a column in the lower left corner."""
    from .. import style

    p = float(arrays["p"][row])
    names = [
        ("■ bound by leverage scores", style.PEERS[1]),
        ("▲ leverage of lifted rows", style.OURS_THIRD),
        ("– – Lewis bracket", style.BOUND),
        ("● Lewis weights", style.OURS),
        ("— exact sensitivity", style.EXACT),
    ]
    if p % 2.0 != 0.0:
        del names[1]
    for place, (text, color) in enumerate(reversed(names)):
        axes.text(0.03, 0.05 + 0.075 * place, text, color=color, transform=axes.transAxes)
