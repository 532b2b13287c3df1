"""Rows and populations on which certificates under bounded label noise are tried; excess errors are known exactly."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces.instances import GAUSS_HERMITE_NODES, GAUSS_HERMITE_WEIGHTS
from proofs_check import Budget, Instance
from proofs_check.model import Tier

FloatArray = npt.NDArray[np.float64]

FEW: dict[Tier, Budget] = {
    "quick": Budget(192, 8, slack_trials=16),
    "full": Budget(2048, 16, slack_trials=256),
    "nightly": Budget(100_000, 32, slack_trials=2048),
}
"""Budgets of claims whose trials cost milliseconds."""

# --- fixed rows -------------------------------------------------------------------------------------------------------------------------

_SIGMA, _THETA = 0.5, 0.25

TIGHT = ({"n": 600, "eta": 0.3, "inside": 0.3}, {"n": 2000, "eta": 0.4, "inside": 0.45})


def tight(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Make rows in the plane that attain the least push: none lies just beyond its threshold, and only rows that help are flipped."""
    n = point["n"]
    t = rng.uniform(0.0, 0.5 * _SIGMA, n) * rng.choice([-1.0, 1.0], n)
    c = np.abs(t) / math.tan(_THETA)
    inside = rng.random(n) < point["inside"]
    u = np.where(inside, -c * rng.random(n), rng.choice([-1.0, 1.0], n) * (1.03 * c + rng.random(n)))
    X = np.column_stack([t, np.where(t >= 0.0, u, -u)])
    truth = np.where(X @ [math.cos(_THETA), math.sin(_THETA)] >= 0.0, 1.0, -1.0)
    data = {"X": X, "truth": truth, "flips": np.where(inside, 0.0, point["eta"]), "w": np.array([1.0, 0.0]), "v": np.array([0.0, 1.0])}
    return Instance({**point, "tangent": math.tan(_THETA), "sigma": _SIGMA, "asked": 10.0}, data)


