"""Claims about what plays no part: the coordinates of the rows, their order, and the names of the classes."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._search import Search
from algos.testable_halfspaces.certificates import agnostic_certificate, massart_certificate
from algos.testable_halfspaces.disagreement import cone_bound
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, Source
from proofs_check.claims.testable_halfspaces._problems import labelled_rows

cat = Catalogue("testable_halfspaces/invariances")

FloatArray = npt.NDArray[np.float64]


def _certificates(X: FloatArray, y: FloatArray, w: FloatArray, scale: float = 1.0) -> FloatArray:
    """Return the numbers of both certificates."""
    massart = massart_certificate(X, y, w, sigma=0.4 * scale, eta=0.1)
    agnostic = agnostic_certificate(X, y, w, sigma=0.6 * scale)
    return np.array([massart.tau, massart.eps_hat, massart.disagreement, agnostic.tau, agnostic.optimum, agnostic.opt_lower])


def _near_the_planted(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = labelled_rows(rng, point)
    w = made.w_star + 0.02 * rng.standard_normal(len(made.w_star))
    return Instance(made.params, {**made.data, "w": w / np.linalg.norm(w)})


_CHANGES = ("rotated", "reversed", "permuted", "scaled", "padded")


def _changed(inst: Instance, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    X, y, w = inst.X, inst.y, inst.w
    if inst.change == "rotated":
        rotation = np.linalg.qr(rng.standard_normal((X.shape[1], X.shape[1])))[0]
        return X @ rotation, y, rotation.T @ w, 1.0
    if inst.change == "reversed":
        return X, -y, -w, 1.0
    if inst.change == "permuted":
        order = rng.permutation(len(X))
        return X[order], y[order], w, 1.0
    if inst.change == "scaled":
        return 3.0 * X, y, 5.0 * w, 3.0
    return X[:, ::-1], y, w[::-1], 1.0


@cat.identity(
    "HS-24",
    budget=FloatBudget(
        k=lambda inst, out: 64 * len(inst.X),
        scale=lambda inst, out: 1.0 + np.abs(np.where(np.isfinite(out.value), out.value, 0.0)),
        why="sums of n terms in another order, on coordinates of another basis; counts are whole numbers",
    ),
    impl={"certificates": _certificates},
    families=[
        Family(
            "typical",
            _near_the_planted,
            grid=tuple({"marginal": "gaussian", "d": 2, "n": 3000, "noise": "rcn", "rate": 0.1, "change": c} for c in _CHANGES),
        ),
        Family(
            "adversarial",
            _near_the_planted,
            grid=tuple(
                {"marginal": m, "d": 3, "n": 2000, "noise": "rcn", "rate": 0.05, "change": c}
                for m in ("t3", "mixture")
                for c in _CHANGES[:4]
            ),
            role="adversarial",
        ),
    ],
    trials={"quick": 1, "full": 16},
    mutants=[
        Mutant(
            "width_in_fixed_units",
            "impl",
            {"certificates": lambda f: lambda X, y, w, scale=1.0: f(X, y, w)},
            why="the width of the band does not follow the scale of the rows",
            part="typical(*change=scaled)",
        ),
        Mutant(
            "first_half",
            "impl",
            {"certificates": lambda f: lambda X, y, w, scale=1.0: f(X[: len(X) // 2], y[: len(X) // 2], w, scale)},
            why="only the first half of the rows is certified, as if it were a fold drawn at random",
            part="typical(*change=permuted)",
        ),
        Mutant(
            "columns_standardised",
            "impl",
            {"certificates": lambda f: lambda X, y, w, scale=1.0: f(X / X.std(axis=0), y, w * X.std(axis=0), scale)},
            why="columns are scaled one by one, which depends on the basis",
            part="adversarial(marginal=mixture,*change=rotated)",
        ),
        Mutant(
            "mistakes_of_one_class",
            "impl",
            {"certificates": lambda f: lambda X, y, w, scale=1.0: f(X[(y > 0.0) | (X @ w > 0.0)], y[(y > 0.0) | (X @ w > 0.0)], w, scale)},
            why="rows of one class that are classified rightly are left out",
            part="typical(*change=reversed)",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Tester-learner"),
    title="coordinates, names and order play no part",
    plain="Rotating the rows with the halfspace, exchanging the classes, permuting the rows, scaling them with the width of the band, and "
    "reordering the columns leave every number of both certificates as it was.",
)
def certificates_of_the_changed_table(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the numbers on the changed table beside those on the table itself; infinite ones count as -1."""
    X, y, w, scale = _changed(inst, rng)
    other, own = impl.certificates(X, y, w, scale), impl.certificates(inst.X, inst.y, inst.w)
    return Outcome(np.where(np.isfinite(other), other, -1.0), np.where(np.isfinite(own), own, -1.0))


# --- a table written down twice -----------------------------------------------------------------------------------------------------------


def _twice(inst: Instance) -> tuple[FloatArray, FloatArray]:
    return np.vstack([inst.X, inst.X]), np.concatenate([inst.y, inst.y])


def _proof(X: FloatArray, y: FloatArray, w: FloatArray, k: int, theta: float) -> FloatArray:
    """Return what a proof rests on: the gradient that k mistakes can leave over the push, and the rows that change sides in an angle."""
    view = View.of(X, w)
    search = Search.of(view, y, 0.6)
    push = search.push(math.tan(theta), 1.0).value
    return np.array([search.slack(k) / push if math.isfinite(push) else -1.0, float(cone_bound(view, theta).count)])


