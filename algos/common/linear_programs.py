"""Linear programs whose answers are checked: the status, the rows, and a bound from the multipliers that proves the optimum."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.validation import canonical_array

__all__ = ["ChebyshevFit", "L1Solution", "LinearProgramError", "LpSolution", "chebyshev_fit", "l1_minimize", "solve_lp"]

FloatArray = npt.NDArray[np.float64]

_GAP = 1e-7
"""HiGHS satisfies rows and signs of multipliers to 1e-7 in absolute terms, and can promise no smaller gap for numbers near 1."""


class LinearProgramError(RuntimeError):
    """A linear program without an optimum, or one that was not found.

    Attributes
    ----------
    status : {"infeasible", "unbounded", "not solved"}
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, eq=False)
class LpSolution:
    """An optimum with its proof.

    Attributes
    ----------
    x : ndarray of shape (n,)
        Optimal point.
    objective : float
        ``c @ x``.
    dual_ub, dual_eq : ndarray
        Multipliers of the rows; those of inequalities are at most 0.
    bound : float
        No feasible point has a smaller objective, as the multipliers prove.
    gap : float
        ``objective - bound``.
    """

    x: FloatArray
    objective: float
    dual_ub: FloatArray
    dual_eq: FloatArray
    bound: float
    gap: float


def solve_lp(
    c: npt.ArrayLike,
    *,
    A_ub: Any = None,
    b_ub: Any = None,
    A_eq: Any = None,
    b_eq: Any = None,
    bounds: Sequence[tuple[float | None, float | None]] | tuple[float | None, float | None] = (0.0, None),
    tol: float = _GAP,
) -> LpSolution:
    r"""Minimise :math:`c^\top x` subject to :math:`A_{ub}x\le b_{ub}`, :math:`A_{eq}x=b_{eq}` and bounds, by HiGHS, and check the answer.

    With multipliers :math:`y\le0` and z, and :math:`r=c-A_{ub}^\top y-A_{eq}^\top z`, every feasible x has
    :math:`c^\top x\ge b_{ub}^\top y+b_{eq}^\top z+\sum_j\min_{l_j\le x_j\le u_j}r_jx_j`.

    Parameters
    ----------
    c : array-like of shape (n,)
        Costs.
    A_ub, b_ub, A_eq, b_eq : array-like, optional
        Rows and right-hand sides; sparse rows are accepted.
    bounds : pair or sequence of pairs, default=(0, None)
        Smallest and largest value of every variable; None for no limit. As in `scipy.optimize.linprog`, variables are not negative unless
        this says otherwise.
    tol : float, default=1e-7
        Largest gap accepted, relative to 1 plus the objective and the terms of the bound.

    Returns
    -------
    LpSolution

    Raises
    ------
    LinearProgramError
        Infeasible, unbounded, or solved with a larger gap.

    Examples
    --------
    >>> from algos.common.linear_programs import solve_lp
    >>> solution = solve_lp([1.0, 2.0], A_ub=[[-1.0, -1.0]], b_ub=[-1.0])
    >>> solution.x.tolist(), solution.objective, solution.dual_ub.tolist()
    ([1.0, 0.0], 1.0, [-1.0])
    """
    from scipy.optimize import linprog

    cost = np.asarray(c, dtype=np.float64)
    found = linprog(cost, A_ub=A_ub, b_ub=b_ub, A_eq=A_eq, b_eq=b_eq, bounds=bounds, method="highs")
    if found.status != 0 or found.x is None:
        status = {2: "infeasible", 3: "unbounded"}.get(found.status, "not solved")
        raise LinearProgramError(status, f"the linear program is {status}: {found.message.strip()}")
    x = np.asarray(found.x, dtype=np.float64)
    dual_ub = np.minimum(np.asarray(found.ineqlin.marginals, dtype=np.float64), 0.0)
    dual_eq = np.asarray(found.eqlin.marginals, dtype=np.float64)
    reduced = cost.copy()
    bound, terms = 0.0, 0.0
    for matrix, ends, dual in ((A_ub, b_ub, dual_ub), (A_eq, b_eq, dual_eq)):
        if matrix is not None and dual.size:
            reduced = reduced - dual @ (matrix if hasattr(matrix, "tocsr") else np.asarray(matrix, dtype=np.float64))
            part = dual * np.asarray(ends, dtype=np.float64)
            bound, terms = bound + float(part.sum()), terms + float(np.abs(part).sum())
    rest = _box_minimum(reduced, x, bounds, tol * (1.0 + float(np.max(np.abs(cost), initial=0.0))))
    objective = float(cost @ x)
    bound += rest
    gap = objective - bound
    if not gap <= tol * (1.0 + abs(objective) + terms):
        raise LinearProgramError("not solved", f"the solver's answer has a gap of {gap:.3g}; rescale the rows or the costs")
    return LpSolution(x, objective, dual_ub, dual_eq, bound, gap)


