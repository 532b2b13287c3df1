"""Damped Newton steps for lp regression, each of which hands over a dual vector of all rows."""

import math

import numpy as np
import numpy.typing as npt

from algos.common.linalg import Whitening, whitening
from algos.common.validation import is_sparse
from algos.lp_embeddings._lp_kernels import along_line, curvature
from algos.lp_embeddings._lp_problem import LpProblem, LpProof, lp_proof
from algos.lp_embeddings.interior_point import solve_rows

FloatArray = npt.NDArray[np.float64]

_FLOOR_BELOW_2 = 1e-2  # share of the typical residual below which curvature is cut off; it falls by ten with every step
_FLOOR_SMALLEST = 1e-12
_CURVATURE_ABOVE_2 = 1e-3  # share of the typical curvature below which it is cut off; likewise
_CURVATURE_SMALLEST = 1e-8  # so that the equations can be solved
_SLOPE_LEFT = 0.1  # share of the slope along a step that may be left: full Newton steps pass at once when they are good
_LINE_LOOKS = 15
_STALL = 12  # steps without a better bound or a smaller norm after which float64 has given what it can
_FRESH_STARTS = 3  # how often a stalled search begins again with a large floor: one is enough as a rule
_TIES_BELOW = 1.1  # exponents for which rows with residual zero have duals that their residuals do not show
_TIED = 1e-8  # share of the typical residual below which a residual is zero
_CORRECTIONS = 2
_STAGE = 1.6  # growth of the exponent from one preliminary fit to the next: a few steps each, where one leap needs many or fails
_STAGE_TOL = 1e-2


def exponent_stages(p: float) -> list[float]:
    """Exponents of preliminary fits on the way from least squares to p > 3, where Newton steps from afar are short."""
    stages, exponent = [], 2.0 * _STAGE
    while exponent * _STAGE**0.5 < p:
        stages.append(exponent)
        exponent *= _STAGE
    return stages


def solve_in_stages(problem: LpProblem, tol: float, max_iter: int) -> "LpSearch":
    """Solve from least squares through growing exponents; used where a pass over the rows costs little."""
    coef = least_squares(problem)
    for exponent in exponent_stages(problem.p):
        coef = LpSearch(problem.at_exponent(exponent), coef, _STAGE_TOL, max_iter).run().coef
    return LpSearch(problem, coef, tol, max_iter).run()


def least_squares(problem: LpProblem) -> FloatArray:
    """Coefficients of the weighted least squares fit."""
    metric = whitening(problem.A, scale=np.sqrt(problem.weights))
    coef = np.zeros(problem.A.shape[1])
    for _ in range(2):  # the second solve removes the rounding of the first
        coef = coef + _solve(metric, problem.transposed(problem.weights * problem.residual(coef)))
    return coef


def _solve(metric: Whitening, values: FloatArray) -> FloatArray:
    """Solve the normal equations of the table that `metric` whitens."""
    solution: FloatArray = metric.R_inv @ (metric.R_inv.T @ values)
    return solution


