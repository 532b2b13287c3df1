"""Lewis weights against closed forms, a plain twin of the iteration, and what their definition implies."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from algos.common.blocks import RowSource
from algos.lp_embeddings import instances, lewis_weights
from algos.lp_embeddings._lewis_map import LewisMap

EXPONENTS = [1.0, 1.5, 2.0, 3.0, 3.9, 4.0, 6.0, 10.0]
TIGHT = 1e-9  # residual asked for where the answer is compared
ROUNDING = 1e-10  # Gram matrices that differ by a factor, through dozens of steps
CLOSE = 1e-7  # TIGHT, divided by the smallest contraction margin in use (0.05 at p = 3.9)


def twin_map(A, p, w):
    """Lewis map by a QR factorisation; A of full column rank without zero rows."""
    t = (np.linalg.qr(w[:, None] ** (0.5 - 1 / p) * A)[0] ** 2).sum(axis=1)
    return w ** (1 - p / 2) * t ** (p / 2)


def twin_weights(A, p):
    """Relaxed iteration to rounding level, without extrapolation or any other refinement."""
    w = np.full(A.shape[0], A.shape[1] / A.shape[0])
    for _ in range(3000):
        image = twin_map(A, p, w)
        if np.max(np.abs(np.log(image / w))) < 1e-10:  # rounding, at p = 10, is 1e-11
            return w
        w = w * (image / w) ** (4 / (p + 2))
    raise AssertionError("the twin did not converge")


def logdet(A, p, w):
    return np.linalg.slogdet(A.T @ (w[:, None] ** (1 - 2 / p) * A))[1]


@pytest.fixture(scope="module")
def families():
    return {name: instance.A for name, instance in instances.random_families(90, 5, random_state=11).items()}


@pytest.mark.parametrize("p", EXPONENTS)
def test_closed_forms(p):
    exact = [
        instances.two_basis(8, 2, p),
        instances.sign_cube(6, p),
        instances.identity(4, p),
        instances.one_column([3.0, -1.0, 0.5, 0.0], p),
        instances.mixture_hard_instance(4, 2, 3, p),
    ]
    for instance in exact:
        np.testing.assert_allclose(lewis_weights(instance.A, p, tol=TIGHT), instance.lewis_weights, rtol=CLOSE)


@pytest.mark.parametrize("p", EXPONENTS)
def test_twin_agrees_on_every_family(families, p):
    for name, A in families.items():
        result = lewis_weights(A, p, tol=TIGHT, max_iter=200, return_info=True)
        expected = twin_weights(A, p)
        error = np.max(np.abs(np.log(result.weights / expected)))
        assert error < CLOSE, name
        assert error <= result.error_bound + 2e-9, name  # what the twin itself leaves at p = 3.9
        assert result.weights.sum() == pytest.approx(5, rel=1e-12)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 3.9])
@pytest.mark.parametrize("tol", [0.5, 0.05])
def test_entrywise_certificate_holds_for_rough_weights(families, p, tol):
    for name, A in families.items():
        result = lewis_weights(A, p, tol=tol, return_info=True)
        error = np.max(np.abs(np.log(result.weights / twin_weights(A, p))))
        assert error <= result.error_bound <= tol / (1 - abs(1 - p / 2)) + 1e-12, name


@pytest.mark.parametrize("p", [4.0, 6.0, 10.0])
def test_logdet_certificate_holds_for_rough_weights(families, p):
    for name, A in families.items():
        result = lewis_weights(A, p, tol=0.3, return_info=True)
        distance = logdet(A, p, twin_weights(A, p)) - logdet(A, p, result.weights)
        assert -1e-9 <= distance <= result.logdet_gap, name
        assert result.error_bound == math.inf


@pytest.mark.parametrize("p", [1.0, 3.0, 6.0])
def test_reported_residual_is_that_of_the_returned_weights(families, p):
    for A in families.values():
        result = lewis_weights(A, p, tol=0.1, return_info=True)
        assert result.residual == pytest.approx(np.max(np.abs(np.log(twin_map(A, p, result.weights) / result.weights))), abs=1e-8)


def test_p_two_gives_leverage_scores(families):
    for A in families.values():
        np.testing.assert_allclose(lewis_weights(A, 2.0), (np.linalg.qr(A)[0] ** 2).sum(axis=1), rtol=1e-8)


def test_sensitivity_bounds_contain_the_exact_sensitivities():
    rng = np.random.default_rng(12)
    for A in (rng.standard_normal((40, 2)), rng.standard_t(1.2, (40, 2))):
        truth = instances.two_columns(A).sensitivities
        result = lewis_weights(A, 1.0, tol=TIGHT, return_info=True)
        assert np.all(result.sensitivity_lower <= truth * (1 + 1e-9))
        assert np.all(truth <= result.sensitivity_upper * (1 + 1e-9))
        assert np.max(result.sensitivity_upper / result.sensitivity_lower) <= math.sqrt(2) * (1 + 1e-6)  # d ** (1 - p/2)


@pytest.mark.parametrize("p", [6.0, 30.0])
def test_a_wild_start_is_recovered_from(families, p):
    rng = np.random.default_rng(13)
    A = families["one_hot"]
    start = np.exp(3 * rng.standard_normal(A.shape[0]))
    result = lewis_weights(A, p, v0=start, max_iter=400, tol=1e-6, return_info=True)
    assert result.converged
    np.testing.assert_allclose(result.weights, lewis_weights(A, p, tol=1e-7, max_iter=400), rtol=1e-4)


def test_a_warm_start_saves_work(families):
    A = families["heavy_tailed"]
    cold = lewis_weights(A, 1.0, tol=1e-6, return_info=True)
    warm = lewis_weights(A, 1.0, tol=1e-6, v0=7.0 * cold.weights, return_info=True)
    assert warm.n_iter == 1 < cold.n_iter


@pytest.mark.parametrize("p", [1.0, 6.0])
def test_extrapolation_saves_work_and_changes_nothing(families, p):
    for A in families.values():
        plain = lewis_weights(A, p, accel=0, tol=1e-6, max_iter=200, return_info=True)
        fast = lewis_weights(A, p, accel=3, tol=1e-6, max_iter=200, return_info=True)
        assert fast.n_iter < plain.n_iter
        np.testing.assert_allclose(fast.weights, plain.weights, rtol=1e-4)


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_relaxed_iteration_needs_the_predicted_number_of_steps(p):
    # residuals shrink by |p - 2| / (p + 2) a step in the worst direction; the first step may be worse by the data's spread
    A = instances.random_families(300, 4, names=["spiked"], random_state=1)["spiked"].A
    result = lewis_weights(A, p, accel=0, tol=1e-10, max_iter=200, return_info=True)
    rate = abs(p - 2) / (p + 2)
    assert result.n_iter <= 2 + math.log(1e-12) / math.log(rate)


@given(seed=st.integers(0, 2**32 - 1), p=st.floats(1.0, 12.0), n=st.integers(4, 30))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_permutation_signs_and_change_of_columns(seed, p, n):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, 3)) * np.exp(rng.standard_normal((n, 1)))
    w = lewis_weights(A, p, tol=1e-8, max_iter=300)
    order, signs = rng.permutation(n), rng.choice([-1.0, 1.0], n)
    M = rng.standard_normal((3, 3)) + 3 * np.eye(3)
    again = lewis_weights((signs[:, None] * A)[order] @ M, p, tol=1e-8, max_iter=300)
    np.testing.assert_allclose(again, w[order], rtol=1e-5)


@pytest.mark.parametrize("p", [1.0, 1.5, 4.0])
def test_splitting_a_row_splits_its_weight(p):
    A = np.random.default_rng(14).standard_normal((20, 3))
    w = lewis_weights(A, p, tol=TIGHT)
    shares = np.array([0.2, 0.5, 0.3])  # |c|^p of the three parallel copies of row 0
    split = np.vstack([np.outer(shares ** (1 / p), A[0]), A[1:]])
    again = lewis_weights(split, p, tol=TIGHT)
    np.testing.assert_allclose(again[:3], shares * w[0], rtol=1e-6)
    np.testing.assert_allclose(again[3:], w[1:], rtol=1e-6)


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_dependent_columns_zero_rows_and_zero_columns_change_nothing(p):
    rng = np.random.default_rng(15)
    A = rng.standard_normal((40, 3))
    w = lewis_weights(A, p, tol=TIGHT)
    wide = np.hstack([A, A @ rng.standard_normal((3, 2)), np.zeros((40, 1))])
    padded = np.insert(wide, 7, 0.0, axis=0)
    result = lewis_weights(padded, p, tol=TIGHT, return_info=True)
    assert result.rank == 3
    assert result.weights[7] == result.sensitivity_upper[7] == 0.0
    np.testing.assert_allclose(np.delete(result.weights, 7), w, rtol=1e-6)


def test_fewer_rows_than_columns_and_nothing_at_all():
    np.testing.assert_allclose(lewis_weights(np.random.default_rng(16).standard_normal((3, 8)), 1.0), np.ones(3), rtol=1e-10)
    np.testing.assert_allclose(lewis_weights([[2.0, -1.0]], 5.0), [1.0], rtol=1e-10)
    nothing = lewis_weights(np.zeros((4, 2)), 1.0, return_info=True)
    assert nothing.rank == 0
    assert nothing.converged
    np.testing.assert_array_equal(nothing.weights, np.zeros(4))


@pytest.mark.parametrize("factor", [1e-150, 1e150])
def test_scale_of_the_table_does_not_matter(factor):
    A = np.random.default_rng(17).standard_normal((30, 3))
    for p in (1.0, 6.0):
        np.testing.assert_allclose(lewis_weights(factor * A, p, tol=TIGHT), lewis_weights(A, p, tol=TIGHT), rtol=1e-7)


def test_a_vanishing_row_keeps_its_share():
    # a row c * a has l1 weight proportional to c as c -> 0; its leverage score c**2 underflows long before
    A = np.random.default_rng(18).standard_normal((30, 3))
    weight = []
    for c in (1e-90, 1e-170):
        B = A.copy()
        B[0] *= c
        weight.append(lewis_weights(B, 1.0, tol=TIGHT)[0])
    assert weight[1] / weight[0] == pytest.approx(1e-80, rel=1e-6)


def test_sparse_memmap_stream_and_float32_agree_with_dense(tmp_path: Path):
    A = instances.random_families(400, 6, names=["one_hot"], random_state=19)["one_hot"].A
    for p in (1.0, 4.0):
        dense = lewis_weights(A, p, tol=1e-8, accel=0)
        np.testing.assert_allclose(lewis_weights(sp.csr_array(A), p, tol=1e-8, accel=0), dense, rtol=1e-6)
        path = tmp_path / f"table{p}.bin"
        stored = np.memmap(path, dtype=np.float64, mode="w+", shape=A.shape)
        stored[:] = A
        np.testing.assert_array_equal(lewis_weights(stored, p, tol=1e-8), dense)
        np.testing.assert_array_equal(lewis_weights(RowSource([A[:1], A[1:150], A[150:]]), p, tol=1e-8), dense)
        single = A.astype(np.float32)
        np.testing.assert_allclose(lewis_weights(single, p, tol=1e-8), lewis_weights(single.astype(float), p, tol=1e-8), rtol=1e-6)


def test_dependent_columns_of_sparse_and_streamed_tables():
    rng = np.random.default_rng(20)
    A = rng.standard_normal((50, 3)) * (rng.random((50, 3)) < 0.7)
    wide = np.hstack([A, A[:, :1] + A[:, 1:2]])
    w = lewis_weights(A, 1.0, tol=TIGHT)
    for table in (sp.csr_array(wide), [wide[:20], wide[20:]]):
        np.testing.assert_allclose(lewis_weights(RowSource(table), 1.0, tol=TIGHT), w, rtol=1e-6)


def test_hitting_the_limit_warns_and_returns_the_best_with_its_true_residual():
    A = instances.random_families(90, 4, names=["spiked"])["spiked"].A
    with pytest.warns(ConvergenceWarning, match="stopped after max_iter=3 evaluations with residual"):
        result = lewis_weights(A, 8.0, tol=1e-12, max_iter=3, return_info=True)
    assert not result.converged
    assert result.n_iter == 3
    assert result.residual == pytest.approx(np.max(np.abs(np.log(twin_map(A, 8.0, result.weights) / result.weights))), rel=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"p": 0.5}, r"p=0.5 is outside \[1"),
        ({"p": math.nan}, "p=nan"),
        ({"p": math.inf}, "p=inf is not covered"),
        ({"p": 1.0, "tol": 0.0}, "tol=0.0 is outside"),
        ({"p": 1.0, "max_iter": 0}, "max_iter=0 is outside"),
        ({"p": 1.0, "accel": -1}, "accel=-1 is outside"),
        ({"p": 1.0, "v0": np.ones(3)}, r"v0 has shape \(3,\); one weight for each of the 5 rows"),
        ({"p": 1.0, "v0": [1.0, 1.0, 1.0, 1.0, -1.0]}, r"v0\[4\]=-1.0 must be finite and not negative"),
        ({"p": 1.0, "v0": [1.0, 0.0, 1.0, 1.0, 1.0]}, "row 1 of A is not zero"),
        ({"p": 1.0, "A": [[math.nan, 1.0]]}, "A has a NaN entry in row 0, column 0"),
        ({"p": 1.0, "A": [[math.inf, 1.0]]}, "A has an infinite entry in row 0"),
        ({"p": 1.0, "A": np.empty((0, 3))}, "shape"),
        ({"p": 1.0, "A": [1.0, 2.0]}, "dimension"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    arguments = {"A": np.arange(10.0).reshape(5, 2) + 1.0} | kwargs
    table, p = arguments.pop("A"), arguments.pop("p")
    with pytest.raises(ValueError, match=message):
        lewis_weights(table, p, **arguments)


def test_the_package_name_is_the_function_whatever_is_imported_first():
    code = (
        "import sys, algos.lp_embeddings.lewis_weights, algos.lp_embeddings as room\n"
        "from algos.lp_embeddings import leverage_scores, lewis_weights\n"
        "assert callable(lewis_weights) and callable(room.lewis_weights) and callable(leverage_scores)\n"
        "assert 'lewis_weights' in dir(room)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    light = "import sys, algos.lp_embeddings; assert not {'numpy', 'numba', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", light], check=True)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 6.0])
def test_map_is_the_twin_at_any_scale_of_the_weights(families, p):
    from algos.lp_embeddings.lewis_weights import lewis_map

    rng = np.random.default_rng(25)
    for A in families.values():
        v = np.exp(3 * rng.standard_normal(A.shape[0]))
        np.testing.assert_allclose(lewis_map(A, p, v), twin_map(A, p, v), rtol=1e-7)
    padded = np.vstack([np.zeros(5), A])
    assert lewis_map(padded, p, np.r_[0.0, v])[0] == 0.0
    np.testing.assert_allclose(lewis_map(padded, p, np.r_[0.0, v])[1:], twin_map(A, p, v), rtol=1e-7)
    np.testing.assert_array_equal(lewis_map(np.zeros((2, 2)), p, [1.0, 1.0]), [0.0, 0.0])
    with pytest.raises(ValueError, match=r"v\[3\] is 0 although row 3 of A is not zero"):
        lewis_map(A, p, np.where(np.arange(len(A)) == 3, 0.0, v))


# -- one read for each evaluation ------------------------------------------------------------------------------------------------------


class CountedReads:
    """A stream of blocks that counts how often it is read from the beginning."""

    def __init__(self, A, rows):
        self.A, self.rows, self.reads = A, rows, 0

    def __iter__(self):
        self.reads += 1
        yield from (self.A[first : first + self.rows] for first in range(0, self.A.shape[0], self.rows))


def without_looking_ahead(monkeypatch):
    """Make every evaluation compute its own Gram matrix."""
    init = LewisMap.__init__
    monkeypatch.setattr(LewisMap, "__init__", lambda self, source, p, rtol, ahead=0.0: init(self, source, p, rtol))


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 8.0])
@pytest.mark.parametrize("kind", ["gaussian", "row_scales", "sparse", "zero_rows", "dependent"])
def test_a_stream_is_read_once_for_each_evaluation(monkeypatch, p, kind):
    A = instances.random_families(70_000, 3, names=["heavy_tailed" if kind == "sparse" else "gaussian"], random_state=0)
    A = next(iter(A.values())).A
    if kind == "row_scales":
        A = A * np.geomspace(1.0, 1e-6, len(A))[:, None]
    elif kind == "sparse":
        A = sp.csr_array(np.where(np.abs(A) < 0.5, 0.0, A) + np.eye(*A.shape))
    elif kind == "zero_rows":
        A = np.where(np.arange(len(A))[:, None] % 7 == 0, 0.0, A)
    elif kind == "dependent":
        A = np.column_stack([A, A[:, 0] + A[:, 1]])
    stream = CountedReads(A, 30_000)
    once = lewis_weights(stream, p, tol=TIGHT, max_iter=200, return_info=True)
    assert once.n_iter > 4
    # the number of rows and the first Gram matrix; rows of zeros are looked for, and columns that span the others chosen, once
    extra = {"dependent": 7, "zero_rows": 1, "sparse": 1}.get(kind, 0)
    assert stream.reads <= once.n_iter + 2 + extra
    without_looking_ahead(monkeypatch)
    stream = CountedReads(A, 30_000)
    twice = lewis_weights(stream, p, tol=TIGHT, max_iter=200, return_info=True)
    assert stream.reads >= 2 * twice.n_iter
    assert once.n_iter == twice.n_iter
    np.testing.assert_allclose(once.weights, twice.weights, rtol=ROUNDING)
    np.testing.assert_allclose(once.sensitivity_upper, twice.sensitivity_upper, rtol=ROUNDING)


def test_a_wild_start_or_an_ill_conditioned_stream_is_read_again_where_it_must(monkeypatch):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3000, 4)) @ np.diag([1.0, 1.0, 1.0, 1e-9]) @ rng.standard_normal((4, 4))
    v0 = np.exp(5.0 * rng.standard_normal(3000))
    found = [lewis_weights(CountedReads(A, 1000), p, tol=1e-4, v0=v0, max_iter=200) for p in (1.0, 6.0)]
    without_looking_ahead(monkeypatch)
    for p, weights in zip((1.0, 6.0), found, strict=True):
        np.testing.assert_allclose(weights, lewis_weights(CountedReads(A, 1000), p, tol=1e-4, v0=v0, max_iter=200), rtol=1e-3)


def test_a_row_whose_score_underflows_is_not_forgotten():
    A = np.vstack([np.eye(2), [[1e-200, 0.0]]])
    weights = lewis_weights(CountedReads(A, 2), 1.0, tol=1e-6)
    np.testing.assert_allclose(weights, lewis_weights(A, 1.0, tol=1e-6), rtol=1e-5)
