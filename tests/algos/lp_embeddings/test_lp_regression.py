"""lp regression over all rows: twins of the kernels, closed forms, conic and linear oracles, proofs, certificates, bad input."""

import math
import warnings
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning

from algos.lp_embeddings import LpCertificate, QuantileCertificate, bounds, certified_lp, instances
from algos.lp_embeddings._lp_kernels import along_line, curvature, dual_power_sum, power, power_sum
from algos.lp_embeddings._lp_problem import lp_problem
from algos.lp_embeddings._lp_search import LpSearch, exponent_stages, least_squares
from algos.lp_embeddings._quantile_problem import check_problem

GAP = 1e-9  # the default target
SUM = 1e-12  # a few thousand terms added in another order
CONIC = 1e-6  # what an interior point solver for cones leaves of the optimum at its default tolerances
POWERS = (1.05, 1.2, 1.5, 1.9, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)


def norm(r, p, w=1.0):
    """Plain weighted norm, in extended precision."""
    terms = w * np.abs(np.asarray(r, dtype=np.longdouble)) ** p
    return float(terms.sum() ** (np.longdouble(1) / p))


def regression(n=3000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, d))
    return A, A @ np.arange(1.0, d + 1) + rng.standard_t(3, n)


@pytest.fixture(scope="module")
def table():
    return regression()


# -- kernels -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 10.0])
def test_kernels_agree_with_numpy(p):
    rng = np.random.default_rng(1)
    r, q, w = rng.standard_normal(9000), rng.standard_normal(9000), rng.exponential(size=9000)
    r[5], q[7] = 0.0, 0.0
    unit, floor, step = 0.7, 0.3, 0.4
    assert power(0.3, p - 2) == pytest.approx(0.3 ** (p - 2), rel=1e-15)
    assert power_sum(r, w, unit, p) == pytest.approx(np.sum(w * np.abs(r / unit) ** p), rel=SUM)
    conjugate = 3.0 if p == 1.0 else p / (p - 1)
    assert dual_power_sum(q, w, 40.0, conjugate) == pytest.approx(np.sum(w * (np.abs(q) / (w * 40.0)) ** conjugate), rel=SUM)
    root, pull = np.empty(9000), np.empty(9000)
    curvature(r, w, unit, p, floor, root, pull)
    u = r / unit
    np.testing.assert_allclose(root, np.sqrt(w * np.maximum(np.abs(u), floor) ** (p - 2)), rtol=1e-13)
    np.testing.assert_allclose(pull, w * np.sign(u) * np.where(u == 0, 0, np.abs(u) + (u == 0)) ** (p - 1) * (u != 0), rtol=1e-13)
    t = u - step * q
    total, slope, bend = along_line(r, q, w, unit, p, step)
    assert total == pytest.approx(np.sum(w * np.abs(t) ** p), rel=SUM)
    assert slope == pytest.approx(-np.sum(w * np.sign(t) * np.abs(t) ** (p - 1) * q), rel=1e-10)
    assert bend == pytest.approx((p - 1) * np.sum(w * np.maximum(np.abs(t), 1e-12) ** (p - 2) * q * q), rel=SUM)


# -- oracles -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("shares", [(1, 1), (9, 1), (3, 5)])
def test_location_of_two_values_has_a_closed_form(p, shares):
    zeros, ones = shares
    ratio = (ones / zeros) ** (1 / (p - 1))
    b = np.repeat([0.0, 1.0], shares)
    result = certified_lp(np.ones((len(b), 1)), b, p)
    expected = norm(b - ratio / (1 + ratio), p)
    assert result.objective == pytest.approx(expected, rel=2 * GAP)
    assert result.dual_bound <= expected * (1 + SUM)
    assert result.coef[0] == pytest.approx(ratio / (1 + ratio), abs=1e-4)  # the norm is flat at its minimum: the root of the gap


def test_p_2_is_least_squares_in_one_step(table):
    A, b = table
    w = np.random.default_rng(2).exponential(size=len(b))
    for weights in (None, w):
        root = np.sqrt(np.ones_like(b) if weights is None else weights)
        result = certified_lp(A, b, 2.0, sample_weight=weights)
        np.testing.assert_allclose(result.coef, np.linalg.lstsq(root[:, None] * A, root * b, rcond=None)[0], rtol=1e-11)
        assert result.n_iter == 1
        assert result.gap <= 1e-14


