"""Certified quantile regression: optimal on stress designs, sound whatever the dual, checkable by others."""

import itertools
import json
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor

from algos.common.kernels import MAX_SIGNATURES, registered_kernels
from algos.lp_embeddings import _quantile_kernels as loops
from algos.lp_embeddings._quantile_problem import check_problem, duality, geometry
from algos.lp_embeddings._quantile_search import FitOptions, Search, draw_sample
from algos.lp_embeddings.instances import QUANTILE_DESIGNS, quantile_designs
from algos.lp_embeddings.quantile_regression import QuantileCertificate, certified_quantile, certify_quantile

GAP = 1e-9  # the default target
ROUNDING = 1e-14  # of an objective, relative to sum |b|
FEASIBLE = 1e-9  # whitened dual equations: far above rounding, far below a wrong row
ROWS = 3500  # enough that sampling, Newton step and band are all in use


def pinball(A, b, x, t, w=None):
    r = b - A @ x
    return float(np.sum((1.0 if w is None else w) * np.where(r > 0, t * r, (t - 1) * r)))


def highs_optimum(A, b, t, w=None):
    """Optimum from the dual linear program; the loss at its multipliers removes the solver's feasibility tolerance."""
    w = np.ones(len(b)) if w is None else w
    unit = np.abs(A).max(axis=0)
    unit[unit == 0] = 1.0
    centre = np.median(b)  # small numbers suit the solver's absolute tolerances; a shift of b is no shift of the model in general
    start = np.linalg.lstsq(A / unit, b, rcond=None)[0]
    r = b - (A / unit) @ start
    scale = max(np.mean(np.abs(r)), ROUNDING * (1 + abs(centre)))
    solved = linprog(
        -r / scale, A_eq=(A / unit).T, b_eq=np.zeros(A.shape[1]), bounds=np.column_stack([w * (t - 1), w * t]), method="highs-ds"
    )
    coef = (start - scale * solved.eqlin.marginals) / unit
    return pinball(A, b, coef, t, w)


def data_and_optimum(name, t):
    made = quantile_designs(ROWS, 5, t, names=[name], random_state=1)[name]
    optimum = made.optimum if made.optimum is not None else highs_optimum(made.A, made.b, t)
    return made.A, made.b, optimum


@pytest.mark.parametrize("t", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("name", QUANTILE_DESIGNS)
def test_stress_designs_are_solved_and_proved(name, t):
    A, b, optimum = data_and_optimum(name, t)
    result = certified_quantile(A, b, t, random_state=0)
    floor = ROUNDING * np.abs(b).sum()
    assert result.converged
    assert result.gap <= GAP
    assert result.n_rounds <= 4
    assert result.objective == pytest.approx(pinball(A, b, result.coef, t), rel=1e-12, abs=floor)
    assert result.objective <= optimum * (1 + GAP) + floor
    assert result.dual_bound <= optimum * (1 + 1e-12) + floor
    assert result.objective - result.dual_bound <= result.gap * max(result.objective, floor) * (1 + 1e-12) + floor
    assert np.all(result.dual <= t)
    assert np.all(result.dual >= t - 1.0)
    Q, sizes, _ = np.linalg.svd(A, full_matrices=False)
    Q = Q[:, sizes > 1e-10 * sizes[0]]
    assert np.max(np.abs(Q.T @ result.dual)) <= FEASIBLE + 1e-14 * sizes[0] / sizes[Q.shape[1] - 1]
    assert result.certificate.verify(A, b)


def enumerate_vertices(A, b, t, w):
    """Smallest loss over the coefficients that interpolate rank-many rows."""
    n, d = A.shape
    rank = int(np.linalg.matrix_rank(A))
    best = pinball(A, b, np.zeros(d), t, w) if rank == 0 else np.inf
    for rows in map(list, itertools.combinations(range(n), rank)):
        if rank and np.linalg.matrix_rank(A[rows]) == rank:
            best = min(best, pinball(A, b, np.linalg.lstsq(A[rows], b[rows], rcond=None)[0], t, w))
    return best


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), t=st.sampled_from([0.1, 0.5, 0.8]), n=st.integers(1, 8), d=st.integers(1, 3))
def test_tiny_integer_problems_reach_the_best_vertex(seed, t, n, d):
    rng = np.random.default_rng(seed)
    A, b = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-3, 4, n).astype(float)
    w = rng.integers(0, 3, n).astype(float)
    w[0] += 1.0
    result = certified_quantile(A, b, t, sample_weight=w)
    optimum = enumerate_vertices(A, b, t, w)
    assert result.objective <= optimum * (1 + GAP) + 1e-12
    assert result.dual_bound <= optimum + 1e-12
    assert result.certificate.verify(A, b, w)


