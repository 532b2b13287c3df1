"""Comparing one measured value with its bound: slack, violation, and the recheck that tells a false statement from rounding."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from proofs_check import floats
from proofs_check.model import FloatBudget, Instance, Interval, Outcome, Sense

# An excess this many times its budget cannot be blamed on a miscounted operation: an operation count is not wrong by a million.
GROSS = 2.0**20
# An inequality that is missed by more than this many budgets is false without a second look.
CLEAR = 8.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcome of comparing one value with one bound."""

    slack: float
    verdict: Literal["holds", "refuted", "budget", "unclear"] = "holds"
    slope: float | None = None
    measured: float = 0.0
    bound: float = 0.0


def low(value: Any) -> Any:
    """Return the lower end of a bracket, or the value itself."""
    return value.lo if isinstance(value, Interval) else value


def high(value: Any) -> Any:
    """Return the upper end of a bracket, or the value itself."""
    return value.hi if isinstance(value, Interval) else value


def ratios(measured: Any, bound: Any, at_zero: float = 1.0) -> np.ndarray:
    """Return measured/bound for a statement "measured <= bound": 1 is tight, above 1 violated, whatever the signs.

    Examples
    --------
    >>> ratios([1, -2, 0, 1], [2, -1, 0, 0]).tolist()
    [0.5, 0.5, 1.0, inf]
    """
    if isinstance(bound, float) and 0.0 < bound < np.inf:  # the usual case, and the inner loop of counting claims
        return np.asarray(np.maximum(np.asarray(measured, dtype=np.float64), 0.0) / bound)
    x, b = np.broadcast_arrays(np.asarray(measured, dtype=np.float64), np.asarray(bound, dtype=np.float64))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        positive = np.maximum(x, 0.0) / b
        negative = np.where(x < 0, b / x, np.inf)
        zero = np.where(x > 0, np.inf, np.where(x == 0, at_zero, 0.0))
    positive = np.where(np.isposinf(b), 0.0, positive)
    return np.where(b > 0, positive, np.where(b < 0, negative, zero))


def exceeds(measured: Any, bound: Any, sense: Sense) -> tuple[bool, bool]:
    """Tell whether a value surely, and whether it possibly, lies on the wrong side of its bound (a bracket makes them differ)."""
    if sense == ">=":
        return bool(np.any(high(measured) < low(bound))), bool(np.any(low(measured) < high(bound)))
    return bool(np.any(low(measured) > high(bound))), bool(np.any(high(measured) > low(bound)))


def compare(
    outcome: Outcome, bound: Any, sense: Sense, budget: FloatBudget | None, instance: Instance, repeat: Callable[[str], float] | None
) -> Comparison:
    """Judge one deterministic trial.

    Parameters
    ----------
    outcome : Outcome
        What was measured; ``outcome.reference`` is replaced by the bound before the float budget sees it.
    bound : number, array or Interval
        The other side.
    sense : {"<=", ">=", "=="}
        Statement.
    budget : FloatBudget or None
        Rounding allowed in the excess; without one the comparison is exact.
    instance : Instance
        For the budget.
    repeat : callable or None
        ``repeat(level)`` gives the excess when the trial is repeated in another precision.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        A value that is not a number.
    """
    sharp = _excess(outcome.value, bound, sense, sure=True)
    allowed = 0.0 if budget is None else floats.tolerance(budget, instance, replace(outcome, reference=bound))
    excess, tolerance = np.broadcast_arrays(np.asarray(sharp, dtype=np.float64), np.asarray(allowed, dtype=np.float64))
    slack = _slacks(outcome.value, bound, sense, excess, tolerance)
    if np.isnan(excess).any() or np.isnan(slack).any():
        raise ValueError(f"the comparison of {_short(outcome.value)} with {_short(bound)} is not a number; return numbers that are defined")
    over = excess > tolerance
    at = int(np.argmax(np.where(over, excess, -np.inf) if over.any() else slack))
    result = Comparison(float(slack.max()), measured=_at(high(outcome.value), at), bound=_at(low(bound), at))
    if not over.any():
        possible = _excess(outcome.value, bound, sense, sure=False)
        return replace(result, verdict="unclear") if np.any(np.asarray(possible, dtype=np.float64) > tolerance) else result
    if (excess > (GROSS if sense == "==" else CLEAR) * tolerance).any():
        return replace(result, verdict="refuted")
    if repeat is None:
        return replace(result, verdict="unclear")
    climb = floats.climb(repeat)
    slope = climb.slope if np.isfinite(climb.slope) else None
    return replace(result, verdict=climb.verdict, slope=slope)


def audit(
    found: Comparison,
    outcome: Outcome,
    bound: Any,
    budget: FloatBudget | None,
    instance: Instance,
    repeat: Callable[[str], float],
) -> Comparison:
    """Look behind an identity that holds: repeat the trial in finer precision against the tolerance of *that* precision.

    A falsehood smaller than the rounding of double precision hides in its tolerance; in a finer one it stays while the tolerance shrinks.

    Parameters
    ----------
    found : Comparison
        What double precision said; returned unchanged unless the finer precision refutes.
    outcome, bound, budget, instance, repeat
        As in :func:`compare`.
    """
    climb = floats.climb(repeat)
    if found.verdict != "holds" or climb.verdict != "refuted" or budget is None:
        return found
    unit = floats.unit_roundoff(climb.levels[-1])
    allowed = float(np.max(floats.tolerance(budget, instance, replace(outcome, reference=bound), unit)))
    if climb.residuals[-1] <= CLEAR * allowed:
        return found
    return replace(found, verdict="refuted", slope=climb.slope)


def _excess(value: Any, bound: Any, sense: Sense, *, sure: bool) -> Any:
    """How far the value lies on the wrong side (of the nearer ends of brackets when ``sure``); exact for rationals."""
    near, far = (low, high) if sure else (high, low)
    if sense == "<=":
        return _minus(near(value), far(bound))
    if sense == ">=":
        return _minus(near(bound), far(value))
    above, below = _minus(near(value), far(bound)), _minus(near(bound), far(value))
    return np.maximum(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))


def _minus(a: Any, b: Any) -> Any:
    if isinstance(a, int | Fraction) and isinstance(b, int | Fraction):
        gap = Fraction(a) - Fraction(b)
        return float(gap) or (0.0 if gap == 0 else np.copysign(5e-324, float(gap.numerator > 0) - 0.5))
    with np.errstate(invalid="ignore"):
        return np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)


def _slacks(value: Any, bound: Any, sense: Sense, excess: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    if sense == "==":
        return ratios(np.maximum(excess, 0.0), tolerance, at_zero=0.0)
    return ratios(high(value), low(bound)) if sense == "<=" else ratios(high(bound), low(value))


def _at(value: Any, index: int) -> float:
    flat = np.asarray(value, dtype=np.float64).ravel()
    return float(flat[index]) if index < flat.size else float(flat[-1])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
