"""Claims about norming constants: what a query set can miss, and what a model that fits the queries promises, exactly."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import MimicPair, NormingConstant, SparseRecoveryBandit, mimic_pair, norming_constant
from algos.misspecified_bandits.bounds import norming_bound
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits._problems import few

cat = Catalogue("misspecified_bandits/sparse_recovery")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Norming = Callable[..., NormingConstant]
Make = Callable[..., SparseRecoveryBandit]

_PROOF = "docs/theory/misspecified_bandits.md, Good features"

# --- what queries miss ----------------------------------------------------------------------------------------------------------------


def _signs(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Draw entries of size at most 1, and queries among the rows."""
    n, d, m = point["n"], point["d"], point["m"]
    X: FloatArray = rng.uniform(-1.0, 1.0, (n, d)) if point["shape"] == "uniform" else rng.choice([-1.0, 1.0], (n, d))
    if point["shape"] == "near_copy":  # two columns that are all but equal
        X[:, 1] = X[:, 0] * (1.0 - 0.125 * rng.integers(0, 2, n))
    return Instance(dict(point), {"X": X, "queries": np.sort(rng.choice(n, m, replace=False))})


def _all_signs(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take all sign vectors as actions, and some as queries."""
    X = np.array(list(itertools.product((-1.0, 1.0), repeat=point["d"])))
    return Instance(dict(point), {"X": X, "queries": np.sort(rng.choice(len(X), point["m"], replace=False))})


def _table(shape: str, n: int, d: int, m: int, k: int) -> dict[str, Any]:
    return {"shape": shape, "n": n, "d": d, "m": m, "k": k}


_TABLES = [
    Family("typical", _signs, grid=(_table("uniform", 30, 6, 10, 2), _table("signs", 30, 6, 12, 2))),
    Family(
        "hard",
        _signs,
        grid=(_table("near_copy", 24, 5, 6, 2), _table("signs", 24, 6, 5, 4), _table("uniform", 24, 5, 5, 4)),
        role="adversarial",
    ),
    Family("all_signs", _all_signs, grid=({"d": 5, "m": 8, "k": 4}, {"d": 6, "m": 12, "k": 2}), role="adversarial"),
]


def _least_eigenvalue(rows: FloatArray, k: int) -> float:
    gram = rows.T @ rows / len(rows)
    return min(float(np.linalg.eigvalsh(gram[np.ix_(S, S)])[0]) for S in itertools.combinations(range(rows.shape[1]), k))


def _bounded(*, k: int, eigenvalue: float) -> float:
    return norming_bound(length=math.sqrt(k), eigenvalue=eigenvalue if eigenvalue > 1e-9 else 0.0)


def _without_eigenvalue(formula: Callable[..., float]) -> Callable[..., float]:
    return lambda *, k, eigenvalue: math.sqrt(k)


_SOLVED = FloatBudget(
    k=10**6,
    cond=lambda inst, out: max(1.0, float(np.max(np.where(np.isfinite(out.value), out.value, 1.0)))),
    scale=lambda inst, out: max(1.0, float(np.max(np.where(np.isfinite(out.value), out.value, 1.0)))),
    why="linear programs are solved to 1e-10 of their optimum, on rows that are conditioned like the constant itself",
)


@cat.inequality(
    "MB-13",
    budget=_SOLVED,
    impl={"norming": norming_constant, "bounded": _bounded},
    families=_TABLES,
    budgets=few(4, 20, 100),
    mutants=[
        Mutant(
            "no_eigenvalue",
            "impl",
            {"bounded": _without_eigenvalue},
            "sqrt(k), as if few queries were as good as all",
            part="all_signs(d=5*",
        ),
        Mutant(
            "eigenvalue_not_rooted",
            "impl",
            {"bounded": lambda f: lambda *, k, eigenvalue: math.sqrt(k) * min(eigenvalue, 1.0)},
            "a product for the quotient",
            part="typical(shape=signs*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="what a query set can miss",
    plain="For entries of size at most 1 the norming constant of the queries, computed exactly, is at most sqrt(k / lambda), lambda being "
    "the least eigenvalue of the Gram matrices of k queried columns.",
    tex=r"\Gamma_k(Q)\le\sqrt{k/\lambda_{\min,k}}",
)
def norming_constant_and_its_bound(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the norming constant beside its bound; where the bound says nothing, 0 and 1."""
    bound = impl.bounded(k=inst.k, eigenvalue=_least_eigenvalue(inst.X[inst.queries], inst.k))
    if math.isinf(bound):
        return Outcome(0.0, 1.0)
    return Outcome(impl.norming(inst.X, inst.queries, inst.k).value, bound)


def _by_programs(X: FloatArray, queries: IntArray, k: int) -> float:
    """Solve one linear program for every support and action."""
    from scipy.optimize import linprog

    best = 0.0
    for support in itertools.combinations(range(X.shape[1]), k):
        rows = X[:, list(support)]
        A = np.vstack([rows[queries], -rows[queries]])
        if np.linalg.matrix_rank(rows[queries]) < np.linalg.matrix_rank(rows):
            return math.inf
        for row in rows:
            found = linprog(-row, A_ub=A, b_ub=np.ones(len(A)), bounds=(None, None), method="highs")
            best = max(best, -float(found.fun or 0.0))
    return best


def _fewer(change: Callable[[FloatArray, IntArray, int], tuple[Any, ...]]) -> Callable[[Norming], Norming]:
    return lambda norming: lambda X, queries, k: norming(*change(X, queries, k))


_SMALL = [
    Family("typical", _signs, grid=(_table("uniform", 8, 4, 5, 2), _table("signs", 8, 4, 5, 2))),
    Family(
        "hard",
        _signs,
        grid=(_table("near_copy", 8, 3, 4, 2), _table("uniform", 7, 4, 4, 3), _table("signs", 8, 4, 3, 2)),
        role="adversarial",
    ),
]


@cat.identity(
    "MB-13a",
    budget=_SOLVED,
    impl={"norming": norming_constant},
    families=_SMALL,
    budgets=few(2, 10, 50),
    mutants=[
        Mutant(
            "one_column_less",
            "impl",
            {"norming": _fewer(lambda X, queries, k: (X, queries, k - 1))},
            "s columns in place of the 2 s of a difference",
            part="typical(shape=uniform*",
        ),
        Mutant(
            "last_column_forgotten",
            "impl",
            {"norming": _fewer(lambda X, queries, k: (X[:, :-1], queries, k))},
            "supports are taken from the first d - 1 columns",
            part="typical(shape=uniform*",
        ),
        Mutant(
            "one_query_forgotten",
            "impl",
            {"norming": _fewer(lambda X, queries, k: (X, queries[1:], k))},
            "the first query is not counted",
            part="typical(shape=uniform*",
        ),
        Mutant(
            "maximum_over_queries",
            "impl",
            {"norming": _fewer(lambda X, queries, k: (X[queries], np.arange(len(queries)), k))},
            "the maximum over all actions is taken over the queries",
            part="typical(shape=uniform*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="norming constants by linear programs",
    plain="The norming constant equals the largest optimum of one linear program for every support and action, and is infinite exactly "
    "where a vector vanishes on the queries and not elsewhere.",
    tex=r"\Gamma_k(Q)=\max_{\lvert S\rvert=k}\max_a\max\{\langle u,\varphi_S(a)\rangle:\ \lvert\langle u,\varphi_S(b)\rangle\rvert\le1\}",
)
def norming_constant_by_programs(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the constant beside that of all programs; infinity is written as -1."""
    found, other = impl.norming(inst.X, inst.queries, inst.k).value, _by_programs(inst.X, inst.queries, inst.k)
    return Outcome(found if math.isfinite(found) else -1.0, other if math.isfinite(other) else -1.0)


# --- attained -------------------------------------------------------------------------------------------------------------------------


def _mimicked(X: FloatArray, queries: IntArray, s: int, eps: float) -> MimicPair:
    return mimic_pair(X, queries, s=s, eps=eps, R=1e6)


def _half_of_it(pair: Callable[..., MimicPair]) -> Callable[..., MimicPair]:
    """Let models differ by eps on the queries."""
    return lambda X, queries, s, eps: pair(X, queries, s, eps / 2.0)


def _answers_of_the_first(pair: Callable[..., MimicPair]) -> Callable[..., MimicPair]:
    """Answer with the linear part of the first model: the second one has all of the error."""

    def wrong(X: FloatArray, queries: IntArray, s: int, eps: float) -> MimicPair:
        right = pair(X, queries, s, eps)
        return replace(right, answers=X[right.queries] @ right.first.theta)

    return wrong


def _short(pair: Callable[..., MimicPair]) -> Callable[..., MimicPair]:
    """Bound coefficients by a small number."""
    return lambda X, queries, s, eps: mimic_pair(X, queries, s=s, eps=eps, R=eps)


_PAIRS = [
    Family("typical", _signs, grid=({**_table("uniform", 14, 4, 8, 2), "s": 1}, {**_table("signs", 14, 5, 8, 2), "s": 1})),
    Family(
        "hard", _signs, grid=({**_table("near_copy", 12, 4, 7, 2), "s": 1}, {**_table("uniform", 12, 5, 8, 4), "s": 2}), role="adversarial"
    ),
]


@cat.identity(
    "MB-13b",
    budget=_SOLVED,
    impl={"pair": _mimicked, "norming": norming_constant},
    families=_PAIRS,
    budgets=few(3, 15, 60),
    mutants=[
        Mutant("half_of_it", "impl", {"pair": _half_of_it}, "models that differ by eps on the queries", part="typical(shape=uniform*"),
        Mutant("answers_of_the_first", "impl", {"pair": _answers_of_the_first}, "answers are not half way", part="typical(shape=uniform*"),
        Mutant("short_models", "impl", {"pair": _short}, "coefficients are bounded by eps", part="typical(shape=uniform*"),
        Mutant(
            "sparsity_not_doubled",
            "impl",
            {"norming": _fewer(lambda X, queries, k: (X, queries, k // 2))},
            "differences of two models have s coefficients",
            part="typical(shape=uniform*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the bound on predictions is attained",
    plain="There are two s-sparse models, both within eps of the same answers to all queries, that differ by exactly 2 eps times the "
    "norming constant for 2 s columns at some action.",
    tex=r"\max_a\langle\theta-\theta',\varphi_a\rangle=2\varepsilon\,\Gamma_{2s}(Q)",
)
def difference_of_two_models(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the difference and the excess of both residuals over eps, beside 2 eps Gamma and 0; nothing where the constant is infinite."""
    eps = 0.125
    gamma = impl.norming(inst.X, inst.queries, 2 * inst.s).value
    if math.isinf(gamma):
        return Outcome(np.zeros(2), np.zeros(2))
    pair = impl.pair(inst.X, inst.queries, inst.s, eps)
    thetas = [world.theta for world in pair]
    assert max(np.count_nonzero(theta) for theta in thetas) <= inst.s
    residual = max(float(np.max(np.abs(inst.X[pair.queries] @ theta - pair.answers))) for theta in thetas)
    found = float(np.max(np.abs(inst.X @ (thetas[0] - thetas[1]))))
    return Outcome(np.array([found, max(0.0, residual - eps)]), np.array([2.0 * eps * gamma, 0.0]))


# --- what a consistent fit promises ---------------------------------------------------------------------------------------------------


def _chebyshev(**options: Any) -> SparseRecoveryBandit:
    return SparseRecoveryBandit(method="chebyshev", check_best=False, on_coherent="ignore", **options)


def _scaled(factor: float) -> Callable[[Make], Make]:
    """Multiply the coefficients of the fit."""

    class Scaled(SparseRecoveryBandit):
        def _fitted(self) -> "FloatArray":
            return np.asarray(factor * super()._fitted())

    return lambda make: partial(Scaled, method="chebyshev", check_best=False, on_coherent="ignore")


def _promised(*, eps: float, gamma: float) -> tuple[float, float]:
    """Return the bounds on predictions and on the suboptimality."""
    return 2.0 * eps * gamma, 2.0 * eps * (1.0 + 2.0 * gamma)


def _world_of_signs(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    d, s = point["d"], point["s"]
    X = rng.choice([-1.0, 1.0], (40, d))
    theta = np.zeros(d)
    theta[rng.choice(d, s, replace=False)] = rng.standard_normal(s) * point["size"]
    return Instance(dict(point), {"X": X, "theta": theta})


@cat.inequality(
    "MB-13c",
    budget=_SOLVED,
    impl={"learner": _chebyshev, "promised": _promised},
    families=[
        Family(
            "typical", _world_of_signs, grid=({"d": 6, "s": 1, "size": 1.0, "factor": 4.0}, {"d": 6, "s": 2, "size": 1.0, "factor": 2.0})
        ),
        Family(
            "weak",
            _world_of_signs,
            grid=({"d": 6, "s": 1, "size": 0.1, "factor": 1.5}, {"d": 6, "s": 2, "size": 0.2, "factor": 1.0}),
            role="adversarial",
        ),
    ],
    budgets=few(8, 40, 200),
    mutants=[
        Mutant(
            "gamma_forgotten",
            "impl",
            {"promised": lambda f: lambda *, eps, gamma: (eps, 2.0 * eps)},
            "residuals on the queries are taken for errors everywhere",
            part="weak(*",
        ),
        Mutant("shrunk", "impl", {"learner": _scaled(0.25)}, "coefficients keep the shrinkage of a penalty", part="typical(d=6,s=1*"),
        Mutant("turned", "impl", {"learner": _scaled(-1.0)}, "rewards are taken for costs", part="typical(d=6,s=2*"),
    ],
    source=Source("derived", proof=_PROOF),
    title="what a consistent model promises",
    plain="A model with s coefficients and the least largest residual on the queries predicts every action within 2 eps times the norming "
    "constant for 2 s columns, and its best action is within 2 eps (1 + 2 Gamma) of the best one, whatever the errors.",
    tex=r"\max_a\lvert\langle\hat\theta-\theta,\varphi_a\rangle\rvert\le2\varepsilon\,\Gamma_{2s},\qquad\text{suboptimality}\le2\varepsilon(1+2\Gamma_{2s})",
)
def error_of_a_consistent_model(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the prediction error and the suboptimality beside their bounds; 0 and 1 where the constant is infinite."""
    eps = 0.125
    linear = inst.X @ inst.theta
    mean = linear + rng.choice([-eps, eps], len(linear))
    learner = impl.learner(s=inst.s, eps=eps, random_state=int(rng.integers(2**31)))
    learner.set_params(factor=inst.factor).fit(inst.X)
    learner.tell(learner.planned_, mean[learner.planned_])
    gamma = norming_constant(inst.X, learner.planned_, 2 * inst.s).value
    if math.isinf(gamma):
        return Outcome(np.zeros(2), np.ones(2))
    found = [float(np.max(np.abs(inst.X @ learner.coef_ - linear))), float(mean.max() - mean[learner.recommend()])]
    return Outcome(np.array(found), np.array(impl.promised(eps=eps, gamma=gamma)))
