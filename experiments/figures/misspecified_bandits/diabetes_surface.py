"""A real response surface: how far sparse linear models are from it, and how soon its best action is found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "A real surface: misspecification and search"
TOPIC = "hull_enumeration"
DATA: tuple[str, ...] = ()
MEASURED = (2, 3, 8)  # columns of the surface

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    gammas : tuple of float
        Width parameters of the kernel; the smaller, the nearer to linear.
    sparsities : tuple of int
        Sparsities of the models on the left.
    searched : tuple of int
        Sparsities that the searches on the right assume.
    shown : int
        Place of the surface searched on the right.
    orders : int
        Random searches, each in an own order.
    seed : int
    """

    gammas: tuple[float, ...] = (0.003, 0.01, 0.03)
    sparsities: tuple[int, ...] = (1, 2, 3)
    searched: tuple[int, ...] = (1, 2, 3)
    shown: int = 1
    orders: int = 50
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(sparsities=(1, 2, 3, 4), orders=400)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return misspecifications and supports by surface and sparsity, and distances from the best by search and query, over the range."""
    from joblib import Parallel, delayed

    from algos.misspecified_bandits import HullEnumeration, RandomSearch, make_diabetes_bandit, run

    surfaces = [make_diabetes_bandit(gamma) for gamma in parameters.gammas]
    cells = [(surface, s) for surface in surfaces for s in parameters.sparsities]
    with (
        (progress or Silent()).step("fits", len(cells)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        fits = []
        for fit in pool(delayed(surface.sparse_fit)(s) for surface, s in cells):
            fits.append(fit)
            step.advance()
    ranges = np.array([np.ptp(surface.mean) for surface in surfaces])
    shape = len(surfaces), len(parameters.sparsities)
    on = np.array([[column in fit.support for column in range(surfaces[0].X.shape[1])] for fit in fits])
    shown, K = surfaces[parameters.shown], len(surfaces[0].mean)
    hulls = [run(shown.env(), HullEnumeration(s), budget=None) for s in parameters.searched]
    orders = [
        run(shown.env(), RandomSearch(random_state=order), budget=max(hull.n_pulls for hull in hulls)) for order in range(parameters.orders)
    ]
    found = [[run(surface.env(), HullEnumeration(s), budget=None, batch=K).final for s in parameters.searched] for surface in surfaces]
    longest = max(hull.n_pulls for hull in hulls)
    padded = [np.r_[hull.suboptimality, np.full(longest - hull.n_pulls, np.nan)] for hull in hulls]
    return {
        "gammas": np.array(parameters.gammas),
        "sparsities": np.array(parameters.sparsities),
        "searched": np.array(parameters.searched),
        "shown": np.array(parameters.shown),
        "misspecification": np.array([fit.eps for fit in fits]).reshape(shape) / ranges[:, None],
        "supports": on.reshape(*shape, -1),
        "hulls": np.array(padded) / ranges[parameters.shown],
        "random": np.array([order.suboptimality for order in orders]).T / ranges[parameters.shown],
        "missed": np.array(found) / ranges[:, None],
        "n_actions": np.array(K),
    }


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    shares = arrays["misspecification"]
    at = int(arrays["shown"])
    counts = np.count_nonzero(np.isfinite(arrays["hulls"]), axis=1)
    first = [int(np.argmin(row > 0.0)) + 1 if np.nanmin(row) == 0.0 else 0 for row in arrays["hulls"]]
    searches = ", ".join(
        f"{count} (s = {s}, {'best found at query ' + str(hit) if hit else 'best not found'})"
        for s, count, hit in zip(arrays["searched"], counts, first, strict=True)
    )
    levels = ", ".join(f"{share:.3g} at s = {s}" for s, share in zip(arrays["sparsities"], shares[at], strict=True))
    missed = int(np.count_nonzero(arrays["missed"]))
    blind = float(np.mean(arrays["random"][-1] == 0.0))
    return Description(
        question="How wrong are sparse linear models on a surface from real measurements, and is its best action still found?",
        answer=(
            f"At gamma = {arrays['gammas'][at]:g} the best sparse model misses by {levels} of the range; hulls query {searches} of "
            f"{int(arrays['n_actions'])} actions, and miss the best in {missed} of {arrays['missed'].size} searches over all surfaces; "
            f"{blind:.0%} of random orders have found it after {len(arrays['random'])} queries."
        ),
        data=(
            "scikit-learn's diabetes table, 442 patients and 10 standardised measurements; the reward is a Gaussian-kernel ridge fit of "
            f"the disease progression on columns {', '.join(map(str, MEASURED))}. The surface stands in for an experiment, and is "
            "smoother than raw responses, which sparse models miss by a fifth to two fifths of their range."
        ),
        sizes=(
            "Left: exact, by one linear program for each support, with intercept. Right: hull vertices in the order in which they are "
            f"asked; grey: median and 5-95 % range of {arrays['random'].shape[1]} random orders. Search and surface are ours; the "
            "paper has no experiments."
        ),
        alt=(
            "Left: misspecification as a share of the range falls with sparsity, one line of marks for each surface. Right: the distance "
            "from the best action falls with the queries, faster for hulls than for random search."
        ),
        numbers={
            "misspecification_over_range": {f"gamma={g:g}": row.tolist() for g, row in zip(arrays["gammas"], shares, strict=True)},
            "supports": [[np.flatnonzero(on).tolist() for on in row] for row in arrays["supports"]],
            "queries_of_hulls": counts.tolist(),
            "best_found_at": first,
            "searches_that_miss": missed,
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: misspecification by sparsity on the left, searches on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    colors, markers = (style.OURS, style.OURS_TWO, style.OURS_THIRD), "os^"
    for row, gamma, color, marker in zip(arrays["misspecification"], arrays["gammas"], colors, markers, strict=False):
        few = len(row) < 4  # marks alone: a line would claim a shape
        left.plot(arrays["sparsities"], row, color=color, marker=marker, linestyle="none" if few else "-")
        style.end_label(left, float(arrays["sparsities"][-1]), float(row[-1]), f"γ = {gamma:g}", color=color)
    left.set(xlabel="coefficients s", ylabel="misspecification / range", xticks=arrays["sparsities"], ylim=(-0.005, 0.4))
    left.set_xlim(0.8, arrays["sparsities"][-1] + 0.7)
    queries = np.arange(1, len(arrays["random"]) + 1)
    style.median_band(right, queries, arrays["random"], color=style.PEERS[1], marker="", label="random")
    for row, s, color, dash in zip(arrays["hulls"], arrays["searched"], colors, ("-", "--", ":"), strict=False):
        right.step(queries, row, where="post", color=color, linestyle=dash, label=f"hulls, s = {s}")
        end = int(np.count_nonzero(np.isfinite(row)))
        right.plot(end, row[end - 1], color=color, marker="o", clip_on=False, zorder=3)
    right.set(xscale="log", xlabel="queries", ylabel="distance from the best / range", ylim=(-0.01, None))
    ticks = [tick for tick in (1, 3, 10, 30, 100, 300) if tick <= queries[-1]]
    right.set_xticks(ticks, [str(tick) for tick in ticks])
    right.minorticks_off()
    right.set_title(f"Searches, γ = {arrays['gammas'][int(arrays['shown'])]:g}; a dot where all vertices are known")
    right.legend(loc="upper right")
    return figure
