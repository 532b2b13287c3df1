import os
import subprocess
import sys
import warnings

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from algos.lp_embeddings.bounds import gram_leverage_error, ridge_leverage_sum
from algos.lp_embeddings.leverage_scores import LeverageResult, leverage_scores

ROUNDING = 1e-12  # relative error of scores at condition below 100: u cond^2 with a few dozen sums
RNG = np.random.default_rng(0)
TALL = RNG.standard_normal((120, 5)) * np.array([1.0, 3.0, 0.1, 10.0, 1.0])


def oracle(A):
    """Leverage scores by Gram-Schmidt in extended precision, three times over: error about 1e-19 times the condition number."""
    Q = A.astype(np.longdouble)
    for _ in range(3):
        for j in range(Q.shape[1]):
            for k in range(j):
                Q[:, j] -= Q[:, k] * (Q[:, k] @ Q[:, j])
            Q[:, j] /= np.sqrt(Q[:, j] @ Q[:, j])
    return (Q * Q).sum(axis=1).astype(np.float64)


def pinv_scores(A):
    return np.einsum("ij,ji->i", A, np.linalg.pinv(A))


def with_condition(n, d, cond, graded, seed=0):
    rng = np.random.default_rng(seed)
    left, right = np.linalg.qr(rng.standard_normal((n, d)))[0], np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (left * (np.logspace(0, -np.log10(cond), d) if graded else np.r_[np.ones(d - 1), 1 / cond])) @ right


FAMILIES = {
    "gaussian": TALL,
    "heavy tails": np.random.default_rng(1).standard_t(1.2, size=(300, 6)),
    "coherent": np.vstack([30 * np.eye(4), np.random.default_rng(2).standard_normal((200, 4))]),
    "polynomials": np.polynomial.legendre.legvander(np.linspace(-1, 1, 200), 7),
    "row scales": np.random.default_rng(3).standard_normal((200, 5)) * np.logspace(0, -6, 200)[:, None],
    "one-hot": np.column_stack([np.eye(6)[np.arange(90) % 6], np.random.default_rng(4).standard_normal(90)]),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_equal_those_of_the_projection_onto_the_range(family):
    A = FAMILIES[family]
    result = leverage_scores(A, return_info=True)
    assert isinstance(result, LeverageResult)
    np.testing.assert_allclose(result.scores, oracle(A), rtol=1e-8)
    assert result.scores.min() >= 0.0
    assert result.scores.max() <= 1.0
    assert result.rank == A.shape[1]
    assert abs(result.scores.sum() - result.rank) < 1e-9


@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("cond", [1e1, 1e3, 1e4, 1e5, 1e6, 1e8, 1e10, 1e12])
def test_the_error_stays_below_its_bound_up_to_condition_1e12(cond, graded):
    A = with_condition(2000, 10, cond, graded)
    result = leverage_scores(A, return_info=True)
    worst = np.max(np.abs(result.scores / oracle(A) - 1.0))
    if result.method == "gram":
        assert worst <= gram_leverage_error(cond=result.cond) + 1e-14
        assert 2.0**-53 * result.cond**2 <= 1e-6
    else:
        assert result.method == "shifted"
        assert worst <= 1e-12 + 100 * 2.0**-53 * cond
    assert abs(result.scores.sum() - 10) < 1e-6


def test_without_the_guard_the_gram_matrix_is_silently_wrong_which_a_warning_says():
    A = with_condition(2000, 10, 1e7, graded=False)
    with pytest.warns(RuntimeWarning, match=r"method='gram' at condition .*use method='auto'"):
        wrong = leverage_scores(A, method="gram")
    assert np.max(np.abs(wrong / oracle(A) - 1.0)) > 1e-4
    assert np.max(np.abs(leverage_scores(A) / oracle(A) - 1.0)) < 1e-8


@given(st.integers(0, 10**6), st.sampled_from(["gram", "shifted", "svd"]))
def test_scores_do_not_change_when_columns_are_recombined(seed, method):
    M = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 5)))[0] * np.logspace(0, 2, 5)  # condition 100
    np.testing.assert_allclose(leverage_scores(TALL @ M, method=method), leverage_scores(TALL), rtol=1e-8)


@given(st.permutations(range(12)))
def test_scores_follow_their_rows(order):
    A = TALL[:12]
    np.testing.assert_allclose(leverage_scores(A[order]), leverage_scores(A)[order], rtol=ROUNDING)


