"""Claims about polynomials below the push of a row: they are below it, and no even quartic with a larger Gaussian mean is."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces.bounds.certificates import LAST_TUNED
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._oracles import few_evaluations

cat = Catalogue("testable_halfspaces/quartic_forms")

FloatArray = npt.NDArray[np.float64]
Quartic = Callable[..., tuple[FloatArray, FloatArray, FloatArray]]
Chord = Callable[..., tuple[FloatArray, FloatArray]]

_PROOF = "docs/theory/testable_halfspaces.md, Quartic minorant"


def _least_push(u: FloatArray, c: FloatArray, advantage: float) -> FloatArray:
    return np.where(np.abs(u) <= c, -np.abs(u), advantage * np.abs(u))


# --- mistakes -----------------------------------------------------------------------------------------------------------------------


def _other_quartic(numerator: Callable[[float, FloatArray, FloatArray], FloatArray], *, tuned: bool = True) -> Callable[[Quartic], Quartic]:
    """Make a quartic with another leading coefficient ``numerator(advantage, c, R) / (R^2 - c^2)^2``, or with R^2 = 3 throughout."""

    def mutate(minorant: Quartic) -> Quartic:
        def wrong(*, c: Any, advantage: float) -> tuple[FloatArray, FloatArray, FloatArray]:
            c = np.asarray(c, dtype=np.float64)
            small = np.minimum(c, LAST_TUNED if tuned else 0.0) ** 2
            square = (3.0 - small) / (1.0 - small)
            radius = np.sqrt(square)
            usable = c < 0.95 * radius
            near = np.where(usable, c, 0.0)
            p4 = numerator(advantage, near, radius) / (square - near * near) ** 2
            p2, p0 = advantage / (2.0 * radius) + 2.0 * p4 * square, p4 * square * square - advantage * radius / 2.0
            usable &= -p0 + p2 - 3.0 * p4 > -1.0
            return np.where(usable, p0, 0.5), np.where(usable, p2, -0.5), np.where(usable, p4, 0.0)

        return wrong

    return mutate


def _right(b: float, c: FloatArray, R: FloatArray) -> FloatArray:
    return b * (R * R + c * c) / (2.0 * R) + c


def _without_c(b: float, c: FloatArray, R: FloatArray) -> FloatArray:
    return b * (R * R + c * c) / (2.0 * R)


def _advantage_inside(b: float, c: FloatArray, R: FloatArray) -> FloatArray:
    return b * (R * R + c * c) / (2.0 * R) + b * c


def _chord_advantage_inside(minorant: Chord) -> Chord:
    def wrong(*, c: Any, norm: Any, advantage: float) -> tuple[FloatArray, FloatArray]:
        p0, p2 = minorant(c=np.asarray(c) * advantage, norm=norm, advantage=advantage)
        return p0, p2

    return wrong


def _chord_everywhere(minorant: Chord) -> Chord:
    def wrong(*, c: Any, norm: Any, advantage: float) -> tuple[FloatArray, FloatArray]:
        p2 = np.divide(advantage * norm + c, norm**2 - c**2, out=np.zeros(np.shape(c)), where=norm != c)
        return c + p2 * c**2, p2

    return wrong


def _end_of_chord(minorant: Chord) -> Chord:
    def wrong(*, c: Any, norm: Any, advantage: float) -> tuple[FloatArray, FloatArray]:
        return minorant(c=c, norm=norm, advantage=1.0)

    return wrong


# --- below the push -----------------------------------------------------------------------------------------------------------------


def _thresholds(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    c = rng.exponential(size=12) * rng.choice([0.01, 0.3, 1.0, 3.0], 12)
    rho = np.where(rng.random(12) < 0.5, c * np.exp(rng.exponential(size=12) - 0.3), rng.exponential(size=12) * 5.0)
    return Instance({"advantage": point["advantage"]}, {"c": c, "rho": rho})


def _edges(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Thresholds where one formula takes over from another: the last tuned one, the switch to the constant, the length of the row."""
    c = np.array([0.0, 1e-200, 1e-9, LAST_TUNED, np.nextafter(LAST_TUNED, 1.0), 0.9, 1.0, 2.2, 2.24, 2.25, 30.0, 1e6])
    rho = c * rng.choice([0.97, 1.0, 1.02, 1.0 / 0.98, 1.03, 50.0], c.size) + (c == 0.0)
    return Instance({"advantage": point["advantage"]}, {"c": c, "rho": rho})


