"""Claims about certified quantile regression: the gap is a proof, its dual is admissible, and the optimum is found."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from algos.common.linalg import whitening
from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.interior_point import quantile_interior_point, solve_whitened
from algos.lp_embeddings.quantile_regression import RegressionResult, certified_quantile
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import flights_table

cat = Catalogue("lp_embeddings/quantile_regression")

FloatArray = npt.NDArray[np.float64]
Solver = Callable[..., Any]

_TOL = 1e-9
_ROWS, _COLUMNS = 2400, 4  # above 2000 rows the solver samples and works on a band
_QUIET = ("gaussian", "skewed")
_HARD = tuple(name for name in instances.QUANTILE_DESIGNS if name not in _QUIET)


@dataclass(frozen=True)
class _Answer:
    """What the claims look at; mutants return it in place of the solver's own result."""

    coef: FloatArray
    objective: float
    dual: FloatArray
    dual_bound: float
    gap: float


def _design(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    name, t = point["design"], point["t"]
    columns = 10 if "case" in point else _COLUMNS
    made = instances.quantile_designs(_ROWS, columns, t, names=[name], random_state=rng)[name]
    return Instance({"t": t, "stopped": "case" in point}, {"A": made.A, "b": made.b})


def _stopped(design: str, cases: int) -> tuple[dict[str, Any], ...]:
    """List instances that are stopped after one band around a poor sample; about half of them have rows that changed sides."""
    return tuple({"design": design, "t": 0.5, "case": case} for case in range(cases))


def _grid(names: tuple[str, ...], quantiles: tuple[float, ...] = (0.01, 0.5, 0.99)) -> tuple[dict[str, Any], ...]:
    return tuple({"design": name, "t": t} for name in names for t in quantiles)


def _solve(solver: Solver, inst: Instance, rng: np.random.Generator) -> Any:
    """Run a solver with a small sample and a narrow first band, or stop it after one band."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(inst.b) > 10 * _ROWS:
            return solver(inst.A, inst.b, inst.t, tol=_TOL, random_state=int(rng.integers(2**31)))
        options = {"size": 100, "band": 800, "max_rounds": 1} if inst.stopped else {"size": 300, "band": 100}
        return solver(inst.A, inst.b, inst.t, tol=_TOL, random_state=int(rng.integers(2**31)), **options)


def _loss(inst: Instance, coef: FloatArray) -> float:
    return bounds.quantile_loss(residuals=inst.b - inst.A @ coef, quantile=inst.t)


def _simplex_optimum(inst: Instance) -> float:
    """Loss at the solution of an independent simplex solver; never below the smallest loss, whatever that solver's tolerance."""
    length = np.linalg.norm(inst.A, axis=0)
    A, unit = inst.A / np.where(length > 0.0, length, 1.0), float(np.max(np.abs(inst.b))) or 1.0
    solved = linprog(-inst.b / unit, A_eq=A.T, b_eq=np.zeros(A.shape[1]), bounds=(inst.t - 1.0, inst.t), method="highs-ds")
    coef = -np.asarray(solved.eqlin.marginals) * unit / np.where(length > 0.0, length, 1.0)
    return min(_loss(inst, coef), _loss(inst, np.zeros(A.shape[1])))


# --- the gap is a proof -----------------------------------------------------------------------------------------------------------


def _slopes(inst_t: float, residual: FloatArray) -> FloatArray:
    return np.where(residual > 0.0, inst_t, inst_t - 1.0)


def _at_bound(dual: FloatArray, t: float) -> npt.NDArray[np.bool_]:
    """Rows whose dual is an end of its box, up to the one rounding of merging identical rows; those of a band lie strictly inside."""
    return np.asarray((np.abs(dual - t) <= 2.0**-52) | (np.abs(dual - (t - 1.0)) <= 2.0**-52))


def _new_slopes(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, t: float, **options: Any) -> _Answer:
        result = solver(A, b, t, **options)
        dual = np.where(_at_bound(result.dual, t), _slopes(t, b - A @ result.coef), result.dual)
        return _with_dual(result, dual, float(b @ dual))

    return wrong


def _sample_dual(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, t: float, **options: Any) -> _Answer:
        result = solver(A, b, t, **options)
        rows = np.random.default_rng(options["random_state"]).choice(len(b), 200, replace=False)
        dual = np.zeros(len(b))
        dual[rows] = quantile_interior_point(A[rows], b[rows], t, weights=np.full(200, len(b) / 200)).dual
        return _with_dual(result, dual, float(b @ dual))

    return wrong


def _narrow_band(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, t: float, **options: Any) -> _Answer:
        result = solver(A, b, t, **options)
        rough = result.coef + 0.5 * np.linalg.lstsq(A, b - A @ result.coef + np.abs(b).mean(), rcond=None)[0]
        residual = b - A @ rough
        dual = _slopes(t, residual)
        band = np.argsort(np.abs(residual))[: 2 * A.shape[1]]
        dual[band] = 0.0
        dual[band] = quantile_interior_point(A[band], b[band], t, rhs=-(A.T @ dual)).dual
        return _with_dual(result, dual, float(b @ dual))

    return wrong


def _with_dual(result: Any, dual: FloatArray, bound: float) -> _Answer:
    return _Answer(result.coef, result.objective, dual, bound, (result.objective - bound) / max(result.objective, 1e-300))


@cat.inequality(
    "LP-20",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: np.array([np.abs(inst.b).sum(), 1.0, 1.0]),
        why="pairwise and exact sums of n terms at the size of the responses, extended where conditioning asks for it",
    ),
    impl={"certified_quantile": certified_quantile},
    families=[
        Family("typical", _design, grid=_grid(_QUIET)),
        Family("adversarial", _design, grid=_grid(_HARD, (0.5,)) + _grid(_HARD[::3], (0.01, 0.99)), role="adversarial"),
        # stopped after one narrow band: the gap is large, and must still be a proof
        Family("stopped", _design, grid=_stopped("gaussian", 12) + _stopped("cauchy_errors", 4), role="adversarial"),
        flights_table({"t": 0.5, "stopped": False}),
    ],
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "slopes_of_the_new_fit",
            "impl",
            {"certified_quantile": _new_slopes},
            why="rows outside the band take the slope of the new fit, for which the band was not balanced",
            part="stopped(design=gaussian,*",
            killers=("LP-20",),
        ),
        Mutant(
            "dual_of_the_sample",
            "impl",
            {"certified_quantile": _sample_dual},
            why="the dual of the weighted sample is taken for one of all rows",
            part="typical(design=gaussian,t=0.5)",
            killers=("LP-20",),
        ),
        Mutant(
            "band_too_narrow",
            "impl",
            {"certified_quantile": _narrow_band},
            why="the bound is read off a band that cannot balance the rows outside",
            part="typical(design=gaussian,t=0.5)",
            killers=("LP-20", "LP-20a"),
        ),
    ],
    companions=("LP-20a", "LP-20b"),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The gap: weak duality"),
    title="the gap is a proof",
    plain="The reported lower bound is below the loss of an independent simplex solution, and the dual lies in its box, also when the "
    "solver was stopped early.",
    tex=r"b^\top y\le\min_x P(x),\qquad t-1\le y_i\le t",
)
def lower_bound_and_box(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the bound and the extremes of the dual beside an independent loss and the box."""
    result = _solve(impl.certified_quantile, inst, rng)
    other = _loss(inst, result.coef) if len(inst.b) > 10 * _ROWS else _simplex_optimum(inst)
    return Outcome(np.array([result.dual_bound, result.dual.max(), -result.dual.min()]), np.array([other, inst.t, 1.0 - inst.t]))


@cat.inequality(
    "LP-20a",
    impl={"certified_quantile": certified_quantile},
    families=[
        Family("typical", _design, grid=_grid(_QUIET, (0.1, 0.5))),
        Family("adversarial", _design, grid=_grid(_HARD, (0.5,)), role="adversarial"),
        Family("stopped", _design, grid=_stopped("gaussian", 12), role="adversarial"),
    ],
    companions=("LP-20",),
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "slopes_of_the_new_fit",
            "impl",
            {"certified_quantile": _new_slopes},
            why="rows outside the band take the slope of the new fit",
            part="stopped(design=gaussian,*",
            killers=("LP-20a",),
        ),
        Mutant(
            "slopes_everywhere",
            "impl",
            {"certified_quantile": lambda f: lambda A, b, t, **k: _raw_slopes(f, A, b, t, **k)},
            why="the slopes of the fit are taken for a dual, without balancing the rows near the fit",
            part="typical(design=gaussian,t=0.5)",
            killers=("LP-20a",),
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The gap"),
    title="the dual meets its equations",
    plain="The dual is orthogonal to every column, to a billionth of its length, measured in an orthonormal basis of the columns.",
    tex=r"\lVert Q^\top y\rVert_\infty\le 10^{-9}\lVert y\rVert_2",
)
def dual_equations(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest product of the dual with an orthonormal basis of the columns beside a billionth of its length."""
    result = _solve(impl.certified_quantile, inst, rng)
    Q = whitening(inst.A).apply(inst.A)
    return Outcome(float(np.max(np.abs(Q.T @ result.dual))), 1e-9 * float(np.linalg.norm(result.dual)))


def _raw_slopes(solver: Solver, A: FloatArray, b: FloatArray, t: float, **options: Any) -> _Answer:
    result = solver(A, b, t, **options)
    dual = _slopes(t, b - A @ result.coef)
    return _with_dual(result, dual, float(b @ dual))


@cat.identity(
    "LP-20b",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: out.aux["size"],
        why="sums of n terms at the size of the responses, and what the bound gives away for equations that are met up to rounding",
    ),
    impl={"certified_quantile": certified_quantile, "gap": bounds.quantile_gap_identity},
    families=[
        Family("stopped", _design, grid=_stopped("gaussian", 12) + _stopped("skewed", 4)),
        Family("finished", _design, grid=_grid(("gaussian", "ties", "bimodal", "outlying_rows"), (0.5,)), role="adversarial"),
    ],
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "flips_forgotten",
            "impl",
            {"gap": lambda f: lambda **k: f(**{**k, "flipped_residuals": []})},
            why="only the band is counted: rows that changed sides cost nothing",
            part="stopped(design=gaussian,*",
        ),
        Mutant(
            "flips_at_their_loss",
            "impl",
            {"gap": lambda f: lambda **k: f(**{**k, "flipped_residuals": np.asarray(k["flipped_residuals"]) * k["quantile"]})},
            why="a flipped row counts its loss, not its absolute residual",
            part="stopped(design=gaussian,*",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The gap"),
    title="what the gap consists of",
    plain="Loss minus lower bound is the gap of the band plus the absolute residuals of outside rows that changed sides.",
    tex=r"P(x)-D(y)=\sum_{\text{band}}\bigl(\rho_t(r_i)-y_ir_i\bigr)+\sum_{\text{flipped}}\lvert r_i\rvert",
)
def gap_from_band_and_flips(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the reported difference beside the sum over band and flipped rows."""
    result = _solve(impl.certified_quantile, inst, rng)
    residual, dual = inst.b - inst.A @ result.coef, result.dual
    outside = _at_bound(dual, inst.t)
    flipped = outside & (dual * residual < 0.0)
    gap = impl.gap(band_residuals=residual[~outside], band_dual=dual[~outside], flipped_residuals=residual[flipped], quantile=inst.t)
    missed = float(np.linalg.norm(whitening(inst.A).apply(inst.A).T @ dual))
    price = 4.0 * missed * result.objective / min(inst.t, 1.0 - inst.t)
    size = np.abs(inst.b).sum() + price / (200 * bounds.UNIT_ROUNDOFF)
    return Outcome(result.objective - result.dual_bound, gap, aux={"size": float(size)})


# --- the optimum is found -----------------------------------------------------------------------------------------------------------


def _without_whitening(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, t: float, **options: Any) -> _Answer:
        n, d = A.shape
        solved = solve_whitened(A, b, t, np.ones(n), np.zeros(d), 0.0, _TOL)
        return _judged(A, b, t, solved.coef, solved.dual)

    return wrong


def _last_iterate(solver: Solver) -> Solver:
    """Keep iterating for a fixed number of steps, and return where that ends."""

    def wrong(A: FloatArray, b: FloatArray, t: float, **options: Any) -> _Answer:
        from algos.lp_embeddings.interior_point import _Barrier

        white = whitening(A)
        Q = A @ white.R_inv
        unit = float(np.mean(np.abs(b))) or 1.0
        state = _Barrier(Q, b / unit, t, np.ones(len(b)), np.zeros(Q.shape[1]), 0.0)
        with np.errstate(all="ignore"):
            for _ in range(60):
                gap = float(state.u @ state.z + state.s @ state.v)
                state.theta = 1.0 / (state.z / state.u + state.v / state.s)
                state.pull = state.theta * (state.v - state.z)
                if not state._newton_step(gap, state.target - Q.T @ state.u, len(b)):
                    break
            return _judged(A, b, t, white.R_inv @ state.x * unit, state._dual())

    return wrong


def _one_newton_step(solver: Solver) -> Solver:
    """Improve a least squares fit by one step, with the density of residuals at zero from a window that may have no width."""

    def wrong(A: FloatArray, b: FloatArray, t: float, **options: Any) -> _Answer:
        result = solver(A, b, t, **options)
        Q = A @ whitening(A).R_inv
        residual = b - A @ result.coef
        window = np.quantile(np.abs(residual), 0.2)
        near = Q[np.abs(residual) <= window]
        with np.errstate(all="ignore"):
            step = np.linalg.pinv(near.T @ near / (2.0 * window)) @ (Q.T @ _slopes(t, residual))
        return _judged(A, b, t, result.coef + whitening(A).R_inv @ step, result.dual)

    return wrong


def _judged(A: FloatArray, b: FloatArray, t: float, coef: FloatArray, dual: FloatArray) -> _Answer:
    loss = bounds.quantile_loss(residuals=b - A @ coef, quantile=t)
    bound = float(b @ dual)
    return _Answer(coef, loss, dual, bound, bounds.relative_gap(primal=loss, dual=bound, scale=float(np.abs(b).sum())))


@cat.inequality(
    "LP-21",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: np.array([np.abs(inst.b).sum(), 0.0]),
        why="sums of n terms at the size of the responses; the reported gap is compared as it is",
    ),
    impl={"certified_quantile": certified_quantile},
    families=[
        Family("typical", _design, grid=_grid(_QUIET)),
        Family("adversarial", _design, grid=_grid(_HARD), role="adversarial"),
    ],
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "no_whitening",
            "impl",
            {"certified_quantile": _without_whitening},
            why="the interior point method works on the columns as they come",
            part="adversarial(design=offset,t=0.5)",
        ),
        Mutant(
            "last_iterate",
            "impl",
            {"certified_quantile": _last_iterate},
            why="the last iterate is returned, not the best one",
            part="adversarial(design=zero_response,t=0.01)",
            may_raise=True,
        ),
        Mutant(
            "window_without_width",
            "impl",
            {"certified_quantile": _one_newton_step},
            why="the Newton step divides by the width of a window that holds only zeros",
            part="adversarial(design=zero_response,t=0.5)",
            may_raise=True,
        ),
        Mutant(
            "relative_gap_at_zero",
            "impl",
            {"certified_quantile": lambda f: lambda A, b, t, **k: _plain_gap(f(A, b, t, **k))},
            why="the gap is divided by the loss, also where the loss is zero up to rounding",
            part="adversarial(design=exact_fit,t=0.5)",
            may_raise=True,
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The gap"),
    title="the certified solver finds the optimum",
    plain="On ties, exact fits, duplicated rows, heavy tails, bad scales and empty bands the loss is that of an independent simplex "
    "solver, within the gap asked for and proved.",
    tex=r"P(\hat x)\le(1+\mathrm{tol})\min_x P(x)",
)
def optimum_of_the_certified_solver(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return loss and proved gap beside those of the simplex solution and the tolerance."""
    result = _solve(impl.certified_quantile, inst, rng)
    best = (1.0 + _TOL) * _simplex_optimum(inst) + 1e-14 * float(np.abs(inst.b).sum())  # below the last term a loss counts as zero
    return Outcome(np.array([_loss(inst, result.coef), result.gap]), np.array([best, _TOL]))


def _plain_gap(result: RegressionResult) -> RegressionResult:
    with np.errstate(all="ignore"):
        return replace(result, gap=float(np.float64(result.objective - result.dual_bound) / result.objective))
