"""Every formula of misspecified bandits as a pure function of keyword parameters.

No function here looks at data or draws a random number. The learners report these numbers, the claims try to break them, and the figures
draw them.
"""

from algos.misspecified_bandits.bounds.designs import (
    core_set_size,
    design_pulls,
    ls_prediction_error,
    ls_suboptimality,
    multiplicative_rounds,
    multiplicative_variance,
)
from algos.misspecified_bandits.bounds.elimination import elimination_bound, elimination_candidates
from algos.misspecified_bandits.bounds.enumeration import cover_suboptimality, hull_suboptimality
from algos.misspecified_bandits.bounds.needles import (
    RsTradeoff,
    coherence_bound,
    jl_gap_ratio,
    needle_queries,
    needle_success_curve,
    rs_actions,
    rs_exponent,
    rs_tradeoff,
)
from algos.misspecified_bandits.bounds.nets import cells_per_axis, largest_square, net_size
from algos.misspecified_bandits.bounds.noise import noisy_repeats
from algos.misspecified_bandits.bounds.regret import (
    confidence_radius,
    elimination_width,
    linucb_regret,
    misspecification_regret,
    phase_pulls,
    regret_rate,
)
from algos.misspecified_bandits.bounds.sparse_recovery import (
    coherence_limit,
    coherent_eigenvalue,
    norming_bound,
    recovery_error,
    recovery_queries,
    recovery_suboptimality,
)
from algos.misspecified_bandits.bounds.version_space import anytime_radius

__all__ = [
    "RsTradeoff",
    "anytime_radius",
    "cells_per_axis",
    "coherence_bound",
    "coherence_limit",
    "coherent_eigenvalue",
    "confidence_radius",
    "core_set_size",
    "cover_suboptimality",
    "design_pulls",
    "elimination_bound",
    "elimination_candidates",
    "elimination_width",
    "hull_suboptimality",
    "jl_gap_ratio",
    "largest_square",
    "linucb_regret",
    "ls_prediction_error",
    "ls_suboptimality",
    "misspecification_regret",
    "multiplicative_rounds",
    "multiplicative_variance",
    "needle_queries",
    "needle_success_curve",
    "net_size",
    "noisy_repeats",
    "norming_bound",
    "phase_pulls",
    "recovery_error",
    "recovery_queries",
    "recovery_suboptimality",
    "regret_rate",
    "rs_actions",
    "rs_exponent",
    "rs_tradeoff",
]
