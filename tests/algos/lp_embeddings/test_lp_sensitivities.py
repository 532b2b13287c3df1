"""Sensitivities of all rows and their sum: closed forms, one problem at a time, enumeration, and rules that need no solver."""

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from algos.common.blocks import RowSource
from algos.common.kernels import registered_kernels
from algos.lp_embeddings import _score_problem, bounds, instances, leverage_scores, lp_sensitivities, lp_support, total_sensitivity
from algos.lp_embeddings._parallel_rows import _without_collisions, merge_parallel_rows

ROUNDING = 1e-9  # sums and powers of a few hundred terms, well-conditioned tables
SCORES = 1e-5  # leverage scores behind brackets are accepted with an error of 1e-6, raised to powers of at most p/2
FINE = 1e-6  # rtol of exact sensitivities here


def exact(A, p, rtol=FINE):
    return lp_sensitivities(A, p, method="exact", rtol=rtol)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 4.0])
def test_closed_forms_and_the_bracket_around_them(p):
    made = [
        instances.two_basis(8, 3, p),
        instances.sign_cube(7, p),
        instances.identity(4, p),
        instances.one_column([3.0, -1.0, 0.0, 2.0], p),
        instances.mixture_hard_instance(4, 3, 3, p),
    ]
    for instance in made:
        found = exact(instance.A, p)
        np.testing.assert_allclose(found.estimate, instance.sensitivities, rtol=FINE)
        assert found.total_bounds[0] <= instance.total_sensitivity * (1 + ROUNDING)
        assert instance.total_sensitivity <= found.total_bounds[1] * (1 + ROUNDING)
        assert not found.conditional_
        bracket = lp_sensitivities(instance.A, p)
        assert np.all(bracket.lower <= instance.sensitivities * (1 + SCORES))
        assert np.all(instance.sensitivities <= bracket.upper * (1 + SCORES))


@pytest.mark.parametrize("p", [1.0, 1.3, 3.0, 6.0])
def test_each_row_agrees_with_its_own_problem(p):
    for made in instances.random_families(60, 4, names=["heavy_tailed", "spiked", "one_hot"]).values():
        found = exact(made.A, p)
        assert np.all(found.upper <= found.lower * (1 + 1.01 * FINE))
        for i in (0, 5, 59):
            single = lp_support(made.A, made.A[i], p)
            assert found.lower[i] <= single.upper**p * (1 + ROUNDING)
            assert single.lower**p <= found.upper[i] * (1 + ROUNDING)


def test_two_columns_by_enumeration():
    A = np.random.default_rng(1).integers(-3, 4, (80, 2)).astype(float)
    np.testing.assert_allclose(exact(A, 1.0).estimate, instances.two_columns(A).sensitivities, rtol=FINE)


@pytest.mark.parametrize("p", [1.0, 1.5, 4.0])
def test_parallel_rows_share_one_sensitivity(p):
    rng = np.random.default_rng(2)
    A, factors = rng.standard_normal((20, 3)), np.array([1.0, -0.5, 0.25, 3.0])
    table = np.vstack([A, *(c * A[4:5] for c in factors), np.zeros((2, 3))])
    power = np.abs(np.r_[1.0, factors]) ** p
    found = exact(table, p).estimate
    np.testing.assert_allclose(found[[4, 20, 21, 22, 23]] / found[4], power / power[0], rtol=ROUNDING)
    single = A.copy()
    single[4] *= power.sum() ** (1 / p)
    merged = exact(single, p).estimate
    np.testing.assert_allclose(np.delete(found[:20], 4), np.delete(merged, 4), rtol=2 * FINE)
    assert found[[4, 20, 21, 22, 23]].sum() == pytest.approx(merged[4], rel=2 * FINE)
    assert not found[24:].any()


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_blocks_more_rows_and_other_columns(p):
    rng = np.random.default_rng(3)
    A, B = rng.standard_normal((25, 3)), 1e3 * rng.standard_normal((15, 2))
    alone = np.r_[exact(A, p).estimate, exact(B, p).estimate]
    together = np.zeros((40, 5))
    together[:25, :3], together[25:, 3:] = A, B
    np.testing.assert_allclose(exact(together, p).estimate, alone, rtol=2 * FINE)
    np.testing.assert_allclose(exact(together @ rng.standard_normal((5, 5)), p).estimate, alone, rtol=2 * FINE)
    longer = exact(np.vstack([A, rng.standard_normal((5, 3))]), p).estimate[:25]
    assert np.all(longer <= alone[:25] * (1 + 2 * FINE))


