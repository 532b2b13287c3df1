"""Claims about lp regression: what a sampled fit costs, the dual bound of a certified one, and that the optimum is found."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.optimize import minimize, minimize_scalar

from algos.common.linalg import whitening
from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.leverage_scores import leverage_scores
from algos.lp_embeddings.lp_regression import certified_lp
from algos.lp_embeddings.quantile_regression import certified_quantile
from algos.lp_embeddings.samplers import RowSample, inclusion_probabilities, sample_rows
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import flights_table

cat = Catalogue("lp_embeddings/lp_regression")

FloatArray = npt.NDArray[np.float64]
Solver = Callable[..., Any]

_TOL = 1e-9

# --- sketch and solve ---------------------------------------------------------------------------------------------------------------


def _fit(A: FloatArray, b: FloatArray, p: float, t: float, weights: FloatArray) -> FloatArray:
    """Solve a weighted sample as the package does: the quantile loss at p = 1, the lp norm elsewhere."""
    if p == 1.0:
        return certified_quantile(A, b, t, sample_weight=weights, tol=_TOL, random_state=0).coef
    return certified_lp(A, b, p, sample_weight=weights, tol=_TOL, random_state=0).coef


def _one_column(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return a response with heavy tails on one column: two columns in all, so that the distortion can be computed."""
    n = 300
    a = rng.standard_normal(n)
    return _sampled({"t": 0.5, **point}, a[:, None], 2.0 * a + rng.standard_t(2, n), 100)


