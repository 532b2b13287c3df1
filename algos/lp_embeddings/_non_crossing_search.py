"""The rounds of a joint quantile fit: chosen rows, the interior point method, and what its answer proves about all rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings import bounds
from algos.lp_embeddings._non_crossing_barrier import JointProblem, meet_joint_equations, solve_joint
from algos.lp_embeddings._quantile_kernels import duality_block
from algos.lp_embeddings._quantile_problem import Geometry, QuantileData, row_parts
from algos.lp_embeddings._quantile_search import FitOptions
from algos.lp_embeddings.quantile_regression import RegressionResult

FloatArray = npt.NDArray[np.float64]

_SMALL = 2000  # rows up to which all of them enter at once
_INFEASIBLE = 1e-4  # merit above which the chosen rows cannot balance the others
_SOLVER_TOL = 0.05  # share of the wanted gap that the solver may use up
_START_STEP = 0.03  # order with which the solver starts, in units of the mean residual
_POSITIVE = 1e-6  # a combination of columns this close to zero at some row, relative to its mean, orders nothing


@dataclass(frozen=True)
class Judged:
    """What coefficients and duals of all rows prove together; `steps` and `sizes` are (k - 1, n) and (n,)."""

    objectives: FloatArray
    slack: float
    steps: FloatArray
    sizes: FloatArray

    @property
    def objective(self) -> float:
        return math.fsum(self.objectives.tolist())


def positive_direction(data: QuantileData, shape: Geometry, *, intercept: bool = False) -> FloatArray:
    """Return coefficients v with ``a_i v >= 1`` at every row: along them the levels can be moved apart.

    Raises
    ------
    ValueError
        If there are none: then fits that keep the order may have to coincide, and no order can be kept strictly.
    """
    d = data.shape[1]
    if intercept:
        last: FloatArray = np.eye(d)[-1]
        return last
    scale, basis = shape.scale, shape.basis
    ones = np.ones(data.shape[0]) if scale is None else scale**2
    direction: FloatArray = basis @ (basis.T @ (data.A.T @ ones))
    fitted: FloatArray = np.asarray(data.A @ direction, dtype=np.float64)
    if not fitted.min() > _POSITIVE * abs(float(fitted.mean())):
        direction = basis @ _direction_by_program(np.ascontiguousarray(data.rows(slice(None)) @ basis))
        fitted = np.asarray(data.A @ direction, dtype=np.float64)
    if not fitted.min() > _POSITIVE * abs(float(fitted.mean())):
        raise ValueError(
            "non_crossing='constrain' needs a combination of columns that is positive at every row, and A has none; add an intercept "
            "(a column of ones), or use non_crossing='rearrange'."
        )
    return np.asarray(direction / float(fitted.min()))


def _direction_by_program(rows: FloatArray) -> FloatArray:
    """Maximise the smallest entry of ``rows @ v``, each row scaled to length one."""
    from scipy.optimize import linprog

    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(length > 0.0, length, 1.0)
    rank = rows.shape[1]
    solved = linprog(
        np.r_[np.zeros(rank), -1.0],
        A_ub=np.column_stack([-unit, np.ones(len(rows))]),
        b_ub=np.zeros(len(rows)),
        bounds=[(-1.0, 1.0)] * rank + [(None, 1.0)],
        method="highs",
    )
    return np.zeros(rank) if solved.x is None else np.asarray(solved.x[:rank])


class JointSearch:
    """Rounds over growing sets of rows; the best coefficients and the best duals of all rows."""

    def __init__(
        self, data: QuantileData, shape: Geometry, quantiles: tuple[float, ...], options: FitOptions, direction: FloatArray
    ) -> None:
        self.data, self.shape, self.quantiles, self.options, self.direction = data, shape, quantiles, options, direction
        self.lift = np.asarray(data.A @ direction, dtype=np.float64)
        n, k = len(data.b), len(quantiles)
        self.duals, self.multipliers = np.zeros((k, n)), np.zeros((k - 1, n))
        self.coef = np.zeros((k, data.shape[1]))
        self.objective, self.bound, self.floor = math.inf, 0.0, k * data.floor
        self.centre = int(np.argmin(np.abs(np.asarray(quantiles) - 0.5)))
        self.n_rounds = 0

    def start(self, singles: Sequence[RegressionResult]) -> None:
        """Take over single fits: their duals bound the joint problem too, and their coefficients are its first candidate."""
        for j, (t, result) in enumerate(zip(self.quantiles, singles, strict=True)):
            assert result.dual is not None
            dual: FloatArray = result.dual
            if self.data.origin is not None:
                kept = self.data.origin >= 0
                dual = np.asarray(np.bincount(self.data.origin[kept], dual[kept], len(self.data.b)), dtype=np.float64)
            self.duals[j] = np.clip(dual, self.data.weights * (t - 1.0), self.data.weights * t)
        coef = np.array([result.coef for result in singles])
        if sum(result.objective for result in singles) <= self.floor:  # an exact fit, which all levels share; a margin would not be zero
            coef[:] = coef[self.centre]
            self.objective, self.coef = self.judge(coef, self.duals, self.multipliers).objective, coef
        else:
            self._offer(coef, self.duals, self.multipliers)

    def run(self) -> None:
        n, band = len(self.data.b), self.options.band
        if n <= _SMALL or 2 * band >= n:
            band = n
        while self._open() and self.n_rounds < self.options.max_rounds:
            self.n_rounds += 1
            problem, rows, ordered, first = self._problem(band)
            solved = solve_joint(problem, min(_SOLVER_TOL * self.options.tol, 0.1 * _INFEASIBLE))
            if solved.merit > _INFEASIBLE and band < n:
                band = min(4 * band, n)
                continue
            solved = meet_joint_equations(problem, solved)
            duals, multipliers = self._slopes.copy(), np.zeros_like(self.multipliers)
            for j, index in enumerate(rows):
                duals[j, index] = solved.duals[j]
            for j, index in enumerate(ordered):
                multipliers[j, index] = solved.multipliers[j]
            self._offer(first + solved.x @ self.shape.basis.T, duals, multipliers)
            if band == n:
                break  # the solver has had everything; what is left is rounding
            band = min(2 * band, n)

    def _open(self) -> bool:
        return self.objective - self.bound > max(self.options.tol * self.objective, self.floor)

    def _offer(self, coef: FloatArray, duals: FloatArray, multipliers: FloatArray) -> None:
        """Order the coefficients at all rows, evaluate, and keep what is better."""
        judged = self.judge(coef, duals, multipliers)
        bound = judged.objective - judged.slack
        if bound > self.bound:
            self.bound, self.duals, self.multipliers = bound, duals, multipliers
        ordered = self._apart(coef, judged.steps, bounds.prediction_rounding(columns=self.data.shape[1]) * judged.sizes)
        objective = self.judge(ordered, duals, multipliers).objective
        if objective < self.objective:
            self.objective, self.coef = objective, ordered

    def _apart(self, coef: FloatArray, steps: FloatArray, wanted: FloatArray) -> FloatArray:
        """Move the levels along the positive direction until every step is as large as wanted."""
        lacking = np.max((wanted - steps) / self.lift, axis=1, initial=0.0)
        if not np.any(lacking > 0.0):
            return coef
        shifts = np.r_[0.0, np.cumsum(lacking)]
        shifts -= shifts[self.centre]
        return np.asarray(coef + shifts[:, None] * self.direction)

    def judge(self, coef: FloatArray, duals: FloatArray, multipliers: FloatArray) -> Judged:
        """Evaluate coefficients and duals on all rows, reading the table once."""
        data, k = self.data, len(self.quantiles)
        steps, sizes = np.empty((k - 1, len(data.b))), np.empty(len(data.b))
        error = np.zeros((data.shape[1], k), dtype=np.longdouble)
        totals: list[list[float]] = [[] for _ in range(k)]
        slacks = []
        for start, part in row_parts(data.A):
            here = slice(start, start + part.shape[0])
            fitted = np.ascontiguousarray((part @ coef.T).T)
            steps[:, here] = np.diff(fitted, axis=0)
            sizes[here] = np.max(abs(part) @ np.abs(coef).T, axis=1)
            slacks.append(float(np.sum(multipliers[:, here] * steps[:, here])))
            for j, t in enumerate(self.quantiles):
                total, slack = duality_block(data.b[here] - fitted[j], data.weights[here], t, np.ascontiguousarray(duals[j, here]))
                totals[j].append(total)
                slacks.append(slack)
            error += (part.astype(np.longdouble) if self.shape.extended else part).T @ joint_dual(duals, multipliers, here).T
        objectives = np.array([math.fsum(total) for total in totals])
        unmet = np.linalg.norm((self.shape.basis.T @ error).astype(np.float64), axis=0)
        price = bounds.joint_equation_price(unmet=unmet, reach=self.shape.reach, objective=float(objectives.sum()), levels=self.quantiles)
        return Judged(objectives, math.fsum(slacks) + price, steps, sizes)

    def _problem(self, band: int) -> tuple[JointProblem, list[Any], list[Any], FloatArray]:
        """Choose loss rows near the fits and ordered rows near a crossing; return the problem, both choices, and the first coefficients."""
        data, basis, n = self.data, self.shape.basis, len(self.data.b)
        fitted = np.asarray(data.A @ self.coef.T, dtype=np.float64).T
        residuals = data.b - fitted
        self._slopes = np.array([data.weights * np.where(r > 0.0, t, t - 1.0) for r, t in zip(residuals, self.quantiles, strict=True)])
        unit = float(np.mean(np.abs(residuals))) or 1.0
        first = self._parallel(residuals, unit)
        start = np.asarray(data.A @ first.T, dtype=np.float64).T
        everything = data.rows(slice(None)) @ basis if band == n else None
        rows = [self._near(np.abs(r), band) for r in residuals]
        ordered = [self._near(step, band) for step in np.diff(fitted, axis=0)]

        def chosen(index: Any) -> FloatArray:
            return np.ascontiguousarray(data.rows(index) @ basis) if everything is None else everything

        tables, linear, constant = [], np.zeros((len(rows), basis.shape[1])), 0.0
        for j, index in enumerate(rows):
            tables.append(chosen(index))
            if everything is None:
                outside = self._slopes[j].copy()
                outside[index] = 0.0
                linear[j] = -basis.T @ (data.A.T @ outside)
                constant += float(outside @ (data.b - start[j]))
        problem = JointProblem(
            tables,
            [data.b[index] - start[j][index] for j, index in enumerate(rows)],
            [data.weights[index] for index in rows],
            linear,
            [chosen(index) for index in ordered],
            [start[j + 1][index] - start[j][index] for j, index in enumerate(ordered)],
            self.quantiles,
            constant,
        )
        return problem, rows, ordered, first

    def _parallel(self, residuals: FloatArray, unit: float) -> FloatArray:
        """Return the central fit shifted by the quantiles of its residuals: far from every constraint, where the solver steps far."""
        centre = self.centre
        offsets = np.quantile(residuals[centre] / self.lift, self.quantiles)
        steps = np.maximum(np.diff(offsets), _START_STEP * unit / float(self.lift.mean()))
        shifts = offsets[0] + np.r_[0.0, np.cumsum(steps)]
        return np.asarray(self.coef[centre] + (shifts - shifts[centre])[:, None] * self.direction)

    def _near(self, distance: FloatArray, band: int) -> Any:
        """Return the rows whose value is small for their spread; ones that never vary are left out of bands."""
        n = len(distance)
        if band == n:
            return slice(None)
        spread = self.shape.spread
        ratio = np.full(n, np.inf)
        np.divide(distance, spread, out=ratio, where=spread > 0.0)
        width = float(np.partition(ratio, band - 1)[band - 1])
        return np.flatnonzero(ratio <= width) if width < np.inf else np.flatnonzero(spread > 0.0)


def joint_dual(duals: FloatArray, multipliers: FloatArray, here: Any = slice(None)) -> FloatArray:
    """Return ``y_j + m_{j-1} - m_j`` for every level j: what is orthogonal to the columns at a joint optimum."""
    total = duals[:, here].copy()
    total[:-1] -= multipliers[:, here]
    total[1:] += multipliers[:, here]
    return total
