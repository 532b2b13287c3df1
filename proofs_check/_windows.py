"""Statements about medians: an ordering of two methods, or the slope of an error over a window of sizes.

Both are judged by the sign e-process, whose repetitions are independent whatever happens inside one of them. A slope is a statement about
the *median slope over the declared window*: no window excludes a later change, hence the guards, which apply to acceptance and to
refutation alike.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from proofs_check import evalues
from proofs_check.model import Claim, ClaimDefinitionError, Part, Tier

__all__ = ["guards", "sign_evidence", "sizes_of", "slopes"]

# A slope must be within this of the claimed exponent to be accepted; refutation starts at a third of it (both one-sided).
_SLOPE_MARGIN = 0.15
_MIN_SIZES, _MIN_SPAN = 6, 32.0
_CURVATURE = 0.05
_STABILITY = 0.05
# Guards are read at these numbers of repetitions only, at levels that sum to 5 %: a guard that may be read until it passes guards nothing.
_GUARD_LOOKS = (13, 24, 32, 48, 64, 96, 128, 192, 256)
_GUARD_ERROR = 0.05
# Below this many float budgets an error is rounding, and its slope says nothing.
_FLOOR_BUDGETS = 100.0
# An error that a solver may have missed by more than this share of itself is the solver's as much as the method's.
_GAP_SHARE = 0.1


def sign_evidence(claim: Claim, tier: Tier, part: Part, values: Sequence[float]) -> tuple[float, float]:
    """Log evidence against the statement and against its negation by the margin.

    Parameters
    ----------
    claim : Claim
        An order or a rate claim.
    tier : str
        Decides the window of sizes.
    part : Part
        The part that the values belong to.
    values : sequence of float
        Differences, one per repetition; or errors, one per size and repetition. A repetition with a ``nan`` is void: no event on either
        side, which spares the claim and does not help it.

    Returns
    -------
    tuple of float
        ``(ln R, ln A)``.
    """
    against, in_favour, n = _order_events(claim, part, values) if claim.kind == "order" else _rate_events(claim, tier, part, values)
    return float(evalues.log_sign(against, n)), float(evalues.log_sign(in_favour, n))


def sizes_of(claim: Claim, tier: Tier, part: Part) -> NDArray[np.float64]:
    """Sizes of the window: the tier's, or the entry ``sizes`` of the grid point."""
    sizes = claim.tiers[tier].sizes
    if not sizes:
        family = next(family for family in claim.families if family.name == part.family)
        sizes = family.grid[part.instance].get("sizes", ())
    if len(sizes) < 2:
        raise ClaimDefinitionError(f"{claim.id}: no window of sizes; give `sizes` in the tier's Budget or in the grid point")
    return np.asarray(sizes, dtype=np.float64)


