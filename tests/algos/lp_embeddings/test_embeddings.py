import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from algos.lp_embeddings import LpSubspaceEmbedding, bounds, distortion, instances, sample_size
from algos.lp_embeddings.importance import row_scores


def table(n=2000, d=3, seed=0):
    return np.random.default_rng(seed).standard_t(2, (n, d))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("draw", ["bernoulli", "fixed", "systematic"])
def test_attributes_describe_the_sample(p, draw):
    X = table()
    fitted = LpSubspaceEmbedding(p=p, size=150, draw=draw, random_state=0).fit(X)
    assert fitted.sample_indices_.dtype == np.int64
    assert (np.diff(fitted.sample_indices_) > 0).all()
    np.testing.assert_allclose(fitted.scale_**p, fitted.weights_, rtol=1e-12)
    assert fitted.probabilities_.sum() == pytest.approx(150, rel=1e-9)
    if draw != "fixed":
        np.testing.assert_allclose(fitted.weights_ * fitted.probabilities_[fitted.sample_indices_], 1.0, rtol=1e-12)
    if draw == "systematic":
        assert len(fitted.sample_indices_) == 150
    np.testing.assert_array_equal(fitted.sketch(X), fitted.scale_[:, None] * X[fitted.sample_indices_])
    low, high = fitted.total_bounds_
    assert low <= high
    assert (fitted.size_, fitted.rank_, fitted.n_features_in_) == (150.0, 3, 3)