@given(st.integers(0, 119), st.integers(1, 5))
def test_copies_of_a_row_share_its_score_and_lower_no_other_row_s_sum(row, copies):
    split = np.vstack([TALL, np.repeat(TALL[row : row + 1], copies, axis=0) / np.sqrt(copies + 1)])
    split[row] = TALL[row] / np.sqrt(copies + 1)
    scores, before = leverage_scores(split), leverage_scores(TALL)
    np.testing.assert_allclose(scores[row] + scores[120:].sum(), before[row], rtol=1e-11)
    np.testing.assert_allclose(np.delete(scores[:120], row), np.delete(before, row), rtol=1e-11)


@given(st.integers(1, 119))
def test_more_rows_never_raise_a_score(n):
    n = max(n, 6)
    assert (leverage_scores(TALL)[:n] <= leverage_scores(TALL[:n]) * (1 + 1e-10)).all()


@given(unit=st.sampled_from([1e-150, 1e-30, 1e30, 1e150]), column=st.integers(0, 4))
def test_units_do_not_matter_not_even_of_one_column(unit, column):
    expected = leverage_scores(TALL)
    np.testing.assert_allclose(leverage_scores(TALL * unit), expected, rtol=ROUNDING)
    mixed = TALL.copy()
    mixed[:, column] *= unit
    np.testing.assert_allclose(leverage_scores(mixed), expected, rtol=ROUNDING)


@pytest.mark.parametrize("method", ["auto", "gram", "shifted", "svd"])
def test_every_storage_gives_the_same_scores(tmp_path, method):
    A = np.where(RNG.random((300, 6)) < 0.4, RNG.standard_normal((300, 6)), 0.0).astype(np.float32).astype(np.float64)
    stored = np.memmap(tmp_path / "a.bin", dtype=np.float64, mode="w+", shape=A.shape)
    stored[:] = A
    expected = leverage_scores(A)
    forms = [
        stored,
        np.asfortranarray(A),
        A.astype(np.float32),
        sp.csr_array(A),
        sp.csc_matrix(A),
        sp.csr_array(A.astype(np.float32)),
        da.from_array(A, chunks=(70, 4)),
        [A[:1], A[1:250], A[250:]],
        A.tolist(),
    ]
    for form in forms:
        scores = leverage_scores(form, method=method)
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, expected, rtol=ROUNDING, atol=1e-15)


@given(st.integers(0, 2**32))
def test_sparse_tables_with_empty_rows_and_columns_equal_dense_ones(seed):
    rng = np.random.default_rng(seed)
    A = sp.random_array((40, 8), density=0.15, format="csr", rng=rng)
    np.testing.assert_allclose(leverage_scores(A), pinv_scores(A.toarray()), atol=1e-9)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_rows_and_columns_of_zeros(form):
    A = TALL.copy()
    A[[0, 50]] = 0.0
    A[:, 2] = 0.0
    result = leverage_scores(form(A), return_info=True)
    assert result.scores[[0, 50]].tolist() == [0.0, 0.0]
    assert (result.rank, result.method) == (4, "gram")
    np.testing.assert_allclose(result.scores, pinv_scores(A), atol=1e-12)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("copies", [1, 5])
def test_dependent_columns_leave_the_scores_of_the_independent_ones(form, copies):
    A = np.column_stack([TALL, *[TALL @ RNG.standard_normal(5) for _ in range(copies)]])
    result = leverage_scores(form(A), return_info=True)
    assert (result.rank, result.method) == (5, "svd")
    np.testing.assert_allclose(result.scores, leverage_scores(TALL), rtol=1e-9)
    assert abs(result.scores.sum() - 5) < 1e-12


@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 4), (3, 7), (5, 5)])
def test_with_no_more_rows_than_columns_every_independent_row_has_score_one(n, d):
    result = leverage_scores(RNG.standard_normal((n, d)), return_info=True)
    np.testing.assert_allclose(result.scores, 1.0, rtol=ROUNDING)
    assert result.scores.max() <= 1.0
    assert result.rank == n


