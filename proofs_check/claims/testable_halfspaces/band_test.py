"""Claims about the band test: its exact level, and the marginal that no test of moments of fixed degree sees."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from algos.testable_halfspaces import bounds, instances
from algos.testable_halfspaces.band_test import BANDS, band_probability, band_test
from algos.testable_halfspaces.calibration import Calibration, calibration_for
from algos.testable_halfspaces.certificates import massart_certificate
from algos.testable_halfspaces.instances import make_halfspace
from algos.testable_halfspaces.moment_tests import gaussian_moment_test
from algos.testable_halfspaces.ramp_learner import ramp_loss
from algos.testable_halfspaces.results import TestResult
from proofs_check import Catalogue, EquivalentProof, Family, FloatBudget, Instance, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces._problems import random_direction, searched

cat = Catalogue("testable_halfspaces/band_test")

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Test = Callable[..., tuple[TestResult, ...]]

# --- the level of the count -----------------------------------------------------------------------------------------------------------

_FAR = 1e3  # widths of the band: a row that is certainly outside


def _judged(test: Test, n: int, sigma: float, level: float) -> tuple[BoolArray, BoolArray]:
    """Ask the test which counts pass, for both bands: tables with 0, 1, ..., n rows on the hyperplane and the others far away."""
    inner, outer = np.empty(n + 1, dtype=np.bool_), np.empty(n + 1, dtype=np.bool_)
    for k in range(n + 1):
        X = np.where(np.arange(n) < k, 0.0, _FAR * sigma)[:, None]
        results = {result.name: result.passed for result in test(X, np.ones(1), sigma, level=level)}
        inner[k], outer[k] = (results[name] for name, _ in BANDS)
    return inner, outer


def _shares(sigma: float) -> tuple[float, float]:
    """Probabilities of the two bands by the error function of the standard library."""
    return math.erf(sigma / 6.0 / math.sqrt(2.0)), math.erf(sigma / 2.0 / math.sqrt(2.0))


def _law(n: int, p: float) -> FloatArray:
    k = np.arange(n + 1)
    return np.asarray(np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)))


def _joint_law(n: int, p: float, q: float) -> FloatArray:
    """Probabilities of k rows in the inner and m in the outer band, p and q the probabilities of the bands."""
    k, m = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    between = np.maximum(m - k, 0)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(between + 1) - gammaln(n - m + 1)
    logs = ways + k * math.log(p) + between * math.log(q - p) + (n - m) * math.log1p(-q)
    return np.where(m >= k, np.exp(logs), 0.0)


def _by_normal_law(test: Test) -> Test:
    """Accept counts within as many standard deviations as the normal law says."""

    def wrong(X: FloatArray, w: FloatArray, sigma: float, *, level: float) -> tuple[TestResult, ...]:
        from scipy.special import ndtri

        z = float(ndtri(1.0 - level / 4.0))
        found = []
        for result, p in zip(test(X, w, sigma, level=level)[:2], _shares(sigma), strict=True):
            sd = math.sqrt((1.0 - p) / (p * len(X)))
            found.append(replace(result, low=1.0 - z * sd, high=1.0 + z * sd))
        return tuple(found)

    return wrong


def _whole_level_each(test: Test) -> Test:
    return lambda X, w, sigma, *, level: test(X, w, sigma, level=min(2.0 * level, 0.999))


def _of_another_width(test: Test) -> Test:
    """Judge counts as if the bands were a tenth wider."""

    def wrong(X: FloatArray, w: FloatArray, sigma: float, *, level: float) -> tuple[TestResult, ...]:
        results = test(X, w, 1.1 * sigma, level=level)[:2]
        scale = [wide / right for wide, right in zip(_shares(1.1 * sigma), _shares(sigma), strict=True)]
        return tuple(
            replace(result, statistic=result.statistic * s, low=result.low * s, high=result.high * s)
            for result, s in zip(results, scale, strict=True)
        )

    return wrong


def _upper_only(test: Test) -> Test:
    return lambda *a, **k: tuple(replace(result, low=-math.inf) for result in test(*a, **k))


_CASES = tuple(
    {"n": n, "sigma": sigma, "level": level}
    for n, sigma, level in (
        (1, 1.0, 0.05),
        (20, 1.0, 0.05),
        (60, 0.25, 0.05),
        (60, 0.1, 0.2),
        (200, 0.03, 0.05),
        (200, 1.0, 0.01),
        (200, 3.0, 0.5),
    )
)
_ALL_COUNTS = Family("all_counts", grid=_CASES, role="enumeration")
_SUMS = FloatBudget(
    k=lambda inst, out: (inst.n + 1) ** 2 + 4000,
    why="sums of all probabilities; each is the exponential of a difference of logarithms of factorials up to 1000",
)


@cat.inequality(
    "HS-15",
    budget=_SUMS,
    impl={"band_test": band_test},
    families=[_ALL_COUNTS],
    trials={"quick": 1, "full": 1, "nightly": 1},
    companions=("HS-15a",),
    mutants=[
        Mutant(
            "normal_law",
            "impl",
            {"band_test": _by_normal_law},
            why="counts of which two are expected are judged by the normal law",
            part="all_counts(n=200,sigma=0.03,level=0.05)",
        ),
        Mutant(
            "level_not_divided",
            "impl",
            {"band_test": _whole_level_each},
            why="each of the two bands is tested at the level of both",
            part="all_counts(n=200,sigma=1,level=0.01)",
        ),
        Mutant(
            "wider_band",
            "impl",
            {"band_test": _of_another_width},
            why="the expected count is that of a band a tenth wider",
            part="all_counts(n=200,sigma=1,level=0.01)",
        ),
    ],
    blind_to=("a test that rejects too little: HS-15a sees it",),
    source=Source("folklore"),
    title="the level of the band's counts",
    plain="For Gaussian rows the probability that the count of either band is rejected, over all counts, is at most the level, and for "
    "each band at most half of it.",
    tex=r"P(\text{rejected})=\sum_{k,m\text{ rejected}}P(k,m)\le\alpha",
)
def probability_of_rejection(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the probabilities that either, the inner or the outer count is rejected, beside what they may be."""
    inner, outer = _judged(impl.band_test, inst.n, inst.sigma, inst.level)
    p, q = _shares(inst.sigma)
    either = float(np.sum(_joint_law(inst.n, p, q)[~(inner[:, None] & outer[None, :])]))
    each = [float(_law(inst.n, share) @ ~passed) for share, passed in ((p, inner), (q, outer))]
    return Outcome(np.array([either, *each]), np.array([inst.level, inst.level / 2.0, inst.level / 2.0]))


