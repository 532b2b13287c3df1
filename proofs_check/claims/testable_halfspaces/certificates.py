"""Claims about the excess error certified under bounded label noise, and how fast it falls."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.binomial import clopper_pearson
from algos.testable_halfspaces import bounds, disagreement_bound, massart_certificate, ramp_path
from algos.testable_halfspaces._search import Search
from proofs_check import Budget, Catalogue, Family, Instance, Interval, Mutant, Outcome, Source
from proofs_check.claims.testable_halfspaces import _populations as populations
from proofs_check.claims.testable_halfspaces import _wrong_certificates as wrong

cat = Catalogue("testable_halfspaces/certificates")

FloatArray = npt.NDArray[np.float64]


@cat.soundness(
    "HS-11",
    levels=(0.2, 0.05),
    delta_in_algorithm=True,
    impl={"certificate": massart_certificate},
    families=[
        Family("typical", populations.population, grid=({"name": "gaussian", "n": 1000, "eta": 0.1, "asked": 0.5},)),
        Family(
            "adversarial",
            populations.population,
            grid=(
                {"name": "gauss_hermite", "n": 1000, "eta": 0.1, "asked": 0.5},
                {"name": "cube", "n": 300, "eta": 0.1, "asked": 0.5},
                {"name": "reversed", "n": 600, "eta": 0.1, "asked": 0.5},
                {"name": "too_far", "n": 300, "eta": 0.1, "asked": 0.1},
            ),
            role="adversarial",
        ),
    ],
    budgets=populations.FEW,
    mutants=[
        wrong.by_massart(
            "reverse_forgotten",
            wrong.unchanged,
            "nobody asks whether the best halfspace is the reverse",
            "adversarial(name=reversed,*@0.05",
            killer="HS-11",
            reverse=False,
        ),
        wrong.by_massart(
            "cone_forgotten",
            wrong.cone_forgotten,
            "halfspaces within the angle are taken to agree with w",
            "typical(name=gaussian,*@0.05",
            killer="HS-11",
        ),
    ],
    companions=("HS-11a", "HS-11b", "HS-11c"),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Massart certificate"),
    title="the excess error is at most what is certified",
    plain="Whatever the distribution of the rows, a certificate from rows that were not used to choose the halfspace bounds how much more "
    "often it errs than the best one, with probability 1 - delta.",
    tex=r"P\bigl(\mathrm{err}(w)-\mathrm{err}(w^*)>\hat\varepsilon\bigr)\le\delta",
)
def true_and_certified_excess(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the exact excess beside the certified one; accepted if the latter is as small as asked for."""
    made = impl.certificate(*populations.draw(inst, rng), inst.candidates[0], inst.sigma, inst.eta, inst.delta)
    claimed, accepted = min(made.eps_hat, inst.asked), not made.vacuous and made.eps_hat <= inst.asked
    return Outcome(float(inst.excess[0]), claimed=Interval(claimed, claimed, "the certificate"), accepted=accepted)