@pytest.mark.parametrize("t_name", ["gaussian", "ties", "one_hot_ties"])
def test_p_1_is_the_linear_program(t_name):
    made = instances.quantile_designs(300, 3, names=[t_name])[t_name]
    n, d = made.A.shape
    solved = linprog(
        np.r_[np.zeros(d), np.ones(2 * n)],
        A_eq=np.hstack([made.A, np.eye(n), -np.eye(n)]),
        b_eq=made.b,
        bounds=[(None, None)] * d + [(0, None)] * (2 * n),
        method="highs",
    )
    result = certified_lp(made.A, made.b, 1.0)
    assert result.objective == pytest.approx(np.abs(made.b - made.A @ result.coef).sum(), rel=SUM)
    assert result.objective == pytest.approx(solved.fun, rel=1e-7)  # the feasibility tolerance of the oracle
    assert result.dual_bound <= solved.fun * (1 + 1e-7)
    assert np.max(np.abs(result.dual)) <= 1.0
    assert result.certificate.verify(made.A, made.b)


@pytest.mark.parametrize("p", [1.1, 1.5, 3.0, 4.0, 6.0])
@pytest.mark.parametrize("name", ["gaussian", "heavy_design", "one_hot_ties"])
def test_agrees_with_a_conic_solver(name, p):
    made = instances.quantile_designs(500, 4, names=[name])[name]
    A, b = np.array(made.A), np.array(made.b)
    x = cp.Variable(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracle may say that its own tolerance was not met; it is judged by its coefficients
        cp.Problem(cp.Minimize(cp.pnorm(b - A @ x, p))).solve(solver=cp.CLARABEL)
    other = norm(b - A @ x.value, p)
    result = certified_lp(A, b, p)
    assert result.objective <= other * (1 + GAP)
    assert result.dual_bound <= other * (1 + SUM)
    assert result.objective == pytest.approx(other, rel=CONIC)
    assert result.objective == pytest.approx(norm(b - A @ result.coef, p), rel=SUM)


# -- the proof -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.1, 1.5, 3.0, 10.0])
@pytest.mark.parametrize("name", list(instances.QUANTILE_DESIGNS))
def test_every_design_is_solved_and_proved(name, p):
    made = instances.quantile_designs(600, 5, names=[name], random_state=3)[name]
    result = certified_lp(made.A, made.b, p)
    assert result.converged
    assert 0.0 <= result.gap <= GAP
    if made.optimum == 0.0:
        assert result.objective <= 1e-14 * norm(made.b, p)
    else:
        assert bounds.lp_dual_norm(dual=result.dual, p=p) == pytest.approx(1.0, rel=SUM)
        assert bounds.lp_dual_bound(responses=made.b, dual=result.dual, p=p) == pytest.approx(result.objective, rel=2 * GAP)
    assert result.certificate.verify(made.A, made.b)


@pytest.mark.parametrize("p", [1.2, 4.0])
def test_gap_of_a_stopped_search_is_a_proof(table, p):
    A, b = table
    best = certified_lp(A, b, p).objective
    with pytest.warns(ConvergenceWarning, match="after 1 steps, tol=1.00e-09 was asked for; raise max_iter or tol"):
        stopped = certified_lp(A, b, p, size=30, max_iter=1, random_state=1)
    assert not stopped.converged
    assert stopped.dual_bound <= best <= stopped.objective
    assert stopped.gap > 100 * GAP
    assert stopped.certificate.verify(A, b)


@pytest.mark.parametrize("cond", [1e4, 1e7, 1e10])
@pytest.mark.parametrize("p", [1.3, 3.0])
def test_bad_conditioning_costs_no_truth(cond, p):
    rng = np.random.default_rng(4)
    U, V = np.linalg.qr(rng.standard_normal((800, 6)))[0], np.linalg.qr(rng.standard_normal((6, 6)))[0]
    A, b = (U * np.geomspace(1, 1 / cond, 6)) @ V.T, rng.standard_t(3, 800)
    rotated = certified_lp(U, b, p)  # the same fits, well conditioned
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = certified_lp(A, b, p)
    assert result.gap <= 1e-6
    assert result.dual_bound <= rotated.objective * (1 + 1e-7)  # columns that are rounded at relative size 1e-16 times cond
    unmet = (A.astype(np.longdouble).T @ result.dual).astype(float)
    assert np.linalg.norm(np.linalg.solve((U.T @ A).T, unmet)) <= 1e-9


@pytest.mark.parametrize("seed", [1, 3, 6, 24])  # bounds that contained the rounding of the residuals were 6e-11 too high here
@pytest.mark.parametrize("p", [1.2, 4.0])
def test_bound_does_not_contain_the_rounding_of_cancelling_terms(seed, p):
    made = instances.quantile_designs(500, 4, names=["offset"], random_state=seed)["offset"]
    result = certified_lp(made.A, made.b, p)
    residual = made.b - made.A.astype(np.longdouble) @ result.coef.astype(np.longdouble)
    assert result.objective == pytest.approx(norm(residual, p), rel=1e-13)
    assert result.dual_bound <= norm(residual, p) * (1 + 1e-13)
    assert result.certificate.verify(made.A, made.b)


def test_missed_equations_have_their_price(table):
    data, _ = check_problem(*table, 0.5, None)
    problem = lp_problem(data, 1.5)
    A, b = problem.A, problem.b  # in another order
    search = LpSearch(problem, least_squares(problem), GAP, 60).run()
    exact = search.final_proof()
    search.dual = search.dual + 1e-6 * A[:, 0] / np.linalg.norm(A[:, 0])
    search.proof = None
    missed = search.final_proof()
    Q = np.linalg.qr(A)[0]
    k = np.max(np.sum(Q**2, axis=1)) ** (1 / 1.5 - 1 / 2)
    P, Y = norm(b - A @ search.coef, 1.5), norm(search.dual, 3.0)
    assert missed.price == pytest.approx(2 * k * np.linalg.norm(Q.T @ search.dual) * P / Y, rel=1e-6)
    assert missed.slack >= missed.price > 100 * exact.slack


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 2.7, 8.0])
def test_comparison_of_norms_holds_and_is_attained(p):
    rng = np.random.default_rng(5)
    B, c = rng.standard_t(2, (60, 3)), np.exp(3 * rng.standard_normal(60))
    z = rng.standard_normal((3, 2000))
    for ratios in (np.ones(60), c):
        tau = np.sum(np.linalg.qr(ratios[:, None] * B)[0] ** 2, axis=1)
        k = bounds.norm_comparison(p=p, leverages=tau, ratios=ratios)
        assert np.all(np.linalg.norm(ratios[:, None] * (B @ z), axis=0) <= k * np.sum(np.abs(B @ z) ** p, axis=0) ** (1 / p) * (1 + SUM))
    # one column attains it: a single entry for p <= 2, the entries for which Hoelder's inequality is an equality for p > 2
    v = np.eye(60)[7] if p <= 2 else c ** (2 / (p - 2))
    tau = (c * v) ** 2 / np.sum((c * v) ** 2)
    ratios = np.where(v == 0, 0.0, c)
    assert np.linalg.norm(ratios * v) == pytest.approx(bounds.norm_comparison(p=p, leverages=tau, ratios=ratios) * norm(v, p), rel=SUM)
    assert bounds.norm_comparison(p=4.0, leverages=np.ones(16)) == pytest.approx(2.0, rel=SUM)


