"""Designs against a conic solver, line searches and exact fractions."""

from fractions import Fraction
from itertools import combinations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from algos.common.designs import _descend, design_descent, inverse_factor, reduce_support, round_allocation

SOLVER = 1e-5  # gap of the conic solver in the logarithm of the determinant
ROUNDING = 1e-9


def rows(seed, n=14, r=3):
    return np.random.default_rng(seed).standard_normal((n, r))


def log_det(Z, p):
    return np.linalg.slogdet(Z.T @ (p[:, None] * Z))[1]


@pytest.mark.parametrize("seed", range(3))
def test_the_determinant_is_that_of_a_conic_solver(seed):
    Z = rows(seed)
    p = cp.Variable(len(Z), nonneg=True)
    problem = cp.Problem(cp.Maximize(cp.log_det(Z.T @ cp.diag(p) @ Z)), [cp.sum(p) == 1])
    best = problem.solve(solver=cp.CLARABEL)
    found = design_descent(Z, np.full(14, 1 / 14), tol=1e-7, max_iter=10_000)
    assert found.converged
    assert log_det(Z, found.weights) == pytest.approx(best, abs=SOLVER)
    assert np.abs(found.weights - p.value).max() < 1e-3
    assert found.weights.sum() == pytest.approx(1.0, abs=ROUNDING)


@pytest.mark.parametrize("seed", range(6))
def test_a_step_goes_as_far_as_a_line_search_and_no_weight_becomes_negative(seed):
    Z = rows(seed, n=9)
    p = np.random.default_rng([seed, 1]).dirichlet(np.full(9, 0.3 if seed % 2 else 3.0))
    inverse = np.linalg.inv(Z.T @ (p[:, None] * Z))
    h = np.einsum("ij,jk,ik->i", Z, inverse, Z)
    up, down = int(np.argmax(h)), int(np.argmin(np.where(p > 0, h, np.inf)))
    j = up if h[up] - 3 >= 3 - h[down] else down
    unit = np.eye(9)[j]
    least = 0.0 if j == up else -p[j] / (1 - p[j])
    search = minimize_scalar(
        lambda lam: -log_det(Z, (1 - lam) * p + lam * unit), bounds=(least, 1 - 1e-9), method="bounded", options={"xatol": 1e-10}
    )
    after, variances = p.copy(), h.copy()
    assert _descend(Z, after, variances, inverse.copy(), 0.0, 1) == 1
    assert after.min() >= 0.0
    assert log_det(Z, after) >= -search.fun - ROUNDING
    fresh = np.linalg.inv(Z.T @ (after[:, None] * Z))
    assert variances == pytest.approx(np.einsum("ij,jk,ik->i", Z, fresh, Z), rel=1e-8)


def test_updated_variances_do_not_drift():
    Z = rows(3, n=200, r=6)
    p = np.full(200, 1 / 200)
    factor = inverse_factor(Z, p)
    h = ((Z @ factor) ** 2).sum(axis=1)
    taken = _descend(Z, p, h, factor @ factor.T, 1e-7, 300)
    assert taken == 300
    fresh = np.linalg.inv(Z.T @ (p[:, None] * Z))
    assert h == pytest.approx(np.einsum("ij,jk,ik->i", Z, fresh, Z), rel=ROUNDING)


def test_superfluous_rows_are_dropped_and_one_column_takes_one_step():
    Z = np.vstack([np.eye(3), 0.2 * rows(0, n=30) / 3])
    found = design_descent(Z, np.full(33, 1 / 33), tol=1e-9, max_iter=1000)
    assert found.converged
    assert np.flatnonzero(found.weights).tolist() == [0, 1, 2]
    one = design_descent(np.array([[1.0], [-3.0], [2.0]]), np.full(3, 1 / 3), tol=1e-3, max_iter=5)
    assert one.weights.tolist() == [0.0, 1.0, 0.0]
    assert (one.n_steps, one.converged, one.variances.max()) == (1, True, 1.0)
    assert design_descent(np.ones((2, 1)), np.full(2, 0.5), tol=0.0, max_iter=5).n_steps == 0


