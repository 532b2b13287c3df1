"""Claims about the tester-learner: nothing bad is accepted, and Gaussian tables are."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.calibration import Calibration
from algos.testable_halfspaces.estimators import TestableHalfspace
from algos.testable_halfspaces.instances import make_halfspace
from proofs_check import Budget, Catalogue, EquivalentProof, Family, Instance, Interval, Mutant, Outcome, Source
from proofs_check.claims.testable_halfspaces._estimated import Verdict, fit, population_of, sample
from proofs_check.model import Tier

cat = Catalogue("testable_halfspaces/estimators")

FloatArray = npt.NDArray[np.float64]
Fit = Callable[..., Verdict]

_SOURCE = Source("derived", proof="docs/theory/testable_halfspaces.md, Tester-learner")
_FEW: dict[Tier, Budget] = {"quick": Budget(120, 4, slack_trials=4), "full": Budget(720, 4, slack_trials=60), "nightly": Budget(9600, 4)}


def _with(**changes: Callable[[Verdict], Any]) -> Callable[[Fit], Fit]:
    """Make a mistake that changes what the estimator says."""

    def make(fit: Fit) -> Fit:
        def wrong(*arguments: Any, **options: Any) -> Verdict:
            found = fit(*arguments, **options)
            return replace(found, **{name: change(found) for name, change in changes.items()})

        return wrong

    return make


# --- nothing bad is accepted --------------------------------------------------------------------------------------------------------------

_DELTA = 0.2
_HIDDEN = {"rows": "hidden-cluster", "n": 600, "eta": 0.0}


@cat.soundness(
    "HS-13",
    levels=(_DELTA,),
    impl={"fit": fit},
    families=[
        Family("typical", grid=({"rows": "mixture", "n": 1000, "eta": 0.1, "eps": 0.45, "marginal": None},)),
        Family("adversarial", grid=({"rows": "panel", "n": 1000, "eta": 0.1, "eps": 0.45},), role="adversarial"),
        Family(
            "few",
            grid=({"rows": "few", "d": 30, "n": 16, "eta": 0.0, "eps": 0.3, "marginal": None, "certificate": "norm"},),
            role="adversarial",
        ),
    ],
    budgets=_FEW,
    mutants=[
        Mutant(
            "certificate_ignored",
            "impl",
            {"fit": _with(accepted=lambda v: v.failed == 0, eps_hat=lambda v: 0.3)},
            why="whatever passes the tests is accepted",
            part="few(*",
        ),
        Mutant(
            "reversed",
            "impl",
            {"fit": _with(w=lambda v: -v.w)},
            why="the sign of the normal is lost after the certificate was made",
            part="typical(*",
        ),
        Mutant(
            "mistakes_of_the_learning_rows",
            "impl",
            {"fit": _with(accepted=lambda v: v.learned_error <= 0.05, eps_hat=lambda v: 0.3)},
            why="a halfspace that makes few mistakes on the rows that it learned from is accepted",
            part="few(*",
        ),
        Mutant(
            "tests_skipped",
            "impl",
            {"fit": lambda f: lambda X, y, noise, **k: f(X, y, noise, **{**k, "marginal": None})},
            why="no test of the marginal is made",
            part="adversarial(*",
            quick=False,
            equivalent=EquivalentProof("the certificate holds for every distribution of the rows: tests decide about completeness alone"),
        ),
    ],
    companions=("HS-13a",),
    blind_to=("certificates made on the rows that learned: with so few columns they deviate no more than the slack allows",),
    source=_SOURCE,
    title="no excess above the bound is accepted",
    plain="Under random classification noise a halfspace that is accepted has an excess error of at most eps, and of at most its eps_hat, "
    "but for a share delta of the tables, on distributions that must be rejected, random mixtures and few rows alike.",
    tex=r"P\bigl(\text{accepted},\ \mathrm{err}(w)-\mathrm{opt}>\min(\hat\varepsilon,\varepsilon)\bigr)\le\delta",
)
def accepted_with_an_excess_above_its_bound(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Fit a sample of a finite population, in which the excess error can be counted."""
    population = population_of(inst, rng)
    X, y = sample(population, inst.n, inst.eta, rng)
    options = {name: inst.params[name] for name in ("marginal", "certificate") if name in inst.params}
    found = impl.fit(X, y, "massart", eta=inst.eta, eps=inst.eps, delta=_DELTA, random_state=int(rng.integers(2**31)), **options)
    excess = population.error(found.w, inst.eta) - population.error(population.w, inst.eta)
    bound = min(inst.eps, found.eps_hat) if found.accepted else inst.eps
    return Outcome(max(excess, 0.0), claimed=Interval(0.0, bound, "accepted for eps"), accepted=found.accepted)


