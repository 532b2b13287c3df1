"""Claims about least squares on a design when the model is wrong: the worst prediction, and the worst recommendation, exactly."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import g_optimal_design, lebesgue_function, ls_worst_case, prediction_weights
from algos.misspecified_bandits.bounds import ls_prediction_error, ls_suboptimality
from algos.misspecified_bandits.least_squares import LsWorstCase
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits._problems import EPS, actions, few

cat = Catalogue("misspecified_bandits/least_squares")

FloatArray = npt.NDArray[np.float64]
Table = Callable[[FloatArray, FloatArray], FloatArray]
Worst = Callable[[FloatArray, FloatArray, float], LsWorstCase]

_PROOF = "docs/theory/misspecified_bandits.md, Least squares under misspecification"


def _designed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Draw actions that span, a design on them, and a model."""
    n, d = point["n"], point["d"]
    X = actions(rng, point["shape"], n, d)
    X[:d] = np.eye(d) if point["shape"] in ("lattice", "signs") else X[:d]  # so that few rows of whole numbers span
    if point["design"] == "optimal":
        p = g_optimal_design(X, tol=0.1, random_state=int(rng.integers(2**31))).weights
    else:
        p = np.zeros(n)
        core = rng.choice(np.arange(d, n), min(d, n - d), replace=False)
        p[:d], p[core] = 1.0, 1.0
        if point["design"] == "uneven":
            p *= 10.0 ** rng.uniform(-3.0, 0.0, n)
        p /= p.sum()
    return Instance({**point, "eps": EPS}, {"X": X, "p": p, "theta": rng.standard_normal(d)})


def _rows(inst: Instance) -> FloatArray:
    return np.asarray(np.sqrt(inst.p)[:, None] * inst.X)


def _cond(inst: Instance, out: Any) -> float:
    rows = _rows(inst)
    values = np.linalg.svd(rows / np.max(np.abs(rows), axis=0), compute_uv=False)
    return float((values[0] / values[-1]) ** 2)


def _scale(inst: Instance, out: Any) -> float:
    return float(np.max(np.abs(inst.X) @ np.abs(inst.theta))) + float(np.max(np.abs(out.value)))


_SOLVED = FloatBudget(
    k=2000,
    cond=_cond,
    scale=_scale,
    why="two solutions of the same least squares problem, which differ by its squared condition; sums over some twenty queries",
)


def _variances(X: FloatArray, p: FloatArray) -> FloatArray:
    """Return the variance of every prediction, from normal equations that are solved by themselves."""
    return np.asarray(np.einsum("ij,ji->i", X, np.linalg.solve((X.T * p) @ X, X.T)))


def _point(shape: str, design: str, n: int, d: int) -> dict[str, Any]:
    return {"shape": shape, "design": design, "n": n, "d": d}


_FAMILIES = [
    Family(
        "typical",
        _designed,
        grid=(_point("sphere", "optimal", 30, 4), _point("gaussian", "uneven", 30, 4), _point("sphere", "even", 20, 3)),
    ),
    Family(
        "hard",
        _designed,
        grid=(_point("t1.5", "uneven", 30, 3), _point("lattice", "optimal", 30, 3), _point("signs", "uneven", 30, 5)),
        role="adversarial",
    ),
]


def _even(f: Table) -> Table:
    """Forget the weights of the design, but not its support."""
    return lambda X, p: f(X, (p > 0.0).astype(np.float64))


def _signed(f: Table) -> Table:
    return lambda X, p: np.asarray(np.abs(prediction_weights(X, p).sum(axis=1)))


def _squared(f: Table) -> Table:
    return lambda X, p: np.asarray(np.sqrt((prediction_weights(X, p) ** 2).sum(axis=1)))


def _roots(f: Table) -> Table:
    return lambda X, p: np.asarray(np.sqrt(_variances(X, p)))