def test_p_2_is_leverage_for_every_method():
    A = np.random.default_rng(4).standard_normal((50, 4))
    for method in ("bracket", "exact", "coreset"):
        found = lp_sensitivities(A, 2.0, method=method)
        np.testing.assert_allclose(found.lower, leverage_scores(A), rtol=ROUNDING)
        np.testing.assert_allclose(found.upper, leverage_scores(A), rtol=ROUNDING)
        assert found.total_bounds == (4.0, 4.0)


def test_kind_of_table_and_number_of_workers_do_not_matter():
    rng = np.random.default_rng(5)
    A = (rng.standard_normal((150, 4)) * (rng.random((150, 4)) < 0.7)).astype(np.float32).astype(float)
    A[7] = 0.0
    kinds = [A.astype(np.float32), np.asfortranarray(A), sp.csr_array(A), RowSource([A[:40], A[40:]]), [A[:40], A[40:]], A.tolist()]
    for p in (1.0, 3.0):
        for method in ("bracket", "exact"):
            expected = lp_sensitivities(A, p, method=method)
            for table in kinds:
                found = lp_sensitivities(table, p, method=method)
                np.testing.assert_allclose(found.lower, expected.lower, rtol=5e-2 if method == "bracket" else 1e-2)
                np.testing.assert_allclose(found.upper, expected.upper, rtol=5e-2 if method == "bracket" else 1e-2)
        one, two = (lp_sensitivities(A, p, method="exact", n_jobs=jobs) for jobs in (1, 2))
        np.testing.assert_array_equal(one.lower, two.lower)
        np.testing.assert_array_equal(one.upper, two.upper)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_coreset_estimates_lie_near_the_truth_and_say_that_they_are_conditional(p):
    made = instances.random_families(1500, 3, names=["gaussian", "heavy_tailed"])
    for instance in made.values():
        found = lp_sensitivities(instance.A, p, method="coreset", random_state=0)
        again = lp_sensitivities(instance.A, p, method="coreset", random_state=0)
        truth = exact(instance.A, p, rtol=1e-3)
        assert found.conditional_
        np.testing.assert_array_equal(found.estimate, again.estimate)
        # the sample is drawn for a distortion of a quarter, so the p-th power may be off by that to the power p
        assert np.all(np.abs(np.log(found.estimate / truth.estimate)) <= -p * math.log(0.75))
        assert np.any(found.estimate != truth.estimate)
        assert np.all(found.lower <= truth.upper * (1 + SCORES))
        assert np.all(truth.lower <= found.upper * (1 + SCORES))


@pytest.mark.parametrize(("p", "bound"), [(4.0, 9.0), (6.0, 13.0)])
def test_lifted_rows_bound_polynomials(p, bound):
    A = np.vander(np.linspace(-1, 1, 40), 5)
    assert bounds.polynomial_total_sensitivity(p=p, rank=5) == bound
    found, truth = lp_sensitivities(A, p), exact(A, p)
    assert found.upper.sum() <= bound * (1 + SCORES)
    assert truth.total_bounds[1] <= bound
    assert np.all(truth.lower <= found.upper * (1 + SCORES))
    assert np.max(truth.upper / _score_problem.lifted_leverages(RowSource(A), p)) > 0.9  # at the ends of the interval


def test_lift_of_a_rank_deficient_table_and_its_cost_limit(monkeypatch):
    rng = np.random.default_rng(6)
    A = rng.standard_normal((40, 2)) @ rng.standard_normal((2, 4))
    problem = _score_problem.ScoreProblem.of(A, 4.0, dense=True)
    assert problem._lift_is_cheap()
    assert _score_problem.lifted_leverages(problem.source, 4.0).sum() == pytest.approx(3.0, rel=ROUNDING)  # x^2, xy, y^2
    monkeypatch.setattr(_score_problem, "_LIFT_WORK", 1.0)
    assert not problem._lift_is_cheap()
    assert not _score_problem.ScoreProblem.of(A, 3.0, dense=True)._lift_is_cheap()