def _doubled_tables(names: tuple[str, ...], **more: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"marginal": m, "d": 2, "n": 2000, "noise": "rcn", "rate": 0.1, **more} for m in names)


def _once(X: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    kept = np.sort(np.unique(X, axis=0, return_index=True)[1])
    return X[kept], y[kept]


_ROUNDED = FloatBudget(
    k=lambda inst, out: 64 * len(inst.X),
    scale=lambda inst, out: 1.0 + np.abs(out.value),
    why="sums over all rows twice, in blocks that end elsewhere; whole numbers of rows",
)


@cat.inequality(
    "HS-24a",
    budget=_ROUNDED,
    impl={"proof": _proof},
    families=[
        Family("typical", _near_the_planted, grid=_doubled_tables(("gaussian", "laplace"))),
        Family("adversarial", _near_the_planted, grid=_doubled_tables(("mixture", "t3", "gauss_hermite", "cube")), role="adversarial"),
    ],
    trials={"quick": 2, "full": 32},
    companions=("HS-24b",),
    mutants=[
        Mutant(
            "sum_of_the_largest",
            "impl",
            {"proof": lambda f: lambda X, y, w, k, theta: f(X, y, w, k, theta) * np.array([len(X) / 2000.0, 1.0])},
            why="the densities of the mistakes are added up, but not divided by the number of rows",
            part="typical(marginal=gaussian*",
        ),
        Mutant(
            "every_row_once",
            "impl",
            {"proof": lambda f: lambda X, y, w, k, theta: f(*_once(X, y), w, k, theta)},
            why="equal rows are merged as if they were one",
            part="typical(marginal=gaussian*",
        ),
        Mutant(
            "five_rows_too_many",
            "impl",
            {"proof": lambda f: lambda X, y, w, k, theta: f(X, y, w, k, theta) + np.array([0.0, 5.0])},
            why="a number of rows is added that does not grow with the table",
            part="typical(marginal=gaussian*",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Agnostic certificate"),
    title="a table written down twice proves the same",
    plain="In the plane, writing every row down twice leaves the ratio of push and gradient that twice as many mistakes can leave as it "
    "was, and doubles the number of rows that change sides within an angle, up to one row: the proof for k mistakes becomes one for 2k.",
    tex=r"\frac{\mathrm{slack}_{2n}(2k)}{\mathrm{LB}_{2n}(\tau)}=\frac{\mathrm{slack}_n(k)}{\mathrm{LB}_n(\tau)},"
    r"\qquad\lvert D_{2n}-2D_n\rvert\le1",
)
def proof_on_the_doubled_table(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return one plus the two differences beside one plus what they may be."""
    k, theta = int(rng.integers(1, 100)), float(rng.uniform(0.02, 0.6))
    own, other = impl.proof(inst.X, inst.y, inst.w, k, theta), impl.proof(*_twice(inst), inst.w, 2 * k, theta)
    return Outcome(1.0 + np.abs(other - own * np.array([1.0, 2.0])), np.array([1.0, 2.0]))


_TOLERATED = 0.004  # share of a number at which the search for the largest one that has a proof ends


def _lower_bound(X: FloatArray, y: FloatArray, w: FloatArray) -> float:
    return float(agnostic_certificate(X, y, w, sigma=0.6).optimum)


@cat.inequality(
    "HS-24b",
    budget=_ROUNDED,
    impl={"optimum": _lower_bound},
    families=[
        Family("typical", _near_the_planted, grid=_doubled_tables(("gaussian", "laplace"))),
        # where the difference reaches three: a number is passed over since the disagreement is not monotone in the angle
        Family("adversarial", _near_the_planted, grid=_doubled_tables(("mixture", "t3", "gauss_hermite")), role="adversarial"),
    ],
    trials={"quick": 2, "full": 32},
    companions=("HS-24a",),
    mutants=[
        Mutant(
            "mistakes_not_scaled",
            "impl",
            {"optimum": lambda f: lambda X, y, w: f(X, y, w) * 2000.0 / len(X)},
            why="a count that does not grow with the table",
            part="typical(marginal=gaussian*",
        ),
        Mutant(
            "every_row_once",
            "impl",
            {"optimum": lambda f: lambda X, y, w: f(*_once(X, y), w)},
            why="equal rows are merged as if they were one",
            part="typical(marginal=gaussian*",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Agnostic certificate"),
    title="a table written down twice is searched as well",
    plain="Writing every row down twice changes the proved share of mistakes by less than the share of two and a half rows, and the "
    "tolerance of the search; an exhaustive search would change it by less than one row's share, but the one made passes over some "
    "numbers that have a proof.",
    tex=r"\lvert o_{\mathrm{low}}(X,X)-o_{\mathrm{low}}(X)\rvert<\frac{5}{2n}+.004\,o_{\mathrm{low}}",
)
def bound_on_the_doubled_table(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return by how much the doubled table's count differs from twice the count, beside what the search leaves."""
    own = impl.optimum(inst.X, inst.y, inst.w)
    return Outcome(abs(impl.optimum(*_twice(inst), inst.w) - 2.0 * own), 4.0 + 2.0 * _TOLERATED * own)
