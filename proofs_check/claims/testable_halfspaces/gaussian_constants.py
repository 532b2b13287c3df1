"""Claims about the constants of the certificates on ideal data: standard Gaussian rows, infinitely many of them, a narrow band."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from algos.testable_halfspaces import bounds
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._oracles import few_evaluations

cat = Catalogue("testable_halfspaces/quartic_forms")

_PROOF = "docs/theory/testable_halfspaces.md, Constants for Gaussian rows"

Mean = Callable[[float, float], float]
"""Mean of a minorant under the moments 1 and 3, as a function of the threshold and the advantage."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


# --- the chain once more, in plain numbers ------------------------------------------------------------------------------------------


def _density(a: float) -> float:
    """Ramp density for a band of width 1: 3/2 up to 1/6, then a cubic down to 0 at 1/2."""
    r = min(max(3.0 * (a - 1.0 / 6.0), 0.0), 1.0)
    return 1.5 * (1.0 - r * r * (3.0 - 2.0 * r))


def _integral(f: Callable[[float], float], *breaks: float) -> float:
    """Integrate over both sides of the band a function that is smooth between the breaks."""
    total = 0.0
    ends = sorted({0.0, 1.0 / 6.0, 0.5, *(place for place in breaks if 0.0 < place < 0.5)})
    for low, high in itertools.pairwise(ends):
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        total += half * sum(float(w) * f(middle + half * float(x)) for x, w in zip(_NODES, _WEIGHTS, strict=True))
    return 2.0 * total


def _quartic_mean(c: float, b: float, *, share: float = 1.0, tuned: float = 0.75, inside: float = 1.0) -> float:
    """Mean of the quartic; the other arguments are for mistakes: threshold times a share, largest tuned threshold, slope within c."""
    c *= share
    square = (3.0 - min(c, tuned) ** 2) / (1.0 - min(c, tuned) ** 2)
    R = math.sqrt(square)
    if c >= 0.95 * R:
        return -1.0
    p4 = (b * (square + c * c) / (2.0 * R) + inside * c) / (square - c * c) ** 2
    return max(-1.0, b * (R / 2.0 + 1.0 / (2.0 * R)) - p4 * ((square - 1.0) ** 2 + 2.0))


def _linear_mean(c: float, b: float) -> float:
    """Mean of ``b |u| - (1 + b) c`` with the best even quartic below ``|u|``, whose mean is the root of a third."""
    return b / math.sqrt(3.0) - (1.0 + b) * c


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(f, low, high, xtol=1e-15))


def _bend(mean: Mean, b: float) -> float:
    """Threshold from which the quartic is given up."""
    low, high = 0.5, 2.3
    while high - low > 1e-15:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if mean(middle, b) > -1.0 else (low, middle)
    return high


def _angle(b: float, mean: Mean = _quartic_mean, *, slack: float = 0.0, density: Callable[[float], float] = _density) -> float:
    """Excluded angle in units of the band: the root of the mean push less the slack (per unit of the margin's density at 0)."""
    last = _bend(mean, b) if mean is not _linear_mean else math.inf
    return _root(lambda x: _integral(lambda a: density(a) * mean(a / x, b), 0.75 * x, last * x) - slack, 1e-2, 1e3)


Angles = Callable[..., float]


def _other_chain(**change: float) -> Callable[[Angles], Angles]:
    """Make a chain whose quartic has a mistake."""

    def wrong(*, advantage: float, quartic: bool = True) -> float:
        return _angle(advantage, lambda c, b: _quartic_mean(c, b, **change))

    return lambda angle: wrong


def _fixed_radius(angle: Angles) -> Angles:
    def wrong(*, advantage: float, quartic: bool = True) -> float:
        return _other_chain(tuned=0.0)(angle)(advantage=advantage) if quartic else angle(advantage=advantage, quartic=False)

    return wrong


def _triangle(angle: Angles) -> Angles:
    def wrong(*, advantage: float, quartic: bool = True) -> float:
        mean = _quartic_mean if quartic else _linear_mean
        return _angle(advantage, mean, density=lambda a: max(2.0 - 4.0 * a, 0.0))

    return wrong


