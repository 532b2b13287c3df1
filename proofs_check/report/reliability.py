"""How reliable the judge is on the budgets of a run: exact error rates and power of the counting rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofs_check import evalues
from proofs_check.walks import walk

__all__ = ["Reliability", "reliability"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the counting rule does with one part at one level, within a budget.

    Attributes
    ----------
    level, margin : float
        The failure probability claimed, and the one that must not be accepted.
    false_refuted, false_accepted : float
        Error probabilities at these two.
    accepted_clear, accepted_half, accepted_level : float
        Probability of acceptance when trials fail never, half as often as allowed, just as often as allowed.
    refuted_margin, refuted_double : float
        Probability of refutation at the margin, and at twice its odds.
    median_accept : int or None
        Median number of trials to acceptance without failures.
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


def reliability(levels: Sequence[float], *, odds: float = 2.25, trials: int = 1536, block: int = 64) -> tuple[Reliability, ...]:
    """Compute error rates and power at several levels, for alpha 1e-6 and 1e-3.

    Parameters
    ----------
    levels : sequence of float
        Failure probabilities that claims state.
    odds : float, default=2.25
        Margin of the tier.
    trials : int, default=1536
        Budget of a part: that of the quick tier.
    block : int, default=64
        Trials between looks.

    Returns
    -------
    tuple of Reliability

    Examples
    --------
    >>> row = reliability((0.1,))[0]
    >>> row.false_refuted <= 1e-6, row.false_accepted <= 1e-3, row.median_accept
    (True, True, 64)
    """
    rows = []
    for level in levels:
        margin = evalues.odds_margin(level, odds)
        table = evalues.boundary(level, margin, trials, block)
        truths = (0.0, level / 2, level, margin, evalues.odds_margin(margin, 2.0))
        clear, half, at_level, at_margin, beyond = (walk(p, table) for p in truths)
        rows.append(
            Reliability(
                level,
                margin,
                float(at_level.refuted[-1]),
                float(at_margin.verified[-1]),
                float(clear.verified[-1]),
                float(half.verified[-1]),
                float(at_level.verified[-1]),
                float(at_margin.refuted[-1]),
                float(beyond.refuted[-1]),
                clear.median("verified"),
            )
        )
    return tuple(rows)
