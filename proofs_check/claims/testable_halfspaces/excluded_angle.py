"""Claims about the angle that a certificate excludes under bounded label noise: sound, useful, and sharp in both of its steps."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds, massart_certificate
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._push import rounding
from algos.testable_halfspaces._search import Search
from proofs_check import Budget, Catalogue, Family, FloatBudget, Instance, Interval, Mutant, Outcome, SearchSpace, Source
from proofs_check.claims.testable_halfspaces import _populations as populations
from proofs_check.claims.testable_halfspaces import _wrong_certificates as wrong
from proofs_check.claims.testable_halfspaces._problems import ADVERSARIAL, TYPICAL, planted

cat = Catalogue("testable_halfspaces/certificates")

FloatArray = npt.NDArray[np.float64]


def _drawn_labels(inst: Instance, rng: np.random.Generator) -> FloatArray:
    return np.asarray(np.where(rng.random(len(inst.X)) < inst.flips, -inst.truth, inst.truth))


_TIGHT = "tight(n=600,eta=0.3,inside=0.3)"


@cat.soundness(
    "HS-10",
    levels=(0.2, 0.05),
    delta_in_algorithm=True,
    impl={"certificate": massart_certificate},
    families=[
        Family("tight", populations.tight, grid=populations.TIGHT, role="adversarial"),
        Family("slab", populations.slab, grid=({"n": 300, "eta": 0.1},), role="adversarial"),
        Family("one_sided", populations.gaussian_rows, grid=({"n": 1500, "d": 2, "eta": 0.2, "flips": "one side", "asked": 9.0},)),
        Family(
            "too_far",  # the tester must refuse: the truth is farther off than what it is asked to certify
            populations.gaussian_rows,
            grid=({"n": 400, "d": 3, "eta": 0.3, "flips": "everywhere", "tilt": 1.5, "asked": 0.3},),
            role="adversarial",
        ),
    ],
    budgets=populations.FEW,
    mutants=[
        wrong.by_massart("noise_forgotten", wrong.noise_forgotten, "the gradient is taken for its mean", f"{_TIGHT}@0.05", killer="HS-10"),
        wrong.by_massart("noise_over_n", wrong.noise_over_n, "the deviation falls like 1/n", f"{_TIGHT}@0.05", killer="HS-10"),
        wrong.by_massart(
            "gradient_forgotten", wrong.gradient_forgotten, "any w passes for a stationary point", f"{_TIGHT}@0.05", killer="HS-10"
        ),
        wrong.by_massart(
            "noise_on_both_sides",
            wrong.noise_on_both_sides,
            "1 - 2 eta is applied to rows between the hyperplanes too, where the adversary need not flip",
            "tight(n=2000,*@0.05",
            killer="HS-10",
        ),
        wrong.by_massart(
            "gaussian_constants",
            wrong.gaussian_constants,
            "the push is that of Gaussian rows",
            "slab(*@0.05",
            killer="HS-10",
        ),
    ],
    companions=("HS-10a", "HS-10b", "HS-10c", "HS-10d"),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Massart certificate"),
    title="the excluded angle does not exclude the truth",
    plain="For fixed rows and any flips of probability at most eta, the best halfspace lies within the certified angle of w or of its "
    "reverse with probability 1 - delta.",
    tex=r"P\bigl(|\tan\angle(w,w^*)|>\hat\tau\bigr)\le\delta_1",
)
def true_and_excluded_tangent(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the true tangent beside the certified one; accepted if the latter is as small as asked for."""
    made = impl.certificate(inst.X, _drawn_labels(inst, rng), inst.w, inst.sigma, inst.eta, 4.0 * inst.delta)  # a quarter goes to this step
    claimed = min(made.tau, inst.asked)
    return Outcome(inst.tangent, claimed=Interval(claimed, claimed, "the certificate"), accepted=made.tau <= inst.asked)