# -- soundness -----------------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), t=st.sampled_from([0.1, 0.5, 0.7]), miss=st.sampled_from([0.0, 1e-6, 1e-3, 1.0]))
def test_bound_holds_for_every_dual_in_its_box(seed, t, miss):
    rng = np.random.default_rng(seed)
    n, d = 9, 2
    A, b, w = rng.standard_normal((n, d)), rng.standard_normal(n), rng.uniform(0.5, 2, n)
    data, _ = check_problem(A, b, t, w, merge=False)
    good = certified_quantile(A, b, t, sample_weight=w)
    y = np.clip(good.dual + miss * rng.standard_normal(n), w * (t - 1), w * t)
    coef = good.coef + miss * rng.standard_normal(d)
    proved = duality(data, t, coef, y, geometry(data))
    assert proved.objective - proved.slack <= enumerate_vertices(A, b, t, w) * (1 + 1e-12)


def test_the_price_of_missed_equations_is_needed():
    # without it, residual . y exceeds the optimum: the dual that follows the signs at a bad fit "proves" the loss of the bad fit
    A, b = np.ones((3, 1)), np.array([0.0, 0.0, 1.0])
    data, t = check_problem(A, b, 0.5, None, merge=False)
    bad, optimum = np.array([5.0]), 0.5
    y = np.full(3, -0.5)
    assert (b - A @ bad) @ y > optimum
    proved = duality(data, t, bad, y, geometry(data))
    assert proved.objective - proved.slack <= optimum


def test_gap_consists_of_the_band_and_the_flipped_rows():
    rng = np.random.default_rng(4)
    A, t = rng.standard_normal((6000, 6)), 0.5
    b = A @ np.ones(6) + rng.standard_normal(6000)
    with pytest.warns(ConvergenceWarning, match="proven gap"):
        result = certified_quantile(A, b, t, size=300, band=600, max_rounds=1, random_state=2)
    r, y = b - A @ result.coef, result.dual
    loss = np.where(r > 0, t * r, (t - 1) * r)
    outside = (y == t) | (y == t - 1)
    flipped = outside & (y * r < 0)
    assert result.n_flips == np.count_nonzero(flipped) > 0
    assert not result.converged
    equations = 1e-12 * result.objective
    identity = np.abs(r[flipped]).sum() + (loss - y * r)[~outside].sum()
    assert result.objective - result.dual_bound == pytest.approx(identity, abs=equations)
    optimum = highs_optimum(A, b, t)
    assert result.dual_bound <= optimum <= result.objective * (1 - 1e-6)


def test_bands_that_are_too_narrow_grow_until_the_proof_is_there():
    rng = np.random.default_rng(4)
    A = rng.standard_normal((6000, 6))
    b = A @ np.ones(6) + rng.standard_normal(6000)
    result = certified_quantile(A, b, size=60, band=30, random_state=3)
    assert result.gap <= GAP
    assert result.n_rounds > 1


@pytest.mark.parametrize("tol", [0.5, 1e-2, 1e-4])
def test_loose_targets_need_no_more_rounds_than_strict_ones(regression, tol):
    strict, loose = (certified_quantile(*regression, tol=target, random_state=0) for target in (GAP, tol))
    assert loose.gap <= tol
    assert loose.n_rounds <= strict.n_rounds