def _four_columns(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = rng.standard_t(3, (600, 4))
    return _sampled({"p": 2.0, "t": 0.5, **point}, A, A @ np.ones(4) + rng.standard_t(3, 600), 200)


def _two_groups(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Hide an effect from samples without weights: a seventh of the rows, all kept, has another response than the rest."""
    n, few = 2000, 300
    b = np.where(np.arange(n) < few, 10.0, 0.0) + 0.1 * rng.standard_normal(n)
    q = np.where(np.arange(n) < few, 1.0, 0.01)
    return Instance({"t": 0.5, **point}, {"A": np.ones((n, 1)), "b": b, "q": q})


def _sampled(params: Mapping[str, Any], A: FloatArray, b: FloatArray, m: int) -> Instance:
    table = np.column_stack([A, b])
    return Instance(dict(params), {"A": A, "b": b, "q": inclusion_probabilities(leverage_scores(table), m)})


def _two_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return two rows with weights 1 - e and 1 + e, between which the weighted optimum changes sides just before the bound."""
    e = point["e"]
    a = (1.0 - e) / (1.0 + e) * (1.0 + 1e-6)
    return Instance({"p": 1.0, "t": 0.5}, {"A": np.array([[1.0], [a]]), "b": np.array([0.0, 1.0]), "weights": np.array([1.0 - e, 1.0 + e])})


def _mirrored(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return a table that holds each row with both signs, and keep one of the two: no norm changes, the quantile loss does."""
    b = (np.arange(50) + 0.5) / 50.0
    weights = np.repeat([2.0, 0.0], 50)
    return Instance({"p": 1.0, **point}, {"A": np.repeat([[1.0], [-1.0]], 50, axis=0), "b": np.concatenate([b, -b]), "weights": weights})


def _distortion(table: FloatArray, kept: npt.NDArray[np.intp], weights: FloatArray, p: float) -> float:
    """Distortion of the weighted rows, for p = 2 and for two columns at p = 1 exact, for two columns at other p from above."""
    Q = whitening(table).apply(table)
    S = weights[:, None] ** (1.0 / p) * Q[kept]
    if p == 2.0:
        values = scipy.linalg.eigvalsh(S.T @ S, Q.T @ Q)
        return float(max(np.sqrt(values[-1]) - 1.0, 1.0 - np.sqrt(max(values[0], 0.0))))
    if p == 1.0:  # both norms are linear between the directions at which a row vanishes
        directions, reach = np.column_stack([-Q[:, 1], Q[:, 0]]).T, 0.0
    else:
        angles = np.arange(2048) * (np.pi / 2048)
        directions, reach = np.array([np.cos(angles), np.sin(angles)]), np.pi / 4096
    whole, part = (np.sum(np.abs(X @ directions) ** p, axis=0) ** (1.0 / p) for X in (Q, S))
    slack_whole, slack_part = (reach * np.sum(np.sum(np.abs(X) ** p, axis=0) ** (1.0 / p)) for X in (Q, S))
    highest = np.max((part + slack_part) / (whole - slack_whole))
    lowest = np.min((part - slack_part) / (whole + slack_whole))
    return float(max(highest - 1.0, 1.0 - lowest, 0.0))


def _loss(inst: Instance, coef: FloatArray) -> float:
    residual = inst.b - inst.A @ coef
    if inst.p == 1.0:
        return bounds.quantile_loss(residuals=residual, quantile=inst.t)
    return bounds.lp_norm(values=residual, p=inst.p)


def _smallest_loss(inst: Instance) -> float:
    """Smallest loss on all rows by another route: least squares, a list of all candidates, or a search on a line."""
    if inst.p == 2.0:
        white = whitening(inst.A)
        return _loss(inst, white.R_inv @ (white.R_inv.T @ (inst.A.T @ inst.b)))
    ratios = inst.b / inst.A[:, 0]
    if inst.p == 1.0:
        residual = inst.b[:, None] - inst.A * ratios
        best = int(np.argmin(np.sum(np.maximum(inst.t * residual, (inst.t - 1.0) * residual), axis=0)))
        return _loss(inst, ratios[[best]])
    found = minimize_scalar(lambda x: _loss(inst, np.array([x])), bounds=(ratios.min(), ratios.max()), method="bounded")
    return min(float(found.fun), _loss(inst, np.array([found.x])))


def _no_weights(fit: Solver) -> Solver:
    return lambda A, b, p, t, weights: fit(A, b, p, t, np.ones(len(b)))


def _row_multipliers(sampler: Callable[..., RowSample]) -> Callable[..., RowSample]:
    def wrong(q: FloatArray, **options: Any) -> RowSample:
        drawn = sampler(q, **options)
        return RowSample(drawn.indices, np.sqrt(drawn.weights))

    return wrong


@cat.inequality(
    "LP-22",
    budget=FloatBudget(
        k=1,
        cond=1e-7 * 2.0**53,
        scale=lambda inst, out: np.abs(out.reference),
        why="both fits are optimal to 1e-9 and to the 1e-8 of a search on a line; whitening changes the distortion by less",
    ),
    impl={"fit": _fit, "sample_rows": sample_rows, "ratio": bounds.sketch_and_solve_ratio},
    families=[
        Family("one_column", _one_column, grid=({"p": 1.0}, {"p": 1.5}, {"p": 3.0}, {"p": 1.0, "t": 0.9})),
        Family("four_columns", _four_columns),
        Family("two_groups", _two_groups, grid=tuple({"p": p} for p in (1.0, 1.5, 2.0)), role="adversarial"),
        Family("two_rows", _two_rows, grid=({"e": 0.1}, {"e": 0.5}), role="adversarial"),
        Family("mirrored", _mirrored, grid=({"t": 0.9}, {"t": 0.5}), role="adversarial"),
        flights_table({"p": 2.0, "t": 0.5, "m": 8000}),
    ],
    requires=lambda inst, out: out.aux["eps"] < 1.0,
    tight=0.99,
    trials={"quick": 1, "full": 20},
    mutants=[
        Mutant(
            "weights_not_passed",
            "impl",
            {"fit": _no_weights},
            why="the solver treats the sampled rows alike",
            part="two_groups(p=1)",
        ),
        Mutant(
            "multipliers_for_weights",
            "impl",
            {"sample_rows": _row_multipliers},
            why="rows get the weights q^(-1/2), which multiply rows for p = 2, where q^(-1) is due",
            part="two_groups(p=1)",
        ),
        Mutant(
            "one_sided",
            "impl",
            {"ratio": lambda f: lambda *, eps, quantile: f(eps=eps, quantile=quantile) * (1.0 - eps)},
            why="the sample may enlarge the norm at the optimum, but not shrink it at the other fit",
            part="two_rows(e=0.5)",
        ),
        Mutant(
            "skewness_forgotten",
            "impl",
            {"ratio": lambda f: lambda *, eps, quantile: f(eps=eps)},
            why="the ratio of the median is used for every quantile, as if the sample preserved the quantile loss",
            part="mirrored(t=0.9)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Sketch and solve"),
    title="what a sampled fit costs",
    plain="The minimiser of a weighted sample that preserves all norms of the table with its response has a loss on all rows within the "
    "stated factor of the smallest.",
    tex=r"P(\hat x)\le\left(\frac{\max(t,1-t)}{\min(t,1-t)}\right)^2\frac{1+\varepsilon}{1-\varepsilon}\,\min_xP(x)",
)
def loss_of_the_sampled_fit(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the loss of the sample's minimiser on all rows beside the factor that its distortion allows."""
    table = np.column_stack([inst.A, inst.b])
    if "weights" in inst.data:
        kept = np.flatnonzero(inst.weights)
        weights = inst.weights[kept]
    else:
        q = inst.q if "q" in inst.data else inclusion_probabilities(leverage_scores(table), inst.m)
        kept, weights = impl.sample_rows(q, seed=int(rng.integers(2**63)))
        true_weights = 1.0 / q[kept]
    eps = _distortion(table, kept, weights if "weights" in inst.data else true_weights, inst.p)
    coef = impl.fit(inst.A[kept], inst.b[kept], inst.p, inst.t, weights)
    allowed = impl.ratio(eps=min(eps, 0.999), quantile=inst.t) * _smallest_loss(inst)
    return Outcome(_loss(inst, coef), allowed, aux={"eps": eps})


# --- the dual bound -----------------------------------------------------------------------------------------------------------------

_POWERS = (1.1, 1.5, 3.0, 4.0, 6.0, 10.0)
_QUIET = ("gaussian", "skewed")
_HARD = tuple(name for name in instances.QUANTILE_DESIGNS if name not in _QUIET)


@dataclass(frozen=True)
class _Answer:
    """What the claims look at; mutants return it in place of the solver's own result."""

    coef: FloatArray
    dual: FloatArray
    dual_bound: float
    gap: float


def _design(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = instances.quantile_designs(point.get("n", 500), 4, names=[point["design"]], random_state=rng)[point["design"]]
    return Instance({"p": point["p"], "stopped": "case" in point}, {"A": made.A, "b": made.b})


def _table(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = instances.RANDOM_FAMILIES[point["table"]](500, 4, rng)
    return Instance({"p": point["p"], "stopped": False}, {"A": A, "b": A @ np.ones(4) + rng.standard_t(2, 500)})


def _grid(key: str, names: tuple[str, ...], powers: tuple[float, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({key: name, "p": p} for name in names for p in powers)


def _stopped(powers: tuple[float, ...], cases: int) -> tuple[dict[str, Any], ...]:
    """List instances that are stopped after one step from a poor sample: the gap is large, and must still be a proof."""
    return tuple({"design": "gaussian", "p": p, "n": 2400, "case": case} for p in powers for case in range(cases))


def _solve(solver: Solver, inst: Instance, rng: np.random.Generator) -> Any:
    options = {"size": 30, "max_iter": 1} if inst.stopped else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return solver(inst.A, inst.b, inst.p, tol=_TOL, random_state=int(rng.integers(2**31)), **options)


def _other_norm(inst: Instance) -> float:
    """Norm that an independent descent reaches: never below the smallest, whatever its tolerance."""
    white = whitening(inst.A)
    Q = white.apply(inst.A)
    start = Q.T @ inst.b
    unit = bounds.lp_norm(values=inst.b - Q @ start, p=inst.p) or 1.0

    def value_and_gradient(z: FloatArray) -> tuple[float, FloatArray]:
        r = (inst.b - Q @ z) / unit
        size = np.abs(r)
        return float(np.sum(size**inst.p)), -(inst.p / unit) * (Q.T @ (np.sign(r) * size ** (inst.p - 1.0)))

    found = minimize(value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-12, "maxiter": 100})
    return min(_norm_at(inst, white.R_inv @ z) for z in (start, found.x))


def _norm_at(inst: Instance, coef: FloatArray) -> float:
    """Norm of the residuals of coefficients, formed in extended precision: large terms may cancel."""
    residual = inst.b - inst.A.astype(np.longdouble) @ coef.astype(np.longdouble)
    return bounds.lp_norm(values=residual.astype(np.float64), p=inst.p)


def _with_dual(result: Any, inst_b: FloatArray, p: float, dual: FloatArray) -> _Answer:
    length = bounds.lp_dual_norm(dual=dual, p=p) or 1.0
    return _Answer(result.coef, dual / length, bounds.lp_dual_bound(responses=inst_b, dual=dual, p=p), result.gap)


def _norm_of_the_primal(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, p: float, **options: Any) -> _Answer:
        result = solver(A, b, p, **options)
        bound = float(b @ result.dual) / bounds.lp_norm(values=result.dual, p=p)
        return _Answer(result.coef, result.dual, bound, result.gap)

    return wrong


def _linearised(A: FloatArray, b: FloatArray, p: float, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the slopes of the p-th powers at a fit, and what one reweighted least squares step takes from them."""
    r = b - A @ coef
    r = r / np.abs(r).max()
    c = np.maximum(np.abs(r), 1e-6) ** (p - 2.0)
    step = np.linalg.lstsq(np.sqrt(c)[:, None] * A, np.sqrt(c) * r, rcond=None)[0]
    return c * r, c * (A @ step)


def _slopes_alone(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, p: float, **options: Any) -> _Answer:
        result = solver(A, b, p, **options)
        return _with_dual(result, b, p, _linearised(A, b, p, result.coef)[0])

    return wrong


def _damped_dual(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, p: float, **options: Any) -> _Answer:
        result = solver(A, b, p, **options)
        slopes, taken = _linearised(A, b, p, result.coef)
        return _with_dual(result, b, p, slopes - taken / (p - 1.0))

    return wrong


def _sample_dual(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, p: float, **options: Any) -> _Answer:
        result = solver(A, b, p, **options)
        rows = np.random.default_rng(options["random_state"]).choice(len(b), 100, replace=False)
        sampled = solver(A[rows], b[rows], p, sample_weight=np.full(100, len(b) / 100.0), tol=_TOL)
        dual = np.zeros(len(b))
        dual[rows] = sampled.dual
        return _Answer(result.coef, dual, sampled.dual_bound, result.gap)

    return wrong


@cat.inequality(
    "LP-23",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: np.array([bounds.lp_norm(values=inst.b, p=inst.p), 1.0, 0.0]),
        why="sums of n terms at the size of the responses, and a norm that was scaled to one",
    ),
    impl={"certified_lp": certified_lp},
    families=[
        Family("typical", _design, grid=_grid("design", _QUIET, _POWERS)),
        Family("tables", _table, grid=_grid("table", ("heavy_tailed", "spiked"), _POWERS), role="adversarial"),
        Family("adversarial", _design, grid=_grid("design", _HARD, (1.2, 4.0)), role="adversarial"),
        Family("stopped", _design, grid=_stopped((1.5, 4.0), 4), role="adversarial"),
    ],
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "norm_of_the_primal",
            "impl",
            {"certified_lp": _norm_of_the_primal},
            why="the dual vector is measured in the norm with exponent p, not with the conjugate exponent",
            part="typical(design=gaussian,p=3)",
            killers=("LP-23",),
        ),
        Mutant(
            "slopes_alone",
            "impl",
            {"certified_lp": _slopes_alone},
            why="the slopes of the fit are taken for a dual, without what the next step takes from them",
            part="stopped(design=gaussian,*",
            killers=("LP-23",),
        ),
        Mutant(
            "damped_dual",
            "impl",
            {"certified_lp": _damped_dual},
            why="the dual is read off the Newton step, which is the least squares step divided by p - 1",
            part="stopped(design=gaussian,*",
            killers=("LP-23",),
        ),
        Mutant(
            "dual_of_the_sample",
            "impl",
            {"certified_lp": _sample_dual},
            why="the bound of the weighted sample is taken for one of all rows",
            part="typical(design=gaussian,p=1.5)",
            killers=("LP-23",),
        ),
    ],
    companions=("LP-23a",),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The dual norm"),
    title="the dual bound of lp regression",
    plain="The reported lower bound is below the norm that an independent descent reaches, and the dual vector has dual norm one and is "
    "orthogonal to the columns, also when the solver was stopped early.",
    tex=r"b^\top y\le\min_x\lVert b-Ax\rVert_p,\qquad\lVert y\rVert_{p'}\le1,\qquad A^\top y=0",
)
def bound_norm_and_equations(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the bound, the norm of the dual and its products with the columns beside what they may be."""
    result = _solve(impl.certified_lp, inst, rng)
    missed = float(np.max(np.abs(whitening(inst.A).apply(inst.A).T @ result.dual)))
    measured = np.array([result.dual_bound, bounds.lp_dual_norm(dual=result.dual, p=inst.p), missed])
    return Outcome(measured, np.array([_other_norm(inst), 1.0, 1e-9 * float(np.linalg.norm(result.dual))]))


def _plain_reweighting(solver: Solver) -> Solver:
    """Iterate reweighted least squares at full steps, which overshoots for p > 3."""

    def wrong(A: FloatArray, b: FloatArray, p: float, **options: Any) -> _Answer:
        coef = np.asarray(np.linalg.lstsq(A, b, rcond=None)[0], dtype=np.float64)
        for _ in range(60):
            r = np.abs(b - A @ coef)
            c = np.maximum(r / r.max(), 1e-6) ** (p - 2.0)
            coef = np.asarray(np.linalg.lstsq(np.sqrt(c)[:, None] * A, np.sqrt(c) * b, rcond=None)[0], dtype=np.float64)
        result = solver(A, b, p, **options)
        return _Answer(coef, result.dual, result.dual_bound, result.gap)

    return wrong


def _least_squares(solver: Solver) -> Solver:
    def wrong(A: FloatArray, b: FloatArray, p: float, **options: Any) -> Any:
        return solver(A, b, 2.0, **options)

    return wrong


@cat.inequality(
    "LP-23a",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: np.array([bounds.lp_norm(values=inst.b, p=inst.p), 0.0]),
        why="sums of n terms at the size of the responses; the reported gap is compared as it is",
    ),
    impl={"certified_lp": certified_lp},
    families=[
        Family("typical", _design, grid=_grid("design", _QUIET, _POWERS)),
        Family("tables", _table, grid=_grid("table", ("heavy_tailed", "spiked"), _POWERS), role="adversarial"),
        Family("adversarial", _design, grid=_grid("design", _HARD, (1.1, 3.0, 10.0)), role="adversarial"),
    ],
    trials={"quick": 1, "full": 8},
    mutants=[
        Mutant(
            "full_steps",
            "impl",
            {"certified_lp": _plain_reweighting},
            why="every least squares step is taken in full",
            part="typical(design=gaussian,p=6)",
            may_raise=True,
        ),
        Mutant(
            "another_exponent",
            "impl",
            {"certified_lp": _least_squares},
            why="the solver minimises squares, whatever p",
            part="typical(design=gaussian,p=1.5)",
        ),
    ],
    companions=("LP-23",),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, The dual norm"),
    title="the lp solver finds the optimum",
    plain="On heavy tails, ties, exact fits, bad scales and dependent columns, for p from 1.1 to 10, the norm is at most that of an "
    "independent descent, within the gap asked for and proved.",
    tex=r"\lVert b-A\hat x\rVert_p\le(1+\mathrm{tol})\min_x\lVert b-Ax\rVert_p",
)
def optimum_of_the_lp_solver(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return norm and proved gap beside the norm of an independent descent and the tolerance."""
    result = _solve(impl.certified_lp, inst, rng)
    return Outcome(np.array([_norm_at(inst, result.coef), result.gap]), np.array([(1.0 + _TOL) * _other_norm(inst), _TOL]))
