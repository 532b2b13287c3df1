"""partial_fit of the regressions: the solution of a coreset of [X 1 y], the same in whatever blocks, with nothing promised."""

import math
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from algos.lp_embeddings import LpCoreset, SampledLpRegressor, SampledQuantileRegressor, certified_lp, certified_quantile


def problem(n=30_000, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, 2.0 + X @ np.arange(1.0, d + 1) + rng.standard_t(2, n)


def streamed(model, X, y, weights=None, *, block=5000):
    for start in range(0, X.shape[0], block):
        here = slice(start, start + block)
        model.partial_fit(X[here], y[here], None if weights is None else weights[here])
    return model


def regressors(**options):
    return [SampledQuantileRegressor(0.3, random_state=0, **options), SampledLpRegressor(3.0, random_state=0, **options)]


@pytest.mark.parametrize("model", regressors(size=800), ids=["quantile", "lp"])
def test_the_loss_of_a_streamed_fit_is_nearly_the_best(model):
    X, y = problem()
    streamed(model, X, y)
    A = np.column_stack([X, np.ones(len(y))])
    if isinstance(model, SampledQuantileRegressor):
        best, r = certified_quantile(A, y, 0.3).objective, y - model.predict(X)
        reached = np.sum(np.where(r > 0, 0.3 * r, -0.7 * r))
    else:
        best, reached = certified_lp(A, y, 3.0).objective, np.sum(np.abs(y - model.predict(X)) ** 3) ** (1 / 3)
    assert best <= reached * (1 + 1e-9)
    assert reached < 1.02 * best
    assert model.objective_ == pytest.approx(reached, rel=0.1)
    assert 600 < model.n_rows_used_ < 1000
    assert model.coreset_.n_seen_ == 30_000


@pytest.mark.parametrize("model", regressors(size=300), ids=["quantile", "lp"])
def test_blocks_do_not_matter_and_a_regression_survives_in_the_middle(model):
    X, y = problem(25_000)
    w = np.random.default_rng(1).exponential(size=25_000)
    whole = pickle.loads(pickle.dumps(model)).partial_fit(X, y, w)
    streamed(model, X[:12_000], y[:12_000], w[:12_000], block=3700)
    model = pickle.loads(pickle.dumps(model))
    streamed(model, X[12_000:], y[12_000:], w[12_000:], block=13_000)
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    assert model.intercept_ == whole.intercept_


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("make", [SampledQuantileRegressor, SampledLpRegressor])
def test_a_stream_that_is_kept_whole_gives_the_fit_of_all_rows(make, intercept):
    X, y = problem(900)
    w = np.random.default_rng(1).integers(0, 3, 900).astype(float)
    together = make(fit_intercept=intercept, random_state=0).fit(X, y, w)
    pieces = streamed(make(fit_intercept=intercept, random_state=0), X, y, w, block=200)
    assert pieces.objective_ == pytest.approx(together.objective_, rel=1e-8)  # both gaps are below 1e-9
    np.testing.assert_allclose(pieces.coef_, together.coef_, rtol=1e-3)
    assert not hasattr(together, "coreset_")


def test_nothing_is_promised_whatever_certify_says():
    X, y = problem(900)
    for model in regressors(certify=True):
        model.partial_fit(X, y)
        assert math.isnan(model.gap_)
        assert math.isnan(model.dual_bound_)
        assert (model.dual_, model.certificate_, model.guarantee_.kind) == (None, None, "none")
        assert "coreset of the rows seen" in model.guarantee_.reason


def test_a_fit_forgets_the_stream_and_a_stream_after_it_is_a_new_one():
    X, y = problem(900)
    model = SampledQuantileRegressor(random_state=0).partial_fit(X, y).fit(X[:500], y[:500])
    assert not hasattr(model, "coreset_")
    assert model.gap_ <= 1e-9
    assert model.partial_fit(X, y).coreset_.n_seen_ == 900


def test_one_stream_serves_several_quantiles():
    X, y = problem(20_000)
    model = streamed(SampledQuantileRegressor(0.1, size=1500, random_state=0), X, y)
    below = np.mean(y < model.predict(X))
    model.set_params(quantile=0.9).partial_fit(X[:1], y[:1])
    assert below == pytest.approx(0.1, abs=0.03)
    assert np.mean(y < model.predict(X)) == pytest.approx(0.9, abs=0.03)


def test_sparse_blocks_and_the_coreset_of_the_stream():
    X, y = problem(3000)
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.5, X, 0.0)
    dense, sparse = (streamed(SampledQuantileRegressor(size=400, random_state=0), form, y) for form in (X, sp.csr_array(X)))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-6)
    by_hand = LpCoreset(1.0, 400, random_state=0).partial_fit(np.column_stack([X, np.ones(3000)]), y)
    np.testing.assert_array_equal(dense.coreset_.sample_indices_, by_hand.sample_indices_)


def test_streams_of_zeros_have_the_solution_zero():
    model = SampledQuantileRegressor(fit_intercept=False, random_state=0).partial_fit(np.zeros((50, 2)), np.zeros(50))
    assert (model.coef_.tolist(), model.objective_) == ([0.0, 0.0], 0.0)


@pytest.mark.parametrize("model", regressors(), ids=["quantile", "lp"])
def test_blocks_that_do_not_fit_change_nothing(model):
    X, y = problem(900)
    model.partial_fit(X, y)
    before = pickle.dumps((model.coef_, model.intercept_, model.coreset_.n_seen_))
    bad = X.copy()
    bad[5, 1] = np.nan
    for block, arguments, named in (
        (X[:, :2], (y,), "2 features"),
        (bad, (y,), "NaN"),
        (X, (y[:5],), "inconsistent"),
        (X, (y, -np.ones(900)), "[Nn]egative"),
    ):
        with pytest.raises(ValueError, match=named):
            model.partial_fit(block, *arguments)
    with pytest.raises(ValueError, match="features"):
        model.set_params(fit_intercept=False).partial_fit(X, y)
    model.set_params(fit_intercept=True)
    assert pickle.dumps((model.coef_, model.intercept_, model.coreset_.n_seen_)) == before


def test_wrong_parameters_are_named_before_work_starts():
    X, y = problem(50)
    with pytest.raises(ValueError, match="sampler='magic'"):
        SampledQuantileRegressor(sampler="magic").partial_fit(X, y)
    with pytest.raises(ValueError, match="quantile=2"):
        SampledQuantileRegressor(2.0).partial_fit(X, y)
    with pytest.raises(ValueError, match="size=0"):
        SampledLpRegressor(size=0).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"p=0\.5"):
        SampledLpRegressor(0.5).partial_fit(X, y)
