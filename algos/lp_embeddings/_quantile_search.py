"""The rounds of a certified quantile fit: sample, Newton step with the gradient of all rows, bands of growing width."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp

from algos.common.randomness import row_uniforms
from algos.common.validation import is_sparse
from algos.lp_embeddings._quantile_problem import Duality, Geometry, Pass, QuantileData, duality, loss_pass, relative_gap
from algos.lp_embeddings.interior_point import InteriorPointResult, solve_rows

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

SAMPLERS = ("auto", "leverage", "lewis", "uniform")

_SMALL = 2000  # rows below which the interior point method on all rows is as fast as sampling
_SAMPLE_TOL = 1e-3  # the sample's own error is larger than this, so solving it further buys nothing
_BAND_TOL = 0.05  # share of the wanted gap that the band's own solution may use up
_INFEASIBLE = 1e-4  # merit above which the band cannot balance the rows outside: it is too narrow
_AT_BOUND = 1e-7  # share of its box within which a dual counts as being at the bound
_CORRECTIONS = 3  # each reduces the error by the same factor, down to the rounding of the few rows inside the box
_DENSITY_QUANTILE = 0.2  # share of sampled rows from which the density of the residuals at zero is estimated
_NO_WIDTH = 1e-6  # windows narrower than this share of the mean residual hold ties, not density
_THRESHOLD_ROWS = 20_000  # rows from which the width of the band is estimated
_HEAVY = 1e4  # ratio to the median weight beyond which the solver's arithmetic suffers
_FULL_ROUNDS = 3  # with all rows in the band, a further round only refines the arithmetic


@dataclass(frozen=True)
class FitOptions:
    """Checked options of a fit; sizes are numbers of rows."""

    tol: float
    sampler: str
    size: int
    band: int
    certify: bool
    max_rounds: int


@dataclass(frozen=True)
class Sample:
    """Sampled rows in the whitened basis, with weights that make their sums unbiased for all rows."""

    index: Rows
    rows: FloatArray
    b: FloatArray
    weights: FloatArray

    def for_response(self, b: FloatArray) -> "Sample":
        """Return the same rows with the entries of another response of all rows."""
        return replace(self, b=b[self.index])

    def solve(self, t: float, tol: float) -> FloatArray:
        """Whitened coefficients that minimise the sample's loss."""
        rank = self.rows.shape[1]
        if len(self.index) == 0 or rank == 0:
            return np.zeros(rank)
        return solve_rows(self.rows, self.b, t, self.weights, np.zeros(rank), tol=tol).coef


def draw_sample(data: QuantileData, shape: Geometry, options: FitOptions, rng: np.random.Generator) -> Sample:
    """Independent draws: row i is kept with probability q_i and weight w_i / q_i."""
    q = _probabilities(data, shape, options)
    key = int(rng.integers(2**63))
    index = np.flatnonzero(row_uniforms(key, 0, len(q)) < q)
    return Sample(index, data.rows(index) @ shape.basis, data.b[index], data.weights[index] / q[index])


def _probabilities(data: QuantileData, shape: Geometry, options: FitOptions) -> FloatArray:
    from algos.lp_embeddings.samplers import inclusion_probabilities

    n = len(data.b)
    if options.size >= n:
        return np.ones(n)
    root_leverage = data.weights * shape.spread
    total = float(root_leverage.sum())
    if total == 0.0:
        return np.full(n, options.size / n)  # a table of zeros: no row tells more than another
    if options.sampler == "auto" and options.certify:
        return np.minimum(1.0, options.size * (0.5 / n + 0.5 * root_leverage / total))
    if options.sampler == "auto":
        scores = root_leverage + root_leverage**2
    elif options.sampler == "leverage":
        scores = root_leverage**2
    elif options.sampler == "uniform":
        scores = np.ones(n)
    else:
        from algos.lp_embeddings.lewis_weights import lewis_weights

        table: Any = data.A if data.uniform_weights else _scaled(data)
        scores = lewis_weights(table, 1.0)
    probabilities: FloatArray = inclusion_probabilities(scores, options.size)
    return probabilities


def _scaled(data: QuantileData) -> Any:
    return sp.diags_array(data.weights) @ data.A if is_sparse(data.A) else data.A * data.weights[:, None]


