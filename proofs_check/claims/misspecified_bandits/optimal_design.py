"""Claims about optimal designs: the rank as the optimum, averages of the multiplicative method, classical points, and small supports."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from algos.misspecified_bandits import Design, g_optimal_design
from algos.misspecified_bandits.bounds import core_set_size, multiplicative_variance
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.misspecified_bandits._problems import actions, few

cat = Catalogue("misspecified_bandits/optimal_design")

FloatArray = npt.NDArray[np.float64]
Designer = Callable[..., Design]

_PROOF = "docs/theory/misspecified_bandits.md, Optimal designs"


def _table(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    n, d = point["n"], point["d"]
    if point["shape"] == "dependent":
        X = rng.standard_normal((n, 2)) @ rng.standard_normal((2, d))
    elif point["shape"] == "chebyshev":
        X = legendre.legvander(np.cos(np.pi * (np.arange(n) + 0.5) / n), d - 1)
    elif point["shape"] == "outlier":  # one row that is a thousand times as long as the others
        X = rng.standard_normal((n, d))
        X[0] *= 1000.0
    else:
        X = actions(rng, point["shape"], n, d)
    return Instance(dict(point), {"X": X})


def _point(shape: str, n: int, d: int, tol: float) -> dict[str, Any]:
    return {"shape": shape, "n": n, "d": d, "tol": tol}


def _hard(shapes: tuple[str, ...], n: int, d: int, tol: float) -> tuple[dict[str, Any], ...]:
    return tuple(_point(shape, n, d, tol) for shape in shapes)


_HARD = ("t1.5", "chebyshev", "signs", "dependent", "repeated", "outlier")
_FAMILIES = [
    Family("typical", _table, grid=(_point("gaussian", 200, 5, 0.01), _point("sphere", 100, 8, 0.1))),
    Family("hard", _table, grid=_hard(_HARD, 200, 4, 0.01), role="adversarial"),
]


def _variances(X: FloatArray, p: FloatArray) -> tuple[FloatArray, int]:
    """Return all variances and the rank, from a singular value decomposition of the weighted rows."""
    rows = X / np.max(np.abs(X), axis=0)
    values, right = np.linalg.svd(rows * np.sqrt(p)[:, None], full_matrices=False)[1:]
    kept = values > 1e-10 * values[0]
    return ((rows @ right[kept].T / values[kept]) ** 2).sum(axis=1), int(np.linalg.matrix_rank(rows))


_SPECTRAL = FloatBudget(
    k=10**5,
    scale=lambda inst, out: float(np.max(np.abs(out.value))),
    why="two factorisations of weighted rows whose condition is at most 1e4 after scaling columns; a sum of d squares",
)


def _changed(change: Callable[[FloatArray, Design], Design]) -> Callable[[Designer], Designer]:
    return lambda f: lambda X, **options: change(X, f(X, **options))


def _equal(X: FloatArray, right: Design) -> Design:
    """Give the actions of the support equal weights."""
    return replace(right, weights=(right.weights > 0.0) / float(np.count_nonzero(right.weights)))


def _uniform(X: FloatArray, right: Design) -> Design:
    return replace(right, weights=np.full(len(X), 1.0 / len(X)))


def _heavy(X: FloatArray, right: Design) -> Design:
    return replace(right, weights=right.weights * right.rank)


@cat.inequality(
    "MB-01",
    budget=_SPECTRAL,
    impl={"design": g_optimal_design},
    families=_FAMILIES,
    budgets=few(2, 20, 100),
    mutants=[
        Mutant("equal_weights", "impl", {"design": _changed(_equal)}, "the weights of the start are kept", part="hard(shape=t1.5*"),
        Mutant("uniform", "impl", {"design": _changed(_uniform)}, "all actions count the same", part="hard(shape=outlier*"),
        Mutant("sum_is_rank", "impl", {"design": _changed(_heavy)}, "weights sum to the rank", part="typical(shape=gaussian*"),
        Mutant(
            "tol_tenfold",
            "impl",
            {"design": lambda f: lambda X, tol, **options: f(X, tol=10.0 * tol, **options)},
            "iterations stop at ten times the tolerance",
            part="typical(shape=sphere*",
        ),
        Mutant(
            "columns_for_rank",
            "impl",
            {"design": _changed(lambda X, right: replace(right, rank=X.shape[1]))},
            "dependent columns are counted",
            part="hard(shape=dependent*",
        ),
    ],
    source=Source("folklore", proof=_PROOF),
    companions=("MB-01a",),
    title="the least largest variance is the rank",
    plain="The largest variance of any weights is at least the rank of the features, and of those returned at most 1 + tol times the rank; "
    "they are not negative, and their sum is 1.",
    tex=r"r\le g(p)\le(1+\mathrm{tol})\,r",
)
def variance_between_rank_and_tolerance(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the rank, the largest variance, the reported rank and the defects of the weights beside their bounds."""
    design = impl.design(inst.X, tol=inst.tol, random_state=int(rng.integers(2**31)))
    h, rank = _variances(inst.X, design.weights)
    g, off = float(h.max()), abs(float(design.weights.sum()) - 1.0)
    values = [float(rank), g, float(design.rank), 1.0 + off, 1.0 - float(design.weights.min())]
    return Outcome(np.array(values), np.array([g, (1.0 + inst.tol) * rank, float(rank), 1.0, 1.0]))


