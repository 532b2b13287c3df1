"""Row sampling that preserves lp norms, and regression on all rows finished from a sample.

A tall table of n rows is replaced by a few weighted rows such that the lp norm of ``A @ x`` is kept for every x at once. Which rows
to keep is told by importance scores: leverage scores (p = 2), Lewis weights and sensitivities (any p >= 1). A quantile regression
solved on such a sample is then finished exactly: `certified_quantile` returns a solution together with a proven gap on *all* rows.

The problem and the sampling theory follow Woodruff and Yasuda, "Sharper Bounds for lp Sensitivity Sampling", ICML 2023
(arXiv 2306.00732). Names are loaded on first use, so that importing the package costs next to nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algos.lp_embeddings.bounds import sample_size
    from algos.lp_embeddings.calibration import Calibration, calibrate_m
    from algos.lp_embeddings.distortion import Distortion, distortion
    from algos.lp_embeddings.embeddings import LpSubspaceEmbedding
    from algos.lp_embeddings.estimators import SampledQuantileRegressor
    from algos.lp_embeddings.importance import RecursiveSample, RowScores, recursive_root_leverage, row_scores
    from algos.lp_embeddings.interior_point import quantile_interior_point
    from algos.lp_embeddings.leverage_scores import leverage_scores
    from algos.lp_embeddings.lewis_weights import LewisResult, lewis_weights
    from algos.lp_embeddings.lp_regression import LpCertificate, LpRegressionResult, certified_lp
    from algos.lp_embeddings.lp_regressor import SampledLpRegressor
    from algos.lp_embeddings.lp_support import SupportResult, lp_support
    from algos.lp_embeddings.non_crossing import NonCrossingCertificate, NonCrossingResult, non_crossing_quantiles
    from algos.lp_embeddings.path_regressor import QuantilePath
    from algos.lp_embeddings.quantile_path import QuantilePathResult, certified_quantile_path, rearranged
    from algos.lp_embeddings.quantile_regression import QuantileCertificate, RegressionResult, certified_quantile, certify_quantile
    from algos.lp_embeddings.samplers import inclusion_probabilities, sample_rows
    from algos.lp_embeddings.sensitivities import Sensitivities, lp_sensitivities, sensitivity_bracket
    from algos.lp_embeddings.streaming import LpCoreset
    from algos.lp_embeddings.total_sensitivity import TotalSensitivity, total_sensitivity


_HOMES = {
    "Calibration": "calibration",
    "Distortion": "distortion",
    "LewisResult": "lewis_weights",
    "LpCertificate": "lp_regression",
    "LpCoreset": "streaming",
    "LpRegressionResult": "lp_regression",
    "LpSubspaceEmbedding": "embeddings",
    "NonCrossingCertificate": "non_crossing",
    "NonCrossingResult": "non_crossing",
    "QuantileCertificate": "quantile_regression",
    "QuantilePath": "path_regressor",
    "QuantilePathResult": "quantile_path",
    "RecursiveSample": "importance",
    "RegressionResult": "quantile_regression",
    "RowScores": "importance",
    "SampledLpRegressor": "lp_regressor",
    "SampledQuantileRegressor": "estimators",
    "Sensitivities": "sensitivities",
    "SupportResult": "lp_support",
    "TotalSensitivity": "total_sensitivity",
    "calibrate_m": "calibration",
    "certified_lp": "lp_regression",
    "certified_quantile": "quantile_regression",
    "certified_quantile_path": "quantile_path",
    "certify_quantile": "quantile_regression",
    "distortion": "distortion",
    "inclusion_probabilities": "samplers",
    "leverage_scores": "leverage_scores",
    "lewis_weights": "lewis_weights",
    "lp_sensitivities": "sensitivities",
    "lp_support": "lp_support",
    "non_crossing_quantiles": "non_crossing",
    "quantile_interior_point": "interior_point",
    "rearranged": "quantile_path",
    "recursive_root_leverage": "importance",
    "row_scores": "importance",
    "sample_rows": "samplers",
    "sample_size": "bounds",
    "sensitivity_bracket": "sensitivities",
    "total_sensitivity": "total_sensitivity",
}

__all__ = [
    "Calibration",
    "Distortion",
    "LewisResult",
    "LpCertificate",
    "LpCoreset",
    "LpRegressionResult",
    "LpSubspaceEmbedding",
    "NonCrossingCertificate",
    "NonCrossingResult",
    "QuantileCertificate",
    "QuantilePath",
    "QuantilePathResult",
    "RecursiveSample",
    "RegressionResult",
    "RowScores",
    "SampledLpRegressor",
    "SampledQuantileRegressor",
    "Sensitivities",
    "SupportResult",
    "TotalSensitivity",
    "calibrate_m",
    "certified_lp",
    "certified_quantile",
    "certified_quantile_path",
    "certify_quantile",
    "distortion",
    "inclusion_probabilities",
    "leverage_scores",
    "lewis_weights",
    "lp_sensitivities",
    "lp_support",
    "non_crossing_quantiles",
    "quantile_interior_point",
    "rearranged",
    "recursive_root_leverage",
    "row_scores",
    "sample_rows",
    "sample_size",
    "sensitivity_bracket",
    "total_sensitivity",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Room(ModuleType):
    """The package, where ``lewis_weights`` always means the function.

    Importing the file ``lewis_weights.py`` makes Python bind the *file* under that name in its package. Which of the two a user
    gets would then depend on what was imported first.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        shadows = isinstance(value, ModuleType) and _HOMES.get(name) == name
        super().__setattr__(name, getattr(value, name) if shadows else value)


sys.modules[__name__].__class__ = _Room
