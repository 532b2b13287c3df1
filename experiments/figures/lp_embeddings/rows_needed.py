"""Rows that sensitivity sampling needs against the total sensitivity, and where each sampling theorem for p > 2 is the best."""

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

TITLE = "Rows needed, and the theorem that asks for the fewest"
TOPIC = "distortion"
DATA = ("flights",)
EPS = 0.5
CONSTANT = 2.0  # of the sizes drawn as promises, with logarithmic factor 1, as in claim LP-11
LEVELS = (0.75, 0.5, 0.25)  # shares of failing samples whose sizes are drawn: lower end of the band, dots, upper end
LARGE_P = 4.0  # exponent of the right panel

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    exponents : tuple of float
    dimensions : tuple of int
        Of the two-basis matrix, powers of two.
    sizes : int
        Sizes tried for each matrix, from its rank to the size that the theorem promises.
    trials : int
        Samples of each size.
    rows, columns : int
        Shape of the generated matrices in the right panel.
    drawn : int
        Rows whose sensitivity is computed to estimate a total.
    step : int
        Every how many rows of flights are used.
    seed : int
    """

    exponents: tuple[float, ...] = (1.0, 1.5, 4.0)
    dimensions: tuple[int, ...] = (4, 8, 16, 32)
    sizes: int = 9
    trials: int = 8
    rows: int = 1000
    columns: int = 8
    drawn: int = 24
    step: int = 100
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(dimensions=(4, 8, 16, 32, 64), sizes=20, trials=60, rows=4000, drawn=64, step=1)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return the sizes at which given shares of the samples fail, and the total sensitivities of the matrices in the right panel.

    ``needed`` is indexed by exponent, dimension and level. A trial keeps its random numbers at all sizes.
    """
    from joblib import Parallel, delayed

    tasks = [(p, d) for p in parameters.exponents for d in parameters.dimensions]
    names = ("gaussian", "heavy_tailed", "legendre", "one_hot", "two_basis", "flights")
    needed, placed = [], []
    with (
        (progress or Silent()).step("samples and total sensitivities", len(tasks) + len(names)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        for sizes in pool(delayed(_sizes)(p, d, parameters) for p, d in tasks):
            needed.append(sizes)
            step.advance()
        for name in names:
            placed.append(_placed(name, parameters))
            step.advance()
    shape = (len(parameters.exponents), len(parameters.dimensions), len(LEVELS))
    return {
        "p": np.array(parameters.exponents),
        "d": np.array(parameters.dimensions),
        "total": np.array([[_two_basis(p, d)[1].sum() for d in parameters.dimensions] for p in parameters.exponents]),
        "needed": np.reshape(needed, shape),
        "trials": np.array(parameters.trials),
        "names": np.array(names),
        "placed": np.array(placed),
        "shape": np.array([parameters.rows, parameters.columns]),
        "drawn": np.array(parameters.drawn),
        "step": np.array(parameters.step),
    }


def _two_basis(p: float, d: int) -> tuple[FloatArray, FloatArray]:
    """Return the matrix with so many copies that samples hold a small share of its rows, and its exact sensitivities."""
    from algos.lp_embeddings import instances

    made = instances.two_basis(d, max(48, 4 * d), p)
    assert made.sensitivities is not None
    return made.A, made.sensitivities


def _sizes(p: float, d: int, parameters: Parameters) -> FloatArray:
    """Return the sizes at which the share of failing samples passes each level, between the sizes tried on a log scale."""
    from algos.lp_embeddings import inclusion_probabilities, sample_rows
    from algos.lp_embeddings.distortion import Reference, measure

    A, s = _two_basis(p, d)
    table, sizes = Reference.of(A, p), np.geomspace(d, _promise(p, float(s.sum())), parameters.sizes)
    failed = np.zeros(len(sizes))
    for place, size in enumerate(sizes):
        q = inclusion_probabilities(s, size)
        for trial in range(parameters.trials):
            sample = sample_rows(q, seed=1000 * parameters.seed + trial)
            failed[place] += measure(table, A[sample.indices] * sample.scale(p)[:, None], starts=4).lower > EPS
    return first_crossings(sizes, failed / parameters.trials)


def first_crossings(sizes: FloatArray, shares: FloatArray) -> FloatArray:
    """Return where falling shares pass each of LEVELS, interpolated in the logarithm of the size.

    Examples
    --------
    >>> first_crossings(np.array([1.0, 10.0, 100.0]), np.array([1.0, 0.5, 0.0])).round(2)
    array([ 3.16, 10.  , 31.62])
    """
    falling = np.minimum.accumulate(shares)[::-1]  # np.interp wants increasing abscissae
    steps = np.arange(len(falling)) * 1e-9  # ties: the largest size counts
    return np.asarray(np.exp(np.interp(LEVELS, falling + steps, np.log(sizes[::-1]))))


def _placed(name: str, parameters: Parameters) -> tuple[float, float, float, float]:
    """Return rank, estimate and interval of the total sensitivity of a matrix at the large exponent."""
    from algos.lp_embeddings import instances, total_sensitivity

    from ... import data

    if name == "two_basis":
        exact = float(_two_basis(LARGE_P, 16)[1].sum())
        return 16.0, exact, exact, exact
    if name == "flights":
        A = data.load("flights").X[:: parameters.step]
    else:
        A = instances.random_families(parameters.rows, parameters.columns, names=[name], random_state=parameters.seed)[name].A
    found = total_sensitivity(A, LARGE_P, m=parameters.drawn, random_state=parameters.seed)
    return float(A.shape[1]), found.estimate, *found.ci


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    from algos.lp_embeddings.bounds import leading_rows

    slopes = [_slope(np.log(total), np.log(sizes[:, 1])) for total, sizes in zip(arrays["total"], arrays["needed"], strict=True)]
    exponents = [2.0 / p if p <= 2.0 else 2.0 - 2.0 / p for p in arrays["p"]]
    stated = " and ".join(f"{slope:.2f} (theory {e:.3g}) at p = {p:g}" for slope, e, p in zip(slopes, exponents, arrays["p"], strict=True))
    d, estimate = arrays["placed"][:, 0], arrays["placed"][:, 1]
    wins = [
        str(name)
        for name, rank, total in zip(arrays["names"], d, estimate, strict=True)
        if leading_rows(sampler="sensitivity_power", p=LARGE_P, d=rank, S=total) < leading_rows(sampler="lewis", p=LARGE_P, d=rank, S=total)
    ]
    promised = np.array([[_promise(p, total) for total in totals] for p, totals in zip(arrays["p"], arrays["total"], strict=True)])
    room = promised / arrays["needed"][:, :, 1]
    return Description(
        question="How many rows does sensitivity sampling need, and when do its theorems for p > 2 beat Lewis weights?",
        answer=(
            f"On the two-basis matrix the rows for distortion {EPS:g} grow like S to the power {stated}, and the size 2 S^(2/p)/eps^2 or "
            f"2 S^(2-2/p)/eps^2 is {room.min():.1f} to {room.max():.1f} times the median needed; at p = {LARGE_P:g} the sensitivity bound "
            f"is below that of Lewis weights for {len(wins)} of {len(d)} matrices ({', '.join(wins) or 'none'})."
        ),
        data=(
            "Left: two-basis matrices with exact sensitivities. Right: generated matrices of "
            f"{arrays['shape'][0]:,} x {arrays['shape'][1]}, the two-basis matrix at d = 16, and flights (34 columns, "
            + ("all rows)." if int(arrays["step"]) == 1 else f"every {int(arrays['step'])}th row).")
        ),
        sizes=(
            f"Left: {int(arrays['trials'])} samples of each size; dots mark the size at which half of them fail, bands reach from three "
            "quarters to one quarter; distortions are lower bounds found by search. Right: logarithms of S and of the rows to the base d, "
            f"constants left out; bars are intervals of the total sensitivity at level 99.9 % from {int(arrays['drawn'])} rows."
        ),
        alt=(
            "Left: three rising lines of dots in log-log axes, each below a dashed line of the predicted slope. Right: four straight "
            "lines; the horizontal line of Lewis weights at two is crossed by the line of sensitivities at four thirds; markers of real "
            "and generated matrices lie on the latter."
        ),
        numbers={
            "slopes": {f"p={p:g}": slope for p, slope in zip(arrays["p"], slopes, strict=True)},
            "promised_over_median": [float(room.min()), float(room.max())],
            "total_sensitivity": {str(name): float(value) for name, value in zip(arrays["names"], estimate, strict=True)},
            "sensitivity_below_lewis": wins,
        },
    )


def _slope(x: FloatArray, y: FloatArray) -> float:
    return float(np.polyfit(x, y, 1)[0])


def _promise(p: float, total: float) -> float:
    """Return the size that the theorem gives with the frozen constant."""
    from algos.lp_embeddings.bounds import leading_rows

    return CONSTANT * leading_rows(sampler="sensitivity_power", p=p, d=1.0, S=total) / EPS**2


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: sizes against the total sensitivity on the left, the theorems against each other on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    _draw_sizes(left, arrays)
    _draw_theorems(right, arrays)
    return figure


def _draw_sizes(axes: "Axes", arrays: Arrays) -> None:
    """Draw the sizes with their promises."""
    from .. import style

    colors = (style.OURS, style.OURS_TWO, style.OURS_THIRD)
    for row, (p, color, marker) in enumerate(zip(arrays["p"], colors, "os^", strict=False)):
        total, (low, middle, high) = arrays["total"][row], arrays["needed"][row].T
        axes.fill_between(total, low, high, color=color, alpha=style.BAND_ALPHA, linewidth=0)
        axes.plot(total, middle, color=color, marker=marker)
        axes.plot(total, [_promise(p, S) for S in total], color=style.BOUND, linestyle="--", zorder=1)
        if p <= 2.0:  # the curves of small p end among the others, and begin left of them
            style.end_label(axes, total[0], float(middle[0]), f"p = {p:g}", color=color, dx=-8, ha="right")
        else:
            style.end_label(axes, total[-1], float(middle[-1]), f"p = {p:g}", color=color, dx=8)
        power = f"{2 / p if p <= 2.0 else 2 - 2 / p:.3g}"
        at = {"dx": -6, "dy": 5, "ha": "right"} if p == 1.0 else {"dx": 6, "dy": 2}
        style.end_label(axes, total[-1], _promise(p, total[-1]), f"$2S^{{{power}}}/\\varepsilon^2$", color=style.BOUND, **at)
    axes.set(xscale="log", yscale="log", xlabel="total sensitivity S", ylabel=f"rows for distortion {EPS:g}")
    axes.set(xlim=(0.8, 3.5 * arrays["total"].max()), ylim=(4, 4 * _promise(float(arrays["p"][-1]), float(arrays["total"].max()))))
    axes.set_title("Two bases: needed (dots) and promised (dashed)")


LABELS = {"gaussian": (7, -8), "heavy_tailed": (7, -8), "legendre": (7, -8), "one_hot": (7, -9), "two_basis": (-7, 8), "flights": (-7, 9)}


def _draw_theorems(axes: "Axes", arrays: Arrays) -> None:
    """Draw the leading rows of each theorem as powers of d, and the matrices on the line of sensitivity sampling."""
    from .. import style

    p, x = LARGE_P, np.linspace(1.0, LARGE_P / 2.0, 2)
    crossing = p * p / (4.0 * (p - 1.0))
    lines = (
        ("Lewis weights, $d^{p/2}$", np.full(2, p / 2.0), style.PEERS[0], "-", (1.99, 2.0, "left")),
        ("classical, $S\\,d$", 1.0 + x, style.PEERS[1], ":", (1.3, 2.42, "right")),
        ("sensitivities, $S^{2-2/p}$", (2.0 - 2.0 / p) * x, style.BOUND, "--", (1.99, 2.86, "left")),
        ("with leverage, $d^{2/p}S^{2-4/p}$", 2.0 / p + (2.0 - 4.0 / p) * x, style.OURS_THIRD, "-.", (1.99, 2.42, "left")),
    )
    for text, y, color, dash, (at, height, side) in lines:
        axes.plot(x, y, color=color, linestyle=dash)
        if at > 1.5:  # labels of these two stand right of the axes
            style.end_label(axes, x[1], height, text, color=color, ha=side)
        else:
            axes.text(at, height, text, color=color, ha=side)
    axes.axvline(crossing, color=style.EXACT, linewidth=0.6)
    axes.text(crossing, 1.32, f" {crossing:.3g}", color=style.EXACT, fontsize="small")
    for name, (d, estimate, low, high) in zip(arrays["names"], arrays["placed"], strict=True):
        at = np.log([estimate, max(low, d), min(high, d ** (p / 2.0))]) / np.log(d)
        y, (dx, dy) = (2.0 - 2.0 / p) * at[0], LABELS[str(name)]
        axes.plot(at[1:], [y, y], color=style.OURS, linewidth=1.0)
        axes.plot(at[0], y, "o", color=style.OURS)
        side = "right" if dx < 0 else "left"
        style.end_label(axes, at[0], y, str(name).replace("_", " "), color=style.OURS, dx=dx, dy=dy, ha=side, fontsize="small")
    axes.set(xlabel=r"$\log_d S$", ylabel=r"$\log_d$ of the leading rows", xlim=(0.95, p / 2.0), ylim=(1.28, 3.05))
    axes.set_title(f"Theorems for p = {p:g}")