@pytest.mark.filterwarnings("ignore:the proven gap:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["gaussian", "bimodal", "cauchy_errors", "half_exact"])
def test_more_rounds_never_lose_what_was_found(name):
    made = quantile_designs(ROWS, 5, names=[name], random_state=1)[name]
    for seed in range(3):
        fits = [certified_quantile(made.A, made.b, size=40, band=60, max_rounds=k, random_state=seed) for k in range(1, 8)]
        for earlier, later in itertools.pairwise(fits):
            assert later.objective <= earlier.objective
            assert later.dual_bound >= earlier.dual_bound - 1e-12 * later.objective


@pytest.mark.parametrize("name", QUANTILE_DESIGNS)
def test_first_point_is_no_worse_than_the_sample_alone(name):
    made = quantile_designs(ROWS, 5, names=[name], random_state=1)[name]
    data, t = check_problem(made.A, made.b, 0.5, None)
    shape = geometry(data)
    options = FitOptions(GAP, "auto", 60, 500, True, 12)
    for seed in range(5):
        sample = draw_sample(data, shape, options, np.random.default_rng(seed))
        alone = pinball(data.A, data.b, shape.basis @ sample.solve(t, 1e-3), t, data.weights)
        search = Search(data, t, shape, options, np.random.default_rng(seed))
        if len(data.b) > 500:  # merging leaves few rows in designs of ties
            assert search.first_point(None, 500).objective <= alone * (1 + 1e-12)


@pytest.mark.parametrize("t", [0.01, 0.5])
def test_bad_conditioning_does_not_spoil_the_proof(t):
    # condition 1e8: float64 misses the whitened equations by 1e-8, which at t = 0.01 would cost a gap of 1e-7
    made = quantile_designs(ROWS, 5, t, names=["gaussian"], random_state=1)["gaussian"]
    A = np.column_stack([made.A[:, :-1], made.A[:, 0] + 1e-8 * made.A[:, -1]])
    result = certified_quantile(A, made.b, t, random_state=0)
    assert result.gap <= GAP
    assert result.certificate.verify(A, made.b)


def test_empty_band_is_noticed():
    # between two clusters of residuals there is no row: the first bands cannot balance the rows outside
    rng = np.random.default_rng(0)
    A = np.column_stack([rng.standard_normal((5000, 3)), np.ones(5000)])
    b = np.where(rng.random(5000) < 0.5, 5.0, -5.0) + 0.01 * rng.standard_normal(5000)
    result = certified_quantile(A, b, band=40, random_state=2)
    assert result.gap <= GAP
    assert result.n_rounds <= 5  # the width is multiplied by four, not doubled
    assert result.objective <= highs_optimum(A, b, 0.5) * (1 + GAP)


# -- degenerate input ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [40, ROWS])
def test_dependent_columns_give_the_shortest_coefficients(n):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((n, 2))
    A = np.column_stack([X, X[:, 0], np.zeros(n), np.ones(n), 3 * np.ones(n)])
    b = 2.0 + X @ [1.0, -2.0] + rng.standard_normal(n)
    result = certified_quantile(A, b, random_state=0)
    assert result.gap <= GAP
    assert result.objective == pytest.approx(certified_quantile(np.column_stack([X, np.ones(n)]), b, random_state=0).objective, rel=2 * GAP)
    shortest = np.linalg.lstsq(A, A @ result.coef, rcond=None)[0]
    np.testing.assert_allclose(result.coef, shortest, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 7), (5, 5)])
def test_fewer_rows_than_columns_interpolate(shape):
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal(shape), rng.standard_normal(shape[0])
    result = certified_quantile(A, b, 0.3)
    np.testing.assert_allclose(A @ result.coef, b, atol=1e-12)
    np.testing.assert_allclose(result.coef, np.linalg.pinv(A) @ b, atol=1e-10)
    assert result.gap == 0.0


def test_tables_and_responses_of_zeros():
    nothing = certified_quantile(np.zeros((4, 2)), [1.0, -1.0, 2.0, 3.0], 0.25)
    np.testing.assert_array_equal(nothing.coef, [0.0, 0.0])
    assert nothing.objective == pytest.approx(0.25 * 6 + 0.75)
    assert nothing.gap <= GAP
    quiet = certified_quantile(np.eye(3), np.zeros(3))
    assert quiet.objective == quiet.gap == quiet.dual_bound == 0.0


@pytest.mark.parametrize("n", [300, ROWS])
def test_optimum_zero_is_recognised(n):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((n, 4))
    result = certified_quantile(A, A @ [1.0, 2.0, 3.0, 4.0], 0.2, random_state=0)
    assert result.gap == 0.0
    assert result.converged
    np.testing.assert_allclose(result.coef, [1, 2, 3, 4], atol=1e-12)


