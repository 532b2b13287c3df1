r"""E-processes: evidence that may be looked at after every block.

An *e-process* for a null hypothesis is a nonnegative sequence whose expectation is at most one at every stopping time, so that by
Ville's inequality it exceeds :math:`1/\alpha` with probability at most :math:`\alpha` however often it is looked at. Two of them
stand behind every verdict of the harness: ``R`` against "the claim is true" and ``A`` against "the claim is false by the declared
margin". Everything is in natural logarithms, and depends on the trials only through sums, so that blocks merge in any order.

All functions accept numbers or arrays that broadcast.
"""

from proofs_check._counts import (
    Boundary,
    boundary,
    confidence_sequence,
    count_evidence,
    first_count,
    log_accept,
    log_accept_two_sided,
    log_refute,
    log_refute_two_sided,
    log_sign,
    odds_margin,
)
from proofs_check._mixtures import BETS, betting_log_wealth, e_bh, e_holm, grid_log_e, log_average

__all__ = [
    "BETS",
    "Boundary",
    "betting_log_wealth",
    "boundary",
    "confidence_sequence",
    "count_evidence",
    "e_bh",
    "e_holm",
    "first_count",
    "grid_log_e",
    "log_accept",
    "log_accept_two_sided",
    "log_average",
    "log_refute",
    "log_refute_two_sided",
    "log_sign",
    "odds_margin",
]
