"""Searches for extreme moments against dense grids of directions, planted directions and each other."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from algos.common.blocks import RowSource
from algos.testable_halfspaces._moments import batch_moments, moments_of
from algos.testable_halfspaces.calibration import calibrate
from algos.testable_halfspaces.moment_tests import fourth_moment_search, gaussian_moment_test, moment_statistics

ROUNDING = 1e-10  # sums of fourth powers of some thousand rows
ENDED = 1e-4  # searches end when a moment moves by less than 1e-7 of itself, a few steps before its extreme


def hidden(n, d, weight, seed):
    """One direction is sqrt(1 - l^2) N + l R with R = +-1: fourth moment 3 - 2 l^4, hidden by a rotation."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[:, 0] = np.sqrt(1.0 - weight**2) * X[:, 0] + weight * rng.choice([-1.0, 1.0], n)
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return X @ Q, Q[0]


@pytest.mark.parametrize("side", ["high", "low"])
@pytest.mark.parametrize("certify", [True, False])
def test_search_in_the_plane_finds_what_a_grid_of_angles_finds(side, certify):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.laplace(0, 0.7, 3000), rng.uniform(-1.7, 1.7, 3000)]) @ [[0.8, 0.6], [-0.6, 0.8]]
    angles = np.linspace(0, np.pi, 4001)
    grid = np.mean((X @ np.array([np.cos(angles), np.sin(angles)])) ** 4, axis=0)
    extreme = grid.max() if side == "high" else grid.min()
    found = fourth_moment_search(X, side, certify=certify)
    assert found.value == pytest.approx(extreme, rel=ENDED)
    assert np.mean((X @ found.direction) ** 4) == pytest.approx(found.value, rel=ROUNDING)
    low, high = found.bracket
    assert low * (1 - ENDED) <= extreme <= high * (1 + ENDED)  # the grid of angles is a millionth off the extreme
    if certify:
        assert high - low < 0.02 * extreme  # in the plane the relaxation is nearly exact


@given(seed=st.integers(0, 1000), d=st.integers(1, 6), heavy=st.booleans())
def test_bracket_holds_the_moment_of_every_direction(seed, d, heavy):
    rng = np.random.default_rng(seed)
    X = rng.standard_t(2.5, (200, d)) if heavy else rng.uniform(-1, 1, (200, d)) * np.sqrt(3)
    V = rng.standard_normal((500, d))
    V /= np.linalg.norm(V, axis=1)[:, None]
    moments = np.mean((X @ V.T) ** 4, axis=0)
    high, low = fourth_moment_search(X, "high"), fourth_moment_search(X, "low")
    assert moments.max() <= high.bound * (1 + ROUNDING)
    assert low.bound * (1 - ROUNDING) <= moments.min()
    assert high.value <= high.bound
    assert low.bound <= low.value


@pytest.mark.parametrize("order", [3, 4])
def test_moments_from_tensors_and_from_rows_and_their_twin_agree(order):
    rng = np.random.default_rng(2)
    X, V = rng.standard_normal((5000, 4)), rng.standard_normal((6, 4))
    twin_values = np.mean((X @ V.T) ** order, axis=0)
    twin_gradients = ((X @ V.T) ** (order - 1)).T @ X / 5000
    source = RowSource(X)
    for values, gradients in (moments_of(source, tensors=True).tensors.power(V, order), batch_moments(source, V, order)):
        np.testing.assert_allclose(values, twin_values, atol=ROUNDING * 100)
        np.testing.assert_allclose(gradients, twin_gradients, atol=ROUNDING * 100)


def test_a_sweep_of_sixteen_directions_reads_the_rows_once():
    reads = []

    class Counted:
        def __iter__(self):
            reads.append(1)
            return iter(blocks)

    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal((500, 3)) for _ in range(4)]
    source = RowSource(Counted())
    assert source.n_rows == 2000
    reads.clear()
    batch_moments(source, rng.standard_normal((16, 3)), 4)
    assert len(reads) == 1


@pytest.mark.parametrize("certify", [True, False])
def test_planted_direction_is_found(certify):
    X, direction = hidden(20_000, 12, 0.8, seed=3)
    found = fourth_moment_search(X, "low", certify=certify)
    assert found.value == pytest.approx(3 - 2 * 0.8**4, abs=0.1)
    assert abs(found.direction @ direction) > 0.97


