"""Claims about scores made from leverage scores: root leverage in rounds, and leverage joined with sensitivities for p > 2."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from algos.common.linalg import row_leverages, whitening
from algos.common.randomness import row_uniforms
from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.distortion import distortion
from algos.lp_embeddings.importance import RecursiveSample, recursive_root_leverage, row_scores
from algos.lp_embeddings.samplers import RowSample, inclusion_probabilities, leverage_sensitivity, root_leverage, sample_rows
from algos.lp_embeddings.sensitivities import lp_sensitivities
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


# --- leverage joined with sensitivities -------------------------------------------------------------------------------------------------


_FLAT_COLUMNS = {"cube_and_flat": 1, "cube_and_24_flat": 24}


def _known_sensitivities(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return a table with its sensitivities: in closed form where there is one, else computed to 1 %."""
    p = point["p"]
    known: dict[str, Callable[[], instances.MatrixInstance]] = {
        "two_basis": lambda: instances.two_basis(8, 32, p),
        "mixture": lambda: instances.mixture_hard_instance(4, 32, 3, p),
        "cube_and_flat": lambda: instances.sign_cube(8, p),
        "cube_and_24_flat": lambda: instances.sign_cube(8, p),
        "one_column": lambda: instances.one_column(rng.standard_t(1.2, 300), p),
    }
    if point["table"] in known:
        made = known[point["table"]]()
        A, s = made.A, np.asarray(made.sensitivities)
        if point["table"] in _FLAT_COLUMNS:  # columns of their own, spread evenly, beside a block with a large total
            columns = _FLAT_COLUMNS[point["table"]]
            A = scipy.linalg.block_diag(A, np.kron(np.eye(columns), np.full((8, 1), 8.0 ** (-1.0 / p))))
            s = np.r_[s, np.full(8 * columns, 0.125)]
        return Instance(dict(point), {"A": A, "s": s})
    A = random_table(rng, point, n=200, d=4)
    return Instance(dict(point), {"A": A, "s": lp_sensitivities(A, p, method="exact", rtol=1e-2).upper})


def _leverages(A: FloatArray) -> FloatArray:
    """Leverage scores from an orthogonal factor."""
    U, values = np.linalg.svd(A / np.maximum(np.linalg.norm(A, axis=0), 1e-300), full_matrices=False)[:2]
    return np.asarray(np.sum(U[:, values > 1e-12 * values[0]] ** 2, axis=1))


