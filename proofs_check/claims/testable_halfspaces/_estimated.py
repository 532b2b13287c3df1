"""Fits on samples of finite populations, whose errors are counted and not estimated."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from algos.testable_halfspaces.estimators import TestableHalfspace
from algos.testable_halfspaces.exact_oracles import exact_halfspace_error
from algos.testable_halfspaces.instances import make_halfspace, must_reject_panel
from proofs_check import Instance
from proofs_check.claims.testable_halfspaces._problems import random_direction

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What an estimator said: whether it accepts, its normal, what it claims, shares of mistakes by fold, and how many tests failed."""

    accepted: bool
    w: FloatArray
    eps_hat: float
    opt_lower: float
    error_upper: float
    learned_error: float
    certified_error: float
    failed: int


def fit(X: FloatArray, y: FloatArray, noise: str, **options: Any) -> Verdict:
    """Fit a homogeneous halfspace; thresholds are fixed slacks, or there are no tests at all."""
    fixed = {"fit_intercept": False, "calibration": "theory", "force": True, "on_reject": "ignore", "n_restarts": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # on few rows the descent may stop early: whatever it found is judged
        model = TestableHalfspace(noise, **{**fixed, **options}).fit(X, y)
    wrong, certifies = (model.decision_function(X) >= 0.0) != (y > 0.0), model.fold_ids_ == 1
    return Verdict(
        accepted=model.accepted_,
        w=model.coef_[0],
        eps_hat=model.eps_hat_,
        opt_lower=model.opt_lower_,
        error_upper=model.error_upper_,
        learned_error=float(np.mean(wrong[~certifies])),
        certified_error=float(np.mean(wrong[certifies])),
        failed=sum(not test.passed for test in model.tests_),
    )


# --- populations whose error is known exactly --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Population:
    """A finite population: rows that are drawn with replacement, their labels before noise, the planted normal, and the least error."""

    X: FloatArray
    labels: FloatArray
    w: FloatArray
    least: float

    def error(self, w: FloatArray, eta: float) -> float:
        """Error of a halfspace when labels are flipped with one probability."""
        return eta + (1.0 - 2.0 * eta) * float(np.mean((self.X @ w >= 0.0) != (self.labels > 0.0)))

    def optimum(self, eta: float) -> float:
        return eta + (1.0 - 2.0 * eta) * self.least


_SIZE = 20_000
_SAFE = ("t(10)", "t(5)", "t(3)", "t(1.5)", "elliptical-t(10)", "laplace", "uniform", "cube", "mixture", "ngca", "gauss-hermite")


@lru_cache(maxsize=1)
def _panel() -> Mapping[str, Population]:
    """Return the instances that must be rejected, and the Gaussian, as populations in the plane."""
    made = {**must_reject_panel(_SIZE, 2, random_state=0), "gaussian": make_halfspace(_SIZE, 2, random_state=0)}
    return {name: Population(i.X, i.y, i.w, exact_halfspace_error(i.X, i.y).n_mistakes / _SIZE) for name, i in made.items()}


def _random_mixture(rng: np.random.Generator) -> Population:
    """Draw a mixture of one to four Gaussians, of unit second moments on average, and a halfspace."""
    parts = int(rng.integers(1, 5))
    centres, shapes = rng.standard_normal((parts, 2)), rng.standard_normal((parts, 2, 2)) * 0.7
    which = rng.integers(parts, size=_SIZE // 4)
    X = centres[which] * rng.random() + np.einsum("ijk,ik->ij", shapes[which], rng.standard_normal((_SIZE // 4, 2)))
    X /= math.sqrt(float(np.mean(X**2)))
    w = random_direction(rng, 2)
    return Population(X, np.where(X @ w >= 0.0, 1.0, -1.0), w, 0.0)


def _gaussian_rows(rng: np.random.Generator, d: int) -> Population:
    X, w = rng.standard_normal((_SIZE // 4, d)), random_direction(rng, d)
    return Population(X, np.where(X @ w >= 0.0, 1.0, -1.0), w, 0.0)


def population_of(inst: Instance, rng: np.random.Generator) -> Population:
    if inst.rows == "panel":
        return _panel()[_SAFE[int(rng.integers(len(_SAFE)))]]
    if inst.rows == "mixture":
        return _random_mixture(rng)
    if inst.rows == "few":
        return _gaussian_rows(rng, inst.d)
    return _panel()[inst.rows]


def sample(population: Population, n: int, eta: float, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    chosen = rng.integers(len(population.X), size=n)
    return population.X[chosen], np.where(rng.random(n) < eta, -1.0, 1.0) * population.labels[chosen]
