"""Quantiles that may not cross at a row: the optimum of a simplex solver, order at every row and in the hull, certificates that refuse."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

from algos.lp_embeddings import NonCrossingCertificate, QuantilePath, bounds, certified_quantile_path, non_crossing_quantiles

GAP = 1e-9  # the default target
SIMPLEX = 1e-7  # the oracle's tolerances on feasibility and optimality
LEVELS = np.linspace(0.1, 0.9, 5)


def crossing_table(n=80, d=6, seed=0):
    """Few rows, many columns and uneven noise: single fits cross."""
    rng = np.random.default_rng(seed)
    A = np.column_stack([np.ones(n), rng.standard_normal((n, d - 1))])
    return A, A[:, 1] + (1.0 + np.abs(A[:, 2])) * rng.standard_t(2, n)


def simplex_optimum(A, b, levels, w=None):
    """Smallest sum of the losses of fits that do not cross at a row, as one linear program."""
    (n, d), k = A.shape, len(levels)
    w = np.ones(n) if w is None else w
    costs = np.concatenate([np.zeros(k * d), *(t * w for t in levels), *((1.0 - t) * w for t in levels)])
    residuals = sp.hstack([sp.block_diag([A] * k), sp.eye_array(k * n), -sp.eye_array(k * n)])
    later = sp.diags_array([np.ones(k - 1), -np.ones(k - 1)], offsets=[0, 1], shape=(k - 1, k))
    order = sp.hstack([sp.kron(later, A[w > 0]), sp.csr_array(((k - 1) * int(np.sum(w > 0)), 2 * k * n))])
    signs = [(None, None)] * (k * d) + [(0.0, None)] * (2 * k * n)
    found = linprog(costs, A_ub=order.tocsr(), b_ub=np.zeros(order.shape[0]), A_eq=residuals.tocsr(), b_eq=np.tile(b, k), bounds=signs)
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_that_of_a_simplex_solver(seed):
    A, b = crossing_table(seed=seed)
    fit = non_crossing_quantiles(A, b, LEVELS)
    singles = certified_quantile_path(A, b, LEVELS)
    assert np.diff(A @ singles.coef.T, axis=1).min() < -0.01  # otherwise this test says nothing
    optimum = simplex_optimum(A, b, LEVELS)
    assert fit.objective == pytest.approx(optimum, rel=SIMPLEX)
    assert fit.dual_bound <= optimum * (1.0 + SIMPLEX)
    assert fit.gap <= GAP
    assert fit.gap == pytest.approx((fit.objective - fit.dual_bound) / fit.objective, abs=1e-15)
    assert fit.n_rounds == 1
    assert fit.objective > singles.objective.sum() * (1.0 + 1e-6)
    losses = [bounds.quantile_loss(residuals=b - A @ x, quantile=t) for x, t in zip(fit.coef, LEVELS, strict=True)]
    np.testing.assert_allclose(fit.objectives, losses, rtol=1e-12)
    assert fit.certificate.verify(A, b)


def test_fits_that_keep_the_order_are_left_alone():
    rng = np.random.default_rng(0)
    A = np.column_stack([np.ones(4000), rng.uniform(size=4000)])
    b = A @ [1.0, 2.0] + (1.0 + A[:, 1]) * rng.standard_normal(4000)
    fit = non_crossing_quantiles(A, b, [0.2, 0.5, 0.8], random_state=0)
    path = certified_quantile_path(A, b, [0.2, 0.5, 0.8], random_state=0)
    assert fit.n_rounds == 0
    np.testing.assert_array_equal(fit.coef, path.coef)
    assert fit.gap <= GAP
    assert not fit.certificate.multipliers.any()


def test_a_table_of_many_rows_is_solved_on_some_of_them(monkeypatch):
    seen = []

    def counted(problem, tol):
        seen.append(max(len(r) for r in problem.residuals))
        return solve(problem, tol)

    from algos.lp_embeddings._non_crossing_barrier import solve_joint as solve

    monkeypatch.setattr("algos.lp_embeddings._non_crossing_search.solve_joint", counted)
    rng = np.random.default_rng(1)
    A = np.column_stack([np.ones(12_000), rng.standard_t(1.5, (12_000, 4))])
    b = A[:, 1] + (1.0 + 0.3 * np.abs(A[:, 2])) * rng.standard_t(2, 12_000)
    fit = non_crossing_quantiles(A, b, [0.4, 0.5, 0.6], random_state=0)
    path = certified_quantile_path(A, b, [0.4, 0.5, 0.6], random_state=0)
    assert np.diff(A @ path.coef.T, axis=1).min() < 0.0
    assert fit.gap <= GAP
    assert fit.smallest_step >= 0.0
    assert seen[0] < 6000
    assert fit.certificate.verify(A, b)


@pytest.mark.parametrize(
    "change",
    [
        lambda A, b: (np.round(A), np.round(b)),  # ties
        lambda A, b: (np.column_stack([A, A[:, 1] - A[:, 2]]), b),  # dependent columns
        lambda A, b: (A * np.array([1.0, 1e6, 1e-6, 1.0, 1e3, 1.0]), 1e8 * b),
        lambda A, b: (np.repeat(A[:20], 4, axis=0), b),  # several responses at each row
        lambda A, b: (A[:4], b[:4]),  # fewer rows than columns: an exact fit
        lambda A, b: (A, A @ np.arange(6.0)),  # an exact fit
        lambda A, b: (A[:, :1], b),
        lambda A, b: (A, np.zeros(len(b))),
    ],
)
def test_hard_tables_end_with_a_proof(change):
    A, b = change(*crossing_table())
    fit = non_crossing_quantiles(A, b, LEVELS)
    assert fit.gap <= GAP
    assert fit.objective <= simplex_optimum(A / np.abs(A).max(axis=0), b, LEVELS) * (1.0 + SIMPLEX) + 1e-13 * np.abs(b).sum()
    assert np.diff(A @ fit.coef.T, axis=1).min() >= (0.0 if fit.objective > 1e-12 * np.abs(b).sum() else -1e-13 * np.abs(b).max())
    assert fit.certificate.verify(A, b)


@pytest.mark.parametrize("spread", [0.5, 6.0])
def test_weights_count_rows_and_zero_leaves_them_out_of_the_order(spread):
    A, b = crossing_table(120)
    rng = np.random.default_rng(3)
    w = np.where(rng.uniform(size=120) < 0.3, 0.0, 10.0 ** rng.uniform(-spread, spread, 120))
    fit = non_crossing_quantiles(A, b, LEVELS, sample_weight=w)
    assert fit.gap <= GAP
    assert fit.objective == pytest.approx(simplex_optimum(A, b, LEVELS, w), rel=SIMPLEX)
    kept = w > 0
    assert np.diff(A[kept] @ fit.coef.T, axis=1).min() >= 0.0
    assert not fit.certificate.dual[:, ~kept].any()
    assert fit.certificate.verify(A, b, w)
    alone = non_crossing_quantiles(A[kept], b[kept], LEVELS, sample_weight=w[kept])
    assert alone.objective == pytest.approx(fit.objective, rel=1e-9)


def test_integer_weights_repeat_rows():
    A, b = crossing_table(60)
    w = np.random.default_rng(4).integers(1, 4, 60)
    weighted = non_crossing_quantiles(A, b, LEVELS, sample_weight=w)
    repeated = non_crossing_quantiles(np.repeat(A, w, axis=0), np.repeat(b, w), LEVELS)
    np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=1e-9)


# -- the certificate -----------------------------------------------------------------------------------------------------------------


def test_a_certificate_is_what_it_claims_and_survives_a_file(tmp_path):
    A, b = crossing_table()
    certificate = non_crossing_quantiles(A, b, LEVELS).certificate
    certificate.save(tmp_path / "proof.npz")
    loaded = NonCrossingCertificate.load(tmp_path / "proof.npz")
    assert loaded.verify(A, b)
    np.testing.assert_array_equal(loaded.multipliers, certificate.multipliers)
    assert "increase at each of 80 rows" in loaded.explain()
    assert not loaded.verify(A, 2.0 * b)
    assert not loaded.verify(A[:-1], b[:-1])


@pytest.mark.parametrize(
    "forge",
    [
        lambda c: {"dual_bound": c.dual_bound * (1.0 + 1e-9)},
        lambda c: {"objective": c.objective * (1.0 - 1e-9)},
        lambda c: {"gap": -1e-3},
        lambda c: {"multipliers": -c.multipliers},
        lambda c: {"multipliers": 1.01 * c.multipliers},
        lambda c: {"multipliers": np.zeros_like(c.multipliers)},
        lambda c: {"dual": 2.0 * c.dual},
        lambda c: {"coef": c.coef[::-1]},
        lambda c: {"quantiles": c.quantiles[::-1]},
        lambda c: {"coef": c.coef + 1e15 * np.eye(5, 6)},
        lambda c: {"dual": c.dual[:, :-1]},
        lambda c: {"objective": "small"},
    ],
)
def test_forged_certificates_are_refused(forge):
    A, b = crossing_table()
    certificate = non_crossing_quantiles(A, b, LEVELS).certificate
    assert not replace(certificate, **forge(certificate)).verify(A, b)


def test_single_fits_are_no_certificate_where_they_cross():
    A, b = crossing_table()
    path = certified_quantile_path(A, b, LEVELS)
    certificate = non_crossing_quantiles(A, b, LEVELS).certificate
    assert not replace(certificate, coef=path.coef, objective=float(path.objective.sum())).verify(A, b)


# -- the estimator -------------------------------------------------------------------------------------------------------------------


def test_the_estimator_keeps_the_order_in_the_hull_of_its_rows():
    A, b = crossing_table()
    X, responses = A[:, 1:], np.column_stack([b, -b])
    path = QuantilePath(LEVELS, non_crossing="constrain").fit(X, responses)
    shares = np.random.default_rng(5).dirichlet(np.full(80, 0.05), 400)
    for points in (X, shares @ X):
        assert np.diff(path.predict_quantiles(points), axis=-1).min() >= 0.0
    free = QuantilePath(LEVELS).fit(X, responses)
    assert np.diff(free.predict_quantiles(X), axis=-1).min() < -0.01
    assert path.joint_gap_.shape == (2,)
    assert path.guarantee_.value == path.joint_gap_.max() <= GAP
    assert path.objective_[0].sum() == pytest.approx(simplex_optimum(A, b, LEVELS), rel=SIMPLEX)
    assert path.objective_[1].sum() == pytest.approx(path.objective_[0].sum(), rel=1e-8)  # quantiles of -y mirror those of y
    np.testing.assert_allclose(path.dual_bound_, free.dual_bound_, rtol=1e-12)
    assert 0.0 < path.gap_.max() < 0.2  # what the order costs single levels
    assert all(c.verify(X, responses[:, i // 5]) for i, c in enumerate(path.certificates_))
    assert all(c.verify(X, y) for c, y in zip(path.joint_certificates_, responses.T, strict=True))


def test_one_response_has_one_gap_and_sparse_tables_the_same_fit():
    A, b = crossing_table()
    dense = QuantilePath([0.4, 0.6], non_crossing="constrain").fit(A[:, 1:], b)
    sparse = QuantilePath([0.4, 0.6], non_crossing="constrain").fit(sp.csr_array(A[:, 1:]), b)
    assert dense.joint_gap_.shape == ()
    assert dense.coef_.shape == (2, 5)
    np.testing.assert_allclose(dense.objective_, sparse.objective_, rtol=GAP)
    single = QuantilePath([0.4], non_crossing="constrain").fit(A[:, 1:], b)
    assert single.joint_gap_ <= GAP


def test_without_an_intercept_a_positive_combination_of_columns_serves():
    A, b = crossing_table()
    rows = np.column_stack([np.exp(3.0 * A[:, 1]), A[:, 2:]])  # least squares towards ones does not find the positive column alone
    fit = non_crossing_quantiles(rows, b, LEVELS)
    assert fit.gap <= GAP
    assert fit.objective == pytest.approx(simplex_optimum(rows, b, LEVELS), rel=SIMPLEX)


# -- bad input -----------------------------------------------------------------------------------------------------------------------


def test_a_table_that_orders_nothing_is_named():
    A, b = crossing_table()
    with pytest.raises(ValueError, match="needs a combination of columns that is positive at every row, and A has none; add an intercept"):
        non_crossing_quantiles(A[:, 1:], b, LEVELS)
    with pytest.raises(ValueError, match="non_crossing='constrain' needs a combination of columns"):
        QuantilePath(non_crossing="constrain", fit_intercept=False).fit(A[:, 1:], b)


def test_order_without_certification_is_refused():
    with pytest.raises(ValueError, match="non_crossing='constrain' keeps the order at all rows and proves its gap there; use certify=True"):
        QuantilePath(non_crossing="constrain", certify=False).fit(np.ones((6, 1)), np.zeros(6))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantiles": [0.5, 0.2]}, "do not increase strictly"),
        ({"b": np.zeros(3)}, r"b must have shape \(6,\)"),
        ({"sample_weight": -np.ones(6)}, "sample_weight must not be negative"),
        ({"tol": 0.0}, "tol=0.0"),
        ({"max_rounds": 0}, "max_rounds=0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"A": np.ones((6, 1)), "b": np.zeros(6), "quantiles": [0.5]} | change
    with pytest.raises(ValueError, match=message):
        non_crossing_quantiles(arguments.pop("A"), arguments.pop("b"), arguments.pop("quantiles"), **arguments)