_FACTOR, _SLACK = 20.0, 0.05


@cat.soundness(
    "HS-13a",
    levels=(_DELTA,),
    impl={"fit": fit},
    families=[
        Family("typical", grid=({"rows": "gaussian", "n": 1000, "eta": 0.1},)),
        Family("adversarial", grid=({"rows": "panel", "n": 1000, "eta": 0.1}, _HIDDEN), role="adversarial"),
    ],
    budgets=_FEW,
    mutants=[
        Mutant(
            "share_of_the_sample",
            "impl",
            {"fit": _with(error_upper=lambda v: v.certified_error)},
            why="the share of mistakes on the certifying rows is taken for the error, without a confidence limit",
            part="typical(*",
        ),
        Mutant(
            "factor_ignored",
            "impl",
            {"fit": _with(accepted=lambda v: True)},
            why="the ratio of error and optimum is reported, not judged",
            part="adversarial(rows=hidden-cluster,*",
        ),
        Mutant(
            "optimum_of_this_halfspace",
            "impl",
            {"fit": _with(opt_lower=lambda v: v.error_upper)},
            why="the error of the learned halfspace is reported as that of the best one",
            part="typical(*",
        ),
        Mutant(
            "reversed",
            "impl",
            {"fit": _with(w=lambda v: -v.w)},
            why="the sign of the normal is lost after the certificate was made",
            part="typical(*",
            quick=False,
        ),
    ],
    companions=("HS-13",),
    source=_SOURCE,
    title="no ratio above the factor is accepted",
    plain="Without any assumption on the labels, a halfspace that is accepted has an error of at most factor times the optimum plus eps; "
    "its error is below the upper and the optimum above the lower limit; but for a share delta of the tables.",
    tex=r"P\bigl(\text{accepted},\ \mathrm{err}(w)>C\,\mathrm{opt}+\varepsilon\bigr)\le\delta",
)
def accepted_above_factor_times_optimum(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Return the largest of three ratios, each at most 1 if what was accepted is right; the optimum is found by enumeration."""
    population = population_of(inst, rng)
    X, y = sample(population, inst.n, inst.eta, rng)
    found = impl.fit(X, y, "agnostic", delta=_DELTA, factor=_FACTOR, eps=_SLACK, random_state=int(rng.integers(2**31)))
    error, optimum = population.error(found.w, inst.eta), population.optimum(inst.eta)
    ratios = [error / (_FACTOR * optimum + _SLACK), error / found.error_upper, found.opt_lower / optimum if optimum > 0.0 else 0.0]
    return Outcome(max(ratios), claimed=Interval(0.0, 1.0, "ratios to what is promised"), accepted=found.accepted)


# --- Gaussian tables are accepted ---------------------------------------------------------------------------------------------------------

_LEVEL = 0.5  # so that 34 simulated tables suffice for thresholds that hold as they are, with confidence .99


def _accepts(X: FloatArray, y: FloatArray, **options: Any) -> Any:
    """Fit with simulated thresholds."""
    fixed = {"delta_complete": _LEVEL, "n_calibration": 34, "calibration_guarantee": "tolerance", "on_reject": "ignore"}
    return TestableHalfspace("massart", **{**fixed, **options}).fit(X, y)


def _each_at_the_level(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Give every test the whole level: fit, and judge again with thresholds of its own for each test."""

    def wrong(X: FloatArray, y: FloatArray, **options: Any) -> Any:
        model = fit(X, y, **options)
        known: Calibration = model.calibration_
        rank = math.ceil((1.0 - _LEVEL) * (known.m_ranked + 1))
        c = dict(zip(known.names, np.sort(known.ranked, axis=0)[rank - 1], strict=True))
        model.accepted_ = model.accepted_ and all(_score(test) <= c[test.name] for test in model.tests_)
        return model

    return wrong


def _score(test: Any) -> float:
    away = (test.statistic - test.null_mean) / test.null_sd
    return float(away if math.isinf(test.low) else -away if math.isinf(test.high) else abs(away))


def _table(inst: Instance, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    made = make_halfspace(inst.n, 2, noise=inst.noise, rate=inst.eta, random_state=rng)
    return made.X, made.y


@cat.completeness(
    "HS-14",
    levels=(_LEVEL,),
    impl={"fit": _accepts},
    families=[
        Family("random_flips", grid=({"n": 1000, "eta": 0.1, "noise": "rcn"},)),
        Family("wedge", grid=({"n": 1000, "eta": 0.1, "noise": "massart"},), role="adversarial"),
    ],
    budgets=_FEW,
    mutants=[
        Mutant(
            "vacuous_is_not_enough",
            "impl",
            {"fit": lambda f: lambda X, y, **k: _unless_vacuous(f(X, y, **k))},
            why="a bound that was asked for and reached is refused because the error itself is smaller",
            part="wedge(*",
        ),
        Mutant(
            "eps_of_ten_times_the_rows",
            "impl",
            {"fit": lambda f: lambda X, y, **k: f(X, y, **{**k, "eps": 0.03, "force": True})},
            why="the excess asked for is what more rows would allow",
            part="random_flips(*",
        ),
    ],
    companions=("HS-14a",),
    source=_SOURCE,
    title="Gaussian tables reach eps='auto'",
    plain="Gaussian rows, with random flips or flips in a wedge, are certified as well as eps='auto' asks for, but for a share "
    "delta_complete of the tables.",
    tex=r"P(\text{accepted})\ge1-\delta_c",
)
def gaussian_table_with_noise_accepted(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Fit a Gaussian table; its tests have a claim of their own."""
    X, y = _table(inst, rng)
    options = {"eps": "auto", "fit_intercept": False, "marginal": None, "random_state": int(rng.integers(2**31))}
    model = impl.fit(X, y, eta=inst.eta, **options)
    return Outcome(0.0, accepted=model.accepted_)


def _unless_vacuous(model: Any) -> Any:
    model.accepted_ = model.accepted_ and not model.certificate_.vacuous
    return model


_MIX, _SHIFT = np.array([[2.0, 0.0], [0.9, 0.3]]), np.array([5.0, -3.0])
_WIDTH, _REACHED = (1.0,), 0.9


@cat.completeness(
    "HS-14a",
    levels=(_LEVEL,),
    impl={"fit": _accepts},
    families=[
        Family("whitened", grid=({"n": 2500, "eta": 0.0, "noise": "none", "whiten": True},), role="adversarial"),
        Family("lifted", grid=({"n": 2500, "eta": 0.0, "noise": "none", "whiten": False},)),
    ],
    budgets=_FEW,
    mutants=[
        Mutant(
            "not_whitened",
            "impl",
            {"fit": lambda f: lambda X, y, **k: f(X, y, **{**k, "target_transform": None, "calibration": "theory"})},
            why="rows of another covariance are compared with those of the standard Gaussian, even generously",
            part="whitened(*",
        ),
        Mutant(
            "standardised_only",
            "impl",
            {"fit": lambda f: lambda X, y, **k: f(X, y, **{**k, "target_transform": "standardize", "calibration": "theory"})},
            why="columns are scaled, their correlations stay, which even generous thresholds notice",
            part="whitened(*",
            quick=False,
        ),
        Mutant(
            "level_for_each_test",
            "impl",
            {"fit": _each_at_the_level},
            why="every test is given the whole level: their union is forgotten",
            part="lifted(*",
        ),
    ],
    companions=("HS-14",),
    source=_SOURCE,
    title="whitened and lifted tables are accepted",
    plain="Rows of any Gaussian distribution are accepted after whitening, and standard ones with an intercept, for an eps within reach, "
    "but for a share delta_complete of the tables: all tests together, whose thresholds are simulated through the same map.",
)
def transformed_table_accepted(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Fit a table, with an intercept; whitened where its covariance is not I."""
    X, y = _table(inst, rng)
    rows, transform = (X @ _MIX + _SHIFT, "whiten") if inst.whiten else (X, None)
    options = {"eta": inst.eta, "sigmas": _WIDTH, "eps": _REACHED, "force": True, "random_state": int(rng.integers(2**31))}
    return Outcome(0.0, accepted=impl.fit(rows, y, target_transform=transform, **options).accepted_)
