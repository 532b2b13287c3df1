"""The judge on trial: exact error rates and stopping times of the counting rule, and of checkers that are broken on purpose.

Everything here is a dynamic programme over (trials, failures), not a simulation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofs_check import evalues

__all__ = ["Calibration", "StoppingLaw", "broken_checkers", "calibrate", "peeking_error", "stopping_law"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoppingLaw:
    """Exact law of the first decision about one part.

    Attributes
    ----------
    looks : ndarray of int64
        Numbers of trials at which the part is looked at.
    refuted, accepted : ndarray of float64
        Probability that the decision falls at that look.
    """

    looks: Int
    refuted: Float
    accepted: Float

    @property
    def p_refuted(self) -> float:
        """Probability of REFUTED within the horizon."""
        return float(self.refuted.sum())

    @property
    def p_accepted(self) -> float:
        """Probability of VERIFIED within the horizon."""
        return float(self.accepted.sum())

    def median(self, decision: str) -> int | None:
        """Median number of trials to ``"refuted"`` or ``"accepted"``; None where fewer than half of the runs decide so."""
        total = np.cumsum(self.refuted if decision == "refuted" else self.accepted)
        index = int(np.searchsorted(total, 0.5))
        return int(self.looks[index]) if index < len(total) else None


def stopping_law(
    p: float, p0: float, p1: float, horizon: int, *, step: int = 64, alpha_R: float = 1e-6, alpha_A: float = 1e-3
) -> StoppingLaw:
    """Compute the law of the decision when every trial fails with probability ``p``, independently.

    Parameters
    ----------
    p : float
        True failure probability.
    p0, p1 : float
        Failure probability that the claim allows, and the one that must not be accepted.
    horizon : int
        Budget of the part.
    step : int, default=64
        Trials between looks.
    alpha_R, alpha_A : float
        Error levels.

    Returns
    -------
    StoppingLaw

    Notes
    -----
    ``O(horizon * width)`` with ``width`` the number of undecided counts.

    Examples
    --------
    >>> law = stopping_law(0.1, 0.1, 0.2, 640)
    >>> law.p_refuted < 1e-6
    True
    """
    table = evalues.boundary(p0, p1, horizon, step, alpha_R, alpha_A)
    return _law(p, step, table.looks, table.k_refute, table.k_accept)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the counting rule does at one level, within a budget.

    Attributes
    ----------
    level, margin : float
        The failure probability claimed, and the one that must not be accepted.
    false_refuted, false_accepted : float
        Error probabilities at these two.
    accepted_clear, accepted_half, accepted_level : float
        Probability of acceptance when trials fail never, half as often as allowed, just as often as allowed.
    refuted_margin, refuted_double : float
        Probability of refutation at the margin and at twice the margin's odds.
    median_accept, median_refute : int or None
        Median trials to acceptance without failures, and to refutation at the margin.
    """

    level: float
    margin: float
    false_refuted: float
    false_accepted: float
    accepted_clear: float
    accepted_half: float
    accepted_level: float
    refuted_margin: float
    refuted_double: float
    median_accept: int | None
    median_refute: int | None


def calibrate(
    levels: Sequence[float], *, odds: float = 2.25, horizon: int = 1536, step: int = 64, alpha_R: float = 1e-6, alpha_A: float = 1e-3
) -> tuple[Calibration, ...]:
    """Compute error rates and power at several levels.

    Parameters
    ----------
    levels : sequence of float
        Failure probabilities that claims state.
    odds : float, default=2.25
        Margin of the tier.
    horizon : int, default=1536
        Trials per part: the budget of the quick tier.
    step, alpha_R, alpha_A
        As in :func:`stopping_law`.

    Returns
    -------
    tuple of Calibration
    """
    rows = []
    for level in levels:
        margin = evalues.odds_margin(level, odds)

        def law(p: float, level: float = level, margin: float = margin) -> StoppingLaw:
            return stopping_law(p, level, margin, horizon, step=step, alpha_R=alpha_R, alpha_A=alpha_A)

        clear, half, at_level, at_margin, beyond = (law(p) for p in (0.0, level / 2, level, margin, evalues.odds_margin(margin, 2.0)))
        rows.append(
            Calibration(
                level,
                margin,
                at_level.p_refuted,
                at_margin.p_accepted,
                clear.p_accepted,
                half.p_accepted,
                at_level.p_accepted,
                at_margin.p_refuted,
                beyond.p_refuted,
                clear.median("accepted"),
                at_margin.median("refuted"),
            )
        )
    return tuple(rows)


