"""Regret of LinUCB and of phased elimination, with and without knowledge of the misspecification, against the rounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from algos.misspecified_bandits._learner import BanditLearner

TITLE = "Regret when the linear model is wrong"
TOPIC = "linucb"
DATA: tuple[str, ...] = ()
LEARNERS = ("LinUCB", "LinUCB, widened", "phased elimination", "phased, widened")

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rounds : int
    eps : tuple of float
        Misspecifications; one curve each.
    actions, features : int
    sigma : float
        Standard deviation of the noise.
    looks : int
        Points of a curve.
    runs : int
        Runs for each learner and misspecification.
    seed : int
    """

    rounds: int = 20_000
    eps: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1)
    actions: int = 500
    features: int = 8
    sigma: float = 0.3
    looks: int = 25
    runs: int = 5
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rounds=100_000, runs=10)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return the regret by learner, misspecification, rounds and run, and the rounds."""
    from joblib import Parallel, delayed

    times = np.unique(np.geomspace(100, parameters.rounds, parameters.looks).round().astype(np.int64))
    shape = (len(LEARNERS), len(parameters.eps), parameters.runs)
    with (
        (progress or Silent()).step("runs", int(np.prod(shape))) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        found = []
        for curve in pool(delayed(_run)(parameters, LEARNERS[a], parameters.eps[b], c, times) for a, b, c in np.ndindex(shape)):
            found.append(curve)
            step.advance()
    return {
        "regret": np.moveaxis(np.array(found).reshape(*shape, len(times)), -1, -2),
        "rounds": times,
        "eps": np.array(parameters.eps),
        "sizes": np.array([parameters.actions, parameters.features]),
        "sigma": np.array(parameters.sigma),
    }


def _learner(name: str, eps: float, sigma: float, seed: int) -> "BanditLearner":
    from algos.misspecified_bandits import MisspecifiedLinUCB, PhasedElimination

    if name.startswith("LinUCB"):
        return MisspecifiedLinUCB(eps=eps, sigma=sigma, misspec="cauchy" if name.endswith("widened") else "none")
    return PhasedElimination(eps=eps, sigma=sigma, widen=name.endswith("widened"), random_state=seed)


def _run(parameters: Parameters, name: str, eps: float, run_number: int, times: NDArray[np.int64]) -> FloatArray:
    """Return the regret of one run at the given rounds; a learner that has ended goes on with what it recommends."""
    from algos.misspecified_bandits import make_sparse_gaussian, run

    d = parameters.features
    rng = np.random.default_rng([parameters.seed, run_number])  # the same world for all learners, and for all eps but for its errors
    made = make_sparse_gaussian(parameters.actions, d, d, eps, adversary="flatten_top", random_state=rng)
    learner = _learner(name, eps, parameters.sigma, run_number)
    batch = 1 if name.startswith("LinUCB") else 100
    env = made.env(sigma=parameters.sigma, random_state=rng)
    trace = run(env, learner, budget=parameters.rounds, batch=batch, look_every=2**40)
    each = made.mean.max() - made.mean[np.r_[trace.queries, np.full(parameters.rounds - trace.n_pulls, trace.recommended[-1])]]
    return np.cumsum(each)[times - 1]


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    T, (K, d) = int(arrays["rounds"][-1]), (int(size) for size in arrays["sizes"])
    last = np.median(arrays["regret"][:, :, -1], axis=2)
    worst = float(arrays["eps"][-1])
    added = (last[:, -1] - last[:, 0]) / (worst * np.sqrt(d) * T)
    costs = ", ".join(f"{value:.2g} ({name})" for name, value in zip(LEARNERS, added, strict=True))
    return Description(
        question="How much regret does misspecification add, and does it help to know it?",
        answer=(
            f"After {T:,} rounds eps = {worst:g} has added {costs} times eps sqrt(d) T to the median regret, where 2 is claimed; "
            f"widening, which keeps the guarantee, multiplies the regret there by {last[1, -1] / last[0, -1]:.2g} and "
            f"{last[3, -1] / last[2, -1]:.2g}."
        ),
        data=(
            f"Generated rows on the unit sphere, K = {K}, d = {d}, a random model of length 1, noise of standard deviation "
            f"{float(arrays['sigma']):g}; errors of size eps lower the best tenth of the actions and raise the others."
        ),
        sizes=(
            f"{arrays['regret'].shape[-1]} runs, the same worlds for all; lines are medians, bands the 5-95 % range; an ended "
            "elimination pulls what it recommends. Rates without constants: sqrt(T) without misspecification, T with it, after "
            "Lattimore, Szepesvari "
            "and Weisz (2020); the widths that are valid under misspecification, and the constant 2, an observation, are ours."
        ),
        alt=(
            "Four panels in log-log axes, one for each learner, with one curve for each misspecification. Without widening the curves "
            "nearly coincide; with it they fan out, and those with misspecification rise with slope one."
        ),
        numbers={
            "median_regret": dict(zip(LEARNERS, last.tolist(), strict=True)),
            "added": dict(zip(LEARNERS, added.tolist(), strict=True)),
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: one panel for each learner."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    panels = figure.subplots(1, len(LEARNERS), sharex=True, sharey=True)
    T = arrays["rounds"].astype(float)
    colors = (style.PEERS[1], style.OURS_TWO, style.OURS, style.OURS_THIRD)
    top = 1.5 * float(arrays["regret"].max())
    for axes, name, regret in zip(panels, LEARNERS, arrays["regret"], strict=True):
        for color, eps, values in zip(colors, arrays["eps"], regret, strict=False):
            style.median_band(axes, T, values, color=color, marker="", label=f"ε = {eps:g}")
        axes.set(xscale="log", yscale="log", xlabel="rounds T", title=name, ylim=(0.5 * float(arrays["regret"].min()), top))
    ends = T[-1] * np.array([0.03, 0.4])
    for power, text, place in ((1.0, "slope 1", 0.06), (0.5, "slope 1/2", 0.02)):
        low = place * top
        panels[0].plot(ends, low * (ends / ends[0]) ** power, color=style.EXACT, linewidth=0.8)
        style.end_label(panels[0], ends[0], low, text, color=style.EXACT, dx=-3, ha="right")
    panels[0].set_ylabel("regret")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=len(names), handlelength=1.6)
    return figure
