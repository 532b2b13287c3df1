import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from algos.common.linalg import UNIT_ROUNDOFF, row_leverages, whitening

ORTHONORMAL = 1e-13  # a few dozen roundings: d u with d <= 50 and a constant


def with_condition(n, d, cond, seed=0, graded=True):
    """Return a table with known singular values: geometric, or all 1 but the last."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((n, d)))[0]
    right = np.linalg.qr(rng.standard_normal((d, d)))[0]
    values = np.logspace(0, -np.log10(cond), d) if graded else np.r_[np.ones(d - 1), 1 / cond]
    return (left * values) @ right


def departure(Q):
    return np.abs(Q.T @ Q - np.eye(Q.shape[1])).max()


@pytest.mark.parametrize("method", ["gram", "shifted", "svd", "auto"])
@pytest.mark.parametrize("shape", [(200, 1), (200, 7), (9000, 30)])
def test_every_path_whitens_a_well_conditioned_table(method, shape):
    A = np.random.default_rng(1).standard_normal(shape)
    white = whitening(A, method=method)
    assert white.rank == shape[1]
    assert white.method == ("gram" if method == "auto" else method)
    assert departure(A @ white.R_inv) < ORTHONORMAL
    np.testing.assert_allclose(white.apply(A), A @ white.R_inv, atol=ORTHONORMAL)


@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("cond", [1e1, 1e3, 1e4, 1e6, 1e8, 1e10, 1e12])
def test_the_path_follows_the_condition_number_and_whitens_up_to_1e12(cond, graded):
    A = with_condition(3000, 12, cond, graded=graded)
    white = whitening(A)
    assert white.method == ("gram" if cond <= 1e4 else "shifted")
    assert white.rank == 12
    assert cond / 10 < white.cond < 12 * cond  # the 1-norm estimate is at most d times the condition number; scaling may lower it
    tolerance = ORTHONORMAL + (UNIT_ROUNDOFF * white.cond**2 if white.method == "gram" else 0.0)
    assert departure(white.apply(A)) < tolerance


def test_the_gram_path_is_left_exactly_where_its_error_estimate_passes_rtol():
    A = with_condition(500, 6, 3e3)
    cond = whitening(A, method="gram").cond
    limit = UNIT_ROUNDOFF * cond**2
    assert whitening(A, rtol=limit * 1.001).method == "gram"
    assert whitening(A, rtol=limit * 0.999).method == "shifted"


def test_column_units_cost_no_accuracy():
    A = np.random.default_rng(2).standard_normal((400, 5)) * 10.0 ** np.array([-8, 0, 8, 120, -120])
    white = whitening(A)
    assert white.method == "gram"
    assert white.cond < 10
    assert departure(A @ white.R_inv) < ORTHONORMAL


@pytest.mark.parametrize("extra", ["copy", "sum", "scaled"])
@pytest.mark.parametrize("n", [300, 70_000])
def test_dependent_columns_are_found_and_the_rest_is_whitened(extra, n):
    rng = np.random.default_rng(3)
    A = rng.standard_normal((n, 6))
    A[:, 4] = {"copy": A[:, 0], "sum": A[:, :4] @ rng.standard_normal(4), "scaled": 1e-9 * A[:, 1]}[extra]
    white = whitening(A)
    assert (white.rank, white.method) == (5, "svd")
    Q = A @ white.R_inv
    assert departure(Q) < ORTHONORMAL
    assert np.abs(A - Q @ (Q.T @ A)).max() < 1e-12  # the range is that of A


def test_dependent_and_ill_conditioned_columns_together():
    A = with_condition(20_000, 8, 1e10)
    A = np.column_stack([A, A[:, 0]])
    white = whitening(A)
    assert (white.rank, white.method) == (8, "svd")
    assert departure(white.apply(A)) < ORTHONORMAL


@pytest.mark.parametrize("method", ["gram", "shifted"])
def test_a_named_path_that_cannot_work_says_so(method):
    A = np.ones((64, 2))  # its Gram matrix is singular without any rounding
    with pytest.raises(np.linalg.LinAlgError, match=f"method='{method}' failed.*method='auto'"):
        whitening(A, method=method)


def test_fewer_rows_than_columns():
    A = np.random.default_rng(4).standard_normal((3, 8))
    white = whitening(A)
    assert white.rank == 3
    assert white.R_inv.shape == (8, 3)
    assert departure(A @ white.R_inv) < ORTHONORMAL


def test_columns_of_zeros_are_left_out():
    A = np.random.default_rng(5).standard_normal((60, 4))
    A[:, [0, 2]] = 0.0
    white = whitening(A)
    assert (white.rank, white.method) == (2, "gram")
    assert not white.R_inv[[0, 2]].any()
    assert departure(A @ white.R_inv) < ORTHONORMAL


@pytest.mark.parametrize("ridge", [0.0, 1.0])
def test_a_table_of_zeros_has_rank_zero(ridge):
    white = whitening(np.zeros((5, 3)), ridge=ridge)
    assert (white.rank, white.cond, white.R_inv.shape) == (0, 1.0, (3, 0))
    assert row_leverages(np.zeros((5, 3)), white).tolist() == [0.0] * 5


@pytest.mark.parametrize("unit", [1e-150, 1e-200, 1e150, 1e200])
@pytest.mark.parametrize("cond", [10.0, 1e9])
def test_scales_whose_squares_leave_the_range_of_floats(unit, cond):
    A = with_condition(400, 5, cond)
    white = whitening(A * unit)
    assert departure(white.apply(A * unit)) < ORTHONORMAL
    assert white.rank == 5


def test_columns_of_tiny_and_huge_scale_together():
    A = np.random.default_rng(6).standard_normal((300, 4)) * np.array([1e-200, 1.0, 1e200, 0.0])
    white = whitening(A)
    assert white.rank == 3
    assert departure(A @ white.R_inv) < ORTHONORMAL


@pytest.mark.parametrize("value", [1e-300, 1e300])
def test_scales_beyond_the_supported_range_are_refused_with_a_remedy(value):
    A = np.ones((4, 2))
    A[:, 1] = [value, 0, 0, -value]
    with pytest.raises(ValueError, match=r"column 1 of A has largest entry 1e.*multiply the column"):
        whitening(A)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, lambda A: [A[:7], A[7:]], lambda A: A.astype(np.float32)])
def test_bad_entries_are_found_without_a_pass_of_their_own_and_named(bad, form):
    A = np.ones((20, 3))
    A[:, 1:] = np.random.default_rng(7).standard_normal((20, 2))
    A[13, 1] = bad
    with pytest.raises(ValueError, match=r"A has an? .* entry in row 13, column 1"):
        whitening(form(A))


@pytest.mark.parametrize("lam", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("method", ["auto", "shifted", "svd"])
def test_a_ridge_is_added_to_the_gram_matrix_once(lam, method):
    A = np.random.default_rng(8).standard_normal((80, 5))
    white = whitening(A, ridge=lam, method=method)
    np.testing.assert_allclose(white.R_inv.T @ (A.T @ A + lam * np.eye(5)) @ white.R_inv, np.eye(5), atol=1e-12)


def test_a_tiny_ridge_on_dependent_columns_is_resolved_by_a_safe_path():
    rng = np.random.default_rng(9)
    A = rng.standard_normal((500, 3))
    A = np.column_stack([A, A[:, 0]])
    lam = 1e-14  # far below the rounding of the Gram matrix, whose entries are about 500
    white = whitening(A, ridge=lam)
    assert white.method != "gram"
    scores = row_leverages(A, white)
    values = np.linalg.svd(A, compute_uv=False)[:3]
    np.testing.assert_allclose(scores.sum(), (values**2 / (values**2 + lam)).sum(), rtol=1e-12)


@pytest.mark.parametrize("method", ["shifted", "svd"])
def test_ridge_rows_make_dependent_columns_independent(method):
    A = np.column_stack([TALL, TALL[:, 0]])
    white = whitening(A, ridge=1.0, method=method)
    assert white.rank == 4
    np.testing.assert_allclose(white.R_inv.T @ (A.T @ A + np.eye(4)) @ white.R_inv, np.eye(4), atol=1e-12)


TALL = np.random.default_rng(14).standard_normal((50, 3))


@pytest.mark.parametrize("unit", [1.0, 1e-170, 1e170])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_row_multipliers_equal_multiplied_rows(unit, form):
    rng = np.random.default_rng(10)
    A, scale = rng.standard_normal((300, 4)), 10.0 ** rng.uniform(-3, 3, 300)
    white = whitening(form(A), scale=unit * scale)
    Q = (A @ white.R_inv) * (unit * scale)[:, None]
    assert departure(Q) < 1e-12
    np.testing.assert_allclose(row_leverages(form(A), white, scale=unit * scale), (Q**2).sum(1), rtol=1e-11)


def test_rows_switched_off_by_their_multiplier_may_lower_the_rank():
    A = np.vstack([np.eye(3), np.eye(3)[:2]])
    assert whitening(A, scale=[1, 1, 0, 1, 1]).rank == 2
    assert whitening(A, scale=np.zeros(5)).rank == 0


@pytest.mark.parametrize("scale", [np.ones(3), np.ones((4, 1)), [1, 1, np.nan, 1]])
def test_bad_row_multipliers_are_named(scale):
    with pytest.raises(ValueError, match="scale has"):
        whitening(np.ones((4, 1)), scale=scale)


@given(cuts=st.lists(st.integers(0, 150_000), max_size=4), cond=st.sampled_from([1.0, 1e8]), sparse=st.booleans())
def test_the_result_does_not_depend_on_incoming_blocks_to_the_last_bit(cuts, cond, sparse):
    A = BIG * np.array([1.0, 1.0, 1 / cond]) + (BIG[:, :1] if cond > 1 else 0.0)
    table = sp.csr_array(A) if sparse else A
    bounds = [0, *sorted(cuts), A.shape[0]]
    pieces = [table[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]  # noqa: RUF007 - plain is clearer here
    whole, cut = whitening(table), whitening(pieces)
    assert whole.method == cut.method == ("gram" if cond == 1.0 else "shifted")
    np.testing.assert_array_equal(whole.R_inv, cut.R_inv)
    np.testing.assert_array_equal(row_leverages(table, whole), row_leverages(pieces, cut))


BIG = np.random.default_rng(11).standard_normal((150_000, 3))


def test_row_leverages_of_a_plain_matrix_and_into_a_given_array():
    A, M = np.random.default_rng(12).standard_normal((50, 4)), np.random.default_rng(13).standard_normal((4, 2))
    out = np.empty(50)
    assert row_leverages(A, M, out=out) is out
    np.testing.assert_allclose(out, ((A @ M) ** 2).sum(1), rtol=1e-13)
    np.testing.assert_allclose(row_leverages(A, np.asfortranarray(M)), out, rtol=1e-13)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"R_inv": np.eye(3)}, r"R_inv has shape \(3, 3\), the table has 4 columns"),
        ({"R_inv": np.ones(4)}, "R_inv has shape"),
        ({"R_inv": np.eye(4), "out": np.empty(3)}, "out has shape"),
        ({"R_inv": np.eye(4), "out": np.empty(5, dtype=np.float32)}, "out has shape"),
        ({"R_inv": np.eye(4), "scale": np.ones(2)}, "scale has shape"),
    ],
)
def test_shapes_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        row_leverages(np.ones((5, 4)), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"ridge": -1.0}, "ridge=-1.0"), ({"ridge": np.inf}, "ridge=inf"), ({"rtol": 2.0}, "rtol=2.0"), ({"method": "qr"}, "method='qr'")],
)
def test_bad_options_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        whitening(np.ones((5, 4)), **arguments)


def test_sparse_table_with_a_column_of_zeros_and_row_multipliers():
    dense = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0], [4.0, 0.0, 0.0]])
    scale = np.array([1.0, 2.0, 0.5])
    white = whitening(sp.csr_array(dense), scale=scale)
    same = whitening(dense, scale=scale)
    assert white.rank == same.rank == 2
    np.testing.assert_allclose(white.R_inv, same.R_inv, rtol=1e-14)


@pytest.mark.parametrize("cond", [1e2, 1e7])
@pytest.mark.parametrize("unit", [1.0, 1e-120])
def test_a_gram_matrix_at_hand_saves_the_pass_and_changes_nothing(cond, unit):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((500, 3)) @ np.diag([1.0, 1.0, 1.0 / cond]) @ rng.standard_normal((3, 3))
    scale = unit * rng.uniform(1.0, 2.0, 500)
    table = scale[:, None] * A
    known, fresh = whitening(A, scale=scale, gram=table.T @ table), whitening(A, scale=scale)
    assert known.method == fresh.method
    np.testing.assert_allclose(np.abs(known.apply(A)), np.abs(fresh.apply(A)), rtol=1e-6, atol=1e-9 / unit)
