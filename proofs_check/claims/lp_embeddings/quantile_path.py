"""Claims about several quantiles at once: what sorting predicted quantiles does, and fits that may not cross."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import linprog

from algos.lp_embeddings import bounds
from algos.lp_embeddings.non_crossing import NonCrossingResult, non_crossing_quantiles
from algos.lp_embeddings.quantile_path import certified_quantile_path, rearranged
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import FLIGHTS, random_table

cat = Catalogue("lp_embeddings/quantile_path")

FloatArray = npt.NDArray[np.float64]


def _noise(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return predictions that have nothing to do with the responses, or with each other."""
    k = point["k"]
    levels = np.sort(rng.uniform(0.01, 0.99, k))
    return Instance({"k": k}, {"levels": levels, "predictions": rng.standard_t(2, (30, k)), "b": rng.standard_t(2, 30)})


def _reversed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return one row whose quantiles stand in the wrong order, at levels close to each other: sorting hardly gains."""
    step = point["step"]
    levels = 0.5 + step * np.arange(-1.0, 2.0)
    return Instance({"k": 3}, {"levels": levels, "predictions": np.array([[3.0, 2.0, 1.0]]), "b": np.array([rng.uniform(0.0, 4.0)])})


def _crossing_fits(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return fitted lines on few rows with many columns, which cross."""
    A = rng.standard_normal((60, 8))
    b = A[:, 0] + (1.0 + np.abs(A[:, 1])) * rng.standard_t(2, 60)
    levels = np.linspace(0.1, 0.9, 9)
    fitted = A @ certified_quantile_path(A, b, levels, random_state=0).coef.T
    return Instance({"k": 9}, {"levels": levels, "predictions": fitted, "b": b})


def _summed_loss(inst: Instance, predictions: FloatArray) -> float:
    return sum(bounds.quantile_loss(residuals=inst.b - predictions[:, j], quantile=t) for j, t in enumerate(inst.levels))


