"""Claims about single sensitivities: the certificates of the support function, and what an independent solver says."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import instances
from algos.lp_embeddings.lp_support import SupportResult, lp_support
from algos.lp_embeddings.sensitivities import Sensitivities, lp_sensitivities
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import FLIGHTS, random_table, searched, small_table

cat = Catalogue("lp_embeddings/lp_support")

FloatArray = npt.NDArray[np.float64]
Support = Callable[..., SupportResult]

_TOL = 1e-6
_ROW_TOL = 1e-4
_ROWS = 8  # asked for in a trial
_RESIDUAL = 1e-10  # of the dual equations, relative to the largest entry of g
_EXPONENTS = (1.0, 1.3, 2.0, 3.0, 4.0, 6.0)


def _norm(r: FloatArray, p: float) -> float:
    top = float(np.max(np.abs(r)))
    return top if p == np.inf else top * float(np.sum((np.abs(r) / top) ** p)) ** (1.0 / p)


def _conjugate(p: float) -> float:
    return np.inf if p == 1.0 else p / (p - 1.0)


def _known(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Build tables whose sensitivities have a closed form; every trial asks for a few of their rows."""
    p = point["p"]
    tables: dict[str, Callable[[], instances.MatrixInstance]] = {
        "two_basis": lambda: instances.two_basis(8, 2, p),
        "sign_cube": lambda: instances.sign_cube(6, p),
        "identity": lambda: instances.identity(5, p),
        "one_column": lambda: instances.one_column(rng.standard_t(1.2, 40), p),
        "mixture": lambda: instances.mixture_hard_instance(4, 2, 3, p),
    }
    made = tables[point["table"]]()
    assert made.sensitivities is not None
    return Instance({"p": p}, {"A": made.A, "truth": made.sensitivities, "rows": rng.integers(made.A.shape[0], size=_ROWS)})


