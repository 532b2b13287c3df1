"""Where the certified excess error comes from: the method's constants, the gradient, label noise, moments of few rows, the cone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Slack budget of a certificate"
TOPIC = "certificates"
DATA: tuple[str, ...] = ()
PARTS = ("constants", "gradient", "noise", "moments", "cone")
NAMES = (
    "angle: constants",
    "angle: gradient",
    "angle: label noise",
    "angle: moments of few rows",
    "disagreement beyond\nangle / π",
)

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows : tuple of int
        Rows that certify; as many learn.
    columns : int
        At least 5: in fewer dimensions quadratic minorants are better than the quartic ones whose constants are the first part.
    eta : float
        Flip probability.
    tables : int
        Tables of each size.
    seed : int
    """

    rows: tuple[int, ...] = (20_000, 40_000, 80_000, 160_000)
    columns: int = 5
    eta: float = 0.2
    tables: int = 4
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=(100_000, 200_000, 400_000, 1_000_000), columns=10)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return the certified excess after each part of the slack (in the order of `PARTS`) by size and table, and the true excess.

    NaN for tables on which no angle is excluded.
    """
    from joblib import Parallel, delayed

    shape = (len(parameters.rows), parameters.tables)
    steps, true = np.empty((*shape, len(PARTS))), np.empty(shape)
    with (
        (progress or Silent()).step("certificates", int(np.prod(shape))) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        for place, (found, excess) in zip(
            np.ndindex(shape), pool(delayed(_certified)(parameters, a, b) for a, b in np.ndindex(shape)), strict=True
        ):
            steps[place], true[place] = found, excess
            step.advance()
    return {
        "rows": np.array(parameters.rows),
        "steps": steps,
        "true": true,
        "columns": np.array(parameters.columns),
        "eta": np.array(parameters.eta),
    }


def _certified(parameters: Parameters, size: int, table: int) -> tuple[FloatArray, float]:
    """Return the excess certified after each part, and the true one."""
    from algos.testable_halfspaces import TestableHalfspace, make_halfspace

    n, eta = parameters.rows[size], parameters.eta
    rng = np.random.default_rng([parameters.seed, size, table])
    made = make_halfspace(2 * n, parameters.columns, noise="rcn", rate=eta, random_state=rng)
    options: dict[str, Any] = {"fit_intercept": False, "marginal": None, "on_reject": "ignore", "random_state": parameters.seed}
    model = TestableHalfspace("massart", eta=eta, **options).fit(made.X, made.y)
    certificate = model.certificate_
    if not math.isfinite(certificate.tau):
        return np.full(len(PARTS), math.nan), made.excess_error(model.coef_[0])
    steps = budget(certificate.tau, certificate.sigma, certificate.gradient, certificate.deviation, 1.0 - 2.0 * eta)
    return np.r_[steps, certificate.eps_hat], made.excess_error(model.coef_[0])


def budget(tau: float, sigma: float, gradient: float, deviation: float, advantage: float) -> FloatArray:
    r"""Return what angles mean for Gaussian rows: with nothing, the gradient, and the noise to exceed, and at the certified angle.

    Each angle is excluded by Gaussian constants, but for the last one; halfspaces at an angle theta differ on a share theta / pi.

    Parameters
    ----------
    tau, sigma : float
        Tangent of the certified angle, and width of the band.
    gradient, deviation : float
        What the push has to exceed at that angle.
    advantage : float
        1 - 2 eta.

    Examples
    --------
    >>> from algos.testable_halfspaces.bounds import gaussian_excluded_angle
    >>> tau = gaussian_excluded_angle(advantage=0.6, slack=0.03) * 0.1  # rows whose moments are the Gaussian's exactly
    >>> parts = budget(tau, 0.1, 0.02, 0.01, 0.6)
    >>> bool(parts[0] < parts[1] < parts[2]), bool(np.isclose(parts[2], parts[3]))
    (True, True)
    """
    from algos.testable_halfspaces.bounds import gaussian_excluded_angle

    tangents = [sigma * gaussian_excluded_angle(advantage=advantage, slack=slack) for slack in (0.0, gradient, gradient + deviation)]
    return np.arctan([*tangents, tau]) / math.pi


def shares(arrays: Arrays) -> FloatArray:
    """Return each part's increase as a share of the certified excess, medians over tables made to sum to one; by size and part."""
    increases = np.diff(arrays["steps"], axis=2, prepend=0.0) / arrays["steps"][..., -1:]
    middle = np.nanmedian(increases, axis=1)
    return np.asarray(middle / middle.sum(axis=1, keepdims=True))


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    parts, rows = shares(arrays), arrays["rows"]
    certified, true = np.nanmedian(arrays["steps"][..., -1], axis=1), np.median(arrays["true"], axis=1)
    largest = int(np.argmax(parts[-1]))
    least = int(np.argmax(parts[0]))
    return Description(
        question="What would make a certificate smaller: more rows, a better halfspace, or a better method?",
        answer=(
            f"With {rows[0]:,} certifying rows {100 * parts[0, least]:.0f} % of the certified excess of {100 * certified[0]:.2g} % is "
            f"{_plain(least)}; with {rows[-1]:,} rows it is {100 * certified[-1]:.2g} % ({certified[-1] / true[-1]:.3g} times the true "
            f"excess), of which {100 * parts[-1, largest]:.0f} % is {_plain(largest)}."
        ),
        data=f"Generated Gaussian rows, d = {int(arrays['columns'])}, every label flipped with probability {float(arrays['eta']):g}.",
        sizes=(
            f"{arrays['true'].shape[1]} tables of each size, as many rows learn as certify, delta = 0.05. Left: medians of shares, scaled "
            "to sum to 100 %. Right: medians, bands the 5-95 % range. Parts are added in the order of the names: angle / pi for the "
            "angle that Gaussian constants exclude at the chosen width; with the measured gradient to exceed; with noise as well; for the "
            "angle really certified; and the certified excess, which bounds the disagreement by polynomials."
        ),
        alt=(
            "Left: stacked bars to 100 %, one for each number of rows, with five parts. Right: the certified excess falls with the "
            "rows, two orders of magnitude above the true excess."
        ),
        numbers={
            "shares": {f"n={n}": dict(zip(PARTS, row.tolist(), strict=True)) for n, row in zip(rows, parts, strict=True)},
            "certified": certified.tolist(),
            "true": true.tolist(),
        },
    )


