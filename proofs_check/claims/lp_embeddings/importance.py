"""Claims about root leverage scores in rounds: sums, sizes, weights, and what is left of the norms."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linalg import row_leverages, whitening
from algos.common.randomness import row_uniforms
from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.distortion import distortion
from algos.lp_embeddings.importance import RecursiveSample, recursive_root_leverage, row_scores
from algos.lp_embeddings.samplers import inclusion_probabilities, root_leverage
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import FLIGHTS, few_trials, random_table

cat = Catalogue("lp_embeddings/importance")

FloatArray = npt.NDArray[np.float64]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


# --- rounds of root leverage ------------------------------------------------------------------------------------------------------------

_FACTOR = 3.0


def _table_and_sensitivities(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    p = point["p"]
    known: dict[str, Callable[[], instances.MatrixInstance]] = {
        "two_basis": lambda: instances.two_basis(8, 40, p),
        "mixture": lambda: instances.mixture_hard_instance(8, 16, 5, p),
        "one_column": lambda: instances.one_column(rng.standard_t(1.2, 300), p),
    }
    if point["table"] in known:
        made = known[point["table"]]()
        return Instance(dict(point), {"A": made.A, "s": made.sensitivities})
    A = random_table(rng, point, n=1500, d=4)
    return Instance(dict(point), {"A": A, "s": _shares(rng, A, p)})


def _shares(rng: np.random.Generator, A: FloatArray, p: float) -> FloatArray:
    """Shares of the norm that rows have in some directions: lower bounds on their sensitivities."""
    x = np.linalg.pinv(A.T @ A) @ A[rng.integers(len(A), size=30)].T
    powers = np.abs(A @ x) ** p
    return np.asarray(np.max(powers / powers.sum(axis=0), axis=1))


def _flights(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = point["dataset"].X[:: point["step"]]
    return Instance({"p": point["p"], "m": point["m"]}, {"A": A, "s": _shares(rng, A, point["p"])})


def _without_scale(recurse: Callable[..., RecursiveSample]) -> Callable[..., RecursiveSample]:
    """Recompute the scores of later rounds on the rows as they are in the table."""

    def wrong(A: FloatArray, p: float, m: float, *, seed: int) -> RecursiveSample:
        alive, weights, rounds = np.arange(len(A)), np.ones(len(A)), []
        for level in range(60):
            scores = root_leverage(np.minimum(row_leverages(A[alive], whitening(A[alive])), 1.0), p)
            target = max(m, _FACTOR * float(scores.sum()))
            last = target >= 0.7 * len(alive) or target == m
            q = inclusion_probabilities(scores, m if last else target)
            rounds.append((len(alive), float(scores.sum()), float(q.sum())))
            kept = row_uniforms(seed, 0, len(A), level)[alive] < q
            alive, weights = alive[kept], weights[kept] / q[kept]
            if last:
                break
        return RecursiveSample(alive, weights, np.ones(len(A)), tuple(rounds))

    return wrong


def _scores_of_first_round(A: FloatArray, p: float) -> FloatArray:
    return row_scores(A, p, "root_leverage").scores


@cat.inequality(
    "LP-17",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: 16e-6 * 2.0**53,
        scale=lambda inst, out: np.abs(out.reference),
        why="leverage scores are accepted with an error of 16e-6 at worst",
    ),
    impl={"recurse": recursive_root_leverage, "scores": _scores_of_first_round},
    families=[
        Family(
            "typical",
            _table_and_sensitivities,
            grid=tuple({"table": t, "p": p, "m": 80} for t in ("gaussian", "heavy_tailed") for p in (1.0, 1.5)),
        ),
        Family(
            "adversarial",
            _table_and_sensitivities,
            grid=tuple({"table": t, "p": p, "m": 40} for t in ("two_basis", "mixture", "one_column") for p in (1.0, 1.5)),
            role="adversarial",
        ),
        Family("flights", _flights, grid=({"p": 1.0, "step": 20, "m": 700},), role="real", dataset=FLIGHTS),
    ],
    tight=0.999,
    trials={"quick": 1},
    companions=("LP-17a", "LP-17b"),
    mutants=[
        Mutant(
            "half_power_forgotten",
            "impl",
            {"scores": lambda f: lambda A, p: f(A, p) ** (2.0 / p)},
            why="leverage scores without the power p/2 are taken for bounds on sensitivities",
            part="adversarial(table=one_column,p=1,m=40)",
            killers=("LP-17",),
        ),
        Mutant(
            "sum_not_capped_by_rounds",
            "impl",
            {"recurse": lambda f: lambda A, p, m, *, seed: f(A, p, m, seed=seed, factor=2.0 * _FACTOR)},
            why="twice as many rows survive each round",
            part="typical(table=gaussian,p=1,m=80)",
            killers=("LP-17",),
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Root leverage scores in rounds"),
    title="rounds of root leverage scores",
    plain="Root leverage scores bound sensitivities for p <= 2, their sum is at most n^(1-p/2) d^(p/2) in every round, and each round "
    "keeps at most three times that many rows in expectation, or the number asked for.",
    tex=r"s_i\le\tau_i^{p/2},\qquad\sum_i\tau_i^{p/2}\le n^{1-p/2}d^{p/2}",
)
def rounds_of_root_leverage(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return sensitivities, sums and sizes beside their bounds."""
    A, p, d = inst.A, inst.p, inst.A.shape[1]
    found = impl.recurse(A, p, inst.m, seed=_seed(rng))
    most = np.array([bounds.root_leverage_rows(n=n, p=p, rank=d) for n, _, _ in found.rounds])
    sums, sizes = np.array([mass for _, mass, _ in found.rounds]), np.array([size for _, _, size in found.rounds])
    return Outcome(np.r_[inst.s, sums, sizes], np.r_[impl.scores(A, p), most, np.maximum(_FACTOR * sums, inst.m)])