def test_a_limit_is_kept_and_reported():
    found = design_descent(rows(1, n=50), np.full(50, 0.02), tol=1e-9, max_iter=7)
    assert (found.n_steps, found.converged) == (7, False)
    with pytest.raises(np.linalg.LinAlgError, match="do not span"):
        design_descent(rows(1), np.where(np.arange(14) < 2, 0.5, 0.0), tol=0.1, max_iter=5)


@pytest.mark.parametrize(
    ("n", "r", "kind"), [(400, 4, "gauss"), (30, 4, "repeated"), (1000, 2, "circle"), (90, 1, "gauss"), (11, 4, "gauss")]
)
def test_few_rows_have_the_matrix_of_all(n, r, kind):
    Z = rows(n, n, r)
    if kind == "repeated":
        Z = np.repeat(Z[:6], 5, axis=0)
    if kind == "circle":
        Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    p = np.random.default_rng(0).dirichlet(np.ones(n))
    few = reduce_support(Z, p)
    assert few.min() >= 0.0
    assert np.count_nonzero(few) <= r * (r + 1) // 2 + (kind != "circle")  # on a circle the sum follows from the matrix
    assert few.sum() == pytest.approx(1.0, rel=ROUNDING)
    assert Z.T @ (few[:, None] * Z) == pytest.approx(Z.T @ (p[:, None] * Z), abs=ROUNDING)


@given(st.integers(0, 10**6), st.integers(4, 60))
def test_ties_between_weights_that_vanish_together_cost_no_accuracy(seed, n):
    Z = np.random.default_rng(seed).integers(-1, 2, (n, 3)).astype(float)
    p = np.full(n, 1 / n)
    few = reduce_support(Z, p)
    assert few.min() >= 0.0
    assert np.count_nonzero(few) <= 7
    assert few.sum() == pytest.approx(1.0, rel=ROUNDING)
    assert Z.T @ (few[:, None] * Z) == pytest.approx(Z.T @ (p[:, None] * Z), abs=ROUNDING)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any), st.integers(1, 60))
def test_rounded_up_weights_are_those_of_fractions(weights, n):
    total = sum(weights)
    expected = [-(-n * w // total) for w in weights]
    assert round_allocation(weights, n).tolist() == expected
    assert round_allocation(np.array(weights) * 1e-300, n).tolist() == expected


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 30))
def test_efficient_rounding_gives_no_action_away(weights, more):
    n = len(weights) + more
    counts = round_allocation(weights, n, method="efficient").tolist()
    assert sum(counts) == n
    share = [Fraction(c, w) for c, w in zip(counts, weights, strict=True)]
    # moving a repetition from one action to another never raises the smallest share
    assert all(Fraction(c - 1, w) <= min(share) for c, w in zip(counts, weights, strict=True))


def test_efficient_rounding_has_the_largest_smallest_share():
    weights, n = [7, 3, 2], 10
    tries = [(a, b - a, n - b) for a, b in combinations(range(1, n), 2)]
    best = max(min(c / w for c, w in zip(counts, weights, strict=True)) for counts in tries)
    counts = round_allocation(weights, n, method="efficient")
    assert min(counts / np.array(weights)) == pytest.approx(best)


def test_bad_weights_are_named():
    for weights in ([], [0.0, 0.0], [1.0, -1.0], [np.nan, 1.0], [[1.0]]):
        with pytest.raises(ValueError, match="none negative, not all 0"):
            round_allocation(weights, 5)
    with pytest.raises(ValueError, match="n=0"):
        round_allocation([1.0], 0)
    with pytest.raises(ValueError, match="less than the 3 positive weights"):
        round_allocation([1.0, 1.0, 0.0, 1.0], 2, method="efficient")
    with pytest.raises(ValueError, match="method"):
        round_allocation([1.0], 2, method="floor")
