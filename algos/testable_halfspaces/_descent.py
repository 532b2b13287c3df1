"""Gradient descent of the ramp loss on the unit sphere, with a line search that never lets the loss rise."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces._labelled_rows import LabelledRows

__all__ = ["Descent", "Status", "descend", "normalised"]

FloatArray = npt.NDArray[np.float64]
Status = Literal["converged", "max_iter", "stalled", "stalled_empty_band"]

_SMALLEST_STEP = 1e-10  # a descent whose step has shrunk to this cannot lower the loss beyond rounding


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended.

    Attributes
    ----------
    w : ndarray of shape (d,)
    loss, gradient_norm : float
    n_iter : int
    status : str
    step : float
        Step to begin with when the descent goes on.
    """

    w: FloatArray
    loss: float
    gradient_norm: float
    n_iter: int
    status: Status
    step: float


def descend(rows: LabelledRows, w: FloatArray, sigma: float, tol: float, max_iter: int, step: float | None = None) -> Descent:
    """Gradient descent on the sphere; each accepted step h satisfies ``L(new) <= L(old) - h |g|^2 / 4``."""
    loss, gradient = rows.loss(w, sigma)
    trial_step, norm = sigma if step is None else step, float(np.linalg.norm(gradient))
    for n_iter in range(max_iter + 1):
        if norm <= tol:
            empty = norm == 0.0 and rows.in_band(w, [sigma / 2])[0] == 0
            return Descent(w, loss, norm, n_iter, "stalled_empty_band" if empty else "converged", trial_step)
        if n_iter == max_iter:
            break
        while True:
            trial = normalised(w - trial_step * gradient)
            trial_loss, trial_gradient = rows.loss(trial, sigma)
            if trial_loss <= loss - trial_step * norm**2 / 4.0:
                break
            trial_step /= 2.0
            if trial_step < _SMALLEST_STEP:
                return Descent(w, loss, norm, n_iter, "stalled", trial_step)
        trial_step = _secant_step(trial - w, trial_gradient - gradient, trial_step)
        w, loss, gradient = trial, trial_loss, trial_gradient
        norm = float(np.linalg.norm(gradient))
    return Descent(w, loss, norm, max_iter, "max_iter", trial_step)


def _secant_step(moved: FloatArray, change: FloatArray, step: float) -> float:
    """Return the inverse of the curvature seen on the last step (Barzilai and Borwein), within a factor 4 of that step's length."""
    curvature = float(moved @ change)
    longest = 4.0 * step
    return longest if curvature <= 0.0 else float(np.clip(moved @ moved / curvature, step / 4.0, longest))


def normalised(w: FloatArray) -> FloatArray:
    """Return a vector scaled to unit length; the first axis for one that has no direction."""
    length = float(np.linalg.norm(w))
    if not 0.0 < length < np.inf:
        w, length = np.eye(1, w.size)[0], 1.0  # no direction is better than another
    return np.asarray(w / length, dtype=np.float64)