@pytest.mark.parametrize("ratio", [1e6, 1e15, 1e30, 1e60])
@pytest.mark.parametrize("p", [1.5, 3.0])
def test_a_heavy_row_does_not_hide_the_others(ratio, p):
    rng = np.random.default_rng(0)
    A, b, weights = rng.standard_normal((60, 3)), rng.standard_normal(60), np.ones(60)
    A[0], b[0], weights[0] = [1.0, 0.0, 0.0], 0.0, ratio  # practically fixes the first coefficient at zero
    pinned = certified_lp(A[1:, 1:], b[1:], p)
    result = certified_lp(A, b, p, sample_weight=weights)
    assert result.dual_bound <= pinned.objective * (1 + SUM)
    assert result.gap <= GAP
    assert result.certificate.verify(A, b, weights)


# -- invariances ---------------------------------------------------------------------------------------------------------------------


@settings(max_examples=20, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**16), p=st.sampled_from([1.2, 1.5, 3.0]))
def test_integer_weights_are_repetitions(seed, p):
    rng = np.random.default_rng(seed)
    A, b = regression(60, 2, seed)
    w = rng.integers(0, 4, 60)
    weighted = certified_lp(A, b, p, sample_weight=w)
    repeated = certified_lp(np.repeat(A, w, axis=0), np.repeat(b, w), p)
    np.testing.assert_array_equal(weighted.coef, repeated.coef)
    assert weighted.objective == pytest.approx(norm(b - A @ weighted.coef, p, w), rel=SUM)
    assert np.all(weighted.dual[w == 0] == 0)
    assert weighted.certificate.verify(A, b, w)


