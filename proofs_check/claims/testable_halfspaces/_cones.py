"""Rows whose disagreement within a cone is known or large, and bounds on it with a mistake."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces.disagreement import DisagreementBound
from algos.testable_halfspaces.instances import make_halfspace
from proofs_check import Instance
from proofs_check.claims.testable_halfspaces._problems import MARGINALS, random_direction

__all__ = ["ANGLES", "antipodal", "balanced", "decoded_rows", "few_rows", "gaussian_count", "marginal", "unsigned", "with_count"]

FloatArray = npt.NDArray[np.float64]

ANGLES = (0.03, 0.3, 1.2)


def marginal(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    d = point["d"]
    n = {1: 40, 2: 150, 3: 24}.get(d, 300)
    X = make_halfspace(n, d, noise="none", random_state=rng, **MARGINALS[point["marginal"]]).X
    w = np.eye(d)[0] if point["marginal"] in ("cube", "gauss_hermite") else random_direction(rng, d)
    return Instance({"theta": point["theta"]}, {"X": X, "w": w})


def antipodal(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Rows next to the edge of the cone and their opposites: all of them change sides at once, and others never do."""
    theta, n = point["theta"], 22
    edge = theta * (1.0 - 1e-10)
    X = np.tile([math.sin(edge), -math.cos(edge)], (15, 1)) * np.exp(rng.uniform(-3.0, 3.0, 15))[:, None]
    X *= rng.choice([-1.0, 1.0], 15)[:, None]
    return Instance({"theta": theta}, {"X": np.vstack([X, np.tile([1.0, 0.0], (n - 15, 1))]), "w": np.array([1.0, 0.0])})


def balanced(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Half of the rows change sides on either tilt; the quadratic takes the values 1 and 0 at them and is exact."""
    theta = point["theta"] * (1.0 - 1e-10)
    X = np.tile([math.sin(theta), math.cos(theta)], (20, 1)) * np.tile([1.0, -1.0], 10)[:, None]
    X[:, 1] *= np.repeat([1.0, -1.0], 10)
    return Instance({"theta": point["theta"]}, {"X": rng.permutation(X), "w": np.array([1.0, 0.0])})


def decoded_rows(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    X = x[:-1].reshape(point["n"], 2)
    return Instance({"theta": 0.01 + 1.5 / (1.0 + math.exp(-float(np.clip(x[-1], -30.0, 30.0))))}, {"X": X, "w": np.array([1.0, 0.0])})


def few_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return decoded_rows(rng.standard_normal(2 * point["n"] + 1), point)


Cone = Callable[..., DisagreementBound]


def unsigned(cone: Cone) -> Cone:
    def wrong(X: FloatArray, w: FloatArray, theta: float) -> DisagreementBound:
        w = w / np.linalg.norm(w)
        t = X @ w
        return cone(np.outer(t, w) + np.where(t < 0.0, -1.0, 1.0)[:, None] * (X - np.outer(t, w)), w, theta)

    return wrong


def with_count(change: Callable[[DisagreementBound], int]) -> Callable[[Cone], Cone]:
    def mutate(cone: Cone) -> Cone:
        def wrong(X: FloatArray, w: FloatArray, theta: float) -> DisagreementBound:
            found = cone(X, w, theta)
            return replace(found, count=change(found))

        return wrong

    return mutate


def gaussian_count(found: DisagreementBound) -> int:
    return min(math.floor(found.n * bounds.gaussian_disagreement_slope() * math.tan(min(found.theta, 1.5))), found.n)
