"""Claims about the largest value of a quadratic function on a sphere, from which the bounds on disagreement are made."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.spectral import SphereMaximum, maximize_on_sphere
from algos.testable_halfspaces._certificate_check import _dual
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._oracles import circle_maximum, few_evaluations, largest_by_ascent

cat = Catalogue("testable_halfspaces/disagreement")

FloatArray = npt.NDArray[np.float64]

_HARD = ("hard", "hard_without", "repeated", "nearly_hard", "no_linear", "multiple_of_identity")


def _random_quadratic(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    m = point["m"]
    C = rng.standard_normal((m, m))
    b = rng.standard_normal(m) * float(rng.choice([1e-6, 0.1, 1.0, 30.0]))
    return Instance({"m": m, "radius": 1.0}, {"C": C + C.T, "b": b})


def _planted_maximum(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Choose the maximiser and its multiplier, at least the largest eigenvalue; then the linear part follows, and the maximum."""
    m, radius, case = point["m"], point["radius"], point["case"]
    values = np.sort(rng.standard_normal(m)) * point.get("unit", 1.0)
    if case == "repeated":
        values[-2] = values[-1]
    if case == "multiple_of_identity":
        values[:] = values[0]
    spread = max(float(np.max(np.abs(values))), 1e-3)
    above = {"interior": spread * rng.exponential(), "nearly_hard": 1e-10 * spread, "multiple_of_identity": spread}.get(case, 0.0)
    v = rng.standard_normal(m)
    if case == "hard_without":
        v[-1] = 0.0
    if case == "no_linear":
        v[:-1] = 0.0
    v *= radius / np.linalg.norm(v)
    multiplier = values[-1] + above
    b = (multiplier - values) * v
    maximum = 2.0 * multiplier * radius**2 - float(values @ (v * v))
    Q = np.linalg.qr(rng.standard_normal((m, m)))[0]
    C = (Q * values) @ Q.T
    data = {"C": (C + C.T) / 2.0, "b": Q @ b}
    return Instance({"m": m, "radius": radius, "maximum": maximum, "multiplier": multiplier}, data)


def _planted_grid(cases: tuple[str, ...], sizes: tuple[int, ...], radii: tuple[float, ...] = (1.0,)) -> tuple[dict[str, Any], ...]:
    return tuple({"case": case, "m": m, "radius": r} for case in cases for m in sizes for r in radii)


