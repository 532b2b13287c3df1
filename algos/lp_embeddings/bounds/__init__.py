"""Every formula of lp subspace embeddings as a pure function of keyword parameters.

No function here looks at data or draws a random number: parameters are numbers, or arrays that were fixed before the experiment.
The estimators report these values, the claims try to break them, and the figures draw them.
Proofs and sources are in ``docs/theory/lp_embeddings.md``; its section names are quoted in the docstrings.
"""

from algos.lp_embeddings.bounds.distortion import flat_block_loss, necessary_rows, proved_distortion, root_leverage_rows
from algos.lp_embeddings.bounds.leverage_scores import (
    UNIT_ROUNDOFF,
    gram_leverage_error,
    leverage_error,
    ridge_leverage_sum,
    shifted_leverage_error,
)
from algos.lp_embeddings.bounds.lewis_weights import lewis_contraction, lewis_error, logdet_gap, optimal_relaxation, relaxed_rate
from algos.lp_embeddings.bounds.lp_regression import lp_dual_bound, lp_dual_norm, lp_norm, norm_comparison
from algos.lp_embeddings.bounds.quantile_regression import (
    gap_of_slack,
    joint_equation_price,
    prediction_rounding,
    quantile_gap_identity,
    quantile_loss,
    rearrangement_gain,
    relative_gap,
    sketch_and_solve_ratio,
)
from algos.lp_embeddings.bounds.samplers import (
    SAMPLERS,
    bernoulli_variance,
    fixed_size_variance,
    leading_rows,
    norm_power,
    sample_size,
    uniform_miss_probability,
)
from algos.lp_embeddings.bounds.sensitivities import (
    betting_interval,
    lifted_total_sensitivity,
    polynomial_total_sensitivity,
    sensitivity_lower,
    sensitivity_upper,
    sign_cube_total_sensitivity,
    total_sensitivity_range,
    two_basis_total_sensitivity,
)

__all__ = [
    "SAMPLERS",
    "UNIT_ROUNDOFF",
    "bernoulli_variance",
    "betting_interval",
    "fixed_size_variance",
    "flat_block_loss",
    "gap_of_slack",
    "gram_leverage_error",
    "joint_equation_price",
    "leading_rows",
    "leverage_error",
    "lewis_contraction",
    "lewis_error",
    "lifted_total_sensitivity",
    "logdet_gap",
    "lp_dual_bound",
    "lp_dual_norm",
    "lp_norm",
    "necessary_rows",
    "norm_comparison",
    "norm_power",
    "optimal_relaxation",
    "polynomial_total_sensitivity",
    "prediction_rounding",
    "proved_distortion",
    "quantile_gap_identity",
    "quantile_loss",
    "rearrangement_gain",
    "relative_gap",
    "relaxed_rate",
    "ridge_leverage_sum",
    "root_leverage_rows",
    "sample_size",
    "sensitivity_lower",
    "sensitivity_upper",
    "shifted_leverage_error",
    "sign_cube_total_sensitivity",
    "sketch_and_solve_ratio",
    "total_sensitivity_range",
    "two_basis_total_sensitivity",
    "uniform_miss_probability",
]
