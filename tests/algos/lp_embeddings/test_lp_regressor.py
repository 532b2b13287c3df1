"""SampledLpRegressor: attributes that mean what they say, and agreement with the functions and libraries beside it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from algos.lp_embeddings import SampledLpRegressor, certified_lp

GAP = 1e-9  # the default target


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 3))
    return X, 5.0 + X @ [1.0, 0.0, -2.0] + rng.standard_t(2, 3000)


def total(residual, p, w=1.0):
    return float(np.sum(w * np.abs(residual) ** p) ** (1 / p))


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 3.0])
def test_attributes_say_what_is_proved(table, p):
    X, y = table
    model = SampledLpRegressor(p, random_state=0).fit(X, y)
    assert model.objective_ == pytest.approx(total(y - model.predict(X), p), rel=1e-12)
    assert 0.0 <= model.gap_ <= GAP
    assert model.gap_ == pytest.approx((model.objective_ - model.dual_bound_) / model.objective_, abs=1e-15)
    assert np.max(np.abs(X.T @ model.dual_)) <= 1e-9
    assert abs(model.dual_.sum()) <= 1e-9
    assert (model.guarantee_.kind, model.guarantee_.value) == ("proved gap", model.gap_)
    assert model.certificate_.verify(X, y)
    assert not model.certificate_.verify(X, y + X[:, 0] ** 2)
    function = certified_lp(np.column_stack([X, np.ones(len(y))]), y, p, random_state=0)
    np.testing.assert_array_equal(np.append(model.coef_, model.intercept_), function.coef)


def test_agrees_with_scikit_learn_at_both_ends(table):
    X, y = table[0][:1000], table[1][:1000]
    w = np.random.default_rng(1).integers(0, 3, 1000)
    squares = LinearRegression().fit(X, y, w)
    ours = SampledLpRegressor(2.0).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(ours.coef_, squares.coef_, rtol=1e-10, atol=1e-12)
    assert ours.intercept_ == pytest.approx(squares.intercept_, rel=1e-10)
    median = QuantileRegressor(alpha=0, solver="highs").fit(X, y, w)
    ours = SampledLpRegressor(1.0).fit(X, y, sample_weight=w)
    assert ours.objective_ == pytest.approx(total(y - median.predict(X), 1.0, w), rel=1e-7)  # the oracle's feasibility tolerance


def test_without_certificate_nothing_is_promised(table):
    X, y = table
    best = SampledLpRegressor(1.4, random_state=0).fit(X, y).objective_
    model = SampledLpRegressor(1.4, certify=False, size=300, random_state=0).fit(X, y)
    assert model.guarantee_.kind == "none"
    assert (model.dual_, model.certificate_) == (None, None)
    assert np.isnan(model.gap_)
    assert best < model.objective_ < 1.1 * best
    assert model.n_iter_ >= 1


def test_warm_start_saves_the_sample_and_steps(table):
    X, y = table
    model = SampledLpRegressor(1.5, warm_start=True, random_state=0).fit(X, y)
    cold = SampledLpRegressor(1.6, random_state=0).fit(X, y)
    warm = model.set_params(p=1.6).fit(X, y)
    assert warm.objective_ == pytest.approx(cold.objective_, rel=2 * GAP)
    assert warm.n_rows_used_ == 0
    fresh = model.fit(X[:, :2], y)  # another number of columns: a fresh start
    assert fresh.n_rows_used_ > 0
    assert fresh.coef_.shape == (2,)


def test_forms_of_input_agree(table):
    X, y = table
    X = X.astype(np.float32)
    expected = SampledLpRegressor(random_state=0).fit(X.astype(float), y)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for form in (X, scipy.sparse.csr_matrix(X), frame):
        model = SampledLpRegressor(random_state=0).fit(form, y)
        assert model.objective_ == pytest.approx(expected.objective_, rel=2 * GAP)
        np.testing.assert_allclose(model.predict(form), expected.predict(X.astype(float)), atol=1e-3)
    assert list(model.feature_names_in_) == ["a", "b", "c"]


def test_works_in_a_search_and_survives_pickle(table):
    X, y = table[0][:400], table[1][:400]
    search = GridSearchCV(make_pipeline(StandardScaler(), SampledLpRegressor()), {"sampledlpregressor__p": [1.0, 1.5, 2.0]}, cv=3).fit(X, y)
    model = search.best_estimator_[-1]
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()


def test_constant_columns_leave_the_level_to_the_intercept(table):
    X, y = table
    wide = np.column_stack([X, np.full(3000, 7.0), X[:, 0]])
    plain, model = SampledLpRegressor(random_state=0).fit(X, y), SampledLpRegressor(random_state=0).fit(wide, y)
    assert model.coef_[3] == pytest.approx(0.0, abs=1e-10)
    np.testing.assert_allclose(model.coef_[[0, 4]], plain.coef_[0] / 2, atol=1e-4)
    assert model.intercept_ == pytest.approx(plain.intercept_, abs=1e-4)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"p": 0.9}, ValueError, r"p=0.9 is outside \[1, 100\]"),
        ({"p": None}, TypeError, r"p=None is not a real number"),
        ({"tol": -1.0}, ValueError, r"tol=-1.0 is outside"),
        ({"size": 0}, ValueError, r"size=0 is outside"),
        ({"sampler": "best"}, ValueError, r"sampler='best' is not known"),
        ({"max_iter": 1.5}, TypeError, r"max_iter=1.5 is not an integer"),
        ({"random_state": "x"}, (TypeError, ValueError), r"random_state"),
    ],
)
def test_bad_parameters_are_named(table, params, error, message):
    with pytest.raises(error, match=message):
        SampledLpRegressor(**params).fit(table[0][:50], table[1][:50])


def test_size_beyond_the_rows_is_reduced_with_a_warning(table):
    with pytest.warns(UserWarning, match="size=51 is larger than the number of rows, 50"):
        SampledLpRegressor(size=51).fit(table[0][:50], table[1][:50])
