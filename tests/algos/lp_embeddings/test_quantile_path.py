"""Several quantiles and responses on one sample: the same optima as single fits, honest shapes, sorted predictions."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import QuantileRegressor

from algos.lp_embeddings import QuantilePath, SampledQuantileRegressor, bounds, certified_quantile, certified_quantile_path, rearranged
from algos.lp_embeddings._quantile_problem import geometry
from algos.lp_embeddings._quantile_search import draw_sample

GAP = 1e-9  # the default target
LEVELS = (0.1, 0.5, 0.8)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 3))
    Y = X @ rng.standard_normal((3, 2)) + (1.0 + X[:, :1] ** 2) * rng.standard_t(2, (6000, 2))
    return X, Y


def loss(residual, t, w=1.0):
    return float(np.sum(w * np.where(residual > 0, t * residual, (t - 1) * residual)))


def test_every_fit_is_that_of_a_single_regression(table):
    X, Y = table
    w = np.random.default_rng(1).integers(0, 3, 6000).astype(float)
    path = certified_quantile_path(X, Y, LEVELS, sample_weight=w, random_state=0)
    assert path.coef.shape == (2, 3, 3)
    assert path.objective.shape == path.gap.shape == path.dual_bound.shape == (2, 3)
    assert path.gap.max() <= GAP
    for j in range(2):
        for i, t in enumerate(LEVELS):
            single = certified_quantile(X, Y[:, j], t, sample_weight=w, random_state=0)
            assert path.objective[j, i] == pytest.approx(single.objective, rel=2 * GAP)
            assert path.objective[j, i] == pytest.approx(loss(Y[:, j] - X @ path.coef[j, i], t, w), rel=1e-12)
            assert path.results[3 * j + i].certificate.verify(X, Y[:, j], w)


def test_one_response_is_a_vector(table):
    X, Y = table
    path = certified_quantile_path(X, Y[:, 0], LEVELS, random_state=0)
    column = certified_quantile_path(X, Y[:, :1], LEVELS, random_state=0)
    assert path.coef.shape == (3, 3)
    assert column.coef.shape == (1, 3, 3)
    np.testing.assert_array_equal(path.coef, column.coef[0])
    assert [result.coef.tolist() for result in path] == path.coef.tolist()


def test_whitening_and_sample_are_computed_once(table, monkeypatch):
    calls = {"geometry": 0, "draw_sample": 0}

    def counted(name, function):
        def wrapper(*args, **kwargs):
            calls[name] += 1
            return function(*args, **kwargs)

        return wrapper

    monkeypatch.setattr("algos.lp_embeddings.quantile_path.geometry", counted("geometry", geometry))
    monkeypatch.setattr("algos.lp_embeddings.quantile_path.draw_sample", counted("draw_sample", draw_sample))
    monkeypatch.setattr("algos.lp_embeddings.quantile_regression.geometry", None)
    monkeypatch.setattr("algos.lp_embeddings._quantile_search.draw_sample", None)
    assert certified_quantile_path(*table, LEVELS, random_state=0).gap.max() <= GAP
    assert calls == {"geometry": 1, "draw_sample": 1}


@pytest.mark.parametrize("certify", [True, False])
def test_rows_without_weight_are_left_out(table, certify):
    X, Y = table
    w = (np.arange(6000) % 2).astype(float)
    path = certified_quantile_path(X, Y, 0.3, sample_weight=w, certify=certify, size=400, random_state=0)
    half = certified_quantile_path(X[1::2], Y[1::2], 0.3, certify=certify, size=400, random_state=0)
    np.testing.assert_array_equal(path.coef, half.coef)
    if certify:
        assert all(not np.any(result.dual[::2]) for result in path)
    else:
        assert np.all(np.isnan(path.gap))


def test_warm_start_of_a_single_fit(table):
    X, Y = table
    cold = certified_quantile(X, Y[:, 0], 0.4, random_state=0)
    again = certified_quantile(X, Y[:, 0], 0.4, start=cold.coef, random_state=0)
    far = certified_quantile(X, Y[:, 0], 0.4, start=1e5 * np.ones(3), random_state=0)
    for other in (again, far):
        assert other.objective == pytest.approx(cold.objective, rel=2 * GAP)
        assert other.gap <= GAP
    with pytest.raises(ValueError, match=r"start must have shape \(3,\), one number for each column of A"):
        certified_quantile(X, Y[:, 0], 0.4, start=[1.0])


def test_warm_start_of_the_estimator(table):
    X, Y = table
    model = SampledQuantileRegressor(0.4, warm_start=True, random_state=0).fit(X[:5000], Y[:5000, 0])
    cold = SampledQuantileRegressor(0.4, random_state=0).fit(X, Y[:, 0])
    warm = model.fit(X, Y[:, 0])
    assert warm.objective_ == pytest.approx(cold.objective_, rel=2 * GAP)
    assert warm.gap_ <= GAP
    assert model.fit(X[:, :2], Y[:, 0]).coef_.shape == (2,)  # another number of columns: a fresh start


# -- the estimator -------------------------------------------------------------------------------------------------------------------


def test_agrees_with_scikit_learn(table):
    X, y = table[0][:800], table[1][:800, 0]
    path = QuantilePath(LEVELS).fit(X, y)
    for i, t in enumerate(LEVELS):
        oracle = QuantileRegressor(quantile=t, alpha=0, solver="highs").fit(X, y)
        assert path.objective_[i] == pytest.approx(loss(y - oracle.predict(X), t), rel=1e-7)  # the oracle's feasibility tolerance
        np.testing.assert_allclose(path.coef_[i], oracle.coef_, atol=1e-5)
        np.testing.assert_allclose(path.predict_quantiles(X)[:, i], oracle.predict(X), atol=1e-4)
    np.testing.assert_array_equal(path.predict(X), path.predict_quantiles(X)[:, 1])


def test_shapes_and_promises_of_several_responses(table):
    X, Y = table
    path = QuantilePath(LEVELS, random_state=0).fit(scipy.sparse.csr_matrix(X), Y)
    assert path.coef_.shape == (2, 3, 3)
    assert path.intercept_.shape == path.gap_.shape == (2, 3)
    assert path.predict(X[:5]).shape == (5, 2)
    assert path.predict_quantiles(X[:5]).shape == (5, 2, 3)
    single = SampledQuantileRegressor(0.8, random_state=0).fit(X, Y[:, 1])
    np.testing.assert_allclose(path.predict_quantiles(X)[:, 1, 2], single.predict(X), atol=1e-4)
    assert path.guarantee_.kind == "proved gap"
    assert path.guarantee_.value == path.gap_.max() <= GAP
    assert path.certificates_[5].verify(X, Y[:, 1])
    assert 1 <= path.n_iter_ <= 12
    plain = QuantilePath(LEVELS, fit_intercept=False, certify=False, random_state=0).fit(X, Y)
    assert not plain.intercept_.any()
    assert (plain.guarantee_.kind, plain.certificates_) == ("none", [None] * 6)


def test_rearranged_predictions_never_cross_and_lose_nothing():
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((60, 8)), rng.standard_t(2, 60)
    levels = np.linspace(0.1, 0.9, 9)
    linear, sorted_ = (QuantilePath(levels, non_crossing=option).fit(X, y) for option in (None, "rearrange"))
    fresh, response = 3.0 * rng.standard_normal((500, 8)), rng.standard_t(2, 500)
    before, after = linear.predict_quantiles(fresh), sorted_.predict_quantiles(fresh)
    assert np.diff(before, axis=1).min() < 0.0  # otherwise this test says nothing
    assert np.diff(after, axis=1).min() >= 0.0
    losses = [sum(loss(response - q[:, j], t) for j, t in enumerate(levels)) for q in (before, after)]
    gain = bounds.rearrangement_gain(levels=levels, predictions=before)
    assert gain > 0.0
    assert losses[0] - losses[1] == pytest.approx(gain, rel=1e-10)
    np.testing.assert_array_equal(linear.coef_, sorted_.coef_)


# -- bad input -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"quantiles": [0.5, 0.2]}, ValueError, r"quantiles=\[0.5, 0.2\] do not increase strictly; sort them and drop repetitions"),
        ({"quantiles": [0.5, 0.5]}, ValueError, r"do not increase strictly"),
        ({"quantiles": []}, ValueError, r"quantiles has shape \(0,\); give a list with at least one number"),
        ({"quantiles": [[0.5]]}, ValueError, r"quantiles has shape \(1, 1\)"),
        ({"quantiles": [0.5, 1.0]}, ValueError, r"quantiles\[1\]=1.0 is outside \(0, 1\)"),
        ({"quantiles": ["a"]}, TypeError, r"quantiles\[0\]='a' is not a real number"),
        ({"b": np.zeros((5, 2))}, ValueError, r"b must have shape \(6,\) or \(6, m\), a row of responses for each row of A, got \(5, 2\)"),
        ({"b": np.zeros((6, 0))}, ValueError, r"b must have shape \(6,\) or \(6, m\)"),
        ({"b": np.full((6, 2), np.nan)}, ValueError, r"b"),
        ({"sample_weight": np.zeros(6)}, ValueError, r"sample_weight must have a positive entry"),
        ({"size": 7}, ValueError, r"size=7 is outside \[1, 6\]"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    arguments = {"A": np.ones((6, 1)), "b": np.zeros((6, 2)), "quantiles": [0.5]} | change
    with pytest.raises(error, match=message):
        certified_quantile_path(arguments.pop("A"), arguments.pop("b"), arguments.pop("quantiles"), **arguments)


def test_unknown_way_of_uncrossing_is_named():
    with pytest.raises(ValueError, match="non_crossing='sort' is not known; choose one of None, 'rearrange', 'constrain'"):
        QuantilePath(non_crossing="sort").fit(np.ones((6, 1)), np.zeros(6))


def test_a_single_number_has_no_quantiles():
    with pytest.raises(ValueError, match="predictions is a single number"):
        rearranged(1.0)
