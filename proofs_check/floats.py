r"""Rounding: how large a residual may honestly be, and how to tell rounding from falsehood.

A tolerance is never a bare number. It is a :class:`~proofs_check.model.FloatBudget`: an operation count, a condition number, a scale and
a reason. When a residual exceeds its budget the *precision ladder* evaluates it again in other precisions. Rounding errors shrink with
the unit roundoff, a false identity does not.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from proofs_check.model import FloatBudget, Instance, Outcome

__all__ = ["LEVELS", "Climb", "available_levels", "climb", "gamma", "tolerance", "unit_roundoff"]

Level: TypeAlias = Literal["float32", "float64", "longdouble", "mpmath"]

#: Precisions from coarse to fine; ``mpmath`` means 50 decimal digits.
LEVELS: tuple[Level, ...] = ("float32", "float64", "longdouble", "mpmath")

_MPMATH_DIGITS = 50
# An exponent of one is rounding, of zero falsehood; measured true identities lie within .99..1.01, false ones at .00 on fine levels.
_ROUNDING_FROM = 0.8
_FALSE_UP_TO = 0.2
_FINE: tuple[Level, ...] = ("longdouble", "mpmath")


def unit_roundoff(level: Level = "float64") -> float:
    """Half of the distance from one to the next number.

    Parameters
    ----------
    level : {"float32", "float64", "longdouble", "mpmath"}, default="float64"
        Precision.

    Returns
    -------
    float

    Examples
    --------
    >>> unit_roundoff("float64") == 2.0**-53
    True
    """
    if level == "mpmath":
        return 0.5 * 10.0 ** (1 - _MPMATH_DIGITS)
    if level not in LEVELS:
        raise ValueError(f"level={level!r}: choose one of {', '.join(LEVELS)}")
    return float(np.finfo(np.dtype(level)).eps) / 2.0


def gamma(k: Any, unit: float = 2.0**-53) -> Any:
    r"""Classical bound on the relative error of ``k`` roundings in a row.

    .. math:: \gamma_k = \frac{k u}{1 - k u}

    Parameters
    ----------
    k : int or ndarray
        Number of operations one behind the other: ``n`` for a plain sum of ``n`` terms, about ``log2(n) + 1`` for a pairwise one.
    unit : float, default=2**-53
        Unit roundoff ``u``.

    Returns
    -------
    float or ndarray

    Raises
    ------
    ValueError
        If ``k < 0`` or ``k u >= 1``, where the bound says nothing.

    Examples
    --------
    >>> gamma(1) > 2.0**-53
    True
    """
    ku = np.asarray(k, dtype=np.float64) * unit
    if not np.all((ku >= 0.0) & (ku < 1.0)):
        raise ValueError(f"k={k!r} operations with unit roundoff {unit:.3g}: need 0 <= k u < 1; use a finer precision or a shorter sum")
    bound = ku / (1.0 - ku)
    return float(bound) if bound.ndim == 0 else bound


def tolerance(budget: FloatBudget, instance: Instance, outcome: Outcome, unit: float = 2.0**-53) -> Any:
    r"""Largest residual that rounding can explain: :math:`\gamma_k \cdot \mathrm{cond} \cdot \mathrm{scale}`.

    Parameters
    ----------
    budget : FloatBudget
        Operation count, condition number and scale: numbers, or functions of the instance and the outcome.
    instance, outcome : Instance, Outcome
        The trial at hand. A condition number that the outcome reports multiplies a *number* in the budget; a function sees it anyway.
    unit : float, default=2**-53
        Unit roundoff of the precision in which the trial ran.

    Returns
    -------
    float or ndarray
        An array where one of the three is one (a statement per iterate).

    Raises
    ------
    ValueError
        If a factor is negative or not finite, or ``k * unit >= 1``.
    """
    k, cond, scale = (part(instance, outcome) if callable(part) else part for part in (budget.k, budget.cond, budget.scale))
    if not callable(budget.cond):
        cond = cond * outcome.cond
    for name, value in (("k", k), ("cond", cond), ("scale", scale)):
        if not np.all(np.isfinite(value)) or np.any(np.asarray(value) < 0):
            raise ValueError(f"float budget: {name}={value!r} must be finite and nonnegative; check the functions of the budget")
    return gamma(k, unit) * cond * scale


@dataclass(frozen=True, slots=True)
class Climb:
    r"""What the precision ladder saw.

    Attributes
    ----------
    levels, residuals : tuple
        Precisions that were evaluated, coarse to fine, and the residual in each.
    slope : float
        :math:`s = \ln(r_\text{fine}/r_\text{coarse}) / \ln(u_\text{fine}/u_\text{coarse})` on the two finest levels; ``inf`` where
        the finest residual vanishes, ``nan`` when fewer than two levels were available.
    verdict : {"refuted", "budget", "unclear"}
        ``"budget"`` from .8 upwards: rounding, so that the budget was too small; ``"refuted"`` up to .2; between, or without a precision
        finer than double, ``"unclear"``.
    """

    levels: tuple[Level, ...]
    residuals: tuple[float, ...]
    slope: float
    verdict: Literal["refuted", "budget", "unclear"]

    def describe(self) -> str:
        """One line for a reader."""
        steps = ", ".join(f"{level} {value:.2g}" for level, value in zip(self.levels, self.residuals, strict=True))
        return f"residuals {steps}; slope {self.slope:.2f}: {self.verdict}"


def available_levels(levels: Sequence[Level] = LEVELS) -> tuple[Level, ...]:
    """Precisions that exist on this machine, coarse to fine.

    ``longdouble`` is left out where it equals ``float64``, ``mpmath`` where the package is absent.

    Parameters
    ----------
    levels : sequence of str, default=LEVELS
        Precisions in which the caller can evaluate.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> available_levels(("float32", "float64"))
    ('float32', 'float64')
    """
    from importlib.util import find_spec

    present = []
    for level in LEVELS:
        if level not in levels:
            continue
        if level == "longdouble" and unit_roundoff(level) >= unit_roundoff("float64"):
            continue
        if level == "mpmath" and find_spec("mpmath") is None:
            continue
        present.append(level)
    return tuple(present)


def climb(residual: Callable[[Level], float] | Mapping[Level, float], levels: Sequence[Level] = LEVELS) -> Climb:
    """Evaluate a residual in several precisions until it is clear whether it is rounding.

    Starts with float32, float64 and long double, as far as they exist, and climbs to 50 digits only if these leave it open or long
    double adds nothing to double. Only the two finest levels are compared: coarse ones hide small falsehoods behind their rounding.
    Without a level finer than double the verdict is "unclear".

    Parameters
    ----------
    residual : callable or mapping
        Maps a level's name to a nonnegative residual of the *same* float64 instance evaluated in that precision. Under ``"mpmath"`` the
        working precision is set to 50 digits by this function. A level that it cannot do is absent
        from a mapping, and raises :class:`NotImplementedError` in a function.
    levels : sequence of str, default=LEVELS
        Precisions to consider.

    Returns
    -------
    Climb

    Notes
    -----
    A residual that is infinite or not a number in some precision says nothing there; that level is left out.

    Examples
    --------
    >>> climb(lambda level: 7.0 * unit_roundoff(level)).verdict
    'budget'
    >>> climb(lambda level: 6e-7 + unit_roundoff(level)).verdict
    'refuted'
    """
    seen: list[tuple[Level, float]] = []
    for level in available_levels(levels):
        value = _evaluate(residual, level)
        if value is None:
            continue
        seen.append((level, value))
        if level in _FINE and _judge(seen).verdict != "unclear":
            break
    return _judge(seen)


def _evaluate(residual: Callable[[Level], float] | Mapping[Level, float], level: Level) -> float | None:
    if isinstance(residual, Mapping):
        value = float(residual.get(level, math.nan))
        return abs(value) if math.isfinite(value) else None
    try:
        if level == "mpmath":
            import mpmath

            with mpmath.workdps(_MPMATH_DIGITS):
                value = float(residual(level))
        else:
            value = float(residual(level))
    except NotImplementedError:
        return None
    return abs(value) if math.isfinite(value) else None


def _judge(seen: Sequence[tuple[Level, float]]) -> Climb:
    levels = tuple(level for level, _ in seen)
    residuals = tuple(value for _, value in seen)
    if len(seen) < 2 or levels[-1] not in _FINE:
        return Climb(levels, residuals, math.nan, "unclear")
    exponent = _exponent(*seen[-2], *seen[-1])
    if exponent >= _ROUNDING_FROM:
        return Climb(levels, residuals, exponent, "budget")
    return Climb(levels, residuals, exponent, "refuted" if exponent <= _FALSE_UP_TO else "unclear")


def _exponent(coarse: Level, r_coarse: float, fine: Level, r_fine: float) -> float:
    if r_fine == 0.0:
        return math.inf
    if r_coarse == 0.0:
        return math.nan  # exact by luck in the coarse precision: neither rounding nor proof of falsehood
    return math.log(r_fine / r_coarse) / math.log(unit_roundoff(fine) / unit_roundoff(coarse))