# --- Massart noise ------------------------------------------------------------------------------------------------------------------

_RATES = (0.0, 0.1, 0.2, 0.3, 0.4)
_ROUNDING = "roots to 1e-14 of integrals with Gauss rules on smooth pieces; the slope of the integral at the root is about 1"


def _noise(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"advantage": 1.0 - 2.0 * point["eta"], "quartic": point["quartic"]})


def _any_noise(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"advantage": float(rng.uniform(0.02, 1.0)), "quartic": point["quartic"]})


@cat.identity(
    "HS-19",
    budget=FloatBudget(k=2000, scale=lambda inst, out: np.abs(out.reference), why=_ROUNDING),
    impl={"angle": bounds.gaussian_excluded_angle},
    families=[
        Family("printed", _noise, grid=tuple({"eta": eta, "quartic": True} for eta in _RATES), role="enumeration"),
        Family("other", _any_noise, grid=({"quartic": True},), role="adversarial"),
    ],
    trials={"quick": 1, "full": 8, "nightly": 64},
    mutants=[
        Mutant(
            "half_width",
            "impl",
            {"angle": _other_chain(share=0.5)},
            why="the set where the push is negative has half its width",
            part="printed(eta=0.2,quartic=True)",
        ),
        Mutant(
            "advantage_inside",
            "impl",
            {"angle": _other_chain(inside=0.6)},
            why="the push is taken for -beta |u| within c",
            part="printed(eta=0.2,quartic=True)",
        ),
        Mutant(
            "fixed_radius",
            "impl",
            {"angle": _other_chain(tuned=0.0)},
            why="R^2 = 3 for every threshold",
            part="printed(eta=0.2,quartic=True)",
        ),
        Mutant(
            "triangle",
            "impl",
            {"angle": _triangle},
            why="a triangle in place of the ramp density",
            part="printed(eta=0.2,quartic=True)",
        ),
        Mutant(
            "one_minus_eta",
            "impl",
            {"angle": lambda f: lambda *, advantage, quartic=True: f(advantage=(1.0 + advantage) / 2.0, quartic=quartic)},
            why="1 - eta in place of 1 - 2 eta",
            part="printed(eta=0.2,quartic=True)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="excluded angle for Gaussian rows",
    plain="For Gaussian rows, without fluctuations and for a narrow band, the angle excluded is 0.379, 0.425, 0.495, 0.636 and 1.090 times "
    "the band width for flip probabilities from 0 to 0.4: the formula agrees with the same chain written out in plain numbers.",
    tex=r"\int\psi(a)\,\mathbb{E}\,q_{a/x}\,da=0\ \Rightarrow\ x=0.379,\,0.425,\,0.495,\,0.636,\,1.090",
)
def excluded_angle(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the angle beside that of the plain chain."""
    return Outcome(impl.angle(advantage=inst.advantage), _angle(inst.advantage))


@cat.identity(
    "HS-19a",
    budget=FloatBudget(k=2000, scale=lambda inst, out: np.abs(out.reference), why=_ROUNDING),
    impl={"angle": bounds.gaussian_excluded_angle},
    families=[
        Family("printed", _noise, grid=tuple({"eta": eta, "quartic": False} for eta in _RATES), role="enumeration"),
        Family("other", _any_noise, grid=({"quartic": False},), role="adversarial"),
    ],
    trials={"quick": 1, "full": 8, "nightly": 64},
    mutants=[
        Mutant(
            "with_the_minorant",
            "impl",
            {"angle": lambda f: lambda *, advantage, quartic=True: f(advantage=advantage)},
            why="the option is ignored",
            part="printed(eta=0.2,quartic=False)",
        ),
        Mutant(
            "triangle",
            "impl",
            {"angle": _triangle},
            why="a triangle in place of the ramp density",
            part="printed(eta=0.2,quartic=False)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="excluded angle without the quartic minorant",
    plain="With the bound beta |u| - (1 + beta) c in place of the quartic the excluded angles are 0.606, 0.682, 0.808, 1.061 and 1.819 "
    "times the band width.",
    tex=r"x=\frac{7\sqrt3}{40}\cdot\frac{1+\beta_0}{\beta_0}",
)
def excluded_angle_without_minorant(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the angle beside its closed form: the ramp density has the mean margin 7/40, and the mean of |u| is at least 1/sqrt(3)."""
    b = inst.advantage
    return Outcome(impl.angle(advantage=b, quartic=False), math.sqrt(3.0) * (1.0 + b) / b * 7.0 / 40.0)


def _decoded_noise(x: Any, point: Mapping[str, Any]) -> Instance:
    return Instance({"advantage": 0.01 + 0.99 / (1.0 + math.exp(-float(np.clip(x[0], -30.0, 30.0)))), "quartic": True})


def _gain(b: float) -> float:
    """Least gain that is claimed; as the advantage tends to 0 the gain itself tends to 3/2."""
    return 1.599 if b >= 0.1 else 1.5


@cat.inequality(
    "HS-19b",
    budget=FloatBudget(k=2000, scale=lambda inst, out: np.abs(out.reference), why=_ROUNDING),
    impl={"angle": bounds.gaussian_excluded_angle},
    families=[
        Family("printed", _noise, grid=tuple({"eta": eta, "quartic": True} for eta in _RATES)),
        Family("searched", _any_noise, grid=({"quartic": True},), role="adversarial", search=SearchSpace(lambda p: 1, _decoded_noise)),
    ],
    tight=0.99,
    budgets=few_evaluations((1, 8, 64), (12, 100, 2000)),
    mutants=[
        Mutant(
            "fixed_radius",
            "impl",
            {"angle": _fixed_radius},
            why="R^2 = 3 for every threshold: the quartic is then worth less",
            part="printed(eta=0,quartic=True)",
        ),
        Mutant(
            "without_the_minorant",
            "impl",
            {"angle": lambda f: lambda *, advantage, quartic=True: f(advantage=advantage, quartic=False)},
            why="the quartic is not used at all",
            part="printed(eta=0,quartic=True)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="what the quartic minorant is worth",
    plain="With the quartic the excluded angle is smaller by a factor of at least 1.599 for flip probabilities up to 0.45, and by more "
    "than 3/2 for all.",
    tex=r"1.599\,x_4\le x_1\ (\eta\le0.45),\qquad 1.5\,x_4\le x_1",
)
def gain_of_the_minorant(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the angle with the quartic times the least gain beside the angle without."""
    return Outcome(_gain(inst.advantage) * impl.angle(advantage=inst.advantage), impl.angle(advantage=inst.advantage, quartic=False))


# --- no assumption on the noise -------------------------------------------------------------------------------------------------------

Factor = Callable[..., float]


def _mistakes(share: float) -> float:
    """Largest contribution of a share of all rows to the mean push, for a band of width 1: Cauchy-Schwarz twice, and Hoelder."""
    phi = 1.0 / math.sqrt(2.0 * math.pi)
    second = phi * _integral(lambda a: _density(a) ** 2)
    edge = share / (2.0 * phi)  # the heaviest rows are those with the smallest margins
    heaviest = 2.0 * phi * (0.5 * _integral(lambda a: _density(a) if a <= edge else 0.0, edge))
    return min(math.sqrt(second * share), math.sqrt(phi * heaviest), math.sqrt(math.sqrt(3.0 * phi)) * math.pow(heaviest, 0.75))


def _disagreement_slope() -> float:
    """Mean of the polynomials over all distances: the quadratic up to 2, then ``2 / ((a^2 - 1)^2 + 2)``."""
    from scipy.integrate import quad

    far = quad(lambda a: 2.0 / ((a * a - 1.0) ** 2 + 2.0), 2.0, math.inf, epsabs=1e-14, epsrel=1e-14)[0]
    return math.sqrt(2.0 / math.pi) * (math.atan(2.0) + float(far))


def _factor(widths: float, *, pushes: float = 2.0, slope: float | None = None, own: float = 1.0) -> float:
    """Proved ratio of errors; the other arguments are for mistakes."""
    phi = 1.0 / math.sqrt(2.0 * math.pi)
    angle = _angle(1.0, slack=pushes * _mistakes(1.0 / widths) / phi)
    return own + (_disagreement_slope() if slope is None else slope) * widths * angle


def _band(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"widths": float(point["widths"])})


def _any_band(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"widths": float(np.exp(rng.uniform(math.log(40.0), math.log(400.0))))})


def _other_factor(**change: float) -> Callable[[Factor], Factor]:
    return lambda factor: lambda *, widths: _factor(widths, **change)


@cat.identity(
    "HS-19c",
    budget=FloatBudget(k=2000, scale=lambda inst, out: np.abs(out.reference), why=_ROUNDING),
    impl={"factor": bounds.gaussian_agnostic_factor},
    families=[
        Family("printed", _band, grid=({"widths": 50.0},), role="enumeration"),
        Family("other", _any_band, grid=({},), role="adversarial"),
    ],
    trials={"quick": 1, "full": 8, "nightly": 64},
    mutants=[
        Mutant(
            "pushes_once",
            "impl",
            {"factor": _other_factor(pushes=1.0)},
            why="a mistake is taken to cost its push once: it also lacks on the other side",
            part="printed*",
        ),
        Mutant(
            "quadratic_alone",
            "impl",
            {"factor": _other_factor(slope=math.sqrt(math.pi / 2.0))},
            why="the disagreement is bounded by quadratics alone",
            part="printed*",
        ),
        Mutant(
            "true_disagreement",
            "impl",
            {"factor": _other_factor(slope=1.0 / math.pi)},
            why="the disagreement of Gaussian rows in place of the bound on it",
            part="printed*",
        ),
        Mutant(
            "own_mistakes",
            "impl",
            {"factor": _other_factor(own=0.0)},
            why="the competitor's own mistakes are not counted",
            part="printed*",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the agnostic constant for Gaussian rows",
    plain="For Gaussian rows and a band of 50 times the error rate, the agnostic chain excludes tangents above 39.6 times the error rate, "
    "and proves an error of at most 39.4 times the least one: the formula agrees with the same chain written out in plain numbers.",
    tex=r"1+0.969\cdot39.6=39.4",
)
def agnostic_factor(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the factor beside that of the plain chain."""
    return Outcome(impl.factor(widths=inst.widths), _factor(inst.widths))


def _decoded_band(x: Any, point: Mapping[str, Any]) -> Instance:
    return Instance({"widths": 30.0 + 370.0 / (1.0 + math.exp(-float(np.clip(x[0], -30.0, 30.0))))})


def _best_of(grid: tuple[float, ...]) -> Callable[[Factor], Factor]:
    def mutate(factor: Factor) -> Factor:
        def wrong(*, widths: float | None = None) -> float:
            return min(factor(widths=w) for w in (grid if widths is None else (widths,)))

        return wrong

    return mutate


@cat.inequality(
    "HS-19d",
    budget=FloatBudget(k=1, scale=1e-9 * 2.0**53, why="a bounded search for the best width, flat to second order at its end"),
    impl={"factor": bounds.gaussian_agnostic_factor},
    families=[
        Family("typical", _any_band, grid=({},)),
        Family("near", _band, grid=tuple({"widths": w} for w in (51.0, 54.0)), role="adversarial"),
    ],
    tight=0.9999,
    trials={"quick": 1, "full": 16, "nightly": 128},
    mutants=[
        Mutant(
            "nominal_width",
            "impl",
            {"factor": _best_of((50.0,))},
            why="the width 50 is returned as the best one",
            part="near(widths=51)",
        ),
        Mutant(
            "wide_bands",
            "impl",
            {"factor": _best_of((100.0, 200.0))},
            why="only wide bands are tried",
            part="near(widths=51)",
        ),
    ],
    source=Source("derived", proof=_PROOF),
    title="the best band for the agnostic constant",
    plain="No width of the band gives a smaller factor than the one that is found when none is given.",
    tex=r"\min_sC(s)\le C(s)",
)
def best_factor(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the factor at the best width beside that at another."""
    return Outcome(impl.factor(), impl.factor(widths=inst.widths))
