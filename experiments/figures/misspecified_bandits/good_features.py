"""Error of sparse recovery on random signs against the sparsity, and how many queries tell sparse models apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Good features: few queries, errors like √s"
TOPIC = "sparse_recovery"
DATA: tuple[str, ...] = ()
SERIES: tuple[tuple[Literal["equal", "geometric"], str], ...] = (("equal", "omp"), ("geometric", "omp"), ("geometric", "htp"))
NAMES = ("large coefficients", "halving coefficients", "halving, thresholding")
ADVERSARIES = ("random", "hide_tail", "decoy", "flatten_top")
ROUNDING = 1e-9  # of an eigenvalue that is zero

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    sparsities : tuple of int
    features, actions : int
        Of the left panel.
    eps : float
        Misspecification; equal coefficients are 10 eps, halving ones begin near it.
    tables : int
        Tables for each sparsity.
    queries : tuple of int
        Queries of the right panel.
    small : tuple of three int
        Actions, features and sparsity of the right panel.
    draws : int
        Query sets for each number of queries.
    seed : int
    """

    sparsities: tuple[int, ...] = (2, 4, 8, 16)
    features: int = 100
    actions: int = 1000
    eps: float = 0.1
    tables: int = 5
    queries: tuple[int, ...] = (4, 6, 8, 11, 16, 24, 40)
    small: tuple[int, int, int] = (150, 7, 2)
    draws: int = 6
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(sparsities=(2, 4, 8, 16, 32), features=400, actions=4000, tables=10, small=(300, 9, 2), draws=10)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return largest prediction errors over eps by series, sparsity and run, and norming constants with eigenvalues by queries and draw."""
    from joblib import Parallel, delayed

    left = [(s, table) for s in parameters.sparsities for table in range(parameters.tables)]
    right = [(m, draw) for m in parameters.queries for draw in range(parameters.draws)]
    with (
        (progress or Silent()).step("fits", len(left) + len(right)) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        errors, constants = [], []
        for numbers in pool(delayed(_errors)(parameters, *cell) for cell in left):
            errors.append(numbers)
            step.advance()
        for pair in pool(delayed(_constants)(parameters, *cell) for cell in right):
            constants.append(pair)
            step.advance()
    measured = np.array(errors).reshape(len(parameters.sparsities), -1, len(SERIES) + 1)
    norming = np.array(constants).reshape(len(parameters.queries), parameters.draws, 2)
    return {
        "sparsities": np.array(parameters.sparsities),
        "spent": np.median(measured[..., -1], axis=1),
        "errors": np.moveaxis(measured[..., :-1], -1, 0),
        "queries": np.array(parameters.queries),
        "norming": norming[..., 0],
        "bound": norming[..., 1],
        "sizes": np.array([parameters.actions, parameters.features]),
        "small": np.array(parameters.small),
    }


def _errors(parameters: Parameters, s: int, table: int) -> tuple[float, ...]:
    """Return the largest prediction error over eps of every series, the worst of all adversaries, and the queries spent."""
    from algos.misspecified_bandits import SparseRecoveryBandit, make_sparse_sign, run

    eps, d = parameters.eps, parameters.features
    worst = [0.0] * len(SERIES)
    spent = 0
    for place, (signal, method) in enumerate(SERIES):
        R = 10.0 * eps * s**0.5 if signal == "equal" else 10.0 * eps
        for adversary in ADVERSARIES:
            rng = np.random.default_rng([parameters.seed, s, table])
            made = make_sparse_sign(parameters.actions, d, s, eps, adversary=adversary, signal=signal, R=R, random_state=rng)
            learner = SparseRecoveryBandit(s, eps, method=method, check_best=False, random_state=table, on_coherent="ignore")
            spent = run(made.env(), learner, budget=None, batch=parameters.actions, look_every=2**40).n_pulls
            worst[place] = max(worst[place], float(np.max(np.abs(made.X @ (learner.coef_ - made.theta)))) / eps)
    return (*worst, float(spent))


def _constants(parameters: Parameters, m: int, draw: int) -> tuple[float, float]:
    """Return the norming constant of random queries for differences of two models, and its bound by the least eigenvalue."""
    from algos.misspecified_bandits import norming_constant
    from algos.misspecified_bandits._supports import support_blocks

    K, d, s = parameters.small
    rng = np.random.default_rng([parameters.seed, m, draw])
    X = rng.choice([-1.0, 1.0], (K, d))
    asked = rng.choice(K, m, replace=False)
    gram = X[asked].T @ X[asked] / m
    supports = np.concatenate([block for _, block in support_blocks(d, 2 * s)])
    least = float(np.linalg.eigvalsh(gram[supports[:, :, None], supports[:, None, :]]).min())
    return norming_constant(X, asked, 2 * s).value, np.sqrt(2 * s / least) if least > ROUNDING else np.inf


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    s = arrays["sparsities"].astype(float)
    scaled = arrays["errors"] / np.sqrt(s)[:, None]
    finite = np.mean(np.isfinite(arrays["norming"]), axis=1)
    sure = arrays["queries"][int(np.argmax(finite == 1.0))] if (finite == 1.0).any() else None
    K, d = (int(size) for size in arrays["sizes"])
    middle = np.median(arrays["errors"][0], axis=1)
    seen = f"finite in all draws from {sure} queries on" if sure else "never finite in all draws"
    few, columns, sparsity = (int(size) for size in arrays["small"])
    return Description(
        question="When features are good, how many queries are enough, and how does the error grow with the sparsity?",
        answer=(
            f"With 4 s ln(e d/s) queries, {arrays['spent'][0]:.0f} to {arrays['spent'][-1]:.0f}, matching pursuit errs by "
            f"{middle[0]:.2g} to {middle[-1]:.2g} eps against the worst adversary (median, large coefficients); no error "
            f"exceeds {scaled.max():.2g} sqrt(s) eps. The norming constant is {seen}, and "
            f"{float(np.median(arrays['norming'][-1])):.3g} in the median after {arrays['queries'][-1]}."
        ),
        data=(
            f"Left: {K:,} rows of random signs, d = {d}, s coefficients of 10 eps, or halving ones; errors by the worst of "
            f"{', '.join(name.replace('_', ' ') for name in ADVERSARIES)}. Right: {few} rows of signs, d = {columns}, models of {sparsity}."
        ),
        sizes=(
            f"Left: {arrays['errors'].shape[2]} tables for each s, medians and 5-95 % range; dashed: the claim, a constant that was not "
            f"exceeded and no theorem. Right: {arrays['norming'].shape[1]} draws of the queries, each a dot, exact by linear "
            "programs; dots "
            "at the top are infinite; dashed: median of sqrt(2 s / least eigenvalue), a bound in each draw. That "
            "good features allow poly(s/eps) queries is the paper's; its definition of good is not known to us. These fits are standard, "
            "norming constants are ours."
        ),
        alt=(
            "Left: errors of three fits rise slowly with the sparsity, below a dashed line of slope one half. Right: the norming "
            "constant is infinite for few queries, then finite and falling, below its dashed bound."
        ),
        numbers={
            "median_error_over_eps": dict(zip(NAMES, np.median(arrays["errors"], axis=2).tolist(), strict=True)),
            "largest_over_sqrt_s": float(scaled.max()),
            "share_finite": finite.tolist(),
        },
    )


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: errors by sparsity on the left, norming constants by queries on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2)
    s = arrays["sparsities"].astype(float)
    marks = ((style.OURS, "o", "-"), (style.OURS_TWO, "s", "--"), (style.OURS_THIRD, "^", ":"))
    for name, values, (color, marker, dash) in zip(NAMES, arrays["errors"], marks, strict=True):
        style.median_band(left, s, values, color=color, marker=marker, linestyle=dash, label=name)
    left.plot(s, 2.0 * np.sqrt(s), color=style.BOUND, linestyle="--")
    style.end_label(left, s[-1], 2.0 * np.sqrt(s[-1]), "2 √s", color=style.BOUND, dx=0, dy=8, ha="right")
    low, high = 0.6 * float(arrays["errors"].min()), 9.0 * np.sqrt(s[-1])
    left.set(xscale="log", yscale="log", xlabel="coefficients s", ylabel="largest prediction error / ε", ylim=(low, high))
    left.set_xticks(s, [f"{value:g}" for value in s])
    ticks = [tick for tick in (0.2, 0.5, 1, 2, 5, 10, 20, 50) if low <= tick <= high]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    left.legend(loc="upper left")
    finite = np.isfinite(arrays["norming"])
    top = 3.0 * float(arrays["norming"][finite].max())
    queries = np.repeat(arrays["queries"][:, None], finite.shape[1], axis=1) * np.linspace(0.97, 1.03, finite.shape[1])
    right.plot(queries[finite], arrays["norming"][finite], color=style.OURS, marker="o", linestyle="none", fillstyle="none")
    right.plot(queries[~finite], np.full((~finite).sum(), top), color=style.OURS, marker="^", linestyle="none", fillstyle="none")
    if not finite.all():
        style.end_label(right, float(queries[~finite].max()), top, "infinite", color=style.OURS, dx=9)
    bound = np.median(arrays["bound"], axis=1)
    known = np.isfinite(bound)
    right.plot(arrays["queries"][known], bound[known], color=style.BOUND, linestyle="--")
    if known.any():
        style.end_label(right, arrays["queries"][known][-1], bound[known][-1], "√(2 s / λ)", color=style.BOUND, dx=4, dy=4)
    right.set(xscale="log", yscale="log", xlabel="queries m", ylabel="norming constant Γ", ylim=(0.9, 1.4 * top))
    right.set_xlim(right=1.7 * arrays["queries"][-1])
    right.set_xticks(arrays["queries"], [str(m) for m in arrays["queries"]])
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100) if tick < top]
    right.set_yticks(ticks, [str(tick) for tick in ticks])
    for axes in (left, right):
        axes.minorticks_off()
    return figure
