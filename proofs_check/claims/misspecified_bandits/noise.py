"""Claims about repeats against noise: how many are needed, that learners make as many, and what is missed in spite of them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import HullEnumeration, OptimisticElimination, SparseCoverEnumeration
from algos.misspecified_bandits._columns import largest_length
from algos.misspecified_bandits.bounds import elimination_bound, noisy_repeats
from proofs_check import Budget, Catalogue, Family, FloatBudget, Instance, Mutant, Source
from proofs_check.claims.misspecified_bandits import _wrong_elimination as wrong
from proofs_check.claims.misspecified_bandits._problems import EPS, actions, few, sparse_model
from proofs_check.model import Tier

cat = Catalogue("misspecified_bandits/noise")

FloatArray = npt.NDArray[np.float64]

_NOISE_PROOF = "docs/theory/misspecified_bandits.md, Noise"
_LEARNERS: Mapping[str, Any] = {"hull": HullEnumeration, "cover": SparseCoverEnumeration, "elimination": OptimisticElimination}
_TRIALS: dict[Tier, Budget] = {
    "quick": Budget(448, 64, slack_trials=64),
    "full": Budget(4096, 64, slack_trials=512),
    "nightly": Budget(65_536, 64, slack_trials=4096),
}


def _noisy(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Make a small noisy problem whose errors hurt most what is queried."""
    X = actions(rng, "sphere", 12, 2)
    theta = sparse_model(rng, 2, 1)
    planned = HullEnumeration(s=1).fit(X).planned_ if point["learner"] == "hull" else np.arange(6)
    nu = np.full(12, EPS)
    nu[planned] = -EPS
    return Instance({**point, "eps": EPS, "e": EPS, "eta": EPS, "length": largest_length(X, 1)}, {"X": X, "theta": theta, "nu": nu})


def suboptimality_under_noise(*, learner: str, eps: float, e: float, eta: float, length: float) -> float:
    """Return the bound without noise and 2 e."""
    net = 0.0 if learner == "hull" else eta * length
    return elimination_bound(eps=eps, eta=net, length=1.0, noise=e)


