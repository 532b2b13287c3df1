"""A marginal with the moments of the Gaussian up to degree seven and an empty band: descent stops there, moment tests pass."""

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

TITLE = "Anatomy of a hard instance"
TOPIC = "band_test"
DATA: tuple[str, ...] = ()
REACH = 3.2  # margins drawn
DEGREES = 8  # moments compared

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows, columns : int
        Shape of the table.
    sigmas : tuple of float
        Widths of the band whose ramp losses are drawn; the band of the first is shaded.
    angles : int
        Points of each curve.
    simulated : int
        Gaussian tables that calibrate the tests.
    seed : int
    """

    rows: int = 20_000
    columns: int = 5
    sigmas: tuple[float, ...] = (1.0, 0.5, 0.2)
    angles: int = 91
    simulated: int = 79
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=200_000, columns=10, angles=361, simulated=199)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return margins at the first axis with their moments, ramp losses along the circle through the planted halfspace, and the tests."""
    from algos.testable_halfspaces import band_test, certify, gaussian_moment_test, make_halfspace, ramp_loss
    from algos.testable_halfspaces.instances import GAUSS_HERMITE_NODES, GAUSS_HERMITE_WEIGHTS

    with (progress or Silent()).step("losses and tests", len(parameters.sigmas) + 3) as step:
        X, y, planted = make_halfspace(parameters.rows, parameters.columns, marginal="gauss-hermite", random_state=parameters.seed)
        angles = np.linspace(-math.pi / 6, math.pi / 3, parameters.angles)
        circle = np.zeros((parameters.angles, parameters.columns))
        circle[:, 0], circle[:, 1] = np.cos(angles), np.sin(angles)
        losses = []
        for sigma in parameters.sigmas:
            losses.append([ramp_loss(X, y, w, sigma).value for w in circle])
            step.advance()
        axis = np.eye(parameters.columns)[0]
        gradients = [float(np.linalg.norm(ramp_loss(X, y, axis, sigma).gradient)) for sigma in parameters.sigmas]
        moments = gaussian_moment_test(X, n_calibration=parameters.simulated, random_state=parameters.seed)
        step.advance()
        bands = [band_test(X, w, parameters.sigmas[0]) for w in (axis, planted)]
        step.advance()
        vacuous = certify(X, y, axis).vacuous
        step.advance()
    nodes, weights = np.array(GAUSS_HERMITE_NODES), np.array(GAUSS_HERMITE_WEIGHTS)
    return {
        "angles": angles,
        "sigmas": np.array(parameters.sigmas),
        "loss": np.array(losses),
        "error": np.array([np.mean((X @ w >= 0.0) != (y > 0.0)) for w in circle]),
        "axis_error": np.array(np.mean((X[:, 0] >= 0.0) != (y > 0.0))),
        "gradient": np.array(gradients),
        "nodes": np.r_[-nodes[::-1], nodes],
        "weights": np.r_[weights[::-1], weights],
        "share": np.array([np.mean(np.isclose(X[:, 0], node)) for node in np.r_[-nodes[::-1], nodes]]),
        "moments": np.array([2.0 * float(weights @ nodes**degree) if degree % 2 == 0 else 0.0 for degree in range(DEGREES + 1)]),
        "test_names": np.array([test.name for test in moments]),
        "test_passed": np.array([test.passed for test in moments]),
        "band_passed": np.array([[test.passed for test in tests] for tests in bands]),
        "band_p": np.array([tests[1].p_value for tests in bands]),
        "vacuous": np.array(vacuous),
        "shape": np.array([parameters.rows, parameters.columns]),
    }


def gaussian_moment(degree: int) -> int:
    """Return the moment of N(0, 1): (degree - 1)!! for an even degree.

    Examples
    --------
    >>> [gaussian_moment(degree) for degree in (2, 3, 4, 8)]
    [1, 0, 3, 105]
    """
    return 0 if degree % 2 else math.prod(range(degree - 1, 0, -2))


