"""Claims about lp sensitivities: the bracket that any positive weights give, and the lifted bound for even exponents."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.monomials import monomial_exponents
from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings._score_problem import lifted_leverages
from algos.lp_embeddings.sensitivities import lp_sensitivities, sensitivity_bracket
from proofs_check import Catalogue, EquivalentProof, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import FLIGHTS, random_table, searched, small_table

cat = Catalogue("lp_embeddings/sensitivities")

FloatArray = npt.NDArray[np.float64]
Bracket = Callable[[FloatArray, float, FloatArray], tuple[FloatArray, FloatArray]]

_EXPONENTS = (1.0, 1.3, 2.0, 3.0, 6.0)
_WEIGHTS = ("ones", "lognormal", "wild", "lewis", "spike")


def _weights(kind: str, made: instances.MatrixInstance, rng: np.random.Generator) -> FloatArray:
    n = made.A.shape[0]
    if kind == "lewis" and made.lewis_weights is not None:
        return np.maximum(made.lewis_weights, 1e-300)
    if kind == "spike":
        return np.where(np.arange(n) == rng.integers(n), 1e6, 1.0)
    return np.asarray(np.exp({"lognormal": 1.0, "wild": 5.0}.get(kind, 0.0) * rng.standard_normal(n)))


def _exact(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    p = point["p"]
    tables: dict[str, Callable[[], instances.MatrixInstance]] = {
        "two_basis": lambda: instances.two_basis(8, 2, p),
        "sign_cube": lambda: instances.sign_cube(6, p),
        "identity": lambda: instances.identity(5, p),
        "one_column": lambda: instances.one_column(rng.standard_t(1.2, 40), p),
        "mixture": lambda: instances.mixture_hard_instance(4, 2, 3, p),
    }
    made = tables[point["table"]]()
    return Instance({"p": p}, {"A": made.A, "truth": made.sensitivities, "v": _weights(point["v"], made, rng)})


def _two_columns(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.two_columns(random_table(rng, point, n=40, d=2))
    return Instance({"p": 1.0}, {"A": made.A, "truth": made.sensitivities, "v": _weights(point["v"], made, rng)})


def _searched_bracket(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    """Take a small table with two columns, whose sensitivities are known at p = 1, and any weights."""
    A, v = small_table(x, point), np.exp(5.0 * np.tanh(x[-point["n"] :]))
    return Instance({"p": 1.0}, {"A": A, "truth": instances.two_columns(A).sensitivities, "v": v})


def _flights(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take the flights table, whose sensitivities are not known: shares of the norm that rows have in some directions stand for them."""
    A, p = point["dataset"].X, point["p"]
    rows = np.linalg.lstsq(A.T @ A, A[rng.integers(len(A), size=8)].T)[0]
    powers = np.abs(A @ rows) ** p
    return Instance({"p": p}, {"A": A, "shares": np.max(powers / powers.sum(axis=0), axis=1), "v": np.exp(rng.standard_normal(len(A)))})


def _grid(tables: tuple[str, ...], exponents: tuple[float, ...], weights: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"table": table, "p": p, "v": v} for table in tables for p in exponents for v in weights)


def _wrong(by_ratio: Callable[[float, float, int], float], by_total: Callable[[float, float, int], float]) -> Callable[[Bracket], Bracket]:
    """Make a bracket with other factors: functions of (rho or the sum of v, p, d)."""

    def mutate(bracket: Bracket) -> Bracket:
        def wrong(A: FloatArray, p: float, v: FloatArray) -> tuple[FloatArray, FloatArray]:
            t = (np.linalg.qr(v[:, None] ** (0.5 - 1.0 / p) * A)[0] ** 2).sum(axis=1)
            core = v ** (1.0 - p / 2.0) * t ** (p / 2.0)
            ends = core * by_ratio(float(np.max(t / v)), p, A.shape[1]), core * by_total(float(v.sum()), p, A.shape[1])
            lower, upper = ends[::-1] if p <= 2.0 else ends
            return np.minimum(lower, 1.0), np.minimum(upper, 1.0)

        return wrong

    return mutate


def _power_of_ratio(rho: float, p: float, d: int) -> float:
    return float(rho ** (1.0 - p / 2.0))


def _power_of_total(total: float, p: float, d: int) -> float:
    return float(total ** (p / 2.0 - 1.0))


