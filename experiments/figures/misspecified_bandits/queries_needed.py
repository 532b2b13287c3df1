"""Queries of enumeration by nets, of hulls and of elimination against the accuracy, the number of features and the sparsity."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Queries that enumeration and elimination need"
TOPIC = "elimination"
DATA: tuple[str, ...] = ()
METHODS = ("net of weights", "net of directions", "hulls", "elimination, resisted", "elimination")

Arrays = Mapping[str, NDArray[Any]]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    actions, features, sparsity : int
        Sizes where they do not vary.
    eps : float
        Misspecification where it does not vary.
    inverse_eps : tuple of float
        1 / eps of the first panel.
    feature_counts : tuple of int
        Features of the second panel.
    sparsities : tuple of int
        Sparsities of the third panel.
    small : tuple of int and float
        Actions, features and misspecification of the third panel.
    tables : int
        Tables for each point.
    seed : int
    """

    actions: int = 1000
    features: int = 12
    sparsity: int = 2
    eps: float = 0.1
    inverse_eps: tuple[float, ...] = (2.5, 5.0, 10.0, 20.0)
    feature_counts: tuple[int, ...] = (4, 8, 16, 24)
    sparsities: tuple[int, ...] = (1, 2, 3, 4)
    small: tuple[int, int, float] = (60, 5, 0.2)
    tables: int = 3
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(
    actions=2000,
    features=20,
    inverse_eps=(2.5, 5.0, 10.0, 20.0, 40.0, 80.0),
    feature_counts=(5, 10, 20, 40, 80),
    small=(200, 6, 0.2),
)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return distinct queries and suboptimality over eps by point, table and method, and the candidates of both nets by point."""
    from joblib import Parallel, delayed

    points = _points(parameters)
    cells = [(*point, table) for point in points for table in range(parameters.tables)]
    with (
        (progress or Silent()).step("searches", len(cells)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        found = []
        for pairs in pool(delayed(_searches)(parameters.seed, *cell) for cell in cells):
            found.append(pairs)
            step.advance()
    measured = np.array(found).reshape(len(points), parameters.tables, len(METHODS), 2)
    ends = np.cumsum([len(parameters.inverse_eps), len(parameters.feature_counts)])
    arrays: dict[str, NDArray[Any]] = {"points": np.array(points), "lengths": np.diff(np.r_[0, ends, len(points)])}
    return arrays | {
        "queries": measured[..., 0],
        "suboptimality": measured[..., 1],
        "candidates": np.array([_candidates(*point[1:]) for point in points]),
    }


def _points(parameters: Parameters) -> list[tuple[int, int, int, float]]:
    """Return actions, features, sparsity and misspecification of all points, panel by panel."""
    K, d, s, eps = parameters.actions, parameters.features, parameters.sparsity, parameters.eps
    few, columns, coarse = parameters.small
    return [
        *((K, d, s, 1.0 / inverse) for inverse in parameters.inverse_eps),
        *((K, count, s, eps) for count in parameters.feature_counts),
        *((few, columns, sparsity, coarse) for sparsity in parameters.sparsities),
    ]


def _candidates(d: float, s: float, eps: float) -> tuple[int, int]:
    """Return how many weights and how many signed directions the nets have on all supports."""
    from algos.misspecified_bandits.bounds import net_size

    supports = math.comb(int(d), int(s))
    return supports * net_size(s=int(s), eta=eps, net="ball"), 2 * supports * net_size(s=int(s), eta=eps)


def _searches(seed: int, K: int, d: int, s: int, eps: float, table: int) -> list[tuple[float, float]]:
    """Return distinct queries, and suboptimality over eps, of every method on one table."""
    from algos.misspecified_bandits import (
        AdaptiveAdversary,
        HullEnumeration,
        OptimisticElimination,
        SparseCoverEnumeration,
        make_sparse_gaussian,
        misspecify,
        run,
    )

    made = make_sparse_gaussian(K, d, s, eps, random_state=np.random.default_rng([seed, K, d, s, table]))
    results = []
    plans = (SparseCoverEnumeration(s, eps, net="ball"), SparseCoverEnumeration(s, eps), HullEnumeration(s, eps))
    for plan in plans:
        planned = plan.fit(made.X).planned_
        against = misspecify(made.X, made.theta, eps, adversary="against_queries", queries=planned)
        trace = run(against.env(), plan, budget=None, batch=planned.size, resume=True)
        results.append((float(trace.n_distinct), trace.final / eps))
    resisted = OptimisticElimination(s, eps)
    opponent = AdaptiveAdversary(made.X, made.theta, eps, choose=keep_most(resisted))
    for env, learner in ((opponent, resisted), (made.env(), OptimisticElimination(s, eps))):
        trace = run(env, learner, budget=None, look_every=2**40)
        results.append((float(trace.n_distinct), trace.final / eps))
    return results


def keep_most(learner: Any) -> Callable[[int, tuple[float, float, float]], float]:
    """Return the opponent of `OptimisticElimination` that lets the search go on if it can, and keeps as many candidates as it can.

    Examples
    --------
    >>> from algos.misspecified_bandits import OptimisticElimination
    >>> learner = OptimisticElimination(s=1, eps=0.1).fit([[1.0], [0.8], [-1.0]])
    >>> keep_most(learner)(0, (0.2, 0.3, 0.4))
    0.3
    """

    def choose(action: int, options: tuple[float, float, float]) -> float:
        def worth(reward: float) -> tuple[bool, int, float]:
            trial = copy.deepcopy(learner).tell(action, reward)
            return not trial.done_, trial.n_alive_, -reward

        return max(options, key=worth)

    return choose


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    middle = np.median(arrays["queries"], axis=1)
    last = int(arrays["lengths"][0]) - 1
    K, d, s, eps = (float(value) for value in arrays["points"][last])
    weights, directions = (int(value) for value in arrays["candidates"][last])
    hull, resisted, oblivious = (f"{middle[last, place]:.0f}" for place in (2, 3, 4))
    most = int(arrays["queries"][..., 3].max())
    worst = arrays["suboptimality"].max(axis=(0, 1))
    return Description(
        question="How many queries find an action within a few eps of the best, and what do the counts of the paper hide?",
        answer=(
            f"At eps = 1/{1 / eps:.0f}, d = {d:.0f}, s = {s:.0f} and K = {K:,.0f} the nets hold {weights:,} weights or {directions:,} "
            f"signed directions, but choose only {middle[last, 0]:.0f} and {middle[last, 1]:.0f} different actions; hulls query {hull} "
            f"and do not know eps; elimination queries {oblivious}, or {resisted} against an opponent that chooses each error when asked, "
            f"and never more than {most} anywhere."
        ),
        data=(
            "Generated rows on the unit sphere, a random s-sparse model of length 1. Nets and hulls meet an error that is -eps on what "
            f"they query and +eps elsewhere, elimination random signs, or the opponent. Worst misses: {worst[0]:.2f}, {worst[1]:.2f}, "
            f"{worst[2]:.2f}, {worst[3]:.2f} and {worst[4]:.2f} eps, in the order of the legend; promised are 2 eps for hulls, 4 eps else."
        ),
        sizes=(
            f"{arrays['queries'].shape[1]} tables for each point; lines are medians, bands the 5-95 % range. Dashed: candidates of the net "
            "of weights, the count behind the paper's rate (1/eps)^s d^s, with our constants. Nets and counts after the paper; hulls and "
            f"this elimination are ours. Third panel: {arrays['points'][-1][0]:.0f} actions, {arrays['points'][-1][1]:.0f} features, "
            f"eps = {arrays['points'][-1][3]:g}."
        ),
        alt=(
            "Three panels with a logarithmic vertical axis. A dashed line of candidates rises steeply with accuracy, features and "
            "sparsity; the queries of nets and hulls lie together below the number of actions; elimination stays near the bottom."
        ),
        numbers={
            "median_queries": {name: middle[:, place].tolist() for place, name in enumerate(METHODS)},
            "candidates": arrays["candidates"].tolist(),
            "most_queries_of_elimination": most,
            "worst_suboptimality_over_eps": dict(zip(METHODS, worst.tolist(), strict=True)),
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: against accuracy, features and sparsity."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    panels = figure.subplots(1, 3, sharey=True)
    ends = np.cumsum(arrays["lengths"])
    columns = (1.0 / arrays["points"][:, 3], arrays["points"][:, 1], arrays["points"][:, 2])
    for axes, x, start, stop in zip(panels, columns, np.r_[0, ends[:-1]], ends, strict=True):
        _draw_panel(axes, arrays, x, slice(start, stop))
    panels[0].set(xlabel="1/ε", ylabel="queries", yscale="log", xscale="log", ylim=(0.8, 2.0 * arrays["candidates"].max()))
    panels[1].set(xlabel="features d", xscale="log")
    panels[2].set(xlabel="sparsity s", xticks=columns[2][ends[1] :])
    for axes, x, start, stop in zip(panels[:2], columns, (0, ends[0]), ends, strict=False):
        axes.set_xticks(x[start:stop], [f"{value:g}" for value in x[start:stop]])
        axes.minorticks_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=len(names), handlelength=1.6, columnspacing=1.2)
    return figure


def _draw_panel(axes: "Axes", arrays: Arrays, x: NDArray[Any], part: slice) -> None:
    from .. import style

    marks = (
        (style.PEERS[1], "s", ":"),
        (style.PEERS[0], "D", "--"),
        (style.OURS, "o", "-"),
        (style.OURS_THIRD, "^", "-"),
        (style.OURS_TWO, "v", "-"),
    )
    for place, (color, marker, dash) in enumerate(marks):
        style.median_band(
            axes, x[part], arrays["queries"][part, :, place], color=color, marker=marker, linestyle=dash, label=METHODS[place]
        )
    axes.plot(x[part], arrays["candidates"][part, 0], color=style.BOUND, linestyle="--")
    middle = (part.start + part.stop - 1) // 2
    style.end_label(axes, x[middle], arrays["candidates"][middle, 0], "candidates", color=style.BOUND, dx=-4, dy=8, ha="right")
    K = float(arrays["points"][part.start][0])
    axes.axhline(K, color=style.EXACT, linewidth=0.8)
    style.end_label(axes, x[part.stop - 1], K, f"all {K:,.0f} actions", color=style.EXACT, dx=0, dy=7, ha="right")
