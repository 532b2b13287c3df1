import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from algos.common.validation import as_table, canonical_array, check_finite_rows, check_option, check_range


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_canonical_array_is_returned_itself(dtype):
    X = np.ones((4, 3), dtype=dtype)
    assert canonical_array(X) is X


def test_a_memory_map_is_returned_itself(tmp_path):
    stored = np.memmap(tmp_path / "x.bin", dtype=np.float64, mode="w+", shape=(6, 2))
    assert canonical_array(stored) is stored


@pytest.mark.parametrize(
    "X",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]], dtype=np.int8),
        np.array([[1, 2], [3, 4]], dtype=np.float16),
        np.array([[1, 2], [3, 4]], dtype=np.longdouble),
        np.array([[1, 2], [3, 4]], dtype=">f8"),
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 9, 2], [3, 9, 4]], dtype=float)[:, ::2],
        np.array([[1, 2], [3, 4]], dtype=object),
        pd.DataFrame({"a": [1, 3], "b": [2.0, 4.0]}),
        np.ma.MaskedArray([[1.0, 2.0], [3.0, 4.0]], mask=False),
    ],
)
def test_other_forms_become_native_contiguous_float64(X):
    table = canonical_array(X)
    assert table.dtype == np.float64
    assert table.dtype.isnative
    assert table.flags.c_contiguous
    np.testing.assert_array_equal(table, [[1.0, 2.0], [3.0, 4.0]])


def test_unaligned_memory_is_copied_to_aligned_memory():
    raw = np.zeros(8 * 4 + 1, dtype=np.uint8)[1:].view(np.float64).reshape(2, 2)
    assert not raw.flags.aligned
    assert canonical_array(raw).flags.aligned


def test_sparse_becomes_sorted_csr_with_wide_indices_and_leaves_the_caller_s_arrays_alone():
    messy = sp.csr_array(
        (np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2], dtype=np.int32), np.array([0, 3, 3], dtype=np.int32)), shape=(2, 3)
    )
    table = canonical_array(messy, sparse=True)
    assert table.indices.dtype == table.indptr.dtype == np.int64
    assert table.indices.tolist() == [0, 2]
    np.testing.assert_array_equal(table.toarray(), [[2.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    assert messy.indices.tolist() == [2, 0, 2]


@pytest.mark.parametrize("kind", [sp.coo_array, sp.csc_array, sp.csr_matrix, sp.lil_array])
def test_every_sparse_kind_is_read(kind):
    dense = np.array([[0.0, 1.5], [2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(canonical_array(kind(dense), sparse=True).toarray(), dense)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([1.0, 2.0], ValueError, r"Z has 1 dimension\(s\).*Z.reshape"),
        (3.0, ValueError, r"Z has 0 dimension\(s\)"),
        (np.zeros((2, 2, 2)), ValueError, r"Z has 3 dimension\(s\)"),
        (np.zeros((0, 3)), ValueError, r"Z has shape \(0, 3\); at least 1 row"),
        (np.zeros((3, 0)), ValueError, r"Z has shape \(3, 0\)"),
        ([[1.0, np.nan], [2.0, 3.0]], ValueError, "Z has a NaN entry in row 0, column 1.*drop"),
        ([[1.0, 0.0], [-np.inf, 3.0]], ValueError, "Z has an infinite entry in row 1, column 0"),
        ([[1j, 2.0]], TypeError, "Z is complex.*Z.real"),
        ([["a", "b"]], TypeError, "Z has dtype.*encode"),
        (np.array([["a", 1.0]], dtype=object), TypeError, "Z has entries that are not numbers.*encode"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), TypeError, "Z has dtype"),
        (np.ma.MaskedArray([[1.0]], mask=True), ValueError, "Z has masked entries"),
        (sp.eye_array(2), TypeError, "Z is sparse.*Z.toarray"),
    ],
)
def test_bad_tables_are_named_with_a_remedy(X, error, message):
    with pytest.raises(error, match=message):
        canonical_array(X, name="Z")


def test_a_sparse_table_with_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        canonical_array(sp.csr_array([[0.0, np.nan]]), sparse=True)


def test_fewer_rows_than_asked_for_are_refused():
    with pytest.raises(ValueError, match=r"at least 2 row\(s\)"):
        canonical_array([[1.0]], min_rows=2)


def test_as_table_keeps_type_and_order():
    X = np.asfortranarray(np.ones((3, 2), dtype=np.int16))
    assert as_table(X) is X


def test_a_bad_entry_far_down_is_found_and_numbered():
    X = np.zeros((40_000, 2))
    X[33_333, 1] = np.inf
    with pytest.raises(ValueError, match="row 33343, column 1"):
        check_finite_rows(X, start=10)


def test_finite_entries_whose_sum_overflows_pass_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_finite_rows(np.full((3, 2), 1e308))


def test_options_are_listed_in_the_message():
    assert check_option("b", ("a", "b"), name="mode") == "b"
    with pytest.raises(ValueError, match="mode='c' is not known; choose one of 'a', 'b'"):
        check_option("c", ("a", "b"), name="mode")
    with pytest.raises(ValueError, match="mode="):
        check_option(np.ones(3), ("a",), name="mode")


@pytest.mark.parametrize(
    ("value", "options", "shown"),
    [
        (0.0, {"low": 0, "low_open": True}, r"\(0, inf\)"),
        (1.0, {"low": 0, "high": 1, "high_open": True}, r"\[0, 1\)"),
        (2.5, {"high": 2}, r"\(-inf, 2\]"),
        (float("nan"), {"low": 0}, r"\[0, inf\)"),
    ],
)
def test_numbers_outside_an_interval_are_refused_and_the_interval_is_shown(value, options, shown):
    with pytest.raises(ValueError, match=f"t={value}.*outside {shown}"):
        check_range(value, name="t", **options)


def test_numbers_inside_come_back_as_python_numbers():
    assert type(check_range(np.float32(0.5), name="t", low=0)) is float
    assert type(check_range(np.int64(3), name="m", integer=True)) is int
    assert check_range(0, name="t", low=0, high=0) == 0.0


@pytest.mark.parametrize(("value", "integer"), [(True, False), ("1", False), (1.0, True), (None, True), (np.bool_(1), True)])
def test_values_of_another_type_are_refused(value, integer):
    with pytest.raises(TypeError, match="m="):
        check_range(value, name="m", integer=integer)


def test_text_and_huge_integers_are_refused_in_one_sentence():
    with pytest.raises(TypeError, match=r"^A has dtype <U1, numbers are expected; encode the entries first$"):
        canonical_array(np.array([["a"]]), name="A")
    with pytest.raises(ValueError, match="A has an integer beyond the range of floats"):
        canonical_array(np.array([[10**400]], dtype=object), name="A")