@cat.inequality(
    "LP-06",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: 16e-6 * 2.0**53 * (1.0 + inst.p),
        scale=lambda inst, out: np.abs(out.reference),
        why="leverage scores are accepted with an error of 16e-6 at worst, raised to powers of at most p/2 in core and factor",
    ),
    impl={"sensitivity_bracket": sensitivity_bracket},
    families=[
        Family("exact", _exact, grid=_grid(("two_basis", "one_column", "mixture"), _EXPONENTS, _WEIGHTS), role="adversarial"),
        Family(
            "listed",
            _exact,
            grid=_grid(("two_basis", "sign_cube", "identity", "mixture"), _EXPONENTS, ("ones", "lewis")),
            role="enumeration",
        ),
        Family("flights", _flights, grid=({"p": 1.0}, {"p": 3.0}), role="real", dataset=FLIGHTS),
        Family(
            "two_columns",
            _two_columns,
            grid=tuple({"table": t, "v": v} for t in ("gaussian", "heavy_tailed", "row_scales") for v in ("ones", "wild")),
        ),
        searched(_searched_bracket, lambda point: ((point["n"], point["d"]), (point["n"],)), ({"n": 4, "d": 2}, {"n": 10, "d": 2})),
    ],
    tight=0.999,
    trials={"quick": 2},
    search={"quick": 300, "full": 5_000, "nightly": 100_000},
    mutants=[
        Mutant(
            "exponents_swapped",
            "impl",
            {"sensitivity_bracket": _wrong(lambda rho, p, d: rho ** (p / 2.0 - 1.0), lambda total, p, d: total ** (1.0 - p / 2.0))},
            why="the exponents of rho and of the sum of v are exchanged",
            part="exact(table=mixture,p=1,v=lognormal)",
        ),
        Mutant(
            "rho_omitted",
            "impl",
            {"sensitivity_bracket": _wrong(lambda rho, p, d: 1.0, _power_of_total)},
            why="weights are taken for one-sided Lewis weights",
            part="exact(table=one_column,p=1,v=wild)",
        ),
        Mutant(
            "sum_is_rank",
            "impl",
            {"sensitivity_bracket": _wrong(_power_of_ratio, lambda total, p, d: _power_of_total(float(d), p, d))},
            why="the sum of v is taken for the rank",
            part="exact(table=one_column,p=1,v=lognormal)",
        ),
        Mutant(
            "power_forgotten",
            "impl",
            {"sensitivity_bracket": lambda f: lambda A, p, v: tuple(side ** (2.0 / p) for side in f(A, p, v))},
            why="the support function is not raised to the power p",
            part="exact(table=one_column,p=1,v=lewis)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The universal bracket"),
    title="the bracket around every sensitivity",
    plain="Any positive weights bound every sensitivity from both sides, from one leverage computation.",
    tex=r"c_i\left(\sum v\right)^{p/2-1}\le s_i\le c_i\,\rho^{1-p/2}\quad(p\le 2),\qquad\text{reversed for } p\ge 2",
)
def bracket_of_sensitivities(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return lower bounds and sensitivities beside sensitivities and upper bounds."""
    lower, upper = impl.sensitivity_bracket(inst.A, inst.p, inst.v)
    if "shares" in inst.data:
        return Outcome(np.concatenate([lower, inst.shares]), np.concatenate([upper, upper]))
    return Outcome(np.concatenate([lower, inst.truth]), np.concatenate([inst.truth, upper]))


# --- LP-18: even exponents ---------------------------------------------------------------------------------------------------------

_RTOL = 1e-6  # of every exact sensitivity


def _solved(A: FloatArray, p: float) -> FloatArray:
    return lp_sensitivities(A, p, method="exact", rtol=_RTOL).estimate


_SOLVER = FloatBudget(
    k=1, cond=2.0 * _RTOL * 2.0**53, scale=lambda inst, out: np.abs(out.reference), why="every sensitivity is solved to 1e-6"
)


def _polynomials(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    d, n = point["d"], 60
    angle = np.pi * (np.arange(n) + 0.5) / n
    nodes = {"even": np.linspace(-1.0, 1.0, n), "chebyshev": np.cos(angle), "random": rng.uniform(-1.0, 1.0, n)}[point["nodes"]]
    return Instance({"p": point["p"], "rank": d}, {"A": np.polynomial.legendre.legvander(nodes, d - 1)})


def _sparse_or_dense(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = random_table(rng, point, n=60, d=3)
    return Instance({"p": point["p"], "rank": 3}, {"A": A})


_POLYNOMIALS = Family(
    "polynomials",
    _polynomials,
    grid=tuple({"nodes": nodes, "d": d, "p": p} for nodes in ("even", "chebyshev", "random") for d, p in ((8, 4.0), (5, 4.0), (5, 6.0))),
    role="adversarial",
)
_TABLES = Family(
    "tables", _sparse_or_dense, grid=tuple({"table": t, "p": p} for t in ("gaussian", "heavy_tailed", "one_hot") for p in (4.0, 6.0))
)


def _circle(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    angle = np.pi * np.arange(60) / 60
    return Instance({"p": point["p"], "rank": 2}, {"A": np.column_stack([np.cos(angle), np.sin(angle)])})


# no direction is better than another, so that the lifted rows come near the bound: 8/3 of 3 at p = 4
_CIRCLE = Family("circle", _circle, grid=({"p": 4.0}, {"p": 6.0}), role="adversarial")


def _lift(A: FloatArray, p: float) -> FloatArray:
    return lifted_leverages(RowSource(A), p)


def _leverages_of(lift: Callable[[FloatArray, int], FloatArray]) -> Callable[[FloatArray, float], FloatArray]:
    """Leverage scores of other features of degree p/2."""

    def scores(A: FloatArray, p: float) -> FloatArray:
        Q = np.linalg.qr(A)[0]
        left, values, _ = np.linalg.svd(lift(Q, int(p) // 2), full_matrices=False)
        kept: FloatArray = left[:, values > 1e-12 * values[0]]
        return np.asarray(np.sum(kept**2, axis=1))

    return scores


def _unweighted(Q: FloatArray, degree: int) -> FloatArray:
    exponents = monomial_exponents(Q.shape[1], degree)
    return np.asarray(np.prod(Q[:, None, :] ** exponents, axis=2))


@cat.inequality(
    "LP-18",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: (16e-6 + 2.0 * _RTOL) * 2.0**53,
        scale=lambda inst, out: out.reference,
        why="leverage scores of lifted rows are accepted with an error of 16e-6, sensitivities are solved to 1e-6",
    ),
    impl={"lifted": _lift},
    families=[_POLYNOMIALS, _TABLES],
    tight=0.9,
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "no_cross_terms",
            "impl",
            {"lifted": lambda f: _leverages_of(lambda Q, degree: Q**degree)},
            why="rows are lifted to pure powers of their entries only",
            part="tables(table=gaussian,p=4)",
        ),
        Mutant(
            "degree_p",
            "impl",
            {"lifted": lambda f: lambda A, p: f(A, 2.0)},
            why="rows are not lifted at all",
            part="tables(table=gaussian,p=4)",
        ),
        Mutant(
            "no_multinomial_weights",
            "impl",
            {"lifted": lambda f: _leverages_of(_unweighted)},
            why="monomials without their weights",
            equivalent=EquivalentProof("they span the same space, and leverage scores depend on the span of the columns alone"),
        ),
    ],
    companions=("LP-18a", "LP-18b"),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Even exponents"),
    title="lifted leverage scores bound sensitivities for even p",
    plain="For even p a sensitivity is at most the leverage score of the row's monomials of degree p/2.",
    tex=r"s_i\le\tau_i(\Phi),\qquad \phi(a)\cdot\phi(x)=(a\cdot x)^{p/2}",
)
def lifted_leverage_bound(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return sensitivities beside lifted leverage scores."""
    return Outcome(_solved(inst.A, inst.p), impl.lifted(inst.A, inst.p))


@cat.inequality(
    "LP-18a",
    bound=bounds.polynomial_total_sensitivity,
    budget=_SOLVER,
    impl={"sensitivities": _solved},
    families=[_POLYNOMIALS],
    tight=0.75,
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "degree_not_raised",
            "bound",
            lambda f: lambda *, p, rank: float(rank),
            why="the power p/2 of a polynomial has the polynomial's own degree",
            part="polynomials(nodes=chebyshev,d=8,p=4)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Even exponents"),
    title="total sensitivity of polynomials",
    plain="For even p the sensitivities of polynomials with d coefficients add up to at most p (d - 1)/2 + 1, on any nodes.",
    tex=r"S\le\frac{p(d-1)}{2}+1",
)
def total_of_polynomials(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the sum of the computed sensitivities."""
    return Outcome(math.fsum(impl.sensitivities(inst.A, inst.p)))


@cat.inequality(
    "LP-18b",
    bound=bounds.lifted_total_sensitivity,
    budget=_SOLVER,
    impl={"sensitivities": _solved},
    families=[_TABLES, _CIRCLE],
    tight=0.85,
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "no_repetition",
            "bound",
            lambda f: lambda *, p, rank: math.comb(rank, min(int(p) // 2, rank)),
            why="monomials without repeated variables",
            part="tables(table=gaussian,p=4)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Even exponents"),
    title="total sensitivity for even p",
    plain="For even p the total sensitivity is at most the number of monomials of degree p/2.",
    tex=r"S\le\binom{d+p/2-1}{p/2}",
)
def total_for_even_exponents(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the sum of the computed sensitivities."""
    return Outcome(math.fsum(impl.sensitivities(inst.A, inst.p)))