@pytest.mark.parametrize("factor", [1e-150, 1e150])
def test_extreme_scales_and_rank_deficient_tables(factor):
    rng = np.random.default_rng(7)
    A = rng.standard_normal((40, 3))
    wide = np.hstack([A, A @ rng.standard_normal((3, 2)), np.zeros((40, 1))])
    for p in (1.0, 4.0):
        expected = exact(A, p)
        found = exact(factor * wide, p)
        np.testing.assert_allclose(found.estimate, expected.estimate, rtol=2 * FINE)
        np.testing.assert_allclose(lp_sensitivities(factor * wide, p).upper, lp_sensitivities(A, p).upper, rtol=1e-2)


def test_few_rows_and_zero_tables():
    assert exact([[2.0, 1.0]], 1.0).estimate.tolist() == [1.0]
    np.testing.assert_allclose(exact(np.random.default_rng(8).standard_normal((3, 5)), 1.5).estimate, 1.0, rtol=ROUNDING)
    for method in ("bracket", "exact", "coreset"):
        found = lp_sensitivities(np.zeros((3, 2)), 1.0, method=method)
        assert not found.upper.any()
        assert found.total_bounds == (0.0, 0.0)
    assert total_sensitivity(np.zeros((3, 2)), 1.0).ci == (0.0, 0.0)


def test_bad_arguments_are_named():
    A = np.hstack([np.random.default_rng(9).standard_normal((20_001, 1)), np.ones((20_001, 1))])
    with pytest.raises(ValueError, match="method='exact' solves a problem for each of 20001 rows"):
        lp_sensitivities(A, 1.0, method="exact")
    for change, message in (
        ({"p": 0.5}, "p=0.5 is outside"),
        ({"method": "fast"}, "method='fast'"),
        ({"rtol": 0.0}, "rtol=0.0 is outside"),
    ):
        with pytest.raises(ValueError, match=message):
            lp_sensitivities(np.eye(2), **{"p": 1.0, **change})
    for method in ("bracket", "exact", "coreset"):
        with pytest.raises(ValueError, match="NaN"):
            lp_sensitivities([[1.0, np.nan], [0.0, 1.0]], 1.0, method=method)
    with pytest.raises(ValueError, match="m=0 is outside"):
        total_sensitivity(np.eye(2), 1.0, m=0)


def test_unreachable_width_warns_and_keeps_the_bounds():
    A = np.random.default_rng(10).standard_normal((30, 3))
    with pytest.warns(ConvergenceWarning, match="sensitivities are known only up to the factor"):
        found = exact(A, 1.0, rtol=1e-15)
    np.testing.assert_allclose(found.estimate, exact(A, 1.0).estimate, rtol=FINE)


# --- merging ----------------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), p=st.floats(1.0, 8.0))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_merged_table_has_the_same_norms(seed, p):
    rng = np.random.default_rng(seed)
    directions = rng.integers(-2, 3, (6, 3)).astype(float)
    A = directions[rng.integers(0, 6, 40)] * rng.choice([-4.0, -1.0, 0.5, 3.0], (40, 1))
    merged = merge_parallel_rows(A, p)
    x = rng.standard_normal((3, 5))
    np.testing.assert_allclose((np.abs(merged.rows @ x) ** p).sum(axis=0), (np.abs(A @ x) ** p).sum(axis=0), rtol=ROUNDING)
    distinct = {tuple(np.round(row / row[np.argmax(np.abs(row))], 12) + 0.0) for row in A if np.any(row)}
    assert merged.rows.shape[0] == len(distinct)
    assert merged.spread(np.ones(len(distinct))).sum() == pytest.approx(len(distinct), rel=ROUNDING)
    assert np.all((merged.owner < 0) == ~np.any(A, axis=1))


def test_distinct_rows_are_left_as_they_are_and_equal_hashes_are_not_trusted():
    A = np.random.default_rng(11).standard_normal((30, 3))
    assert merge_parallel_rows(A, 1.0).rows is A
    size = A[np.arange(30), np.abs(A).argmax(axis=1)]
    A[5] = 2.0 * A[0]
    size[5] = 2.0 * size[0]
    first, group = _without_collisions(A, size, np.arange(30), np.array([0]), np.zeros(30, dtype=np.int64))  # as if all hashes agreed
    assert group[5] == group[0] == 0
    assert sorted(group.tolist()) == [0, *range(29)]
    np.testing.assert_array_equal(group[first], np.arange(29))


