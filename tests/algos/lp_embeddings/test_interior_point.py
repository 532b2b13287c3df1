"""The interior point method against enumeration, HiGHS and numpy twins of its loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from algos.lp_embeddings import _quantile_kernels as loops
from algos.lp_embeddings.interior_point import quantile_interior_point

TOL = 1e-9  # the method's default target
SUM_ORDER = 1e-12  # sums of a thousand terms in another order
HIGHS = 1e-7  # feasibility tolerance of HiGHS, relative to the objective


def pinball(A, b, x, t, w=None):
    r = b - A @ x
    return float(np.sum((1.0 if w is None else w) * np.where(r > 0, t * r, (t - 1) * r)))


def best_vertex(A, b, t, w):
    """Smallest loss over all coefficients that interpolate d rows: for full rank a minimiser is among them."""
    n, d = A.shape
    losses = []
    for rows in map(list, itertools.combinations(range(n), d)):
        if abs(np.linalg.det(A[rows])) > 1e-9:
            losses.append(pinball(A, b, np.linalg.solve(A[rows], b[rows]), t, w))
    return min(losses)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), t=st.sampled_from([0.05, 0.3, 0.5, 0.9]), d=st.integers(1, 3), n=st.integers(4, 9))
def test_reaches_the_best_vertex(seed, t, d, n):
    rng = np.random.default_rng(seed)
    A, b, w = rng.standard_normal((n, d)), rng.standard_normal(n), rng.uniform(0.2, 4.0, n)
    result = quantile_interior_point(A, b, t, weights=w)
    assert result.converged
    assert pinball(A, b, result.coef, t, w) <= best_vertex(A, b, t, w) * (1 + 2 * TOL) + 1e-12


@pytest.mark.parametrize("t", [0.01, 0.5, 0.9])
def test_linear_term_and_weights_agree_with_highs(t):
    rng = np.random.default_rng(3)
    n, d = 300, 4
    A, b, w = rng.standard_normal((n, d)), rng.standard_t(2, n), rng.uniform(0.5, 3.0, n)
    g = A.T @ (w * rng.uniform(0.3 * (t - 1), 0.3 * t, n))  # inside the image of the box, so the problem is bounded
    result = quantile_interior_point(A, b, t, weights=w, rhs=g)
    oracle = linprog(-b, A_eq=A.T, b_eq=g, bounds=np.column_stack([w * (t - 1), w * t]), method="highs")
    objective = pinball(A, b, result.coef, t, w) + g @ result.coef
    assert objective == pytest.approx(-oracle.fun, rel=HIGHS)
    assert b @ result.dual == pytest.approx(objective, rel=10 * TOL)
    assert np.max(np.abs(A.T @ result.dual - g)) <= 1e-12 * n
    assert np.all(result.dual >= w * (t - 1))
    assert np.all(result.dual <= w * t)


def test_unbounded_problem_is_reported_not_solved():
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((50, 2)), rng.standard_normal(50)
    result = quantile_interior_point(A, b, rhs=[1e3, 0.0])  # no y in the box has A.T y that large
    assert not result.converged
    assert result.merit > 1e-4
    assert np.all(np.isfinite(result.coef))
    assert np.all(np.isfinite(result.dual))


def test_start_at_the_solution_and_far_away_agree():
    rng = np.random.default_rng(5)
    A = rng.standard_normal((400, 5))
    b = A @ np.arange(5.0) + rng.standard_cauchy(400)
    near = quantile_interior_point(A, b, start=np.arange(5.0))
    far = quantile_interior_point(A, b, start=np.full(5, 1e3), max_iter=200)
    assert pinball(A, b, near.coef, 0.5) == pytest.approx(pinball(A, b, far.coef, 0.5), rel=2 * TOL)


def test_usual_problems_need_at_most_twenty_steps():
    rng = np.random.default_rng(1)
    for d in (2, 10, 30):
        A = rng.standard_normal((2000, d))
        result = quantile_interior_point(A, rng.standard_t(3, 2000))
        assert result.converged
        assert result.n_iter <= 20


@pytest.mark.parametrize("unit_A", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("unit_b", [1e-150, 1e150])
def test_units_do_not_matter(unit_A, unit_b):
    rng = np.random.default_rng(2)
    A, b = rng.standard_normal((200, 3)), rng.standard_normal(200)
    plain = quantile_interior_point(A, b).coef
    scaled = quantile_interior_point(A * unit_A, b * unit_b).coef
    np.testing.assert_allclose(scaled * unit_A / unit_b, plain, rtol=1e-6)


def test_dependent_columns_reach_the_same_objective():
    rng = np.random.default_rng(7)
    A, b = rng.standard_normal((300, 3)), rng.standard_normal(300)
    plain = quantile_interior_point(A, b)
    dependent = quantile_interior_point(np.column_stack([A, A[:, 0] - 2 * A[:, 1], np.zeros(300)]), b)
    assert pinball(A, b, plain.coef, 0.5) == pytest.approx(b @ dependent.dual, rel=2 * TOL)
    assert dependent.coef[-1] == 0.0


def test_exact_fit_is_left_alone():
    A = np.random.default_rng(0).standard_normal((20, 3))
    result = quantile_interior_point(A, np.zeros(20), start=np.zeros(3))
    assert result.converged
    np.testing.assert_array_equal(result.coef, 0.0)
    np.testing.assert_array_equal(result.dual, 0.0)


def test_zero_residuals_with_a_linear_term_still_find_the_dual():
    A = np.random.default_rng(0).standard_normal((20, 3))
    g = A.T @ np.linspace(-0.2, 0.2, 20)
    result = quantile_interior_point(A, np.zeros(20), rhs=g, start=np.zeros(3))
    np.testing.assert_allclose(A.T @ result.dual, g, atol=1e-12)
    assert np.max(np.abs(result.coef)) <= 1e-9


def test_table_of_zeros_has_the_signs_as_dual():
    result = quantile_interior_point(np.zeros((4, 2)), [1.0, -1.0, 2.0, 3.0], 0.25)
    assert result.converged
    np.testing.assert_array_equal(result.dual, [0.25, -0.75, 0.25, 0.25])


def test_remembers_its_best_iterate():
    rng = np.random.default_rng(8)
    A, b = rng.standard_normal((500, 4)), rng.standard_cauchy(500)
    for rhs in (None, [400.0, 0.0, 0.0, 0.0]):  # with the second the iterates get worse: its equations cannot be met
        merits = [quantile_interior_point(A, b, rhs=rhs, tol=1e-15, max_iter=k).merit for k in range(1, 16)]
        assert all(later <= earlier for earlier, later in itertools.pairwise(merits))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": 1.0}, "t=1.0"),
        ({"tol": 0.0}, "tol=0.0"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"b": [1.0, 2.0]}, r"b must have shape \(3,\)"),
        ({"b": [1.0, np.nan, 2.0]}, "b must be finite"),
        ({"weights": [1.0, 0.0, 1.0]}, "weights must be positive"),
        ({"rhs": [1.0]}, "rhs must have shape"),
        ({"A": [[1.0, np.inf]] * 3}, "A has a"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"A": np.eye(3, 2) + 1.0, "b": [1.0, 2.0, 3.0]} | change
    with pytest.raises(ValueError, match=message):
        quantile_interior_point(arguments.pop("A"), arguments.pop("b"), **arguments)


# -- numpy twins of the loops ------------------------------------------------------------------------------------------------------


@pytest.fixture
def barrier():
    rng = np.random.default_rng(11)
    u, s, z, v, theta = (rng.uniform(0.1, 2.0, 1000) for _ in range(5))
    return u, s, z, v, theta, rng.standard_normal(1000)


def test_twin_of_the_state(barrier):
    u, s, z, v, _, _ = barrier
    theta, target = np.empty(1000), np.empty(1000)
    gap, loss = loops.barrier_state(u, s, z, v, -u, s, theta, target)
    np.testing.assert_allclose(theta, 1 / (z / u + v / s), rtol=SUM_ORDER)
    np.testing.assert_allclose(target, theta * (v - z), rtol=SUM_ORDER)
    assert gap == pytest.approx(u @ z + s @ v, rel=SUM_ORDER)
    assert loss == pytest.approx(s @ np.maximum(v - z, 0) + u @ np.maximum(z - v, 0), rel=SUM_ORDER)


def affine(u, s, z, v, theta, moved):
    du = theta * (v - z - moved)
    return du, -z - z / u * du, -v + v / s * du


def test_twin_of_the_predictor(barrier):
    u, s, z, v = barrier[:4]
    du, dz, dv = affine(*barrier)
    box, slack, du_part, dz_part, cross = loops.predictor(*barrier)
    assert box == pytest.approx(max((-du / u).max(), (du / s).max()), rel=SUM_ORDER)
    assert slack == pytest.approx(max((-dz / z).max(), (-dv / v).max()), rel=SUM_ORDER)
    a, b = 0.3, 0.7
    after = (u + a * du) @ (z + b * dz) + (s - a * du) @ (v + b * dv)
    assert u @ z + s @ v + a * du_part + b * dz_part + a * b * cross == pytest.approx(after, rel=SUM_ORDER)


def test_twin_of_corrector_and_step(barrier):
    u, s, z, v, theta, moved = barrier
    mu = 0.2
    du, dz, dv = affine(*barrier)
    cu, cs, target = (np.empty(1000) for _ in range(3))
    loops.corrector(*barrier, mu, cu, cs, target)
    np.testing.assert_allclose(cu, (mu - du * dz) / u - z, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(cs, (mu + du * dv) / s - v, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(target, theta * (cu - cs), rtol=1e-9, atol=1e-12)
    du, dz, dv = target - theta * moved, np.empty(0), np.empty(0)
    dz, dv = cu - z / u * du, cs + v / s * du
    box, slack = loops.combined_direction(*barrier, target, cu, cs)
    for got, expected in ((target, du), (cu, dz), (cs, dv)):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert box == pytest.approx(max((-du / u).max(), (du / s).max()), rel=1e-9)
    assert slack == pytest.approx(max((-dz / z).max(), (-dv / v).max()), rel=1e-9)
    moved_to = [a + k * step for a, k, step in ((u, 0.1, du), (s, -0.1, du), (z, 0.2, dz), (v, 0.2, dv))]
    state = [a.copy() for a in (u, s, z, v)]
    loops.take_step(*state, du, dz, dv, 0.1, 0.2)
    for got, expected in zip(state, moved_to, strict=True):
        np.testing.assert_allclose(got, expected, rtol=SUM_ORDER, atol=1e-14)


def test_twin_of_scaled_rows():
    rng = np.random.default_rng(1)
    A, w = rng.standard_normal((100, 7)), rng.uniform(0, 2, 100)
    out = np.empty_like(A)
    loops.scale_rows(A, w, out)
    np.testing.assert_array_equal(out, np.sqrt(w)[:, None] * A)


@pytest.mark.parametrize("seed", [37, 63, 129, 236, 292, 375])
def test_a_start_whose_merit_first_grows_is_not_given_up(seed):
    rng = np.random.default_rng(seed)  # an extreme quantile, weights over six decades: twenty steps without a better iterate
    A, b, weights = rng.standard_normal((500, 3)), rng.standard_cauchy(500), np.exp(rng.uniform(-7.0, 7.0, 500))
    assert quantile_interior_point(A, b, 0.999, weights=weights).converged
