"""The regressor against linear programs for every support, and what its two numbers say about all sparse models."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.misspecified_bandits import SparseMisspecifiedRegressor
from algos.misspecified_bandits.instances import best_sparse_fit, make_diabetes_bandit

HIGHS = 1e-7  # of linear programs with numbers near 1
ROUNDING = 1e-9


def table(seed, n, d, s, eps):
    rng = np.random.default_rng(seed)
    X, beta = rng.standard_normal((n, d)), np.zeros(d)
    beta[rng.choice(d, s, replace=False)] = rng.choice([-1.0, 1.0], s) * rng.uniform(0.5, 1.5, s)
    return X, X @ beta + 3.0 + rng.uniform(-eps, eps, n), np.flatnonzero(beta).tolist()


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 25), d=st.integers(1, 5), s=st.integers(1, 4), noise=st.sampled_from([0.0, 0.1, 5.0]))
def test_the_error_is_the_least_of_all_supports(seed, n, d, s, noise):
    X, y, _ = table(seed, n, d, min(s, d), noise)
    for intercept in (True, False):
        model = SparseMisspecifiedRegressor(s, fit_intercept=intercept).fit(X, y)
        expected = best_sparse_fit(X, y, min(s, d), intercept=intercept)
        assert model.exact_
        assert model.eps_ == pytest.approx(expected.eps, abs=HIGHS * 10.0)
        assert model.eps_lower_ <= expected.eps + HIGHS
        assert model.guarantee_.value <= HIGHS * 10.0
        assert np.abs(y - model.predict(X)).max() == model.eps_
        assert model.support_.size <= s


@pytest.mark.parametrize(("gamma", "s", "share"), [(0.003, 1, 0.344), (0.003, 2, 0.147), (0.003, 3, 0.0046), (0.03, 3, 0.0756)])
def test_shares_of_a_real_surface(gamma, s, share):
    """Numbers of an independent enumeration with HiGHS, printed to three digits."""
    X, y = make_diabetes_bandit(gamma)
    model = SparseMisspecifiedRegressor(s).fit(X, y)
    assert model.eps_ / np.ptp(y) == pytest.approx(share, abs=6e-4 if share > 0.01 else 6e-5)
    assert model.support_.tolist() == [[2], [2, 8], [2, 3, 8]][s - 1]


@pytest.mark.parametrize("method", ["omp", "htp", "chebyshev"])
def test_without_enumeration_the_bound_holds_for_every_support(method):
    for seed in range(5):
        X, y, support = table(seed, 40, 7, 2, 0.2)
        model = SparseMisspecifiedRegressor(2, method=method, exact_max_supports=0).fit(X, y)
        least = min(best_sparse_fit(X[:, S], y, 2).eps for S in itertools.combinations(range(7), 2))
        assert not model.exact_
        assert model.eps_lower_ <= least + HIGHS
        assert model.eps_ >= least - HIGHS
        assert model.support_.tolist() == support
        assert model.guarantee_.value == model.eps_ - model.eps_lower_
        if method == "chebyshev":
            assert model.eps_ == pytest.approx(best_sparse_fit(X[:, support], y, 2).eps, abs=HIGHS)


def test_least_squares_methods_fit_by_least_squares():
    X, y, support = table(3, 50, 6, 3, 0.1)
    expected = np.linalg.lstsq(np.column_stack([np.ones(50), X[:, support]]), y)[0]
    for method in ("omp", "htp"):
        model = SparseMisspecifiedRegressor(3, method=method).fit(X, y)
        assert [model.intercept_, *model.coef_[support]] == pytest.approx(expected.tolist(), rel=ROUNDING)


@pytest.mark.parametrize("method", ["chebyshev", "omp", "htp"])
@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_extreme_units(method, size):
    X, y, support = table(5, 30, 6, 2, 0.1)
    here = SparseMisspecifiedRegressor(2, method=method).fit(X, y)
    there = SparseMisspecifiedRegressor(2, method=method).fit(X / size, y * size)
    assert there.support_.tolist() == here.support_.tolist() == support
    assert there.eps_ / size == pytest.approx(here.eps_, rel=HIGHS)
    assert there.eps_lower_ / size == pytest.approx(here.eps_lower_, rel=HIGHS)


def test_coefficients_that_overflow_are_refused():
    X, y, _ = table(5, 30, 6, 2, 0.1)
    with pytest.raises(ValueError, match="rescale"):
        SparseMisspecifiedRegressor(2).fit(X * 1e-200, y * 1e200)


def test_a_constant_needs_no_column():
    X = np.random.default_rng(0).standard_normal((20, 4))
    for method in ("chebyshev", "omp", "htp"):
        model = SparseMisspecifiedRegressor(2, method=method).fit(X, np.full(20, 5.0))
        assert model.eps_ <= ROUNDING
        assert model.predict(X) == pytest.approx(np.full(20, 5.0))
        zero = SparseMisspecifiedRegressor(2, method=method, fit_intercept=False).fit(X, np.zeros(20))
        assert zero.eps_ == 0.0
        assert zero.support_.size == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"n_nonzero": 0}, "n_nonzero"), ({"method": "lasso"}, "method='lasso'"), ({"exact_max_supports": -1}, "exact_max_supports")],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        SparseMisspecifiedRegressor(**parameters).fit(np.eye(4), np.arange(4.0))