# -- invariances ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(9)
    A = np.ascontiguousarray(np.column_stack([np.ones(ROWS), rng.standard_t(2, (ROWS, 3)).astype(np.float32)]).astype(float))
    return A, A @ [1.0, 2.0, 3.0, 4.0] + rng.standard_cauchy(ROWS)


@pytest.mark.parametrize("n", [200, ROWS])
def test_integer_weights_are_repetitions(regression, n):
    A, b = regression[0][:n], np.round(regression[1][:n])
    rng = np.random.default_rng(0)
    w = rng.integers(0, 4, n)
    repeated = rng.permutation(np.repeat(np.arange(n), w))
    weighted = certified_quantile(A, b, 0.7, sample_weight=w, random_state=0)
    plain = certified_quantile(A[repeated], b[repeated], 0.7, random_state=0)
    np.testing.assert_allclose(weighted.coef, plain.coef, rtol=1e-9)
    assert weighted.objective == pytest.approx(plain.objective, rel=1e-12)
    assert np.all(weighted.dual[w == 0] == 0.0)
    assert weighted.certificate.verify(A, b, w)
    assert plain.certificate.verify(A[repeated], b[repeated])


def test_negative_zero_is_zero():
    A, b = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 1.0, 2.0])
    data, _ = check_problem(A, b, 0.5, None)
    assert sorted(data.weights) == [1.0, 2.0]


def test_real_weights_reach_the_optimum(regression):
    A, b = regression
    w = np.random.default_rng(3).pareto(1.0, ROWS)
    result = certified_quantile(A, b, 0.3, sample_weight=w, random_state=0)
    assert result.gap <= GAP
    assert result.objective == pytest.approx(highs_optimum(A, b, 0.3, w), rel=2 * GAP)


def test_forms_of_the_same_table_agree(regression, tmp_path):
    A, b = regression
    path = tmp_path / "table.npy"
    np.save(path, A)
    forms = {
        "fortran": np.asfortranarray(A),
        "float32": A.astype(np.float32),
        "csr": scipy.sparse.csr_array(A),
        "csc": scipy.sparse.csc_matrix(A),
        "memmap": np.load(path, mmap_mode="r"),
        "list": A.tolist(),
    }
    expected = certified_quantile(A, b, random_state=0)
    for name, form in forms.items():
        result = certified_quantile(form, b, random_state=0)
        assert result.objective == pytest.approx(expected.objective, rel=2 * GAP), name
        assert result.certificate.verify(A, b), name


@pytest.mark.parametrize(("unit_A", "unit_b"), [(1e-150, 1.0), (1e150, 1.0), (1.0, 1e-150), (1.0, 1e150), (1e-100, 1e150)])
def test_units_do_not_matter(regression, unit_A, unit_b):
    A, b = regression
    expected = certified_quantile(A, b, random_state=0)
    result = certified_quantile(A * unit_A, b * unit_b, random_state=0)
    assert result.gap <= GAP
    assert result.objective / unit_b == pytest.approx(expected.objective, rel=2 * GAP)


def test_change_of_basis_and_shift_of_the_response(regression):
    A, b = regression
    M = np.random.default_rng(1).standard_normal((4, 4))
    expected = certified_quantile(A, b, random_state=0).objective
    assert certified_quantile(A @ M, b, random_state=0).objective == pytest.approx(expected, rel=2 * GAP)
    assert certified_quantile(A, b + A @ [1e3, 1, 2, 3], random_state=0).objective == pytest.approx(expected, rel=1e-8)
    mirrored = certified_quantile(A, -b, 0.8, random_state=0).objective
    assert mirrored == pytest.approx(certified_quantile(A, b, 1 - 0.8, random_state=0).objective, rel=2 * GAP)


def test_same_seed_same_bits(regression):
    first, second = (certified_quantile(*regression, random_state=5) for _ in range(2))
    assert first.coef.tobytes() == second.coef.tobytes()
    assert first.dual.tobytes() == second.dual.tobytes()


