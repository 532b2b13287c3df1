"""Error of quantile regressions on sampled flights, and the gap that can be proved, against the rows sampled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent, Step
from .. import Description
from ..style import OURS, OURS_TWO, PEERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Quantile regression of arrival delay from sampled flights"
TOPIC = "quantile_regression"
DATA = ("flights",)
SAMPLERS = ("uniform", "leverage", "lewis")
COLORS = (PEERS[0], OURS, OURS_TWO)
TOL = 1e-9  # gap that the certified regressions are asked to prove
TOP = 1.0  # upper end of the excess axis
SIDE_STEP = 1.07  # samplers stand side by side at each size

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    sizes : tuple of int
        Expected rows of the samples that are solved and left at that.
    quantiles : tuple of float
    draws : int
        Samples for each size and sampler.
    certified_sizes : tuple of int
        Expected rows of the samples from which certified regressions start.
    certified_draws : int
        Certified regressions for each of these sizes.
    seed : int
    """

    sizes: tuple[int, ...] = (500, 1000, 2000, 4000)
    quantiles: tuple[float, ...] = (0.5, 0.9)
    draws: int = 5
    certified_sizes: tuple[int, ...] = (4000, 8000)
    certified_draws: int = 1
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(
    sizes=(500, 1000, 2000, 4000, 8000, 16000, 32000), draws=20, certified_sizes=(2000, 4000, 8000, 16000, 32000), certified_draws=5
)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return excess losses and lost ranks of the sampled regressions, and gaps of the certified ones.

    Arrays are indexed by quantile, then sampler (in the order of `SAMPLERS`), size and draw. An excess is relative to the largest lower
    bound that a certified run proved, so it is a proven upper bound on the error, larger than the error by at most the smallest gap.
    """
    from joblib import Parallel

    from algos.lp_embeddings import inclusion_probabilities, leverage_scores, lewis_weights

    from ... import data

    dataset = data.load("flights")
    X, y = dataset.X, dataset.y
    assert y is not None
    scores = (np.ones(X.shape[0]), leverage_scores(X), lewis_weights(X, 1.0))
    probabilities = [[inclusion_probabilities(score, size) for size in parameters.sizes] for score in scores]
    shape = (len(SAMPLERS), len(parameters.sizes), parameters.draws)
    certified_shape = (len(parameters.certified_sizes), parameters.certified_draws)
    tasks = len(parameters.quantiles) * (int(np.prod(shape)) + int(np.prod(certified_shape)))
    excess, lost, gaps, used, bounds = [], [], [], [], []
    with (progress or Silent()).step("regressions", tasks) as step, Parallel(jobs, prefer="threads", return_as="generator") as pool:
        for t in parameters.quantiles:
            fits = [(probabilities[a][b], parameters.seed + c) for a, b, c in np.ndindex(shape)]
            coefs, ranks = zip(*_reported(pool, _fit_sample, [(X, y, t, *fit) for fit in fits], step), strict=True)
            starts = [(size, parameters.seed + c) for size in parameters.certified_sizes for c in range(parameters.certified_draws)]
            runs = np.array(_reported(pool, _certify, [(X, y, t, *start) for start in starts], step))
            bounds.append(runs[:, 1].max())
            excess.append(_losses(X, y, t, np.array(coefs)).reshape(shape) / bounds[-1] - 1.0)
            lost.append(np.reshape(ranks, shape))
            gaps.append(runs[:, 0].reshape(certified_shape))
            used.append(runs[:, 2].reshape(certified_shape))
    return {
        "sizes": np.array(parameters.sizes),
        "quantiles": np.array(parameters.quantiles),
        "samplers": np.array(SAMPLERS),
        "excess": np.array(excess),
        "rank_lost": np.array(lost),
        "certified_sizes": np.array(parameters.certified_sizes),
        "certified_gap": np.array(gaps),
        "certified_rows": np.array(used),
        "lower_bound": np.array(bounds),
        "shape": np.array(X.shape),
    }


def _reported(pool: Any, function: Callable[..., Any], arguments: list[tuple[Any, ...]], step: Step) -> list[Any]:
    """Return the function's values in order, reporting each as it comes."""
    from joblib import delayed

    values = []
    for value in pool(delayed(function)(*each) for each in arguments):
        values.append(value)
        step.advance()
    return values