def _gaussian(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.standard_normal(n)


def _signs(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.choice([-1.0, 1.0], n)


_NOISE = {"gaussian": _gaussian, "signs": _signs}


def _answered(learner: Any, mean: FloatArray, noise: Callable[[int], FloatArray]) -> None:
    """Answer all questions with independent noise."""
    while not learner.done_:
        asked = learner.ask(10_000)
        learner.tell(asked, mean[asked] + noise(asked.size))


@cat.tail(
    "MB-18",
    bound=suboptimality_under_noise,
    levels=(0.2, 0.05),
    delta_in_algorithm=True,
    impl=_LEARNERS,
    families=[
        Family("typical", _noisy, grid=tuple({"learner": name, "noise": "gaussian"} for name in _LEARNERS), draw="part"),
        Family("adversarial", _noisy, grid=({"learner": "hull", "noise": "signs"},), role="adversarial", draw="part"),
    ],
    budgets=_TRIALS,
    companions=("MB-18a", "MB-18b"),
    mutants=[
        Mutant(
            "single_pulls",
            "impl",
            {
                "hull": wrong.with_repeats(lambda m: 1),
                "cover": wrong.with_repeats(lambda m: 1),
                "elimination": wrong.with_repeats(lambda m: 1),
            },
            "every action is pulled once",
            part="typical(learner=hull,*@0.05",
            killers=("MB-18b",),
        ),
        Mutant(
            "best_pull",
            "impl",
            {"hull": wrong.best_single_pull},
            "the action of the largest single answer is recommended",
            part="typical(learner=hull,*@0.05",
            killers=("MB-18", "MB-18b"),
        ),
    ],
    source=Source("derived", proof=_NOISE_PROOF),
    title="repeats against noise",
    plain="With the number of repeats that the formula gives, hulls, nets and elimination recommend an action within 2 e more than without "
    "noise, with probability 1 - delta.",
    tex=r"P\Bigl(\max_br(b)-r(\hat a)>2\varepsilon+2\eta B+2e\Bigr)\le\delta",
)
def suboptimality_with_repeats(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the suboptimality of the recommendation."""
    options = {"eps": inst.eps, "sigma": 0.25, "delta": inst.delta}
    make = getattr(impl, inst.learner)
    learner = make(s=1, **options) if inst.learner == "hull" else make(s=1, eta=inst.eta, **options)
    learner.fit(inst.X)
    mean = inst.X @ inst.theta + inst.nu
    _answered(learner, mean, lambda n: 0.25 * _NOISE[inst.noise](rng, n))
    return float(mean.max() - mean[learner.recommend()])


def _all_means(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({**point, "error": 1.0})


def error_of_means(*, error: float) -> float:
    """Return the error that all means keep to."""
    return error


@cat.tail(
    "MB-18a",
    bound=error_of_means,
    params=("error",),
    levels=(0.5, 0.2, 0.05),
    delta_in_algorithm=True,
    impl={"repeats": noisy_repeats},
    families=[
        Family(
            "typical",
            _all_means,
            grid=({"sigma": 1.0, "queries": 20, "noise": "gaussian"}, {"sigma": 2.5, "queries": 300, "noise": "gaussian"}),
        ),
        Family(
            "adversarial",
            _all_means,
            grid=({"sigma": 1.3, "queries": 1, "noise": "gaussian"}, {"sigma": 1.0, "queries": 1, "noise": "signs"}),
            role="adversarial",
        ),
    ],
    trials={"quick": 1536, "full": 20_032, "nightly": 1_000_000},
    companions=("MB-18b",),
    mutants=[
        Mutant(
            "half", "impl", {"repeats": wrong.fewer(lambda m: -(-m // 2))}, "sigma^2 in place of 2 sigma^2", part="typical(sigma=2.5,*@0.05"
        ),
        Mutant("no_union", "impl", {"repeats": wrong.one_query}, "the number of actions is left out", part="typical(sigma=2.5,*@0.05"),
        Mutant(
            "sigma_for_variance", "impl", {"repeats": wrong.root_of_sigma}, "sigma in place of sigma^2", part="typical(sigma=2.5,*@0.05"
        ),
        Mutant("delta_forgotten", "impl", {"repeats": wrong.sure_of(0.9)}, "delta plays no part", part="adversarial(sigma=1.3,*@0.05"),
    ],
    source=Source("derived", proof=_NOISE_PROOF),
    title="all means are right at once",
    plain="With the number of repeats that the formula gives, the means of all actions are within e of their expectations at once, with "
    "probability 1 - delta.",
    tex=r"m=\left\lceil\frac{2\sigma^2\ln(2Q/\delta)}{e^2}\right\rceil",
)
def largest_error_of_a_mean(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the largest error of a mean; a mean of Gaussians is drawn at once."""
    m = impl.repeats(sigma=inst.sigma, n_queries=inst.queries, delta=inst.delta, error=inst.error)
    if inst.noise == "gaussian":
        return float(inst.sigma / math.sqrt(m) * np.max(np.abs(rng.standard_normal(inst.queries))))
    return float(inst.sigma * np.max(np.abs(2.0 * rng.binomial(m, 0.5, inst.queries) / m - 1.0)))


@cat.identity(
    "MB-18b",
    bound=noisy_repeats,
    params=("sigma", "n_queries", "delta", "error"),
    budget=FloatBudget(k=1, why="whole numbers"),
    impl=_LEARNERS,
    families=[
        Family(
            "learners",
            grid=tuple(
                {"learner": name, "sigma": sigma, "error": EPS, "delta": delta, "n_queries": queries}
                for name, queries in (("hull", 4), ("cover", 4), ("elimination", 12))
                for sigma, delta in ((0.25, 0.1), (1.0, 0.01))
            ),
            role="adversarial",
        )
    ],
    budgets=few(4, 16, 64),
    mutants=[
        Mutant("single_pulls", "impl", {name: wrong.with_repeats(lambda m: 1) for name in _LEARNERS}, "every action is pulled once"),
        Mutant("all_actions", "bound", lambda f: lambda **k: f(**{**k, "n_queries": 12}), "all actions are counted where a plan is known"),
        Mutant("delta_in_two", "impl", {name: wrong.with_repeats(lambda m: m + 1) for name in _LEARNERS}, "one pull too many"),
        Mutant(
            "best_pull",
            "impl",
            {"hull": wrong.best_single_pull},
            "the action of the largest single answer is recommended",
            part="learners(learner=hull,*",
        ),
    ],
    source=Source("derived", proof=_NOISE_PROOF),
    title="learners pull as often as the formula says",
    plain="Learners pull every action that they query as often as the formula says, for the number of actions in their plan, or all "
    "actions where there is no plan.",
)
def pulls_of_every_action(inst: Instance, rng: np.random.Generator, impl: Any) -> FloatArray:
    """Return how often every queried action was pulled, and a repeat less where the recommendation is not the best mean."""
    X = np.column_stack([np.cos(np.arange(12) / 2.0), np.sin(np.arange(12) / 2.0)])
    make = getattr(impl, inst.learner)
    options = {"eps": EPS, "sigma": inst.sigma, "delta": inst.delta}
    learner = (make(s=1, **options) if inst.learner == "hull" else make(s=1, eta=0.25, **options)).fit(X)
    _answered(learner, 0.05 * X[:, 0], lambda n: inst.sigma * rng.standard_normal(n))
    queries, rewards = learner.history_
    counts = np.bincount(queries, minlength=12)
    means = np.bincount(queries, weights=rewards, minlength=12) / np.maximum(counts, 1)
    best = int(np.argmax(np.where(counts > 0, means, -np.inf)))
    return np.asarray(counts[counts > 0] - (learner.recommend() != best), dtype=np.float64)
