"""Queries that an error of a few eps costs with 8 sparse of 88 features: what no learner beats, and where the learners are."""

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

TITLE = "The price of accuracy, and how sparsity helps"
TOPIC = "environments"
DATA: tuple[str, ...] = ()
PROBABILITY = 0.5  # of an error below the one named, that a learner has to reach
CHANCE = 0.5  # of K random sign vectors to stay within the coherence that is drawn

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    sparsity, prime : int
        The left panel has ``sparsity * prime`` features.
    degrees : tuple of int
        Degrees of the instances on which least squares is taken.
    actions : int
        Random sign vectors on which sparse recovery is run.
    eps : float
        Their misspecification.
    runs : int
        Runs of recovery for each adversary.
    powers : tuple of float
        Errors s^power eps of the right panel.
    largest : int
        Largest sparsity of the right panel; features per coefficient are the next prime.
    seed : int
    """

    sparsity: int = 8
    prime: int = 11
    degrees: tuple[int, ...] = (2,)
    actions: int = 2000
    eps: float = 0.1
    runs: int = 5
    powers: tuple[float, ...] = (0.3, 0.5, 0.7, 1.0)
    largest: int = 64
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(actions=20_000, runs=40)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return needles by degree, the dense bound by number of actions, points of learners, and exponents by sparsity."""
    from joblib import Parallel, delayed

    from algos.misspecified_bandits.bounds import coherence_bound, jl_gap_ratio, rs_tradeoff

    s, p = parameters.sparsity, parameters.prime
    sizes = [rs_tradeoff(s=s, p=p, t=t) for t in range(1, s)]
    dense = np.geomspace(10.0, sizes[-1].n_actions, 60).round()
    gaps = [jl_gap_ratio(coherence=min(1.0, coherence_bound(K=int(K), d=s * p, delta=CHANCE))) for K in dense]
    runs = [(adversary, run) for adversary in ("random", "hide_tail", "decoy", "flatten_top") for run in range(parameters.runs)]
    with (
        (progress or Silent()).step("searches", len(parameters.degrees) + len(runs)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        squares, recovered = [], []
        for pair in pool(delayed(_least_squares)(s, p, t) for t in parameters.degrees):
            squares.append(pair)
            step.advance()
        for pair in pool(delayed(_recovery)(parameters, *cell) for cell in runs):
            recovered.append(pair)
            step.advance()
    sparsities = np.arange(3, parameters.largest + 1)
    return {
        "shape": np.array([s, p]),
        "ratio": np.array([size.ratio for size in sizes]),
        "n_actions": np.array([size.n_actions for size in sizes]),
        "dense_actions": dense,
        "dense_ratio": np.array(gaps),
        "least_squares": np.array(squares),
        "recovery": np.array(recovered),
        "powers": np.array(parameters.powers),
        "sparsities": sparsities,
        "digits": np.array(
            [[digits(int(count), power, _prime(parameters.largest)) for count in sparsities] for power in parameters.powers]
        ),
        "right_prime": np.array(_prime(parameters.largest)),
    }


def _prime(least: int) -> int:
    """Return the smallest prime that is not below a number."""
    p = max(2, least)
    while any(p % k == 0 for k in range(2, math.isqrt(p) + 1)):
        p += 1
    return p


def digits(s: int, power: float, ratio: int) -> float:
    """Return log10 of the actions that an error below s^power eps costs with `ratio` features per coefficient; NaN up to 2 eps.

    Examples
    --------
    >>> digits(16, 0.5, 100)  # floor(2 * 16 / 4) + 1 = 9 powers of 100
    18.0
    """
    from algos.misspecified_bandits.bounds import rs_exponent

    return rs_exponent(s=s, ratio=float(s) ** power) * math.log10(ratio) if float(s) ** power > 2.0 else math.nan


def _least_squares(s: int, p: int, t: int) -> tuple[float, float]:
    """Return the queries of an optimal design on an instance, and the exact worst case over eps."""
    from algos.misspecified_bandits import g_optimal_design, ls_worst_case, make_rs_needle

    X = make_rs_needle(s, p, t, needle=0).X
    design = g_optimal_design(X, random_state=0)
    return float(design.support.size), ls_worst_case(X, design, 1.0).value


def _recovery(parameters: Parameters, adversary: str, number: int) -> tuple[float, float]:
    """Return the queries of sparse recovery on random signs, and its suboptimality over eps."""
    from algos.misspecified_bandits import SparseRecoveryBandit, make_sparse_sign, run

    s, eps = parameters.sparsity, parameters.eps
    rng = np.random.default_rng([parameters.seed, number])
    d = s * parameters.prime
    made = make_sparse_sign(parameters.actions, d, s, eps, adversary=adversary, signal="geometric", R=1.0, random_state=rng)
    learner = SparseRecoveryBandit(s, eps, check_best=False, random_state=number, on_coherent="ignore")
    trace = run(made.env(), learner, budget=None, batch=parameters.actions, look_every=2**40)
    return float(trace.n_pulls), trace.final / eps


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    s, p = (int(value) for value in arrays["shape"])
    ratio, N = arrays["ratio"], arrays["n_actions"]
    sure = PROBABILITY * N
    spent, missed = np.median(arrays["recovery"][:, 0]), np.max(arrays["recovery"][:, 1])
    (queries, worst), size = arrays["least_squares"][0], N[1]
    return Description(
        question="How many queries does an error of rho eps cost, and how does sparsity change that?",
        answer=(
            f"With s = {s} of d = {s * p} features an error below {ratio[0]:g} eps with probability 1/2 costs {sure[0] - 1:,.0f} queries, "
            f"one below {ratio[-1]:.2f} eps {sure[-1] - 1:.2g}, where hulls miss by 2 eps after all {N[-1]:.2g}; least squares "
            "misses by up to "
            f"{worst:.3g} eps after {queries:.0f} of {size:,}; on random signs recovery spends {spent:.0f} and misses by {missed:.2g} eps."
        ),
        data=(
            "Needles among polynomials over a finite field (sparse) and among random sign vectors (dense, existence by Hoeffding, "
            "after Du, "
            "Kakade, Wang and Yang, 2020). Exact worst case of least squares on the polynomials of degree 2, whose staircase ends at half "
            "of their number; recovery on other, good features, where no staircase applies."
        ),
        sizes=(
            f"Left: N = (d/s)^(t+1) actions hide a needle of 2 s/t eps, t = 1, ..., {s - 1}; recovery: worst of {len(arrays['recovery'])} "
            f"runs. Right: the same count for an error s^delta eps, {int(arrays['right_prime'])} features per coefficient; black: exp(s), "
            "the paper's statement for every delta below 1, whose constants we do not know. Staircase, hulls and worst cases are ours."
        ),
        alt=(
            "Left: a descending dashed staircase of error against queries; with fewer queries no learner is below it on all instances. The "
            "dense curve lies lower. Marks: least squares above it, recovery far below, hulls at its end. Right: digits of the number of "
            "queries rise with the sparsity, the more the smaller the power, and not at all for power one."
        ),
        numbers={
            "ratio": ratio.tolist(),
            "n_actions": N.tolist(),
            "least_squares": arrays["least_squares"].tolist(),
            "recovery": [float(spent), float(missed)],
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: error against queries on the left, digits of the queries against the sparsity on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    _draw_left(left, arrays)
    s = arrays["sparsities"]
    colors = (style.OURS, style.OURS_TWO, style.OURS_THIRD, style.PEERS[1])
    for power, values, color in zip(arrays["powers"], arrays["digits"], colors, strict=False):
        right.step(s, values, where="mid", color=color)
        style.end_label(right, s[-1], float(values[-1]), f"δ = {power:g}", color=color)
    right.plot(s, s / math.log(10.0), color=style.EXACT, linewidth=0.8)
    style.end_label(right, s[-1], s[-1] / math.log(10.0), "exp(s)", color=style.EXACT)
    right.set(xlabel="coefficients s", ylabel="log₁₀ of the queries", ylim=(0.0, None), xlim=(0, 1.18 * s[-1]))
    right.set_title(f"Error below $s^δ$ ε, d = {int(arrays['right_prime'])} s")
    return figure


def _draw_left(axes: "Axes", arrays: Arrays) -> None:
    from .. import style

    s, p = (int(value) for value in arrays["shape"])
    ratio, N = arrays["ratio"], arrays["n_actions"].astype(float)
    # with fewer than N / 2 queries no learner is below the needle's height half of the time
    axes.step(np.r_[1.0, PROBABILITY * N], np.r_[ratio, ratio[-1]], where="post", color=style.BOUND, linestyle="--")
    style.end_label(axes, PROBABILITY * N[1], ratio[1], "sparse needles", color=style.BOUND, dx=4, dy=8)
    axes.plot(PROBABILITY * arrays["dense_actions"], arrays["dense_ratio"], color=style.PEERS[1], linestyle=":")
    style.end_label(axes, 5.0, float(arrays["dense_ratio"][0]), "dense needles", color=style.PEERS[1], dx=0, dy=9)
    axes.plot(N[-1], 2.0, color=style.OURS, marker="o", clip_on=False)
    style.end_label(axes, N[-1], 2.0, "hulls, all actions", color=style.OURS, dx=0, dy=-11, ha="right")
    queries, worst = arrays["least_squares"].T
    axes.plot(queries, worst, color=style.PEERS[0], marker="D", linestyle="none")
    style.end_label(axes, queries[-1], float(worst[-1]), "least squares", color=style.PEERS[0], dx=6, dy=6)
    spent, missed = arrays["recovery"].T
    axes.plot(np.median(spent), missed.max(), color=style.OURS_TWO, marker="s")
    style.end_label(
        axes, float(np.median(spent)), float(missed.max()), "recovery, good features", color=style.OURS_TWO, dx=0, dy=-22, ha="center"
    )
    axes.set(xscale="log", yscale="log", xlabel="queries", ylabel="error / ε", xlim=(1.0, 3.0 * N[-1]), ylim=(1.6, 24.0))
    ticks = [2, 3, 5, 10, 20]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_title(f"s = {s}, d = {s * p}")
