"""Claims about disagreement within a cone: polynomials above the indicator, the count of rows, and its value for Gaussian rows."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces.disagreement import disagreement_bound, majorants, whole_count
from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._cones import (
    ANGLES,
    antipodal,
    balanced,
    decoded_rows,
    few_rows,
    gaussian_count,
    marginal,
    unsigned,
    with_count,
)
from proofs_check.claims.testable_halfspaces._indicator_polynomials import (
    EXTREMES,
    at_the_switch,
    decoded_row,
    extreme_rows,
    negated_excess,
    other_polynomials,
    places,
    polynomials,
    rows_in_a_cone,
)
from proofs_check.claims.testable_halfspaces._oracles import few_evaluations, most_disagreement
from proofs_check.claims.testable_halfspaces._problems import ADVERSARIAL, TYPICAL

cat = Catalogue("testable_halfspaces/disagreement")

FloatArray = npt.NDArray[np.float64]

# --- polynomials above the indicator ------------------------------------------------------------------------------------------------


@cat.inequality(
    "HS-06",
    budget=FloatBudget(k=24, scale=lambda inst, out: out.aux["terms"], why="some ten operations on coefficients and three terms"),
    impl={"majorants": majorants},
    families=[
        Family("typical", rows_in_a_cone, grid=tuple({"k": k, "quartic": q} for k in (1, 3, 10) for q in (True, False))),
        Family(
            "extreme",
            extreme_rows,
            grid=tuple({"distances": name, "quartic": q} for name in EXTREMES for q in (True, False)),
            role="adversarial",
        ),
        Family(
            "searched",
            rows_in_a_cone,
            grid=({"k": 2, "quartic": True}, {"k": 2, "quartic": False}),
            role="adversarial",
            search=SearchSpace(lambda point: 6, decoded_row),
        ),
    ],
    tight=0.999999,
    budgets=few_evaluations((8, 64, 1024), (400, 4000, 500_000)),
    companions=("HS-06a",),
    mutants=[
        Mutant(
            "quartic_everywhere",
            "impl",
            {"majorants": other_polynomials(start=0.5)},
            why="the quartic is used for a < 1 too, where a^2 + e is negative",
            part="typical(k=3,quartic=True)",
            killers=("HS-06",),
        ),
        Mutant(
            "excess_of_the_switch",
            "impl",
            {"majorants": other_polynomials(quartic=at_the_switch, start=0.0)},
            why="the quartic is used for every row with the coefficients of a = 2",
            part="typical(k=3,quartic=True)",
            killers=("HS-06",),
        ),
        Mutant(
            "two_sided",
            "impl",
            {"majorants": other_polynomials(line=lambda a: (1.0 / (1.0 + a * a), -a / (1.0 + a * a)))},
            why="the sign of the linear part: the square vanishes where the rows change sides",
            part="typical(k=1,quartic=False)",
            killers=("HS-06",),
        ),
        Mutant(
            "underflow",
            "impl",
            {"majorants": other_polynomials(line=lambda a: ((1.0 + a * a) ** -1.0, a * np.sqrt((1.0 + a * a) ** -2.0)))},
            why="the leading coefficient is formed from a square that underflows: rows that are 1e100 times longer than others vanish",
            part="extreme(distances=far,quartic=False)",
            killers=("HS-06",),
        ),
        Mutant(
            "negated_excess",
            "impl",
            {"majorants": other_polynomials(quartic=negated_excess)},
            why="e = (a^2 - 3)/(a^2 - 1): still above the indicator from a = 2 on, with a larger mean",
            part="typical(k=3,quartic=True)",
        ),
        Mutant(
            "reciprocal_point",
            "impl",
            {"majorants": other_polynomials(line=lambda a: (0.5 * np.ones_like(a), 0.5 / np.maximum(a, 1e-300)))},
            why="b = a instead of 1/a: still above the indicator, with a larger mean",
            part="typical(k=1,quartic=False)",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Disagreement functional"),
    title="polynomials above the indicator",
    plain="The polynomial that is chosen for a row is at least 1 wherever the row may change sides, and never negative, for distances from "
    "0 to 1e150.",
    tex=r"1_{u\le-a}\le\left(\frac{1-au}{1+a^2}\right)^2,\qquad 1_{u\le-a}\le\left(\frac{u^2+e}{a^2+e}\right)^2",
)
def indicator_below_the_polynomial(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return 1 beside the chosen polynomial where the indicator is 1; and how far the polynomial is from its largest value, everywhere."""
    u = places(inst)
    with np.errstate(over="ignore", invalid="ignore"):
        values, terms = polynomials(impl.majorants(inst.a, inst.rho**2, inst.k, quartic=inst.quartic), u)
    inside = u <= -inst.a[:, None]
    measured = np.stack([np.where(inside, 1.0, 0.0), terms - values])
    return Outcome(measured, np.stack([np.where(inside, values, 1.0), terms]), aux={"terms": terms})