def _plain(part: int) -> str:
    """Return what a part is due to, for a sentence."""
    return ("due to the constants of the excluded angle", "due to the gradient", "due to noise in the labels",
            "due to fourth moments of few rows", "due to the bound on disagreement")[part]  # fmt: skip


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: shares on the left, the excess itself on the right."""
    from .. import style
    from ._labels import label_shifts

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    parts, rows = shares(arrays), arrays["rows"]
    place, bottom = np.arange(len(rows)), np.zeros(len(rows))
    colors = (style.BOUND, style.OURS, style.OURS_TWO, style.OURS_THIRD, style.PEERS[1])
    middles = 100 * (np.cumsum(parts[-1]) - parts[-1] / 2)
    shifts = label_shifts(middles, (0.0, 100.0), linear=True)
    for part, color in enumerate(colors):
        left.bar(place, 100 * parts[:, part], 0.6, bottom=100 * bottom, color=color)
        style.end_label(left, place[-1] + 0.3, float(middles[part]), NAMES[part], color=color, dy=shifts[part])
        for x, low, share in zip(place, bottom, parts[:, part], strict=True):
            if share >= 0.04:
                left.text(x, 100 * (low + share / 2), f"{100 * share:.0f}", color="white", ha="center", va="center")
        bottom = bottom + parts[:, part]
    left.set_xticks(place, [f"{n:,}" for n in rows])
    left.set(xlabel="certifying rows", ylabel="share of the certified excess (%)", ylim=(0, 100), xlim=(-0.5, len(rows) + 1.3))
    certified = arrays["steps"][..., -1]
    style.median_band(right, rows, certified, color=style.OURS)
    style.median_band(right, rows, arrays["true"], color=style.EXACT, linewidth=0.8)
    style.end_label(right, rows[-1], float(np.nanmedian(certified[-1])), "certified", color=style.OURS)
    style.end_label(right, rows[-1], float(np.median(arrays["true"][-1])), "true", color=style.EXACT)
    right.set(xscale="log", yscale="log", xlabel="certifying rows", ylabel="excess error", xlim=(0.8 * rows[0], 6.0 * rows[-1]))
    right.set_xticks(rows[[0, -1]], [f"{n:,}" for n in rows[[0, -1]]])
    right.tick_params(axis="x", which="minor", labelbottom=False)
    return figure
