"""Betting on means: what a block adds to the evidence of an expectation claim."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from proofs_check import evalues
from proofs_check.model import Claim, Instance, Tier

__all__ = ["log_wealth", "wealth_evidence"]

Bets = tuple[float, ...]


def log_wealth(claim: Claim, tier: Tier, x: Any, b: float, instance: Instance | None = None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Log wealth of the bets of one block for the statement "the mean of x is at most b" (or at least, or equal, by the bound's sense).

    Parameters
    ----------
    claim : Claim
        Gives sense, envelope ``(lo, hi)`` and margin.
    tier : str
        Unused today; larger tiers keep the margin that the claim declares, since a mean has no natural odds.
    x : array_like of float
        Values of the trials; ``nan`` marks a void one, which counts as the most harmless value for ``R`` and the most harmful for ``A``.
    b : float
        Bound on the mean, evaluated before the trials.
    instance : Instance, optional
        Named in error messages.

    Returns
    -------
    tuple of two tuples of float
        For ``R`` and for ``A``: sixteen numbers each, thirty-two for a two-sided claim (upper bets first). Empty where no bet exists:
        ``R`` without a finite proved extreme on its side, ``A`` without one on the other side or without a declared margin.

    Raises
    ------
    ValueError
        If a value lies beyond the envelope by more than rounding.
    """
    lo, hi = claim.rule.envelope if claim.rule.envelope is not None else (-math.inf, math.inf)
    sense = claim.sense
    values = _clipped(np.atleast_1d(np.asarray(x, dtype=np.float64)), lo, hi, instance)
    step = _mean_margin(claim, b)
    refute: list[Bets] = []
    accept: list[Bets] = []
    impossible = 0
    # A bound beyond the envelope is false at every value: the mirror image of the end is proved too, and pays 1 + c or more each time.
    if sense in ("<=", "=="):
        refute.append(_bets(values, null=b, extreme=min(lo, 2.0 * b - lo), side=1))
        accept.append(_bets(values, null=b + step, extreme=hi, side=-1))
        impossible += b + step > hi
    if sense in (">=", "=="):
        refute.append(_bets(values, null=b, extreme=max(hi, 2.0 * b - hi), side=-1))
        accept.append(_bets(values, null=b - step, extreme=lo, side=1))
        impossible += b - step < lo
    # A mean beyond the envelope needs no evidence against it: the other side of an equality decides alone.
    silent = sum(not bets for bets in accept)
    complete = silent == 0 or silent == impossible < len(accept)
    return sum(refute, ()), sum(accept, ()) if complete else ()


def wealth_evidence(wealth: Sequence[tuple[float, ...]], *, both_needed: bool) -> float:
    """Log e-value of the blocks' summed log wealth.

    Parameters
    ----------
    wealth : sequence of tuple of float
        One entry per block; sixteen or, two-sided, thirty-two numbers.
    both_needed : bool
        Two-sided acceptance takes the smaller side, two-sided refutation the mixture of both.

    Returns
    -------
    float
    """
    if not wealth:
        return 0.0
    total = [math.fsum(column) for column in zip(*wealth, strict=True)]
    bets = len(evalues.BETS)
    if len(total) == 2 * bets and both_needed:
        return min(evalues.grid_log_e(total[:bets]), evalues.grid_log_e(total[bets:]))
    return evalues.grid_log_e(total)


def _bets(values: NDArray[np.float64], *, null: float, extreme: float, side: Literal[-1, 1]) -> Bets:
    """Bet against "the mean is at most null" (side 1, nothing lies below ``extreme``) or "at least null" (side -1, nothing above)."""
    if not math.isfinite(extreme) or not math.isfinite(null) or side * (null - extreme) <= 0:
        return ()
    filled = np.where(np.isnan(values), extreme, values)
    return tuple(evalues.betting_log_wealth(filled, null=null, extreme=extreme).tolist())


def _clipped(values: NDArray[np.float64], lo: float, hi: float, instance: Instance | None) -> NDArray[np.float64]:
    # Eight roundings at the size of the envelope: a value computed as a mean or a ratio may overshoot its proved bound by this, no more.
    size = max(abs(end) for end in (lo, hi) if math.isfinite(end)) if math.isfinite(lo) or math.isfinite(hi) else 0.0
    slip = 8 * 2.0**-53 * max(size, 2.0**-1000)
    outside = (values < lo - slip) | (values > hi + slip)
    if np.any(outside):
        where = "" if instance is None or instance.key is None else f" on {instance.key.family}[{instance.key.index}]"
        raise ValueError(
            f"value {float(values[outside][0])!r}{where} lies outside the declared envelope [{lo:g}, {hi:g}]; correct the envelope"
        )
    return np.clip(values, lo, hi)


def _mean_margin(claim: Claim, b: float) -> float:
    margin = claim.rule.margin
    if margin is None or margin.kind == "odds":
        return math.nan
    return margin.size if margin.kind == "add" else abs(b) * (margin.size - 1.0)
