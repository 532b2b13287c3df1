"""Claims about total sensitivities: families where the sum is known, the range that the rank allows, the interval around an estimate."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings._parallel_rows import merge_parallel_rows
from algos.lp_embeddings.sensitivities import Sensitivities, lp_sensitivities
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import ADVERSARIAL, TYPICAL, random_table

cat = Catalogue("lp_embeddings/total_sensitivity")

FloatArray = npt.NDArray[np.float64]
Solver = Callable[..., Sensitivities]

_RTOL = 1e-6  # of every exact sensitivity


def _solved(A: FloatArray, p: float) -> Sensitivities:
    return lp_sensitivities(A, p, method="exact", rtol=_RTOL)


def _exact(A: FloatArray, p: float) -> FloatArray:
    return _solved(A, p).estimate


def _solver_budget(why: str) -> FloatBudget:
    return FloatBudget(k=1, cond=lambda inst, out: 2.0 * _RTOL * 2.0**53, scale=lambda inst, out: np.abs(out.reference), why=why)


_BRACKET = FloatBudget(
    k=1,
    cond=lambda inst, out: 16e-6 * 2.0**53 * (1.0 + inst.p),
    scale=lambda inst, out: np.abs(out.reference),
    why="the proved bounds include leverage scores that are accepted with an error of 16e-6, raised to powers of at most p/2",
)


def _root_forgotten(solve: Solver) -> Solver:
    def wrong(A: FloatArray, p: float) -> Sensitivities:
        found = solve(A, p)
        return replace(found, lower=found.lower ** (1.0 / p), upper=found.upper ** (1.0 / p))

    return wrong


# --- LP-05: families in closed form ------------------------------------------------------------------------------------------------


def _two_basis(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    d, p = point["d"], point["p"]
    return Instance({"d": d, "p": p}, {"A": instances.two_basis(d, point.get("copies", 1), p).A})


def _sign_cube(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance(dict(point), {"A": instances.sign_cube(point["d"], point["p"]).A})


@cat.inequality(
    "LP-05",
    budget=_BRACKET,
    impl={"formula": bounds.two_basis_total_sensitivity, "sensitivities": _solved},
    families=[
        Family("two_basis", _two_basis, grid=tuple({"d": d, "p": p} for d in (2, 4, 16) for p in (1.0, 1.5, 3.0, 4.0))),
        Family("repeated", _two_basis, grid=tuple({"d": 8, "copies": 5, "p": p} for p in (1.0, 1.5, 3.0)), role="adversarial"),
    ],
    trials={"quick": 1, "full": 1, "nightly": 1},
    mutants=[
        Mutant(
            "other_exponent",
            "impl",
            {"formula": lambda f: lambda *, d, p: 2.0 * d / (1.0 + d ** (p / 2.0))},
            why="d^(p/2) instead of d^(1-p/2)",
            part="two_basis(d=16,p=1.5)",
        ),
        Mutant(
            "one_basis",
            "impl",
            {"formula": lambda f: lambda *, d, p: f(d=d, p=p, bases=1)},
            why="the second basis is left out of the norm",
            part="two_basis(d=16,p=1.5)",
        ),
        Mutant(
            "root_forgotten",
            "impl",
            {"sensitivities": _root_forgotten},
            why="the p-th power is missing",
            part="two_basis(d=16,p=1.5)",
        ),
    ],
    companions=("LP-05a",),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Two bases"),
    title="two bases have a known total sensitivity",
    plain="The sensitivities of two unbiased bases add up to 2 d / (1 + d^(1 - p/2)), also when rows are repeated.",
    tex=r"S=\frac{2d}{1+d^{1-p/2}}",
)
def total_of_two_bases(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the lower bound and the formula beside the formula and the upper bound."""
    return _around(impl.sensitivities(inst.A, inst.p), impl.formula(d=inst.d, p=inst.p))


def _around(found: Sensitivities, formula: float) -> Outcome:
    lower, upper = math.fsum(found.lower), math.fsum(found.upper)
    return Outcome(np.array([lower, formula]), np.array([formula, upper]))


