"""How often samples by different scores lose rank on a flat block beside spread coordinates, against the rows sampled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Sensitivity sampling on the mixture instance"
TOPIC = "embeddings"
DATA = ()
SAMPLERS = ("sensitivity", "l2_augmented", "lewis", "root_leverage")
NAMES = ("sensitivities", "sensitivities + leverage", "Lewis weights", "root leverage")
SHOWN_SIZE = 240  # the size of claim LP-14

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    dimension, copies, spread : int
        Of the flat block, of every direction, and the number of spread coordinates.
    sizes : tuple of int
        Expected rows.
    draws : int
        Samples for each size and score.
    seed : int
    """

    dimension: int = 64
    copies: int = 32
    spread: int = 32
    sizes: tuple[int, ...] = (110, 125, 140, 160, 180, 200, 220, 240, 270, 300, 340)
    draws: int = 60
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(sizes=tuple(range(100, 401, 10)), draws=1000)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return how often the flat block lost rank, and the probability that fewer directions than its dimension are kept.

    Arrays are indexed by score (in the order of `SAMPLERS`) and size.
    """
    from joblib import Parallel, delayed

    from algos.lp_embeddings import bounds, inclusion_probabilities

    scores = _scores(parameters)
    q = np.array([[inclusion_probabilities(score, size)[0] for size in parameters.sizes] for score in scores])
    smooth = np.linspace(min(parameters.sizes), max(parameters.sizes), 121)
    few = np.array([[_few(parameters, inclusion_probabilities(score, size)[0]) for size in smooth] for score in scores])
    lost = np.zeros((len(SAMPLERS), len(parameters.sizes)), dtype=np.int64)
    tasks = list(np.ndindex(lost.shape))
    with (
        (progress or Silent()).step("samples", len(tasks)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        counts = pool(delayed(_lost)(parameters, scores[a], parameters.sizes[b]) for a, b in tasks)
        for place, count in zip(tasks, counts, strict=True):
            lost[place] = count
            step.advance()
    return {
        "samplers": np.array(SAMPLERS),
        "sizes": np.array(parameters.sizes),
        "q": q,
        "lost": lost,
        "draws": np.array(parameters.draws),
        "smooth_sizes": smooth,
        "too_few_directions": few,
        "too_few_at_sizes": np.array(
            [[bounds.flat_block_loss(d1=parameters.dimension, copies=parameters.copies, q=value) for value in row] for row in q]
        ),
        "shape": np.array([parameters.dimension, parameters.copies, parameters.spread]),
    }


def _few(parameters: Parameters, q: float) -> float:
    from algos.lp_embeddings.bounds import flat_block_loss

    return flat_block_loss(d1=parameters.dimension, copies=parameters.copies, q=float(q))


def _scores(parameters: Parameters) -> list[FloatArray]:
    """Return the scores of each sampler in closed form; rows of the flat block come first."""
    from algos.lp_embeddings import instances
    from algos.lp_embeddings.samplers import l2_augmented, root_leverage

    made = instances.mixture_hard_instance(parameters.dimension, parameters.copies, parameters.spread, 1.0)
    assert made.sensitivities is not None
    assert made.lewis_weights is not None
    flat = 2 * parameters.dimension * parameters.copies
    leverage = np.r_[np.full(flat, parameters.dimension / flat), np.full(len(made.A) - flat, 1.0 / parameters.copies)]
    return [made.sensitivities, l2_augmented(made.sensitivities, leverage), made.lewis_weights, root_leverage(leverage, 1.0)]


def _lost(parameters: Parameters, scores: FloatArray, size: float) -> int:
    """Return how many samples of this size have lost rank on the flat block."""
    from algos.lp_embeddings import inclusion_probabilities, instances, sample_rows

    directions = instances.two_basis(parameters.dimension).A
    q = inclusion_probabilities(scores, size)
    lost = 0
    for draw in range(parameters.draws):
        indices = sample_rows(q, seed=100_000 * parameters.seed + draw).indices
        kept = np.unique(indices[indices < 2 * parameters.dimension * parameters.copies] // parameters.copies)
        lost += len(kept) < parameters.dimension or int(np.linalg.matrix_rank(directions[kept])) < parameters.dimension
    return lost


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    sizes, draws = arrays["sizes"], int(arrays["draws"])
    at = int(np.argmin(np.abs(sizes - SHOWN_SIZE)))
    share, least = arrays["lost"][:, at] / draws, float(arrays["too_few_at_sizes"][0, at])
    d1, copies, k = (int(value) for value in arrays["shape"])
    others = ", ".join(f"{name} {100 * value:.2g} %" for name, value in zip(NAMES[1:], share[1:], strict=True))
    return Description(
        question="Which scores keep the rank where sensitivities are small?",
        answer=(
            f"With {sizes[at]} rows, samples by sensitivities lose rank on the flat block in {100 * share[0]:.3g} % of {draws} draws, "
            f"where counting kept directions proves at least {100 * least:.3g} %; the others lose it less often: {others}."
        ),
        data=f"Generated: two bases of dimension {d1} beside {k} coordinates, {copies} copies of each row, p = 1; nothing is substituted.",
        sizes=(
            f"{draws} samples for each size and score; dots are shares of samples that lost rank, bars Clopper-Pearson intervals at 90 %. "
            "Dashed: probability that fewer directions are kept than the block has dimensions, exact; a lower bound on the loss."
        ),
        alt=(
            "Four falling curves of dots from one to zero against the rows sampled. Root leverage and Lewis weights fall first, near 150 "
            "rows, augmented sensitivities near 170, sensitivities only beyond 250; each lies slightly right of its dashed curve."
        ),
        numbers={
            "size": int(sizes[at]),
            "share_lost": dict(zip(SAMPLERS, share.tolist(), strict=True)),
            "proved_share_of_sensitivities": least,
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: shares of lost samples as dots, exact probabilities of too few directions as lines."""
    from scipy.stats import beta

    from .. import style

    figure = style.new_figure()
    axes = figure.subplots()
    colors = (style.PEERS[0], style.OURS, style.OURS_TWO, style.OURS_THIRD)
    sizes, draws = arrays["sizes"], int(arrays["draws"])
    for row, (name, color, marker) in enumerate(zip(NAMES, colors, "so^D", strict=True)):
        lost = arrays["lost"][row]
        low = np.where(lost > 0, beta.ppf(0.05, np.maximum(lost, 1), draws - lost + 1), 0.0)
        high = np.where(lost < draws, beta.ppf(0.95, lost + 1, np.maximum(draws - lost, 1)), 1.0)
        share = lost / draws
        axes.errorbar(sizes, share, (share - low, high - share), color=color, marker=marker, linestyle="none", zorder=3)
        axes.plot(arrays["smooth_sizes"], arrays["too_few_directions"][row], color=style.BOUND, linestyle="--", linewidth=1.0, zorder=2)
        height, dx, dy, side = LABELS[row]
        at = int(np.argmin(np.abs(share - height)))
        line = {"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkB": 4}
        axes.annotate(
            name, (sizes[at], share[at]), xytext=(dx, dy), textcoords="offset points", ha=side, va="center", color=color, arrowprops=line
        )
    middle = int(np.argmin(np.abs(arrays["too_few_directions"][0] - 0.3)))
    style.end_label(
        axes,
        float(arrays["smooth_sizes"][middle]),
        float(arrays["too_few_directions"][0, middle]),
        "too few directions\nkept (exact)",
        color=style.BOUND,
        dx=-8,
        dy=-30,
        ha="right",
    )
    axes.set(xlabel="rows expected in the sample", ylabel="share of samples that lost rank", ylim=(-0.03, 1.06))
    axes.set_xlim(0.68 * sizes[0], sizes[-1] + 8)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    return figure


# Height of the dots that the names point to, and the offsets of the names from them in points, in the order of SAMPLERS.
LABELS = ((0.4, 16, 22, "left"), (0.6, 14, 10, "left"), (0.4, 62, 4, "left"), (0.4, -10, -34, "right"))