def _two_columns(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.two_columns(random_table(rng, point, n=40, d=2))
    return Instance({"p": 1.0}, {"A": made.A, "truth": made.sensitivities, "rows": rng.integers(40, size=_ROWS)})


def _random(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = random_table(rng, point, n=40, d=4)
    return Instance({"p": point["p"]}, {"A": A, "row": int(rng.integers(len(A)))})


def _flights(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take every 16th row of the flights table, whose sensitivities are not known: only the certificates are judged."""
    A = np.ascontiguousarray(point["dataset"].X[::16])
    return Instance({"p": point["p"]}, {"A": A, "truth": np.full(len(A), np.nan), "rows": rng.integers(len(A), size=_ROWS // 4)})


def _searched_table(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    """Take a small table; its sensitivities are known at p = 1, elsewhere only the certificates are judged."""
    A, p = small_table(x, point), point["p"]
    truth = instances.two_columns(A).sensitivities if p == 1.0 else np.full(len(A), np.nan)
    return Instance({"p": p}, {"A": A, "truth": truth, "rows": np.arange(2)})


def _grid(tables: tuple[str, ...], exponents: tuple[float, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"table": table, "p": p} for table in tables for p in exponents)


_EXACT = [
    Family("known", _known, grid=_grid(("two_basis", "sign_cube", "identity", "one_column", "mixture"), _EXPONENTS), role="adversarial"),
    Family("two_columns", _two_columns, grid=tuple({"table": t} for t in ("gaussian", "heavy_tailed", "row_scales"))),
]


# --- mistakes ---------------------------------------------------------------------------------------------------------------------


def _gradient_as_dual(support: Support) -> Support:
    """Return the gradient of the norm at x for the dual: right at the exact optimum only, elsewhere it does not meet the equations."""

    def wrong(A: FloatArray, g: FloatArray, p: float, *, tol: float) -> SupportResult:
        found = support(A, g, p, tol=tol)
        x = found.x + 1e-3 * float(np.linalg.norm(found.x)) * np.cos(np.arange(len(g)))  # stopped a little early
        r = A @ x
        y = found.upper * np.sign(r) * np.abs(r / _norm(r, p)) ** (p - 1.0)
        return replace(found, x=x / _norm(r, p), y=y, upper=_norm(y, _conjugate(p)))

    return wrong


def _reweighted_least_squares(support: Support) -> Support:
    """Solve p = 1 by reweighting alone, with a floor under the residuals."""

    def wrong(A: FloatArray, g: FloatArray, p: float, *, tol: float) -> SupportResult:
        if p != 1.0:
            return support(A, g, p, tol=tol)
        weights = np.ones(len(A))
        for _ in range(60):
            z = np.linalg.lstsq((A.T * weights) @ A, g)[0]
            x = z / float(g @ z)
            r = np.abs(A @ x)
            y, weights = weights * (A @ z), 1.0 / np.maximum(r, 1e-6 * r.max())
        size = _norm(r, p)
        return SupportResult(np.asarray(x / size, dtype=np.float64), y, float(g @ x) / size, _norm(y, np.inf))

    return wrong


def _same_exponent(support: Support) -> Support:
    """Measure the dual in the norm of the primal."""

    def wrong(A: FloatArray, g: FloatArray, p: float, *, tol: float) -> SupportResult:
        found = support(A, g, p, tol=tol)
        return replace(found, upper=_norm(found.y, p))

    return wrong


def _root_forgotten(sensitivities: Callable[..., Sensitivities]) -> Callable[..., Sensitivities]:
    """Return support functions for sensitivities: the p-th power is missing."""

    def wrong(A: FloatArray, p: float, **options: Any) -> Sensitivities:
        found = sensitivities(A, p, **options)
        return replace(found, lower=found.lower ** (1.0 / p), upper=found.upper ** (1.0 / p))

    return wrong


# --- claims -----------------------------------------------------------------------------------------------------------------------


@cat.inequality(
    "LP-04",
    budget=FloatBudget(
        k=lambda inst, out: 16 * inst.A.size,
        cond=lambda inst, out: inst.p + 1.0,
        scale=lambda inst, out: np.abs(out.reference),
        why="products with A and norms, two passes each",
    ),
    impl={"lp_support": lp_support},
    families=[
        *_EXACT,
        Family("flights", _flights, grid=({"p": 1.0}, {"p": 3.0}), role="real", dataset=FLIGHTS),
        searched(_searched_table, lambda point: ((point["n"], point["d"]),), tuple({"n": 4, "d": 2, "p": p} for p in (1.0, 1.3, 6.0))),
    ],
    tight=0.999999,
    trials={"quick": 4},
    search={"quick": 300, "full": 5_000, "nightly": 100_000},
    mutants=[
        Mutant(
            "gradient_as_dual",
            "impl",
            {"lp_support": _gradient_as_dual},
            why="the dual is the gradient at x, which does not satisfy the equations unless x is optimal",
            part="known(table=one_column,p=3)",
        ),
        Mutant(
            "reweighting_at_p_1",
            "impl",
            {"lp_support": _reweighted_least_squares},
            why="reweighted least squares alone at p = 1: the dual stalls",
            part="two_columns(table=gaussian)",
        ),
        Mutant(
            "norm_of_the_dual",
            "impl",
            {"lp_support": _same_exponent},
            why="the dual is measured with exponent p instead of p'",
            part="known(table=one_column,p=3)",
        ),
    ],
    companions=("LP-04b",),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, One sensitivity"),
    title="the support function lies between its certificates",
    plain="The returned x and y prove the returned bounds, the true value lies between them, and they are close.",
    tex=r"\frac{g\cdot x}{\|Ax\|_p}\le h(g)\le\|y\|_{p'}\quad\text{whenever } A^\top y=g",
)
def certificates_of_the_support_function(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return bounds, residual and width beside what they may be at most; everything is computed again from x and y."""
    judged = [_judged(impl.lp_support, inst.A, inst.p, inst.A[row], inst.truth[row]) for row in inst.rows if np.any(inst.A[row])]
    return Outcome(np.concatenate([values for values, _ in judged]), np.concatenate([limits for _, limits in judged]))


def _judged(support: Support, A: FloatArray, p: float, g: FloatArray, truth: float) -> tuple[FloatArray, FloatArray]:
    found = support(A, g, p, tol=_TOL)
    lower, upper = float(g @ found.x) / _norm(A @ found.x, p), _norm(found.y, _conjugate(p))
    residual = float(np.max(np.abs(A.T @ found.y - g))) / float(np.max(np.abs(g)))
    values, limits = [found.lower, upper, residual, upper / lower - 1.0], [lower, found.upper, _RESIDUAL, _TOL]
    if not np.isnan(truth):
        values, limits = [*values, lower**p, truth], [*limits, truth, upper**p]
    return np.array(values), np.array(limits)


@cat.inequality(
    "LP-04a",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: 16e-6 * 2.0**53 * (1.0 + inst.p),
        scale=lambda inst, out: np.concatenate([out.reference[:-1], [1e-12]]),
        why="leverage scores behind the first bounds are accepted with an error of 16e-6; the width is compared as it is",
    ),
    impl={"lp_sensitivities": lp_sensitivities},
    families=_EXACT,
    tight=0.9999,
    trials={"quick": 2},
    mutants=[
        Mutant(
            "power_forgotten",
            "impl",
            {"lp_sensitivities": _root_forgotten},
            why="the support function is not raised to the power p",
            part="known(table=two_basis,p=3)",
        ),
        Mutant(
            "bracket_for_exact",
            "impl",
            {"lp_sensitivities": lambda f: lambda A, p, *, method, rtol: f(A, p, method="bracket")},
            why="the bounds of the bracket are returned as if the problems had been solved",
            part="known(table=two_basis,p=3)",
        ),
        Mutant(
            "next_exponent",
            "impl",
            {"lp_sensitivities": lambda f: lambda A, p, **options: f(A, p + 1.0, **options)},
            why="exponent p + 1, as in the derivative's antiderivative",
            part="known(table=two_basis,p=3)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, One sensitivity"),
    title="exact sensitivities of all rows",
    plain="Every sensitivity lies between its bounds, and these are as close as was asked for.",
)
def sensitivities_of_all_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return lower bounds, sensitivities and the largest width beside what bounds them."""
    found = impl.lp_sensitivities(inst.A, inst.p, method="exact", rtol=_ROW_TOL)
    live = found.upper > 0.0
    width = float(np.max(found.upper[live] / found.lower[live])) - 1.0
    return Outcome(np.concatenate([found.lower, inst.truth, [width]]), np.concatenate([inst.truth, found.upper, [1.01 * _ROW_TOL]]))


def _conic(A: FloatArray, g: FloatArray, p: float) -> float:
    """Solve the primal problem by a conic interior point method."""
    import warnings

    import cvxpy as cp

    x = cp.Variable(A.shape[1])
    problem = cp.Problem(cp.Minimize(cp.pnorm(A @ x, p)), [g @ x == 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cvxpy tells that it rounds p to a fraction
        problem.solve(solver="CLARABEL")
    return 1.0 / float(problem.value)


@cat.inequality(
    "LP-04b",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: 2e-6 * 2.0**53 * inst.p,
        scale=lambda inst, out: out.reference,
        why="the conic solver accepts 1e-8 on both feasibilities, and approximates p by a fraction; the value is raised to the power p",
    ),
    impl={"lp_support": lp_support},
    families=[
        Family("typical", _random, grid=_grid(("gaussian", "heavy_tailed", "one_hot"), _EXPONENTS)),
        Family("adversarial", _random, grid=_grid(("spiked", "legendre"), _EXPONENTS), role="adversarial"),
    ],
    tight=0.999,
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "least_squares",
            "impl",
            {"lp_support": lambda f: lambda A, g, p, *, tol: f(A, g, 2.0, tol=tol)},
            why="the solution for p = 2, whatever p",
            part="typical(table=gaussian,p=1)",
        ),
        Mutant(
            "doubled_rows",
            "impl",
            {"lp_support": lambda f: lambda A, g, p, *, tol: f(np.vstack([A, A]), g, p, tol=tol)},
            why="every row enters twice, once with each sign",
            part="typical(table=gaussian,p=3)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, One sensitivity"),
    title="the support function agrees with a conic solver",
    plain="The value that a conic interior point method finds lies between the bounds, up to its own tolerance.",
)
def agreement_with_a_conic_solver(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return our lower bound and the conic solver's value beside that value and our upper bound."""
    g = inst.A[inst.row] / float(np.max(np.abs(inst.A[inst.row])))
    found = impl.lp_support(inst.A, g, inst.p, tol=_TOL)
    value = _conic(inst.A, g, inst.p) ** inst.p
    return Outcome(np.array([found.lower**inst.p, value]), np.array([value, found.upper**inst.p]))