def _half(*, m: int) -> float:
    """Distortion allowed."""
    return 0.5


def _long(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    if point["table"] == "coherent":
        return Instance(dict(point), {"A": instances.coherent(1000, 1, 2, 1.0, rng).A})
    return Instance(dict(point), {"A": random_table(rng, point, n=1000, d=3)})


@cat.tail(
    "LP-17a",
    bound=_half,
    levels=(0.1,),
    impl={"recurse": recursive_root_leverage},
    families=[
        Family("long", _long, grid=tuple({"table": t, "m": 60} for t in ("gaussian", "heavy_tailed"))),
        Family("adversarial", _long, grid=tuple({"table": t, "m": 60} for t in ("coherent", "row_scales")), role="adversarial"),
    ],
    budgets=few_trials(16),
    mutants=[
        Mutant(
            "weights_of_the_last_round",
            "impl",
            {"recurse": lambda f: lambda *a, **k: _last_weights(f(*a, **k))},
            why="weights of earlier rounds are forgotten",
            part="long(table=gaussian,m=60)@0.1",
        ),
    ],
    source=Source("paper", reference="Woodruff, Yasuda 2023, arXiv 2306.00732, abstract; rounds, constants and the size 20 d are ours"),
    title="rounds of root leverage scores embed",
    plain="At p = 1, 20 d rows left by several rounds of root leverage sampling have distortion at most one half in nine of ten samples, "
    "as far as the search for the distortion sees.",
)
def distortion_after_rounds(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the distortion of one sample."""
    found = impl.recurse(inst.A, 1.0, inst.m, seed=_seed(rng))
    return distortion(inst.A, inst.A[found.indices] * found.weights[:, None], 1.0, method="ascent", starts=3).lower


def _last_weights(found: RecursiveSample) -> RecursiveSample:
    last = found.rounds[-1][2] / found.rounds[-1][0]
    return RecursiveSample(found.indices, np.full(len(found.indices), 1.0 / last), found.probabilities, found.rounds)


def _by_factorisation(A: FloatArray, p: float, m: float, seed: int) -> FloatArray:
    """Weights of all rows after the rounds, 0 where a row is gone, with leverage scores from QR factors."""
    alive, weights = np.arange(len(A)), np.ones(len(A))
    for level in range(60):
        Q = np.linalg.qr(A[alive] * (weights ** (1.0 / p))[:, None])[0]
        scores = np.sum(Q**2, axis=1) ** (p / 2.0)
        target = max(m, _FACTOR * float(scores.sum()))
        last = target >= 0.7 * len(alive) or target == m
        q = inclusion_probabilities(scores, m if last else target)
        kept = row_uniforms(seed, 0, len(A), level)[alive] < q
        alive, weights = alive[kept], weights[kept] / q[kept]
        if last:
            break
    everywhere = np.zeros(len(A))
    everywhere[alive] = weights
    return everywhere


@cat.identity(
    "LP-17b",
    budget=FloatBudget(
        k=16,
        cond=lambda inst, out: 1e4,
        scale=lambda inst, out: 5.0 * np.abs(out.reference),
        why="leverage scores by Gram matrices lose 16 u times the square of a condition below 100, in each of some three rounds and in "
        "alpha",
    ),
    impl={"recurse": recursive_root_leverage},
    families=[
        Family("long", _long, grid=({"table": "gaussian", "m": 60}, {"table": "heavy_tailed", "m": 60})),
        Family("adversarial", _long, grid=({"table": "row_scales", "m": 60}, {"table": "block_diagonal", "m": 60}), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "scores_of_unscaled_rows",
            "impl",
            {"recurse": _without_scale},
            why="later rounds compute leverage scores of the rows without their weights",
            part="long(table=gaussian,m=60)",
        ),
        Mutant(
            "weights_of_the_last_round",
            "impl",
            {"recurse": lambda f: lambda *a, **k: _last_weights(f(*a, **k))},
            why="weights of earlier rounds are forgotten",
            part="long(table=gaussian,m=60)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Root leverage scores in rounds"),
    title="each round scores the rows as weighted by then",
    plain="Every round of the recursion follows the root leverage scores of the rows multiplied by the p-th roots of their weights, and "
    "the weights of all rounds multiply.",
)
def weights_after_all_rounds(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the weights of all rows beside those of the recursion by QR factorisation."""
    seed = _seed(rng)
    found = impl.recurse(inst.A, 1.0, inst.m, seed=seed)
    weights = np.zeros(len(inst.A))
    weights[found.indices] = found.weights
    return Outcome(weights, _by_factorisation(inst.A, 1.0, inst.m, seed))