def _decoded_quadratic(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    return Instance({"m": 2, "radius": 1.0}, {"C": np.array([[x[0], x[1]], [x[1], x[2]]]), "b": x[3:]})


def _size(inst: Instance) -> float:
    return float(np.linalg.norm(inst.C) * inst.radius**2 + 2.0 * np.linalg.norm(inst.b) * inst.radius)


Solver = Callable[..., SphereMaximum]


def _without_hard_case(solve: Solver) -> Solver:
    def wrong(C: FloatArray, b: FloatArray, radius: float = 1.0) -> SphereMaximum:
        values, vectors = np.linalg.eigh(C)
        beta = vectors.T @ b
        kept = np.abs(beta) > 1e-12 * (np.linalg.norm(b) + 1e-300)
        kept[0] |= not kept.any()
        found = solve(np.diag(values[kept]), beta[kept], radius)
        return replace(found, point=vectors[:, kept] @ found.point)

    return wrong


def _with_value(change: Callable[[SphereMaximum, FloatArray, FloatArray, float], float]) -> Callable[[Solver], Solver]:
    def mutate(solve: Solver) -> Solver:
        def wrong(C: FloatArray, b: FloatArray, radius: float = 1.0) -> SphereMaximum:
            found = solve(C, b, radius)
            return replace(found, value=change(found, C, b, radius))

        return wrong

    return mutate


_SPHERE_ROUNDING = (
    "eigenvalues of an m x m matrix, sums over m of them, and in the hard case a multiplier that stays 1e-13 of the size above"
)


_SPHERE_ROUNDING = (
    "eigenvalues of an m x m matrix, sums over m of them, and in the hard case a multiplier that stays 1e-13 of the size above"
)


@cat.inequality(
    "HS-08",
    budget=FloatBudget(k=lambda inst, out: 2000 + 20 * inst.m**2, scale=lambda inst, out: _size(inst), why=_SPHERE_ROUNDING),
    impl={"maximize_on_sphere": maximize_on_sphere},
    families=[
        Family("typical", _random_quadratic, grid=tuple({"m": m} for m in (1, 2, 3, 8))),
        Family("adversarial", _planted_maximum, grid=_planted_grid(_HARD, (2, 3, 8)), role="adversarial"),
        Family(
            "searched", _random_quadratic, grid=({"m": 2},), role="adversarial", search=SearchSpace(lambda point: 5, _decoded_quadratic)
        ),
    ],
    tight=0.999999,
    budgets=few_evaluations((4, 64, 1024), (400, 5000, 500_000)),
    companions=("HS-08a",),
    mutants=[
        Mutant(
            "no_hard_case",
            "impl",
            {"maximize_on_sphere": _without_hard_case},
            why="the secular equation is solved among the eigenvectors that the linear part sees",
            part="adversarial(case=hard,m=3,*",
            killers=("HS-08",),
        ),
        Mutant(
            "linear_part_once",
            "impl",
            {"maximize_on_sphere": lambda f: lambda C, b, radius=1.0: f(C, b / 2.0, radius)},
            why="v C v + b v instead of v C v + 2 b v",
            part="typical(m=3)",
            killers=("HS-08",),
        ),
        Mutant(
            "another_stationary_point",
            "impl",
            {"maximize_on_sphere": _with_value(lambda found, C, b, r: -maximize_on_sphere(-C, -b, r).value)},
            why="the smallest stationary point is returned",
            part="typical(m=3)",
            killers=("HS-08",),
        ),
    ],
    source=Source("folklore", reference="trust-region subproblem on the boundary; strong duality"),
    title="no point of the sphere exceeds the maximum",
    plain="The value returned for the largest value of a quadratic function on a sphere is at least the value everywhere on it, also where "
    "the linear part is orthogonal to the leading eigenvectors.",
    tex=r"v^\top Cv+2b^\top v\le\max_{\lVert v\rVert=1}",
)
def values_on_the_sphere(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest value found beside the one returned, both above the least possible one."""
    C, b = inst.C, inst.b
    if inst.m == 2:
        first, second = (2.0 * b[0], 2.0 * b[1]), ((C[0, 0] - C[1, 1]) / 2.0, C[0, 1])
        found = circle_maximum((C[0, 0] + C[1, 1]) / 2.0, first, second)
    else:
        found = largest_by_ascent(C, b, rng)
    size = _size(inst)  # no value is larger in size: as differences from the least possible one, both sides are positive
    return Outcome(size + found, size + impl.maximize_on_sphere(C, b).value)


@cat.identity(
    "HS-08a",
    budget=FloatBudget(k=lambda inst, out: 2000 + 20 * inst.m**2, scale=lambda inst, out: _size(inst), why=_SPHERE_ROUNDING),
    impl={"maximize_on_sphere": maximize_on_sphere},
    families=[
        Family("typical", _planted_maximum, grid=_planted_grid(("interior",), (1, 2, 5, 20), (0.3, 1.0, 4.0))),
        Family("adversarial", _planted_maximum, grid=_planted_grid(_HARD, (2, 7), (1.0, 4.0)), role="adversarial"),
        Family(
            "units",
            _planted_maximum,
            grid=tuple({"case": case, "m": 3, "radius": 1.0, "unit": unit} for case in ("hard", "no_linear") for unit in (1e-60, 1e60)),
            role="adversarial",
        ),
    ],
    trials={"quick": 4},
    mutants=[
        Mutant(
            "sum_of_maxima",
            "impl",
            {
                "maximize_on_sphere": _with_value(
                    lambda found, C, b, r: float(np.linalg.eigvalsh(C)[-1] * r * r + 2.0 * np.linalg.norm(b) * r)
                )
            },
            why="both parts are maximised apart: an upper bound, and a loose one",
            part="typical(case=interior,m=5,radius=1)",
        ),
        Mutant(
            "radius_not_squared",
            "impl",
            {"maximize_on_sphere": _with_value(lambda found, C, b, r: found.multiplier * r + found.linear)},
            why="the multiplier is multiplied by r instead of r^2",
            part="typical(case=interior,m=5,radius=4)",
        ),
        Mutant(
            "no_hard_case",
            "impl",
            {"maximize_on_sphere": _without_hard_case},
            why="the secular equation is solved among the eigenvectors that the linear part sees",
            part="adversarial(case=hard,m=7,radius=1)",
        ),
        Mutant(
            "first_order_step",
            "impl",
            {"maximize_on_sphere": _with_value(lambda found, C, b, r: float(b @ C @ b / (b @ b) * r * r + 2.0 * np.linalg.norm(b) * r))},
            why="the maximum is taken at the direction of the linear part",
            part="typical(case=interior,m=5,radius=1)",
        ),
    ],
    source=Source("folklore", reference="trust-region subproblem on the boundary; strong duality"),
    title="the maximum on the sphere is exact",
    plain="Where the maximiser was planted, the value returned is its value, for the easy case, for all kinds of the hard case, for any "
    "radius and in any unit.",
    tex=r"\max_{\lVert v\rVert=r}v^\top Cv+2b^\top v=2\mu r^2-v_*^\top Cv_*,\qquad b=(\mu I-C)v_*,\ \mu\ge\lambda_{\max}(C)",
)
def value_of_a_planted_maximum(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the value, and the function at the returned point, beside the planted maximum."""
    found = impl.maximize_on_sphere(inst.C, inst.b, inst.radius)
    at_point = float(found.point @ inst.C @ found.point + 2.0 * inst.b @ found.point)
    return Outcome(np.array([found.value, at_point]), np.array([inst.maximum, inst.maximum]))


def _unfactorised(dual: Callable[..., float]) -> Callable[..., float]:
    return lambda m, C, b: m + float(b @ np.linalg.solve(m * np.eye(b.size) - C, b))


def _guessed_multiplier(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = _planted_maximum(rng, point)
    return Instance({**made.params, "guess": made.multiplier + point["off"] * _size(made)}, made.data)


@cat.inequality(
    "HS-08b",
    budget=FloatBudget(k=lambda inst, out: 2000 + 20 * inst.m**2, scale=lambda inst, out: _size(inst), why=_SPHERE_ROUNDING),
    impl={"dual": _dual},
    families=[
        Family(
            "typical",
            _guessed_multiplier,
            grid=tuple({"case": "interior", "m": m, "radius": 1.0, "off": off} for m in (1, 4, 12) for off in (0.0, 1e-6, 0.1)),
        ),
        Family(
            "adversarial",
            _guessed_multiplier,
            grid=tuple(
                {"case": case, "m": 4, "radius": 1.0, "off": off}
                for case in ("hard", "interior", "no_linear")
                for off in (-0.5, -1e-3, 1e-9)
            ),
            role="adversarial",
        ),
    ],
    tight=0.999999,
    trials={"quick": 4},
    mutants=[
        Mutant(
            "not_factorised",
            "impl",
            {"dual": _unfactorised},
            why="no test that the multiplier exceeds the eigenvalues: below them the formula is no bound",
            part="adversarial(case=hard,m=4,radius=1,off=-0.5)",
        ),
        Mutant(
            "without_the_rest",
            "impl",
            {"dual": lambda f: lambda m, C, b: m},
            why="the linear part is left out",
            part="typical(case=interior,m=4,radius=1,off=0)",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Disagreement functional"),
    title="any multiplier proves a bound",
    plain="Whatever multiplier a certificate stores, the number that its verification computes from it is at least the maximum on the "
    "sphere; with the right one it is the maximum.",
    tex=r"\max_{\lVert v\rVert=1}v^\top Cv-2b^\top v\le\mu+b^\top(\mu I-C)^{-1}b,\qquad\mu>\lambda_{\max}(C)",
)
def bound_of_a_guessed_multiplier(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the planted maximum beside the bound."""
    return Outcome(inst.maximum, impl.dual(inst.guess, inst.C, -inst.b))
