"""Projected stochastic gradient descent of the ramp loss: one row at a time, as the theory analyses it."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from algos.testable_halfspaces._descent import Status
from algos.testable_halfspaces._kernels import psgd_rows
from algos.testable_halfspaces._labelled_rows import LabelledRows
from algos.testable_halfspaces.ramp_learner import Candidate

__all__ = ["descend_rows", "single_row_descent"]

FloatArray = npt.NDArray[np.float64]

_CHECKPOINTS = 33  # iterates kept: every T / 64 steps from T / 2 on


def single_row_descent(rows: LabelledRows, w: FloatArray, sigma: float, step: float, n_steps: int) -> FloatArray:
    """Run `n_steps` single-row steps from a unit vector and return the checkpoints of the second half, shape (k, d).

    Rows are taken in the order in which they stand, pass after pass: shuffle them first.
    """
    first, stride = max(1, n_steps // 2), max(1, n_steps // (2 * (_CHECKPOINTS - 1)))
    kept = np.empty((_CHECKPOINTS, w.size))
    stored, done, current = 0, 0, w.copy()
    while done < n_steps:
        for X, y in rows.blocks():
            size = min(X.shape[0], n_steps - done)
            begin = first - done if done < first else stride - (done - first) % stride
            stored += psgd_rows(X[:size], y[:size], current, sigma, step, begin, stride, kept[stored:])
            done += size
            if done == n_steps:
                break
    return kept[:stored]


def descend_rows(
    rows: LabelledRows, starts: Sequence[tuple[str, FloatArray]], widths: Sequence[float], rng: np.random.Generator
) -> Iterator[Candidate]:
    """Yield the checkpoint with the smallest full gradient for every width; one pass over the rows for each start and width.

    The rows are shuffled once, into a copy in memory: visiting them in random order instead would wait for memory at every step.
    """
    reached = [w for _, w in starts]
    shuffled = rows.sample(rows.n, rng)
    for sigma in widths:
        best: tuple[float, float, int, FloatArray] | None = None
        for k, w in enumerate(reached):
            step = _step(rows, w, sigma)
            norm, loss, point = min(_gradient_norms(rows, single_row_descent(shuffled, w, sigma, step, rows.n), sigma), key=lambda p: p[0])
            reached[k] = point
            if best is None or loss < best[1]:
                best = (norm, loss, k, point)
        assert best is not None
        norm, loss, k, point = best
        empty = norm == 0.0 and rows.in_band(point, [sigma / 2])[0] == 0
        status: Status = "stalled_empty_band" if empty else "max_iter"
        yield Candidate(point, sigma, loss, norm, rows.n, rows.mistakes(point), status, starts[k][0])


def _gradient_norms(rows: LabelledRows, points: FloatArray, sigma: float) -> Iterator[tuple[float, float, FloatArray]]:
    for point in points:
        unit = np.ascontiguousarray(point / np.linalg.norm(point))
        loss, gradient = rows.loss(unit, sigma)
        yield float(np.linalg.norm(gradient)), loss, unit


def _step(rows: LabelledRows, w: FloatArray, sigma: float) -> float:
    """Step of `bounds.descent_gradient_bound` for as many steps as there are rows, with the density of the data's own band."""
    share = max(rows.in_band(w, [sigma / 2])[0], 1) / rows.n
    density = share / (sigma * bounds.DENSITY_AT_ZERO)
    lipschitz = bounds.gradient_lipschitz(sigma=sigma, density=density)
    variance = bounds.gradient_variance(sigma=sigma, n_features=rows.d, density=density)
    return min(1.0 / lipschitz, math.sqrt(2.0 / (lipschitz * variance * rows.n))) if variance > 0.0 else 1.0 / lipschitz