@cat.inequality(
    "HS-15a",
    budget=_SUMS,
    impl={"band_test": band_test},
    families=[_ALL_COUNTS],
    trials={"quick": 1, "full": 1, "nightly": 1},
    mutants=[
        Mutant(
            "upper_only",
            "impl",
            {"band_test": _upper_only},
            why="only too many rows are rejected: an empty band passes",
            part="all_counts(n=200,sigma=1,level=0.01)",
        ),
        Mutant(
            "level_halved_twice",
            "impl",
            {"band_test": lambda f: lambda X, w, sigma, *, level: f(X, w, sigma, level=level / 2.0)},
            why="the level is divided among four tests instead of two",
            part="all_counts(n=200,sigma=1,level=0.01)",
        ),
    ],
    source=Source("folklore"),
    title="the band's counts are tested as sharply as can be",
    plain="No further count could be rejected: the last accepted count on either side and all beyond it have a probability above a quarter "
    "of the level.",
    tex=r"P(k\le k_-)>\tfrac\alpha4,\qquad P(k\ge k_+)>\tfrac\alpha4",
)
def next_count_is_too_likely(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return a quarter of the level beside the probability of the last accepted count and all beyond it, on both sides of both bands."""
    beyond = []
    for passed, share in zip(_judged(impl.band_test, inst.n, inst.sigma, inst.level), _shares(inst.sigma), strict=True):
        law, accepted = _law(inst.n, share), np.flatnonzero(passed)
        beyond += [float(np.sum(law[: accepted[0] + 1])), float(np.sum(law[accepted[-1] :]))]
    return Outcome(np.full(len(beyond), inst.level / 4.0), np.array(beyond))


# --- the probability of a band with an intercept ----------------------------------------------------------------------------------------


def _lifted(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"h": point["h"], "b": float(rng.uniform(-0.95, 0.95))})


def _decoded_band(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    return Instance({"h": float(np.exp(6.0 * np.tanh(x[0]) - 3.0)), "b": 0.95 * float(np.tanh(x[1]))})


def _by_quadrature(*, h: float, b: float) -> float:
    """Integrate the density of the margin over the band, in panels."""
    spread = math.sqrt(1.0 - b * b)
    ends = np.linspace(max((-h - b) / spread, -9.0), min((h - b) / spread, 9.0), 13)
    x, weights = np.polynomial.legendre.leggauss(20)
    half = 0.5 * (ends[1] - ends[0])
    nodes = (0.5 * (ends[:-1] + ends[1:]))[:, None] + half * x
    return float(half * np.sum(bounds.DENSITY_AT_ZERO * np.exp(-0.5 * nodes**2) @ weights))


@cat.identity(
    "HS-15b",
    bound=_by_quadrature,
    budget=FloatBudget(k=400, why="a difference of two probabilities, each right to some units; 240 summands of the quadrature"),
    impl={"probability": lambda h, b: band_probability(h, intercept=b)},
    families=[
        Family("typical", _lifted, grid=tuple({"h": h} for h in (0.1, 0.5, 2.0))),
        Family("narrow", _lifted, grid=tuple({"h": h} for h in (1e-12, 1e-6, 1e-5, 1e-4)), role="adversarial"),
        Family(
            "searched",
            lambda rng, point: _decoded_band(rng.standard_normal(2), point),
            role="adversarial",
            search=SearchSpace(lambda point: 2, _decoded_band),
        ),
    ],
    budgets=searched(3, 300),
    mutants=[
        Mutant(
            "spread_one",
            "impl",
            {"probability": lambda f: lambda h, b: _by_quadrature(h=h, b=0.0)},
            why="the intercept is forgotten",
            part="typical(h=0.5)",
        ),
        Mutant(
            "shift_without_spread",
            "impl",
            {"probability": lambda f: lambda h, b: 0.5 * (math.erf((h - b) / math.sqrt(2.0)) + math.erf((h + b) / math.sqrt(2.0)))},
            why="the rows' part of a lifted unit normal is taken for a unit vector",
            part="typical(h=0.5)",
        ),
        Mutant(
            "other_sign",
            "impl",
            {"probability": lambda f: lambda h, b: f(h, -b)},
            why="the intercept has the other sign",
            equivalent=EquivalentProof("the band and the Gaussian density are symmetric: b and -b have the same probability"),
        ),
    ],
    source=Source("folklore"),
    title="probability of a band with an intercept",
    plain="The probability that a lifted Gaussian row lies in a band is the integral of its margin's density.",
    tex=r"P(|\sqrt{1-b^2}\,N+b|\le h)",
)
def probability_of_the_band(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the probability that the test uses."""
    return float(impl.probability(inst.h, inst.b))


# --- moments of fixed degree --------------------------------------------------------------------------------------------------------------

_HARD = "docs/theory/testable_halfspaces.md, Hard marginals"
_CENTRES = (math.sqrt(3.0 - math.sqrt(6.0)), math.sqrt(3.0 + math.sqrt(6.0)))  # roots of the fourth Hermite polynomial


def _double_factorial(*, degree: int) -> float:
    """Moment of the standard Gaussian."""
    return 0.0 if degree % 2 else float(math.prod(range(degree - 1, 0, -2)))


def _moment(nodes: tuple[float, ...], weights: tuple[float, ...], degree: int) -> float:
    """Moment of the symmetric law with these positive nodes."""
    return math.fsum(w * (x**degree + (-x) ** degree) for x, w in zip(nodes, weights, strict=True))


@cat.identity(
    "HS-17",
    bound=_double_factorial,
    budget=FloatBudget(
        k=40,
        scale=lambda inst, out: 1.0 + _moment(_CENTRES, instances.GAUSS_HERMITE_WEIGHTS, inst.degree + inst.degree % 2),
        why="powers up to the seventh of nodes that are rounded once",
    ),
    impl={"nodes": instances.GAUSS_HERMITE_NODES, "weights": instances.GAUSS_HERMITE_WEIGHTS},
    families=[Family("all_degrees", grid=tuple({"degree": degree} for degree in range(8)), role="enumeration")],
    trials={"quick": 1, "full": 1, "nightly": 1},
    mutants=[
        Mutant(
            "weights_exchanged",
            "impl",
            {"weights": lambda weights: weights[::-1]},
            why="the far nodes get the large weight",
            part="all_degrees(degree=2)",
        ),
        Mutant(
            "nodes_of_the_other_rule",
            "impl",
            {"nodes": lambda nodes: tuple(x / math.sqrt(2.0) for x in nodes)},
            why="nodes for the weight exp(-x^2) in place of the Gaussian density",
            part="all_degrees(degree=2)",
        ),
        Mutant(
            "two_digits",
            "impl",
            {"nodes": lambda nodes: tuple(round(x, 2) for x in nodes)},
            why="nodes are typed in with two digits",
            part="all_degrees(degree=4)",
        ),
    ],
    source=Source("folklore"),
    title="four points with seven Gaussian moments",
    plain="The law on four points that the hard marginal uses has all moments of the standard Gaussian up to degree seven.",
    tex=r"\sum_j w_jx_j^k=\mathbb{E} N^k,\qquad k\le7",
)
def moments_of_the_four_points(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return a moment of the law on four points."""
    return _moment(impl.nodes, impl.weights, inst.degree)


def _hidden_axis(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    made = make_halfspace(point["n"], point["d"], marginal="gauss-hermite", random_state=rng)
    return Instance({"sigma": point["sigma"]}, {"X": made.X, "y": made.y, "w_star": made.w, "other": random_direction(rng, point["d"])})


def _elsewhere(test: Test) -> Test:
    """Test the band around a direction that has nothing to do with the halfspace."""
    return lambda X, w, sigma: test(X, np.roll(w, 1), sigma)


def _only_gradient(certify: Callable[..., Any]) -> Callable[..., bool]:
    """Say that a halfspace is certified if its gradient is small."""
    return lambda X, y, w, sigma: bool(np.linalg.norm(ramp_loss(X, y, w, sigma).gradient) <= 1e-3)


def _certified(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float) -> bool:
    return not massart_certificate(X, y, w, sigma, eta=0.1).vacuous


@cat.inequality(
    "HS-17a",
    impl={"band_test": band_test, "certified": _certified},
    families=[
        Family("small", _hidden_axis, grid=tuple({"n": 500, "d": d, "sigma": sigma} for d in (2, 5) for sigma in (0.5, 1.0, 1.48))),
        Family("large", _hidden_axis, grid=({"n": 20_000, "d": 10, "sigma": 0.5},), role="adversarial"),
    ],
    trials={"quick": 2},
    mutants=[
        Mutant(
            "another_direction",
            "impl",
            {"band_test": _elsewhere},
            why="the band of another direction is tested, where the rows are Gaussian",
            part="small(n=500,d=5,sigma=0.5)",
        ),
        Mutant(
            "upper_only",
            "impl",
            {"band_test": _upper_only},
            why="only too many rows are rejected: an empty band passes",
            part="small(n=500,d=5,sigma=0.5)",
        ),
        Mutant(
            "small_gradient_is_enough",
            "impl",
            {"certified": _only_gradient},
            why="a halfspace with a small gradient counts as certified",
            part="small(n=500,d=5,sigma=0.5)",
        ),
    ],
    companions=("HS-17b",),
    source=Source("derived", proof=_HARD),
    title="the empty band is rejected",
    plain="On the marginal of the four points the first axis has an empty band: the gradient is zero although a tenth of the rows and "
    "more are wrong and another halfspace makes no mistake; both counts of the band test fail, and nothing is certified.",
    tex=r"\nabla L_\sigma(e_1)=0,\qquad \mathrm{err}(e_1)\ge\tfrac1{10},\qquad\mathrm{err}(w^*)=0,\qquad\sigma\le1.48",
)
def what_the_first_axis_shows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return gradient, mistakes of the planted halfspace, passed counts, and certified or not, beside zeros; a tenth beside the error."""
    axis = np.eye(inst.X.shape[1])[0]
    passed = [float(result.passed) for result in impl.band_test(inst.X, axis, inst.sigma)[:2]]
    gradient = float(np.linalg.norm(ramp_loss(inst.X, inst.y, axis, inst.sigma).gradient))
    right = inst.y > 0.0
    planted, wrong = (float(np.mean((inst.X @ w >= 0.0) != right)) for w in (inst.w_star, axis))
    certified = float(impl.certified(inst.X, inst.y, axis, inst.sigma))
    return Outcome(np.array([gradient, planted, *passed, certified, 0.1]), np.array([0.0, 0.0, 0.0, 0.0, 0.0, wrong]))


@functools.cache
def _null(n: int, d: int) -> Calibration:
    return calibration_for("simulate", n, d, level=0.05, n_calibration=79, key=0)


def _another_marginal(marginal: str) -> Callable[[Instance], Instance]:
    return lambda inst: replace(inst, params={**inst.params, "marginal": marginal})


@cat.completeness(
    "HS-17b",
    levels=(0.25,),
    impl={"moment_test": gaussian_moment_test},
    families=[
        Family("four_points", grid=({"n": 600, "d": 2, "marginal": "gauss-hermite"},), role="adversarial"),
    ],
    block=16,
    trials={"quick": 320, "full": 1024, "nightly": 8192},
    companions=("HS-17a",),
    mutants=[
        Mutant(
            "two_points",
            "env",
            _another_marginal("cube"),
            why="the marginal has the values -1 and +1 only, whose fourth moment is not that of a Gaussian",
        ),
        Mutant(
            "two_clusters",
            "env",
            _another_marginal("mixture"),
            why="the marginal has two clusters along a direction",
        ),
        Mutant(
            "low_threshold",
            "impl",
            {"moment_test": lambda f: lambda X, calibration: _tightened(f(X, calibration=calibration))},
            why="thresholds are the means of the null statistics",
        ),
    ],
    source=Source("derived", proof=_HARD),
    title="moments of fixed degree do not see the empty band",
    plain="Tests of all directional moments up to degree four, with thresholds simulated at level 0.05, reject the marginal of the four "
    "points with a probability of at most a quarter.",
)
def moment_tests_on_the_four_points(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Say whether all moment tests pass."""
    made = make_halfspace(inst.n, inst.d, marginal=inst.marginal, random_state=rng)
    results = impl.moment_test(made.X, calibration=_null(inst.n, inst.d))
    passed = all(result.passed for result in results)
    return Outcome(float(not passed), accepted=passed)


def _tightened(results: tuple[TestResult, ...]) -> tuple[TestResult, ...]:
    return tuple(replace(r, high=min(r.high, r.null_mean), low=r.low) for r in results)
