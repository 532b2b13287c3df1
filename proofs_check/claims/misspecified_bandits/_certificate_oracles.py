"""Certificates and misfits by one linear program for every support and action: slow, and independent of what they are compared with."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_TIGHT: Any = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def _slack(given: FloatArray) -> FloatArray:
    """Return what a certificate allows each answer for rounding."""
    return np.asarray(1e-9 * (1.0 + np.abs(given)))


def _maximum(c: FloatArray, rows: FloatArray, given: FloatArray, eps: float, R: float) -> tuple[float, FloatArray]:
    """Return the largest <c, w> of a model that agrees with the answers, and the model; -inf if there is none."""
    from scipy.optimize import linprog

    reach = eps * (1.0 + 1e-6) + _slack(given)
    limits = np.concatenate([given + reach, reach - given])
    program = linprog(-c, A_ub=np.vstack([rows, -rows]), b_ub=limits, bounds=[(-R, R)] * c.size, method="highs", options=_TIGHT)
    if program.x is None or program.fun is None:
        return -np.inf, np.zeros(c.size)
    return float(-program.fun), np.array(program.x)


def _supports(d: int, s: int) -> list[list[int]]:
    return [list(support) for support in itertools.combinations(range(d), s)]


def extreme_model(
    X: FloatArray, asked: Any, given: FloatArray, s: int, eps: float, R: float, action: FloatArray
) -> tuple[list[int], FloatArray]:
    """Return the support and the coefficients of the model with the largest prediction for an action."""
    found = [(*_maximum(action[support], X[asked][:, support], given, eps, R), support) for support in _supports(X.shape[1], s)]
    _, coef, support = max(found, key=lambda entry: entry[0])
    return support, coef


def certificate(X: FloatArray, asked: Any, given: FloatArray, s: int, eps: float, R: float) -> float:
    """Return the certificate of the best observed action; NaN if no model agrees with the answers."""
    unseen = np.setdiff1d(np.arange(len(X)), asked)
    best = -np.inf
    for support in _supports(X.shape[1], s):
        rows = X[asked][:, support]
        if _maximum(np.zeros(s), rows, given, eps, R)[0] == -np.inf:
            continue
        best = max([best, *(_maximum(X[a, support], rows, given, eps, R)[0] for a in unseen)])
    return float("nan") if best == -np.inf else max(0.0, best + eps - float(given.max()))


def least_misfit(X: FloatArray, asked: Any, given: FloatArray, s: int, R: float) -> tuple[float, list[int], FloatArray]:
    """Return the least misfit over all supports, with its support and coefficients."""
    from scipy.optimize import linprog

    found: list[tuple[float, list[int], FloatArray]] = []
    slack = _slack(given)
    for support in _supports(X.shape[1], s):
        rows, one = X[asked][:, support], np.ones((len(given), 1))
        table = np.block([[rows, -one], [-rows, -one]])
        limits = np.concatenate([given + slack, slack - given])
        bounds = [(-R, R)] * s + [(0.0, None)]
        program = linprog(np.append(np.zeros(s), 1.0), A_ub=table, b_ub=limits, bounds=bounds, method="highs", options=_TIGHT)
        assert program.x is not None
        assert program.fun is not None
        found.append((float(program.fun), support, np.array(program.x[:s])))
    return min(found, key=lambda entry: entry[0])