# -- samples without certificate -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["auto", "leverage", "lewis", "uniform"])
def test_sketch_and_solve_gets_better_with_more_rows(regression, sampler):
    A, b = regression
    optimum = certified_quantile(A, b, random_state=0).objective
    errors = {}
    for size in (100, 1600):
        fits = [certified_quantile(A, b, certify=False, sampler=sampler, size=size, random_state=seed) for seed in range(9)]
        errors[size] = np.median([fit.objective / optimum - 1 for fit in fits])
        rows = np.array([fit.n_rows_used for fit in fits])
        assert abs(rows.mean() - size) <= 4 * np.sqrt(size / len(rows))  # four standard errors of a sum of independent draws
        assert all(np.isnan(fit.gap) and fit.dual is None and fit.certificate is None for fit in fits)
        assert fits[0].guarantee.kind == "none"
    assert 0 <= errors[1600] < errors[100] / 3


@pytest.mark.parametrize("sampler", ["auto", "leverage", "lewis", "uniform"])
def test_every_sampler_ends_in_a_proof(regression, sampler):
    result = certified_quantile(*regression, sampler=sampler, size=300, random_state=1)
    assert result.gap <= GAP
    assert result.guarantee.value == result.gap


# -- other solvers' coefficients -----------------------------------------------------------------------------------------------------


def test_gap_of_another_solver_is_proved(regression):
    A, b = regression
    other = QuantileRegressor(quantile=0.5, alpha=0, fit_intercept=False, solver="highs").fit(A, b)
    result = certify_quantile(A, b, 0.5, other.coef_, random_state=0)
    assert result.gap <= 1e-8  # HiGHS stops at 1e-7 feasibility
    assert result.coef.tobytes() == other.coef_.tobytes()
    assert result.certificate.verify(A, b)


@pytest.mark.parametrize("n", [500, ROWS])
@pytest.mark.parametrize("t", [0.1, 0.5])
def test_gap_of_a_bad_fit_is_its_true_error(regression, n, t):
    A, b = regression[0][:n], regression[1][:n]
    coef = np.array([1.5, 2.0, 3.0, 4.0])
    result = certify_quantile(A, b, t, coef, random_state=0)
    objective, optimum = pinball(A, b, coef, t), highs_optimum(A, b, t)
    assert result.gap == pytest.approx((objective - optimum) / objective, rel=1e-6)
    assert result.gap * objective >= (objective - optimum) * (1 - 1e-9)
    assert not result.converged


# -- certificates --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(regression):
    return certified_quantile(*regression, 0.3, random_state=0).certificate


def test_edits_that_claim_more_fail(certificate, regression):
    A, b = regression
    assert certificate.verify(A, b)
    more = 1e-6 * certificate.objective
    outside, moved = certificate.dual.copy(), certificate.dual.copy()
    outside[np.argmax(outside)] += 1e-9
    moved[np.argsort(np.abs(moved))[:20]] = 0.0
    edits = [
        {"objective": certificate.objective - more},
        {"objective": certificate.objective + more},
        {"objective": float("nan")},
        {"dual_bound": certificate.dual_bound + more},
        {"gap": -1.0},
        {"gap": float("nan")},
        {"dual": outside},
        {"dual": moved},
        {"dual": certificate.dual[:-1]},
        {"dual": np.full_like(certificate.dual, np.nan)},
        {"coef": certificate.coef * (1 + 1e-3)},
        {"coef": certificate.coef[:-1]},
        {"quantile": 0.4},
        {"fit_intercept": True},
    ]
    for edit in edits:
        assert not replace(certificate, **edit).verify(A, b), edit
    assert not certificate.verify(A[::-1], b)
    assert not certificate.verify(A, b, np.full(ROWS, 2.0))


def test_edits_that_claim_less_hold(certificate, regression):
    weaker = replace(certificate, dual_bound=certificate.dual_bound * 0.9, gap=0.2)
    assert weaker.verify(*regression)


def test_a_longer_dual_proves_nothing(regression):
    # it meets the equations as well and would prove a bound above the optimum: only its box stops it
    A, b = regression
    honest = certify_quantile(A, b, 0.5, [1.5, 2.0, 3.0, 4.0], random_state=0).certificate
    r = b - A @ honest.coef
    for stretch, allowed in ((1.0, True), (1.0 + honest.gap / 2, False)):
        bound = float(r @ (stretch * honest.dual)) * (1 - 1e-9)
        claim = replace(honest, dual=stretch * honest.dual, dual_bound=bound, gap=1 - bound / honest.objective)
        assert claim.verify(A, b) == allowed