class LpSearch:
    """Newton iteration over all rows of a problem: best coefficients, best dual, and what they prove.

    With residuals u in units of their power mean, slopes ``psi = w |u|^(p - 2) u`` and curvatures ``c = w max(|u|, floor)^(p - 2)``, the
    direction solves ``A^T diag(c) A dx = A^T psi``. So ``y = psi - c A dx`` satisfies ``A^T y = 0``: it is a dual vector for free, and an
    optimal one where dx = 0, whatever the floor. The Newton step is ``dx / (p - 1)``; how far to go is decided along the line.
    """

    def __init__(self, problem: LpProblem, coef: FloatArray, tol: float, max_iter: int) -> None:
        self.problem, self.tol, self.max_iter = problem, tol, max_iter
        self.coef = coef
        self.residual = problem.residual(coef)
        self.objective = problem.norm(self.residual)
        self.dual = np.zeros(len(self.residual))
        self.bound = 0.0
        self.n_iter = 0
        self.proof: LpProof | None = None
        self._last_step = 1.0
        self._floor_age = 0
        self._root, self._pull = np.empty(len(self.residual)), np.empty(len(self.residual))
        self._size = float(problem.weights.sum())

    def run(self) -> "LpSearch":
        """Iterate until the gap is proved or nothing improves; the best pair is kept in `coef` and `dual`."""
        since_better, fresh_starts = 0, 0
        while self.objective > self.problem.floor and self.n_iter < self.max_iter:
            if since_better == _STALL:
                if self._settle_ties() or fresh_starts == _FRESH_STARTS:
                    break
                # close to p = 1 a small floor can freeze rows that passed through zero too early
                since_better, fresh_starts = 0, fresh_starts + 1
                self._floor_age, self._last_step = 0, 1.0
            before = self.objective, self.bound
            if not self._newton_step():
                break
            self.n_iter += 1
            self._floor_age += 1
            if self._finished():
                break
            since_better = 0 if (self.objective < before[0] or self.bound > before[1]) else since_better + 1
        return self

    def final_proof(self) -> LpProof:
        """Return what the best coefficients and the best dual prove together, computed afresh from the data."""
        return lp_proof(self.problem, self.coef, self.dual) if self.proof is None else self.proof

    def _finished(self) -> bool:
        """Whether the wanted gap is proved, equations included."""
        if self.objective - self.bound > self.tol * self.objective:
            return False
        for _ in range(_CORRECTIONS + 1):
            proof = self.proof = lp_proof(self.problem, self.coef, self.dual)
            if proof.slack <= self.tol * proof.objective:
                return True
            if not proof.price > 0.5 * self.tol * proof.objective or not self._meet_equations(proof.unmet):
                break
        self.bound = min(self.bound, proof.objective - proof.slack)
        return False

    def _settle_ties(self) -> bool:
        """Choose the duals of rows with residual zero by their equations; return whether this proves the wanted gap.

        Near p = 1 residuals u = y^(1/(p - 1)) of such rows are below the smallest float, and the sign of their rounding says nothing. A
        point well inside the box ``|y| <= w`` costs next to nothing in the dual norm, whose exponent is large.
        """
        problem = self.problem
        if problem.p >= _TIES_BELOW:
            return False
        unit = self.objective / self._size ** (1.0 / problem.p)
        tied = np.abs(self.residual) <= _TIED * unit
        rows = problem.A[np.flatnonzero(tied)]
        if rows.shape[0] == 0:
            return False
        table = np.ascontiguousarray(rows.toarray() if is_sparse(rows) else rows, dtype=np.float64)
        curvature(self.residual, problem.weights, unit, problem.p, _TIED, self._root, self._pull)
        dual = np.where(tied, 0.0, self._pull)
        weights = problem.weights[tied]
        dual[tied] = solve_rows(table, np.zeros(len(weights)), 0.5, 2.0 * weights, -problem.transposed(dual)).dual
        length = problem.dual_norm(dual)
        if not (np.isfinite(length) and length > 0.0):
            return False
        before, found = self.final_proof(), lp_proof(problem, self.coef, dual / length)
        if found.slack < before.slack:
            self.dual, self.proof = dual / length, found
            self.bound = found.objective - found.slack
        return found.slack <= self.tol * found.objective

    def _newton_step(self) -> bool:
        problem = self.problem
        unit = self.objective / self._size ** (1.0 / problem.p)
        curvature(self.residual, problem.weights, unit, problem.p, self._floor(), self._root, self._pull)
        self._metric = whitening(problem.A, scale=self._root)
        dx = _solve(self._metric, problem.transposed(self._pull))
        moved = problem.fitted(dx)
        dual = self._pull - self._root**2 * moved
        if not np.all(np.isfinite(dual)):
            return False
        self._judge_dual(dual, unit)
        step, objective = self._line_search(moved, unit)
        if objective < self.objective:
            self.coef = self.coef + (step * unit) * dx
            self.residual -= (step * unit) * moved
            self.objective, self.proof = objective, None
        return True

    def _floor(self) -> float:
        if self.problem.p > 2.0:
            share = max(_CURVATURE_ABOVE_2 * 10.0**-self._floor_age, _CURVATURE_SMALLEST)
            return float(share ** (1.0 / (self.problem.p - 2.0)))
        return max(_FLOOR_BELOW_2 * 10.0**-self._floor_age, _FLOOR_SMALLEST)

    def _judge_dual(self, dual: FloatArray, unit: float) -> None:
        """Keep a dual, scaled to norm one, if its value is the best so far; its equations are examined when it matters."""
        length = self.problem.dual_norm(dual)
        if length == 0.0:
            return
        bound = float(dual @ self.residual) / length
        if bound > self.bound:
            self.dual, self.bound, self.proof = dual / length, bound, None

    def _line_search(self, moved: FloatArray, unit: float) -> tuple[float, float]:
        """Return a step that leaves little of the slope, and the norm there; the norm is not smaller if no such step was found."""
        problem = self.problem
        downhill = float(self._pull @ moved)
        if not downhill > 0.0:  # rounding is all that is left
            return 0.0, self.objective
        step = self._last_step if problem.p < 2.0 else 1.0 / (problem.p - 1.0)
        low, high = 0.0, np.inf
        for _ in range(_LINE_LOOKS):
            total, slope, bend = along_line(self.residual, moved, problem.weights, unit, problem.p, step)
            objective = unit * math.pow(total, 1.0 / problem.p)
            if abs(slope) <= _SLOPE_LEFT * downhill and objective <= self.objective:
                break
            low, high = (step, high) if slope < 0.0 else (low, step)
            step = _next_step(step, slope, bend, low, high, downhill, problem.p)
        self._last_step = step
        return step, objective

    def _meet_equations(self, unmet: FloatArray) -> bool:
        """Correct the best dual, whose equations are missed by rounding, in the metric of the last step."""
        change = self.problem.fitted(_solve(self._metric, unmet))
        dual = self.dual - self._root**2 * change
        length = self.problem.dual_norm(dual)
        if not (np.isfinite(length) and length > 0.0):
            return False
        self.dual, self.proof = dual / length, None
        return True


def _next_step(step: float, slope: float, bend: float, low: float, high: float, downhill: float, p: float) -> float:
    """Newton's step along the line, kept inside the bracket (low, high); far beyond its end the slope grows like a power."""
    newton = step - slope / bend if bend > 0.0 else np.inf
    if high == np.inf:
        return float(min(max(newton, 1.01 * step), 3.0 * step))
    if slope > downhill and low == 0.0:
        return step * max(math.pow(downhill / slope, 1.0 / max(p - 1.0, 1.0)), 0.01)
    if low < newton < high:
        return float(newton)
    return 0.5 * (low + high)