@cat.completeness(
    "HS-11a",
    levels=(0.2, 0.05),
    impl={"certificate": massart_certificate},
    families=[
        Family("gaussian", populations.population, grid=({"name": "gaussian", "n": 2000, "eta": 0.1, "tilt": 0.0},)),
        Family(
            "tilted",
            populations.population,
            grid=({"name": "gaussian", "n": 2000, "eta": 0.1, "tilt": 0.01},),
            role="adversarial",
        ),
    ],
    budgets=populations.FEW,
    mutants=[
        wrong.by_massart(
            "noise_without_root",
            lambda search: replace(search, statistics=replace(search.statistics, N2=search.statistics.N2 * search.view.n**0.5)),
            "the deviation falls like the fourth root of n",
            "gaussian(*@0.05",
            killer="HS-11a",
        ),
        Mutant(
            "delta_for_every_row",
            "impl",
            {"certificate": lambda f: lambda X, *rest: f(X, *rest, 0.05, n_candidates=10 ** min(len(X), 250))},
            "delta is divided among exponentially many halfspaces",
            part="gaussian(*@0.05",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Constants for Gaussian rows"),
    title="an excess error is certified on Gaussian rows",
    plain="On 2000 Gaussian rows in the plane the certified excess of a halfspace near the best one is at most the "
    "product of the Gaussian constants for the angle and for the disagreement.",
    tex=r"\hat\varepsilon\le 0.97\,c(\eta)\,\sigma",
)
def certified_excess_on_gaussian_rows(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Accept if the certified excess is at most the product of the constants."""
    made = impl.certificate(*populations.draw(inst, rng), inst.candidates[0], inst.sigma, inst.eta)
    angle = bounds.gaussian_excluded_angle(advantage=1.0 - 2.0 * inst.eta) * inst.sigma
    accepted = not made.vacuous and made.eps_hat <= bounds.gaussian_disagreement_slope() * angle
    return Outcome(made.eps_hat, accepted=accepted)


def _disagreement_limit(count: int, n: int, delta: float) -> float:
    return clopper_pearson(count, n, 1.0 - delta, "upper")


@cat.tail(
    "HS-11b",
    bound=lambda *, mass: mass,
    sense=">=",
    levels=(0.2, 0.05),
    delta_in_algorithm=True,
    params=("mass",),
    impl={"count": lambda X, w, theta: disagreement_bound(X, w, theta).count, "limit": _disagreement_limit},
    families=[
        # a little more than the limit for no row at all: it is exceeded by just less than delta
        Family(
            "attained", grid=tuple({"n": 60, "mass": 1.001 * (1.0 - delta ** (1 / 60))} for delta in (0.4, 0.2, 0.05)), role="adversarial"
        ),
        Family("typical", grid=({"n": 200, "mass": 0.1},)),
    ],
    block=32,
    trials={"quick": 768, "full": 16_384},
    mutants=[
        Mutant(
            "share_of_the_rows",
            "impl",
            {"limit": lambda f: lambda count, n, delta: count / n},
            "the share of the rows is taken for that of the population",
            part="typical(*@0.05",
        ),
        Mutant(
            "two_sided",
            "impl",
            {"limit": lambda f: lambda count, n, delta: f(count, n, 2.0 * delta)},
            "a limit of level 2 delta",
            part="attained(n=60,mass=0.015*@0.2",
        ),
        Mutant(
            "both_folds",
            "impl",
            {"limit": lambda f: lambda count, n, delta: f(count, 2 * n, delta)},
            "rows of the learning fold are counted, too",
            part="typical(*@0.05",
        ),
        Mutant(
            "half_of_the_angle",
            "impl",
            {"count": lambda f: lambda X, w, theta: f(X, w, theta / 2.0)},
            "the angle between the halfspaces is halved",
            part="typical(*@0.05",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Massart certificate"),
    title="rows that change sides, in the sample and in the population",
    plain="The upper limit for the share of rows within the cone falls short of the probability of disagreement with probability at most "
    "delta, and comes close to that.",
    tex=r"P\Bigl(\mathrm{CP}_\delta\bigl(nD_n\bigr)<P(h_w\ne h_{w^*})\Bigr)\le\delta",
)
def limit_of_the_disagreement(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return the upper limit from rows of which a known share lies in the wedge between two halfspaces at angle 0.1."""
    inside = rng.random(inst.n) < inst.mass
    X = np.where(inside[:, None], [0.08, -1.0], [1.0, 1.0]) * rng.choice([-1.0, 1.0], (inst.n, 1))
    return float(impl.limit(impl.count(X, np.array([1.0, 0.0]), 0.1), inst.n, inst.delta))


# --- the halfspace must not have seen the rows --------------------------------------------------------------------------------------------


def _two_folds(draw: Callable[[], Any]) -> tuple[Any, Any]:
    return draw(), draw()


def _same_fold(folds: Callable[..., Any]) -> Callable[..., Any]:
    def wrong_folds(draw: Callable[[], Any]) -> tuple[Any, Any]:
        drawn = draw()
        return drawn, drawn

    return wrong_folds


def threshold_of_an_event() -> float:
    """Return a number between 0, it did not happen, and 1, it happened."""
    return 0.5


@cat.tail(
    "HS-11c",
    bound=threshold_of_an_event,
    levels=(0.5,),
    delta_in_algorithm=True,
    impl={"certificate": massart_certificate, "folds": _two_folds},
    families=[Family("many_bands", populations.population, grid=({"name": "many_bands", "n": 6000, "eta": 0.3},), role="adversarial")],
    budgets=populations.FEW,
    mutants=[
        Mutant(
            "same_fold",
            "impl",
            {"folds": _same_fold},
            "the halfspace is chosen on the rows by which it is certified",
            killers=("HS-11c",),
        ),
    ],
    companions=("HS-11",),
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Massart certificate"),
    title="other rows choose the halfspace",
    plain="A learner that picks, of 150 bad halfspaces, the one for which the rows of one fold promise the best certificate gains nothing: "
    "on the rows of another fold a certificate claims too little with probability at most delta.",
    tex=r"P\bigl(\mathrm{err}(w)-\mathrm{err}(w^*)>\hat\varepsilon\bigr)\le\delta",
)
def overclaimed_by_a_learner_for_the_proof(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    """Return 1 if a certificate is made and claims less than the exact excess of the chosen halfspace."""
    learn, certify = impl.folds(lambda: populations.draw(inst, rng))
    chosen = populations.most_stationary(learn[0], learn[1], inst.candidates, inst.sigma, inst.eta)
    made = impl.certificate(*certify, inst.candidates[chosen], inst.sigma, inst.eta, inst.delta)
    return float(not made.vacuous and made.eps_hat < inst.excess[chosen])


# --- the rate -----------------------------------------------------------------------------------------------------------------------------

_SIZES = (1000, 2000, 4000, 8000, 16_000, 32_000)


def shrinking_width(n: int) -> float:
    """Width of a band that holds the same number of Gaussian rows at every size."""
    return 1000.0 / n


def certified_rate() -> float:
    """Exponent of the certified excess."""
    return 1.0


def _sized(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance(dict(point))


def _noise_of_one_row(search: Search) -> Search:
    return replace(search, statistics=replace(search.statistics, N2=search.statistics.N2 * search.view.n))


def _by_hoeffding(original: wrong.Maker) -> wrong.Maker:
    def made(*given: Any) -> Any:
        certificate = original(*given)
        limit = certificate.disagreement / certificate.n + bounds.side_deviation(
            log_term=math.log(2.0 / certificate.delta), n=certificate.n
        )
        return replace(certificate, eps_hat=limit)

    return made


@cat.rate(
    "HS-20",
    bound=certified_rate,
    impl={"certificate": massart_certificate, "width": shrinking_width},
    families=[
        Family("learned", _sized, grid=({"eta": 0.1},)),
        Family("tilted", _sized, grid=({"eta": 0.1, "tilt": 10.0},), role="adversarial"),
    ],
    budgets={
        "quick": Budget(32, 1, sizes=_SIZES),
        "full": Budget(48, 1, sizes=_SIZES),
        "nightly": Budget(128, 1, sizes=_SIZES),
    },
    mutants=[
        Mutant(
            "deviation_of_one_row",
            "impl",
            {"certificate": wrong.massart(_noise_of_one_row)},
            "the deviation is not divided by the root of n",
            part="tilted(*",
        ),
        Mutant(
            "hoeffding",
            "impl",
            {"certificate": _by_hoeffding},
            "the rows that change sides are few: a limit of order one over the root of n wastes that",
            part="tilted(*",
            quick=False,
        ),
        Mutant(
            "wide_bands",
            "impl",
            {"width": lambda f: lambda n: (1000.0 / n) ** 0.5},
            "the band shrinks like the square root of its share of rows",
            part="tilted(*",
            quick=False,
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Massart certificate"),
    title="the certified excess falls like 1/n",
    plain="For Gaussian rows in the plane and bands that hold a fixed number of rows, the certified excess falls like 1/n, for a halfspace "
    "learned on as many other rows as for one at an angle of 10/n.",
    tex=r"\hat\varepsilon=O(1/n)",
)
def certified_excess_by_size(inst: Instance, rng: np.random.Generator, impl: Any) -> FloatArray:
    """Return the certified excess for every size."""
    found = []
    for n in _SIZES:
        sigma = impl.width(n)
        X, y = populations.noisy_gaussian(n, inst.eta, rng)
        w = np.array([1.0, inst.tilt / n]) if "tilt" in inst.params else _learned(n, inst.eta, sigma, rng)
        found.append(impl.certificate(X, y, w, sigma, inst.eta).eps_hat)
    return np.array(found)


def _learned(n: int, eta: float, sigma: float, rng: np.random.Generator) -> FloatArray:
    X, y = populations.noisy_gaussian(n, eta, rng)
    widths = [*(width for width in (0.7, 0.2, 0.06) if width > sigma), sigma]
    return np.asarray(ramp_path(X, y, sigmas=widths, starts=("chow",), n_restarts=0).best.w)