def test_signs_of_a_bad_fit_prove_nothing(regression):
    # they lie in the box and leave no slack, but do not meet the equations: the price of that has to be charged
    A, b = regression
    honest = certify_quantile(A, b, 0.5, [1.5, 2.0, 3.0, 4.0], random_state=0).certificate
    signs = np.where(b - A @ honest.coef > 0, 0.5, -0.5)
    assert not replace(honest, dual=signs, dual_bound=honest.objective, gap=0.0).verify(A, b)


def test_large_gap_cannot_be_shrunk(regression):
    A, b = regression
    honest = certify_quantile(A, b, 0.5, [1.5, 2.0, 3.0, 4.0], random_state=0).certificate
    assert honest.verify(A, b)
    assert not replace(honest, gap=honest.gap * 0.999).verify(A, b)


def test_certificate_travels_to_another_process(certificate, regression, tmp_path):
    A, b = regression
    np.savez(tmp_path / "data.npz", A=A, b=b)
    (tmp_path / "certificate.json").write_text(certificate.to_json())
    certificate.save(tmp_path / "certificate.npz")
    script = """
import pathlib, sys
import numpy as np
from algos.lp_embeddings import QuantileCertificate
folder = pathlib.Path(sys.argv[1])
data = np.load(folder / "data.npz")
text = QuantileCertificate.from_json((folder / "certificate.json").read_text())
binary = QuantileCertificate.load(folder / "certificate.npz")
A, b = data["A"], data["b"]
print(text.verify(A, b), binary.verify(A, b), text.verify(A, b + 1e-3 * A[:, 1] ** 2))
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]


def test_round_trips_keep_every_bit(certificate, tmp_path):
    certificate.save(tmp_path / "c.npz")
    for copy in (QuantileCertificate.from_json(certificate.to_json()), QuantileCertificate.load(tmp_path / "c.npz")):
        assert copy.dual.tobytes() == certificate.dual.tobytes()
        assert copy.coef.tobytes() == certificate.coef.tobytes()
        assert (copy.objective, copy.dual_bound, copy.gap, copy.quantile) == (
            certificate.objective,
            certificate.dual_bound,
            certificate.gap,
            certificate.quantile,
        )
    assert json.loads(certificate.to_json())["certificate"] == "QuantileCertificate"
    assert f"{certificate.gap:.2e}" in certificate.explain()


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", coef=np.array([object()]), dual=np.zeros(1), numbers=np.array("{}"))
    with pytest.raises(ValueError, match="allow_pickle"):
        QuantileCertificate.load(tmp_path / "evil.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="not those of a QuantileCertificate"):
        QuantileCertificate.load(tmp_path / "other.npz")


# -- bad input -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"t": 0.0}, ValueError, r"t=0.0 is outside"),
        ({"t": 1.0}, ValueError, r"t=1.0 is outside"),
        ({"t": float("nan")}, ValueError, "t=nan"),
        ({"t": "median"}, TypeError, "t='median'"),
        ({"tol": 0.0}, ValueError, "tol=0.0"),
        ({"tol": -1e-9}, ValueError, "tol=-1e-09"),
        ({"sampler": "levrage"}, ValueError, "sampler='levrage'.*'leverage'"),
        ({"size": 0}, ValueError, "size=0"),
        ({"size": 7}, ValueError, r"size=7 is outside \[1, 6\]"),
        ({"size": 2.5}, TypeError, "size=2.5"),
        ({"band": 7}, ValueError, "band=7"),
        ({"max_rounds": 0}, ValueError, "max_rounds=0"),
        ({"A": np.ones(6)}, ValueError, r"A has 1 dimension.*reshape"),
        ({"A": np.ones((0, 2))}, ValueError, r"A has shape \(0, 2\)"),
        ({"A": np.ones((6, 0))}, ValueError, r"A has shape \(6, 0\)"),
        ({"A": np.full((6, 2), np.nan)}, ValueError, "A has a NaN"),
        ({"A": np.full((6, 2), np.inf)}, ValueError, "A has a.* infinite"),
        ({"A": np.full((6, 2), "x")}, TypeError, "A has"),
        ({"A": np.ones((6, 2), complex)}, TypeError, "A is complex"),
        ({"b": np.ones(5)}, ValueError, r"b must have shape \(6,\)"),
        ({"b": np.ones((6, 1))}, ValueError, r"b must have shape \(6,\)"),
        ({"b": np.full(6, np.nan)}, ValueError, "b has a NaN"),
        ({"b": np.full(6, 1e201)}, ValueError, "b has an entry of size 1e.201"),
        ({"sample_weight": np.full(6, 1e101)}, ValueError, "sample_weight has an entry of size 1e.101"),
        ({"sample_weight": np.zeros(6)}, ValueError, "sample_weight must have a positive entry"),
        ({"sample_weight": [-1.0, 1, 1, 1, 1, 1]}, ValueError, "sample_weight must not be negative, got a minimum of -1"),
        ({"sample_weight": [1.0]}, ValueError, r"sample_weight must have shape \(6,\)"),
        ({"sample_weight": [np.inf, 1, 1, 1, 1, 1]}, ValueError, "sample_weight has"),
        ({"random_state": "seed"}, TypeError, "random_state"),
    ],
)
def test_bad_input_is_named(change, error, message):
    arguments = {"A": np.arange(12.0).reshape(6, 2), "b": np.arange(6.0), "t": 0.5} | change
    with pytest.raises(error, match=message):
        certified_quantile(arguments.pop("A"), arguments.pop("b"), arguments.pop("t"), **arguments)


def test_bad_input_to_large_tables_is_named():
    # beyond 100,000 rows no pass is spent on looking for NaN: they have to be noticed on the way
    A, b = np.ones((120_000, 2)), np.ones(120_000)
    A[100_500, 1] = np.nan
    with pytest.raises(ValueError, match=r"A has a NaN entry in row 100500, column 1"):
        certified_quantile(A, b)


@pytest.mark.parametrize(("coef", "message"), [([1.0], "coef must have shape"), ([1.0, np.nan], "coef has a NaN")])
def test_bad_coefficients_are_named(coef, message):
    with pytest.raises(ValueError, match=message):
        certify_quantile(np.ones((3, 2)), np.ones(3), 0.5, coef)


def test_nothing_warns_where_the_proof_succeeds(regression):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        certified_quantile(*regression, random_state=0)


# -- numpy twins of the loops --------------------------------------------------------------------------------------------------------


def test_twins_of_the_loss_loops():
    rng = np.random.default_rng(0)
    r, w, t = rng.standard_normal(5000), rng.uniform(0, 2, 5000), 0.3
    r[::7] = 0.0
    y = rng.uniform(w * (t - 1), w * t)
    slope = np.empty(5000)
    expected = w * np.where(r > 0, t, t - 1.0)
    assert loops.pinball_block(r, w, t, slope) == pytest.approx(expected @ r, rel=1e-13)
    np.testing.assert_array_equal(slope, expected)
    total, slack = loops.duality_block(r, w, t, y)
    assert total == pytest.approx(expected @ r, rel=1e-13)
    assert slack == pytest.approx(expected @ r - y @ r, rel=1e-12)


def test_hashes_are_equal_for_equal_rows_only():
    rng = np.random.default_rng(0)
    A, b = rng.integers(-1, 2, (3000, 4)) + 0.0, rng.integers(0, 2, 3000) + 0.0
    out = np.empty(3000, np.uint64)
    loops.row_hashes(A, b, out)
    distinct = np.unique(np.column_stack([A, b]), axis=0, return_inverse=True)[1].ravel()
    pairs = np.unique(np.column_stack([distinct.astype(np.uint64), out]), axis=0)
    assert len(pairs) == len(np.unique(distinct)) == len(np.unique(out))


def test_loops_have_met_few_types(regression):
    certified_quantile(regression[0].astype(np.float32), regression[1], random_state=0)
    kernels = [kernel for name, kernel in registered_kernels().items() if "_quantile_kernels" in name]
    compiled = [len(kernel.signatures) for kernel in kernels if hasattr(kernel, "signatures")]
    assert kernels
    assert max(compiled, default=0) <= MAX_SIGNATURES


@pytest.mark.parametrize("size", [1e10, 1e15, 1e300])
def test_huge_coefficients_that_cancel_do_not_buy_tolerance(size):
    x = np.linspace(-1.0, 2.0, 50)
    A, b = np.column_stack([x, x]), 3.0 * x + np.cos(40.0 * x)
    coef = np.array([size, -size])  # the fit is zero, far from optimal, and the rounding of A @ coef is of any size one likes
    loss = 0.5 * float(np.abs(b - A @ coef).sum())
    assert not QuantileCertificate(0.5, coef, np.zeros(50), loss, loss, 0.0).verify(A, b)


def test_a_certificate_that_is_not_made_of_numbers_is_false():
    A, b = np.ones((5, 1)), np.array([1.0, 2.0, 3.0, 10.0, 50.0])
    true = certified_quantile(A, b).certificate
    for change in (
        {"quantile": "a"},
        {"quantile": 2.0},
        {"objective": None},
        {"gap": "x"},
        {"coef": np.array([1j])},
        {"dual": np.array(["a"] * 5)},
    ):
        assert not replace(true, **change).verify(A, b)
    assert not replace(true, coef=np.array([1e308])).verify(1e3 * A, b)  # a product that overflows, without a warning


def test_certificate_of_repeated_rows_keeps_its_dual_inside_the_box():
    A, b = np.ones((52_000, 1)), np.repeat(np.random.default_rng(0).standard_normal(4000), 13)
    result = certified_quantile(A, b, 0.1, random_state=0)  # 13 rows become one, and (13 * 0.1) / 13 rounds to more than 0.1
    assert np.all(result.dual <= 0.1)
    assert result.certificate.verify(A, b)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.7])
def test_rows_of_zeros_on_a_tall_table_raise_no_warning(share):
    rng = np.random.default_rng(1)
    A, b = (rng.random((5000, 2)) < share).astype(float), 1e20 * rng.standard_normal(5000)
    assert certified_quantile(A, b, 0.9, random_state=0).gap <= GAP


def test_an_interpolating_fit_of_large_terms_can_be_verified():
    rng = np.random.default_rng(2)
    A = np.column_stack([np.ones(60), 1e7 + rng.standard_normal(60)])
    b = A @ [1e7, -1.0]  # terms a million times larger than the responses
    result = certified_quantile(A, b, 0.3, random_state=0)
    assert result.certificate.verify(A, b)
    assert not replace(result.certificate, dual_bound=1e-9 * float(np.abs(b).sum())).verify(A, b)


@pytest.mark.parametrize(("ratio", "gap"), [(1e6, GAP), (1e10, 1e-6), (1e13, 1e-3), (1e15, 0.1)])
def test_a_heavy_row_does_not_hide_the_others(ratio, gap):
    rng = np.random.default_rng(0)
    A, b, weights = rng.standard_normal((60, 3)), rng.standard_normal(60), np.ones(60)
    A[0], b[0], weights[0] = 1.0, 1.0, ratio  # met exactly, in floats as well, by x = (1 - u - v, u, v) on a grid
    grid = np.round(1024.0 * certified_quantile(A[1:, 1:] - A[1:, :1], b[1:] - A[1:, 0], 0.9, random_state=0).coef) / 1024.0
    better = np.array([1.0 - grid.sum(), *grid])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the rounding of the heavy row's residual, times its weight, remains
        result = certified_quantile(A, b, 0.9, sample_weight=weights, random_state=0)
    assert result.dual_bound <= pinball(A, b, better, 0.9, weights) * (1.0 + GAP)
    assert result.gap <= gap


def test_multipliers_other_than_the_weights_price_a_missed_equation_as_high():
    rng = np.random.default_rng(1)
    A, b, weights = rng.standard_normal((80, 3)), rng.standard_normal(80), np.exp(rng.uniform(-12.0, 12.0, 80))
    data, t = check_problem(A, b, 0.3, weights)
    shape = geometry(data)
    for z in rng.standard_normal((200, 3)):
        fitted = data.A @ z
        length = np.linalg.norm((1.0 if shape.scale is None else shape.scale) * fitted)
        assert length <= shape.reach * (data.weights @ np.abs(fitted)) * (1.0 + 1e-9)
    y = data.weights * rng.uniform(t - 1.0, t, 80)  # any vector in the box proves something, however little
    lower = duality(data, t, np.zeros(3), y, shape)
    assert lower.objective - lower.slack <= highs_optimum(A, b, t, weights) * (1.0 + 1e-6)


def test_weights_that_are_all_next_to_nothing_are_named():
    with pytest.raises(ValueError, match="sample_weight has no entry above 1e-100, got a maximum of 1e-300"):
        certified_quantile(np.eye(3), np.ones(3), sample_weight=np.full(3, 1e-300))
