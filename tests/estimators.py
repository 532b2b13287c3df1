"""Cheap instances of every estimator of the package: what the estimator checks run over. A new estimator adds a line here."""

from algos.lp_embeddings import LpCoreset, LpSubspaceEmbedding, QuantilePath, SampledLpRegressor, SampledQuantileRegressor
from algos.misspecified_bandits import SparseMisspecifiedRegressor
from algos.testable_halfspaces import TestableHalfspace

ESTIMATORS = [
    LpCoreset(),
    LpCoreset(p=3.0, size=40, leaf=45),
    LpSubspaceEmbedding(),
    LpSubspaceEmbedding(p=4.0, size=10, draw="fixed"),
    LpSubspaceEmbedding(p=1.5, sampler="root_leverage", size=12),
    QuantilePath(),
    QuantilePath([0.2, 0.6], fit_intercept=False, non_crossing="rearrange", certify=False),
    QuantilePath(non_crossing="constrain"),
    SampledLpRegressor(),
    SampledLpRegressor(p=3.0, fit_intercept=False),
    SampledLpRegressor(certify=False, sampler="lewis"),
    SampledLpRegressor(p=1.0, warm_start=True),
    SampledQuantileRegressor(),
    SampledQuantileRegressor(quantile=0.3, fit_intercept=False),
    SampledQuantileRegressor(certify=False),
    SampledQuantileRegressor(certify=False, sampler="leverage", fit_intercept=False),
    SparseMisspecifiedRegressor(),
    SparseMisspecifiedRegressor(2, exact_max_supports=0, fit_intercept=False),
    SparseMisspecifiedRegressor(method="htp"),
    TestableHalfspace(calibration="theory", on_reject="ignore"),
    TestableHalfspace("massart", eta=0.2, marginal=None, target_transform="standardize", fit_intercept=False, on_reject="ignore"),
]