def test_more_rows_than_are_explored_are_finished_on_all():
    X, _ = hidden(30_000, 3, 0.9, seed=1)
    found = fourth_moment_search(X, "low", certify=False)
    assert found.value == pytest.approx(fourth_moment_search(X, "low", certify=True).value, rel=ENDED)
    assert found.bracket[0] == 0.0
    assert fourth_moment_search(X, "high", certify=False).bound == np.inf


def test_statistics_are_those_of_their_names():
    rng = np.random.default_rng(5)
    X = rng.exponential(1.0, (4000, 3)) - 0.9
    measured = {item.name: item for item in moment_statistics(X)}
    assert measured["mean"].value == pytest.approx(np.linalg.norm(X.mean(axis=0)), rel=ROUNDING)
    eigenvalues = np.linalg.eigvalsh(np.cov(X.T, bias=True)) - 1
    assert measured["covariance"].value == pytest.approx(np.abs(eigenvalues).max(), rel=ROUNDING)
    V = rng.standard_normal((3000, 3))
    V /= np.linalg.norm(V, axis=1)[:, None]
    assert measured["skewness"].value >= np.mean((X @ V.T) ** 3, axis=0).max() * (1 - ENDED)
    assert np.mean((X @ measured["skewness"].direction) ** 3) == pytest.approx(measured["skewness"].value, rel=ROUNDING)
    for name, sign in (("kurtosis_high", 1), ("kurtosis_low", -1)):
        sampled = (sign * np.mean((X @ V.T) ** 4, axis=0)).max()
        assert sign * measured[name].value >= sampled - ENDED * abs(sampled)


def test_rotation_leaves_every_statistic():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((1500, 4)) * [1.0, 1.1, 0.9, 1.0]
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    for one, other in zip(moment_statistics(X), moment_statistics(X @ Q), strict=True):
        assert one.value == pytest.approx(other.value, rel=ENDED)


def test_coordinates_look_gaussian_where_a_direction_does_not():
    X, direction = hidden(8000, 5, 0.85, seed=0)
    assert np.abs(np.mean(X**4, axis=0) - 3).max() < 0.6  # no coordinate stands out as the direction does
    results = {test.name: test for test in gaussian_moment_test(X, n_calibration=79)}
    failed = results["kurtosis_low"]
    assert not failed.passed
    assert failed.p_value <= 0.025
    assert abs(failed.direction @ direction) > 0.97
    assert failed.bracket[0] <= failed.statistic == failed.bracket[1]


def test_seven_matched_moments_pass():
    """Gauss-Hermite nodes: all moments to degree seven are those of N(0, 1). The moment tests must not claim to see more."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20_000, 4))
    X[:, 0] = rng.choice([-2.334414, -0.741964, 0.741964, 2.334414], 20_000, p=[0.045876, 0.454124, 0.454124, 0.045876])
    assert all(test.passed for test in gaussian_moment_test(X, calibration=calibrate(20_000, 4, n_calibration=79, key=1)))


def test_theory_slacks_reject_heavy_tails_and_pass_the_gaussian():
    rng = np.random.default_rng(2)
    assert all(test.passed for test in gaussian_moment_test(rng.standard_normal((5000, 4)), calibration="theory"))
    failed = {
        test.name for test in gaussian_moment_test(rng.standard_t(3, (5000, 4)) / np.sqrt(3), calibration="theory") if not test.passed
    }
    assert {"kurtosis_high", "kurtosis_upper_bound"} <= failed


@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_extreme_scales_are_rejected_without_a_warning(scale):
    X = np.random.default_rng(0).standard_normal((300, 3)) * scale
    results = {test.name: test for test in gaussian_moment_test(X, calibration="theory")}
    assert not results["covariance"].passed


def test_pieces_and_types_agree():
    X = np.random.default_rng(0).standard_normal((5000, 3))
    whole, pieces = moment_statistics(X), moment_statistics(RowSource([X[:1234], X[1234:]]))
    assert [item.value for item in whole] == [item.value for item in pieces]
    single = moment_statistics(X.astype(np.float32))
    assert single[3].value == pytest.approx(whole[3].value, rel=1e-5)  # 24 bits in the entries


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="X has a NaN entry in row 1"):
        moment_statistics(np.array([[0.0, 1.0], [np.nan, 1.0]]))
    with pytest.raises(ValueError, match="side='both' is not known"):
        fourth_moment_search(np.ones((3, 2)), "both")
    with pytest.raises(ValueError, match="calibration is for 4 columns, X has 2"):
        gaussian_moment_test(np.ones((3, 2)), calibration=calibrate(100, 4, mode="theory"))
    with pytest.raises(TypeError, match="sparse"):
        moment_statistics(sp.eye_array(3, format="csr"))
