"""Problems that several topics share: marginals by name, planted halfspaces, labels of an adversary."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.instances import HalfspaceInstance, make_halfspace
from proofs_check import Budget, Instance
from proofs_check.model import Tier

FloatArray = npt.NDArray[np.float64]

MARGINALS: dict[str, dict[str, Any]] = {
    "gaussian": {"marginal": "gaussian"},
    "laplace": {"marginal": "laplace"},
    "uniform": {"marginal": "uniform"},
    "t5": {"marginal": "t", "df": 5.0},
    "t3": {"marginal": "t", "df": 3.0},
    "t1.5": {"marginal": "t", "df": 1.5},
    "elliptical": {"marginal": "elliptical-t", "df": 10.0},
    "cube": {"marginal": "cube"},
    "mixture": {"marginal": "mixture"},
    "gauss_hermite": {"marginal": "gauss-hermite"},
    "hidden_cluster": {"marginal": "hidden-cluster"},
}
"""Options of `make_halfspace` for every marginal of the panel."""

TYPICAL = ("gaussian", "laplace", "uniform")
ADVERSARIAL = ("t1.5", "t3", "cube", "mixture", "gauss_hermite")


def planted(rng: np.random.Generator, point: Mapping[str, Any], n: int = 200, d: int = 3) -> HalfspaceInstance:
    """Draw rows of a named marginal with a planted halfspace; the point may give n, d, noise, rate, adversary and angle."""
    options = {key: point[key] for key in ("noise", "rate", "adversary", "angle") if key in point}
    if point["marginal"] == "hidden_cluster":
        options = {}
    chosen = MARGINALS[point["marginal"]]
    return make_halfspace(point.get("n", n), point.get("d", d), random_state=rng, **{**chosen, **options})


def labelled_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Build the instance of a planted problem: rows, labels and the planted normal, with the point as parameters."""
    made = planted(rng, point)
    return Instance(dict(point), {"X": made.X, "y": made.y, "w_star": made.w})


def random_direction(rng: np.random.Generator, d: int) -> FloatArray:
    """Draw a unit vector."""
    w = rng.standard_normal(d)
    return np.asarray(w / np.linalg.norm(w))


def grid(name: str, values: tuple[Any, ...], **fixed: Any) -> tuple[dict[str, Any], ...]:
    """List grid points that differ in one parameter."""
    return tuple({name: value, **fixed} for value in values)


def searched(trials: int, evaluations: int) -> dict[Tier, Budget]:
    """Budgets of deterministic claims whose trials cost milliseconds: fewer of them, and a shorter search."""
    return {
        "quick": Budget(trials, 1, search_evals=evaluations),
        "full": Budget(32, 1, search_evals=5 * evaluations),
        "nightly": Budget(512, 1, search_evals=100 * evaluations),
    }