def _box_minimum(reduced: FloatArray, x: FloatArray, bounds: Any, negligible: float) -> float:
    """Return the least of ``reduced @ x`` in the box; where there is no limit, a negligible cost counts with the found x."""
    pairs = np.array([[-np.inf if low is None else low, np.inf if high is None else high] for low, high in _pairs(bounds, len(x))])
    low, high = pairs.reshape(len(x), 2).T
    end = np.where(reduced >= 0.0, low, high)
    end = np.where(np.isinf(end) & (np.abs(reduced) <= negligible), x, end)
    with np.errstate(invalid="ignore"):
        return float(np.sum(np.where(reduced == 0.0, 0.0, reduced * end)))


def _pairs(bounds: Any, n: int) -> list[tuple[float | None, float | None]]:
    if len(bounds) == 2 and not isinstance(bounds[0], tuple | list | np.ndarray):
        return [tuple(bounds)] * n
    return [tuple(pair) for pair in bounds]


@dataclass(frozen=True, eq=False)
class L1Solution:
    r"""The representation of least weighted l1 norm; unpacks into `nu` and `dual`.

    Attributes
    ----------
    nu : ndarray of shape (n,)
        Coefficients, at most as many of them different from zero as W has rows.
    dual : ndarray of shape (k,)
        Proof: no entry of ``W.T @ dual`` exceeds its weight in size, and ``w @ dual`` is the objective.
    objective : float
        :math:`\sum_t v_t|\nu_t|`.
    """

    nu: FloatArray
    dual: FloatArray
    objective: float

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.nu, self.dual))


