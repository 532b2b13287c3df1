"""Claims about Lewis weights: contraction below p = 4 and its certificate, local rates, and the monotone step for large p."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linalg import row_leverages, whitening
from algos.lp_embeddings import bounds, instances
from algos.lp_embeddings.lewis_weights import LewisResult, lewis_map, lewis_weights
from proofs_check import Catalogue, Family, FloatBudget, Instance, Interval, Mutant, Outcome, Source
from proofs_check.claims.lp_embeddings._problems import ADVERSARIAL, TYPICAL, flights_table, random_table, searched, small_table

cat = Catalogue("lp_embeddings/lewis_weights")

FloatArray = npt.NDArray[np.float64]
Map = Callable[[Any, float, FloatArray], FloatArray]

_CONTRACTING = (1.0, 1.5, 3.0, 3.9)
_MAP_ERROR = 1e-9  # accuracy of leverage scores asked for by lewis_map; the Gram route may be 16 times worse
_GRAM_FACTOR = 16.0


# --- contraction ----------------------------------------------------------------------------------------------------------------


def _tables(names: tuple[str, ...], exponents: tuple[float, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"table": name, "p": p} for name in names for p in exponents)


def _pair(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = random_table(rng, point)
    return _with_pair(rng, A, point["p"])


def _with_pair(rng: np.random.Generator, A: FloatArray, p: float) -> Instance:
    n = A.shape[0]
    spread = float(np.exp(rng.uniform(np.log(0.1), np.log(10.0))))
    v = np.exp(rng.uniform(-spread, spread, n))
    return Instance({"p": p}, {"A": A, "v": v, "w": v * np.exp(rng.uniform(-spread, spread, n))})


def _common_factor(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = random_table(rng, point)
    v = np.exp(rng.uniform(-5.0, 5.0, A.shape[0]))
    return Instance({"p": point["p"]}, {"A": A, "v": v, "w": v * np.exp(float(rng.uniform(0.5, 10.0)))})


def _searched_shapes(point: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    n, d = point["n"], point["d"]
    return (n, d), (n,), (n,)


def _decoded_pair(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    n, d = point["n"], point["d"]
    A, log_v, step = x[: n * d].reshape(n, d), 3.0 * np.tanh(x[n * d : n * d + n]), 3.0 * np.tanh(x[n * d + n :])
    if not (np.linalg.cond(A) < 1e3 and np.max(np.abs(step)) > 0.1 and np.min(np.abs(A).sum(axis=1)) > 1e-3):
        raise ValueError("dependent columns, a row of zeros, or weights that hardly differ: the ratio would be rounding")
    return Instance({"p": point["p"]}, {"A": A, "v": np.exp(log_v), "w": np.exp(log_v + step)})


def _pair_on_flights(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return _with_pair(rng, point["dataset"].X, point["p"])


def _without_power(lewis: Map) -> Map:
    return lambda A, p, v: lewis(A, p, v) ** (2.0 / p)


def _wrong_exponent(lewis: Map) -> Map:
    def wrong(A: Any, p: float, v: FloatArray) -> FloatArray:
        c = v ** (1.0 - 1.0 / p)
        scale = np.sqrt(c / c.max())
        quadratic = row_leverages(A, whitening(A, scale=scale), scale=scale) / c
        return np.asarray(quadratic ** (p / 2.0))

    return wrong


def _distance(v: FloatArray, w: FloatArray) -> float:
    return float(np.max(np.abs(np.log(v) - np.log(w))))


@cat.inequality(
    "LP-09",
    bound=bounds.lewis_contraction,
    budget=FloatBudget(
        k=1,
        scale=lambda inst, out: inst.p * _GRAM_FACTOR * _MAP_ERROR / bounds.UNIT_ROUNDOFF / out.aux["distance"],
        why="each map is off by p/2 times the error of its leverage scores, 16 times the accuracy asked for; both over the distance",
    ),
    impl={"lewis_map": lewis_map},
    families=[
        Family("typical", _pair, grid=_tables(TYPICAL, _CONTRACTING)),
        Family("adversarial", _pair, grid=_tables(ADVERSARIAL, _CONTRACTING), role="adversarial"),
        # weights that differ by a common factor attain the bound on every table
        Family("common_factor", _common_factor, grid=_tables(("gaussian", "row_scales"), _CONTRACTING), role="adversarial"),
        searched(_decoded_pair, _searched_shapes, ({"n": 4, "d": 2, "p": 1.0}, {"n": 4, "d": 2, "p": 3.0})),
        Family("flights", _pair_on_flights, grid=({"p": 1.0},), role="real", dataset=flights_table({}).dataset),
    ],
    tight=0.999,
    trials={"quick": 6},
    search={"quick": 600, "full": 5_000, "nightly": 100_000},
    mutants=[
        Mutant(
            "power_forgotten",
            "impl",
            {"lewis_map": _without_power},
            why="the quadratic form is not raised to the power p/2",
            part="common_factor(table=gaussian,p=1)",
        ),
        Mutant(
            "half_exponent",
            "impl",
            {"lewis_map": _wrong_exponent},
            why="rows are weighted by v^(1 - 1/p) instead of v^(1 - 2/p)",
            part="common_factor(table=gaussian,p=3)",
        ),
        Mutant(
            "relaxed_rate",
            "bound",
            lambda f: lambda *, p: bounds.relaxed_rate(p=p),
            why="the local rate of the relaxed step taken for the factor of the map",
            part="common_factor(table=gaussian,p=1)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Contraction"),
    title="the Lewis map contracts for p < 4",
    plain="For p < 4 the Lewis map brings any two sets of weights nearer to each other by the factor |1 - p/2|, measured by the largest "
    "absolute log ratio.",
    tex=r"\max_i\left|\ln\frac{T(v)_i}{T(v')_i}\right|\le\left|1-\frac p2\right|\,\max_i\left|\ln\frac{v_i}{v'_i}\right|",
)
def contraction_of_the_lewis_map(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the ratio of the distances after and before the map."""
    before = _distance(inst.v, inst.w)
    after = _distance(impl.lewis_map(inst.A, inst.p, inst.v), impl.lewis_map(inst.A, inst.p, inst.w))
    return Outcome(after / before, aux={"distance": before})


