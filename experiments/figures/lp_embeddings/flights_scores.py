"""Where the leverage scores and Lewis weights of real flights live, and what uniform sampling misses."""

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

TITLE = "Scores of 327,346 flights"
TOPIC = "leverage_scores"
DATA = ("flights",)

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    exponent : float
        Exponent p of the Lewis weights.
    sample_size : int
        Expected rows kept, for the question what a sample of this size misses.
    draws : int
        Samples drawn to compare the frequency of a miss with its exact probability.
    points : int
        Ranks, equally spaced on a log axis, at which the sorted scores are stored.
    seed : int
    """

    exponent: float = 1.0
    sample_size: int = 2000
    draws: int = 20
    points: int = 240
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(draws=400, points=400)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return sorted scores and, for each carrier and sampler, expected rows, exact and measured probability of a miss."""
    from algos.lp_embeddings import inclusion_probabilities, leverage_scores, lewis_weights, sample_rows

    from ... import data

    dataset = data.load("flights")
    X, names = dataset.X, dataset.feature_names
    rows = X.shape[0]
    scores = {
        "uniform": np.ones(rows),
        "leverage": np.asarray(leverage_scores(X)),
        "lewis": np.asarray(lewis_weights(X, parameters.exponent)),
    }
    ranks = np.unique(np.round(np.geomspace(1, rows, parameters.points)).astype(np.int64))
    columns = [column for column, name in enumerate(names) if name.startswith("carrier=")]
    members = [np.flatnonzero(X[:, column]) for column in columns]
    arrays: dict[str, NDArray[Any]] = {
        "rank": ranks,
        "carrier": np.array([names[column].split("=")[1] for column in columns]),
        "flights": np.array([rows_of.size for rows_of in members]),
        "sample_size": np.array(parameters.sample_size),
        "draws": np.array(parameters.draws),
        "exponent": np.array(parameters.exponent),
        "shape": np.array(X.shape),
    }
    with (progress or Silent()).step("drawing samples", 3 * parameters.draws) as step:
        for name, score in scores.items():
            arrays[f"{name}_over_average"] = np.sort(score)[::-1][ranks - 1] / score.mean()
            q = inclusion_probabilities(score, parameters.sample_size)
            arrays[f"{name}_expected"] = np.array([q[rows_of].sum() for rows_of in members])
            # Rows are kept independently, so all rows of a carrier are lost with the product of the single probabilities.
            with np.errstate(divide="ignore"):
                arrays[f"{name}_miss"] = np.exp([np.log1p(-q[rows_of]).sum() for rows_of in members])
            missed = np.zeros(len(columns))
            for draw in range(parameters.draws):
                kept = sample_rows(q, seed=parameters.seed + draw).indices
                missed += X[kept][:, columns].sum(axis=0) == 0
                step.advance()
            arrays[f"{name}_missed"] = missed / parameters.draws
    return arrays


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    rows, columns = (int(size) for size in arrays["shape"])
    m, p = int(arrays["sample_size"]), float(arrays["exponent"])
    rare = int(np.argmin(arrays["flights"]))
    leverage, lewis = float(arrays["leverage_over_average"][0]), float(arrays["lewis_over_average"][0])
    lost = float(arrays["uniform_miss"][rare])
    carrier, flights = str(arrays["carrier"][rare]), int(arrays["flights"][rare])
    expected = float(arrays["uniform_miss"].sum())
    none = max(float(arrays[f"{name}_miss"].sum()) for name in ("leverage", "lewis"))
    none = 10.0 ** np.ceil(np.log10(max(none, 1e-300)))
    return Description(
        question="Where do the leverage scores and Lewis weights of real flights live, and what does uniform sampling miss?",
        answer=(
            f"The largest leverage score is {leverage:.0f} times and the largest Lewis weight (p = {p:g}) {lewis:.0f} times the average; "
            f"a uniform sample of {m:,} rows has no flight of carrier {carrier} ({flights} flights) with probability {lost:.2f} and loses "
            f"{expected:.1f} of {arrays['carrier'].size} carriers on average; samples of this size by either score lose practically none "
            f"(below {none:.0e})."
        ),
        data="All complete flights out of New York City in 2013; nothing is substituted.",
        sizes=(
            f"{rows:,} rows x {columns} columns; independent row sampling with {m:,} rows expected; dots are exact expectations; "
            f"{int(arrays['draws'])} samples drawn as a check."
        ),
        alt=(
            "Left: sorted scores over their average on log axes; both curves start above 300, cross 1 near the middle and fall below it. "
            "Right: expected sampled rows for each carrier; uniform sampling expects less than one row of the rarest carriers, "
            "the scores at least twenty of every carrier."
        ),
        numbers={
            "largest_leverage_over_average": leverage,
            "largest_lewis_over_average": lewis,
            "uniform_miss_probability_rarest": lost,
            "uniform_carriers_lost_mean": expected,
            "uniform_carriers_lost_measured": float(arrays["uniform_missed"].sum()),
            "leverage_carriers_lost_mean": float(arrays["leverage_miss"].sum()),
            "lewis_carriers_lost_mean": float(arrays["lewis_miss"].sum()),
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: sorted scores on the left, what a sample keeps of each carrier on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
    _draw_sorted(left, arrays)
    _draw_carriers(right, arrays)
    return figure


def _draw_sorted(axes: "Axes", arrays: Arrays) -> None:
    """Draw scores over their average against their rank; name the rare carriers whose rows make the steps."""
    from .. import style

    rank, leverage = arrays["rank"], arrays["leverage_over_average"]
    axes.axhline(1.0, color=style.PEERS[0], linestyle="--", linewidth=1.0)
    for name, color in (("leverage", style.OURS), ("lewis", style.OURS_TWO)):
        axes.plot(rank, arrays[f"{name}_over_average"], color=color)
    order = np.argsort(arrays["flights"])
    ends = np.cumsum(arrays["flights"][order])
    for carrier, first, last in zip(arrays["carrier"][order], np.append(0, ends)[:-1] + 1, ends, strict=True):
        if last / first > 1.6 and last < 0.05 * rank[-1]:  # a step wide enough to carry a name
            middle = np.sqrt(float(first) * last)
            style.end_label(axes, middle, float(np.interp(middle, rank, leverage)), carrier, color=style.OURS, dx=0, dy=8, ha="center")
    style.end_label(axes, 1.1e4, 2.3, "leverage scores", color=style.OURS, dx=6, dy=4)
    style.end_label(axes, 5.5e3, 1.6, "Lewis weights", color=style.OURS_TWO, dx=-4, ha="right")
    style.end_label(axes, 1.3, 1.0, "uniform sampling gives every row 1", color=style.PEERS[0], dx=0, dy=-8)
    axes.set(xscale="log", yscale="log", xlabel="rank of the row", ylabel="score / average score", xlim=(1, rank[-1]), ylim=(0.3, 600))
    axes.set_title(f"Sorted scores of {int(rank[-1]):,} flights; steps are carriers")


def _draw_carriers(axes: "Axes", arrays: Arrays) -> None:
    """Draw expected sampled rows for each carrier, fewest flights at the bottom, with the chance that uniform sampling has none."""
    from .. import style

    order = np.argsort(arrays["flights"])[::-1]
    place = np.arange(order.size)[::-1]
    m = int(arrays["sample_size"])
    axes.axvspan(1e-3, 1.0, facecolor="none", edgecolor=style.PREMISE_FAILS, hatch="////", linewidth=0)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(0.316, place[order.size // 2], "less than\none row", color=style.PEERS[0], ha="center", va="center", bbox=white)
    marks = (("uniform", style.PEERS[0], "s"), ("lewis", style.OURS_TWO, "D"), ("leverage", style.OURS, "o"))
    for name, color, marker in marks:
        axes.plot(arrays[f"{name}_expected"][order], place, linestyle="none", marker=marker, color=color)
    for row, expected, miss in zip(place, arrays["uniform_expected"][order], arrays["uniform_miss"][order], strict=True):
        if miss > 0.03:
            style.end_label(axes, expected, row, f"none in {100 * miss:.0f} %", color=style.PEERS[0], dx=8, bbox=white, fontsize="small")
    labels = [f"{carrier}  {flights:,}" for carrier, flights in zip(arrays["carrier"][order], arrays["flights"][order], strict=True)]
    axes.set_yticks(place, labels)
    axes.tick_params(axis="y", length=0)
    for name, text, row, dx in (("leverage", "leverage, Lewis", -4, 8), ("uniform", "uniform", -6, -8)):
        side = "left" if dx > 0 else "right"
        color = style.OURS if name == "leverage" else style.PEERS[0]
        style.end_label(axes, float(arrays[f"{name}_expected"][order][row]), place[row], text, color=color, dx=dx, ha=side)
    axes.set(xscale="log", xlabel=f"expected rows in a sample of {m:,}", xlim=(0.1, 1000))
    axes.set_title("Carrier and its flights")