@cat.identity(
    "MB-01a",
    budget=_SPECTRAL,
    impl={"design": g_optimal_design},
    families=_FAMILIES,
    budgets=few(2, 20, 100),
    mutants=[
        Mutant(
            "rank_reported",
            "impl",
            {"design": _changed(lambda X, right: replace(right, g=float(right.rank)))},
            "the optimum is reported, not what was reached",
            part="typical(shape=sphere*",
        ),
        Mutant(
            "on_the_support",
            "impl",
            {"design": _changed(lambda X, right: replace(right, g=float(right.weights @ _variances(X, right.weights)[0])))},
            "an average over the queried actions, not the largest",
            part="typical(shape=sphere*",
        ),
    ],
    source=Source("folklore", proof=_PROOF),
    title="the reported variance is that of the weights",
    plain="The largest variance that a design reports equals the one recomputed from its weights by another factorisation.",
)
def reported_variance(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the reported largest variance beside the recomputed one."""
    design = impl.design(inst.X, tol=inst.tol, random_state=int(rng.integers(2**31)))
    return Outcome(design.g, float(_variances(inst.X, design.weights)[0].max()))


# --- the multiplicative method --------------------------------------------------------------------------------------------------------


def _iterated(X: FloatArray, T: int) -> FloatArray:
    """Return the average of T iterates by the package: it stops early only where the average is optimal."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return g_optimal_design(X, tol=0.0, method="multiplicative", max_iter=T).weights


def _rounds(X: FloatArray, T: int) -> list[FloatArray]:
    """List the iterates, each with the rank as its sum."""
    w = np.full(len(X), float(np.linalg.matrix_rank(X)) / len(X))
    found = []
    for _ in range(T):
        found.append(w)
        w = w * _variances(X, w)[0]
    return found


def _average(*, rank: int, n_actions: int, n_iter: int) -> float:
    return multiplicative_variance(rank=rank, n_actions=n_actions, n_iter=n_iter)


@cat.inequality(
    "MB-02",
    budget=_SPECTRAL,
    impl={"average": _iterated, "bound": _average},
    families=[
        Family("typical", _table, grid=tuple({"shape": "gaussian", "n": 200, "d": 5, "T": T} for T in (1, 5, 20))),
        Family(
            "hard",
            _table,
            grid=(
                *({"shape": "outlier", "n": 200, "d": 1, "T": T} for T in (1, 3)),
                *({"shape": shape, "n": 100, "d": 4, "T": 10} for shape in _HARD),
            ),
            role="adversarial",
        ),
    ],
    budgets=few(2, 20, 100),
    mutants=[
        Mutant(
            "one_round_more",
            "impl",
            {"bound": lambda f: lambda *, rank, n_actions, n_iter: f(rank=rank, n_actions=n_actions, n_iter=n_iter + 1)},
            "a round that was not made is counted",
            part="hard(shape=outlier,n=200,d=1,T=1*",
        ),
        Mutant(
            "no_power",
            "impl",
            {"bound": lambda f: lambda *, rank, n_actions, n_iter: float(rank)},
            "the optimum is taken for the bound",
            part="typical(*T=5*",
        ),
        Mutant(
            "first_iterate",
            "impl",
            {"average": lambda f: lambda X, T: f(X, 1)},
            "the start is returned",
            part="hard(shape=outlier,n=200,d=1,T=3*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    companions=("MB-02a",),
    title="averages of a multiplicative iteration",
    plain="The average of the first T iterates of weights times leverage scores has a largest variance of at most r (K / r)^(1/T), "
    "whatever the features.",
    tex=r"g\le r\,(K/r)^{1/T}",
)
def variance_of_the_average(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest variance of the average beside its bound."""
    h, rank = _variances(inst.X, impl.average(inst.X, inst.T))
    return Outcome(float(h.max()), impl.bound(rank=rank, n_actions=len(inst.X), n_iter=inst.T))


@cat.identity(
    "MB-02a",
    budget=_SPECTRAL,
    impl={"average": _iterated},
    families=[
        Family("typical", _table, grid=tuple({"shape": "gaussian", "n": 100, "d": 4, "T": T} for T in (1, 3, 12))),
        Family("hard", _table, grid=tuple({"shape": shape, "n": 60, "d": 3, "T": 6} for shape in _HARD), role="adversarial"),
    ],
    budgets=few(2, 20, 100),
    mutants=[
        Mutant(
            "last_iterate",
            "impl",
            {"average": lambda f: lambda X, T: _rounds(X, T)[-1] / np.sum(_rounds(X, T)[-1])},
            "the last iterate in place of the average",
            part="typical(*T=3*",
        ),
        Mutant(
            "one_round_more",
            "impl",
            {"average": lambda f: lambda X, T: f(X, T + 1)},
            "one iterate too many",
            part="typical(*T=3*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the iterates are those of the definition",
    plain="The weights returned by the multiplicative method are the average of the first T iterates, recomputed with another "
    "factorisation for every round.",
)
def average_of_the_iterates(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the weights beside the average of all iterates."""
    total = np.sum(_rounds(inst.X, inst.T), axis=0)
    return Outcome(impl.average(inst.X, inst.T), total / total.sum())


# --- polynomials ----------------------------------------------------------------------------------------------------------------------


def _polynomials(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Make all polynomials of degree k on a grid with the classical points, in a random basis."""
    k = point["k"]
    inner = legendre.Legendre.basis(k).deriv().roots()
    points = np.sort(np.concatenate([[-1.0, 1.0], np.real(inner)]))
    t = np.concatenate([points, rng.uniform(-1.0, 1.0, point["n"])])
    basis = np.linalg.qr(rng.standard_normal((k + 1, k + 1)))[0] if point["basis"] == "turned" else np.eye(k + 1)
    return Instance(dict(point), {"X": legendre.legvander(t, k) @ basis, "t": t})


# A design on the k + 1 points alone has the reciprocals of its weights as variances there, so that g <= (1 + tol) (k + 1) leaves each
# weight within tol of 1 / (k + 1). Points of the grid close to the classical ones may share a weight; 4 allows for those.
_TOL, _ROOM = 1e-4, 4.0


def _near(t: FloatArray, weights: FloatArray, k: int) -> FloatArray:
    """Add the weights that lie closest to each of the classical points, and the mean square distance from them."""
    points = t[: k + 1]
    nearest = np.argmin(np.abs(t[:, None] - points), axis=1)
    shares = np.bincount(nearest, weights, minlength=k + 1)
    return np.append(shares, weights @ (t - points[nearest]) ** 2)


@cat.inequality(
    "MB-03",
    budget=FloatBudget(k=100, why="sums of weights, whose total is 1, over the points of a grid"),
    impl={"design": g_optimal_design},
    families=[
        Family("typical", _polynomials, grid=tuple({"k": k, "n": 100, "basis": "legendre"} for k in (2, 4, 7))),
        Family("turned", _polynomials, grid=tuple({"k": k, "n": 30, "basis": "turned"} for k in (1, 3, 5)), role="adversarial"),
    ],
    budgets=few(1, 5, 20),
    mutants=[
        Mutant("equal", "impl", {"design": _changed(_uniform)}, "all points count the same", part="typical(k=4*"),
        Mutant(
            "loose",
            "impl",
            {"design": lambda f: lambda X, tol, **options: f(X, tol=0.5, **options)},
            "far from the optimum",
            part="typical(k=4*",
        ),
        Mutant(
            "one_degree_less",
            "impl",
            {"design": lambda f: lambda X, **options: f(X[:, :-1], **options)},
            "the highest power is left out",
            part="typical(k=4*",
        ),
    ],
    source=Source("folklore", proof=_PROOF),
    title="the optimal design for polynomials",
    plain="The optimal design for polynomials of degree k on an interval has equal weights on its ends and on the roots of the derivative "
    "of the Legendre polynomial, in whatever basis they are written: weights are off by at most 4 times the tolerance.",
    tex=r"p^\star=\tfrac1{k+1}\text{ on }\pm1\text{ and the roots of }P_k'",
)
def weights_near_the_classical_points(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return how far the weights around the points are from equal, and their spread, beside what the tolerance allows."""
    design = impl.design(inst.X, tol=_TOL, random_state=int(rng.integers(2**31)))
    off = np.abs(_near(inst.t, design.weights, inst.k) - np.append(np.full(inst.k + 1, 1.0 / (inst.k + 1)), 0.0))
    return Outcome(off, np.full(inst.k + 2, _ROOM * _TOL))


# --- small supports -------------------------------------------------------------------------------------------------------------------


@cat.inequality(
    "MB-04",
    budget=FloatBudget(k=1, why="whole numbers"),
    impl={"design": g_optimal_design, "size": core_set_size},
    families=[
        Family("typical", _table, grid=(_point("gaussian", 500, 5, 1.0), _point("sphere", 500, 12, 1.0))),
        Family("hard", _table, grid=(*_hard(_HARD, 500, 6, 1.0), _point("t1.5", 1000, 20, 1.0)), role="adversarial"),
    ],
    budgets=few(2, 20, 100),
    mutants=[
        Mutant(
            "uniform_start",
            "impl",
            {"design": lambda f: lambda X, **options: f(X, init="uniform", **options)},
            "the start has weight on all actions",
            part="typical(shape=gaussian*",
        ),
        Mutant(
            "multiplicative",
            "impl",
            {"design": lambda f: lambda X, tol, **options: f(X, tol=tol, method="multiplicative")},
            "no weight is ever 0",
            part="typical(shape=gaussian*",
        ),
        Mutant(
            "rank",
            "impl",
            {"size": lambda f: lambda *, rank: rank - 1},
            "fewer actions than span the features",
            part="typical(shape=gaussian*",
        ),
    ],
    source=Source("paper", reference="Todd on the volumetric start; Lattimore, Szepesvari, Weisz, ICML 2020", recalled=True, proof=_PROOF),
    title="few actions suffice",
    plain="From the volumetric start a design whose largest variance is at most twice the rank has at most 4 r ln ln r + 16 actions.",
    tex=r"\lvert\operatorname{supp}p\rvert\le4r\ln\ln r+16",
)
def size_of_the_support(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the number of actions beside its bound."""
    design = impl.design(inst.X, tol=inst.tol, random_state=int(rng.integers(2**31)))
    return Outcome(float(np.count_nonzero(design.weights)), float(impl.size(rank=design.rank)))