# --- the certificate below p = 4 ----------------------------------------------------------------------------------------------------


def _known(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    p = point["p"]
    if point["table"] == "one_column":
        made = instances.one_column(rng.standard_t(1.2, 40), p)
    else:
        made = instances.mixture_hard_instance(8, 2, 5, p)
    assert made.lewis_weights is not None
    if point["table"] == "blocks":
        # weights right up to a factor in each diagonal block: there the map is exactly a power, and for p < 2 the bound is attained
        blocks = np.argmax(np.c_[np.any(made.A[:, :8] != 0.0, axis=1), made.A[:, 8:] != 0.0], axis=1)
        start = made.lewis_weights * np.exp(rng.uniform(-3.0, 3.0, 6))[blocks]
    else:
        start = np.exp(rng.uniform(0.1, 4.0) * rng.standard_normal(len(made.A)))
    return Instance({"p": p, "tol": point["tol"]}, {"A": made.A, "truth": made.lewis_weights, "start": start})


@cat.inequality(
    "LP-09a",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: _GRAM_FACTOR * 1e-6 / bounds.UNIT_ROUNDOFF,
        scale=lambda inst, out: 1e-2 * inst.tol,
        why="leverage scores are asked for to a hundredth of tol; they enter the residual with the power p/2 <= 2",
    ),
    impl={"lewis_weights": lewis_weights},
    families=[
        Family(
            "known",
            _known,
            grid=tuple(
                {"table": table, "p": p, "tol": tol}
                for table in ("mixture", "one_column", "blocks")
                for p in _CONTRACTING
                for tol in (1.0, 0.05)
            ),
            role="adversarial",
        )
    ],
    tight=0.999,
    trials={"quick": 4},
    companions=("LP-09",),
    mutants=[
        Mutant(
            "residual_is_error",
            "impl",
            {"lewis_weights": lambda f: lambda *a, **k: _claiming(f(*a, **k), lambda p: 1.0)},
            why="the residual is taken for the error",
            part="known(table=blocks,p=1,tol=1)",
            killers=("LP-09a",),
        ),
        Mutant(
            "margin_of_relaxed_step",
            "impl",
            {"lewis_weights": lambda f: lambda *a, **k: _claiming(f(*a, **k), lambda p: 1.0 - bounds.relaxed_rate(p=p))},
            why="one minus the local rate of the relaxed step, instead of one minus the factor of the map",
            part="known(table=blocks,p=1,tol=1)",
            killers=("LP-09a",),
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Contraction: geometric series"),
    title="certified error of Lewis weights",
    plain="The error bound that lewis_weights returns for p < 4 holds for every weight, however early it stops.",
    tex=r"\max_i\left|\ln\frac{v_i}{w_i}\right|\le\frac{\mathrm{res}}{1-|1-p/2|}",
)
def error_of_returned_weights(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the true error beside the certified one."""
    result = impl.lewis_weights(inst.A, inst.p, tol=inst.tol, accel=0, v0=inst.start, return_info=True)
    live = inst.truth > 0.0
    claimed = Interval(result.error_bound, result.error_bound, "residual and contraction factor")
    return Outcome(_distance(result.weights[live], inst.truth[live]), claimed=claimed)


def _claiming(result: LewisResult, margin: Callable[[float], float]) -> LewisResult:
    return replace(result, error_bound=result.residual / margin(result.p))


# --- rates ----------------------------------------------------------------------------------------------------------------------

_SHIFT = 0.02  # of one log weight; central differences of order 8, whose error is a power of the shift over pi
_WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)  # of the differences over 1, 2, 3, 4 shifts


def _at_the_weights(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take a table with more rows than entries of its Gram matrix, so that the Jacobian has the eigenvalue that no table exceeds."""
    A = random_table(rng, point, n=16, d=3)
    return Instance(dict(point), {"A": A, "w": lewis_weights(A, point["p"], tol=1e-9, max_iter=500)})


def _stated_rate(*, p: float, step: str) -> float:
    """Rate of the classical or of the relaxed step."""
    return bounds.relaxed_rate(p=p, theta=1.0 if step == "classical" else None)


def _step_length(p: float, step: str) -> float:
    return 1.0 if step == "classical" else bounds.optimal_relaxation(p=p)


_RATES = (1.0, 1.5, 3.0, 3.9, 4.0, 6.0, 10.0)


@cat.identity(
    "LP-08",
    bound=_stated_rate,
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: 100.0 * _GRAM_FACTOR / _SHIFT,
        scale=lambda inst, out: out.aux["skew"],
        why="differences of logarithms of leverage scores at condition below 10, divided by the shift; eigenvalues of a matrix that is "
        "symmetric up to a row scaling",
    ),
    impl={"lewis_map": lewis_map, "step_length": _step_length},
    families=[
        Family(
            "typical",
            _at_the_weights,
            grid=tuple({"table": "gaussian", "p": p, "step": step} for p in _RATES for step in ("classical", "relaxed")),
        ),
        Family(
            "adversarial",
            _at_the_weights,
            grid=tuple({"table": table, "p": p, "step": "relaxed"} for table in ("spiked", "heavy_tailed") for p in (1.0, 3.0, 6.0)),
            role="adversarial",
        ),
    ],
    trials={"quick": 1},
    mutants=[
        Mutant(
            "exponent_not_doubled",
            "impl",
            {"lewis_map": _wrong_exponent},
            why="rows are weighted by v^(1 - 1/p) instead of v^(1 - 2/p)",
            part="typical(table=gaussian,p=3,step=classical)",
        ),
        Mutant(
            "classical_beyond_four",
            "impl",
            {"step_length": lambda f: lambda p, step: 1.0},
            why="the step 1 is used at p = 6, where it diverges",
            part="typical(table=gaussian,p=6,step=relaxed)",
        ),
        Mutant(
            "rate_of_the_classical_step",
            "bound",
            lambda f: lambda *, p, step: bounds.lewis_contraction(p=p),
            why="the factor of the map taken for the rate of the relaxed step",
            part="typical(table=gaussian,p=1,step=relaxed)",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Rates"),
    title="local rates of the Lewis iterations",
    plain="Near the Lewis weights the spectral radius of the iteration is |p/2 - 1| for the classical step and |p - 2|/(p + 2) for the "
    "relaxed one, on every table with enough rows.",
    tex=r"\max_k\lvert\mu_k\rvert=\max\left(\lvert 1-\theta\rvert,\left\lvert 1-\frac{\theta p}2\right\rvert\right)",
)
def spectral_radius_of_the_iteration(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the spectral radius of the Jacobian of one step, by differences of the map."""
    n, theta = len(inst.w), impl.step_length(inst.p, inst.step)
    jacobian = np.zeros((n, n))
    for j in range(n):
        for k, weight in enumerate(_WEIGHTS, start=1):
            shift = np.exp(k * _SHIFT * (np.arange(n) == j))
            ahead, back = (np.log(impl.lewis_map(inst.A, inst.p, v)) for v in (inst.w * shift, inst.w / shift))
            jacobian[:, j] += theta * weight * (ahead - back) / _SHIFT
    jacobian[np.diag_indices(n)] += 1.0 - theta
    radius = float(np.max(np.abs(np.linalg.eigvals(jacobian))))
    return Outcome(radius, aux={"skew": float(np.sqrt(inst.w.max() / inst.w.min()))})


# --- large p ------------------------------------------------------------------------------------------------------------------------

_LARGE = (2.5, 4.0, 8.0, 30.0)
_STEPS = 12
_VISIBLE = 1e-6  # growth below this is compared with rounding, not with theory


def _wild_start(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    A = random_table(rng, point, n=40, d=4)
    return Instance({"p": point["p"]}, {"A": A, "start": np.exp(3.0 * rng.standard_normal(A.shape[0]))})


def _searched_start(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    A, start = small_table(x, point, largest=1e3), np.exp(6.0 * np.tanh(x[-point["n"] :]))
    v = _normalised(start, float(point["d"]))
    leverages, _ = _reweighted_leverages(A, point["p"], v)
    if not (np.min(leverages) > 1e-9 and leverages @ np.log(leverages / v) > 1e-3):  # 3,000 times what is granted to rounding
        raise ValueError("a row that the others hide, or weights that hardly move: the gain would be rounding")
    return Instance({"p": point["p"]}, {"A": A, "start": start})


def _normalised(v: FloatArray, total: float) -> FloatArray:
    return np.asarray(v * (total / v.sum()))


def _leverage_step(A: FloatArray, p: float, v: FloatArray) -> FloatArray:
    """Take the step with theta = 2/p through the map that lewis_weights uses: v becomes the leverage scores of the reweighted table."""
    return np.asarray(v * (lewis_map(A, p, v) / v) ** (2.0 / p))


def _reweighted_leverages(A: FloatArray, p: float, v: FloatArray) -> tuple[FloatArray, float]:
    """Leverage scores and log-determinant of the reweighted table, by a QR factorisation."""
    Q, R = np.linalg.qr(v[:, None] ** (0.5 - 1.0 / p) * A)
    return (Q**2).sum(axis=1), 2.0 * float(np.sum(np.log(np.abs(np.diag(R)))))


@cat.inequality(
    "LP-10",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: 10.0 * inst.A.shape[1] * _GRAM_FACTOR * _MAP_ERROR / bounds.UNIT_ROUNDOFF,
        why="the step uses leverage scores right to 16e-9, and slopes of the log-determinant sum to d",
    ),
    impl={"step": _leverage_step, "normalised": _normalised},
    families=[
        Family("typical", _wild_start, grid=_tables(TYPICAL, _LARGE)),
        Family("adversarial", _wild_start, grid=_tables(ADVERSARIAL, _LARGE), role="adversarial"),
        searched(
            _searched_start,
            lambda point: ((point["n"], point["d"]), (point["n"],)),
            tuple({"n": 4, "d": 2, "p": p} for p in (2.5, 8.0, 30.0)),
        ),
    ],
    trials={"quick": 3},
    search={"quick": 200, "full": 5_000, "nightly": 100_000},
    mutants=[
        Mutant(
            "classical_step",
            "impl",
            {"step": lambda f: lewis_map},
            why="theta = 1, the classical map, which stalls at p = 4 and diverges above",
            part="typical(table=gaussian,p=4)",
            killers=("LP-10",),
        ),
        Mutant(
            "start_not_normalised",
            "impl",
            {"normalised": lambda f: lambda v, total: v},
            why="the start does not sum to the rank",
            part="typical(table=gaussian,p=8)",
            killers=("LP-10",),
        ),
    ],
    companions=("LP-10a",),
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Large p"),
    title="the leverage step never loses",
    plain="For p >= 2 the step to the leverage scores of the reweighted table raises its log-determinant by at least "
    "(1 - 2/p) times the relative entropy of the step, which is never negative.",
    tex=r"\ln\det(A^\top T^{1-2/p}A)-\ln\det(A^\top V^{1-2/p}A)\ge\left(1-\frac2p\right)\sum_i t_i\ln\frac{t_i}{v_i}\ge 0",
)
def growth_of_the_determinant(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the promised growth at every step beside the growth itself."""
    A, p = inst.A, inst.p
    v = impl.normalised(inst.start, float(A.shape[1]))
    grown: list[float] = []
    promised: list[float] = []
    t, value = _reweighted_leverages(A, p, v)
    for _ in range(_STEPS):
        promise = (1.0 - 2.0 / p) * float(np.sum(t * np.log(t / v)))
        if abs(promise) < _VISIBLE and grown:  # converged: what is left of growth and promise is rounding, of either sign
            break
        with np.errstate(all="ignore"):  # a step that diverges is a finding, not a warning
            v = impl.step(A, p, v)
        if not (v.min() > 1e-290 and v.max() < 1e290):
            grown.append(-np.inf)
            promised.append(promise)
            break
        t, after = _reweighted_leverages(A, p, v)
        grown.append(after - value)
        promised.append(promise)
        value = after
    return Outcome(np.maximum(promised, 0.0), np.array(grown))


def _known_maximum(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Build tables whose weights are known: blocks of one column each, nearly alike, or the mixture."""
    p = point["p"]
    if point["table"] == "mixture":
        made = instances.mixture_hard_instance(8, 2, 5, p)
        assert made.lewis_weights is not None
        A, truth = made.A, made.lewis_weights
    else:
        # at p = 1000 the largest entry takes all the weight, and uniform weights see it only 4 % ahead of the others: the bound is the
        # tangent of a logarithm at 1, attained in the limit
        column = instances.one_column(np.r_[1.0, rng.uniform(0.965, 0.975, 2)], p)
        assert column.lewis_weights is not None
        A, truth = np.asarray(np.kron(np.eye(4), column.A), dtype=np.float64), np.tile(column.lewis_weights, 4)
    return Instance({"p": p, "tol": point["tol"]}, {"A": A, "truth": truth})


@cat.inequality(
    "LP-10a",
    budget=FloatBudget(
        k=1,
        cond=lambda inst, out: 10.0 * inst.A.shape[1] * _GRAM_FACTOR * 1e-6 / bounds.UNIT_ROUNDOFF,
        scale=lambda inst, out: min(1.0, 1e-2 * inst.tol),
        why="leverage scores right to a hundredth of tol, at most 1e-6; slopes of the log-determinant sum to d",
    ),
    impl={"lewis_weights": lewis_weights},
    families=[
        Family("typical", _known_maximum, grid=tuple({"table": "mixture", "p": p, "tol": tol} for p in (4.0, 8.0) for tol in (1.0, 0.1))),
        Family("nearly_alike", _known_maximum, grid=({"table": "blocks", "p": 1000.0, "tol": 100.0},), role="adversarial"),
    ],
    tight=0.9,
    trials={"quick": 2},
    mutants=[
        Mutant(
            "rank_forgotten",
            "impl",
            {"lewis_weights": lambda f: lambda *a, **k: _claiming_gap(f(*a, **k), lambda r: r.logdet_gap / r.rank)},
            why="weights are taken to sum to 1, not to the rank",
            part="nearly_alike*",
        ),
        Mutant(
            "slope_of_the_map",
            "impl",
            {"lewis_weights": lambda f: lambda *a, **k: _claiming_gap(f(*a, **k), lambda r: r.logdet_gap * 2.0 / (r.p - 2.0))},
            why="the slope 2/p instead of 1 - 2/p in front of the overshoot",
            part="nearly_alike*",
        ),
    ],
    source=Source("derived", proof="docs/theory/lp_embeddings.md, Large p: concavity in the weights"),
    title="certified log-determinant gap for large p",
    plain="For p >= 4 the returned weights are within the certified gap of the largest log-determinant.",
    tex=r"\max_w\ln\det-\ln\det(A^\top V^{1-2/p}A)\le\left(1-\frac2p\right)d\,(\rho-1)",
)
def determinant_gap(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the true gap beside the certified one."""
    result = impl.lewis_weights(inst.A, inst.p, tol=inst.tol, return_info=True)
    reached, best = (_reweighted_leverages(inst.A, inst.p, v)[1] for v in (result.weights, inst.truth))
    return Outcome(best - reached, claimed=Interval(result.logdet_gap, result.logdet_gap, "concavity"))


def _claiming_gap(result: LewisResult, gap: Callable[[LewisResult], float]) -> LewisResult:
    return replace(result, logdet_gap=gap(result))