@cat.completeness(
    "HS-10a",
    levels=(0.2, 0.05),
    impl={"certificate": massart_certificate},
    families=[
        Family(
            "gaussian",
            populations.gaussian_rows,
            grid=({"n": 1500, "d": 2, "eta": 0.1, "flips": "everywhere", "factor": 1.5},),
        ),
        Family(
            "wedge",
            populations.gaussian_rows,
            grid=({"n": 1500, "d": 2, "eta": 0.1, "flips": "wedge", "factor": 1.5},),
            role="adversarial",
        ),
    ],
    budgets=populations.FEW,
    mutants=[
        wrong.by_massart(
            "gradient_is_the_sum",
            lambda search: replace(search, statistics=replace(search.statistics, g=np.array([float(search.statistics.pushes[-1])]))),
            "the gradient is bounded by the sum of the pushes, without their signs",
            "gaussian(*@0.05",
            killer="HS-10a",
        ),
        wrong.by_massart(
            "noise_without_root",
            lambda search: replace(search, statistics=replace(search.statistics, N2=search.statistics.N2 * search.view.n**0.5)),
            "the deviation falls like the fourth root of n",
            "gaussian(*@0.05",
            killer="HS-10a",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Constants for Gaussian rows"),
    title="an angle is excluded on Gaussian rows",
    plain="On 1500 Gaussian rows in the plane the angle certified for the true halfspace is at most one and a half times what the "
    "constants for infinitely many rows allow.",
    tex=r"\hat\tau\le\tfrac32\,c(\eta)\,\sigma",
)
def excluded_on_gaussian_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Accept if the certified tangent is within the factor of the Gaussian constant."""
    X = rng.standard_normal((inst.n, inst.d))
    flips = populations.flip_probabilities(X, inst.w, inst.flips_name, inst.eta)
    y = np.where((X @ inst.w >= 0.0) ^ (rng.random(inst.n) < flips), 1.0, -1.0)
    made = impl.certificate(X, y, inst.w, inst.sigma, inst.eta)
    return Outcome(made.tau, accepted=made.tau <= inst.factor * bounds.gaussian_excluded_angle(advantage=1.0 - 2.0 * inst.eta) * inst.sigma)


# --- its two steps, sharp -----------------------------------------------------------------------------------------------------------------


def measured_push(inst: Instance, tangent: float, *, change: wrong.Change = wrong.unchanged) -> float:
    """Return LB at a tangent, in the unit of the rows."""
    search = change(Search.of(View.of(inst.X, inst.w), inst.truth, inst.sigma))
    return search.push(tangent, 1.0 - 2.0 * inst.eta).value * search.statistics.scale


def _worst_push(inst: Instance) -> float:
    """Mean push towards the truth when every row that helps is flipped as often as allowed, and no other is: from the raw rows."""
    t, u = inst.X @ inst.w, inst.X @ inst.v
    helps = inst.truth * u > 0.0
    psi = bounds.ramp_density(margin=t, sigma=inst.sigma)
    return float(np.mean(np.where(helps, 1.0 - 2.0 * inst.eta, 1.0) * inst.truth * psi * u))


def _push_size(inst: Instance, out: Outcome | None) -> float:
    """Size of what the sums of LB are made of: the minorants' coefficients, which are large where a threshold is close to the length."""
    t, u = np.abs(inst.X @ inst.w), np.abs(inst.X @ inst.v)
    inside = t < inst.sigma / 2.0
    p0, p2 = bounds.norm_minorant(c=t[inside] / inst.tangent, norm=u[inside], advantage=1.0 - 2.0 * inst.eta)
    psi = bounds.ramp_density(margin=t[inside], sigma=inst.sigma)
    return float(psi @ (p0 + p2 * u[inside] ** 2)) / len(t)


def _by_push(name: str, change: wrong.Change, why: str, part: str) -> Mutant:
    return Mutant(name, "impl", {"push": lambda f: partial(f, change=change)}, why, part=part)


@cat.identity(
    "HS-10b",
    budget=FloatBudget(k=200, scale=_push_size, why="sums of some thousand terms, pairwise or by BLAS, of the size of the coefficients"),
    impl={"push": measured_push},
    families=[Family("tight", populations.tight, grid=populations.TIGHT, role="adversarial")],
    trials={"quick": 4},
    mutants=[
        _by_push("noise_on_both_sides", wrong.noise_on_both_sides, "rows between the hyperplanes count with 1 - 2 eta, too", _TIGHT),
        _by_push("half_of_the_band", wrong.half_of_the_band, "rows push back up to half of the threshold only", _TIGHT),
        _by_push("no_row_pushes_back", wrong.no_row_pushes_back, "rows between the hyperplanes are left out", _TIGHT),
        _by_push("gaussian_constants", wrong.gaussian_constants, "the push is that of Gaussian rows", _TIGHT),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Quartic minorant"),
    title="the least push is attained in the plane",
    plain="In the plane, with no row just beyond its threshold, the lower bound on the push equals the mean push under the worst flips.",
    tex=r"\mathrm{LB}(\tan\theta)=\frac1n\sum_i\psi_i f_{c_i}(u_i)",
)
def least_and_worst_push(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return LB at the true angle, with what it gives away for rounding, beside the mean push under the worst flips."""
    given_away = rounding(1) * _push_size(inst, None)
    return Outcome(impl.push(inst, inst.tangent) + given_away, _worst_push(inst))


def _searched_rows(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    n, d = point["n"], point["d"]
    X = x[: n * d].reshape(n, d)
    return populations.seen_from_e1(X, x[n * d : n * d + d - 1], float(np.exp(np.clip(x[-2], -3.0, 3.0))), float(np.exp(x[-1])), 0.2)


def _searched_size(point: Mapping[str, Any]) -> int:
    return int(point["n"] * point["d"] + point["d"] + 1)


def _any_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    X = np.array(planted(rng, point, n=120).X)
    return populations.seen_from_e1(X, rng.standard_normal(X.shape[1] - 1), float(np.exp(rng.uniform(-2.0, 1.5))), 1.5, float(point["eta"]))


def _random_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return _searched_rows(rng.standard_normal(_searched_size(point)), point)


@cat.inequality(
    "HS-10c",
    budget=FloatBudget(
        k=20_000,
        scale=lambda inst, out: float(
            np.mean(bounds.ramp_density(margin=inst.X @ inst.w, sigma=inst.sigma) * np.linalg.norm(inst.X, axis=1))
        ),
        why="twice what LB gives away for the rounding of its sums, at the size of the pushes",
    ),
    impl={"push": measured_push},
    families=[
        Family("typical", _any_rows, grid=tuple({"marginal": name, "d": d, "eta": 0.1} for name in TYPICAL for d in (2, 3))),
        Family(
            "adversarial",
            _any_rows,
            grid=tuple({"marginal": name, "d": d, "eta": 0.3} for name in (*ADVERSARIAL, "hidden_cluster") for d in (2, 4)),
            role="adversarial",
        ),
        Family("tight", populations.tight, grid=populations.TIGHT, role="adversarial"),
        Family(
            "searched",
            _random_rows,
            grid=({"n": 4, "d": 2}, {"n": 8, "d": 3}, {"n": 20, "d": 3}),
            role="adversarial",
            search=SearchSpace(_searched_size, _searched_rows),
        ),
    ],
    budgets={
        "quick": Budget(3, 1, search_evals=300),
        "full": Budget(64, 1, search_evals=3000),
        "nightly": Budget(1024, 1, search_evals=100_000),
    },
    tight=0.999,
    mutants=[
        _by_push("noise_on_both_sides", wrong.noise_on_both_sides, "rows between the hyperplanes count with 1 - 2 eta, too", _TIGHT),
        _by_push("half_of_the_band", wrong.half_of_the_band, "rows push back up to half of the threshold only", _TIGHT),
        _by_push("gaussian_constants", wrong.gaussian_constants, "the push is that of Gaussian rows", "adversarial(*"),
        Mutant(
            "reciprocal_tangent",
            "impl",
            {"push": lambda f: lambda inst, tangent: f(inst, 1.0 / tangent)},
            "tan and cot are confused",
            part="typical(*",
        ),
    ],
    companions=("HS-10b",),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Massart certificate"),
    title="every halfspace beyond the angle pushes as much",
    plain="The lower bound on the push at an angle is at most the mean push of the rows, under the worst flips, towards any halfspace at "
    "that angle or a larger one.",
    tex=r"\mathrm{LB}(\tau)\le\frac1n\sum_i\psi_i f_{c_i}(u_i)",
)
def least_push_on_any_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return LB at the angle of the instance and at half of its tangent beside the push under the worst flips."""
    return Outcome(np.array([impl.push(inst, inst.tangent), impl.push(inst, 0.5 * inst.tangent)]), _worst_push(inst))


def deviation_of_labels(*, second: float, largest: float, n: int, eta: float, delta: float) -> float:
    """Deviation of the gradient along one direction that is exceeded with probability at most delta."""
    return bounds.gradient_deviation(second=second, largest=largest, log_term=math.log(1.0 / delta), n=n, advantage=1.0 - 2.0 * eta)


@cat.tail(
    "HS-10d",
    bound=deviation_of_labels,
    levels=(0.3, 0.2, 0.05, 0.01),
    impl={"mean": np.mean},
    families=[
        Family(
            "few_rows",
            populations.equal_rows,
            grid=({"n": 1, "eta": 0.35}, {"n": 1, "eta": 0.03}, {"n": 20, "eta": 0.3}),
            role="adversarial",
        ),
        Family("rare_flips", populations.equal_rows, grid=({"n": 200, "eta": 0.03}, {"n": 200, "eta": 0.45})),
    ],
    mutants=[
        Mutant(
            "no_two",
            "bound",
            lambda f: lambda **k: f(**k) / 2**0.5,
            "exp(-n s^2) instead of exp(-n s^2 / 2)",
            part="few_rows(n=1,eta=0.35)@0.2",
        ),
        Mutant(
            "variance_of_the_flips_only",
            "bound",
            lambda f: lambda **k: f(**{**k, "largest": 1e-9}),
            "Bernstein's bound without its second term",
            part="few_rows(n=1,eta=0.03)@0.01",
        ),
        Mutant(
            "quarter_of_the_labels",
            "impl",
            {"mean": lambda f: lambda x: f(x[: max(len(x) // 4, 1)])},
            "only a quarter of the labels are averaged",
            part="rare_flips(n=200,eta=0.45)@0.01",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Massart certificate"),
    title="how far noise moves the gradient",
    plain="Along a fixed direction the gradient falls short of its mean by more than the deviation with probability at most delta.",
    tex=r"P\bigl(\mathbb{E}\langle g,v\rangle-\langle g,v\rangle>\mathrm{dev}\bigr)\le\delta_1",
)
def shortfall_of_the_gradient(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return by how much the mean of pushes with random labels falls short of its expectation."""
    kept = np.where(rng.random(inst.n) < inst.eta, -1.0, 1.0)
    return float((1.0 - 2.0 * inst.eta) - impl.mean(kept))