def _fit_sample(X: FloatArray, y: FloatArray, t: float, q: FloatArray, seed: int) -> tuple[FloatArray, int]:
    """Return the minimiser of the weighted loss of a sample, of minimum norm if it is not unique, and the rank that the sample lost."""
    from algos.common.linalg import whitening
    from algos.lp_embeddings import quantile_interior_point, sample_rows

    indices, weights = sample_rows(q, seed=seed)
    rows = X[indices]
    fit = quantile_interior_point(rows, y[indices], t, weights=weights)
    return fit.coef, X.shape[1] - whitening(rows).rank


def _certify(X: FloatArray, y: FloatArray, t: float, size: int, seed: int) -> tuple[float, float, int]:
    """Return gap, lower bound and rows used of a certified regression that starts from a sample of this size."""
    from algos.lp_embeddings import certified_quantile

    result = certified_quantile(X, y, t, tol=TOL, size=size, random_state=seed)
    return result.gap, result.dual_bound, result.n_rows_used


def _losses(X: FloatArray, y: FloatArray, t: float, coefs: FloatArray) -> FloatArray:
    """Return the loss on all rows for each row of `coefs`, a block of rows at a time."""
    total, block = np.zeros(coefs.shape[0]), 2**12
    for start in range(0, X.shape[0], block):
        residuals = y[start : start + block, None] - X[start : start + block] @ coefs.T
        total += t * residuals.sum(axis=0) - np.minimum(residuals, 0.0).sum(axis=0)  # rho_t(e) = t e - min(e, 0)
    return total


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    sizes, quantiles = arrays["sizes"], arrays["quantiles"]
    rows = int(arrays["shape"][0])
    medians = np.median(arrays["excess"], axis=-1)
    at = int(np.argmin(np.abs(sizes - 2000)))
    leverage = {float(t): float(medians[place, 1, at]) for place, t in enumerate(quantiles)}
    lost = np.any(arrays["rank_lost"] > 0, axis=0)[:, at].sum(axis=-1)
    draws, worst_gap = arrays["excess"].shape[-1], float(arrays["certified_gap"].max())
    used = int(np.median(arrays["certified_rows"]))
    by_quantile = " and ".join(f"{100 * value:.2g} % (t = {t:g})" for t, value in leverage.items())
    starts = ", ".join(f"{size:,}" for size in arrays["certified_sizes"])
    return Description(
        question="How far from the optimum is a quantile regression on sampled flights, and what can be proved about it?",
        answer=(
            f"With {sizes[at]:,} of {rows:,} rows sampled by leverage the loss exceeds the optimum by {by_quantile}, and by about as much "
            f"for uniform sampling, which however loses rank in {lost[0]} of {draws} draws (leverage {lost[1]}, Lewis {lost[2]}); the "
            f"certified regression decides on a median of {used:,} rows and proves a gap of at most {worst_gap:.0e} on all of them."
        ),
        data="All complete flights out of New York City in 2013, arrival delay on 34 columns; nothing is substituted.",
        sizes=(
            f"{draws} draws for each size and sampler; lines are medians, bands the 5-95 % range, marks hollow where a draw lost rank "
            "(its coefficients are those of minimum norm). Excess over the largest proven lower bound. Diamonds: certified runs that "
            f"start from {starts} sampled rows, placed at the distinct rows of their small problems; they also read all rows a few times."
        ),
        alt=(
            "Two panels, median and 0.9-quantile. Three falling lines of slope minus one show excess losses from some ten percent to "
            "below one percent; hollow grey marks and counts show that uniform draws lose rank. Far below, near 1e-12, diamonds show "
            "the proven gaps."
        ),
        numbers={
            "rows_of_answer": int(sizes[at]),
            "median_excess": {
                f"{name}, t={t:g}": float(medians[place, a, at]) for place, t in enumerate(quantiles) for a, name in enumerate(SAMPLERS)
            },
            "draws_that_lost_rank": dict(zip(SAMPLERS, lost.tolist(), strict=True)),
            "draws": draws,
            "largest_proven_gap": worst_gap,
            "median_rows_of_certified_runs": used,
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: a column for each quantile, the sampled regressions above and the certified ones below a broken axis."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    upper, lower = figure.subplots(2, len(arrays["quantiles"]), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1))
    for place, (above, below) in enumerate(zip(upper, lower, strict=True)):
        _draw_sampled(above, arrays, place)
        _draw_certified(below, arrays, place)
        style.broken_axis(above, below)
    upper[0].set_ylabel("loss above the optimum")
    lower[0].set_ylabel("proven gap")
    for color, text, y in zip(COLORS, ("uniform", "leverage scores", "Lewis weights, p = 1"), (0.62, 0.54, 0.46), strict=True):
        upper[0].text(0.62, y, text, color=color, transform=upper[0].transAxes)
    return figure


def _draw_sampled(axes: "Axes", arrays: Arrays, place: int) -> None:
    """Draw the excess of the three samplers side by side, the slope of theory, and how many draws lost rank."""
    from .. import style

    sizes, excess, lost = arrays["sizes"], arrays["excess"][place], arrays["rank_lost"][place] > 0
    for sampler, (color, marker) in enumerate(zip(COLORS, "so^", strict=True)):
        beside = sizes * SIDE_STEP ** (sampler - 1)
        style.median_band(axes, beside, excess[sampler], color=color, marker=marker)
        hollow = lost[sampler].any(axis=1)
        axes.plot(beside[hollow], np.median(excess[sampler][hollow], axis=1), color=color, marker=marker, linestyle="none", mfc="white")
    draws = excess.shape[-1]
    for size, count in zip(sizes, lost[0].sum(axis=1), strict=True):
        axes.text(size / SIDE_STEP, TOP * 0.55, f"{count}", color=COLORS[0], ha="center", va="center", fontsize="small")
    style.end_label(axes, sizes[-1], TOP * 0.55, f"of {draws} uniform draws lost rank", color=COLORS[0], dx=10, fontsize="small")
    ends = np.array([sizes[1], sizes[-1]], dtype=float)
    slope = 2.6 * np.median(excess[1, 1]) * sizes[1] / ends
    axes.plot(ends, slope, color=style.BOUND, linestyle="--")
    style.end_label(axes, ends[1], slope[1], "slope −1", color=style.BOUND)
    axes.set(xscale="log", yscale="log", ylim=(0.5 * arrays["excess"].min(), TOP), xlim=(400, 1.6 * arrays["certified_rows"].max()))
    axes.set_title(f"Quantile t = {arrays['quantiles'][place]:g}")


def _draw_certified(axes: "Axes", arrays: Arrays, place: int) -> None:
    """Draw the proven gaps at the number of rows that had to be decided, and the tolerance asked for."""
    from .. import style

    rows, gap = arrays["certified_rows"][place].ravel(), np.maximum(arrays["certified_gap"][place].ravel(), 1e-15)
    axes.axhline(TOL, color=style.BOUND, linestyle="--")
    style.end_label(axes, 420, TOL, "tolerance asked for", color=style.BOUND, dx=0, dy=6)
    axes.plot(rows, gap, color=style.OURS_THIRD, marker="D", linestyle="none")
    style.end_label(axes, rows.min(), float(np.median(gap)), "certified regression", color=style.OURS_THIRD, dx=-8, ha="right")
    axes.set(xscale="log", yscale="log", ylim=(1e-15, 1e-8), xlabel=f"rows that enter a regression, of {int(arrays['shape'][0]):,}")
    axes.set_yticks([1e-15, 1e-12, 1e-9])
    axes.minorticks_off()