@pytest.mark.parametrize("p", [1.2, 3.0])
def test_units_do_not_matter(table, p):
    A, b = table[0][:900], table[1][:900]
    plain = certified_lp(A, b, p)
    for response, weight, columns in ((1e150, 1.0, 1.0), (1e-150, 1.0, 1.0), (1.0, 1e60, 1.0), (1.0, 1e-60, 1.0), (1.0, 1.0, 1e100)):
        scaled = certified_lp(columns * A, response * b, p, sample_weight=np.full(900, weight))
        assert scaled.objective == pytest.approx(response * weight ** (1 / p) * plain.objective, rel=2 * GAP)
        np.testing.assert_allclose(scaled.coef, response / columns * plain.coef, rtol=1e-4)
        assert scaled.gap <= GAP


def test_order_of_rows_does_not_matter(table):
    A, b = table[0][:500], table[1][:500]
    order = np.random.default_rng(6).permutation(500)
    w = np.random.default_rng(7).exponential(size=500)
    one, two = certified_lp(A, b, 1.4, sample_weight=w), certified_lp(A[order], b[order], 1.4, sample_weight=w[order])
    np.testing.assert_array_equal(one.coef, two.coef)
    np.testing.assert_array_equal(one.dual[order], two.dual)


def test_kinds_of_tables_agree(tmp_path, table):
    A, b = table[0].astype(np.float32), table[1]
    A[np.abs(A) < 0.5] = 0.0
    np.save(tmp_path / "A.npy", A)
    expected = certified_lp(A.astype(float), b, 1.5, random_state=0)
    kinds = {
        "float32": A,
        "csr": scipy.sparse.csr_matrix(A.astype(float)),
        "fortran": np.asfortranarray(A.astype(float)),
        "memmap": np.load(tmp_path / "A.npy", mmap_mode="r"),
    }
    for kind in kinds.values():
        result = certified_lp(kind, b, 1.5, random_state=0)
        assert result.objective == pytest.approx(expected.objective, rel=2 * GAP)
        np.testing.assert_allclose(result.coef, expected.coef, atol=1e-5)
        assert result.certificate.verify(kind, b)


# -- samples and starts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.5])
@pytest.mark.parametrize("sampler", ["auto", "leverage", "lewis", "uniform"])
def test_every_sample_leads_to_the_optimum(table, p, sampler):
    A, b = table
    best = certified_lp(A, b, p).objective
    result = certified_lp(A, b, p, sampler=sampler, size=200, random_state=1)
    assert result.objective == pytest.approx(best, rel=2 * GAP)
    sketch = certified_lp(A, b, p, sampler=sampler, size=200, certify=False, random_state=1)
    assert best * (1 - GAP) <= sketch.objective <= 1.1 * best  # 200 rows for 4 columns: an excess of a few percent
    assert sketch.objective == pytest.approx(norm(b - A @ sketch.coef, p), rel=SUM)
    assert 100 < sketch.n_rows_used < 300
    assert (sketch.dual, sketch.certificate, sketch.guarantee.kind) == (None, None, "none")
    assert math.isnan(sketch.gap)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_excess_of_a_sampled_fit_falls_like_one_over_its_size(p):
    rng = np.random.default_rng(11)
    A = rng.standard_normal((40_000, 6))
    b = A @ np.ones(6) + rng.standard_t(4, 40_000)
    best = certified_lp(A, b, p, random_state=0).objective
    sizes = (250, 1000, 4000)
    excess = [
        np.median([certified_lp(A, b, p, certify=False, size=m, random_state=seed).objective / best - 1 for seed in range(15)])
        for m in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(excess), 1)[0]
    assert -1.25 <= slope <= -0.8  # -1, and the noise of three medians of 15 draws


