"""Angle and gradient that single-row descent of the ramp loss reaches against the number of steps, beside the bound."""

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

TITLE = "Convergence of single-row descent"
TOPIC = "ramp_learner"
DATA: tuple[str, ...] = ()
NODES = 200  # of the quadrature over the band: far beyond what the eye resolves

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    sigmas : tuple of float
        Widths of the band; one curve each.
    steps : tuple of int
        Numbers of steps; every run is one pass over so many rows.
    columns : int
    eta : float
        Flip probability.
    runs : int
        Runs of each length and width.
    seed : int
    """

    sigmas: tuple[float, ...] = (1.0, 0.5, 0.2)
    steps: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000)
    columns: int = 10
    eta: float = 0.2
    runs: int = 8
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(steps=(1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000), runs=16)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return angles to the planted halfspace and lengths of the population's gradient by width, number of steps and run; and the bound."""
    from joblib import Parallel, delayed

    from algos.testable_halfspaces import bounds

    shape = (len(parameters.sigmas), len(parameters.steps), parameters.runs)
    angles = np.empty(shape)
    with (
        (progress or Silent()).step("descents", int(np.prod(shape))) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        for place, angle in zip(np.ndindex(shape), pool(delayed(_run)(parameters, a, b, c) for a, b, c in np.ndindex(shape)), strict=True):
            angles[place] = angle
            step.advance()
    limits = [
        [
            bounds.descent_gradient_bound(
                lipschitz=bounds.gradient_lipschitz(sigma=sigma),
                variance=bounds.gradient_variance(sigma=sigma, n_features=parameters.columns),
                steps=steps,
            )
            for steps in parameters.steps
        ]
        for sigma in parameters.sigmas
    ]
    return {
        "sigmas": np.array(parameters.sigmas),
        "steps": np.array(parameters.steps),
        "angle": angles,
        "gradient": np.array([gradient_length(a, sigma, parameters.eta) for a, sigma in zip(angles, parameters.sigmas, strict=True)]),
        "bound": np.sqrt(limits),
        "columns": np.array(parameters.columns),
        "eta": np.array(parameters.eta),
    }


def _run(parameters: Parameters, width: int, length: int, run: int) -> float:
    """Return the angle that one pass over fresh rows reaches from a random start."""
    from algos.testable_halfspaces import make_halfspace, ramp_path

    rng = np.random.default_rng([parameters.seed, width, length, run])
    X, y, w = make_halfspace(parameters.steps[length], parameters.columns, noise="rcn", rate=parameters.eta, random_state=rng)
    sigma = parameters.sigmas[width]
    (found,) = ramp_path(X, y, sigmas=[sigma], starts=("random",), n_restarts=1, solver="psgd", random_state=rng)
    return 2.0 * math.atan2(float(np.linalg.norm(found.w - w)), float(np.linalg.norm(found.w + w)))


def gradient_length(angle: FloatArray, sigma: float, eta: float) -> FloatArray:
    r"""Return the length of the population's gradient at an angle to the planted halfspace, for Gaussian rows and flips of one probability.

    The label's mean is :math:`(1-2\eta)` times the planted sign, whose correlation with the tilted coordinate at margin t is
    :math:`2\varphi(t\cot\theta)`; hence :math:`(1-2\eta)\int\psi_\sigma(t)\,\varphi(t)\,2\varphi(t\cot\theta)\,dt`.

    Parameters
    ----------
    angle : ndarray
        Angles in [0, pi].
    sigma : float
        Width of the band.
    eta : float
        Flip probability.

    Examples
    --------
    >>> round(float(gradient_length(np.array([np.pi / 2]), 1e-3, 0.0)[0]), 4)  # 2 phi(0)^2
    0.3183
    """
    from algos.testable_halfspaces.bounds import HALF_WIDTH, ramp_density

    x, weights = np.polynomial.legendre.leggauss(NODES)
    # The correlation lives on margins of about tan(angle): nodes are spread within the smaller of that range and the band.
    theta = np.clip(np.asarray(angle, dtype=np.float64), 1e-12, np.pi - 1e-12)[..., None]
    reach = np.minimum(HALF_WIDTH * sigma, 9.0 * np.abs(np.tan(theta)))
    t = 0.5 * reach * (x + 1.0)
    density = np.exp(-0.5 * t * t * (1.0 + 1.0 / np.tan(theta) ** 2)) / np.pi
    return np.asarray((1.0 - 2.0 * eta) * np.sum(reach * weights * ramp_density(margin=t, sigma=sigma) * density, axis=-1))


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    steps = arrays["steps"]
    mean_square = np.sqrt(np.mean(arrays["gradient"] ** 2, axis=2))
    room = arrays["bound"] / mean_square
    angle = np.median(arrays["angle"], axis=2)
    slopes = [float(np.polyfit(np.log(steps[-3:]), np.log(row[-3:]), 1)[0]) for row in angle]
    reached = ", ".join(f"{value:.2g} rad at sigma = {sigma:g}" for value, sigma in zip(angle[:, -1], arrays["sigmas"], strict=True))
    return Description(
        question="How fast does descent by single rows find the planted halfspace, and what is promised?",
        answer=(
            f"After {steps[-1]:,} steps the median angle is {reached}; over the last three lengths it falls like T to the power "
            f"{', '.join(f'{slope:.2g}' for slope in slopes)}, and the bound on the gradient, which falls like T^(-1/4), is "
            f"{room.min():.2g} to {room.max():.3g} times the root mean square."
        ),
        data=f"Generated Gaussian rows, d = {int(arrays['columns'])}, every label flipped with probability {float(arrays['eta']):g}.",
        sizes=(
            f"{arrays['angle'].shape[2]} runs of each length, each one pass over fresh rows from a random start; of 33 iterates in the "
            "second half the one with the smallest gradient over the rows counts. Lines are medians, bands the 5-95 % range. Gradients are "
            "those of the population, computed from the angle; the bound is on their root mean square."
        ),
        alt=(
            "Left: the angle to the planted halfspace falls with the steps along nearly straight lines in log-log axes. Right: the "
            "gradient falls likewise, below three dashed lines of a smaller slope."
        ),
        numbers={
            "angle": {f"sigma={sigma:g}": row.tolist() for sigma, row in zip(arrays["sigmas"], angle, strict=True)},
            "slopes_of_angle": slopes,
            "bound_over_measured": [float(room.min()), float(room.max())],
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: angles on the left, gradients with their bounds on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    _draw_curves(left, arrays, "angle")
    _draw_curves(right, arrays, "gradient")
    left.set_ylabel("angle to the planted halfspace (rad)")
    right.set_ylabel("length of the gradient")
    ends = arrays["steps"][[-3, -1]].astype(float)
    low = 0.4 * np.median(arrays["angle"], axis=2).min(axis=0)[-3]
    left.plot(ends, low * (ends / ends[0]) ** -0.25, color=style.EXACT, linewidth=0.8)
    style.end_label(left, ends[0], float(low), "slope −1/4", color=style.EXACT, dx=-4, ha="right")
    for sigma, bound in zip(arrays["sigmas"], arrays["bound"], strict=True):
        right.plot(arrays["steps"], bound, color=style.BOUND, linestyle="--")
        style.end_label(right, arrays["steps"][-1], bound[-1], f"bound, σ = {sigma:g}", color=style.BOUND)
    right.set_xlim(right=4.5 * arrays["steps"][-1])
    left.set_xlim(right=3 * arrays["steps"][-1])
    return figure


def _draw_curves(axes: "Axes", arrays: Arrays, name: str) -> None:
    """Draw one curve per width, named at its end."""
    from .. import style
    from ._labels import label_shifts

    axes.set(xscale="log", yscale="log", xlabel="steps T")
    colors = (style.OURS, style.OURS_TWO, style.OURS_THIRD)
    ends = np.median(arrays[name][:, -1], axis=1)
    shifts = label_shifts(ends, (ends.min() / 2.0, 2.0 * np.max(arrays[name])))
    for sigma, values, color, marker, shift in zip(arrays["sigmas"], arrays[name], colors, "os^", shifts, strict=False):
        style.median_band(axes, arrays["steps"], values, color=color, marker=marker)
        style.end_label(axes, arrays["steps"][-1], float(np.median(values[-1])), f"σ = {sigma:g}", color=color, dy=shift)
