"""Every formula of testable halfspaces as a pure function of keyword parameters.

No function here looks at data or draws a random number: parameters are numbers, or arrays that were fixed before the experiment.
The learner and the certificates use these functions, the claims try to break them, and the figures draw them.
"""

from algos.testable_halfspaces.bounds.certificates import (
    gradient_deviation,
    minorant_target,
    mistake_push,
    norm_minorant,
    quartic_minorant,
    side_deviation,
)
from algos.testable_halfspaces.bounds.disagreement import (
    QUARTIC_FROM,
    cantelli_coefficients,
    cantelli_majorant,
    gaussian_disagreement_slope,
    quartic_majorant,
    quartic_majorant_coefficients,
)
from algos.testable_halfspaces.bounds.gaussian import (
    DENSITY_AT_ZERO,
    gaussian_agnostic_angle,
    gaussian_agnostic_factor,
    gaussian_band_moments,
    gaussian_excluded_angle,
    gaussian_push,
)
from algos.testable_halfspaces.bounds.ramp_learner import (
    FLAT_SHARE,
    HALF_WIDTH,
    descent_gradient_bound,
    gradient_lipschitz,
    gradient_variance,
    ramp,
    ramp_density,
    ramp_density_slope,
    ramp_peak,
)

__all__ = [
    "DENSITY_AT_ZERO",
    "FLAT_SHARE",
    "HALF_WIDTH",
    "QUARTIC_FROM",
    "cantelli_coefficients",
    "cantelli_majorant",
    "descent_gradient_bound",
    "gaussian_agnostic_angle",
    "gaussian_agnostic_factor",
    "gaussian_band_moments",
    "gaussian_disagreement_slope",
    "gaussian_excluded_angle",
    "gaussian_push",
    "gradient_deviation",
    "gradient_lipschitz",
    "gradient_variance",
    "minorant_target",
    "mistake_push",
    "norm_minorant",
    "quartic_majorant",
    "quartic_majorant_coefficients",
    "quartic_minorant",
    "ramp",
    "ramp_density",
    "ramp_density_slope",
    "ramp_peak",
    "side_deviation",
]
