"""Convergence of the Lewis iteration, measured against the rates that the theory states."""

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

TITLE = "Convergence of the Lewis iteration"
TOPIC = "lewis_weights"
DATA: tuple[str, ...] = ()
METHODS = ("classical", "relaxed", "package")

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


DIVERGED = 300.0  # exp of more leaves the range of float64 as soon as two weights are multiplied
ROUNDING = 1e-11  # residuals below are rounding of scores that are near 0.01
TARGET = 1e-3  # default tolerance of lewis_weights
NEAR = 1e-4  # size of the perturbation from which the local rate is measured; its mean is not zero, so that a common factor is in it


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows, columns : int
        Shape of each Gaussian matrix.
    exponents : tuple of float
        Exponents p of the left panel.
    shown : tuple of float
        Exponents whose residuals the right panel shows.
    matrices : int
        Repeats.
    iterations : int
        Iterations of the right panel.
    window : tuple of int
        First and last iteration of the local measurement: the faster modes have died out, rounding is not reached.
    seed : int
    """

    rows: int = 400
    columns: int = 8
    exponents: tuple[float, ...] = (1.0, 1.25, 1.5, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0)
    shown: tuple[float, ...] = (1.0, 6.0)
    matrices: int = 5
    iterations: int = 24
    window: tuple[int, int] = (4, 10)
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=4000, columns=20, shown=(1.0, 6.0), matrices=20)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return contraction factors near the weights, and residuals from far away, of the classical, relaxed and accelerated iteration."""
    from joblib import Parallel, delayed

    from algos.lp_embeddings.bounds import lewis_contraction, relaxed_rate

    exponents, shown = np.array(parameters.exponents), np.array(parameters.shown)
    factors = np.empty((2, exponents.size, parameters.matrices))
    residuals = np.empty((3, shown.size, parameters.matrices, parameters.iterations))
    local = [(row, repeat) for row in range(exponents.size) for repeat in range(parameters.matrices)]
    far = [(row, repeat) for row in range(shown.size) for repeat in range(parameters.matrices)]
    with (
        (progress or Silent()).step("Lewis iterations", len(local) + len(far)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        for (row, repeat), pair in zip(
            local, pool(delayed(_local_factors)(parameters, exponents[row], repeat) for row, repeat in local), strict=True
        ):
            factors[:, row, repeat] = pair
            step.advance()
        for row, repeat in far:
            residuals[:, row, repeat] = _far_residuals(parameters, shown[row], repeat)
            step.advance()
    smooth = np.linspace(1.0, exponents.max(), 201)
    return {
        "p": exponents,
        "classical_factor": factors[0],
        "relaxed_factor": factors[1],
        "classical_rate": np.array([lewis_contraction(p=p) for p in exponents]),
        "relaxed_rate": np.array([relaxed_rate(p=p) for p in exponents]),
        "smooth_p": smooth,
        "smooth_classical_rate": np.array([lewis_contraction(p=p) for p in smooth]),
        "smooth_relaxed_rate": np.array([relaxed_rate(p=p) for p in smooth]),
        "shown": shown,
        "residuals": residuals,
        "shape": np.array([parameters.rows, parameters.columns]),
        "window": np.array(parameters.window),
    }


def _matrix(parameters: Parameters, repeat: int) -> tuple[FloatArray, np.random.Generator]:
    """Return the Gaussian matrix of one repeat and the generator for what else the repeat needs."""
    rng = np.random.default_rng([parameters.seed, repeat])
    return rng.standard_normal((parameters.rows, parameters.columns)), rng


def _local_factors(parameters: Parameters, p: float, repeat: int) -> tuple[float, float]:
    """Return the contraction factors of the classical and the relaxed iteration near the weights."""
    from algos.lp_embeddings import lewis_weights
    from algos.lp_embeddings.bounds import optimal_relaxation

    A, rng = _matrix(parameters, repeat)
    near = lewis_weights(A, p, tol=1e-12, max_iter=500) * np.exp(NEAR * (1.0 + rng.standard_normal(parameters.rows)))
    steps = parameters.window[1] + 1
    classical, relaxed = (iterate(A, p, theta, near, steps) for theta in (1.0, optimal_relaxation(p=p)))
    return contraction(classical, parameters.window), contraction(relaxed, parameters.window)


def _far_residuals(parameters: Parameters, p: float, repeat: int) -> FloatArray:
    """Return the residuals of the classical, the relaxed and the package's iteration, from equal weights."""
    from sklearn.exceptions import ConvergenceWarning

    from algos.lp_embeddings import lewis_weights
    from algos.lp_embeddings.bounds import optimal_relaxation

    A, _ = _matrix(parameters, repeat)
    equal = np.full(parameters.rows, parameters.columns / parameters.rows)
    series = [iterate(A, p, theta, equal, parameters.iterations) for theta in (1.0, optimal_relaxation(p=p))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early on purpose
        package = np.full(parameters.iterations, np.nan)
        for stop in range(parameters.iterations):
            package[stop] = lewis_weights(A, p, tol=1e-15, max_iter=stop + 1, return_info=True).residual
            if package[stop] <= ROUNDING:
                break
    return np.array([*series, package])


def iterate(A: FloatArray, p: float, theta: float, start: FloatArray, iterations: int) -> FloatArray:
    """Return max |ln(T(v)/v)| before each step of ln v <- (1 - theta) ln v + theta ln T(v); NaN after divergence.

    T(v)_i = v_i^(1-p/2) tau_i^(p/2) with tau the leverage scores of diag(v)^(1/2-1/p) A; its fixed point is the Lewis weights. The common
    factor of all weights is left in: it converges at exactly the worst rate that the theory allows.
    """
    from algos.lp_embeddings import leverage_scores

    residuals, log_v = np.full(iterations, np.nan), np.log(start)
    for iteration in range(iterations):
        scores = leverage_scores(A * np.exp((0.5 - 1.0 / p) * log_v)[:, None])
        move = 0.5 * p * (np.log(scores) - log_v)
        residuals[iteration] = np.abs(move).max()
        log_v = log_v + theta * move
        if not np.abs(log_v).max() < DIVERGED:
            break
    return residuals


def contraction(residuals: FloatArray, window: tuple[int, int]) -> float:
    """Return the geometric mean of the ratios of successive residuals in the window, as far as residuals are above rounding.

    A mean over an even number of ratios, because two modes of opposite sign make single ratios alternate around their common rate.

    Examples
    --------
    >>> contraction(np.array([1.0, 0.4, 0.25, 0.1, 0.0625]), (0, 4))
    0.5
    """
    first, last = window
    usable = np.flatnonzero(residuals > ROUNDING)
    steps = (min(last, int(usable.max(initial=0))) - first) // 2 * 2
    return float((residuals[first + steps] / residuals[first]) ** (1.0 / steps)) if steps > 0 else float("nan")


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    p = arrays["p"]
    off = {
        name: np.nanmax(np.abs(np.nanmedian(arrays[f"{name}_factor"], axis=1) - arrays[f"{name}_rate"]))
        for name in ("classical", "relaxed")
    }
    largest = float(arrays["shown"].max())
    at_largest = np.median(arrays["residuals"][:, int(np.argmax(arrays["shown"]))], axis=1)  # NaN once a run has diverged
    needed = [int(np.argmax(series <= TARGET)) if (series <= TARGET).any() else None for series in at_largest]
    rows, columns = (int(size) for size in arrays["shape"])
    first, last = (int(step) for step in arrays["window"])
    six = int(np.argmin(np.abs(p - 6.0)))
    relaxed, classical = (float(np.nanmedian(arrays[f"{name}_factor"][six])) for name in ("relaxed", "classical"))
    return Description(
        question="How fast does the Lewis iteration converge, and does it keep the rates that the theory states?",
        answer=(
            f"At p = {p[six]:g} each relaxed step shrinks the residual to {relaxed:.2f} of itself, where the classical step multiplies it "
            f"by {classical:.2f} and diverges; over all p the measured medians differ from |p-2|/(p+2) by at most {off['relaxed']:.1g} and "
            f"from |p/2-1| by at most {off['classical']:.1g}."
        ),
        data="Generated: Gaussian matrices; nothing is substituted.",
        sizes=(
            f"{arrays['residuals'].shape[2]} matrices of {rows:,} x {columns}; dots and lines are medians, bars and bands the 5-95 % "
            f"range. Left: geometric mean of the ratios of iterations {first} to {last}, started {NEAR:g} from the weights. Right: from "
            "equal weights."
        ),
        alt=(
            "Left: contraction factor against p; blue dots lie on the curve |p-2|/(p+2), which stays below one, grey squares on |p/2-1|, "
            "which crosses one at p = 4. Right: residual against iteration on a log axis; for the largest p the classical iteration rises, "
            "the relaxed one falls along a straight line and the accelerated one falls fastest."
        ),
        numbers={
            "relaxed_factor_at_6": relaxed,
            "classical_factor_at_6": classical,
            "largest_difference_relaxed": float(off["relaxed"]),
            "largest_difference_classical": float(off["classical"]),
            "iterations_to_1e-3_at_largest_shown_p": dict(zip(METHODS, needed, strict=True)),
            "largest_shown_p": largest,
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: factors against p on the left, residuals against iterations for two exponents on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    axes = figure.subplot_mosaic([["factors", "small"], ["factors", "large"]])
    _draw_factors(axes["factors"], arrays)
    _draw_residuals(axes["small"], arrays, 0)
    _draw_residuals(axes["large"], arrays, 1)
    axes["small"].tick_params(labelbottom=False)
    axes["large"].set_xlabel("iteration, from equal weights")
    return figure


def _draw_factors(axes: "Axes", arrays: Arrays) -> None:
    """Draw measured factors as dots with bars on the two predicted curves."""
    from .. import style

    top, end = 2.1, float(arrays["p"].max())
    axes.axhspan(1.0, top, facecolor="none", edgecolor=style.PREMISE_FAILS, hatch="////", linewidth=0)
    for name, color, marker in (("classical", style.PEERS[0], "s"), ("relaxed", style.OURS, "o")):
        axes.plot(arrays["smooth_p"], arrays[f"smooth_{name}_rate"], color=style.BOUND, linestyle="--", zorder=2)
        low, middle, high = np.nanquantile(arrays[f"{name}_factor"], (0.05, 0.5, 0.95), axis=1)
        axes.errorbar(arrays["p"], middle, (middle - low, high - middle), color=color, marker=marker, linestyle="none", zorder=3)
    axes.set(xlabel="exponent p", ylabel="factor by which a step shrinks the residual", xlim=(0.8, end + 0.2), ylim=(0, top))
    axes.set_yticks([0, 0.5, 1, 1.5, 2])
    style.end_label(axes, 5.5, 1.75, "|p/2 − 1|", color=style.BOUND, dx=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
    style.end_label(axes, end, float(arrays["smooth_relaxed_rate"][-1]), "|p − 2|/(p + 2)", color=style.BOUND, dx=0, dy=-19, ha="right")
    axes.set_title("Near the weights")
    axes.text(3.35, 0.78, "classical step", color=style.PEERS[0], ha="right")
    axes.text(3.4, 0.1, "relaxed step, θ = 4/(p + 2)", color=style.OURS)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(1.0, 1.08, "diverges", color=style.PEERS[0], bbox=white)


def _draw_residuals(axes: "Axes", arrays: Arrays, place: int) -> None:
    """Draw the residuals of the three iterations for one exponent, and the predicted slope of the relaxed one."""
    from .. import style

    p, colors = float(arrays["shown"][place]), (style.PEERS[0], style.OURS, style.OURS_TWO)
    iteration = np.arange(arrays["residuals"].shape[-1])
    for values, color, marker in zip(arrays["residuals"][:, place], colors, "soD", strict=True):
        shown = (np.isfinite(values) & (values > ROUNDING)).all(axis=0)
        style.median_band(axes, iteration[shown], values[:, shown].T, color=color, marker=marker, markersize=2.5)
    medians = np.median(arrays["residuals"][:, place], axis=1)
    steps, rate = np.arange(13, 19), abs(p - 2) / (p + 2)
    predicted = 300 * medians[1, 13] * rate ** (steps - 13)
    axes.plot(steps, predicted, color=style.BOUND, linestyle="--")
    style.end_label(axes, steps[1], predicted[1], f"slope |p − 2|/(p + 2) = {rate:.2g}", color=style.BOUND, dx=6, dy=7)
    for method, at, text, (dx, dy) in LABELS[place]:
        side = "right" if dx < 0 else "left"
        style.end_label(axes, at, medians[method, at], text, color=colors[method], dx=dx, dy=dy, ha=side)
    axes.set(yscale="log", ylim=(1e-10, 1e3), xlim=(0, iteration[-1]), ylabel="residual")
    axes.set_yticks([1e-9, 1e-6, 1e-3, 1, 1e3])
    axes.set_title(f"max |ln(T(v)/v)|, p = {p:g}")


# For the smaller and the larger exponent: method, iteration of its curve that the label is tied to, text, offset in points.
LABELS = (
    ((0, 18, "classical", (4, 7)), (1, 8, "relaxed", (6, 6)), (2, 6, "lewis_weights", (8, -1))),
    ((0, 8, "classical: diverges", (14, -3)), (1, 9, "relaxed", (6, 6)), (2, 11, "lewis_weights", (8, 5))),
)