def _falling(sort: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    return lambda predictions: sort(predictions)[:, ::-1]


def _running_maximum(sort: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    return lambda predictions: np.maximum.accumulate(predictions, axis=1)


@cat.identity(
    "LP-26",
    budget=FloatBudget(
        k=lambda inst, out: 4 * inst.k * len(inst.b) + 16,
        scale=lambda inst, out: out.aux["size"],
        why="two sums of quantile losses and a sum over exchanged pairs, compared at the size of the losses",
    ),
    impl={"rearranged": rearranged, "gain": bounds.rearrangement_gain},
    families=[
        Family("noise", _noise, grid=tuple({"k": k} for k in (2, 3, 9))),
        Family("reversed", _reversed, grid=({"step": 0.4}, {"step": 1e-3}), role="adversarial"),
        Family("crossing_fits", _crossing_fits, role="adversarial"),
    ],
    trials={"quick": 3, "full": 20},
    mutants=[
        Mutant(
            "sorted_downwards",
            "impl",
            {"rearranged": _falling},
            why="the largest prediction is given to the smallest quantile",
            part="noise(k=3)",
        ),
        Mutant(
            "running_maximum",
            "impl",
            {"rearranged": _running_maximum},
            why="crossings are removed by raising the higher quantiles, which can raise the loss",
            part="noise(k=3)",
        ),
        Mutant(
            "gain_of_one_step",
            "impl",
            {"gain": lambda f: lambda *, levels, predictions: f(levels=levels[:2], predictions=predictions[:, :2])},
            why="only the first pair of quantiles is counted",
            part="noise(k=3)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Quantiles that do not cross"),
    title="what sorting quantiles gains",
    plain="Sorting the predicted quantiles of each row lowers the sum of the quantile losses by an amount that does not depend on the "
    "responses, and never raises it.",
    tex=r"\sum_j\rho_{t_j}(b-q_j)-\sum_j\rho_{t_j}(b-q_{(j)})=\sum_jt_j\,(q_{(j)}-q_j)\ge0",
)
def gain_of_sorting(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the fall of the summed loss and the smallest step of the sorted predictions beside the formula and its part above zero."""
    before, after = _summed_loss(inst, inst.predictions), _summed_loss(inst, impl.rearranged(inst.predictions))
    gain = impl.gain(levels=inst.levels, predictions=inst.predictions)
    steps = np.diff(impl.rearranged(inst.predictions), axis=1).min()
    size = before + float(np.abs(inst.predictions).sum() + np.abs(inst.b).sum())
    return Outcome(np.array([before - after, gain, steps]), np.array([gain, max(gain, 0.0), max(steps, 0.0)]), aux={"size": size})


# --- crossing forbidden in the fit ------------------------------------------------------------------------------------------------------

_TOL = 1e-9
_POINTS = 200


@dataclass(frozen=True)
class _Answer:
    """What the claim looks at; mutants return it in place of the solver's own result."""

    coef: FloatArray
    dual_bound: float


def _rows_that_cross(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return few rows, many columns and uneven noise; whole numbers, on demand, make ties."""
    table = random_table(rng, point, n=40, d=5)
    A = np.column_stack([np.ones(len(table)), table])
    b = A[:, 1] + (1.0 + np.abs(A[:, 2])) * rng.standard_t(2, len(A))
    if point.get("ties"):
        A, b = np.round(A), np.round(b)
    return Instance({}, {"A": A, "b": b, "levels": np.linspace(0.1, 0.9, point["k"])})


def _flights_that_cross(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return some flights with quantiles so near to one another that their lines cross."""
    rows = rng.choice(len(point["dataset"].y), 400, replace=False)
    X = point["dataset"].X[rows]
    return Instance({}, {"A": X[:, [0, *range(-5, 0)]], "b": point["dataset"].y[rows], "levels": np.array([0.45, 0.5, 0.55])})


def _ordered_simplex_fit(inst: Instance) -> FloatArray:
    """Return the fits of an independent simplex solver, moved apart by what its tolerance lets them cross."""
    (n, d), k = inst.A.shape, len(inst.levels)
    unit = np.abs(inst.A).max(axis=0)
    A, b = inst.A / np.where(unit > 0.0, unit, 1.0), inst.b / np.abs(inst.b).max()
    costs = np.r_[np.zeros(k * d), np.repeat(inst.levels, n), np.repeat(1.0 - inst.levels, n)]
    residuals = sp.hstack([sp.block_diag([A] * k), sp.eye_array(k * n), -sp.eye_array(k * n)], format="csr")
    later = np.eye(k - 1, k) - np.eye(k - 1, k, 1)
    order = sp.hstack([sp.kron(later, A), sp.csr_array(((k - 1) * n, 2 * k * n))], format="csr")
    signs = [(None, None)] * (k * d) + [(0.0, None)] * (2 * k * n)
    found = linprog(costs, A_ub=order, b_ub=np.zeros((k - 1) * n), A_eq=residuals, b_eq=np.tile(b, k), bounds=signs, method="highs-ds")
    assert found.x is not None, found.message
    coef = found.x[: k * d].reshape(k, d) * np.abs(inst.b).max() / np.where(unit > 0.0, unit, 1.0)
    return _moved_apart(inst.A, coef)


def _moved_apart(A: FloatArray, coef: FloatArray) -> FloatArray:
    """Raise intercepts, which are the first coefficients, until no fitted values cross."""
    moved = coef.copy()
    moved[1:, 0] += np.cumsum(np.maximum(-np.diff(A @ coef.T, axis=1).min(axis=0), 0.0))
    return moved


def _loss_of(inst: Instance, coef: FloatArray) -> float:
    return _summed_loss(inst, inst.A @ coef.T)


def _order_ignored(fit: Callable[..., NonCrossingResult]) -> Callable[..., _Answer]:
    def wrong(A: FloatArray, b: FloatArray, levels: FloatArray) -> _Answer:
        path = certified_quantile_path(A, b, levels, random_state=0)
        return _Answer(path.coef, float(path.dual_bound.sum()))

    return wrong


def _moved_after_the_fit(fit: Callable[..., NonCrossingResult]) -> Callable[..., _Answer]:
    def wrong(A: FloatArray, b: FloatArray, levels: FloatArray) -> _Answer:
        path = certified_quantile_path(A, b, levels, random_state=0)
        return _Answer(_moved_apart(A, path.coef), float(path.dual_bound.sum()))

    return wrong


def _bound_from_signs(fit: Callable[..., NonCrossingResult]) -> Callable[..., _Answer]:
    def wrong(A: FloatArray, b: FloatArray, levels: FloatArray) -> _Answer:
        coef = _moved_apart(A, certified_quantile_path(A, b, levels, random_state=0).coef)
        residual = b[:, None] - A @ coef.T
        return _Answer(coef, float(np.sum(np.where(residual > 0.0, levels, levels - 1.0) * residual)))

    return wrong


def _ends_only(fit: Callable[..., NonCrossingResult]) -> Callable[..., _Answer]:
    def wrong(A: FloatArray, b: FloatArray, levels: FloatArray) -> _Answer:
        ends = fit(A, b, levels[[0, -1]])
        path = certified_quantile_path(A, b, levels[1:-1], random_state=0)
        coef = np.vstack([ends.coef[0], path.coef, ends.coef[1]])
        return _Answer(coef, ends.dual_bound + float(path.dual_bound.sum()))

    return wrong


@cat.inequality(
    "LP-30",
    budget=FloatBudget(
        k=200,
        scale=lambda inst, out: out.aux["sizes"],
        why="exact sums at the size of the responses, and fitted values at the size of their terms",
    ),
    impl={"fit": non_crossing_quantiles},
    families=[
        Family("typical", _rows_that_cross, grid=tuple({"table": table, "k": k} for table in ("gaussian", "heavy_tailed") for k in (3, 5))),
        Family(
            "adversarial",
            _rows_that_cross,
            grid=(
                {"table": "one_hot", "k": 5},
                {"table": "heavy_tailed", "k": 5, "ties": True},
                {"table": "row_scales", "k": 5},
                {"table": "spiked", "k": 5},
            ),
            role="adversarial",
        ),
        Family("flights", _flights_that_cross, role="real", dataset=FLIGHTS),
    ],
    trials={"quick": 1, "full": 10},
    mutants=[
        Mutant(
            "order_ignored",
            "impl",
            {"fit": _order_ignored},
            why="every quantile is fitted on its own",
            part="typical(table=gaussian,k=5)",
        ),
        Mutant(
            "moved_after_the_fit",
            "impl",
            {"fit": _moved_after_the_fit},
            why="single fits are moved apart by their intercepts, and nothing is fitted again",
            part="typical(table=gaussian,k=5)",
        ),
        Mutant(
            "bound_from_signs",
            "impl",
            {"fit": _bound_from_signs},
            why="the dual takes the slopes of the residuals and does not meet its equations",
            part="typical(table=gaussian,k=5)",
        ),
        Mutant(
            "ends_only",
            "impl",
            {"fit": _ends_only},
            why="the order is kept between the first and the last quantile only",
            part="typical(table=gaussian,k=5)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Forbidding crossings in the fit"),
    title="quantiles that may not cross",
    plain="The joint fit does not cross at any row or between rows, its bound is below the loss of an independent simplex solution that "
    "does not cross, and its own loss is within the wanted gap of the bound.",
    tex=r"\sum_jb^\top y_j\le\sum_jP_j(x_j)\quad\text{whenever}\quad a_ix_j\le a_ix_{j+1}",
)
def joint_bound_and_order(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return bound, gap and crossings, at rows and between them, beside an independent loss, the wanted gap and zero."""
    found = impl.fit(inst.A, inst.b, inst.levels)
    shares = rng.dirichlet(np.full(len(inst.A), 0.05), _POINTS)
    crossings = [-float(np.diff(points @ found.coef.T, axis=1).min()) for points in (inst.A, shares @ inst.A)]
    loss = _loss_of(inst, found.coef)
    other = _loss_of(inst, _ordered_simplex_fit(inst))
    size = float(np.max(np.abs(inst.A) @ np.abs(found.coef).T))
    sizes = np.array([len(inst.levels) * np.abs(inst.b).sum(), loss, size, size])
    return Outcome(
        np.array([found.dual_bound, loss - found.dual_bound, *crossings]), np.array([other, _TOL * loss, 0.0, 0.0]), aux={"sizes": sizes}
    )
