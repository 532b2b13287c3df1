"""Certified and true distance from the best action against the number of answers, and the misspecification that the answers prove."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Certificates after few answers"
TOPIC = "version_space"
DATA: tuple[str, ...] = ()
SEARCHES = ("random", "hulls", "version space")
ROUNDING = 1e-6  # of eps: certificates end where models miss answers by a little more than eps

Arrays = Mapping[str, NDArray[Any]]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    actions, features, sparsity : int
    eps : float
        Misspecification, and what the certificates assume; every error has this size.
    answers : tuple of int
        Numbers of answers after which certificates are made.
    tables : int
        Tables, each with an own model.
    seed : int
    """

    actions: int = 300
    features: int = 6
    sparsity: int = 2
    eps: float = 0.1
    answers: tuple[int, ...] = (3, 5, 8, 12, 20, 32, 50)
    tables: int = 10
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(actions=1000, features=10, answers=(3, 5, 8, 12, 20, 32, 50, 80, 130), tables=40)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return certificates, true suboptimality and proved misspecification, in units of eps, by search, number of answers and table."""
    from joblib import Parallel, delayed

    with (
        (progress or Silent()).step("tables", parameters.tables) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        found = []
        for numbers in pool(delayed(_table)(parameters, table) for table in range(parameters.tables)):
            found.append(numbers)
            step.advance()
    by_search = np.moveaxis(np.array(found), 0, -2) / parameters.eps
    return {
        "answers": np.array(parameters.answers),
        "certificate": by_search[..., 0],
        "suboptimality": by_search[..., 1],
        "eps_min": by_search[..., 2],
        "sizes": np.array([parameters.actions, parameters.features, parameters.sparsity]),
        "eps": np.array(parameters.eps),
    }


def _table(parameters: Parameters, table: int) -> list[list[tuple[float, float, float]]]:
    """Return certificate, suboptimality and proved misspecification of all searches on one table."""
    from algos.misspecified_bandits import ExactVersionSpace, HullEnumeration, RandomSearch, certify_history, make_sparse_gaussian, run

    s, eps, budget = parameters.sparsity, parameters.eps, max(parameters.answers)
    rng = np.random.default_rng([parameters.seed, table])
    made = make_sparse_gaussian(parameters.actions, parameters.features, s, eps, adversary="flatten_top", random_state=rng)
    learners = (RandomSearch(random_state=table), HullEnumeration(s), ExactVersionSpace(s, eps, target=0.0))
    numbers = []
    for learner in learners:
        trace = run(made.env(), learner, budget=budget, look_every=2**40)
        row = []
        for n in parameters.answers:
            proof = certify_history(made.X, trace.queries[:n], trace.rewards[:n], s=s, eps=eps)
            row.append((proof.value, float(made.mean.max() - made.mean[proof.recommended]), proof.eps_min))
        numbers.append(row)
    return numbers


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    certificate, true, floor = (np.median(arrays[name], axis=2) for name in ("certificate", "suboptimality", "eps_min"))
    answers = arrays["answers"].tolist()
    place = answers.index(20) if 20 in answers else len(answers) // 2
    wrong = int(np.count_nonzero(arrays["certificate"] < arrays["suboptimality"] - ROUNDING))
    over = int(np.count_nonzero(arrays["eps_min"] > 1.0 + ROUNDING))
    K, d, s = (int(value) for value in arrays["sizes"])
    facts = ", ".join(f"{certificate[i, place]:.3g} eps for {SEARCHES[i]} (true {true[i, place]:.2g} eps)" for i in (2, 1, 0))
    return Description(
        question="How soon can it be proved that no action is much better, and how much of the proof is slack?",
        answer=(
            f"After {answers[place]} of {K:,} answers the median certificate is {facts}; {wrong} of {arrays['certificate'].size} "
            f"certificates are below the truth. By then the answers prove a misspecification of {floor[2, place]:.2g} eps; {over} prove "
            "more than there is."
        ),
        data=(
            f"Generated rows on the unit sphere, K = {K:,}, d = {d}, a random model with s = {s} coefficients; errors of size "
            f"eps = {float(arrays['eps']):g} lower the best tenth of the actions and raise the others. Certificates assume this eps and "
            "coefficients of size at most 1."
        ),
        sizes=(
            f"{arrays['certificate'].shape[2]} tables; lines are medians, bands the 5-95 % range. Black: true suboptimality of the action "
            "certified. Dashed: 2 eps, what querying all hull vertices promises before anything is asked. All of this is ours; the paper "
            "has no certificates."
        ),
        alt=(
            "Three panels, one for each search: the certificate falls with the number of answers, fastest for the version space, and lies "
            "above the true distance. Fourth panel: the proved misspecification rises towards one eps and never passes it."
        ),
        numbers={
            "certificate_over_eps": dict(zip(SEARCHES, certificate.tolist(), strict=True)),
            "suboptimality_over_eps": dict(zip(SEARCHES, true.tolist(), strict=True)),
            "eps_min_over_eps": dict(zip(SEARCHES, floor.tolist(), strict=True)),
            "certificates_below_the_truth": wrong,
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: certificate and truth for each search, and the proved misspecification."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    panels = figure.subplots(1, 4, sharex=True)
    answers = arrays["answers"].astype(float)
    marks = ((style.OURS_THIRD, "^"), (style.OURS_TWO, "s"), (style.OURS, "o"))
    top = 1.05 * float(np.quantile(arrays["certificate"], 0.95, axis=2).max())
    for place, (axes, (color, marker)) in enumerate(zip(panels, marks, strict=False)):
        style.median_band(axes, answers, arrays["certificate"][place], color=color, marker=marker)
        style.median_band(axes, answers, arrays["suboptimality"][place], color=style.EXACT, marker=".", linewidth=0.8)
        axes.axhline(2.0, color=style.BOUND, linestyle="--")
        axes.set(ylim=(0.0, top), title=SEARCHES[place], xscale="log", xlabel="answers")
        style.median_band(panels[3], answers, arrays["eps_min"][place], color=color, marker=marker)
    for name, text, color in (("certificate", "certified", marks[0][0]), ("suboptimality", "true", style.EXACT)):
        style.end_label(panels[0], answers[1], float(np.median(arrays[name][0, 1])), text, color=color, dx=4, dy=8)
    style.end_label(panels[2], answers[-1], 2.0, "2 ε", color=style.BOUND, dx=0, dy=8, ha="right")
    panels[0].set_ylabel("distance from the best action / ε")
    panels[3].axhline(1.0, color=style.EXACT, linewidth=0.8)
    panels[3].set(ylim=(0.0, 1.15), title="proved misspecification / ε")
    panels[3].set_xticks(answers[::2], [f"{value:g}" for value in answers[::2]])
    panels[3].set_xlabel("answers")
    panels[3].minorticks_off()
    return figure