def peeking_error(p: float, level: float, n: int) -> float:
    """Probability that a one-sided exact binomial test at ``level``, read after every trial, ever rejects a true claim.

    Parameters
    ----------
    p : float
        True failure probability, equal to the one claimed.
    level : float
        Nominal level of a single reading.
    n : int
        Number of readings.

    Returns
    -------
    float

    Examples
    --------
    >>> peeking_error(0.1, 0.01, 1) <= 0.01 < peeking_error(0.1, 0.01, 500)
    True
    """
    from scipy.special import bdtrc

    looks = np.arange(1, n + 1)
    reject = evalues.first_count(looks, lambda k: np.where(k == 0, 1.0, bdtrc(k - 1, looks, p)) <= level)
    return _law(p, 1, looks, reject, np.full(n, -1)).p_refuted


def broken_checkers() -> dict[str, tuple[float, float]]:
    """Error probabilities of checkers that are wrong in ways that look harmless: (nominal, actual).

    Returns
    -------
    dict
        ``"null too small"``: evidence against .08 used for a claim of .1. ``"margin too large"``: acceptance against .25 reported as .2.
        ``"void trials dropped"``: a claim of .1, false at .2, half of whose failing trials are void. ``"peeking"``: an exact interval at
        1 % read after each of 2,000 trials.
    """
    alpha, horizon = 1e-3, 2000
    small = evalues.boundary(0.08, 0.25, horizon, 1, alpha, alpha)
    wide = evalues.boundary(0.1, 0.25, horizon, 1, alpha, alpha)
    kept = 0.1 / 0.9  # half of the failures leave: of the rest .1 / .9 fail
    return {
        "null too small": (alpha, _law(0.1, 1, small.looks, small.k_refute, np.full(horizon, -1)).p_refuted),
        "margin too large": (alpha, _law(0.2, 1, wide.looks, wide.looks + 1, wide.k_accept).p_accepted),
        "void trials dropped": (alpha, stopping_law(kept, 0.1, 0.2, horizon, step=1).p_accepted),
        "peeking": (0.01, peeking_error(0.1, 0.01, horizon)),
    }


def _law(p: float, step: int, looks: Int, k_refute: Int, k_accept: Int) -> StoppingLaw:
    """Push the law of the undecided count from look to look, cutting off what is decided."""
    first = 0
    alive = np.ones(1)
    refuted, accepted = np.zeros(len(looks)), np.zeros(len(looks))
    one_step = _binomial(step, p)
    for look in range(len(looks)):
        alive = np.convolve(alive, one_step)
        top, bottom = int(k_refute[look]) - first, int(k_accept[look]) + 1 - first
        top, bottom = min(max(top, 0), len(alive)), min(max(bottom, 0), len(alive))
        refuted[look], accepted[look] = alive[top:].sum(), alive[:bottom].sum()
        alive = alive[bottom : max(top, bottom)]
        first += bottom
        if alive.size == 0:
            break
    return StoppingLaw(looks, refuted, accepted)


def _binomial(n: int, p: float) -> Float:
    """Probabilities of 0..n failures."""
    if p <= 0.0 or p >= 1.0:
        mass = np.zeros(n + 1)
        mass[0 if p <= 0.0 else n] = 1.0
        return mass
    from scipy.special import gammaln

    k = np.arange(n + 1)
    log_mass = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    return np.asarray(np.exp(log_mass))
