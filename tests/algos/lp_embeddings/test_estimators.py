"""SampledQuantileRegressor: attributes that mean what they say, scikit-learn's manners, and messages that name the parameter."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.linear_model import QuantileRegressor
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from algos.lp_embeddings import SampledQuantileRegressor, certified_quantile

GAP = 1e-9  # the default target
HIGHS = 1e-7  # feasibility tolerance of the oracle


def total_loss(y, predicted, t, w=1.0):
    r = y - predicted
    return float(np.sum(w * np.where(r > 0, t * r, (t - 1) * r)))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 3))
    return X, 5.0 + X @ [1.0, 0.0, -2.0] + rng.standard_t(2, 3000)


@pytest.mark.parametrize("t", [0.1, 0.5])
def test_agrees_with_scikit_learn(table, t):
    X, y = table[0][:1000], table[1][:1000]
    w = np.random.default_rng(1).integers(0, 3, 1000)
    ours = SampledQuantileRegressor(t).fit(X, y, sample_weight=w)
    oracle = QuantileRegressor(quantile=t, alpha=0, solver="highs").fit(X, y, sample_weight=w)
    assert ours.objective_ == pytest.approx(total_loss(y, oracle.predict(X), t, w), rel=HIGHS)
    np.testing.assert_allclose(ours.coef_, oracle.coef_, atol=1e-5)
    assert ours.intercept_ == pytest.approx(oracle.intercept_, abs=1e-5)


def test_attributes_say_what_is_proved(table):
    X, y = table
    model = SampledQuantileRegressor(0.3, random_state=0).fit(X, y)
    assert model.objective_ == pytest.approx(total_loss(y, model.predict(X), 0.3), rel=1e-12)
    assert 0.0 <= model.gap_ <= GAP
    assert model.gap_ == pytest.approx((model.objective_ - model.dual_bound_) / model.objective_, abs=1e-15)
    assert model.dual_.shape == (3000,)
    assert np.max(np.abs(X.T @ model.dual_)) <= 1e-9
    assert abs(model.dual_.sum()) <= 1e-9
    assert (model.guarantee_.kind, model.guarantee_.value) == ("proved gap", model.gap_)
    assert 1 <= model.n_iter_ <= 12
    assert 4 < model.n_rows_used_ < 3000
    assert model.certificate_.verify(X, y)
    assert not model.certificate_.verify(X, y + X[:, 0] ** 2)


def test_intercept_is_a_column_of_ones(table):
    X, y = table
    model = SampledQuantileRegressor(random_state=0).fit(X, y)
    plain = SampledQuantileRegressor(fit_intercept=False, random_state=0).fit(np.column_stack([X, np.ones(len(y))]), y)
    assert model.objective_ == plain.objective_
    np.testing.assert_array_equal(np.append(model.coef_, model.intercept_), plain.coef_)
    assert plain.intercept_ == 0.0


def test_without_certificate_nothing_is_promised(table):
    X, y = table
    model = SampledQuantileRegressor(certify=False, size=200, random_state=0).fit(X, y)
    best = SampledQuantileRegressor(random_state=0).fit(X, y).objective_
    assert model.guarantee_.kind == "none"
    assert "certify=False" in model.guarantee_.reason
    assert model.certificate_ is None
    assert model.dual_ is None
    assert np.isnan(model.gap_)
    assert np.isnan(model.dual_bound_)
    assert best < model.objective_ < 1.2 * best


def test_constant_and_duplicated_features_share_nothing_with_the_intercept(table):
    X, y = table
    wide = np.column_stack([X, np.full(3000, 7.0), X[:, 0]])
    model = SampledQuantileRegressor(random_state=0).fit(wide, y)
    plain = SampledQuantileRegressor(random_state=0).fit(X, y)
    assert model.objective_ == pytest.approx(plain.objective_, rel=2 * GAP)
    assert model.coef_[3] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(model.coef_[[0, 4]], plain.coef_[0] / 2, atol=1e-6)
    assert model.intercept_ == pytest.approx(plain.intercept_, abs=1e-6)


def test_sparse_float32_and_frames_agree(table):
    X, y = table
    X = X.astype(np.float32)
    expected = SampledQuantileRegressor(random_state=0).fit(X.astype(float), y)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for form in (X, scipy.sparse.csr_matrix(X), scipy.sparse.coo_array(X), frame):
        model = SampledQuantileRegressor(random_state=0).fit(form, y)
        assert model.objective_ == pytest.approx(expected.objective_, rel=2 * GAP)
        np.testing.assert_allclose(model.predict(form), expected.predict(X.astype(float)), atol=1e-4)
    assert list(model.feature_names_in_) == ["a", "b", "c"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_rows_than_features_interpolate(n):
    rng = np.random.default_rng(n)
    X, y = rng.standard_normal((n, 4)), rng.standard_normal(n)
    model = SampledQuantileRegressor(0.2).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-12)
    assert model.gap_ == 0.0
    centred = np.linalg.pinv(X - X.mean(axis=0)) @ (y - y.mean())  # shortest slope of an interpolation with a free intercept
    np.testing.assert_allclose(model.coef_, centred, atol=1e-10)


def test_size_beyond_the_rows_is_reduced_with_a_warning(table):
    X, y = table[0][:50], table[1][:50]
    with pytest.warns(UserWarning, match="size=51 is larger than the number of rows, 50"):
        model = SampledQuantileRegressor(size=51).fit(X, y)
    assert model.gap_ <= GAP


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"quantile": 0.0}, ValueError, "quantile=0.0"),
        ({"quantile": 1.5}, ValueError, "quantile=1.5"),
        ({"quantile": None}, TypeError, "quantile=None"),
        ({"tol": 0}, ValueError, "tol=0"),
        ({"size": 0}, ValueError, "size=0"),
        ({"size": 0.5}, TypeError, "size=0.5"),
        ({"sampler": "lewes"}, ValueError, "sampler='lewes'.*'lewis'"),
        ({"max_rounds": 0}, ValueError, "max_rounds=0"),
        ({"random_state": "a"}, TypeError, "random_state"),
    ],
)
def test_bad_parameters_are_named(table, parameters, error, message):
    with pytest.raises(error, match=message):
        SampledQuantileRegressor(**parameters).fit(table[0][:20], table[1][:20])


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.zeros(20), "positive entry"),
        (-np.ones(20), "must not be negative"),
        (np.ones(19), "must have shape"),
        (np.full(20, np.nan), "NaN"),
    ],
)
def test_bad_weights_are_named(table, w, message):
    with pytest.raises(ValueError, match=rf"sample_weight.*{message}"):
        SampledQuantileRegressor().fit(table[0][:20], table[1][:20], sample_weight=w)


def test_lives_in_pipelines_and_survives_pickling(table):
    X, y = table
    model = SampledQuantileRegressor(0.5, random_state=0)
    scores = cross_val_score(make_pipeline(StandardScaler(), clone(model)), X, y, cv=3, scoring="neg_mean_absolute_error")
    mean_absolute_noise = np.mean(np.abs(y - 5.0 - X @ [1.0, 0.0, -2.0]))
    np.testing.assert_allclose(-scores, mean_absolute_noise, rtol=0.15)
    again = pickle.loads(pickle.dumps(model.fit(X, y)))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.certificate_.verify(X, y)


def test_estimator_and_function_are_the_same_fit(table):
    X, y = table
    model = SampledQuantileRegressor(0.4, fit_intercept=False, random_state=3).fit(X, y)
    result = certified_quantile(X, y, 0.4, random_state=3)
    np.testing.assert_array_equal(model.coef_, result.coef)
    assert model.dual_bound_ == result.dual_bound