def l1_minimize(W: npt.ArrayLike, w: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> L1Solution:
    r"""Minimise :math:`\sum_tv_t|\nu_t|` over :math:`W\nu=w`, and return the dual vector that proves the optimum, too.

    Parameters
    ----------
    W : array-like of shape (k, n)
        Columns to combine.
    w : array-like of shape (k,)
        Vector to represent.
    weights : array-like of shape (n,), optional
        Positive costs v; ones by default.

    Returns
    -------
    L1Solution

    Raises
    ------
    LinearProgramError
        w is no combination of the columns; the message has its distance from them.
    ValueError
        Shapes that do not fit, numbers that are not finite, or weights that are not positive.

    Notes
    -----
    A linear program with 2 n variables and k rows. Rows are divided by their largest entry, and w by its own, so that units do not
    matter.

    Examples
    --------
    >>> from algos.common.linear_programs import l1_minimize
    >>> nu, dual = l1_minimize([[1.0, 0.0, 0.6], [0.0, 1.0, 0.6]], [1.0, 1.0])
    >>> nu.round(9).tolist(), float(dual.sum().round(9))
    ([0.0, 0.0, 1.666666667], 1.666666667)
    """
    columns = np.asarray(canonical_array(W, name="W"), dtype=np.float64)
    k, n = columns.shape
    target, cost = _vector(w, k, "w"), np.ones(n) if weights is None else _vector(weights, n, "weights")
    if not np.all(cost > 0.0):
        raise ValueError(f"weights has the entry {cost.min():g}; all must be positive")
    unit = float(np.max(np.abs(target), initial=0.0)) or 1.0
    rows = np.max(np.abs(columns), axis=1)
    rows[rows == 0.0] = 1.0
    dear = float(cost.max())
    scaled, goal = columns / rows[:, None], target / rows / unit
    size = float(np.max(np.abs(goal), initial=0.0)) or 1.0
    goal /= size
    try:
        solved = solve_lp(np.tile(cost / dear, 2), A_eq=np.hstack([scaled, -scaled]), b_eq=goal)
    except LinearProgramError as error:
        if error.status != "infeasible":
            raise
        nearest = columns @ np.linalg.lstsq(columns, target, rcond=None)[0]
        distance = float(np.linalg.norm(target - nearest))
        raise LinearProgramError("infeasible", f"w is no combination of the columns of W; it is {distance:.3g} away from them") from error
    nu = (solved.x[:n] - solved.x[n:]) * size * unit + 0.0  # no negative zeros
    return L1Solution(nu, solved.dual_eq * dear / rows, float(cost @ np.abs(nu)))


@dataclass(frozen=True, eq=False)
class ChebyshevFit:
    """Coefficients with the least maximal error.

    Attributes
    ----------
    coef : ndarray of shape (d,)
    residual : float
        Largest error of `coef`, computed from it.
    bound : float
        No coefficients (in the box) have a smaller largest error.
    dual : ndarray of shape (n,)
        Its proof: the sizes add up to at most 1, and ``dual @ y`` minus R times the l1 norm of ``A.T @ dual`` is the bound.
    """

    coef: FloatArray
    residual: float
    bound: float
    dual: FloatArray


def chebyshev_fit(A: npt.ArrayLike, y: npt.ArrayLike, *, R: float | None = None) -> ChebyshevFit:
    r"""Minimise :math:`\max_i|\langle a_i,w\rangle-y_i|` over all w, or over :math:`\|w\|_\infty\le R`.

    Parameters
    ----------
    A : array-like of shape (n, d)
        Rows.
    y : array-like of shape (n,)
        Values to fit.
    R : float, optional
        Largest size of a coefficient; no limit by default.

    Returns
    -------
    ChebyshevFit

    Raises
    ------
    LinearProgramError
        The solver's answer failed its check.
    ValueError
        Shapes that do not fit, numbers that are not finite, or R that is not positive.

    Notes
    -----
    A linear program with d + 1 variables and 2 n rows; columns and y are divided by their largest entries first.

    Examples
    --------
    >>> from algos.common.linear_programs import chebyshev_fit
    >>> fit = chebyshev_fit([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [0.0, 1.0, 0.0])
    >>> fit.coef.round(9).tolist(), round(fit.residual, 9), round(fit.bound, 9)
    ([0.5, 0.0], 0.5, 0.5)
    """
    rows = np.asarray(canonical_array(A, name="A"), dtype=np.float64)
    n, d = rows.shape
    values = _vector(y, n, "y")
    if R is not None and not 0.0 < R < math.inf:
        raise ValueError(f"R={R!r} must be positive and finite; leave it out for no limit")
    unit = float(np.max(np.abs(values))) or 1.0
    sizes = np.max(np.abs(rows), axis=0)
    sizes[sizes == 0.0] = 1.0
    scaled, ends = rows / sizes, values / unit
    limits = [(None, None)] * d if R is None else [(-R * size / unit, R * size / unit) for size in sizes.tolist()]
    ones = np.ones((n, 1))
    solved = solve_lp(
        np.append(np.zeros(d), 1.0),
        A_ub=np.block([[scaled, -ones], [-scaled, -ones]]),
        b_ub=np.append(ends, -ends),
        bounds=[*limits, (0.0, None)],
    )
    coef = solved.x[:d] * unit / sizes + 0.0
    dual = solved.dual_ub[:n] - solved.dual_ub[n:]
    return ChebyshevFit(coef, float(np.max(np.abs(rows @ coef - values))), max(solved.bound, 0.0) * unit, dual)


def _vector(values: npt.ArrayLike, n: int, name: str) -> FloatArray:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (n,):
        raise ValueError(f"{name} has shape {vector.shape}, expected {(n,)}")
    if not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} has an entry that is not finite; give finite numbers")
    return vector