@cat.identity(
    "MB-05",
    budget=_SOLVED,
    impl={"weights": prediction_weights, "lebesgue": lebesgue_function},
    families=_FAMILIES,
    budgets=few(8, 80, 400),
    mutants=[
        Mutant("even", "impl", {"lebesgue": _even}, "the weights of the design are left out of the fit", part="typical(shape=gaussian*"),
        Mutant("even_signs", "impl", {"weights": _even}, "errors are aimed at another fit", part="typical(shape=gaussian*"),
        Mutant("signed", "impl", {"lebesgue": _signed}, "weights are added with their signs", part="typical(shape=sphere,design=even*"),
        Mutant("squared", "impl", {"lebesgue": _squared}, "a root of squares, as for noise", part="typical(shape=sphere,design=even*"),
        Mutant(
            "bound_for_value", "impl", {"lebesgue": _roots}, "the bound by Cauchy and Schwarz", part="typical(shape=sphere,design=even*"
        ),
    ],
    source=Source("derived", proof=_PROOF),
    companions=("MB-05a",),
    title="the worst prediction error of least squares",
    plain="When every queried reward is off by eps in the direction of its weight, the prediction of weighted least squares for an action "
    "is off by eps times the Lebesgue function.",
    tex=r"\sup_{\lvert\nu\rvert\le\varepsilon}\lvert\widehat f(a)-\langle\theta,\varphi_a\rangle\rvert=\varepsilon\,\Lambda(a)",
)
def realised_prediction_errors(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the errors of fits by another solver, one for each action whose worst rewards are played."""
    core = np.flatnonzero(inst.p)
    rows = _rows(inst)[core]
    nu = EPS * np.sign(impl.weights(inst.X, inst.p))
    rewards = (inst.X[core] @ inst.theta)[:, None] + nu.T
    coefs = np.linalg.lstsq(rows, np.sqrt(inst.p[core])[:, None] * rewards, rcond=None)[0]
    found = np.einsum("ij,ji->i", inst.X, coefs) - inst.X @ inst.theta
    return Outcome(found, EPS * impl.lebesgue(inst.X, inst.p))


@cat.inequality(
    "MB-05a",
    budget=_SOLVED,
    impl={"lebesgue": lebesgue_function, "promised": ls_prediction_error},
    families=_FAMILIES,
    budgets=few(8, 80, 400),
    mutants=[
        Mutant(
            "no_root",
            "impl",
            {"promised": lambda f: lambda *, eps, g: eps * min(g, 1.0)},
            "no prediction is off by more than the rewards",
            part="typical(shape=sphere,design=even*",
        ),
        Mutant(
            "half",
            "impl",
            {"promised": lambda f: lambda *, eps, g: f(eps=eps / 2.0, g=g)},
            "half of the error",
            part="typical(shape=sphere,design=even*",
        ),
        Mutant(
            "even",
            "impl",
            {"lebesgue": _even},
            "the fit does not have the weights of the design",
            part="typical(shape=gaussian*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the square root of the variance bounds the prediction error",
    plain="For every action and any design, the worst prediction error of weighted least squares on it is at most eps times the root of "
    "the action's variance, and so at most eps sqrt(g).",
    tex=r"\varepsilon\,\Lambda(a)\le\varepsilon\sqrt{\varphi_a^\top V^{-1}\varphi_a}",
)
def largest_error_of_every_prediction(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the worst error of every prediction beside its bound, and the largest of both."""
    bounds = np.array([impl.promised(eps=EPS, g=float(h)) for h in _variances(inst.X, inst.p)])
    found = EPS * impl.lebesgue(inst.X, inst.p)
    return Outcome(np.append(found, found.max()), np.append(bounds, bounds.max()))


# --- the recommendation ---------------------------------------------------------------------------------------------------------------


def _by_programs(X: FloatArray, p: FloatArray, eps: float) -> float:
    """Solve one linear program over the model and the errors for every pair of a best and a recommended action."""
    from scipy.optimize import linprog

    n, d = X.shape
    roots = np.sqrt(p)[:, None]
    predict = X @ np.linalg.pinv(roots * X) @ np.diag(roots[:, 0]) @ np.hstack([X, np.eye(n)])
    rewards = np.hstack([X, np.eye(n)])
    bounds = [(None, None)] * d + [(-eps, eps)] * n
    best = 0.0
    for a in range(n):
        for c in range(n):
            if a != c:
                found = linprog(rewards[c] - rewards[a], A_ub=predict - predict[c], b_ub=np.zeros(n), bounds=bounds, method="highs")
                best = max(best, -float(found.fun or 0.0))
    return best


_SMALL = [
    Family("typical", _designed, grid=(_point("sphere", "even", 6, 2), _point("gaussian", "uneven", 7, 2))),
    Family("hard", _designed, grid=(_point("t1.5", "optimal", 7, 2), _point("lattice", "even", 7, 3)), role="adversarial"),
]
_PROGRAMS = FloatBudget(
    k=10**7,
    cond=lambda inst, out: max(1.0, _cond(inst, out) ** 0.5),
    scale=_scale,
    why="linear programs are feasible to 1e-9 of the constraints that they solve, on predictions conditioned like the fit",
)


def _worst(change: Callable[[FloatArray, FloatArray, float, LsWorstCase], LsWorstCase]) -> Callable[[Worst], Worst]:
    return lambda f: lambda X, p, eps: change(X, p, eps, f(X, p, eps))


def _queried_only(X: FloatArray, p: FloatArray, eps: float, right: LsWorstCase) -> LsWorstCase:
    """Take errors at queried actions alone."""
    W, core = prediction_weights(X, p), np.flatnonzero(p)
    D = np.zeros((len(X), core.size))
    D[core, np.arange(core.size)] = 1.0
    D -= W
    value = float(np.max(np.abs(D[:, None] - D[None]).sum(axis=2)))
    return replace(right, value=eps * value)


def _chained(X: FloatArray, p: FloatArray, eps: float, right: LsWorstCase) -> LsWorstCase:
    return replace(right, value=2.0 * eps * (1.0 + float(lebesgue_function(X, p).max())))


@cat.identity(
    "MB-06",
    budget=_PROGRAMS,
    impl={"worst": ls_worst_case},
    families=_SMALL,
    budgets=few(2, 20, 100),
    mutants=[
        Mutant(
            "queried_only",
            "impl",
            {"worst": _worst(_queried_only)},
            "actions that are not queried have no error",
            part="typical(shape=gauss*",
        ),
        Mutant("chained", "impl", {"worst": _worst(_chained)}, "the two errors are bounded one by one", part="typical(shape=sphere*"),
        Mutant(
            "even_weights",
            "impl",
            {"worst": lambda f: lambda X, p, eps: f(X, (p > 0.0) * 1.0, eps)},
            "the weights of the design are left out",
            part="typical(shape=gaussian*",
        ),
        Mutant(
            "half_eps",
            "impl",
            {"worst": lambda f: lambda X, p, eps: f(X, p, eps / 2.0)},
            "half of the error",
            part="typical(shape=sphere*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    companions=("MB-06a", "MB-06b"),
    title="the worst recommendation by linear programs",
    plain="The closed form of the largest suboptimality of the action with the largest prediction equals the largest optimum of one "
    "linear program over the model and the errors for every pair of a best and a recommended action.",
    tex=r"WC(p)=\max_{a\ne c}\max\{r(a)-r(c):\ \widehat f(b)\le\widehat f(c)\ \forall b,\ \lvert\nu\rvert\le\varepsilon\}",
)
def worst_recommendation(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the closed form beside the optimum of all programs."""
    return Outcome(impl.worst(inst.X, inst.p, EPS).value, _by_programs(inst.X, inst.p, EPS))


@cat.inequality(
    "MB-06a",
    budget=_SOLVED,
    impl={"worst": ls_worst_case, "promised": ls_suboptimality},
    families=_FAMILIES,
    budgets=few(8, 80, 400),
    mutants=[
        Mutant(
            "no_one",
            "impl",
            {"promised": lambda f: lambda *, eps, g: f(eps=eps, g=g) - 2.0 * eps},
            "the errors at the two actions themselves are forgotten",
            part="typical(shape=sphere,design=even*",
        ),
        Mutant(
            "one_side",
            "impl",
            {"promised": lambda f: lambda *, eps, g: f(eps=eps, g=g) / 2.0},
            "one of the two actions is predicted exactly",
            part="typical(shape=sphere,design=even*",
        ),
        Mutant(
            "eps_doubled",
            "impl",
            {"worst": lambda f: lambda X, p, eps: f(X, p, 2.0 * eps)},
            "errors are twice as large",
            part="typical(shape=sphere,design=even*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="what every design guarantees for a recommendation",
    plain="The largest suboptimality of the action with the largest prediction is at most 2 eps (1 + L) for the largest value L of the "
    "Lebesgue function, and that at most 2 eps (1 + sqrt(g)).",
    tex=r"WC(p)\le2\varepsilon(1+\max_a\Lambda(a))\le2\varepsilon(1+\sqrt g)",
)
def worst_recommendation_and_bounds(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the worst case and its first bound beside both bounds."""
    worst = impl.worst(inst.X, inst.p, EPS).value
    first = impl.promised(eps=EPS, g=float(lebesgue_function(inst.X, inst.p).max()) ** 2)
    second = impl.promised(eps=EPS, g=float(_variances(inst.X, inst.p).max()))
    return Outcome(np.array([worst, first]), np.array([first, second]))


def _errors_turned(X: FloatArray, p: FloatArray, eps: float, right: LsWorstCase) -> LsWorstCase:
    return replace(right, nu=-right.nu)


def _errors_kept_small(X: FloatArray, p: FloatArray, eps: float, right: LsWorstCase) -> LsWorstCase:
    return replace(right, nu=right.nu * (p > 0.0))


def _no_model(X: FloatArray, p: FloatArray, eps: float, right: LsWorstCase) -> LsWorstCase:
    return replace(right, theta=0.0 * right.theta)


@cat.identity(
    "MB-06b",
    budget=_SOLVED,
    impl={"worst": ls_worst_case},
    families=_FAMILIES,
    budgets=few(8, 80, 400),
    mutants=[
        Mutant("turned", "impl", {"worst": _worst(_errors_turned)}, "errors favour the recommended action"),
        Mutant(
            "not_elsewhere", "impl", {"worst": _worst(_errors_kept_small)}, "errors at queried actions only", part="typical(shape=gauss*"
        ),
        Mutant("no_model", "impl", {"worst": _worst(_no_model)}, "predictions do not tie"),
    ],
    source=Source("derived", proof=_PROOF),
    title="the worst recommendation is attained",
    plain="The model and the errors that come with the worst case are within eps, make all predictions of least squares equal, and make "
    "the best action better than the recommended one by the closed form.",
    tex=r"\widehat f\equiv0,\qquad r(a)-r(c)=WC(p)",
)
def realised_recommendation(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the realised suboptimality, the largest prediction and the excess of the errors over eps."""
    found = impl.worst(inst.X, inst.p, EPS)
    rewards = inst.X @ found.theta + found.nu
    coef = np.linalg.lstsq(_rows(inst), np.sqrt(inst.p) * rewards, rcond=None)[0]
    excess = max(0.0, float(np.max(np.abs(found.nu))) - EPS)
    realised = float(rewards[found.a] - rewards[found.c])
    return Outcome(np.array([realised, float(np.max(np.abs(inst.X @ coef))), excess]), np.array([found.value, 0.0, 0.0]))


# --- the square root ------------------------------------------------------------------------------------------------------------------

_DIMENSIONS = (4, 8, 16, 32)


def _unit_vectors(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    tables = {f"X{d}": actions(rng, "sphere", point["n"], d) for d in _DIMENSIONS}
    return Instance(dict(point), tables)


def _as_variances(f: Table) -> Table:
    return _variances


@cat.inequality(
    "MB-07",
    budget=FloatBudget(k=10**4, why="a slope through four logarithms of sums that are conditioned like features on the sphere"),
    impl={"lebesgue": lebesgue_function},
    families=[
        Family("typical", _unit_vectors, grid=({"n": 1500, "tol": 0.01},)),
        Family("fewer", _unit_vectors, grid=({"n": 600, "tol": 0.1}, {"n": 600, "tol": 0.01}), role="adversarial"),
    ],
    budgets=few(2, 10, 50),
    mutants=[
        Mutant("variances", "impl", {"lebesgue": _as_variances}, "the variance, which grows like d, not its root"),
        Mutant(
            "signed",
            "impl",
            {"lebesgue": _signed},
            "weights are added with their signs: no growth is left",
        ),
        Mutant("squared", "impl", {"lebesgue": _squared}, "a root of squares in place of a sum"),
    ],
    source=Source("derived", proof=_PROOF),
    title="the square root of the dimension is real",
    plain="On random unit vectors the largest value of the Lebesgue function of a nearly optimal design grows with the dimension, from 4 "
    "to 32, with an exponent between 0.35 and 0.5.",
    tex=r"0.35\le\frac{d\ln\max_a\Lambda(a)}{d\ln d}\le0.5",
)
def exponent_of_the_dimension(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the slope of the logarithm of the largest Lebesgue function between its two bounds."""
    largest = []
    for d in _DIMENSIONS:
        X = inst.data[f"X{d}"]
        design = g_optimal_design(X, tol=inst.tol, random_state=int(rng.integers(2**31)))
        largest.append(float(impl.lebesgue(X, design.weights).max()))
    slope = float(np.polyfit(np.log(_DIMENSIONS), np.log(largest), 1)[0])
    return Outcome(np.array([0.35, slope]), np.array([slope, 0.5]))
