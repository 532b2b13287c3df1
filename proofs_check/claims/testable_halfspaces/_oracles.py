"""Answers of other origin: maxima over circles and spheres, and rows that some halfspace in a cone really classifies differently."""

import itertools
import math

import numpy as np
import numpy.typing as npt

from proofs_check import Budget
from proofs_check.model import Tier

__all__ = ["circle_maximum", "few_evaluations", "largest_by_ascent", "most_disagreement"]

FloatArray = npt.NDArray[np.float64]

_FALLBACK = np.linspace(0.0, 2.0 * math.pi, 16, endpoint=False)


def few_evaluations(trials: tuple[int, int, int], evaluations: tuple[int, int, int]) -> dict[Tier, Budget]:
    """Budgets of a searched claim whose evaluations cost about a millisecond."""
    tiers: tuple[Tier, ...] = ("quick", "full", "nightly")
    return {tier: Budget(n, 1, search_evals=m) for tier, n, m in zip(tiers, trials, evaluations, strict=True)}


def circle_maximum(constant: float, first: tuple[float, float], second: tuple[float, float]) -> float:
    """Maximise ``constant + a1 cos s + b1 sin s + a2 cos 2s + b2 sin 2s``: the derivative is a polynomial of degree 4 in exp(is)."""
    one, two = complex(first[1], first[0]) / 2.0, complex(second[1], second[0])
    coefficients = np.array([two, one, 0.0, one.conjugate(), two.conjugate()])
    largest = float(np.max(np.abs(coefficients)))
    if largest < 1e-290:  # next to nothing depends on s
        return constant + 2.0 * math.hypot(*first) + math.hypot(*second)
    s = np.concatenate([np.angle(np.roots(coefficients / largest)), _FALLBACK])
    values = first[0] * np.cos(s) + first[1] * np.sin(s) + second[0] * np.cos(2.0 * s) + second[1] * np.sin(2.0 * s)
    return constant + float(np.max(values))


def largest_by_ascent(C: FloatArray, b: FloatArray, rng: np.random.Generator, starts: int = 40, steps: int = 60) -> float:
    """Climb to large values of ``v C v + 2 b v`` on the unit sphere: shifted power iterations, whose value never falls."""
    values, vectors = np.linalg.eigh(C)
    V = np.vstack([rng.standard_normal((starts, len(b))), vectors.T, -vectors.T, b[None, :] + 1e-100])
    V /= np.linalg.norm(V, axis=1)[:, None]
    shift = max(-float(values[0]), 0.0) + 0.1 * float(np.max(np.abs(values)))
    for _ in range(steps):
        V = V @ C + shift * V + b
        V /= np.maximum(np.linalg.norm(V, axis=1), 1e-300)[:, None]
    return float(np.max(np.sum((V @ C) * V, axis=1) + 2.0 * V @ b))


def most_disagreement(X: FloatArray, w: FloatArray, theta: float, rng: np.random.Generator) -> int:
    """Largest number of rows on which some halfspace within theta of w was found to differ from it; in the plane no larger one exists.

    A prediction changes only where the normal is orthogonal to a row, or in space to two rows: these normals and their neighbours are
    tried; in higher dimensions, normals next to random rows, followed by steps towards the rows that nearly differ.
    """
    w = w / np.linalg.norm(w)
    d = w.size
    rivals = {1: _none, 2: _in_the_plane, 3: _in_space}.get(d, _in_high_dimension)(X, w, theta, rng)
    return int(np.max(np.count_nonzero((rivals @ X.T >= 0.0) != (X @ w >= 0.0), axis=1), initial=0))


def _none(X: FloatArray, w: FloatArray, theta: float, rng: np.random.Generator) -> FloatArray:
    return w[None, :]


def _in_the_plane(X: FloatArray, w: FloatArray, theta: float, rng: np.random.Generator) -> FloatArray:
    normal = np.array([-w[1], w[0]])
    turn = np.arctan2(X @ normal, X @ w)
    edges = np.concatenate([turn + math.pi / 2.0, turn - math.pi / 2.0, [theta, -theta]])
    edges = (edges + math.pi) % (2.0 * math.pi) - math.pi
    edges = np.concatenate([edges, edges + 1e-9, edges - 1e-9])
    edges = edges[np.abs(edges) <= theta]
    return np.asarray(np.cos(edges)[:, None] * w + np.sin(edges)[:, None] * normal)


def _in_space(X: FloatArray, w: FloatArray, theta: float, rng: np.random.Generator) -> FloatArray:
    pairs = np.array(list(itertools.combinations(range(len(X)), 2)))
    normals = np.cross(X[pairs[:, 0]], X[pairs[:, 1]])
    normals = np.vstack([normals, -normals, w + math.tan(min(theta, 1.5)) * rng.standard_normal((500, 3))])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 0.0] / lengths[lengths > 0.0, None]
    normals = np.vstack([normals + 1e-7 * rng.standard_normal(normals.shape) for _ in range(3)])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    return np.asarray(normals[normals @ w >= math.cos(theta)])


def _in_high_dimension(X: FloatArray, w: FloatArray, theta: float, rng: np.random.Generator) -> FloatArray:
    t = X @ w
    z = (X - np.outer(t, w)) * np.where(t < 0.0, -1.0, 1.0)[:, None]
    V = np.vstack([rng.standard_normal((20, w.size)), -z[rng.permutation(len(X))[:40]]])
    for _ in range(8):
        V -= np.outer(V @ w, w)
        V /= np.maximum(np.linalg.norm(V, axis=1), 1e-300)[:, None]
        near = 0.7 * np.abs(t) / math.tan(theta) <= V @ -z.T
        V = V - 0.5 * near @ z / np.maximum(near.sum(axis=1), 1)[:, None]
    V -= np.outer(V @ w, w)
    V /= np.maximum(np.linalg.norm(V, axis=1), 1e-300)[:, None]
    return np.asarray(math.cos(theta) * w + math.sin(theta) * V)