def slopes(values: Sequence[float], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares slope of log error against log size, one per repetition."""
    return _log_errors(values, sizes) @ _slope_weights(sizes)


def guards(claim: Claim, tier: Tier, part: Part, values: Sequence[float], gaps: Sequence[float] = ()) -> Mapping[str, Any]:
    """Measure what could fake a slope, and say which guard did not pass.

    Parameters
    ----------
    claim, tier, part, values
        As in :func:`sign_evidence`.
    gaps : sequence of float
        What the solver behind each error may have missed (``aux["optimisation_gap"]``); empty where no solver is involved.

    Returns
    -------
    mapping
        ``sizes``, ``slope`` (median), ``slope_interval`` (99 % t interval of the mean, for display), ``curvature`` (t interval of the
        quadratic coefficient; all readings together err with probability 5 %), ``stability`` (change of the mean slope without the
        smallest size), ``medians`` (error at each size), ``gap_share`` (largest gap over its error, nan without gaps) and ``failed``
        (empty when all passed).
    """
    sizes = sizes_of(claim, tier, part)
    found: dict[str, Any] = {"sizes": tuple(sizes.tolist()), "failed": ""}
    if len(sizes) < _MIN_SIZES or sizes.max() / sizes.min() < _MIN_SPAN:
        found["failed"] = (
            f"the window of {len(sizes)} sizes spanning {sizes.max() / sizes.min():.3g} is too short; 6 sizes spanning 32 are needed"
        )
        return found
    logs = _log_errors(values, sizes)
    usable = np.all(np.isfinite(logs), axis=1)
    shares = np.asarray(gaps, dtype=np.float64).reshape(-1, len(sizes))[usable] / np.exp(logs[usable]) if len(gaps) else None
    logs = logs[usable]
    readings = [count for count in _GUARD_LOOKS if count <= len(logs)]
    if not readings:
        found["failed"] = f"{len(logs)} usable repetitions give the guards no power; the first reading comes after {_GUARD_LOOKS[0]}"
        return found
    logs = logs[: readings[-1]]
    level = 1.0 - 0.5 * _GUARD_ERROR * 6.0 / (math.pi * len(readings)) ** 2
    slope = logs @ _slope_weights(sizes)
    curvature = _t_interval(logs @ _curvature_weights(sizes), level)
    stability = float(np.mean(logs[:, 1:] @ _slope_weights(sizes[1:])) - np.mean(slope))
    found |= {
        "slope": float(np.median(slope)),
        "slope_interval": _t_interval(slope, 0.995),
        "curvature": curvature,
        "stability": stability,
        "medians": tuple(np.exp(np.median(logs, axis=0)).tolist()),
        "gap_share": math.nan if shares is None else float(shares[: readings[-1]].max()),
    }
    floor = _floor(claim)
    if max(abs(curvature[0]), abs(curvature[1])) > _CURVATURE:
        found["failed"] = f"curvature [{curvature[0]:.3f}, {curvature[1]:.3f}] is not inside [-{_CURVATURE}, {_CURVATURE}]"
    elif abs(stability) > _STABILITY:
        found["failed"] = f"without the smallest size the slope moves by {stability:+.3f}"
    elif math.exp(float(logs.min())) < floor:
        found["failed"] = f"errors down to {math.exp(float(logs.min())):.2g} reach the floor of rounding, {floor:.2g}"
    elif found["gap_share"] >= _GAP_SHARE:
        found["failed"] = f"a solver may have missed {found['gap_share']:.0%} of an error that it measured; ask it for a tenth at most"
    return found


def _order_events(claim: Claim, part: Part, values: Sequence[float]) -> tuple[int, int, int]:
    differences = np.asarray(values, dtype=np.float64)
    lead = 0.0
    if claim.bound is not None:
        family = next(family for family in claim.families if family.name == part.family)
        lead = float(claim.bound.value(family.grid[part.instance], part.level))
    margin = claim.rule.margin
    concession = margin.size if margin is not None and margin.kind == "add" else 0.0
    # Strict on both sides: a tie neither refutes "at least as good" nor helps to accept it.
    return int(np.sum(differences < lead)), int(np.sum(differences > lead - concession)), len(differences)


def _rate_events(claim: Claim, tier: Tier, part: Part, values: Sequence[float]) -> tuple[int, int, int]:
    if claim.bound is None:
        raise ClaimDefinitionError(f"{claim.id}: a rate claim needs its exponent; pass a bound that returns it")
    family = next(family for family in claim.families if family.name == part.family)
    exponent = float(claim.bound.value(family.grid[part.instance], part.level))
    margin = claim.rule.margin.size if claim.rule.margin is not None else _SLOPE_MARGIN
    excess = slopes(values, sizes_of(claim, tier, part)) + exponent
    if claim.bound.sense == ">=":
        excess = -excess
    return int(np.sum(excess > margin / 3.0)), int(np.sum(excess < margin)), len(excess)


def _log_errors(values: Sequence[float], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    errors = np.asarray(values, dtype=np.float64).reshape(-1, len(sizes))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(errors)


def _slope_weights(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.log(sizes)
    x = x - x.mean()
    return np.asarray(x / (x @ x))


def _curvature_weights(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.log(sizes)
    return np.asarray(np.linalg.pinv(np.vander(x - x.mean(), 3))[0])


def _t_interval(sample: NDArray[np.float64], level: float) -> tuple[float, float]:
    half = float(stdtrit(len(sample) - 1, level)) * float(np.std(sample, ddof=1)) / math.sqrt(len(sample))
    return float(np.mean(sample)) - half, float(np.mean(sample)) + half


def _floor(claim: Claim) -> float:
    budget = claim.rule.budget
    if budget is None or callable(budget.k) or callable(budget.cond) or callable(budget.scale):
        return 0.0
    from proofs_check.floats import gamma

    return _FLOOR_BUDGETS * float(gamma(budget.k)) * budget.cond * budget.scale