@cat.inequality(
    "LP-05a",
    budget=_BRACKET,
    impl={"formula": bounds.sign_cube_total_sensitivity, "sensitivities": _solved},
    families=[
        Family("sign_cube", _sign_cube, grid=tuple({"d": d, "p": p} for d in (2, 5, 8) for p in (1.0, 1.5, 3.0, 4.0)), role="adversarial")
    ],
    trials={"quick": 1, "full": 1, "nightly": 1},
    mutants=[
        Mutant(
            "both_signs",
            "impl",
            {"formula": lambda f: lambda *, d, p: 2.0 * f(d=d, p=p)},
            why="n = 2^d rows instead of 2^(d-1)",
            part="sign_cube(d=8,p=1)",
        ),
        Mutant(
            "gaussian_moment",
            "impl",
            {"formula": lambda f: lambda *, d, p: d ** (p / 2.0) * math.sqrt(math.pi) / (2.0 ** (p / 2.0) * math.gamma((p + 1.0) / 2.0))},
            why="the moment of the sum of signs is replaced by its limit for large d",
            part="sign_cube(d=5,p=1)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Sign cube"),
    title="the sign cube has a known total sensitivity",
    plain="The sensitivities of all sign vectors, up to a common sign, add up to d^p over the p-th moment of the sum of d signs.",
    tex=r"S=\frac{d^p}{\mathbb{E}\,\lvert\epsilon_1+\dots+\epsilon_d\rvert^p}",
)
def total_of_the_sign_cube(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the lower bound and the formula beside the formula and the upper bound."""
    return _around(impl.sensitivities(inst.A, inst.p), impl.formula(d=inst.d, p=inst.p))


# --- LP-05b: tables made of others -------------------------------------------------------------------------------------------------


def _assembled(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Put two blocks on a diagonal and split one row into multiples of itself; the sensitivities of the parts are known from each block."""
    p = point["p"]
    first = random_table(rng, point, n=30, d=3)
    second = 1e3 * random_table(rng, point, n=20, d=2)
    # factors whose p-th powers add up to one: the split row is the same row to every norm
    shares = rng.dirichlet(np.ones(4))
    factors = shares ** (1.0 / p) * rng.choice([-1.0, 1.0], 4)
    row = int(rng.integers(30))
    split = np.vstack([np.delete(first, row, axis=0), factors[:, None] * first[row]])
    A = np.zeros((len(split) + 20, 5))
    A[: len(split), :3], A[len(split) :, 3:] = split, second
    return Instance({"p": p}, {"A": A, "first": first, "second": second, "row": row, "shares": shares})


def _shares_by_size(solve: Solver) -> Solver:
    """Hand the sensitivity of merged rows down in proportion to their lengths."""

    def wrong(A: FloatArray, p: float) -> Sensitivities:
        merged = merge_parallel_rows(A, p)
        size = merged.share ** (1.0 / p)
        total = np.bincount(merged.owner, weights=size)
        found = solve(np.asarray(merged.rows, dtype=np.float64), p)
        shared = replace(merged, share=size / total[merged.owner])
        return replace(found, lower=shared.spread(found.lower), upper=shared.spread(found.upper))

    return wrong


def _merged_by_adding(solve: Solver) -> Solver:
    """Merge parallel rows by adding their lengths, which is right at p = 1 only."""

    def wrong(A: FloatArray, p: float) -> Sensitivities:
        merged = merge_parallel_rows(A, p)
        factor = np.bincount(merged.owner, weights=merged.share ** (1.0 / p))
        found = solve(np.asarray(merged.rows, dtype=np.float64) * factor[:, None], p)
        return replace(found, lower=merged.spread(found.lower), upper=merged.spread(found.upper))

    return wrong


@cat.inequality(
    "LP-05b",
    budget=_BRACKET,
    impl={"sensitivities": _solved},
    families=[
        Family("typical", _assembled, grid=tuple({"table": t, "p": p} for t in ("gaussian", "heavy_tailed") for p in (1.0, 1.5, 4.0))),
        Family("adversarial", _assembled, grid=tuple({"table": "spiked", "p": p} for p in (1.0, 3.0)), role="adversarial"),
    ],
    trials={"quick": 2, "full": 16},
    mutants=[
        Mutant(
            "shares_by_size",
            "impl",
            {"sensitivities": _shares_by_size},
            why="members of a merged row share by |c|, not by |c|^p",
            part="typical(table=gaussian,p=4)",
        ),
        Mutant(
            "merged_by_adding",
            "impl",
            {"sensitivities": _merged_by_adding},
            why="factors of parallel rows are added instead of their p-th powers",
            part="typical(table=gaussian,p=4)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, One sensitivity"),
    title="parallel rows share, blocks do not interfere",
    plain="A row that is split into multiples of itself hands each the share |c|^p; blocks on a diagonal have their own sensitivities.",
    tex=r"s(c_j a)=\frac{\lvert c_j\rvert^p}{\sum_k\lvert c_k\rvert^p}\,s(a)",
)
def assembled_tables(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return lower bounds, first of the assembled table and then of its parts, beside the upper bounds of the other."""
    first, second, whole = _solved(inst.first, inst.p), _solved(inst.second, inst.p), impl.sensitivities(inst.A, inst.p)
    lower, upper = (
        np.concatenate([np.delete(part, inst.row), inst.shares * part[inst.row], rest])
        for part, rest in ((first.lower, second.lower), (first.upper, second.upper))
    )
    return Outcome(np.concatenate([whole.lower, lower]), np.concatenate([upper, whole.upper]))


# --- LP-07: what the rank allows ---------------------------------------------------------------------------------------------------


def largest_total(*, p: float, rank: int) -> float:
    """Return the largest total sensitivity that the rank allows."""
    return bounds.total_sensitivity_range(p=p, rank=rank)[1]


def smallest_total(*, p: float, rank: int) -> float:
    """Return the smallest total sensitivity that the rank allows."""
    return bounds.total_sensitivity_range(p=p, rank=rank)[0]


def _table_of_rank(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    p = point["p"]
    named: dict[str, Callable[[], instances.MatrixInstance]] = {
        "identity": lambda: instances.identity(6, p),
        "two_basis": lambda: instances.two_basis(16, 1, p),
        "sign_cube": lambda: instances.sign_cube(8, p),
        "circle": lambda: _circle(p),
    }
    if point["table"] in named:
        made = named[point["table"]]()
        return Instance({"p": p, "rank": made.rank}, {"A": made.A})
    return Instance({"p": p, "rank": 4}, {"A": random_table(rng, point, n=40, d=4)})


def _circle(p: float) -> instances.MatrixInstance:
    angle = np.pi * np.arange(60) / 60
    return instances.MatrixInstance("circle", np.column_stack([np.cos(angle), np.sin(angle)]), p, 2)


_RANGES = [
    Family("typical", _table_of_rank, grid=tuple({"table": t, "p": p} for t in TYPICAL for p in (1.0, 1.5, 3.0, 6.0))),
    Family("adversarial", _table_of_rank, grid=tuple({"table": t, "p": p} for t in ADVERSARIAL for p in (1.0, 1.5, 3.0, 6.0))),
    Family(
        "extreme",
        _table_of_rank,
        grid=tuple({"table": t, "p": p} for t in ("identity", "two_basis", "sign_cube", "circle") for p in (1.0, 1.5, 3.0)),
        role="adversarial",
    ),
]


@cat.inequality(
    "LP-07",
    bound=largest_total,
    budget=_solver_budget("every sensitivity is solved to 1e-6"),
    impl={"sensitivities": _exact},
    families=_RANGES,
    tight=0.9999,
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "uncapped_leverage",
            "impl",
            {"sensitivities": lambda f: lambda A, p: np.sum(np.linalg.qr(A)[0] ** 2, axis=1) ** (p / 2.0)},
            why="powers of leverage scores are summed as if they were sensitivities",
            part="typical(table=gaussian,p=1)",
        ),
        Mutant(
            "range_for_small_p",
            "bound",
            lambda f: lambda *, p, rank: float(rank),
            why="the rank is taken for the largest sum at p > 2 too",
            part="typical(table=gaussian,p=6)",
        ),
        Mutant(
            "range_turned",
            "bound",
            lambda f: lambda *, p, rank: smallest_total(p=p, rank=rank),
            why="the ends of the range are exchanged",
            part="typical(table=gaussian,p=1)",
        ),
    ],
    companions=("LP-07a",),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The universal bracket"),
    title="the largest total sensitivity",
    plain="The total sensitivity is at most the rank for p <= 2 and at most its power p/2 above.",
    tex=r"S\le\max(d,\,d^{p/2})",
)
def total_from_above(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the sum of the computed sensitivities."""
    return Outcome(math.fsum(impl.sensitivities(inst.A, inst.p)))


@cat.inequality(
    "LP-07a",
    bound=smallest_total,
    sense=">=",
    budget=_solver_budget("every sensitivity is solved to 1e-6"),
    impl={"sensitivities": _exact},
    families=_RANGES,
    tight=0.9999,
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "exponent_p",
            "bound",
            lambda f: lambda *, p, rank: min(float(rank), float(rank) ** p),
            why="d^p instead of d^(p/2)",
            part="typical(table=gaussian,p=1)",
        ),
        Mutant(
            "lower_bracket_twice",
            "impl",
            {"sensitivities": lambda f: lambda A, p: f(A, p) * A.shape[1] ** -abs(1.0 - p / 2.0)},
            why="the factor of the bracket is taken off a value that is exact already",
            part="typical(table=gaussian,p=1)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The universal bracket"),
    title="the smallest total sensitivity",
    plain="The total sensitivity is at least the power p/2 of the rank for p <= 2 and at least the rank above.",
    tex=r"S\ge\min(d,\,d^{p/2})",
)
def total_from_below(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the sum of the computed sensitivities."""
    return Outcome(math.fsum(impl.sensitivities(inst.A, inst.p)))


# --- LP-07b: the interval around an estimated total ---------------------------------------------------------------------------------


def no_excess(*, m: int) -> float:
    """Return 0: the mean lies inside the interval."""
    return 0.0


@cat.tail(
    "LP-07b",
    bound=no_excess,
    levels=(0.2, 0.02),
    delta_in_algorithm=True,
    impl={"interval": bounds.betting_interval},
    families=[Family("rare", grid=tuple({"m": 30, "mean": mean} for mean in (0.02, 0.5)), role="adversarial")],
    trials={"quick": 512},
    mutants=[
        Mutant(
            "normal_interval",
            "impl",
            {"interval": lambda f: _normal_interval},
            why="mean and standard error of the sample, as if it were large",
            part="rare(m=30,mean=0.02)@0.02",
        ),
        Mutant(
            "range_of_the_sample",
            "impl",
            {"interval": lambda f: _seen_range},
            why="the range is that of the values drawn, not the proved one",
            part="rare(m=30,mean=0.02)@0.02",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, One sensitivity"),
    title="the interval for a total holds at any sample size",
    plain="The interval around an estimated total misses the truth with no more than its stated probability, however few rows were drawn.",
)
def interval_of_the_total(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return by how much the interval misses the mean of rare large values."""
    values = (rng.random(inst.m) < inst.mean).astype(np.float64)
    low, high = impl.interval(lower=values, upper=values, smallest=0.0, largest=1.0, delta=inst.delta)
    return Outcome(max(low - inst.mean, inst.mean - high))


def _normal_interval(*, lower: FloatArray, upper: FloatArray, smallest: float, largest: float, delta: float) -> tuple[float, float]:
    half = math.sqrt(2.0 * math.log(2.0 / delta) / len(lower)) * float(np.std(lower))
    return float(np.mean(lower)) - half, float(np.mean(upper)) + half


def _seen_range(*, lower: FloatArray, upper: FloatArray, smallest: float, largest: float, delta: float) -> tuple[float, float]:
    return bounds.betting_interval(lower=lower, upper=upper, smallest=float(lower.min()), largest=float(upper.max()), delta=delta)