def test_sampling_pays(table):
    rng = np.random.default_rng(8)
    A = rng.standard_normal((20_000, 5))
    b = A @ np.ones(5) + rng.standard_t(3, 20_000)
    result = certified_lp(A, b, 1.5, random_state=0)
    assert result.n_rows_used < 4000
    assert result.n_iter <= 4


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_warm_start_continues_where_it_is(table, p):
    A, b = table
    first = certified_lp(A, b, p, random_state=0)
    again = certified_lp(A, b, p, start=first.coef, random_state=0)
    assert again.objective == pytest.approx(first.objective, rel=2 * GAP)
    assert again.n_iter <= 2
    far = certified_lp(A, b, p, start=1e6 * np.ones(4), random_state=0)
    assert far.objective == pytest.approx(first.objective, rel=2 * GAP)


@pytest.mark.parametrize(("p", "expected"), [(1.5, []), (3.0, []), (4.0, []), (4.1, [3.2]), (10.0, [3.2, 5.12])])
def test_exponents_grow_by_steps_that_newton_can_take(p, expected):
    assert exponent_stages(p) == pytest.approx(expected)


# -- degenerate tables ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
def test_dependent_columns_share_by_minimum_norm(p):
    A, b = regression(400, 3, 9)
    plain = certified_lp(A, b, p)
    wide = certified_lp(np.column_stack([A, A[:, 0], np.zeros(400)]), b, p)
    assert wide.objective == pytest.approx(plain.objective, rel=2 * GAP)
    np.testing.assert_allclose(wide.coef[[0, 3]], plain.coef[0] / 2, atol=1e-5)
    assert wide.coef[4] == 0.0


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_rows_than_columns_interpolate(n, p):
    rng = np.random.default_rng(n)
    A, b = rng.standard_normal((n, 4)), rng.standard_normal(n)
    result = certified_lp(A, b, p)
    np.testing.assert_allclose(result.coef, np.linalg.pinv(A) @ b, atol=1e-10)
    assert result.gap == 0.0


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_nothing_to_fit_with(p):
    b = np.array([3.0, -4.0, 0.0])
    result = certified_lp(np.zeros((3, 2)), b, p)
    np.testing.assert_array_equal(result.coef, np.zeros(2))
    assert result.objective == pytest.approx(norm(b, p), rel=SUM)
    assert result.gap <= 1e-14
    assert result.certificate.verify(np.zeros((3, 2)), b)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_nothing_to_fit(p):
    result = certified_lp(np.ones((3, 1)), np.zeros(3), p)
    assert (result.objective, result.dual_bound, result.gap) == (0.0, 0.0, 0.0)
    assert result.certificate.verify(np.ones((3, 1)), np.zeros(3))


# -- certificate ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[1.0, 1.5, 4.0])
def certificate(request, table):
    return certified_lp(table[0][:500], table[1][:500], request.param, tol=1e-6).certificate


def test_false_claims_are_refused(certificate, table):
    A, b = table[0][:500], table[1][:500]
    assert certificate.verify(A, b)
    p, value = certificate.p, certificate.objective
    lies = [
        {"objective": value * (1 - 1e-9)},
        {"dual_bound": value * (1 + 1e-9)},
        {"gap": -1e-3},
        {"gap": 0.0, "coef": certificate.coef + 1e-3},
        {"dual": certificate.dual + 1e-3 * A[:, 0]},
        {"dual": np.zeros(500)},
        {"dual": np.full(500, np.nan)},
        {"coef": certificate.coef[:-1]},
        {"dual": certificate.dual[:-1]},
        {"p": p + 0.5},
        {"p": 0.5},
    ]
    for lie in lies:
        assert not replace(certificate, **lie).verify(A, b), lie
    assert replace(certificate, dual=2.0 * certificate.dual).verify(A, b)  # the proof does not depend on the length of the dual
    assert not certificate.verify(A, b + A[:, 0] ** 2)
    assert not certificate.verify(A[:-1], b[:-1])
    assert not certificate.verify(A, b, np.linspace(1, 2, 500))