def matched_degree(moments: FloatArray) -> int:
    """Return up to which degree the moments are the Gaussian's.

    Examples
    --------
    >>> matched_degree(np.array([1.0, 0.0, 1.0, 0.0, 2.9]))
    3
    """
    same = [abs(moment - gaussian_moment(degree)) <= 1e-9 * (1 + abs(moment)) for degree, moment in enumerate(moments)]
    return same.index(False) - 1 if False in same else len(moments) - 1


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    n, d = (int(value) for value in arrays["shape"])
    passed, tests = int(arrays["test_passed"].sum()), len(arrays["test_passed"])
    failed = int(np.count_nonzero(~arrays["band_passed"][0]))
    degree = matched_degree(arrays["moments"])
    p = f"= {arrays['band_p'][0]:.2g}" if arrays["band_p"][0] > 0.0 else "below 1e-300"
    certified = "nothing" if arrays["vacuous"] else "something"
    return Description(
        question="Can a marginal with Gaussian moments hide a bad stationary point from moment tests?",
        answer=(
            f"Yes: at e1 the gradient is {arrays['gradient'].max():.3g} for every width shown while the error is "
            f"{100 * float(arrays['axis_error']):.3g} % and the optimum 0; {passed} of {tests} moment tests pass, since moments agree up "
            f"to degree {degree}, but {failed} of {arrays['band_passed'].shape[1]} band tests fail there (mass: p {p}), and {certified} "
            "is certified."
        ),
        data=(
            "Generated: first coordinate on the four nodes of the Gauss-Hermite rule, the others Gaussian; labels of "
            "w* = (e1 + e2) / sqrt 2, none flipped."
        ),
        sizes=(
            f"One table of {n:,} x {d}; moment tests calibrated at level 0.05, band tests at sigma = {arrays['sigmas'][0]:g}. Left: bars "
            "are shares of the rows, the curve is the Gaussian density (bars and curve have units of their own), the shaded band holds "
            "no row. Right: halfspaces with normal cos(a) e1 + sin(a) e2."
        ),
        alt=(
            "Left: four bars at plus and minus 0.74 and 2.33 beside a bell curve; the shaded band around 0 is empty. Right: ramp losses "
            "against the angle of the normal, with a flat stretch around e1 and a minimum of 0 at the planted halfspace."
        ),
        numbers={
            "error_at_axis": float(arrays["axis_error"]),
            "largest_gradient": float(arrays["gradient"].max()),
            "matched_degree": degree,
            "moment_tests_passed": [passed, tests],
            "band_tests_failed_at_axis": failed,
            "band_tests_failed_at_planted": int(np.count_nonzero(~arrays["band_passed"][1])),
            "band_p_at_axis": float(arrays["band_p"][0]),
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: the margins at the first axis on the left, losses along the circle on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    _draw_margins(left, arrays)
    _draw_losses(right, arrays)
    return figure


def _draw_margins(axes: "Axes", arrays: Arrays) -> None:
    """Draw the nodes beside the Gaussian density, with the empty band."""
    from .. import style

    sigma = float(arrays["sigmas"][0])
    axes.axvspan(-sigma / 2, sigma / 2, color=style.OURS, alpha=style.BAND_ALPHA, linewidth=0)
    axes.text(0.0, 0.52, f"band, σ = {sigma:g}:\nno row", color=style.OURS, ha="center", va="top")
    axes.bar(arrays["nodes"], arrays["share"], width=0.14, color=style.PEERS[0])
    x = np.linspace(-REACH, REACH, 201)
    axes.plot(x, np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi), color=style.EXACT, linewidth=0.8)
    style.end_label(axes, 1.2, float(np.exp(-0.72) / math.sqrt(2.0 * math.pi)), "Gaussian density", color=style.EXACT)
    for node, weight in zip(arrays["nodes"][2:], arrays["weights"][2:], strict=True):
        axes.annotate(f"{node:.3f}:\n{100 * weight:.3g} %", (node, weight), xytext=(5, 0), textcoords="offset points", va="bottom")
    axes.set(xlabel="margin at e1", ylabel="share of the rows; density", xlim=(-REACH, REACH), ylim=(0.0, 0.56))
    axes.set_title(f"Moments agree up to degree {matched_degree(arrays['moments'])}")


def _draw_losses(axes: "Axes", arrays: Arrays) -> None:
    """Draw the losses and the error, and mark the stationary point and the planted halfspace."""
    from .. import style

    degrees, colors = np.degrees(arrays["angles"]), (style.OURS, style.OURS_TWO, style.OURS_THIRD)
    for sigma, loss, color, dash in zip(arrays["sigmas"], arrays["loss"], colors, ("-", "--", "-."), strict=False):
        axes.plot(degrees, loss, color=color, linestyle=dash, label=f"ramp loss, σ = {sigma:g}")
    axes.plot(degrees, arrays["error"], color=style.EXACT, linewidth=0.8, label="share of mistakes")
    at = float(arrays["axis_error"])
    axes.plot(0.0, at, "o", color=style.EXACT)
    axes.annotate(
        f"e1: gradient {arrays['gradient'].max():.3g}\nfor every σ", (0.0, at), xytext=(4, 30), textcoords="offset points", ha="left",
        arrowprops={"arrowstyle": "-", "color": style.EXACT, "lw": 0.6, "shrinkB": 4},
    )  # fmt: skip
    axes.axvline(45.0, color=style.EXACT, linewidth=0.6, linestyle=":")
    axes.text(46.0, 0.985, "w*: no\nmistake", va="top", transform=axes.get_xaxis_transform())
    axes.set(
        xlabel="angle of the normal from e1 (degrees)",
        ylabel="ramp loss, share of mistakes",
        ylim=(0.0, None),
        xlim=(degrees[0], degrees[-1]),
    )
    axes.set_xticks([-30, -15, 0, 15, 30, 45, 60])
    axes.legend(loc="lower left")