class Search:
    """The rounds of a certified fit: best coefficients, best dual, and the rows that were looked at closely."""

    def __init__(
        self, data: QuantileData, t: float, shape: Geometry, options: FitOptions, rng: np.random.Generator, sample: Sample | None = None
    ) -> None:
        self.data, self.t, self.shape, self.options, self.rng = data, t, shape, options, rng
        self.sample = sample  # drawn when it is needed, unless several searches share one
        n = len(data.b)
        self.used = np.zeros(n, dtype=bool)
        self.best_coef = np.zeros(data.shape[1])
        self.best_objective = math.inf
        self.best_dual = np.zeros(n)  # y = 0 proves that the objective is not negative, which is all there is to prove at P* = 0
        self.best_bound = 0.0
        self.pair: Duality | None = None  # what (best_coef, best_dual) prove together, once known
        self.n_rounds = 0

    def run(self, start: FloatArray | None) -> None:
        """Search from `start`, or from a sampled solution if it is None."""
        n, band = len(self.data.b), self.options.band
        if n <= _SMALL or 2 * band >= n:
            band = n
        at = self.first_point(start, band)
        full_rounds = 0
        while self.n_rounds < self.options.max_rounds and not self._done():
            self.n_rounds += 1
            index = self._band(at, band)
            full_rounds += len(index) == n
            solved = self._solve_band(at, index)
            if solved.merit > _INFEASIBLE and len(index) < n:
                band = min(4 * band, n)
                continue
            self._judge(at, index, solved)
            if full_rounds >= _FULL_ROUNDS:
                break
            band = min(2 * band, n)
            if not self._done() and self.n_rounds < self.options.max_rounds:
                at = loss_pass(self.data, self.t, self.best_coef)

    def proof(self) -> Duality:
        """Return what the best coefficients and the best dual prove together."""
        if self.pair is None:
            self.pair = duality(self.data, self.t, self.best_coef, self.best_dual, self.shape)
        return self.pair

    def _done(self) -> bool:
        floor, tol = self.data.floor, self.options.tol
        if self.best_objective - self.best_bound > max(tol * self.best_objective, floor):
            return False
        proof = self.proof()
        return relative_gap(proof.objective, proof.slack, floor) <= tol or proof.slack <= floor

    def _remember(self, coef: FloatArray, objective: float) -> bool:
        if not objective < self.best_objective:
            return False
        self.best_coef, self.best_objective, self.pair = coef, objective, None
        return True

    def first_point(self, start: FloatArray | None, band: int) -> Pass:
        """Sample, solve, and move by one Newton step with the gradient of all rows; return the pass at the better point."""
        if band == len(self.data.b):
            coef = self._least_squares() if start is None else start
            at = loss_pass(self.data, self.t, coef)
            self._remember(coef, at.objective)
            return at
        sample = draw_sample(self.data, self.shape, self.options, self.rng) if self.sample is None else self.sample
        self.used[sample.index] = True
        coef = self.shape.basis @ sample.solve(self.t, _SAMPLE_TOL) if start is None else start
        at = loss_pass(self.data, self.t, coef)
        self._remember(coef, at.objective)
        step = _newton_step(sample, at, self.shape)
        if step is None or self._done():
            return at
        moved = coef + self.shape.basis @ step
        there = loss_pass(self.data, self.t, moved)
        return there if self._remember(moved, there.objective) else at

    def _least_squares(self) -> FloatArray:
        scale, basis = self.shape.scale, self.shape.basis
        b = self.data.b if scale is None else scale**2 * self.data.b
        coef: FloatArray = basis @ (basis.T @ (self.data.A.T @ b))
        return coef

    def _band(self, at: Pass, rows: int) -> Rows:
        """Rows whose residual is small for their spread, about `rows` of them, ties included."""
        n = len(self.data.b)
        if rows >= n:
            return np.arange(n)
        distance, spread = np.abs(at.residual), self.shape.spread
        looked = self.rng.integers(n, size=_THRESHOLD_ROWS)
        ratio = np.full(len(looked), np.inf)  # rows of zeros do not vary with the fit: their sign is known
        np.divide(distance[looked], spread[looked], out=ratio, where=spread[looked] > 0.0)
        position = min(int(len(ratio) * rows / n), len(ratio) - 1)
        width = float(np.partition(ratio, position)[position])
        if not width < np.inf:
            return np.flatnonzero(spread > 0.0) if np.any(spread > 0.0) else np.arange(n)
        return np.flatnonzero(distance <= width * (1.0 + 1e-9) * spread)

    def _solve_band(self, at: Pass, index: Rows) -> InteriorPointResult:
        """Solve the rows of the band for a correction of the coefficients, the rows outside pulling with their slopes."""
        self.used[index] = True
        rows = self.data.rows(slice(None) if len(index) == len(self.data.b) else index) @ self.shape.basis
        slope, residual = at.slope[index], at.residual[index]
        if len(index) == len(self.data.b):
            pull, outside = np.zeros(rows.shape[1]), 0.0
        else:
            pull = self.shape.basis.T @ at.pull - rows.T @ slope
            outside = at.objective - float(slope @ residual)
        return solve_rows(
            rows,
            residual,
            self.t,
            self._solver_weights()[index],
            -pull,
            start=np.zeros(rows.shape[1]),
            constant=outside,
            tol=min(_BAND_TOL * self.options.tol, 0.1 * _INFEASIBLE),  # an unfinished solution must not look like an infeasible band
        )

    def _solver_weights(self) -> FloatArray:
        """Weights for the solver: the true ones, or in every other round capped ones where the true ones differ too much for float64.

        A row that a smaller weight already makes exact is not changed by a larger one, and a dual for smaller weights is in the true box.
        """
        weights = self.data.weights
        tame = self.shape.scale is None or self.shape.scale is weights or self.n_rounds % 2 == 0
        return weights if tame else np.minimum(weights, _HEAVY * float(np.median(weights)))

    def _judge(self, at: Pass, index: Rows, solved: InteriorPointResult) -> None:
        """Evaluate a band's solution on all rows and keep what is best of it."""
        coef = at.coef + self.shape.basis @ solved.coef
        dual = at.slope.copy()
        dual[index] = solved.dual
        pair = duality(self.data, self.t, coef, dual, self.shape)
        if pair.price > 0.5 * self.options.tol * pair.objective and solved.merit <= _INFEASIBLE:
            dual, pair = self._meet_equations(coef, dual, pair, index)
        bound = pair.objective - pair.slack
        better_dual = bound > self.best_bound
        if better_dual:
            self.best_dual, self.best_bound, self.pair = dual, bound, None
        if self._remember(coef, pair.objective) and better_dual:
            self.pair = pair

    def _meet_equations(self, coef: FloatArray, dual: FloatArray, pair: Duality, index: Rows) -> tuple[FloatArray, Duality]:
        """Correct a dual whose equations are missed by rounding times the condition number.

        Rows that are at a bound but for rounding are put there, so that only the few rows inside the box carry rounding errors.
        """
        weights = self.data.weights[index]
        rows = self.data.rows(index) @ self.shape.basis
        for _ in range(_CORRECTIONS):
            y, lower, upper = dual[index], weights * (self.t - 1.0), weights * self.t
            y = np.where(y - lower <= _AT_BOUND * weights, lower, np.where(upper - y <= _AT_BOUND * weights, upper, y))
            room = np.minimum(y - lower, upper - y)
            snapped = dual.copy()
            snapped[index] = y
            unmet = duality(self.data, self.t, coef, snapped, self.shape).unmet
            solution = np.linalg.lstsq((rows * room[:, None]).T @ rows, unmet, rcond=None)[0]
            snapped[index] = np.clip(y - room * (rows @ solution), lower, upper)
            corrected = duality(self.data, self.t, coef, snapped, self.shape)
            if not corrected.slack < pair.slack:
                break
            dual, pair = snapped, corrected
        return dual, pair


def _newton_step(sample: Sample, at: Pass, shape: Geometry) -> FloatArray | None:
    """One Newton step in the whitened basis: exact gradient of all rows, curvature estimated from the sample.

    The curvature of the expected loss is the density of the residuals at zero, estimated by a window that holds a fifth of the sample.
    None where the window has no width (many residuals are exactly zero), because the loss then has a kink and no curvature.
    """
    if len(sample.index) == 0:
        return None
    distance = np.abs(at.residual[sample.index])
    window = float(np.quantile(distance, _DENSITY_QUANTILE))
    if not window > _NO_WIDTH * float(distance.mean()):
        return None
    near = distance <= window
    rows = sample.rows[near]
    curvature = (rows * sample.weights[near, None]).T @ rows / (2.0 * window)
    try:
        factor = scipy.linalg.cho_factor(curvature, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    step: FloatArray = scipy.linalg.cho_solve(factor, shape.basis.T @ at.pull, check_finite=False)
    return step if np.all(np.isfinite(step)) else None
