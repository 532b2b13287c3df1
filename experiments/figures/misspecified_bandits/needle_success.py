"""Chance of every learner to find a hidden needle against its queries, exactly and by simulation, beside what no learner surpasses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from algos.misspecified_bandits import LinearBanditEnv
    from algos.misspecified_bandits._learner import BanditLearner

TITLE = "No learner finds the needle sooner"
TOPIC = "environments"
DATA: tuple[str, ...] = ()
LEARNERS = ("random", "LinUCB", "hulls, s = 2", "elimination, s = 2", "random, repeats")
SIMULATED = ("random", "LinUCB", "recovery", "least squares")
SPARSER = 2  # sparsity that enumerations assume: with the true one they would look at millions of supports
ROUNDING = 1e-12  # of fractions turned into floats
CHANCE = 1e-3  # of an interval that misses, on either side

Arrays = Mapping[str, NDArray[Any]]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    instances : tuple of three int each
        Sparsity, prime and degree of the polynomials.
    shares : tuple of float
        Queries, as shares of the number of actions.
    trials : int
        Needles drawn for a dot of the simulation.
    simulated_shares : tuple of float
        Queries of the simulation.
    simulated_instances : int
        The first so many instances are simulated.
    seed : int
    """

    instances: tuple[tuple[int, int, int], ...] = ((5, 7, 1), (8, 11, 2))
    shares: tuple[float, ...] = (0.02, 0.06, 0.18, 0.5, 0.9)
    trials: int = 40
    simulated_shares: tuple[float, ...] = (0.1, 0.25, 0.5)
    simulated_instances: int = 1
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(
    shares=(0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.7, 0.9), trials=60, simulated_shares=(0.1, 0.2, 0.35, 0.6), simulated_instances=2
)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return queries, exact chances and bounds by instance, learner and share, and successes of simulated searches."""
    from joblib import Parallel, delayed

    exact = [(size, name, share) for size in parameters.instances for name in LEARNERS for share in parameters.shares]
    drawn = [
        (size, name, share)
        for size in parameters.instances[: parameters.simulated_instances]
        for name in SIMULATED
        for share in parameters.simulated_shares
    ]
    with (
        (progress or Silent()).step("searches", len(exact) + len(drawn)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        found, counted = [], []
        for row in pool(delayed(_transcript)(parameters.seed, *cell) for cell in exact):
            found.append(row)
            step.advance()
        for pair in pool(delayed(_simulated)(parameters, *cell) for cell in drawn):
            counted.append(pair)
            step.advance()
    chances = np.array(found).reshape(len(parameters.instances), len(LEARNERS), len(parameters.shares), 4)
    hits = np.array(counted).reshape(-1, len(SIMULATED), len(parameters.simulated_shares), 2)
    return {
        "instances": np.array(parameters.instances),
        "n_actions": np.array([p ** (t + 1) for _, p, t in parameters.instances]),
        "queries": chances[..., 0],
        "distinct": chances[..., 1],
        "success": chances[..., 2],
        "bound": chances[..., 3],
        "simulated_queries": hits[..., 0],
        "hits": hits[..., 1],
        "trials": np.array(parameters.trials),
    }


def _learner(name: str, eps: float, s: int, seed: int) -> "BanditLearner":
    """Return a learner that knows the misspecification."""
    from algos.misspecified_bandits import (
        GOptLeastSquares,
        HullEnumeration,
        MisspecifiedLinUCB,
        OptimisticElimination,
        RandomSearch,
        SparseRecoveryBandit,
    )

    learners: dict[str, BanditLearner] = {
        "random": RandomSearch(s, eps, random_state=seed),
        "LinUCB": MisspecifiedLinUCB(s, eps),
        "hulls, s = 2": HullEnumeration(SPARSER, eps),
        "elimination, s = 2": OptimisticElimination(SPARSER, eps, eta=2.0 * eps),
        "least squares": GOptLeastSquares(s, eps, random_state=seed),
        "recovery": SparseRecoveryBandit(s, eps, random_state=seed, on_coherent="ignore"),
        "random, repeats": RandomSearch(s, eps, sigma=eps / 3.0, random_state=seed),
    }
    return learners[name]


def _transcript(seed: int, size: tuple[int, int, int], name: str, share: float) -> tuple[float, float, float, float]:
    """Return queries, distinct queries, the exact chance under a uniform needle, and the bound."""
    from algos.misspecified_bandits import make_rs_needle, transcript_success

    instance = make_rs_needle(*size, needle=0)
    found = transcript_success(_learner(name, instance.eps, size[0], seed), instance, budget=max(1, round(share * instance.n_actions)))
    return found.n_queries, found.n_distinct, float(found.success), float(found.bound)


def _simulated(parameters: Parameters, size: tuple[int, int, int], name: str, share: float) -> tuple[int, int]:
    """Return queries, and how often the needle was recommended in searches for needles drawn uniformly."""
    from algos.misspecified_bandits import make_rs_needle, run

    base = make_rs_needle(*size, needle=0)
    budget = max(1, round(share * base.n_actions))
    rng = np.random.default_rng([parameters.seed, *size, SIMULATED.index(name), budget])
    hits = 0
    for needle in rng.integers(base.n_actions, size=parameters.trials).tolist():
        env = base.with_needle(needle).env()
        learner = _learner(name, base.eps, size[0], int(rng.integers(2**31)))
        hits += run(env, learner, budget=budget, stop_when=_hit(env), look_every=2**40).final == 0.0
    return budget, hits


def _hit(env: "LinearBanditEnv") -> Callable[[object], bool]:
    """Return the condition that the best action was pulled: then every learner here recommends it."""
    return lambda _: env.counts[env.best] > 0


def intervals(hits: IntArray, trials: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return exact binomial intervals of a success probability, which miss it with probability 0.001 on either side.

    Examples
    --------
    >>> low, high = intervals(np.array([0, 3]), 3)
    >>> low.round(6).tolist(), high.round(6).tolist()  # 1 - 0.001**(1/3), and 0.001**(1/3)
    ([0.0, 0.1], [0.9, 1.0])
    """
    from scipy.special import betaincinv

    count = np.asarray(hits, dtype=np.float64)
    low = np.where(count > 0, betaincinv(np.maximum(count, 1.0), trials - count + 1.0, CHANCE), 0.0)
    high = np.where(count < trials, betaincinv(count + 1.0, np.maximum(trials - count, 1.0), 1.0 - CHANCE), 1.0)
    return low, high


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    above = int(np.count_nonzero(arrays["success"] > arrays["bound"] * (1.0 + ROUNDING)))
    near = arrays["success"] > arrays["bound"] - 1.5 / arrays["n_actions"][:, None, None]
    half = int(np.argmin(np.abs(arrays["queries"][-1, 0] / arrays["n_actions"][-1] - 0.5)))
    stops = [(name, *(arrays[what][-1, row, -1] for what in ("queries", "success"))) for row, name in enumerate(LEARNERS[2:4], start=2)]
    stopped = ", ".join(f"{chance:.2g} after {spent:.0f} ({name.split(',')[0]})" for name, spent, chance in stops)
    low, _ = intervals(arrays["hits"], int(arrays["trials"]))
    beyond = int(np.count_nonzero(low > (arrays["simulated_queries"] + 1.0) / arrays["n_actions"][: len(low), None, None]))
    gaps = ", ".join(f"{2 * s / t:.3g} eps among N = {p ** (t + 1):,} (s = {s}, d = {s * p})" for s, p, t in arrays["instances"])
    return Description(
        question="Can any learner find a needle that stands out by several eps with fewer queries than blind search?",
        answer=(
            f"No: {above} of {arrays['success'].size} exact chances exceed (q + 1) / N, {int(near.sum())} are within 1 / N of it; after "
            f"{arrays['queries'][-1, 0, half]:,.0f} of {arrays['n_actions'][-1]:,} queries random search has the chance "
            f"{arrays['success'][-1, 0, half]:.3g}, LinUCB {arrays['success'][-1, 1, half]:.3g}; those that stop by themselves have the "
            f"chance {stopped}."
        ),
        data=(
            f"Polynomials over a finite field as features; the needle stands out by {gaps}. All learners know eps; hulls and "
            f"elimination assume s = {SPARSER}. The instance and the curve are ours, sharper than the paper's exp(s) lower bound."
        ),
        sizes=(
            "Marks: exact chances under a uniform needle, from one run on answers without needle each; the last learner repeats every "
            f"query, as against noise. Bars: {int(arrays['trials'])} simulated searches, binomial intervals that miss with probability "
            f"{2 * CHANCE:g}, in the order {', '.join(SIMULATED)} (the latter two recommend by their fit); {beyond} of {low.size} lie "
            "above the line."
        ),
        alt=(
            "Two panels in log-log axes. The marks of all learners lie on one dashed rising line as long as they go on, and to the right "
            "of or below it where they stop or repeat."
        ),
        numbers={
            "success": {name: arrays["success"][:, place].tolist() for place, name in enumerate(LEARNERS)},
            "above_the_bound": above,
            "intervals_above_the_bound": beyond,
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: one panel for each instance."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    panels = figure.subplots(1, len(arrays["instances"]), squeeze=False)[0]
    for place, axes in enumerate(panels):
        _draw_panel(axes, arrays, place)
    panels[0].set_ylabel("chance to find the needle")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=len(names), handlelength=1.2, columnspacing=1.0)
    return figure


def _draw_panel(axes: "Axes", arrays: Arrays, place: int) -> None:
    from .. import style

    N = int(arrays["n_actions"][place])
    q = np.geomspace(arrays["queries"][place].min(), N - 1.0, 60)
    axes.plot(q, (q + 1.0) / N, color=style.BOUND, linestyle="--", zorder=1)
    style.end_label(axes, q[8], (q[8] + 1.0) / N, "(q + 1) / N", color=style.BOUND, dx=-4, dy=8, ha="right")
    colors = (style.PEERS[1], style.OURS, style.OURS_TWO, style.OURS_THIRD, style.PEERS[2])
    for row, (name, color, marker) in enumerate(zip(LEARNERS, colors, "o^svx", strict=True)):
        spent, chance = arrays["queries"][place, row], arrays["success"][place, row]
        filling: Literal["full", "none"] = "full" if marker == "x" else "none"
        axes.plot(spent, chance, color=color, marker=marker, markersize=4.5 + row, linestyle="none", label=name, fillstyle=filling)
    if place < len(arrays["hits"]):
        low, high = intervals(arrays["hits"][place], int(arrays["trials"]))
        for row, color in enumerate((style.PEERS[1], style.OURS, style.PEERS[0], style.PEERS[2])):
            spent = arrays["simulated_queries"][place, row] * 1.06 ** (row - 1.5)
            axes.vlines(spent, low[row], high[row], color=color, linewidth=2.0, label=SIMULATED[row] if row > 1 else "")
    s, p, t = arrays["instances"][place]
    first = float(arrays["queries"][place].min())
    axes.set_title(f"N = {N:,}, d = {s * p}, s = {s}: needle of {2 * s / t:g} ε")
    axes.set(xscale="log", yscale="log", xlabel="queries q", xlim=(0.7 * first, 1.2 * N), ylim=(0.2 * (first + 1.0) / N, 1.5))
    ticks = [tick for tick in (1, 3, 10, 30, 100, 300, 1000, 3000) if 0.7 * first <= tick <= N]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_yticks([tick for tick in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0) if tick >= axes.get_ylim()[0]])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
