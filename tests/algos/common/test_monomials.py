"""Weighted monomials: inner products are powers, columns are what their exponents say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.common.monomials import monomial_count, monomial_exponents, weighted_monomials

ROUNDING = 1e-12  # at most 35 terms, each a product of four factors


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), degree=st.integers(1, 4))
def test_inner_products_are_powers(seed, d, degree):
    X = np.random.default_rng(seed).standard_normal((6, d))
    lifted = weighted_monomials(X, degree)
    assert lifted.shape == (6, math.comb(d + degree - 1, degree))
    size = np.abs(X) @ np.abs(X).T
    assert np.all(np.abs(lifted @ lifted.T - (X @ X.T) ** degree) <= ROUNDING * size**degree)


@pytest.mark.parametrize(("d", "degree"), [(1, 3), (2, 2), (3, 3), (4, 1)])
def test_columns_follow_their_exponents(d, degree):
    X = np.random.default_rng(0).uniform(0.5, 2.0, (5, d))
    exponents = monomial_exponents(d, degree)
    assert len({tuple(row) for row in exponents}) == len(exponents) == monomial_count(d, degree)
    assert np.all(exponents.sum(axis=1) == degree)
    for column, row in zip(weighted_monomials(X, degree).T, exponents, strict=True):
        weight = math.sqrt(math.factorial(degree) / math.prod(math.factorial(k) for k in row))
        np.testing.assert_allclose(column, weight * np.prod(X**row, axis=1), rtol=ROUNDING)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="degree=0 is outside"):
        weighted_monomials(np.ones((2, 2)), 0)
    with pytest.raises(ValueError, match=r"monomials of degree 2 overflow: the largest entry of X is 1e\+200"):
        weighted_monomials([[1e200, 0.0]], 2)
    with pytest.raises(ValueError, match="NaN"):
        weighted_monomials([[np.nan]], 2)
    with pytest.raises(ValueError, match="n_features=0 is outside"):
        monomial_count(0, 2)