def test_sample_is_kept_for_one_seed_and_differs_for_another():
    X = table()
    first, again, other = (LpSubspaceEmbedding(size=100, random_state=s).fit(X).sample_indices_ for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    sparse = LpSubspaceEmbedding(size=100, random_state=1).fit(sp.csr_array(X))
    np.testing.assert_array_equal(first, sparse.sample_indices_)
    np.testing.assert_allclose(
        sparse.sketch(sp.csr_array(X)).toarray(), LpSubspaceEmbedding(size=100, random_state=1).fit(X).sketch(X), rtol=1e-9
    )


def test_default_size_is_that_of_the_formula():
    X = np.vstack([instances.two_basis(4, 500).A, np.zeros((3, 4))])
    fitted = LpSubspaceEmbedding(eps=0.4, delta=0.05, random_state=0).fit(X)
    suggested = sample_size(sampler="l2_augmented", p=1.0, d=4, S=fitted.total_bounds_[1], eps=0.4, delta=0.05)
    assert fitted.size_ == suggested < 4000
    assert fitted.guarantee_.kind in ("proved distortion", "calibrated size")


@pytest.mark.parametrize(
    ("p", "options", "kind"),
    [
        (1.0, {"size": 5000}, "isometry"),
        (1.0, {"size": 5000, "draw": "fixed"}, "isometry"),
        (1.0, {"size": 1500}, "proved distortion"),
        (1.0, {"size": 1500, "draw": "fixed"}, "proved distortion"),
        (1.0, {"size": 1500, "draw": "systematic"}, "none"),
        (1.0, {"size": 1000, "sampler": "root_leverage", "eps": 0.5}, "calibrated size"),
        (1.0, {"size": 20}, "none"),
        (3.0, {"size": 20, "sampler": "leverage"}, "none"),
        (4.0, {"size": 300}, "proved distortion"),
    ],
)
def test_guarantee_says_what_is_known(p, options, kind):
    X = np.random.default_rng(0).standard_normal((2000, 3))
    fitted = LpSubspaceEmbedding(p=p, random_state=0, **options).fit(X)
    guarantee = fitted.guarantee_
    assert guarantee.kind == kind
    assert guarantee.holds == (kind != "none")
    if kind == "isometry":
        assert guarantee.value == 0.0
        assert len(fitted.sample_indices_) == 2000
        np.testing.assert_array_equal(fitted.weights_, 1.0)
    if kind == "calibrated size":
        assert guarantee.value == 0.5
        assert "not proved" in guarantee.premises[1]
    if kind == "none":
        assert guarantee.reason


@pytest.mark.parametrize("draw", ["bernoulli", "fixed"])
def test_proved_distortion_holds_and_is_computed_from_the_largest_share(draw):
    X = np.random.default_rng(0).standard_normal((4000, 2)) if draw == "fixed" else table(4000, 2)
    for seed in range(15):
        fitted = LpSubspaceEmbedding(size=1000, draw=draw, delta=0.01, random_state=seed).fit(X)
        measured = distortion(X, fitted.sketch(X), 1.0)
        assert measured.exact
        assert measured.upper <= fitted.guarantee_.value < 1
    upper, q = row_scores(X, 1.0).sensitivity_upper, fitted.probabilities_
    open_rows = slice(None) if draw == "fixed" else q < 1
    share = np.max(upper[open_rows] / q[open_rows])
    assert fitted.guarantee_.value == pytest.approx(bounds.proved_distortion(p=1.0, rank=2, share=share, delta=0.01), rel=1e-9)


def test_responses_belong_to_the_table_that_is_embedded():
    X = table(1000, 2)
    y = np.zeros(1000)
    y[137] = 1.0  # only this row knows the response
    fitted = LpSubspaceEmbedding(size=40, random_state=0).fit(X, y)
    assert 137 in fitted.sample_indices_
    assert (fitted.rank_, fitted.n_features_in_) == (3, 2)
    rows, targets, weights = LpSubspaceEmbedding(size=40, random_state=0).fit_sketch(X, y)
    np.testing.assert_array_equal(rows, X[fitted.sample_indices_])
    np.testing.assert_array_equal(targets, y[fitted.sample_indices_])
    np.testing.assert_array_equal(weights, fitted.weights_)
    both = LpSubspaceEmbedding(size=40, random_state=0).fit(X, np.column_stack([y, y[::-1]]))
    assert np.isin([137, 862], both.sample_indices_).all()


def test_weights_serve_another_library_as_sample_weight():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.standard_normal(20_000)
    rows, targets, weights = LpSubspaceEmbedding(p=2.0, size=4000, random_state=0).fit_sketch(X, y)
    full = LinearRegression(fit_intercept=False).fit(X, y)
    small = LinearRegression(fit_intercept=False).fit(rows, targets, sample_weight=weights)
    eps = distortion(np.c_[X, y], np.sqrt(weights)[:, None] * np.c_[rows, targets], 2.0).upper
    losses = [np.linalg.norm(y - model.predict(X)) for model in (small, full)]
    assert losses[0] <= bounds.sketch_and_solve_ratio(eps=eps) * losses[1]
    only, weights_only = LpSubspaceEmbedding(p=2.0, size=50, random_state=0).fit_sketch(X)
    assert len(only) == len(weights_only)


def test_frames_and_single_precision_keep_their_form():
    X = table()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    fitted = LpSubspaceEmbedding(size=100, random_state=0).fit(frame)
    assert list(fitted.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(fitted.sketch(frame), LpSubspaceEmbedding(size=100, random_state=0).fit(X).sketch(X))
    single = X.astype(np.float32)
    assert LpSubspaceEmbedding(size=100, random_state=0).fit(single).sketch(single).dtype == np.float32
    sparse = sp.csr_array(single)
    assert LpSubspaceEmbedding(size=100, random_state=0).fit(sparse).sketch(sparse).dtype == np.float32


def test_there_is_no_transform():
    assert not hasattr(LpSubspaceEmbedding(), "transform")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 0.9}, "p=0.9"),
        ({"p": math.inf}, "p=inf is not covered"),
        ({"sampler": "best"}, "sampler='best' is not known"),
        ({"sampler": "root_leverage", "p": 3.0}, "covers 1 <= p <= 2"),
        ({"sampler": "leverage_sensitivity"}, "covers p >= 2"),
        ({"sampler": "leverage"}, "size=None with sampler='leverage', p=1.0"),
        ({"size": 0.5}, "size=0.5"),
        ({"size": math.inf}, "size=inf"),
        ({"eps": 0.0}, "eps=0.0"),
        ({"delta": 1.0}, "delta=1.0"),
        ({"draw": "guess"}, "draw='guess' is not known"),
        ({"draw": "fixed", "sampler": "root_leverage", "size": 50}, "its rounds are drawn row by row"),
    ],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LpSubspaceEmbedding(**options).fit(table(100))


def test_bad_data_is_named():
    X = table(100)
    with pytest.raises(NotFittedError):
        LpSubspaceEmbedding().sketch(X)
    fitted = LpSubspaceEmbedding(size=10, random_state=0).fit(X)
    with pytest.raises(ValueError, match="X has 99 rows, the table fitted had 100"):
        fitted.sketch(X[:-1])
    with pytest.raises(ValueError, match="A has only zeros"):
        LpSubspaceEmbedding().fit(np.zeros((4, 2)))
    with pytest.warns(UserWarning, match="size=2 is below the rank of the table, 3"):
        LpSubspaceEmbedding(size=2, random_state=0).fit(X)
