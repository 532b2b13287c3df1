"""Claims about the enumeration of hulls: within 2 eps, attained exactly, and the vertices are the vertices."""

import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.misspecified_bandits import AdaptiveAdversary, HullEnumeration, LinearBanditEnv, hull_vertices
from algos.misspecified_bandits.bounds import hull_suboptimality
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.misspecified_bandits import _wrong_hulls as wrong
from proofs_check.claims.misspecified_bandits._problems import (
    EPS,
    HARD_SHAPES,
    SHAPES,
    Env,
    actions,
    decoded,
    diabetes,
    few,
    grid,
    rounding,
    searched_shapes,
    searched_size,
    searched_to_the_end,
    sparse_model,
    world,
)

cat = Catalogue("misspecified_bandits/hull_enumeration")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_PROOF = "docs/theory/misspecified_bandits.md, Hulls of projections"

# --- within 2 eps ---------------------------------------------------------------------------------------------------------------------


def _model(rng: np.random.Generator, X: FloatArray, s: int) -> FloatArray:
    """Draw a model: none, one that ranks two actions alike, or any."""
    d, kind = X.shape[1], rng.integers(4)
    theta = np.zeros(d)
    if kind == 0:
        return theta
    if kind == 1 and s == 2:  # orthogonal to an edge, perhaps of the hull
        i, j = rng.choice(d, 2, replace=False)
        a, b = rng.choice(len(X), 2, replace=False)
        theta[[i, j]] = X[a, j] - X[b, j], X[b, i] - X[a, i]
        length = float(np.linalg.norm(theta))
        return theta / length if length > 0.0 else theta
    return sparse_model(rng, d, s)