def test_coefficients_that_cancel_buy_no_tolerance():
    rng = np.random.default_rng(10)
    A = rng.standard_normal((200, 3))
    A[:, 2] = A[:, 0] + A[:, 1]
    b = rng.standard_normal(200)
    honest = certified_lp(A, b, 1.5).certificate
    worse = honest.coef + np.array([0.1, 0.0, 0.0])
    claims = {"objective": norm(b - A @ worse, 1.5), "gap": 0.0}
    for size in (0.0, 1e6, 1e12, 1e160, 1e308):
        lie = replace(honest, coef=worse + size * np.array([1.0, 1.0, -1.0]), **claims, dual_bound=claims["objective"])
        assert not lie.verify(A, b)


@pytest.mark.parametrize("change", [{"p": "1.5"}, {"gap": None}, {"coef": np.array(["a", "b", "c", "d"])}, {"dual": np.full(500, 1j)}])
def test_malformed_certificates_are_refused(certificate, table, change):
    assert not replace(certificate, **change).verify(table[0][:500], table[1][:500])


def test_certificate_survives_storage(certificate, table, tmp_path):
    certificate.save(tmp_path / "c.npz")
    for copy in (LpCertificate.from_json(certificate.to_json()), LpCertificate.load(tmp_path / "c.npz")):
        assert copy.dual.tobytes() == certificate.dual.tobytes()
        assert copy.coef.tobytes() == certificate.coef.tobytes()
        assert replace(copy, coef=certificate.coef, dual=certificate.dual).to_json() == certificate.to_json()
        assert copy.verify(table[0][:500], table[1][:500])
    with pytest.raises(ValueError, match="not those of a QuantileCertificate"):
        QuantileCertificate.load(tmp_path / "c.npz")


def test_certificate_says_what_it_proves(certificate):
    text = certificate.explain()
    assert f"l{certificate.p:g} norm" in text
    assert f"{certificate.dual_bound:.10g}" in text
    assert "500 rows" in text


# -- bad input -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"p": 0.5}, ValueError, r"p=0.5 is outside \[1, 100\]"),
        ({"p": np.inf}, ValueError, r"p=inf is outside"),
        ({"p": np.nan}, ValueError, r"p=nan is outside"),
        ({"p": "2"}, TypeError, r"p='2' is not a real number"),
        ({"tol": 0.0}, ValueError, r"tol=0.0 is outside"),
        ({"sampler": "sensitivity"}, ValueError, r"sampler='sensitivity' is not known; choose one of 'auto'"),
        ({"size": 0}, ValueError, r"size=0 is outside"),
        ({"size": 7}, ValueError, r"size=7 is outside \[1, 6\]"),
        ({"max_iter": 0}, ValueError, r"max_iter=0 is outside"),
        ({"start": [1.0, 2.0]}, ValueError, r"start must have shape \(1,\), one number for each column of A"),
        ({"start": [np.inf]}, ValueError, r"start"),
        ({"sample_weight": [1.0, -1.0, 1.0, 1.0, 1.0, 1.0]}, ValueError, r"sample_weight must not be negative"),
        ({"sample_weight": np.zeros(6)}, ValueError, r"sample_weight must have a positive entry"),
        ({"b": np.zeros(5)}, ValueError, r"b must have shape \(6,\)"),
        ({"b": [0.0, np.nan, 0.0, 0.0, 0.0, 0.0]}, ValueError, r"b"),
        ({"A": np.full((6, 1), np.inf)}, ValueError, r"A"),
        ({"A": np.zeros((0, 1)), "b": np.zeros(0)}, ValueError, r"A"),
        ({"A": np.zeros(6)}, ValueError, r"A"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    arguments = {"A": np.ones((6, 1)), "b": np.arange(6.0), "p": 1.5} | change
    with pytest.raises(error, match=message):
        certified_lp(arguments.pop("A"), arguments.pop("b"), arguments.pop("p"), **arguments)


@pytest.mark.parametrize("call", [bounds.lp_norm, bounds.lp_dual_norm])
def test_formulas_refuse_other_exponents(call):
    with pytest.raises(ValueError, match="finite number of at least 1"):
        call(**{"values" if call is bounds.lp_norm else "dual": [1.0]}, p=0.5)


def test_dual_of_a_row_without_weight_is_refused():
    with pytest.raises(ValueError, match="dual must be zero where the weight is zero"):
        bounds.lp_dual_norm(dual=[1.0, 1.0], p=1.5, weights=[1.0, 0.0])
