r"""Lewis weights for every p >= 1: the fixed point of "leverage scores of the reweighted table".

The weights solve :math:`w_i = \tau_i(W^{1/2-1/p}A)`. The iteration works with logarithms, takes one leverage computation a step,
removes the scale of the weights (which is known: they sum to the rank), and extrapolates from earlier steps (Anderson acceleration).
A step that loses ground is followed by steps of a slower map that is proved to converge.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.validation import check_range, is_sparse
from algos.lp_embeddings import bounds
from algos.lp_embeddings._arguments import checked_exponent, checked_weights
from algos.lp_embeddings._lewis_map import SMALLEST, LewisMap, LewisPoint

__all__ = ["LewisResult", "lewis_map", "lewis_weights"]

FloatArray = npt.NDArray[np.float64]

_PLAIN_STEPS = 2  # extrapolation starts when the first, largest moves are over
_LONGEST_MOVE = (
    3.0  # an extrapolated move of a weight by more than e**3 is not trusted: near p = 1 the relaxed map has no global factor below 1
)
_LOGDET_NOISE = 1e-10  # a fall of the log-determinant below this is rounding
_MEMORY = 3


@dataclass(frozen=True, eq=False)
class LewisResult:
    r"""Lewis weights with what is proved about them.

    Attributes
    ----------
    weights : ndarray of shape (n,)
        Positive except at zero rows; they sum to the rank.
    p : float
        The exponent.
    rank : int
        Rank of the table.
    residual : float
        :math:`\max_i|\ln(T(v)_i/v_i)|` at the weights v returned, T the Lewis map.
    error_bound : float
        Proved bound on :math:`\max_i|\ln(v_i/w_i)|`, w the exact weights; infinite for p >= 4, where no such bound is known to us.
    logdet_gap : float
        Proved distance of :math:`\log\det(A^\top V^{1-2/p}A)` from its maximum, attained by the exact weights; nan for p < 2.
    n_iter : int
        Evaluations of the map.
    converged : bool
        Whether ``residual <= tol``.
    sensitivity_lower, sensitivity_upper : ndarray of shape (n,)
        Bounds on the lp sensitivities: the best of all iterates for every row.
    """

    weights: FloatArray
    p: float
    rank: int
    residual: float
    error_bound: float
    logdet_gap: float
    n_iter: int
    converged: bool
    sensitivity_lower: FloatArray
    sensitivity_upper: FloatArray


@overload
def lewis_weights(
    A: Any,
    p: float,
    *,
    tol: float = ...,
    max_iter: int = ...,
    accel: int | None = ...,
    v0: npt.ArrayLike | None = ...,
    return_info: Literal[False] = ...,
) -> FloatArray: ...
@overload
def lewis_weights(
    A: Any,
    p: float,
    *,
    tol: float = ...,
    max_iter: int = ...,
    accel: int | None = ...,
    v0: npt.ArrayLike | None = ...,
    return_info: Literal[True],
) -> LewisResult: ...
def lewis_weights(
    A: Any,
    p: float,
    *,
    tol: float = 1e-3,
    max_iter: int = 60,
    accel: int | None = None,
    v0: npt.ArrayLike | None = None,
    return_info: bool = False,
) -> FloatArray | LewisResult:
    r"""Compute the lp Lewis weights of a table.

    The unique :math:`w > 0` with :math:`w_i = (a_i^\top(A^\top W^{1-2/p}A)^{-1}a_i)^{p/2}`. Sampling rows in proportion to them preserves
    :math:`\|Ax\|_p` for all x; for p = 2 they are the leverage scores.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d), of any rank; n < d is allowed.
    p : float
        Exponent, 1 <= p < inf.
    tol : float, default=1e-3
        Stop when :math:`\max_i|\ln(T(v)_i/v_i)|` is below it. Sampling needs no more than 0.1.
    max_iter : int, default=60
        Largest number of evaluations.
    accel : int, optional
        Number of earlier steps to extrapolate from; 0 is the plain relaxed iteration. It keeps ``2 * accel`` vectors of length n in memory.
        By default 3 for tables in memory and 0 for the others: without extrapolation an evaluation reads the table once.
    v0 : array-like of shape (n,), optional
        Positive starting weights, for example those of a similar p or of a table that has changed little.
    return_info : bool, default=False
        Whether to return a :class:`LewisResult` with error bounds and sensitivity bounds.

    Returns
    -------
    ndarray of shape (n,) or LewisResult
        Weights; zero for zero rows, otherwise positive (unless below the smallest float), with sum equal to the rank.

    Raises
    ------
    ValueError
        p outside [1, inf), NaN or infinite entries, an empty table, or starting weights that do not fit.

    Warns
    -----
    ConvergenceWarning
        ``max_iter`` was reached; the best weights found are returned with their true residual.

    Notes
    -----
    Each evaluation reads the table twice, O(n d^2) operations; once with ``accel=0``, because the Gram matrix of the next weights is
    then added up while the rows are at hand. The relaxed step :math:`\ln v \mathrel{+}= \theta\ln(T(v)/v)` with
    :math:`\theta = 4/(p+2)` converges locally at the rate :math:`|p-2|/(p+2)` for every p. For p < 4 the certificate is entrywise,
    :math:`|\ln(v_i/w_i)| \le \mathrm{res}/(1-|1-p/2|)`; from p = 4 on it is the gap of a concave log-determinant.
    Dependent columns are dropped first, which changes no weight.

    References
    ----------
    M. Cohen, R. Peng, "lp row sampling by Lewis weights", STOC 2015 (the classical map, p < 4). Rates and certificates are derived in
    docs/theory/lp_embeddings.md.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import lewis_weights
    >>> A = np.vstack([np.eye(2), [[100.0, 100.0]], [[1.0, 1.0]]])
    >>> lewis_weights(A, 1.0, tol=1e-9).round(3)
    array([0.5 , 0.5 , 0.99, 0.01])
    """
    p = checked_exponent(p)
    tol = check_range(tol, name="tol", low=0.0, low_open=True)
    max_iter = check_range(max_iter, name="max_iter", low=1, integer=True)
    source = RowSource.of(A, name="A")
    if accel is None:
        accel = _MEMORY if _in_memory(A) else 0
    accel = check_range(accel, name="accel", low=0, integer=True)
    start = None if v0 is None else checked_weights(v0, source.n_rows, name="v0")
    result = search_weights(source, p, tol=tol, max_iter=max_iter, accel=accel, start=start, keep_brackets=return_info)
    if not result.converged:
        _warn(result, tol)
    return result if return_info else result.weights


def search_weights(
    source: RowSource,
    p: float,
    *,
    tol: float,
    max_iter: int,
    accel: int = _MEMORY,
    start: FloatArray | None = None,
    keep_brackets: bool = True,
) -> LewisResult:
    """Do the work of `lewis_weights` for checked arguments, without a warning: brackets of sensitivities need no convergence."""
    ahead = bounds.optimal_relaxation(p=p) if accel == 0 else 0.0
    evaluate = LewisMap(source, p, rtol=min(1e-6, 1e-2 * tol), ahead=ahead)
    log_start = None if start is None else _log_start(start, evaluate, name="v0")
    if evaluate.rank == 0:
        zero = np.zeros(source.n_rows)
        return LewisResult(zero, p, 0, 0.0, 0.0, 0.0, 0, True, zero, zero)
    return _Search(evaluate, accel, keep_brackets=keep_brackets).run(log_start, tol, max_iter)


def lewis_map(A: Any, p: float, v: npt.ArrayLike, *, rtol: float = 1e-9) -> FloatArray:
    r"""Evaluate the Lewis map :math:`T(v)_i = (a_i^\top(A^\top V^{1-2/p}A)^{-1}a_i)^{p/2}`, whose fixed point are the Lewis weights.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d).
    p : float
        Exponent, 1 <= p < inf.
    v : array-like of shape (n,)
        Positive weights; zero is allowed where a row is zero.
    rtol : float, default=1e-9
        Relative error of the leverage scores behind it.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        p outside [1, inf), or weights that do not fit.

    Examples
    --------
    >>> from algos.lp_embeddings.lewis_weights import lewis_map
    >>> lewis_map([[3.0], [1.0]], 1.0, [0.75, 0.25]).round(12)
    array([0.75, 0.25])
    """
    p = checked_exponent(p)
    source = RowSource.of(A, name="A")
    weights = checked_weights(v, source.n_rows, name="v")
    evaluate = LewisMap(source, p, rtol)
    if evaluate.rank == 0:
        return np.zeros(source.n_rows)
    log_v = _log_start(weights, evaluate, name="v")
    point = evaluate(log_v)
    row = int(np.argmax(evaluate.live))
    unit = float(log_v[row] - point.log_v[row])  # the point is normalised, and T(c v) = c^(1-p/2) T(v)
    return np.asarray(point.v * np.exp(point.log_ratio + (1.0 - p / 2.0) * unit))


def _log_start(weights: FloatArray, evaluate: LewisMap, *, name: str) -> FloatArray:
    misplaced = np.flatnonzero((weights <= 0.0) & evaluate.live)
    if misplaced.size:
        raise ValueError(f"{name}[{misplaced[0]}] is 0 although row {misplaced[0]} of A is not zero; give it a positive weight")
    return np.log(np.where(weights > 0.0, weights, 1.0))


def _in_memory(A: Any) -> bool:
    return (isinstance(A, np.ndarray) and not isinstance(A, np.memmap)) or is_sparse(A) or isinstance(A, list | tuple)


def _warn(result: LewisResult, tol: float) -> None:
    from sklearn.exceptions import ConvergenceWarning  # importing scikit-learn costs seconds, and this is rare

    warnings.warn(
        f"lewis_weights stopped after max_iter={result.n_iter} evaluations with residual {result.residual:.2g} > tol={tol:g}; "
        "the best weights found are returned with this residual: raise max_iter or tol",
        ConvergenceWarning,
        stacklevel=3,
    )


class _Search:
    """Relaxed fixed-point steps with Anderson extrapolation, and slower proved steps after a setback."""

    def __init__(self, evaluate: LewisMap, accel: int, *, keep_brackets: bool) -> None:
        self.map = evaluate
        self.p = evaluate.p
        self.theta = bounds.optimal_relaxation(p=self.p)
        self.memory = _Extrapolation(accel, self.theta)
        self.points_seen = 0
        self.best: LewisPoint | None = None
        self.progress: list[float] = []  # falls from step to step while all is well
        self.careful_steps, self.penalty = 0, 1
        self.relaxed = True  # whether the last move was the relaxed step itself
        n = evaluate.live.size
        self.brackets = (np.zeros(n), np.ones(n)) if keep_brackets else None

    def run(self, log_start: FloatArray | None, tol: float, max_iter: int) -> LewisResult:
        point = self.map.at_uniform() if log_start is None else self.map(log_start)
        self._record(point)
        while point.residual > tol and self.points_seen < max_iter:
            move = self._move(point)
            point = self.map(point.log_v + move, foreseen=self.relaxed)
            self._record(point)
        return self._result(tol)

    def _record(self, point: LewisPoint) -> None:
        self.points_seen += 1
        if self.best is None or point.residual < self.best.residual:
            self.best = point
        self.progress.append(-point.logdet if self.p >= 4.0 else point.spread)
        if self.brackets is not None:
            leverages = point.leverages(self.p)
            # a leverage score that underflowed was raised for its logarithm, which a lower bound must not be
            lower = np.where(leverages > SMALLEST, bounds.sensitivity_lower(p=self.p, v=point.v, leverages=leverages), 0.0)
            upper = bounds.sensitivity_upper(p=self.p, v=point.v, leverages=leverages)
            self.brackets = np.maximum(self.brackets[0], lower), np.minimum(self.brackets[1], upper)

    def _move(self, point: LewisPoint) -> FloatArray:
        step = point.log_ratio - float(point.v @ point.log_ratio) / self.map.rank  # the scale of the weights is known: do not iterate on it
        if not self.map.live.all():
            step[~self.map.live] = 0.0
        if self.careful_steps == 0 and self._setback():
            # each setback doubles the number of proved steps, so that in the end only they are taken
            self.careful_steps, self.penalty = self.penalty, 2 * self.penalty
            self.memory.clear()
        self.relaxed = not self.careful_steps
        if self.careful_steps:
            self.careful_steps -= 1
            return step * (1.0 if self.p < 4.0 else 2.0 / self.p)
        if self.points_seen <= _PLAIN_STEPS:
            self.memory.remember(point.log_v, step)
            return self.theta * step
        return self.memory.extrapolate(point.log_v, step, point.v)

    def _setback(self) -> bool:
        """Whether the steps lose ground: in the contracting seminorm below p = 4, in the log-determinant (over two steps) above."""
        if self.p < 4.0:
            return len(self.progress) > 1 and self.progress[-1] > self.progress[-2]
        return len(self.progress) > 2 and self.progress[-1] > self.progress[-3] + _LOGDET_NOISE

    def _result(self, tol: float) -> LewisResult:
        assert self.best is not None
        residual = self.best.residual
        gap = bounds.logdet_gap(p=self.p, rank=self.map.rank, overshoot=self.best.overshoot(self.p)) if self.p >= 2.0 else math.nan
        error = bounds.lewis_error(residual=residual, p=self.p)
        lower, upper = self.brackets if self.brackets is not None else (np.empty(0), np.empty(0))
        return LewisResult(self.best.v, self.p, self.map.rank, residual, error, gap, self.points_seen, residual <= tol, lower, upper)


class _Extrapolation:
    """Anderson acceleration with a short memory, least squares weighted by the weights themselves."""

    def __init__(self, memory: int, theta: float) -> None:
        self.memory, self.theta = memory, theta
        self.last: tuple[FloatArray, FloatArray] | None = None
        self.moves: list[FloatArray] = []
        self.changes: list[FloatArray] = []

    def clear(self) -> None:
        self.last, self.moves, self.changes = None, [], []

    def remember(self, x: FloatArray, step: FloatArray) -> None:
        if self.memory == 0:
            return
        if self.last is not None:
            self.moves.append(x - self.last[0])
            self.changes.append(step - self.last[1])
            del self.moves[: -self.memory], self.changes[: -self.memory]
        self.last = x, step

    def extrapolate(self, x: FloatArray, step: FloatArray, v: FloatArray) -> FloatArray:
        self.remember(x, step)
        plain = self.theta * step
        if not self.moves:
            return plain
        weighted = [v * change for change in self.changes]
        gram = np.array([[float(a @ b) for b in self.changes] for a in weighted])
        slope = np.array([float(a @ step) for a in weighted])
        coefficients = np.linalg.lstsq(gram, slope, rcond=1e-12)[0]
        move = plain.copy()
        for coefficient, past_move, past_change in zip(coefficients, self.moves, self.changes, strict=True):
            move -= coefficient * (past_move + self.theta * past_change)
        return move if np.abs(move).max() <= _LONGEST_MOVE else plain