# --- total sensitivity ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_interval_covers_known_totals(p):
    tables = {"two_basis": instances.two_basis(16, 1, p), "mixture": instances.mixture_hard_instance(8, 2, 9, p)}
    for made in tables.values():
        for seed in range(5):
            found = total_sensitivity(made.A, p, m=12, random_state=seed)
            assert found.lower <= found.ci[0] <= made.total_sensitivity * (1 + SCORES)
            assert made.total_sensitivity * (1 - SCORES) <= found.ci[1] <= found.upper
            assert found.ci[0] <= found.estimate <= found.ci[1]


def test_every_row_is_solved_when_the_sample_would_be_as_large():
    made = instances.two_basis(8, 4, 1.0)
    found = total_sensitivity(made.A, 1.0, m=16)  # 64 rows, 16 directions
    assert found.ci == (found.lower, found.upper)
    assert found.estimate == pytest.approx(made.total_sensitivity, rel=1e-4)


def test_total_is_unbiased_and_reproducible():
    A = np.random.default_rng(12).standard_t(2, (300, 4))
    truth = exact(A, 1.0, rtol=1e-4).estimate.sum()
    estimates = np.array([total_sensitivity(A, 1.0, m=20, random_state=seed).estimate for seed in range(40)])
    assert total_sensitivity(A, 1.0, m=20, random_state=3).estimate == estimates[3]
    assert abs(estimates.mean() - truth) <= 5 * estimates.std() / math.sqrt(40) + 1e-3 * truth


@pytest.mark.parametrize("delta", [0.3, 0.05])
def test_betting_interval_misses_no_more_often_than_it_may(delta):
    m = 9
    outcomes = np.array(list(itertools.product([0.0, 1.0], repeat=m)))
    ends = np.array([bounds.betting_interval(lower=z, upper=z, smallest=0.0, largest=1.0, delta=delta) for z in outcomes])
    for mean in (0.02, 0.1, 0.3, 0.5, 0.8, 0.97):
        law = mean ** outcomes.sum(axis=1) * (1 - mean) ** (m - outcomes.sum(axis=1))
        assert law[(ends[:, 0] > mean) | (ends[:, 1] < mean)].sum() <= delta


def test_betting_interval_follows_units_and_widens_with_the_values_own_intervals():
    z = np.random.default_rng(13).uniform(0.2, 0.5, 40)
    low, high = bounds.betting_interval(lower=z, upper=z, smallest=0.0, largest=1.0)
    assert low < z.mean() < high
    shifted = bounds.betting_interval(lower=3 * z - 1, upper=3 * z - 1, smallest=-1.0, largest=2.0)
    np.testing.assert_allclose(shifted, [3 * low - 1, 3 * high - 1], rtol=ROUNDING)
    wider = bounds.betting_interval(lower=z - 0.05, upper=z + 0.05, smallest=0.0, largest=1.0)
    assert wider[0] < low < high < wider[1]
    assert bounds.betting_interval(lower=[2.0], upper=[2.0], smallest=2.0, largest=2.0) == (2.0, 2.0)
    with pytest.raises(ValueError, match="delta=0 must lie"):
        bounds.betting_interval(lower=z, upper=z, smallest=0.0, largest=1.0, delta=0)


def test_lift_formulas():
    assert bounds.lifted_total_sensitivity(p=4.0, rank=8) == 36
    assert bounds.lifted_total_sensitivity(p=2.0, rank=8) == 8
    assert bounds.polynomial_total_sensitivity(p=2.0, rank=8) == 8
    for formula in (bounds.lifted_total_sensitivity, bounds.polynomial_total_sensitivity):
        with pytest.raises(ValueError, match=r"p=3\.0 must be an even integer"):
            formula(p=3.0, rank=4)


def test_no_kernel_meets_more_than_two_types():
    A = np.random.default_rng(14).standard_normal((80, 3))
    frozen = A.copy()
    frozen.flags.writeable = False
    for table in (A, frozen, A.astype(np.float32), np.asfortranarray(A), sp.csr_array(A)):
        for p in (1.0, 1.5, 4.0):
            lp_sensitivities(table, p, method="exact")
            lp_sensitivities(table, p, method="coreset", random_state=0)
            lp_support(table, A[0] if table.dtype == np.float64 else A[0].astype(np.float32), p)
    used = {name: len(loop.signatures) for name, loop in registered_kernels().items() if "_support_" in name or "_parallel_" in name}
    assert used["algos.lp_embeddings._support_l1.l1_supports"] == 1
    assert max(used.values()) <= 2
