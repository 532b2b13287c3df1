"""Weighted quantile regression by a primal-dual interior point method, with a linear term and a certified dual.

The solver of the small problems to which the certified regressions reduce a tall table: a weighted sample, a band of rows near the fit.
It is the predictor-corrector method that is standard for quantile regression (Portnoy and Koenker 1997), with three additions that the
reduction needs: the columns are whitened first, the best iterate is remembered, and the returned dual satisfies its equations to
rounding.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from algos.common.linalg import whitening
from algos.common.validation import canonical_array, check_range
from algos.lp_embeddings._quantile_kernels import barrier_state, combined_direction, corrector, predictor, scale_rows, take_step

__all__ = ["InteriorPointResult", "quantile_interior_point"]

FloatArray = npt.NDArray[np.float64]

_GRAM_ROWS = 1024  # rows of a block whose scaled copy stays in the second-level cache
_STEP_BACK = 0.99995  # fraction of the way to the boundary of the box
_START_INSIDE = 0.9  # share of the way to the boundary that the first dual may go
_FEASIBILITY = 1e-10  # relative residual of the dual equations at which the loop may stop; the final correction brings it to rounding
_ROUNDING = 1e-14  # complementarity relative to the size of the data below which float64 carries no information
_STALL = 30  # iterations without a better iterate after which the method has done what float64 allows; a bad start may need 20 to recover


@dataclass(frozen=True)
class InteriorPointResult:
    """Solution of one weighted quantile regression and of its dual.

    Attributes
    ----------
    coef : ndarray of shape (d,)
        Best iterate; of minimum norm in the whitened basis when A is rank deficient.
    dual : ndarray of shape (n,)
        Strictly inside ``[w (t - 1), w t]``, with ``A.T @ dual = rhs`` to rounding when the problem is feasible.
    merit : float
        max(relative complementarity gap, relative residual of the dual equations) of the best iterate. Values above 1e-4 mean that the
        dual equations could not be met (the problem is unbounded, or nearly so).
    n_iter : int
        Newton steps taken.
    converged : bool
        Whether the target was met.
    """

    coef: FloatArray
    dual: FloatArray
    merit: float
    n_iter: int
    converged: bool


def quantile_interior_point(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    t: float = 0.5,
    *,
    weights: npt.ArrayLike | None = None,
    rhs: npt.ArrayLike | None = None,
    start: npt.ArrayLike | None = None,
    constant: float = 0.0,
    tol: float = 1e-9,
    max_iter: int = 50,
) -> InteriorPointResult:
    r"""Solve one weighted quantile regression with a linear term, and its dual.

    .. math::
        \min_x \sum_i w_i \rho_t(b_i - a_i x) + g \cdot x + c
        \;=\; \max_y \{ b \cdot y + c : A^\top y = g,\; w (t - 1) \le y \le w t \},

    where :math:`\rho_t(e) = t \max(e, 0) + (1 - t) \max(-e, 0)`. With ``rhs = 0`` this is quantile regression; the linear term carries
    the rows that a band method has left out.

    Parameters
    ----------
    A : array-like of shape (n, d)
        Rows of the regression; rank deficiency is allowed.
    b : array-like of shape (n,)
        Responses.
    t : float, default=0.5
        Quantile, strictly between 0 and 1; one half is least absolute deviations (times one half).
    weights : array-like of shape (n,), optional
        Positive row weights w; ones if absent.
    rhs : array-like of shape (d,), optional
        Linear term g; zeros if absent. It has to lie in the row space of A for the dual to exist.
    start : array-like of shape (d,), optional
        First iterate; the least squares fit if absent.
    constant : float, default=0.0
        Known constant c of the objective. It matters only to the stopping rule, which is relative to the whole objective.
    tol : float, default=1e-9
        Complementarity gap, relative to the objective, at which the method stops.
    max_iter : int, default=50
        Limit on the Newton steps; 12 to 20 are usual.

    Returns
    -------
    InteriorPointResult
        ``coef``, ``dual``, ``merit``, ``n_iter``, ``converged``.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of its range.

    Notes
    -----
    Each iteration costs one Gram matrix, n d^2 operations, and five products with vectors; memory is two copies of A and a dozen vectors.

    References
    ----------
    Portnoy, S. and Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise: computability of squared-error versus
    absolute-error estimators. Statistical Science 12, 279-300.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings.interior_point import quantile_interior_point
    >>> result = quantile_interior_point(np.ones((5, 1)), [1.0, 2.0, 3.0, 10.0, 50.0])
    >>> print(round(float(result.coef[0]), 6))
    3.0
    """
    A = np.ascontiguousarray(canonical_array(A, name="A"), dtype=np.float64)
    n, d = A.shape
    b = _vector(b, n, "b")
    check_range(t, name="t", low=0.0, high=1.0, low_open=True, high_open=True)
    check_range(tol, name="tol", low=0.0, low_open=True)
    check_range(max_iter, name="max_iter", low=1, integer=True)
    w = np.ones(n) if weights is None else _vector(weights, n, "weights")
    if not np.all(w > 0):
        raise ValueError(f"weights must be positive, got a minimum of {w.min():g}; leave rows of weight zero out.")
    g = np.zeros(d) if rhs is None else _vector(rhs, d, "rhs")
    x0 = None if start is None else _vector(start, d, "start")
    return solve_rows(A, b, t, w, g, start=x0, constant=constant, tol=tol, max_iter=max_iter)


def solve_rows(
    A: FloatArray,
    b: FloatArray,
    t: float,
    w: FloatArray,
    g: FloatArray,
    *,
    start: FloatArray | None = None,
    constant: float = 0.0,
    tol: float = 1e-9,
    max_iter: int = 50,
) -> InteriorPointResult:
    """Do the work of `quantile_interior_point` for arguments that are known to be valid."""
    white = whitening(A) if A.shape[1] else None
    if white is None or white.rank == 0:
        solvable = not np.any(g)
        return InteriorPointResult(np.zeros(A.shape[1]), np.where(b > 0, t, t - 1.0) * w, 0.0 if solvable else np.inf, 0, solvable)
    Q = A @ white.R_inv
    if start is None:
        start = white.R_inv @ (Q.T @ b)  # least squares: near enough for the first steps to be long ones
    solved = solve_whitened(Q, b - A @ start, t, w, white.R_inv.T @ g, float(g @ start) + constant, tol, max_iter)
    return replace(solved, coef=start + white.R_inv @ solved.coef)


def solve_whitened(
    Q: FloatArray, residual: FloatArray, t: float, w: FloatArray, g: FloatArray, constant: float, tol: float, max_iter: int = 50
) -> InteriorPointResult:
    """Solve the problem of `quantile_interior_point` for well-conditioned columns, starting at the coefficients zero.

    The data are brought to unit scale first, so that nothing below depends on units. `g` is the linear term in the basis of `Q`.
    """
    mean_weight = float(w.mean())
    unit = float(np.mean(np.abs(residual)))
    if unit == 0.0:
        if not np.any(g):  # nothing to improve, and y = 0 proves it
            return InteriorPointResult(np.zeros(Q.shape[1]), np.zeros(len(w)), 0.0, 0, True)
        unit = 1.0
    solver = _Barrier(Q, residual / unit, t, w / mean_weight, g / mean_weight, constant / (unit * mean_weight))
    solved = solver.run(tol, max_iter)
    return replace(solved, coef=solved.coef * unit, dual=np.clip(solved.dual * mean_weight, w * (t - 1), w * t))


class _Barrier:
    """State of the interior point iteration in scaled units: x, box distances (u, s), slacks (v, z) with v - z = b - Q x."""

    def __init__(self, Q: FloatArray, b: FloatArray, t: float, w: FloatArray, g: FloatArray, constant: float) -> None:
        self.Q = Q
        self.width = w
        self.lower = w * (t - 1.0)
        self.upper = w * t
        self.g = g
        self.target = g - Q.T @ self.lower  # the equations in terms of u: Q.T u = target
        self.constant = constant
        self.x = np.zeros(Q.shape[1])
        self.v = np.maximum(b, 0.0) + 0.1
        self.z = np.maximum(-b, 0.0) + 0.1
        dual = self._first_dual(b)
        self.u, self.s = dual - self.lower, self.upper - dual
        self.size = float(np.abs(b) @ w) or float(w.sum())
        n = len(b)
        self.theta, self.pull, self.centre_u, self.centre_s = (np.empty(n) for _ in range(4))
        self.buffer = np.empty((min(n, _GRAM_ROWS), Q.shape[1]))

    def run(self, tol: float, max_iter: int) -> InteriorPointResult:
        """Iterate until the merit is met, the iterates stall, or the arithmetic ends; return the best iterate."""
        n = len(self.width)
        best_merit, best_x, best_y = np.inf, self.x.copy(), self._dual()
        since_best = 0
        n_iter = 0
        converged = False
        while True:
            infeasibility = self.target - self.Q.T @ self.u
            gap, loss = barrier_state(self.u, self.s, self.z, self.v, self.lower, self.upper, self.theta, self.pull)
            objective = loss + float(self.g @ self.x) + self.constant
            relative_gap = gap / max(abs(objective), _ROUNDING * self.size, np.finfo(float).tiny)
            relative_infeasibility = float(np.max(np.abs(infeasibility))) / (1.0 + float(np.max(np.abs(self.target))))
            merit = max(relative_gap, relative_infeasibility)
            if not np.isfinite(merit):
                break
            since_best += 1
            if merit < best_merit:
                best_merit, best_x, best_y, since_best = merit, self.x.copy(), self._dual(), 0
            converged = gap <= tol * abs(objective) + _ROUNDING * self.size and relative_infeasibility <= _FEASIBILITY
            if converged or n_iter == max_iter or since_best > _STALL:
                break
            if not self._newton_step(gap, infeasibility, n):
                break
            n_iter += 1
        return InteriorPointResult(best_x, self._meet_equations(best_y), float(best_merit), n_iter, converged)

    def _newton_step(self, gap: float, infeasibility: FloatArray, n: int) -> bool:
        factor = self._factor(self.theta)
        if factor is None:
            return False
        dx = self._solve(factor, self.pull, infeasibility)
        if not np.all(np.isfinite(dx)):
            return False
        moved = self.Q @ dx
        shrink_box, shrink_slack, du_part, dz_part, cross = predictor(self.u, self.s, self.z, self.v, self.theta, moved)
        box_step, slack_step = _step_length(shrink_box), _step_length(shrink_slack)
        after = gap + box_step * du_part + slack_step * dz_part + box_step * slack_step * cross
        mu = gap / (2 * n) * min(1.0, max(after, 0.0) / gap) ** 3
        corrector(self.u, self.s, self.z, self.v, self.theta, moved, mu, self.centre_u, self.centre_s, self.pull)
        dx = self._solve(factor, self.pull, infeasibility)
        if not np.all(np.isfinite(dx)):
            return False
        moved = self.Q @ dx
        shrink = combined_direction(self.u, self.s, self.z, self.v, self.theta, moved, self.pull, self.centre_u, self.centre_s)
        box_step, slack_step = _step_length(shrink[0]), _step_length(shrink[1])
        take_step(self.u, self.s, self.z, self.v, self.pull, self.centre_u, self.centre_s, box_step, slack_step)
        self.x = self.x + slack_step * dx
        return True

    def _first_dual(self, b: FloatArray) -> FloatArray:
        """Start near the signs of the residuals, and nearer to the dual equations as far as the box allows.

        Without a linear term the equations are homogeneous, so shrinking a projected vector into the box keeps them; with one, the
        vector goes from the guess towards its projection. A start that meets the equations halves the number of steps on hard designs.
        """
        guess = self.lower + self.width * (0.5 + 0.45 * np.clip(b, -1.0, 1.0))
        towards = -(self.Q @ (self.Q.T @ guess - self.g))  # the columns of Q are orthonormal
        if np.any(self.g):
            return guess + _START_INSIDE * self._room(guess, towards) * towards
        return min(1.0, _START_INSIDE * self._room(np.zeros(len(b)), guess + towards)) * (guess + towards)

    def _room(self, y: FloatArray, direction: FloatArray) -> float:
        """Longest step, at most 1 / _START_INSIDE, along `direction` from `y` inside the box."""
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(direction > 0, (self.upper - y) / direction, (self.lower - y) / direction)
        return float(min(np.min(reach[direction != 0], initial=np.inf), 1.0 / _START_INSIDE))

    def _dual(self) -> FloatArray:
        """Return the dual y, computed from the nearer end of its box so that it never leaves it."""
        dual: FloatArray = np.where(self.u < self.s, self.lower + self.u, self.upper - self.s)
        return dual

    def _solve(self, factor: Any, pull: FloatArray, infeasibility: FloatArray) -> FloatArray:
        step: FloatArray = scipy.linalg.cho_solve(factor, self.Q.T @ pull - infeasibility, check_finite=False)
        return step

    def _factor(self, weights: FloatArray) -> Any:
        """Cholesky factor of Q.T diag(weights) Q, regularised only as far as float64 demands; None if that is not enough."""
        gram = np.zeros((self.Q.shape[1],) * 2)
        for start in range(0, len(weights), _GRAM_ROWS):
            part = self.Q[start : start + _GRAM_ROWS]
            scaled = self.buffer[: len(part)]
            scale_rows(part, weights[start : start + _GRAM_ROWS], scaled)
            gram += scaled.T @ scaled
        diagonal = gram.diagonal().copy()
        floor = np.finfo(float).eps * float(diagonal.max(initial=0.0))
        ridge = 1e-14
        while ridge <= 1e-2:
            gram[np.diag_indices_from(gram)] = diagonal * (1.0 + ridge) + ridge * floor
            try:
                return scipy.linalg.cho_factor(gram, check_finite=False)
            except (np.linalg.LinAlgError, ValueError):
                ridge *= 100.0
        return None

    def _meet_equations(self, y: FloatArray) -> FloatArray:
        """Project y onto Q.T y = g in the metric of its distance to the box, so that rows at a bound hardly move."""
        for _ in range(2):
            room = np.minimum(y - self.lower, self.upper - y)
            error = self.Q.T @ y - self.g
            factor = self._factor(np.maximum(room, 0.0))
            if factor is None:
                return y
            moved = np.maximum(room, 0.0) * (self.Q @ scipy.linalg.cho_solve(factor, error, check_finite=False))
            if not np.all(np.abs(moved) <= room):  # also false for NaN: then the equations cannot be met inside the box
                return y
            y = y - moved
        return y


def _step_length(shrink: float) -> float:
    return 1.0 if shrink <= _STEP_BACK else _STEP_BACK / shrink


def _vector(values: npt.ArrayLike, length: int, name: str) -> FloatArray:
    vector = np.ascontiguousarray(values, dtype=np.float64)
    if vector.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {vector.shape}; pass one number for each row or column of A.")
    if not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} must be finite, got NaN or infinity; remove or impute these entries.")
    return vector