def test_an_intercept_and_duplicated_rows_have_the_textbook_scores():
    x = np.array([0.0, 0.0, 1.0, 5.0])
    A = np.column_stack([np.ones(4), x])
    simple_regression = 1 / 4 + (x - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    np.testing.assert_allclose(leverage_scores(A), simple_regression, rtol=ROUNDING)


def test_a_table_of_zeros_has_scores_zero():
    result = leverage_scores(np.zeros((4, 2)), return_info=True)
    assert result.scores.tolist() == [0.0] * 4
    assert result.rank == 0


@pytest.mark.parametrize("lam", [1e-10, 1e-3, 1.0, 1e8, 1e200])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_ridge_scores_add_up_to_the_effective_dimension(lam, form):
    scores = leverage_scores(form(TALL), ridge=lam)
    values = np.linalg.svd(TALL, compute_uv=False)
    np.testing.assert_allclose(scores.sum(), ridge_leverage_sum(singular_values=values, ridge=lam), rtol=1e-11)
    np.testing.assert_allclose(scores, np.einsum("ij,jk,ik->i", TALL, np.linalg.inv(TALL.T @ TALL + lam * np.eye(5)), TALL), rtol=1e-9)


def test_ridge_scores_fall_as_the_ridge_grows_and_start_at_the_plain_scores():
    scores = np.array([leverage_scores(TALL, ridge=lam) for lam in (0.0, 1e-6, 1e-2, 1.0, 100.0)])
    assert (np.diff(scores, axis=0) < 0.0).all()


@pytest.mark.parametrize(
    ("A", "options", "error", "message"),
    [
        (TALL, {"method": "sketch"}, ValueError, "method='sketch' is not known; choose one of 'auto'"),
        (TALL, {"ridge": -1}, ValueError, "ridge=-1"),
        (TALL, {"rtol": np.nan}, ValueError, "rtol=nan"),
        (TALL, {"ridge": "1"}, TypeError, "ridge="),
        (TALL[:, 0], {}, ValueError, "A has 1 dimension"),
        (np.zeros((0, 3)), {}, ValueError, r"A has shape \(0, 3\)"),
        ([["a"]], {}, TypeError, "A has dtype.*encode"),
        ([[np.nan, 1.0]], {}, ValueError, "A has a NaN entry in row 0, column 0"),
        ([[1.0, 1.0], [np.inf, 1.0]], {}, ValueError, "A has an infinite entry in row 1, column 0"),
        (iter([TALL]), {}, TypeError, "A is an iterator.*only once"),
    ],
)
def test_bad_input_is_named_with_a_remedy(A, options, error, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=message):
            leverage_scores(A, **options)


MEMORY_PROGRAM = """
import sys
import numpy as np
from algos.lp_embeddings.leverage_scores import leverage_scores

def anonymous_megabytes():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("RssAnon")).split()[1]) / 1024

import threading
path, n, d = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
A = np.memmap(path, dtype=np.float64, mode="r", shape=(n, d))
leverage_scores(np.eye(d))
before, peak, done = anonymous_megabytes(), 0.0, threading.Event()
def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous_megabytes())
watcher = threading.Thread(target=watch)
watcher.start()
scores = leverage_scores(A)
done.set(); watcher.join()
print(max(peak, anonymous_megabytes()) - before - scores.nbytes / 2**20, scores.sum())
"""


def extra_memory(tmp_path, n, d):
    """Return the megabytes beyond the result that a memory-mapped table costs, and the sum of its scores."""
    path = tmp_path / "table.bin"
    stored = np.memmap(path, dtype=np.float64, mode="w+", shape=(n, d))  # mostly a hole in the file, read as zeros
    stored[: 2 * d] = np.random.default_rng(0).standard_normal((2 * d, d))
    stored.flush()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEMORY_PROGRAM, str(path), str(n), str(d)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=600)
    return tuple(float(word) for word in result.stdout.split())


def test_a_memory_mapped_table_is_never_copied(tmp_path):
    table_megabytes = 300_000 * 50 * 8 / 2**20
    extra, total = extra_memory(tmp_path, 300_000, 50)
    assert extra < table_megabytes / 3  # a copy, or a whitened table, would take all of it
    assert total == pytest.approx(50, rel=1e-9)


@pytest.mark.slow
def test_four_gigabytes_are_read_within_300_megabytes(tmp_path):
    extra, total = extra_memory(tmp_path, 10_000_000, 50)
    assert extra < 300
    assert total == pytest.approx(50, rel=1e-9)
