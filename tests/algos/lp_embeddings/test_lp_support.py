"""The support function against closed forms, enumeration, linear and conic programs; its certificates against arithmetic."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning

from algos.common.blocks import RowSource
from algos.lp_embeddings import _support_l1 as l1_loops
from algos.lp_embeddings import _support_linalg as products
from algos.lp_embeddings import _support_lp as lp_loops
from algos.lp_embeddings import instances, lp_support

TOL = 1e-6  # the default target
SHARP = 1e-7  # what float64 gives for every p up to 10
ROUNDING = 1e-9  # sums and powers of a few hundred terms, well-conditioned tables
HIGHS = 1e-7  # feasibility tolerance of HiGHS
CONIC = 2e-6  # CLARABEL's default accuracy of 1e-8 on both feasibilities, over power cones


def norm(r, p):
    return float(np.max(np.abs(r))) if p == np.inf else float(np.sum(np.abs(r) ** p) ** (1 / p))


def conjugate(p):
    return np.inf if p == 1 else p / (p - 1)


def conic(A, g, p):
    """Reciprocal of min |A x|_p on g.x = 1."""
    import cvxpy as cp

    x = cp.Variable(A.shape[1])
    problem = cp.Problem(cp.Minimize(cp.pnorm(A @ x, p)), [g @ x == 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cvxpy tells that p was rounded to a fraction
        return 1.0 / problem.solve(solver="CLARABEL")


def linear_program(A, g):
    """Support function at p = 1 by its dual: min t with A.T y = g, |y| <= t."""
    n = A.shape[0]
    rows = np.block([[np.eye(n), -np.ones((n, 1))], [-np.eye(n), -np.ones((n, 1))]])
    equations = np.hstack([A.T, np.zeros((A.shape[1], 1))])
    bounds = [(None, None)] * n + [(0, None)]
    found = linprog(np.r_[np.zeros(n), 1.0], A_ub=rows, b_ub=np.zeros(2 * n), A_eq=equations, b_eq=g, bounds=bounds, method="highs")
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 3.0, 4.0, 6.0])
def test_agrees_with_a_conic_solver(p):
    for made in instances.random_families(50, 4, names=["gaussian", "heavy_tailed", "one_hot", "legendre"], random_state=5).values():
        g = made.A[7] / np.linalg.norm(made.A[7])
        found = lp_support(made.A, g, p, tol=SHARP)
        assert found.lower <= conic(made.A, g, p) * (1 + CONIC), made.name
        assert conic(made.A, g, p) <= found.upper * (1 + CONIC), made.name


def test_agrees_with_highs_where_the_dual_is_degenerate():
    rng = np.random.default_rng(1)
    ties = rng.integers(-2, 3, (60, 4)).astype(float)
    tables = [ties, instances.sign_cube(7).A, np.vstack([np.eye(4)] * 5), *(m.A for m in instances.random_families(60, 4).values())]
    for A in tables:
        g = A[3] if np.any(A[3]) else A[4]
        found = lp_support(A, g, 1.0, tol=SHARP)
        assert found.lower <= linear_program(A, g) * (1 + HIGHS)
        assert linear_program(A, g) <= found.upper * (1 + HIGHS)


def test_two_columns_by_enumeration():
    rng = np.random.default_rng(2)
    for A in (rng.standard_normal((30, 2)), rng.standard_t(1.2, (30, 2)), rng.integers(-3, 4, (30, 2)) + 0.0):
        exact = instances.two_columns(A).sensitivities
        for row, s in zip(A, exact, strict=True):
            if np.any(row):
                found = lp_support(A, row, 1.0)
                assert found.lower <= s * (1 + ROUNDING)
                assert s <= found.upper * (1 + ROUNDING)
                assert found.upper <= found.lower * (1 + TOL)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 4.0, 10.0])
def test_closed_forms(p):
    for made in (
        instances.two_basis(8, 2, p),
        instances.sign_cube(8, p),
        instances.identity(4, p),
        instances.one_column([3.0, -1.0, 0.5], p),
    ):
        found = lp_support(made.A, made.A[1], p, tol=SHARP)
        assert found.lower**p == pytest.approx(made.sensitivities[1], rel=p * SHARP)
        assert found.upper**p == pytest.approx(made.sensitivities[1], rel=p * SHARP)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    p=st.one_of(st.just(1.0), st.floats(1.05, 12.0)),
    n=st.integers(1, 25),
    d=st.integers(1, 5),
    rank=st.integers(1, 5),
    log_scale=st.sampled_from([-150, -20, 0, 20, 150]),
)
def test_certificates_hold_for_any_table(seed, p, n, d, rank, log_scale):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, min(rank, d))) @ rng.standard_normal((min(rank, d), d))
    g = A.T @ rng.standard_normal(n)
    unit = 10.0**log_scale
    found = lp_support(unit * A, g, p, tol=1e-5)
    x, y, lower, upper = found
    assert lower <= upper * (1 + ROUNDING)
    assert norm(unit * (A @ x), p) == pytest.approx(1.0, rel=ROUNDING)
    assert g @ x == pytest.approx(lower, rel=ROUNDING)
    assert np.max(np.abs(unit * (A.T @ y) - g)) <= ROUNDING * np.max(np.abs(g))
    assert norm(y * unit, conjugate(p)) == pytest.approx(upper * unit, rel=ROUNDING)
    others = rng.standard_normal((d, 50))
    assert np.all(np.abs(g @ others) <= upper * unit * np.array([norm(A @ x, p) for x in others.T]) * (1 + ROUNDING))
    orthogonal = rng.standard_normal(n)
    orthogonal -= A @ np.linalg.lstsq(A, orthogonal)[0]
    assert norm(y * unit + orthogonal, conjugate(p)) >= lower * unit * (1 - ROUNDING)


@pytest.mark.parametrize("p", [1.0, 1.7, 5.0])
def test_columns_can_be_recombined_rows_permuted_split_and_signed(p):
    rng = np.random.default_rng(3)
    A, M = rng.standard_t(2, (80, 4)), rng.standard_normal((4, 4))
    value = lp_support(A, A[0], p).upper
    order, sign = rng.permutation(80), rng.choice([-1.0, 1.0], 80)
    split = np.vstack([0.3 ** (1 / p) * A, 0.7 ** (1 / p) * A, np.zeros((3, 4))])
    for table, g in ((A @ M, A[0] @ M), (A[order] * sign[:, None], A[0]), (split, A[0]), (A * 1e100, A[0] * 1e100)):
        assert lp_support(table, g, p).upper == pytest.approx(value, rel=2 * TOL)
    assert lp_support(A, -3.0 * A[0], p).upper == pytest.approx(3.0 * value, rel=2 * TOL)


def test_sparse_streamed_and_single_precision_tables():
    rng = np.random.default_rng(4)
    A = (rng.standard_normal((60, 4)) * (rng.random((60, 4)) < 0.5)).astype(np.float32)
    A[:4] = np.eye(4)
    g = A[0].astype(float)
    for p in (1.0, 3.0):
        value = lp_support(A.astype(float), g, p).upper
        for table in (A, sp.csr_array(A.astype(float)), RowSource([A[:11], A[11:]]), A.tolist()):
            assert lp_support(table, g, p).upper == pytest.approx(value, rel=2 * TOL)


@pytest.mark.parametrize("p", [1.0, 1.02, 30.0])
def test_hard_exponents_and_dominant_rows(p):
    made = instances.random_families(300, 6, names=["spiked", "row_scales", "heavy_tailed"])
    for instance in made.values():
        for row in (0, 1, 299):
            found = lp_support(instance.A, instance.A[row], p, tol=1e-5)
            assert found.upper <= found.lower * (1 + 1e-5)


def test_a_first_iterate_changes_nothing_but_the_way():
    rng = np.random.default_rng(6)
    A = rng.standard_normal((100, 4))
    for p in (1.0, 1.4, 4.0):
        best = lp_support(A, A[0], p)
        for start in (best.x, -7.0 * best.x, A[0] + 0.3 * rng.standard_normal(4)):
            assert lp_support(A, A[0], p, x0=start).upper == pytest.approx(best.upper, rel=2 * TOL)


def test_nothing_to_maximise():
    found = lp_support(np.eye(3), np.zeros(3), 1.0)
    assert (found.lower, found.upper) == (0.0, 0.0)
    assert not found.x.any()
    assert not found.y.any()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_direction_outside_the_row_space_is_refused(p):
    A = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [1.0, 1.0, 0.0]])
    with pytest.raises(ValueError, match=r"the residual of A.T @ y = g is 0.5 times the largest entry of g"):
        lp_support(A, [1.0, 0.0, 0.0], p)
    with pytest.raises(ValueError, match=r"is 1 times the largest entry of g, in column 2; project g"):
        lp_support(A, [0.0, 0.0, 1e-30], p)
    with pytest.raises(ValueError, match="not a combination of the rows"):
        lp_support(np.zeros((3, 2)), [1.0, 0.0], p)
    assert lp_support(A, [1.0, 1.0, 0.0], p).lower > 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0.5}, "p=0.5 is outside"),
        ({"p": np.inf}, "p=inf is not covered"),
        ({"tol": 0.0}, "tol=0.0 is outside"),
        ({"g": np.ones(2)}, r"g has shape \(2,\); one number for each of the 3 columns"),
        ({"g": [1.0, np.nan, 0.0]}, "g has NaN or infinite entries"),
        ({"x0": np.ones(4)}, r"x0 has shape \(4,\)"),
        ({"x0": np.zeros(3)}, "x0 is zero"),
        ({"x0": [0.0, 1.0, 0.0]}, r"g . x0 = 0 is zero up to rounding"),
        ({"A": [[1.0, 2.0, np.nan]]}, "NaN"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"A": np.eye(3), "g": np.array([1.0, 0.0, 0.0]), "p": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        lp_support(given.pop("A"), given.pop("g"), given.pop("p"), **given)


def test_unreachable_target_warns_and_keeps_the_proof():
    A = instances.random_families(200, 5, names=["heavy_tailed"])["heavy_tailed"].A
    for p in (1.0, 1.2):
        with pytest.warns(ConvergenceWarning, match="wider than tol=1e-16; the bounds are valid"):
            found = lp_support(A, A[0], p, tol=1e-16)
        assert found.lower <= found.upper * (1 + ROUNDING)
        assert found.upper <= found.lower * (1 + SHARP)


# --- compiled loops ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 3), (1024, 4), (2500, 7)])
def test_products_agree_with_numpy(n, d):
    rng = np.random.default_rng(7)
    lines, weights, x, y = rng.standard_normal((d, n)), rng.random(n), rng.standard_normal(d), rng.standard_normal(n)
    gram, out, back = np.empty((d, d)), np.empty(n), np.empty(d)
    products.weighted_gram(lines, weights, np.empty(n), gram)
    expected = (lines * weights) @ lines.T
    np.testing.assert_allclose(np.tril(gram), np.tril(expected), rtol=0, atol=ROUNDING * n)
    products.table_times(lines, x, out)
    np.testing.assert_allclose(out, x @ lines, rtol=0, atol=ROUNDING)
    products.adjoint_times(lines, y, back)
    np.testing.assert_allclose(back, lines @ y, rtol=0, atol=ROUNDING * n)


def test_factor_and_solve_agree_with_numpy_and_nan_is_refused():
    rng = np.random.default_rng(8)
    B = rng.standard_normal((9, 5))
    G, b, factor, x = B.T @ B, rng.standard_normal(5), np.zeros((5, 5)), np.empty(5)
    assert products.cholesky(G, factor)
    products.cholesky_solve(factor, b, x)
    np.testing.assert_allclose(G @ x, b, atol=ROUNDING)
    assert products.cholesky(np.diag([1.0, 1.0, 0.0]) + np.ones((3, 3)), np.zeros((3, 3)))
    assert not products.cholesky(np.full((2, 2), np.nan), np.zeros((2, 2)))
    assert not products.cholesky(-np.eye(2), np.zeros((2, 2)))


def test_nearest_solution_of_the_dual_equations():
    rng = np.random.default_rng(9)
    Q = np.linalg.qr(rng.standard_normal((40, 3)))[0]
    lines, g, y = np.ascontiguousarray(Q.T), np.array([0.6, 0.8, 0.0]), rng.standard_normal(40)
    expected = y + Q @ (2.5 * g - Q.T @ y)
    rest = products.meet_equations(lines, g, 2.5, y, np.empty(40), np.empty(3))
    np.testing.assert_allclose(y, expected, atol=ROUNDING)
    assert rest <= ROUNDING


@pytest.mark.parametrize("p", [1.1, 2.0, 3.5, 40.0])
def test_line_search_flattens_the_slope_and_norm_does_not_overflow(p):
    rng = np.random.default_rng(10)
    for _ in range(20):
        r, move = rng.standard_normal(30), rng.standard_normal(30)

        def slope(t, r=r, move=move):
            return float(np.sum(np.sign(r + t * move) * np.abs(r + t * move) ** (p - 1) * move))

        if slope(0.0) >= 0:
            move = -move
        first = float(np.sum(np.sign(r) * np.abs(r) ** (p - 1) * move))
        t = lp_loops.line_search(r, move, first, 0.1, 1e3, p)
        after = float(np.sum(np.sign(r + t * move) * np.abs(r + t * move) ** (p - 1) * move))
        assert abs(after) <= 0.1 * abs(first) * (1 + ROUNDING)
        assert lp_loops.vector_norm(1e200 * r, p) == pytest.approx(1e200 * np.linalg.norm(r, p), rel=ROUNDING)
    assert lp_loops.vector_norm(np.zeros(3), p) == 0.0


def test_newton_weights_and_gap_agree_with_their_definitions():
    rng = np.random.default_rng(11)
    r, y, v, z = rng.standard_normal(50), rng.uniform(-0.9, 0.9, 50), rng.uniform(0.1, 2, 50), rng.uniform(0.1, 2, 50)
    theta = np.empty(50)
    gap, loss = l1_loops._state(r, y, v, z, theta)
    np.testing.assert_allclose(theta, 1 / (v / (1 - y) + z / (1 + y)), rtol=ROUNDING)
    assert gap == pytest.approx(v @ (1 - y) + z @ (1 + y), rel=ROUNDING)
    assert loss == pytest.approx(np.abs(r).sum(), rel=ROUNDING)
    fitted = rng.standard_normal(50)
    box, slack, by_box, by_slack, cross = l1_loops._predict(y, v, z, theta, fitted)
    dy = theta * fitted
    dv, dz = v * (dy / (1 - y) - 1), -z * (1 + dy / (1 + y))
    assert box == pytest.approx(max(np.max(dy / (1 - y)), np.max(-dy / (1 + y))), rel=ROUNDING)
    assert slack == pytest.approx(max(np.max(-dv / v), np.max(-dz / z)), rel=ROUNDING)
    for a, b in ((0.3, 0.9), (1.0, 0.2)):
        after = (v + b * dv) @ (1 - y - a * dy) + (z + b * dz) @ (1 + y + a * dy)
        assert gap + a * by_box + b * by_slack + a * b * cross == pytest.approx(after, rel=ROUNDING)
    mu, cv, cz, pull = 0.01, np.empty(50), np.empty(50), np.empty(50)
    l1_loops._centre(y, v, z, theta, fitted, mu, cv, cz, pull)
    np.testing.assert_allclose(cv, (mu + dv * dy) / (1 - y), rtol=ROUNDING)
    np.testing.assert_allclose(cz, (mu - dz * dy) / (1 + y), rtol=ROUNDING)
    np.testing.assert_allclose(pull, theta * (cv - cz), rtol=ROUNDING, atol=ROUNDING)
    targets = cv.copy(), cz.copy()
    move = np.empty(50)
    l1_loops._combine(y, v, z, theta, fitted, cv, cz, move)
    np.testing.assert_allclose(move, theta * (fitted - targets[0] + targets[1]), rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose((1 - y) * (v + cv) - v * move, targets[0] * (1 - y), rtol=1e-8)  # linearised complementarity
    np.testing.assert_allclose((1 + y) * (z + cz) + z * move, targets[1] * (1 + y), rtol=1e-8)
