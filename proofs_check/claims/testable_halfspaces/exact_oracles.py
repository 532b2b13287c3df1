"""Claims about the exact least number of mistakes: against every cell of the arrangement of the rows, in integers."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.exact_oracles import ExactError, exact_halfspace_error
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._problems import searched

cat = Catalogue("testable_halfspaces/exact_oracles")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Oracle = Callable[[FloatArray, FloatArray], ExactError]

_PROOF = "docs/theory/testable_halfspaces.md, Exact oracles"

# --- every cell ------------------------------------------------------------------------------------------------------------------------


def _cells(rows: IntArray) -> IntArray:
    """Return an integer direction in every cell of the arrangement of the rows, of all dimensions but zero.

    With the axes added the cells are pointed cones, and the sum of one, two or three of a cone's extreme rays lies in each of its faces.
    """
    d = rows.shape[1]
    lines = np.vstack([rows, np.eye(d, dtype=np.int64)])
    if d == 2:
        rays = np.column_stack([-lines[:, 1], lines[:, 0]])
    else:
        pairs = list(itertools.combinations(range(len(lines)), 2))
        rays = np.cross(lines[[i for i, _ in pairs]], lines[[j for _, j in pairs]])
    rays = rays[np.any(rays != 0, axis=1)]
    rays = np.unique(np.vstack([rays, -rays]) // np.tile(np.gcd.reduce(rays, axis=1), 2)[:, None], axis=0)
    sums = [rays]
    for size in range(2, d + 1):
        chosen = np.array(list(itertools.combinations(range(len(rays)), size)))
        sums.append(rays[chosen].sum(axis=1))
    found = np.concatenate(sums)
    return found[np.any(found != 0, axis=1)]


def _mistakes(products: IntArray, y: FloatArray) -> IntArray:
    return np.asarray(np.count_nonzero((products >= 0) != (y > 0.0)[:, None], axis=0))


def _fewest(X: FloatArray, y: FloatArray, *, arcs_only: bool = False, half: bool = False, boundary: bool = True) -> int:
    """Count the mistakes in every cell; the options leave out what a careless sweep leaves out."""
    rows = X.astype(np.int64)
    cells = _cells(rows)
    if half:
        cells = cells[cells[:, -1] >= 0]
    products = rows @ cells.T
    if arcs_only:
        live = np.any(rows != 0, axis=1)
        cells_inside = np.all(products[live] != 0, axis=0)
        products = products[:, cells_inside]
    wrong = _mistakes(products if boundary else 2 * products - 1, y)
    return int(wrong.min())


def _careless(**options: bool) -> Callable[[Oracle], Oracle]:
    return lambda oracle: lambda X, y: ExactError(_fewest(X, y, **options), y.size, np.zeros(X.shape[1]))


def _nudged(oracle: Oracle) -> Oracle:
    """Break ties by moving every row a little."""
    return lambda X, y: oracle(X + 1e-9 * np.random.default_rng(0).standard_normal(X.shape), y)


def _without_zero_rows(oracle: Oracle) -> Oracle:
    def wrong(X: FloatArray, y: FloatArray) -> ExactError:
        live = np.any(X != 0.0, axis=1)
        return oracle(X[live], y[live]) if live.any() else ExactError(0, y.size, np.eye(X.shape[1])[0])

    return wrong


# --- rows -----------------------------------------------------------------------------------------------------------------------------

_FINE = 200.0  # Gaussian rows are rounded to multiples of 1 / 200, so that every product is an exact integer


def _general(rng: np.random.Generator, d: int, n: int) -> FloatArray:
    return np.asarray(np.rint(_FINE * rng.standard_normal((n, d))))


def _lattice(rng: np.random.Generator, d: int, n: int) -> FloatArray:
    return rng.integers(-2, 3, (n, d)).astype(np.float64)


def _cube(rng: np.random.Generator, d: int, n: int) -> FloatArray:
    return rng.choice([-1.0, 1.0], (n, d))


def _antipodal(rng: np.random.Generator, d: int, n: int) -> FloatArray:
    half = _general(rng, d, (n + 1) // 2)
    return np.vstack([half, -rng.integers(1, 4, (len(half), 1)) * half])[:n]


def _collinear(rng: np.random.Generator, d: int, n: int) -> FloatArray:
    """Put rows on one line, but for the last two."""
    X = np.outer(rng.integers(-3, 4, n), rng.integers(1, 4, d)).astype(np.float64)
    X[-2:] = _general(rng, d, 2)
    return X


def _coplanar(rng: np.random.Generator, d: int, n: int) -> FloatArray:
    X = rng.integers(-3, 4, (n, d)).astype(np.float64)
    X[:, -1] = X[:, 0] - X[:, 1]
    return X


_SHAPES: dict[str, Callable[[np.random.Generator, int, int], FloatArray]] = {
    "general": _general,
    "lattice": _lattice,
    "cube": _cube,
    "antipodal": _antipodal,
    "collinear": _collinear,
    "coplanar": _coplanar,
}
_TIED = ("lattice", "cube", "antipodal", "collinear", "coplanar")
_SIZES = {2: 12, 3: 5}


def _labelled(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    d = point["d"]
    X = _SHAPES[point["rows"]](rng, d, _SIZES[d])
    return Instance(dict(point), {"X": X, "y": rng.choice([-1.0, 1.0], len(X))})


def _all_tables(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """List all tables of labelled points of {-1, 0, 1}^2 with three rows, or of {-1, 0, 1}^3 with two, up to order."""
    d = point["d"]
    places = list(itertools.product((-1.0, 0.0, 1.0), repeat=d))
    labelled = [(*place, label) for place in places for label in (-1.0, 1.0)]
    rows = 3 if d == 2 else 2
    chosen = np.array(list(itertools.combinations_with_replacement(labelled, rows))[:: point["each"]])
    return Instance(dict(point), {"tables": chosen})


def _searched_size(point: Mapping[str, Any]) -> int:
    return int(point["n"] * (point["d"] + 1))


def _decoded(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    n, d = point["n"], point["d"]
    X = np.rint(2.0 * x[: n * d].reshape(n, d)) + 0.0
    if np.max(np.abs(X)) > 100.0:
        raise ValueError("rows beyond what is counted exactly")
    return Instance(dict(point), {"X": X, "y": np.where(x[n * d :] >= 0.0, 1.0, -1.0)})


_COUNTS = FloatBudget(k=1, why="both sides are whole numbers below 2^53: no rounding, the smallest budget there is")


@cat.identity(
    "HS-26",
    budget=_COUNTS,
    impl={"exact": exact_halfspace_error},
    families=[
        Family("typical", _labelled, grid=tuple({"rows": "general", "d": d} for d in (2, 3))),
        Family("ties", _labelled, grid=tuple({"rows": rows, "d": d} for d in (2, 3) for rows in _TIED), role="adversarial"),
        Family("all_small_tables", _all_tables, grid=({"d": 2, "each": 4}, {"d": 3, "each": 8}), role="enumeration"),
        Family(
            "searched",
            lambda rng, point: _decoded(rng.standard_normal(_searched_size(point)), point),
            grid=({"n": 4, "d": 2}, {"n": 3, "d": 3}),
            role="adversarial",
            search=SearchSpace(_searched_size, _decoded),
        ),
    ],
    budgets=searched(3, 150),
    mutants=[
        Mutant(
            "open_arcs_only",
            "impl",
            {"exact": _careless(arcs_only=True)},
            why="directions exactly orthogonal to a row are left out, where sign(0) = +1 may be right for several rows at once",
            part="ties(rows=antipodal,d=2)",
        ),
        Mutant(
            "open_cells_only_in_space",
            "impl",
            {"exact": _careless(arcs_only=True)},
            why="the same in three dimensions: circles and rays are left out",
            part="ties(rows=collinear,d=3)",
        ),
        Mutant(
            "half_the_directions",
            "impl",
            {"exact": _careless(half=True)},
            why="the opposite half circle is taken for a copy of the first",
            part="typical(rows=general,d=2)",
        ),
        Mutant(
            "boundary_predicted_minus",
            "impl",
            {"exact": _careless(boundary=False)},
            why="sign(0) = -1",
            part="all_small_tables(d=2,*",
        ),
        Mutant(
            "ties_broken_by_noise",
            "impl",
            {"exact": _nudged},
            why="rows are moved a little so that no breakpoints coincide",
            part="ties(rows=antipodal,d=2)",
        ),
        Mutant(
            "zero_rows_dropped",
            "impl",
            {"exact": _without_zero_rows},
            why="rows of zeros labelled -1, which every halfspace gets wrong, are not counted",
            part="all_small_tables(d=2,*",
        ),
    ],
    companions=("HS-26a",),
    source=Source("derived", proof=_PROOF),
    title="the least number of mistakes",
    plain="For two and three columns the oracle returns the fewest mistakes over every cell of the arrangement of the rows, counted in "
    "integers: rows in general position, on lattices, antipodal, collinear, coplanar, repeated and zero.",
    tex=r"\min_{w\ne0}\#\{i:\operatorname{sign}\langle w,x_i\rangle\ne y_i\},\qquad\operatorname{sign}(0)=+1",
)
def least_number_of_mistakes(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the oracle's numbers beside those of all cells."""
    tables = [(t[:, :-1], t[:, -1]) for t in inst.tables] if "tables" in inst.data else [(inst.X, inst.y)]
    found = [impl.exact(X, y).n_mistakes for X, y in tables]
    return Outcome(np.array(found, dtype=np.float64), np.array([_fewest(X, y) for X, y in tables], dtype=np.float64))


