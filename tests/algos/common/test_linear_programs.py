"""Linear programs against conic solvers, enumeration of bases, and their own duals."""

import itertools

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

from algos.common.linear_programs import LinearProgramError, chebyshev_fit, l1_minimize, solve_lp

CLOSE = 1e-6  # both solvers stop at 1e-7 or so, for numbers near 1


def test_optimum_and_bound_of_a_program_agree_with_a_conic_solver():
    rng = np.random.default_rng(0)
    for trial in range(8):
        n, m = 6, 9
        A, E = rng.standard_normal((m, n)), rng.standard_normal((2, n))
        inside = rng.uniform(-1.0, 1.0, n)
        b, e, c = A @ inside + rng.random(m), E @ inside, rng.standard_normal(n)
        limits = [(-2.0, 3.0)] * n
        ours = solve_lp(c, A_ub=sp.csr_array(A) if trial % 2 else A, b_ub=b, A_eq=E, b_eq=e, bounds=limits)
        x = cp.Variable(n)
        problem = cp.Problem(cp.Minimize(c @ x), [A @ x <= b, E @ x == e, x >= -2.0, x <= 3.0])
        problem.solve(solver=cp.CLARABEL)
        assert ours.objective == pytest.approx(problem.value, abs=CLOSE)
        assert ours.bound == pytest.approx(problem.value, abs=CLOSE)
        assert np.all(ours.dual_ub <= 0.0)
        assert ours.gap == ours.objective - ours.bound


def test_programs_without_an_optimum_say_why():
    with pytest.raises(LinearProgramError, match="infeasible") as error:
        solve_lp([1.0], A_ub=[[1.0]], b_ub=[-1.0])
    assert error.value.status == "infeasible"
    with pytest.raises(LinearProgramError, match="unbounded") as error:
        solve_lp([-1.0])
    assert error.value.status == "unbounded"
    with pytest.raises(LinearProgramError, match="gap of"):
        solve_lp([1.0, 1.0], A_eq=[[1.0, 3.0]], b_eq=[1.0 / 7.0], tol=-1.0)


def test_the_least_l1_norm_is_the_best_of_all_bases():
    rng = np.random.default_rng(1)
    for trial in range(10):
        k, n = 3, 8
        W, w = rng.standard_normal((k, n)), rng.standard_normal(k)
        weights = None if trial % 2 else rng.uniform(0.5, 2.0, n)
        v = np.ones(n) if weights is None else weights
        found = l1_minimize(W, w, weights)
        brute = min(v[list(c)] @ np.abs(np.linalg.solve(W[:, c], w)) for c in itertools.combinations(range(n), k))
        assert found.objective == pytest.approx(brute, rel=CLOSE)
        nu, dual = found
        np.testing.assert_allclose(W @ nu, w, atol=CLOSE)
        assert np.all(np.abs(W.T @ dual) <= v * (1.0 + CLOSE))
        assert w @ dual == pytest.approx(brute, rel=CLOSE)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_units_do_not_matter_to_l1_and_chebyshev(scale):
    rng = np.random.default_rng(2)
    W, w = rng.standard_normal((3, 7)), rng.standard_normal(3)
    np.testing.assert_allclose(l1_minimize(W, scale * w).nu / scale, l1_minimize(W, w).nu, atol=CLOSE)
    A, y = rng.standard_normal((9, 2)), rng.standard_normal(9)
    plain, scaled = chebyshev_fit(A, y), chebyshev_fit(A, scale * y)
    assert scaled.residual / scale == pytest.approx(plain.residual, rel=CLOSE)
    np.testing.assert_allclose(scaled.coef / scale, plain.coef, atol=CLOSE)


def test_a_vector_outside_the_span_is_refused_with_its_distance():
    with pytest.raises(LinearProgramError, match=r"it is 2 away"):
        l1_minimize([[1.0, 2.0], [0.0, 0.0]], [1.0, 2.0])


def test_the_chebyshev_fit_is_the_worst_of_its_subsets():
    # the least maximal error over all rows is the largest one over subsets of d + 1 rows (de la Vallee Poussin)
    rng = np.random.default_rng(3)
    A, y = rng.standard_normal((8, 2)), rng.standard_normal(8)
    fit = chebyshev_fit(A, y)
    worst = 0.0
    for rows in itertools.combinations(range(8), 3):
        part = A[list(rows)]
        normal = np.linalg.svd(part.T)[2][-1]  # orthogonal to the columns: errors of one size and its signs balance it
        worst = max(worst, abs(normal @ y[list(rows)]) / np.abs(normal).sum())
    assert fit.residual == pytest.approx(worst, abs=CLOSE)
    assert fit.bound == pytest.approx(worst, abs=CLOSE)
    assert np.abs(fit.dual).sum() <= 1.0 + CLOSE
    assert fit.dual @ y == pytest.approx(worst, abs=CLOSE)
    np.testing.assert_allclose(A.T @ fit.dual, 0.0, atol=CLOSE)


def test_a_box_is_kept_and_enters_the_bound():
    A, y = np.array([[1.0], [2.0]]), np.array([5.0, 10.0])
    assert chebyshev_fit(A, y).residual == pytest.approx(0.0, abs=CLOSE)
    fit = chebyshev_fit(A, y, R=1.0)
    assert fit.coef[0] == pytest.approx(1.0)
    assert fit.residual == pytest.approx(8.0)
    assert fit.bound == pytest.approx(8.0)
    assert fit.dual @ y - np.abs(A.T @ fit.dual).sum() == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: l1_minimize(np.eye(2), [1.0]), "w has shape"),
        (lambda: l1_minimize(np.eye(2), [1.0, np.nan]), "not finite"),
        (lambda: l1_minimize(np.eye(2), [1.0, 1.0], [1.0, 0.0]), "positive"),
        (lambda: chebyshev_fit(np.eye(2), [1.0]), "y has shape"),
        (lambda: chebyshev_fit(np.eye(2), [1.0, 1.0], R=0.0), "R=0.0"),
        (lambda: chebyshev_fit([[np.inf]], [1.0]), "infinite"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