def _flights_of_one_day(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = point["dataset"].X[:: point["step"]]
    return Instance({"p": point["p"], "m": point["m"]}, {"A": A, "s": row_scores(A, point["p"], "sensitivity").sensitivity_upper})


@cat.inequality(
    "LP-31",
    budget=FloatBudget(
        k=64,
        cond=lambda inst, out: 1e3,
        scale=lambda inst, out: np.abs(out.reference),
        why="the equation for alpha is solved to rounding, and leverage scores by a factor lose u times a condition below 1000",
    ),
    impl={"combine": leverage_sensitivity, "probabilities": inclusion_probabilities},
    families=[
        Family(
            "typical",
            _known_sensitivities,
            grid=tuple({"table": t, "p": p, "m": m} for t in ("gaussian", "heavy_tailed") for p, m in ((3.0, 20), (4.0, 60))),
        ),
        Family(
            "adversarial",
            _known_sensitivities,
            grid=(
                *({"table": t, "p": p, "m": 40} for t in ("two_basis", "mixture", "cube_and_flat", "one_column") for p in (2.5, 6.0)),
                {"table": "cube_and_24_flat", "p": 6.0, "m": 60},
            ),
            role="adversarial",
        ),
        Family("flights", _flights_of_one_day, grid=({"p": 4.0, "step": 400, "m": 200},), role="real", dataset=FLIGHTS),
    ],
    trials={"quick": 1},
    companions=("LP-31a",),
    mutants=[
        Mutant(
            "sensitivities_alone",
            "impl",
            {"combine": lambda f: lambda s, tau: s / s.sum()},
            why="the leverage scores are forgotten",
            part="typical(table=gaussian,p=4,m=60)",
            killers=("LP-31",),
        ),
        Mutant(
            "leverage_alone",
            "impl",
            {"combine": lambda f: lambda s, tau: tau / tau.sum()},
            why="the sensitivities are forgotten",
            part="adversarial(table=cube_and_24_flat,p=6,m=60)",
            killers=("LP-31",),
        ),
        Mutant(
            "scores_without_their_sums",
            "impl",
            {"combine": lambda f: np.maximum},
            why="scores are compared instead of their shares in both sums",
            part="adversarial(table=cube_and_flat,p=6,m=40)",
            killers=("LP-31",),
        ),
        Mutant(
            "smaller_share",
            "impl",
            {"combine": lambda f: lambda s, tau: np.minimum(s / s.sum(), tau / tau.sum())},
            why="the smaller of the two shares is taken",
            part="typical(table=gaussian,p=4,m=60)",
            killers=("LP-31",),
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Leverage joined with sensitivities"),
    title="one sample for two kinds of scores",
    plain="With the larger of the two shares as score, every row is drawn at least as often as by either score at half the size, so that "
    "what is proved from sensitivities holds at twice the size, and the squares of the norms are kept as well.",
    tex=r"q_i\ge\min\Bigl(1,\ \frac1n+\frac{m-1}2\max\Bigl(\frac{s_i}S,\frac{\tau_i}d\Bigr)\Bigr)",
)
def probabilities_of_joined_scores(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the probabilities of either score at half the size beside those of the joined ones."""
    tau = _leverages(inst.A)
    shares = np.maximum(inst.s / inst.s.sum(), tau / tau.sum())
    q = impl.probabilities(impl.combine(inst.s, tau), inst.m)
    least = 1.0 / np.count_nonzero(shares) + 0.5 * (inst.m - 1.0) * shares
    return Outcome(np.minimum(1.0, least), q)


def _joined_size(p: float, d: int, total: float) -> int:
    return bounds.sample_size(sampler="leverage_sensitivity", p=p, d=d, S=total, eps=0.5, C=2.0, L=1.0)


@cat.tail(
    "LP-31a",
    bound=_half,
    levels=(0.1,),
    impl={"combine": leverage_sensitivity, "scale": RowSample.scale, "size": _joined_size},
    families=[
        Family("computed", _known_sensitivities, grid=tuple({"table": t, "p": 4.0, "m": 0} for t in ("gaussian", "heavy_tailed"))),
        Family(
            "exact",
            _known_sensitivities,
            grid=({"table": "two_basis", "p": 3.0, "m": 0}, {"table": "mixture", "p": 4.0, "m": 0}),
            role="adversarial",
        ),
    ],
    budgets=few_trials(16),
    mutants=[
        Mutant(
            "weight_multiplies_rows",
            "impl",
            {"scale": lambda f: lambda sample, p: sample.weights},
            why="rows are multiplied by 1/q instead of its p-th root",
            part="exact(table=two_basis,p=3,m=0)@0.1",
        ),
        Mutant(
            "scores_of_other_rows",
            "impl",
            {"combine": lambda f: lambda s, tau: f(np.roll(s, 1), np.roll(tau, 1))},
            why="scores belong to a table whose rows have shifted by one, as after a dropped row",
            part="computed(table=heavy_tailed,p=4,m=0)@0.1",
        ),
    ],
    source=Source(
        "paper", reference="Woodruff, Yasuda 2023, arXiv 2306.00732, abstract; the way of joining, the constant 2 and no logarithm are ours"
    ),
    title="leverage joined with sensitivities embeds at its size",
    plain="At p = 3 and 4, the distortion of 2 eps^-2 d^(2/p) S^(2-4/p) rows drawn by the larger share is at most one half in nine of ten "
    "samples, as far as the search for the distortion sees.",
)
def distortion_of_joined_scores(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the distortion of one sample of the size that the formula gives."""
    A, p = inst.A, inst.p
    m = min(impl.size(p, A.shape[1], float(inst.s.sum())), len(A))
    sample = sample_rows(inclusion_probabilities(impl.combine(inst.s, _leverages(A)), m), seed=_seed(rng))
    return distortion(A, A[sample.indices] * impl.scale(sample, p)[:, None], p, method="ascent", starts=2).lower
