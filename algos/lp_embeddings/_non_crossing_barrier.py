"""Interior point method for several quantile regressions at once whose fitted values may not cross.

With levels j, pairs l of neighbouring levels, loss rows Q_j and rows C_l at which the order is kept,

    minimise    sum_j sum_i w_i rho_j(b_i - q_i x_j) + g_j . x_j   subject to   C_l (x_{l+1} - x_l) >= 0,
    maximise    sum_j b . y_j   subject to   Q_j^T y_j + C_{j-1}^T m_{j-1} - C_j^T m_j = g_j,   y_j in its box,   m_l >= 0.

Each level carries the barrier variables of the module `interior_point`: distances (u, s) of y to its box and slacks (z, v) with
``v - z = b - Q x``. Each pair has the step ``f = C (x_{l+1} - x_l) > 0`` and its multiplier m. The Newton equations are those of the
levels, tied by the pairs: a block tridiagonal matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from algos.lp_embeddings._quantile_kernels import barrier_state, combined_direction, corrector, predictor, scale_rows, take_step

FloatArray = npt.NDArray[np.float64]

_STEP_BACK = 0.99995
_FEASIBILITY = 1e-10
_STALL = 30
_START_SLACK = 0.1
_START_INSIDE = 0.9
_GRAM_ROWS = 2048
_ROUNDING = 1e-14


@dataclass(frozen=True)
class JointProblem:
    """Loss rows, residuals at x = 0 and weights of each level with its linear term; ordered rows and their steps at x = 0 of each pair."""

    rows: Sequence[FloatArray]
    residuals: Sequence[FloatArray]
    weights: Sequence[FloatArray]
    linear: FloatArray
    ordered: Sequence[FloatArray]
    steps: Sequence[FloatArray]
    levels: Sequence[float]
    constant: float = 0.0


@dataclass(frozen=True)
class JointSolution:
    """Changes of the coefficients (k, r), duals of the loss rows, multipliers of the ordered rows, and how far the iteration came."""

    x: FloatArray
    duals: list[FloatArray]
    multipliers: list[FloatArray]
    merit: float
    n_iter: int


class _Level:
    """Barrier variables of one quantile."""

    def __init__(self, Q: FloatArray, b: FloatArray, w: FloatArray, t: float) -> None:
        self.Q = Q
        self.lower, self.upper = w * (t - 1.0), w * t
        self.v, self.z = np.maximum(b, 0.0) + _START_SLACK, np.maximum(-b, 0.0) + _START_SLACK
        self.u = w * (0.5 + 0.45 * np.clip(b, -1.0, 1.0))
        self.s = w - self.u
        self.theta, self.pull, self.centre_u, self.centre_s = (np.empty(len(b)) for _ in range(4))

    def state(self) -> tuple[float, float]:
        return barrier_state(self.u, self.s, self.z, self.v, self.lower, self.upper, self.theta, self.pull)

    def dual(self) -> FloatArray:
        """Return y, computed from the nearer end of its box so that it never leaves it."""
        dual: FloatArray = np.where(self.u < self.s, self.lower + self.u, self.upper - self.s)
        return dual


class _Pair:
    """Step and multiplier of the order between two neighbouring quantiles."""

    def __init__(self, C: FloatArray, step: FloatArray) -> None:
        self.C, self.f = C, step
        self.m = np.empty(len(step))
        self.centre, self.df, self.dm = np.empty(len(step)), np.empty(len(step)), np.empty(len(step))

    def affine(self, df: FloatArray) -> None:
        self.df, self.dm = df, -self.m * (1.0 + df / self.f)

    def shrink(self) -> tuple[float, float]:
        """Return the largest relative decreases of the multiplier and of the step."""
        return float(np.max(-self.dm / self.m, initial=0.0)), float(np.max(-self.df / self.f, initial=0.0))


def solve_joint(problem: JointProblem, tol: float, max_iter: int = 200) -> JointSolution:
    """Solve a joint problem whose first point keeps the order strictly, in units in which residuals and weights have mean one."""
    weight = float(np.mean(np.concatenate([w.ravel() for w in problem.weights])))
    unit = float(np.mean(np.abs(np.concatenate([r.ravel() for r in problem.residuals])))) or 1.0
    levels = [
        _Level(Q, r / unit, w / weight, t)
        for Q, r, w, t in zip(problem.rows, problem.residuals, problem.weights, problem.levels, strict=True)
    ]
    pairs = [_Pair(C, f / unit) for C, f in zip(problem.ordered, problem.steps, strict=True)]
    solved = _Joint(levels, pairs, problem.linear / weight, problem.constant / (unit * weight)).run(tol, max_iter)
    duals = [np.clip(y * weight, w * (t - 1.0), w * t) for y, w, t in zip(solved.duals, problem.weights, problem.levels, strict=True)]
    with np.errstate(over="ignore"):  # multipliers of rows that cannot balance the others grow without limit
        multipliers = [m * weight for m in solved.multipliers]
    finite = all(np.all(np.isfinite(m)) for m in multipliers)
    return JointSolution(solved.x * unit, duals, multipliers, solved.merit if finite else np.inf, solved.n_iter)


class _Joint:
    """The iteration over all levels and pairs."""

    def __init__(self, levels: list[_Level], pairs: list[_Pair], linear: FloatArray, constant: float) -> None:
        self.levels, self.pairs, self.linear, self.constant = levels, pairs, linear, constant
        self.x = np.zeros(linear.shape)
        self.count = 2 * sum(len(level.u) for level in levels) + sum(len(pair.f) for pair in pairs)
        gap = sum(level.state()[0] for level in levels)
        mu = gap / max(2 * sum(len(level.u) for level in levels), 1)
        for pair in pairs:
            pair.m = mu / pair.f
        self._nearer_to_the_equations()
        self.size = sum(float((level.upper - level.lower) @ np.abs(level.v - level.z)) for level in levels) or 1.0

    def _nearer_to_the_equations(self) -> None:
        """Move the first duals towards the solution of their equations that is nearest to them, as far as their boxes allow."""
        for level, short in zip(self.levels, self.linear - self._now(), strict=True):
            towards = level.Q @ np.linalg.lstsq(level.Q.T @ level.Q, short, rcond=1e-12)[0]
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = np.where(towards > 0.0, level.s / towards, -level.u / towards)
            step = min(1.0, _START_INSIDE * float(np.min(reach[towards != 0.0], initial=np.inf))) * towards
            level.u, level.s = level.u + step, level.s - step

    def _now(self) -> FloatArray:
        return self._equations([level.lower + level.u for level in self.levels], [pair.m for pair in self.pairs])

    def run(self, tol: float, max_iter: int) -> JointSolution:
        best: JointSolution | None = None
        since_best = n_iter = 0
        while True:
            gap, objective = sum(float(pair.f @ pair.m) for pair in self.pairs), self.constant + float(np.sum(self.linear * self.x))
            for level in self.levels:
                part, loss = level.state()
                gap, objective = gap + part, objective + loss
            unmet = self.linear - self._now()
            infeasibility = float(np.max(np.abs(unmet), initial=0.0)) / (1.0 + float(np.max(np.abs(self.linear), initial=0.0)))
            merit = max(gap / max(abs(objective), _ROUNDING * self.size), infeasibility)
            if not np.isfinite(merit):
                break
            since_best += 1
            if best is None or merit < best.merit:
                best, since_best = self._solution(merit, n_iter), 0
            done = gap <= tol * abs(objective) + _ROUNDING * self.size and infeasibility <= _FEASIBILITY
            if done or n_iter == max_iter or since_best > _STALL or not self._newton_step(gap, unmet):
                break
            n_iter += 1
        assert best is not None
        return best

    def _solution(self, merit: float, n_iter: int) -> JointSolution:
        return JointSolution(self.x.copy(), [level.dual() for level in self.levels], [pair.m.copy() for pair in self.pairs], merit, n_iter)

    def _equations(self, ys: Sequence[FloatArray], ms: Sequence[FloatArray]) -> FloatArray:
        return joint_equations([level.Q for level in self.levels], [pair.C for pair in self.pairs], ys, ms)

    def _direction(self, factor: Any, unmet: FloatArray) -> FloatArray | None:
        """Solve the Newton equations for the targets that levels (`pull`) and pairs (`centre`) hold."""
        right = self._equations([level.pull for level in self.levels], [pair.centre for pair in self.pairs]) - unmet
        dx: FloatArray = scipy.linalg.cho_solve(factor, right.ravel(), check_finite=False).reshape(right.shape)
        return dx if np.all(np.isfinite(dx)) else None

    def _newton_step(self, gap: float, unmet: FloatArray) -> bool:
        levels, pairs = self.levels, self.pairs
        matrix = joint_matrix(
            [level.Q for level in levels], [pair.C for pair in pairs], [level.theta for level in levels], [p.m / p.f for p in pairs]
        )
        factor = regularised_factor(matrix)
        if factor is None:
            return False
        for pair in pairs:
            pair.centre = -pair.m
        dx = self._direction(factor, unmet)
        if dx is None:
            return False
        box, slack, dual_part, primal_part, cross = 0.0, 0.0, 0.0, 0.0, 0.0
        moved = [level.Q @ change for level, change in zip(levels, dx, strict=True)]
        for level, move in zip(levels, moved, strict=True):
            found = predictor(level.u, level.s, level.z, level.v, level.theta, move)
            box, slack = max(box, found[0]), max(slack, found[1])
            dual_part, primal_part, cross = dual_part + found[2], primal_part + found[3], cross + found[4]
        for pair, change in zip(pairs, np.diff(dx, axis=0), strict=True):
            pair.affine(pair.C @ change)
            dual_shrink, primal_shrink = pair.shrink()
            box, slack = max(box, dual_shrink), max(slack, primal_shrink)
            dual_part += float(pair.f @ pair.dm)
            primal_part += float(pair.m @ pair.df)
            cross += float(pair.df @ pair.dm)
        box, slack = _step_length(box), _step_length(slack)
        after = gap + box * dual_part + slack * primal_part + box * slack * cross
        mu = gap / self.count * min(1.0, max(after, 0.0) / gap) ** 3
        for level, move in zip(levels, moved, strict=True):
            corrector(level.u, level.s, level.z, level.v, level.theta, move, mu, level.centre_u, level.centre_s, level.pull)
        for pair in pairs:
            pair.centre = (mu - pair.df * pair.dm) / pair.f - pair.m
        dx = self._direction(factor, unmet)
        return dx is not None and self._take(dx)

    def _take(self, dx: FloatArray) -> bool:
        box, slack = 0.0, 0.0
        for level, change in zip(self.levels, dx, strict=True):
            shrink = combined_direction(
                level.u, level.s, level.z, level.v, level.theta, level.Q @ change, level.pull, level.centre_u, level.centre_s
            )
            box, slack = max(box, shrink[0]), max(slack, shrink[1])
        for pair, change in zip(self.pairs, np.diff(dx, axis=0), strict=True):
            pair.df = pair.C @ change
            pair.dm = pair.centre - pair.m / pair.f * pair.df
            dual_shrink, primal_shrink = pair.shrink()
            box, slack = max(box, dual_shrink), max(slack, primal_shrink)
        box, slack = _step_length(box), _step_length(slack)
        for level in self.levels:
            take_step(level.u, level.s, level.z, level.v, level.pull, level.centre_u, level.centre_s, box, slack)
        for pair in self.pairs:
            pair.f = pair.f + slack * pair.df
            pair.m = pair.m + box * pair.dm
        self.x = self.x + slack * dx
        return True


def joint_equations(
    rows: Sequence[FloatArray], ordered: Sequence[FloatArray], duals: Sequence[FloatArray], multipliers: Sequence[FloatArray]
) -> FloatArray:
    """Return ``Q_j^T y_j + C_{j-1}^T m_{j-1} - C_j^T m_j`` for every level j."""
    total = np.array([Q.T @ y for Q, y in zip(rows, duals, strict=True)])
    for j, (C, m) in enumerate(zip(ordered, multipliers, strict=True)):
        pressed = C.T @ m
        total[j] -= pressed
        total[j + 1] += pressed
    return total


def joint_matrix(
    rows: Sequence[FloatArray], ordered: Sequence[FloatArray], thetas: Sequence[FloatArray], phis: Sequence[FloatArray]
) -> FloatArray:
    """Return the matrix of the Newton equations: weighted Gram matrices of the levels on the diagonal, tied by those of the pairs."""
    k, rank = len(rows), rows[0].shape[1]
    matrix = np.zeros((k, rank, k, rank))
    for j, (Q, theta) in enumerate(zip(rows, thetas, strict=True)):
        matrix[j, :, j] += _gram(Q, theta)
    for j, (C, phi) in enumerate(zip(ordered, phis, strict=True)):
        tie = _gram(C, phi)
        matrix[j, :, j] += tie
        matrix[j + 1, :, j + 1] += tie
        matrix[j, :, j + 1] -= tie
        matrix[j + 1, :, j] -= tie
    return matrix.reshape(k * rank, k * rank)


def regularised_factor(matrix: FloatArray) -> Any:
    """Cholesky factor, regularised only as far as float64 demands; None if that is not enough."""
    diagonal = matrix.diagonal().copy()
    floor = np.finfo(float).eps * float(diagonal.max(initial=0.0))
    ridge = 1e-14
    while ridge <= 1e-2:
        matrix[np.diag_indices_from(matrix)] = diagonal * (1.0 + ridge) + ridge * floor
        try:
            return scipy.linalg.cho_factor(matrix, check_finite=False)
        except (np.linalg.LinAlgError, ValueError):
            ridge *= 100.0
    return None


def _gram(rows: FloatArray, weights: FloatArray) -> FloatArray:
    gram = np.zeros((rows.shape[1],) * 2)
    buffer = np.empty((min(len(rows), _GRAM_ROWS), rows.shape[1]))
    for start in range(0, len(rows), _GRAM_ROWS):
        part = rows[start : start + _GRAM_ROWS]
        scaled = buffer[: len(part)]
        scale_rows(part, weights[start : start + _GRAM_ROWS], scaled)
        gram += scaled.T @ scaled
    return gram


def _step_length(shrink: float) -> float:
    return 1.0 if shrink <= _STEP_BACK else _STEP_BACK / shrink


def meet_joint_equations(problem: JointProblem, solved: JointSolution) -> JointSolution:
    """Project duals and multipliers onto their equations in the metric of their distances to the bounds, so that tight ones hardly move."""
    duals, multipliers = solved.duals, solved.multipliers
    boxes = [(w * (t - 1.0), w * t) for w, t in zip(problem.weights, problem.levels, strict=True)]
    for _ in range(2):
        rooms = [np.minimum(y - low, high - y) for y, (low, high) in zip(duals, boxes, strict=True)]
        error = joint_equations(problem.rows, problem.ordered, duals, multipliers) - problem.linear
        factor = regularised_factor(joint_matrix(problem.rows, problem.ordered, rooms, multipliers))
        if factor is None:
            break
        x = scipy.linalg.cho_solve(factor, error.ravel(), check_finite=False).reshape(error.shape)
        moved = [room * (Q @ change) for room, Q, change in zip(rooms, problem.rows, x, strict=True)]
        pushed = [m * (C @ change) for m, C, change in zip(multipliers, problem.ordered, np.diff(x, axis=0), strict=True)]
        inside = all(np.all(np.abs(move) <= room) for move, room in zip(moved, rooms, strict=True))
        if not inside or not all(np.all(np.abs(push) <= m) for push, m in zip(pushed, multipliers, strict=True)):
            break  # also for NaN: the equations cannot be met inside the bounds
        duals = [y - move for y, move in zip(duals, moved, strict=True)]
        multipliers = [m - push for m, push in zip(multipliers, pushed, strict=True)]
    return replace(solved, duals=duals, multipliers=multipliers)
