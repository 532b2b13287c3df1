"""Error of the ramp path over the certified lower bound on the optimum, beside the limit of that ratio for Gaussian rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "What an agnostic certificate is worth"
TOPIC = "certificates"
DATA: tuple[str, ...] = ()

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    shapes : tuple of (int, int)
        Rows and columns of the tables; one curve each.
    rates : tuple of float
        Shares of flipped labels.
    tables : int
        Tables for each shape and rate.
    seed : int
    """

    shapes: tuple[tuple[int, int], ...] = ((10_000, 2), (30_000, 5))
    rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.2, 0.3)
    tables: int = 3
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(shapes=((100_000, 2), (100_000, 5), (100_000, 10), (1_000_000, 5)), rates=(0.01, 0.03, 0.1, 0.2, 0.3), tables=3)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return shares of mistakes and certified lower bounds by shape, rate and table, and the limit of their ratio for Gaussian rows."""
    from joblib import Parallel, delayed

    from algos.testable_halfspaces.bounds import gaussian_agnostic_factor

    shape = (len(parameters.shapes), len(parameters.rates), parameters.tables)
    error, lower, planted = (np.empty(shape) for _ in range(3))
    with (
        (progress or Silent()).step("certificates", int(np.prod(shape))) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        cells = pool(delayed(_certified)(parameters, a, b, c) for a, b, c in np.ndindex(shape))
        for place, cell in zip(np.ndindex(shape), cells, strict=True):
            error[place], lower[place], planted[place] = cell
            step.advance()
    return {
        "shapes": np.array(parameters.shapes),
        "rates": np.array(parameters.rates),
        "error": error,
        "lower": lower,
        "planted": planted,
        "limit": np.array(gaussian_agnostic_factor()),
    }


def _certified(parameters: Parameters, shape: int, rate: int, table: int) -> tuple[float, float, float]:
    """Return the learner's share of mistakes on one table, the certified share that no halfspace falls short of, and the planted one's."""
    from algos.testable_halfspaces import certify, make_halfspace, ramp_path

    n, d = parameters.shapes[shape]
    rng = np.random.default_rng([parameters.seed, shape, rate, table])
    made = make_halfspace(n, d, noise="rcn", rate=parameters.rates[rate], random_state=rng)
    certificate = certify(made.X, made.y, ramp_path(made.X, made.y, random_state=rng).best.w)
    return certificate.mistakes / n, certificate.o_low, made.n_mistakes / n


def ratios(arrays: Arrays) -> FloatArray:
    """Return error over lower bound; infinite where nothing is certified."""
    lower = arrays["lower"]
    return np.asarray(np.divide(arrays["error"], lower, out=np.full(lower.shape, np.inf), where=lower > 0.0))


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    ratio = np.median(ratios(arrays), axis=2)
    names = [f"d = {d}, n = {n:,}" for n, d in arrays["shapes"]]
    least = ", ".join(
        f"{row.min():.3g} with {name}" if np.isfinite(row).any() else f"nothing with {name}" for row, name in zip(ratio, names, strict=True)
    )
    vacuous = int(np.count_nonzero(np.isinf(ratios(arrays))))
    contradicted = int(np.count_nonzero(arrays["lower"] > arrays["planted"]))
    return Description(
        question="By what factor does an assumption-free certificate fall short of the error that it explains?",
        answer=(
            f"The smallest median ratio of error to certified optimum is {least}; as the optimum tends to 0 the method for d > 2 reaches "
            f"{float(arrays['limit']):.1f}. Nothing is certified on {vacuous} of {arrays['lower'].size} tables, and {contradicted} "
            "certificates exceed the planted halfspace's mistakes."
        ),
        data="Generated Gaussian rows; each label flipped with the probability given, which the certificate does not know.",
        sizes=(
            f"{arrays['lower'].shape[2]} tables for each shape and rate; lines are medians, bands the 5-95 % range; crosses at the upper "
            "edge mark rates at which the median table certifies nothing. Dashed: Gaussian rows, no end of them, optimum tending to 0, "
            "quartic minorant; in the plane a sharper minorant holds."
        ),
        alt=(
            "Ratio of error to certified optimum against the flip probability, log-log. The curve of the plane lies near ten, below the "
            "dashed line at 39.4; those of higher dimension lie above it, nearer for more rows."
        ),
        numbers={
            "median_ratio": {
                name: [None if np.isinf(value) else float(value) for value in row] for name, row in zip(names, ratio, strict=True)
            },
            "limit": float(arrays["limit"]),
            "vacuous": vacuous,
            "contradicted": contradicted,
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: ratio against the flip probability."""
    from .. import style
    from ._labels import label_shifts

    figure = style.new_figure()
    axes = figure.subplots()
    colors, markers = (style.OURS, style.OURS_TWO, style.OURS_THIRD, style.OURS), "os^D"
    rates, ratio = arrays["rates"], ratios(arrays)
    top = 2.0 * float(np.max(ratio[np.isfinite(ratio)], initial=100.0))
    ends = [row[np.isfinite(row)][-1] if np.isfinite(row).any() else np.nan for row in np.median(ratio, axis=2)]
    shifts = label_shifts(ends, (1.0, top))
    for place, (n, d) in enumerate(arrays["shapes"]):
        middle = np.median(ratio[place], axis=1)
        known = np.isfinite(middle)
        color, marker = colors[place], markers[place]
        full = np.where(np.isfinite(ratio[place]), ratio[place], top)
        style.median_band(axes, rates[known], full[known], color=color, marker=marker, linestyle="-" if place < 3 else ":")
        if not known.all():  # an empty unclipped line would upset the layout
            beside = rates[~known] * 1.06 ** (place - 1)
            axes.plot(beside, np.full(beside.size, top), color=color, marker="x", linestyle="none", markersize=6, clip_on=False)
        if known.any():
            style.end_label(axes, rates[known][-1], float(middle[known][-1]), f"d = {d}, n = {n:,}", color=color, dy=shifts[place])
    limit = float(arrays["limit"])
    axes.plot(rates[[0, -1]], [limit, limit], color=style.BOUND, linestyle="--")
    style.end_label(axes, rates[0], limit, f"Gaussian limit, {limit:.1f}", color=style.BOUND, dx=0, dy=-8)
    if np.isinf(np.median(ratio, axis=2)).any():
        axes.text(2.8 * rates[-1], top, "× nothing certified", color=style.EXACT, va="center", ha="right")
    axes.set(xscale="log", yscale="log", xlabel="flip probability", ylabel="error / certified lower bound on the optimum", ylim=(1.0, top))
    axes.set_xlim(0.85 * rates[0], 2.9 * rates[-1])  # names stand inside
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ticks = [tick for tick in (1, 3, 10, 30, 100, 300, 1000) if tick <= top]
    axes.set_yticks(ticks, [f"{tick}" for tick in ticks])
    axes.minorticks_off()
    return figure
