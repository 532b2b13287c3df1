"""Cheap instances of every estimator of the package: what the estimator checks run over. A new estimator adds a line here."""

from algos.lp_embeddings import SampledQuantileRegressor

ESTIMATORS = [
    SampledQuantileRegressor(),
    SampledQuantileRegressor(quantile=0.3, fit_intercept=False),
    SampledQuantileRegressor(certify=False),
    SampledQuantileRegressor(certify=False, sampler="leverage", fit_intercept=False),
]