def _decoded_threshold(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    advantage = 1e-3 + 0.999 / (1.0 + math.exp(-float(np.clip(x[0], -30.0, 30.0))))
    c, rho = np.exp(np.clip(x[1:3], -20.0, 5.0))
    return Instance({"advantage": advantage}, {"c": np.array([c]), "rho": np.array([rho]), "share": x[3:]})


def _places(inst: Instance, far: FloatArray) -> FloatArray:
    """Coordinates from 0 to an end, with the jump of the push and what lies just beyond it."""
    c = inst.c[:, None]
    shares = np.abs(np.tanh(inst.share)) if "share" in inst.data else np.linspace(0.0, 1.0, 121)
    u = np.hstack([far[:, None] * shares, c, np.nextafter(c, np.inf), far[:, None]])
    return np.asarray(np.minimum(u, far[:, None]))


@cat.inequality(
    "HS-05",
    budget=FloatBudget(
        k=30,
        scale=lambda inst, out: out.aux["terms"],
        why="some twenty operations on coefficients and three terms, after differences of squares, not below a twentieth of either, and "
        "of numbers of the size of the advantage",
    ),
    impl={"quartic_minorant": bounds.quartic_minorant, "norm_minorant": bounds.norm_minorant},
    families=[
        Family("typical", _thresholds, grid=tuple({"advantage": b} for b in (0.02, 0.2, 0.6, 1.0))),
        Family("edges", _edges, grid=tuple({"advantage": b} for b in (0.02, 0.6, 1.0)), role="adversarial"),
        Family(
            "searched",
            _thresholds,
            grid=({"advantage": 0.5},),
            role="adversarial",
            search=SearchSpace(lambda point: 6, _decoded_threshold),
        ),
    ],
    tight=0.999999,
    budgets=few_evaluations((8, 64, 1024), (400, 5000, 500_000)),
    companions=("HS-05a", "HS-05c"),
    mutants=[
        Mutant(
            "half_width",
            "impl",
            {"quartic_minorant": lambda f: lambda *, c, advantage: f(c=np.asarray(c) / 2.0, advantage=advantage)},
            why="the set where the push is negative has half its width",
            part="typical(advantage=0.6)",
            killers=("HS-05",),
        ),
        Mutant(
            "without_c",
            "impl",
            {"quartic_minorant": _other_quartic(_without_c)},
            why="the leading coefficient lacks the term c",
            part="typical(advantage=0.6)",
            killers=("HS-05",),
        ),
        Mutant(
            "advantage_inside",
            "impl",
            {"quartic_minorant": _other_quartic(_advantage_inside)},
            why="the push is taken for -beta |u| instead of -|u| within c",
            part="typical(advantage=0.6)",
            killers=("HS-05",),
        ),
        Mutant(
            "chord_advantage_inside",
            "impl",
            {"norm_minorant": _chord_advantage_inside},
            why="the chord begins at -beta c instead of -c",
            part="typical(advantage=0.6)",
            killers=("HS-05",),
        ),
        Mutant(
            "chord_everywhere",
            "impl",
            {"norm_minorant": _chord_everywhere},
            why="the chord is used for rows shorter than c, too",
            part="typical(advantage=0.6)",
            killers=("HS-05",),
        ),
        Mutant(
            "end_of_chord",
            "impl",
            {"norm_minorant": _end_of_chord},
            why="the chord ends at the length of the row instead of beta times it",
            part="typical(advantage=0.6)",
            killers=("HS-05",),
        ),
        Mutant(
            "fixed_radius",
            "impl",
            {"quartic_minorant": _other_quartic(_right, tuned=False)},
            why="R^2 = 3, the best choice for c = 0, for every c: still below, with a smaller mean",
            part="typical(advantage=0.6)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="polynomials below the push of a row",
    plain="For every threshold and every advantage in (0, 1] the quartic is below the least push at every coordinate, and the quadratic is "
    "below it at every coordinate that a row of the given length can have.",
    tex=r"-p_0+p_2u^2-p_4u^4\le f_c(u),\qquad -p_0'+p_2'u^2\le f_c(u)\ (\lvert u\rvert\le\rho)",
)
def polynomials_below_the_push(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return both polynomials beside the least push, all above the size of the terms."""
    c, b = inst.c[:, None], inst.advantage
    u = _places(inst, 3.0 * inst.c + 6.0)
    p0, p2, p4 = (p[:, None] for p in impl.quartic_minorant(c=inst.c, advantage=b))
    v = _places(inst, inst.rho)
    q0, q2 = (q[:, None] for q in impl.norm_minorant(c=inst.c, norm=inst.rho, advantage=b))
    values = np.stack([-p0 + p2 * u**2 - p4 * u**4, -q0 + q2 * v**2])
    terms = np.stack([np.abs(p0) + np.abs(p2) * u**2 + p4 * u**4 + b * (u + 3.0), np.abs(q0) + np.abs(q2) * v**2 + b * v])
    push = np.stack([_least_push(u, c, b), _least_push(v, c, b)])
    return Outcome(terms + values, terms + push, aux={"terms": terms})  # as differences from the least possible value: both positive


# --- and not too far below ----------------------------------------------------------------------------------------------------------


def _small_thresholds(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"advantage": point["advantage"]}, {"c": np.sort(rng.uniform(point["low"], point["high"], point.get("m", 12)))})


_WITHIN = tuple({"low": 0.0, "high": LAST_TUNED, "advantage": b} for b in (0.02, 0.2, 0.6, 1.0))


def _mean(coefficients: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
    p0, p2, p4 = coefficients
    return np.asarray(-p0 + p2 - 3.0 * p4)


_LESS = (
    Mutant(
        "fixed_radius",
        "impl",
        {"quartic_minorant": _other_quartic(_right, tuned=False)},
        why="R^2 = 3, the best choice for c = 0, for every c",
        part="typical(low=0,high=0.75,advantage=0.6*",
    ),
    Mutant(
        "without_c",
        "impl",
        {"quartic_minorant": _other_quartic(_without_c)},
        why="the leading coefficient lacks the term c: the mean is too large",
        part="typical(low=0,high=0.75,advantage=0.6*",
    ),
    Mutant(
        "constant_only",
        "impl",
        {"quartic_minorant": lambda f: lambda *, c, advantage: f(c=np.full(np.shape(c), math.inf), advantage=advantage)},
        why="the push is bounded by -(1 + u^2)/2 everywhere",
        part="typical(low=0,high=0.75,advantage=0.6*",
    ),
)


@cat.identity(
    "HS-05a",
    budget=FloatBudget(
        k=200, scale=3.0, why="some thirty operations on each side, at terms up to 3, after a difference of squares above 1"
    ),
    impl={"quartic_minorant": bounds.quartic_minorant, "norm_minorant": bounds.norm_minorant},
    families=[
        Family("typical", _small_thresholds, grid=_WITHIN),
        Family("ends", _small_thresholds, grid=({"low": 0.0, "high": 1e-9, "advantage": 0.6},), role="adversarial"),
        Family(
            "last",
            _small_thresholds,
            grid=tuple({"low": LAST_TUNED - 1e-9, "high": LAST_TUNED, "advantage": b} for b in (0.02, 1.0)),
            role="adversarial",
        ),
    ],
    trials={"quick": 4},
    mutants=_LESS,
    source=Source("derived", proof=_PROOF),
    title="no even quartic below the push has a larger Gaussian mean",
    plain="For thresholds up to 3/4 the mean of the quartic under the moments 1 and 3 equals the mean of the least push itself under a law "
    "on four points with these moments, so that no even quartic below the push has a larger mean.",
    tex=r"-p_0+p_2-3p_4=-pc+(1-p)\beta_0R,\qquad p=\frac{R^2-1}{R^2-c^2}",
)
def mean_under_the_extremal_law(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the mean beside that of the push under the law on -R, -c, c, R whose second moment is 1 and whose fourth is 3."""
    c, b = inst.c, inst.advantage
    # p c^2 + (1 - p) R^2 = 1 and p c^4 + (1 - p) R^4 = 3
    square = (3.0 - c * c) / (1.0 - c * c)
    p = (square - 1.0) / (square - c * c)
    return Outcome(_mean(impl.quartic_minorant(c=c, advantage=b)), -p * c + (1.0 - p) * b * np.sqrt(square))


def _best_quartic(c: float, advantage: float) -> float:
    """Largest mean of an even quartic below the push on a grid that holds c and R, and no other point close to them: a linear program.

    The program tells which constraints are tight; their multipliers, solved for without its tolerances, prove the optimum.
    """
    from scipy.optimize import linprog, nnls

    radius = math.sqrt((3.0 - c * c) / (1.0 - c * c))
    u = np.linspace(0.0, 6.0, 121)
    u = np.r_[u[(np.abs(u - c) > 0.02) & (np.abs(u - radius) > 0.02)], c, radius]
    rows = np.column_stack([np.ones_like(u), u**2, u**4])
    rows, limits = np.vstack([rows, [0.0, 0.0, 1.0]]), np.r_[_least_push(u, np.asarray(c), advantage), 0.0]
    moments = np.array([1.0, 1.0, 3.0])
    found = linprog(-moments, A_ub=rows, b_ub=limits, bounds=[(None, None)] * 3, method="highs")
    tight = limits - rows @ found.x < 1e-6
    multipliers, missed = nnls(rows[tight].T, moments)
    if found.status != 0 or missed > 1e-12:
        raise ArithmeticError(f"the linear program for c={c!r} ended with {found.message!r}")
    return float(multipliers @ limits[tight])


@cat.identity(
    "HS-05b",
    budget=FloatBudget(k=2000, why="a basis of three constraints of a linear program, of condition up to a thousand"),
    impl={"quartic_minorant": bounds.quartic_minorant, "norm_minorant": bounds.norm_minorant},
    families=[
        Family("typical", _small_thresholds, grid=tuple({**point, "m": 3} for point in _WITHIN)),
        Family(
            "ends",
            _small_thresholds,
            grid=tuple({"low": c, "high": c, "advantage": b, "m": 1} for c in (0.0, 0.05, 0.5, LAST_TUNED) for b in (0.6, 1.0)),
            role="adversarial",
        ),
    ],
    trials={"quick": 1, "full": 16, "nightly": 256},
    mutants=_LESS,
    source=Source("derived", proof=_PROOF),
    title="a linear program finds no better quartic",
    plain="For thresholds up to 3/4 a linear program over all even quartics below the push, with constraints on a grid that holds the four "
    "points of the extremal law, has the same optimum.",
    tex=r"\max\{-q_0+q_2-3q_4:\ -q_0+q_2u^2-q_4u^4\le f_c(u)\}=-p_0+p_2-3p_4",
)
def optimum_of_the_program(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the means beside the optima of the linear programs."""
    best = [_best_quartic(float(c), inst.advantage) for c in inst.c]
    return Outcome(_mean(impl.quartic_minorant(c=inst.c, advantage=inst.advantage)), np.array(best))


def _rows_in_the_plane(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    rho = np.exp(rng.uniform(-2.0, 2.0, 12)) * point.get("unit", 1.0)
    return Instance({"advantage": point["advantage"]}, {"c": rho * rng.uniform(point["low"], point["high"], 12), "rho": rho})


@cat.identity(
    "HS-05c",
    budget=FloatBudget(k=400, scale=lambda inst, out: inst.rho, why="a dozen operations, after a difference of squares above a twentieth"),
    impl={"quartic_minorant": bounds.quartic_minorant, "norm_minorant": bounds.norm_minorant},
    families=[
        Family("typical", _rows_in_the_plane, grid=tuple({"low": 0.0, "high": 0.979, "advantage": b} for b in (0.2, 0.6, 1.0))),
        Family("beyond", _rows_in_the_plane, grid=({"low": 1.0, "high": 5.0, "advantage": 0.6},), role="adversarial"),
        Family(
            "units",
            _rows_in_the_plane,
            grid=tuple({"low": 0.0, "high": 0.979, "advantage": 0.6, "unit": unit} for unit in (1e-200, 1e150)),
            role="adversarial",
        ),
    ],
    trials={"quick": 4},
    mutants=[
        Mutant(
            "half_width",
            "impl",
            {"norm_minorant": lambda f: lambda *, c, norm, advantage: f(c=np.asarray(c) / 2.0, norm=norm, advantage=advantage)},
            why="the set where the push is negative has half its width",
            part="beyond*",
        ),
        Mutant(
            "constant_only",
            "impl",
            {"norm_minorant": lambda f: lambda *, c, norm, advantage: f(c=np.maximum(c, norm), norm=norm, advantage=advantage)},
            why="the push is bounded by minus the length everywhere",
            part="typical(low=0,high=0.979,advantage=0.6)",
        ),
        Mutant(
            "end_of_chord",
            "impl",
            {"norm_minorant": _end_of_chord},
            why="the chord ends at the length of the row instead of beta times it",
            part="typical(low=0,high=0.979,advantage=0.6)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the chord is exact in the plane",
    plain="In the plane, where the coordinate of a row is its length, the quadratic equals the least push, except for thresholds between "
    "0.98 times the length and the length, where it is minus the length.",
    tex=r"-p_0'+p_2'\rho^2=f_c(\rho)",
)
def chord_at_the_length(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the quadratic at the length of the row beside the least push."""
    p0, p2 = impl.norm_minorant(c=inst.c, norm=inst.rho, advantage=inst.advantage)
    return Outcome((p2 * inst.rho) * inst.rho - p0, _least_push(inst.rho, inst.c, inst.advantage))