# --- the direction ----------------------------------------------------------------------------------------------------------------------


def _turned(oracle: Oracle) -> Oracle:
    def wrong(X: FloatArray, y: FloatArray) -> ExactError:
        found = oracle(X, y)
        return ExactError(found.n_mistakes, found.n_rows, -found.w)

    return wrong


def _at_the_breakpoint(oracle: Oracle) -> Oracle:
    """Return the direction orthogonal to the nearest row in place of one inside the arc."""

    def wrong(X: FloatArray, y: FloatArray) -> ExactError:
        found = oracle(X, y)
        live = X[np.any(X != 0.0, axis=1)]
        nearest = live[int(np.argmin(np.abs(live @ found.w) / np.linalg.norm(live, axis=1)))]
        return ExactError(found.n_mistakes, found.n_rows, found.w - (found.w @ nearest) / (nearest @ nearest) * nearest)

    return wrong


@cat.identity(
    "HS-26a",
    budget=_COUNTS,
    impl={"exact": exact_halfspace_error},
    families=[
        Family("typical", _labelled, grid=tuple({"rows": "general", "d": d} for d in (2, 3))),
        Family("ties", _labelled, grid=tuple({"rows": rows, "d": 2} for rows in _TIED), role="adversarial"),
    ],
    trials={"quick": 20, "full": 200},
    mutants=[
        Mutant("other_side", "impl", {"exact": _turned}, why="the opposite normal is returned", part="typical(rows=general,d=2)"),
        Mutant(
            "on_the_boundary",
            "impl",
            {"exact": _at_the_breakpoint},
            why="the breakpoint that ends the best arc is returned instead of a direction inside it",
            part="typical(rows=general,d=2)",
        ),
    ],
    blind_to=(
        "optimal rays and circles in space, which the float normal that is returned may miss by rounding: only their number is exact",
    ),
    source=Source("derived", proof=_PROOF),
    title="the best direction attains its number",
    plain="The normal that the oracle returns makes the number of mistakes that it reports: in the plane always, in space for rows in "
    "general position.",
)
def mistakes_of_the_best_direction(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the mistakes of the returned normal beside the number."""
    found = impl.exact(inst.X, inst.y)
    return Outcome(float(np.count_nonzero((inst.X @ found.w >= 0.0) != (inst.y > 0.0))), float(found.n_mistakes))