def _distances(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"quartic": point["quartic"]}, {"a": np.sort(rng.uniform(point["low"], point["high"], 20))})


@cat.identity(
    "HS-06a",
    budget=FloatBudget(k=40, scale=lambda inst, out: np.abs(out.reference), why="some twenty operations on each side, all terms positive"),
    impl={"majorants": majorants},
    families=[
        Family("typical", _distances, grid=({"low": 0.01, "high": 2.0, "quartic": True}, {"low": 2.0, "high": 30.0, "quartic": True})),
        Family(
            "adversarial",
            _distances,
            grid=(
                {"low": 0.0, "high": 1e-3, "quartic": True},
                {"low": 2.0, "high": 30.0, "quartic": False},
                {"low": 1e3, "high": 1e5, "quartic": True},
            ),
            role="adversarial",
        ),
    ],
    trials={"quick": 4},
    mutants=[
        Mutant(
            "negated_excess",
            "impl",
            {"majorants": other_polynomials(quartic=negated_excess)},
            why="e = (a^2 - 3)/(a^2 - 1)",
        ),
        Mutant(
            "reciprocal_point",
            "impl",
            {"majorants": other_polynomials(line=lambda a: (0.5 * np.ones_like(a), 0.5 / np.maximum(a, 1e-300)))},
            why="b = a instead of 1/a",
        ),
        Mutant(
            "late_switch",
            "impl",
            {"majorants": other_polynomials(start=3.0)},
            why="the quartic is used from 3 on only: valid, but not the least",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Disagreement functional"),
    title="no polynomial of these degrees lies closer",
    plain="Under the moments of the Gaussian the mean of each polynomial is the probability of the indicator under another law with these "
    "moments, so that no quadratic, and for a from 2 on no even quartic, above the indicator has a smaller mean.",
    tex=r"\frac1{1+a^2},\qquad\frac2{(a^2-1)^2+2}",
)
def mean_of_the_polynomial(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the mean of the polynomial beside the probability of the indicator under the extremal law."""
    a = inst.a
    _, far, capped, (c0, _, c2), (c, e) = impl.majorants(a, np.full(a.size, 1e-12), 1, quartic=inst.quartic)
    assert not np.any(capped & (a > 0.0))
    means = np.where(far, c * (3.0 + 2.0 * e + e * e), c0 + c2)
    two_points = 1.0 / (1.0 + a * a)  # -a and 1/a
    with np.errstate(invalid="ignore", divide="ignore"):
        inner = (a * a - 3.0) / (a * a - 1.0)  # points +-a and +-sqrt(inner): second moment 1, fourth moment 3
        four_points = 2.0 / (a * a - 1.0) / (a * a - inner)
    return Outcome(means, np.where((a >= 2.0) & inst.quartic, four_points, two_points))


# --- disagreement -------------------------------------------------------------------------------------------------------------------


@cat.inequality(
    "HS-09",
    impl={"disagreement_bound": disagreement_bound},
    families=[
        Family("plane", marginal, grid=tuple({"d": 2, "marginal": name, "theta": x} for name in TYPICAL for x in ANGLES)),
        Family("adversarial", marginal, grid=tuple({"d": 2, "marginal": name, "theta": 0.3} for name in ADVERSARIAL), role="adversarial"),
        Family("space", marginal, grid=tuple({"d": 3, "marginal": name, "theta": x} for name in ("gaussian", "t1.5") for x in (0.3, 1.2))),
        Family("lattice", marginal, grid=tuple({"d": 3, "marginal": "cube", "theta": x} for x in (0.3, 1.2)), role="adversarial"),
        Family("high", marginal, grid=tuple({"d": 8, "marginal": name, "theta": 0.3} for name in ("gaussian", "t1.5", "cube"))),
        Family("antipodal", antipodal, grid=tuple({"theta": x} for x in ANGLES), role="adversarial"),
        Family("balanced", balanced, grid=tuple({"theta": x} for x in ANGLES), role="adversarial"),
        Family(
            "searched",
            few_rows,
            grid=({"n": 3}, {"n": 6}),
            role="adversarial",
            search=SearchSpace(lambda p: 2 * p["n"] + 1, decoded_rows, shapes=lambda p: ((p["n"], 2), (1,))),
        ),
    ],
    tight=0.999999,
    budgets=few_evaluations((1, 8, 64), (100, 3000, 100_000)),
    companions=("HS-09a",),
    mutants=[
        Mutant(
            "sign_dropped",
            "impl",
            {"disagreement_bound": unsigned},
            why="coordinates are not multiplied by the sign of the margin: rows on the two sides cancel",
            part="antipodal(theta=0.3)",
            killers=("HS-09",),
        ),
        Mutant(
            "cotangent_for_tangent",
            "impl",
            {"disagreement_bound": lambda f: lambda X, w, theta: f(X, w, math.pi / 2.0 - theta)},
            why="the cotangent and the tangent of the angle change places",
            part="antipodal(theta=1.2)",
            killers=("HS-09",),
        ),
        Mutant(
            "open_cone",
            "impl",
            {"disagreement_bound": lambda f: lambda X, w, theta: f(X, w, theta * (1.0 - 1e-9))},
            why="rows that touch the cone are left out",
            part="antipodal(theta=0.3)",
            killers=("HS-09",),
        ),
        Mutant(
            "plain_floor",
            "impl",
            {"disagreement_bound": with_count(lambda found: math.floor(found.n * found.value))},
            why="the share of rows is rounded down without room for rounding: 15 of 22 rows become 14",
            part="antipodal(theta=0.3)",
            killers=("HS-09",),
        ),
        Mutant(
            "gaussian_constant",
            "impl",
            {"disagreement_bound": with_count(gaussian_count)},
            why="the slope of Gaussian rows is used whatever the rows are",
            part="antipodal(theta=0.03)",
            killers=("HS-09",),
        ),
        Mutant(
            "radians",
            "impl",
            {"disagreement_bound": lambda f: lambda X, w, theta: f(X, w, math.atan(theta))},
            why="the angle is used in place of its tangent",
            part="antipodal(theta=1.2)",
            killers=("HS-09",),
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Disagreement functional"),
    title="no halfspace in the cone differs on more rows",
    plain="No homogeneous halfspace within the angle classifies more rows differently than the bound says: exact sweeps in the plane and "
    "in space, an ascent in eight dimensions, on ten marginals and on rows chosen by a search.",
    tex=r"\#\{i:h_{w'}(x_i)\ne h_w(x_i)\}\le nD_n(\theta),\qquad\angle(w,w')\le\theta",
)
def rows_that_differ(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest number of rows found beside the bound."""
    bound = impl.disagreement_bound(inst.X, inst.w, inst.theta)
    return Outcome(most_disagreement(inst.X, inst.w, inst.theta, rng), bound.count)


_HERMITE = np.polynomial.hermite_e.hermegauss(20)


@cat.identity(
    "HS-09a",
    bound=bounds.gaussian_disagreement_slope,
    params=("quartic",),
    budget=FloatBudget(k=1, scale=1e-13 * 2.0**53, why="two adaptive quadratures of analytic functions"),
    impl={"cantelli": bounds.cantelli_majorant, "quartic": bounds.quartic_majorant},
    families=[Family("gaussian", grid=({"quartic": True}, {"quartic": False}), role="enumeration")],
    trials=1,
    mutants=[
        Mutant(
            "one_side",
            "bound",
            lambda f: lambda *, quartic: f(quartic=quartic) / 2.0,
            why="rows on one side of the hyperplane only",
        ),
        Mutant(
            "variance_for_deviation",
            "bound",
            lambda f: lambda *, quartic: f(quartic=quartic) * math.sqrt(2.0 / math.pi),
            why="the density at zero is taken for 1/pi",
        ),
        Mutant(
            "second_moment_only",
            "impl",
            {"quartic": lambda f: lambda *, u, a: bounds.cantelli_majorant(u=u, a=a)},
            why="the quadratic is used for distant rows, too",
            part="gaussian(quartic=True)",
        ),
        Mutant(
            "squared_twice",
            "impl",
            {"cantelli": lambda f: lambda *, u, a: f(u=u, a=a) ** 2},
            why="the square of the quadratic is integrated",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Disagreement functional"),
    title="what the bound is for Gaussian rows",
    plain="For Gaussian rows and small angles the bound is 0.969 times the tangent of the angle, and 1.253 times with quadratics alone; "
    "the disagreement itself is 0.318 times the angle.",
    tex=r"\lim_{\theta\to0}\frac{D}{\tan\theta}=2\varphi(0)\int_0^\infty\mathbb{E}\,m_a(u)\,da=0.969",
)
def slope_by_quadrature(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Integrate the mean of the polynomials, a quadrature in a quadrature, over all distances."""
    from scipy.integrate import quad

    nodes, weights = _HERMITE

    def mean(a: float) -> float:
        polynomial = impl.quartic if inst.quartic and a >= bounds.QUARTIC_FROM else impl.cantelli
        return float(weights @ polynomial(u=nodes, a=a))  # the weights add up to sqrt(2 pi)

    pieces = [quad(mean, low, high, epsabs=1e-13, epsrel=1e-13)[0] for low, high in ((0.0, 2.0), (2.0, math.inf))]
    return 2.0 * sum(pieces) / (2.0 * math.pi)


def _all_counts(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    pairs = np.array([(k, n) for n in range(point["first"], point["last"] + 1) for k in range(n + 1)])
    return Instance({}, {"k": pairs[:, 0], "n": pairs[:, 1]})


@cat.identity(
    "HS-09b",
    budget=FloatBudget(k=1, why="whole numbers on both sides: no rounding, the smallest budget there is"),
    impl={"whole_count": whole_count},
    families=[
        Family("shares", _all_counts, grid=tuple({"first": n, "last": n + 39} for n in range(1, 160, 40)), role="enumeration"),
    ],
    trials=1,
    mutants=[
        Mutant(
            "plain_floor",
            "impl",
            {"whole_count": lambda f: lambda share, n: math.floor(share * n)},
            why="15/22 of 22 rows are 14 in floats",
        ),
        Mutant(
            "rounded_up",
            "impl",
            {"whole_count": lambda f: lambda share, n: min(math.ceil(share * n + 1e-9 * n), n)},
            why="rounded up: valid, but one row too many",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Disagreement functional"),
    title="shares become whole rows",
    plain="A share of k in n rows becomes k rows again, for all k and n up to 160: rounding loses no row and adds none.",
    tex=r"\lfloor n\cdot(k/n)\rceil=k",
)
def counts_of_shares(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the counts from shares beside the counts that the shares were made of."""
    return Outcome(
        np.array([impl.whole_count(k / n, n) for k, n in zip(inst.k.tolist(), inst.n.tolist(), strict=True)]), inst.k.astype(float)
    )