def slab(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Make rows of a thin slab, towards which the best halfspace is tilted: next to no push, where Gaussian rows would have much."""
    n, thin, tangent = point["n"], 0.02, 20.0
    X = np.column_stack([rng.uniform(-0.2, 0.2, n), rng.choice([-1.0, 1.0], n), rng.choice([-thin, thin], n)])
    truth = np.where(X @ [1.0, 0.0, tangent] >= 0.0, 1.0, -1.0)
    data = {"X": X, "truth": truth, "flips": np.full(n, point["eta"]), "w": np.eye(3)[0], "v": np.eye(3)[2]}
    return Instance({**point, "tangent": tangent, "sigma": _SIGMA, "asked": 10.0}, data)


def flip_probabilities(X: FloatArray, w: FloatArray, name: str, eta: float) -> FloatArray:
    """Flips of a Massart adversary: everywhere, on one side of a second direction, or in a wedge beside the hyperplane."""
    other = np.roll(np.eye(X.shape[1])[0], 1)
    where = {
        "everywhere": np.ones(len(X), dtype=bool),
        "one side": X @ other > 0.0,
        "wedge": (X @ w > 0.0) != (X @ (w + other) > 0.0),
    }[name]
    return np.where(where, eta, 0.0)


def gaussian_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Draw Gaussian rows; the best halfspace is tilted against e1, from which they are seen."""
    n, d, eta = point["n"], point["d"], point["eta"]
    X, tangent = rng.standard_normal((n, d)), point.get("tilt", 0.05)
    normal = np.eye(d)[0] + tangent * np.eye(d)[1]
    data = {
        "X": X,
        "truth": np.where(X @ normal >= 0.0, 1.0, -1.0),
        "flips": flip_probabilities(X, normal, point["flips"], eta),
        "w": np.eye(d)[0],
    }
    params = {key: value for key, value in point.items() if key != "flips"}
    return Instance({**params, "flips_name": point["flips"], "tangent": tangent, "sigma": 0.4}, data)


def seen_from_e1(X: FloatArray, direction: FloatArray, tangent: float, sigma: float, eta: float) -> Instance:
    """See any rows from e1, with labels of the halfspace at an angle in a given direction; the band is in units of the median margin."""
    length = float(np.linalg.norm(direction))
    median = float(np.median(np.abs(X[:, 0])))
    if length < 1e-6 or not 1e-6 < median < 1e6 or not tangent < 1e3:
        raise ValueError("no direction, or margins of no size")
    w, v = np.eye(X.shape[1])[0], np.r_[0.0, direction / length]
    truth = np.where(X @ (w + tangent * v) >= 0.0, 1.0, -1.0)
    return Instance({"tangent": tangent, "sigma": sigma * median, "eta": eta}, {"X": X, "truth": truth, "w": w, "v": v})


def equal_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Take rows of unit push: the second moment is 1, and a label moves the sum by 2."""
    return Instance({**point, "second": 1.0, "largest": 2.0})


_BAND_SIGMA, _BAND, _FLIPPED, _WEDGE = 0.04, 20, 5, 60


def attained_rows(rng: np.random.Generator, weights: str, unit: float) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Make rows in the plane on which every step of the agnostic proof is an equality: the optimum is certified in full.

    Rows of the band have labels by which a rival at 45 degrees pushes as hard as it can, but for the flipped ones, which push hardest. All
    others lie outside the band and the cone. The halfspace itself errs on a whole wedge of them.
    """
    largest = 0.45 if weights == "sloped" else 1.0 / 6.0
    t = _BAND_SIGMA * largest * rng.uniform(0.05, 1.0, _BAND) * rng.choice([-1.0, 1.0], _BAND)
    z = rng.choice([-1.0, 1.0], _BAND)
    flipped = np.argsort(np.abs(t))[:_FLIPPED]
    if weights == "short":  # most rows of the band are far too short to push: their moments are those of no Gaussian
        z[6:] *= 1e-6
        flipped = np.arange(2)
    side = rng.choice([-1.0, 1.0], 2 * _WEDGE)
    X = np.column_stack([np.r_[t, side], np.r_[z, side * np.repeat([-3.0, 3.0], _WEDGE)]])
    y = np.where(X[:, 0] + X[:, 1] >= 0.0, 1.0, -1.0)
    y[flipped] *= -1.0
    X[:, 0] *= unit
    angle = rng.uniform(0.0, 2.0 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return X @ turn, y, turn[0], _BAND_SIGMA * unit


# --- populations --------------------------------------------------------------------------------------------------------------------------

_BANDS = 150


def population(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Return a population with the exact excess error of some candidates: Gaussian rows in the plane, or points with probabilities."""
    name, eta = point["name"], point["eta"]
    if name in ("gaussian", "reversed", "too_far"):
        tilt = {"gaussian": point.get("tilt", 0.05), "reversed": 0.02, "too_far": 1.5}[name]
        candidates = np.array([[math.cos(tilt), math.sin(tilt)]]) * (-1.0 if name == "reversed" else 1.0)
        angle = math.pi - tilt if name == "reversed" else tilt
        return Instance(
            {**point, "sigma": 0.4},
            {"truth": np.array([1.0, 0.0]), "candidates": candidates, "excess": np.array([(1.0 - 2.0 * eta) * angle / math.pi])},
        )
    support, weights, truth, candidates, sigma = {"gauss_hermite": _gauss_hermite, "cube": _cube, "many_bands": _many_bands}[name]()
    differ = (support @ candidates.T >= 0.0) != (support @ truth >= 0.0)[:, None]
    excess = (1.0 - 2.0 * eta) * weights @ differ
    data = {"support": support, "weights": weights, "truth": truth, "candidates": candidates, "excess": excess}
    return Instance({**point, "sigma": sigma}, data)


Population = tuple[FloatArray, FloatArray, FloatArray, FloatArray, float]


def _gauss_hermite() -> Population:
    nodes = np.array([sign * node for node in GAUSS_HERMITE_NODES for sign in (-1.0, 1.0)])
    weights = np.repeat(GAUSS_HERMITE_WEIGHTS, 2)
    weights = weights / weights.sum()
    support = np.array([(a, b) for a in nodes for b in nodes])
    truth, w = np.array([1.0, 0.35]), np.array([1.0, 0.25])
    return support, np.outer(weights, weights).ravel(), truth, (w / np.linalg.norm(w))[None, :], 2.0


def _cube() -> Population:
    support = np.array([(a, b, c) for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)])
    truth, w = np.array([1.0, 0.6, 0.5]), np.array([1.0, 0.6, 0.3])
    return support, np.full(8, 0.125), truth, (w / np.linalg.norm(w))[None, :], 1.5


def _many_bands() -> Population:
    """As many candidates as bands: each has rows next to its own hyperplane only, and is far from the best halfspace."""
    angles = np.linspace(0.4, 1.4, _BANDS)
    normals = np.column_stack([np.cos(angles), np.sin(angles)])
    along = np.column_stack([-np.sin(angles), np.cos(angles)])
    signs = [(side, height) for side in (-1.0, 1.0) for height in (-0.0005, 0.0005)]
    support = np.concatenate([side * along + height * normals for side, height in signs])
    return support, np.full(len(support), 1.0 / len(support)), np.array([1.0, 0.0]), normals, 0.005


def draw(inst: Instance, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw rows and labels of a population, flipped with probability eta everywhere."""
    if "support" in inst.data:
        X = inst.support[rng.choice(len(inst.support), inst.n, p=inst.weights)]
    else:
        X = rng.standard_normal((inst.n, inst.truth.size))
    return X, np.where((X @ inst.truth >= 0.0) ^ (rng.random(inst.n) < inst.eta), 1.0, -1.0)


def noisy_gaussian(n: int, eta: float, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw Gaussian rows in the plane with labels of e1, flipped with probability eta."""
    X = rng.standard_normal((n, 2))
    return X, np.where((X[:, 0] >= 0.0) ^ (rng.random(n) < eta), 1.0, -1.0)


def most_stationary(X: FloatArray, y: FloatArray, candidates: FloatArray, sigma: float, eta: float) -> int:
    """Return the candidate at which the gradient of the ramp loss falls short most of what a distant truth would make it.

    It is a learner that cares for the proof, not for the error: harmless on rows of its own.
    """
    if len(candidates) == 1:
        return 0
    t = X @ candidates.T
    row, place = np.nonzero(np.abs(t) < bounds.HALF_WIDTH * sigma)
    pushed = bounds.ramp_density(margin=t[row, place], sigma=sigma)
    across = X[row] - t[row, place][:, None] * candidates[place]
    gradient = np.array([np.bincount(place, pushed * y[row] * column, len(candidates)) for column in across.T])
    expected = (1.0 - 2.0 * eta) * np.bincount(place, pushed * np.linalg.norm(across, axis=1), len(candidates))
    return int(np.argmin(np.linalg.norm(gradient, axis=0) - expected))