def _opposed(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Build actions and a model whose errors an opponent chooses during play."""
    X = actions(rng, point["shape"], point.get("n", 60), point.get("d", 5))
    return Instance({**point, "eps": EPS}, {"X": X, "theta": _model(rng, X, point["s"]), "errors": "opponent"})


def _typical(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X = actions(rng, point["shape"], 60, 5)
    kind = str(rng.choice(["uniform", "signs", "flattened"]))
    return Instance({**point, "eps": EPS}, {"X": X, "theta": sparse_model(rng, 5, point["s"]), "errors": kind})


def _real(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take a surface with the error of its best sparse model, found by linear programs."""
    X, mean, fit = diabetes(point["s"])
    return Instance({**point, "eps": fit.eps}, {"X": X, "theta": fit.theta, "errors": "its own", "mean": mean})


def _small(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    X, theta = decoded(x, point)
    return Instance({**point, "eps": EPS}, {"X": X, "theta": theta, "errors": "opponent"})


def _random_small(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return _small(rng.standard_normal(searched_size(point)), point)


_BUDGET = rounding(
    lambda inst, out: 4 * inst.s + 8 if inst.s <= 2 else 2000,
    why="s products and sums on each side of a difference; in space points within 1e-13 of the spread of a face may be left out",
)


def _mistake(name: str, change: wrong.Change, why: str, part: str) -> Mutant:
    return Mutant(name, "impl", {"learner": wrong.planned(change)}, why, part=part, killers=("MB-08",))


@cat.inequality(
    "MB-08",
    bound=hull_suboptimality,
    params=("eps",),
    attribute="HullEnumeration.bound_",
    budget=_BUDGET,
    impl={"learner": HullEnumeration},
    families=[
        Family("typical", _typical, grid=grid(SHAPES, (1, 2, 3))),
        Family("diabetes", _real, grid=({"s": 2},), role="real"),
        Family("opposed", _opposed, grid=grid((*SHAPES, *HARD_SHAPES), (1, 2, 3)), role="adversarial"),
        Family(
            "round",
            _opposed,
            grid=tuple({"shape": "sphere", "s": s, "n": 300, "d": d} for s, d in ((2, 2), (2, 3), (3, 3))),
            role="adversarial",
        ),
        Family(
            "searched",
            _random_small,
            grid=({"n": 4, "s": 2}, {"n": 6, "s": 3}),
            role="adversarial",
            search=SearchSpace(searched_size, _small, shapes=searched_shapes),
        ),
    ],
    budgets=few(8, 40, 400, evaluations=40),
    tight=1.0 - 1e-9,
    companions=("MB-08a", "MB-08b"),
    mutants=[
        Mutant("one_eps", "bound", lambda f: lambda *, eps: f(eps=eps) / 2.0, "the error counts once", part="opposed(shape=signs,s=2)"),
        _mistake("upper_chain", wrong.upper_chain, "only the upper half of every hull is queried", "round(shape=sphere,s=2,n=300,d=2)"),
        _mistake(
            "maxima_only", wrong.maxima, "the least action of a column is left out: theta may be negative", "opposed(shape=gaussian,s=1)"
        ),
        _mistake("columns_only", wrong.columns, "extremes of single columns for s = 2", "opposed(shape=gaussian,s=2)"),
        _mistake("pairs_for_triples", wrong.pairs, "hulls of pairs of columns for s = 3", "round(shape=sphere,s=3,n=300,d=3)"),
        _mistake(
            "last_column_forgotten",
            wrong.without_last_column,
            "supports are taken from the first d - 1 columns",
            "round(shape=sphere,s=2,n=300,d=3)",
        ),
        _mistake(
            "sixteen_directions",
            wrong.sixteen_directions,
            "the extremes of the pre-filter are taken for the hull",
            "round(shape=sphere,s=2,n=300,d=2)",
        ),
        _mistake("joggled", wrong.joggled, "points are moved by a millionth, so that none lie on a line", "opposed(shape=near_line,s=2)"),
        _mistake(
            "half_of_the_plan", wrong.first_half, "the budget ends the search but not the promise", "round(shape=sphere,s=2,n=300,d=2)"
        ),
        Mutant(
            "worst_recommended",
            "impl",
            {"learner": wrong.recommending_the_worst},
            "rewards are taken for costs",
            part="typical(shape=gaussian,s=2)",
            killers=("MB-08",),
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="vertices of hulls are enough",
    plain="When all vertices of the hulls of all projections to s columns were queried, s = 1, 2, 3, the best of them is within 2 eps of "
    "the best action, also when the errors are chosen during play; this is attained.",
    tex=r"\max_br(b)-r(\hat a)\le2\varepsilon",
)
def suboptimality_of_the_best_vertex(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the suboptimality, with what the learner promises."""
    learner = impl.learner(s=inst.s, eps=inst.eps)
    if inst.errors == "opponent":
        env: Env = AdaptiveAdversary(inst.X, inst.theta, inst.eps)
    elif "mean" in inst.data:
        env = LinearBanditEnv(inst.X, inst.mean)
    else:
        env = world(rng, inst.X, inst.theta, inst.eps, inst.errors)
    found = searched_to_the_end(env, learner, batch=1000)
    return Outcome(found, aux={"bound_": learner.bound_})


# --- attained -------------------------------------------------------------------------------------------------------------------------


def _flat(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({**point, "eps": float(rng.choice([2.0**-k for k in range(6)]))}, {"X": actions(rng, point["shape"], 300, 4)})


def _loose(name: str, change: wrong.Change, why: str, part: str) -> Mutant:
    return Mutant(name, "impl", {"learner": wrong.planned(change)}, why, part=part)


@cat.identity(
    "MB-08a",
    bound=hull_suboptimality,
    params=("eps",),
    budget=FloatBudget(k=1, scale=lambda inst, out: inst.eps, why="rewards are plus or minus a power of two: one subtraction, exact"),
    impl={"learner": HullEnumeration},
    families=[
        Family("typical", _flat, grid=grid(("gaussian",), (1, 2, 3))),
        Family("adversarial", _flat, grid=grid(("signs", "lattice", "repeated"), (1, 2, 3)), role="adversarial"),
    ],
    budgets=few(4, 20, 200),
    mutants=[
        Mutant("three_eps", "bound", lambda f: lambda *, eps: 1.5 * f(eps=eps), "a constant that is not needed"),
        Mutant("one_eps", "bound", lambda f: lambda *, eps: eps, "the error counts once"),
        _loose("everything", wrong.everything, "all actions are queried: valid, but no search", "typical(shape=gaussian,s=2)"),
        _loose("ties_kept", wrong.ties_kept, "all copies of a vertex are queried", "adversarial(shape=signs,s=2)"),
    ],
    source=Source("derived", proof=_PROOF),
    title="the constant 2 is attained",
    plain="With theta = 0, errors of -eps on what is queried and of eps elsewhere, the suboptimality is 2 eps exactly: not every action is "
    "a vertex, and copies of a vertex are not queried again.",
    tex=r"\max_br(b)-r(\hat a)=2\varepsilon",
)
def suboptimality_without_a_model(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the suboptimality against an opponent when rewards are errors alone."""
    opponent = AdaptiveAdversary(inst.X, np.zeros(inst.X.shape[1]), inst.eps)
    return searched_to_the_end(opponent, impl.learner(s=inst.s, eps=inst.eps), batch=1000)


# --- vertices -------------------------------------------------------------------------------------------------------------------------


def _in_plane_hull(p: tuple[Fraction, ...], others: list[tuple[Fraction, ...]]) -> bool:
    """Return whether a point lies in a segment or triangle of others, in rational numbers."""

    def turn(a: tuple[Fraction, ...], b: tuple[Fraction, ...], c: tuple[Fraction, ...]) -> Fraction:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    def between(a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> bool:
        return turn(a, b, p) == 0 and (a[0] - p[0]) * (b[0] - p[0]) + (a[1] - p[1]) * (b[1] - p[1]) <= 0

    if any(between(a, b) for a, b in itertools.combinations(others, 2)):
        return True
    for a, b, c in itertools.combinations(others, 3):
        turns = turn(a, b, p), turn(b, c, p), turn(c, a, p)
        if min(turns) > 0 or max(turns) < 0:
            return True
    return False


def _separated(point: FloatArray, others: FloatArray) -> bool:
    """Return whether some direction puts a point of small whole numbers beyond all others: then by far, else not at all."""
    from scipy.optimize import linprog

    s = point.size
    rows = np.column_stack([others - point, np.ones(len(others))])
    program = linprog(np.append(np.zeros(s), -1.0), A_ub=rows, b_ub=np.zeros(len(rows)), bounds=[(-1.0, 1.0)] * s + [(0.0, None)])
    assert program.fun is not None
    return bool(program.fun < -1e-4)


def _true_vertices(points: FloatArray) -> IntArray:
    """Return the vertices by trying every point; of equal ones the first."""
    _, first = np.unique(points, axis=0, return_index=True)
    first.sort()
    if len(first) <= 2:
        return first.astype(np.int64)
    if points.shape[1] == 1:
        return np.unique([np.argmin(points[:, 0]), np.argmax(points[:, 0])]).astype(np.int64)
    if points.shape[1] == 2:
        exact = {i: tuple(Fraction(float(v)) for v in points[i]) for i in first.tolist()}
        return np.array([i for i in exact if not _in_plane_hull(exact[i], [q for j, q in exact.items() if j != i])])
    return np.array([i for i in first if _separated(points[i], points[[j for j in first if j != i]])], dtype=np.int64)


def _points(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    s, n = point["s"], {1: 12, 2: 9, 3: 12, 4: 9}[point["s"]]
    X: FloatArray = rng.integers(-2, 3, (n, s)).astype(np.float64)
    if point["points"] == "gaussian":
        X = rng.standard_normal((n, s))
    if point["points"] == "flat" and s == 2:
        X[:, 1] = X[:, 0] + 1.0
    elif point["points"] == "flat":  # a plane in space; none of its points lies on an edge, where rounding would decide
        parabola = [(i, i * i) for i in range(-3, 4)] + [(0, j) for j in range(2, 6)]
        X = np.asarray(rng.permutation(np.array(parabola, dtype=np.float64)) @ rng.integers(-9, 10, (2, s)) + 5.0)
    if point["points"] == "near_line":  # on the diagonal but for the last bits
        t = np.array([0.5, 0.5, 0.5, 5.1, 8.8, 12.0, 17.3, 24.0, 24.0])[:, None]
        X = np.asarray(t + np.spacing(t) * rng.integers(-2, 3, (9, 2)), dtype=np.float64)
    if point["points"] == "cube":
        X = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=s)))
        X = X[rng.choice(len(X), min(len(X), 20), replace=False)]
    return Instance(dict(point), {"tables": X[None]})


def _all_tables(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """List all sets of five points of a 3 x 3 lattice."""
    places = np.array(list(itertools.product((0.0, 1.0, 2.0), repeat=2)))
    return Instance(dict(point), {"tables": places[np.array(list(itertools.combinations(range(9), 5)))]})


def _marks(vertices: Callable[[FloatArray], IntArray], tables: FloatArray) -> FloatArray:
    found = np.zeros(tables.shape[:2])
    for mark, table in zip(found, tables, strict=True):
        mark[vertices(table)] = 1.0
    return found.ravel()


@cat.identity(
    "MB-08b",
    budget=FloatBudget(k=1, why="marks of points, 0 or 1: no rounding"),
    impl={"vertices": hull_vertices},
    families=[
        Family("typical", _points, grid=({"points": "gaussian", "s": 1}, {"points": "gaussian", "s": 2}, {"points": "lattice", "s": 3})),
        Family(
            "adversarial",
            _points,
            grid=(
                {"points": "lattice", "s": 1},
                {"points": "lattice", "s": 2},
                {"points": "near_line", "s": 2},
                {"points": "flat", "s": 2},
                {"points": "flat", "s": 3},
                {"points": "cube", "s": 3},
                {"points": "lattice", "s": 4},
                {"points": "flat", "s": 4},
            ),
            role="adversarial",
        ),
        Family("five_of_a_lattice", _all_tables, role="enumeration"),
    ],
    budgets=few(4, 40, 400),
    mutants=[
        Mutant(
            "upper_chain", "impl", {"vertices": wrong.above_the_ends}, "the lower chain is left out", part="typical(points=gaussian,s=2)"
        ),
        Mutant("collinear_kept", "impl", {"vertices": wrong.chain(weak=True)}, "points inside an edge count as vertices", part="five_of*"),
        Mutant(
            "rounded_turns", "impl", {"vertices": wrong.chain(weak=False)}, "turns are rounded", part="adversarial(points=near_line,s=2)"
        ),
        Mutant(
            "copies_kept", "impl", {"vertices": wrong.with_copies}, "every copy of a vertex is one", part="adversarial(points=lattice,s=2)"
        ),
        Mutant(
            "last_copy",
            "impl",
            {"vertices": wrong.last_copies},
            "of equal points the last one stands",
            part="adversarial(points=lattice,s=1)",
        ),
        Mutant(
            "joggled",
            "impl",
            {"vertices": wrong.joggled_vertices},
            "points in a plane are moved at random so that Qhull has no ties",
            part="adversarial(points=cube,s=3)",
        ),
    ],
    blind_to=("points in space within 1e-13 of a face: which of them are vertices is rounding",),
    source=Source("derived", proof=_PROOF),
    title="the vertices are the vertices",
    plain="The vertices found are those that no other points surround: in rational numbers in the plane, by a linear program per point of "
    "a lattice in space, for points that are repeated, on a line, in a plane, or on a line but for the last bit.",
)
def marks_of_vertices(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return a mark for every point beside the true one."""
    return Outcome(_marks(impl.vertices, inst.tables), _marks(_true_vertices, inst.tables))
