"""Complements, tested eigenvalue bounds, quadratic functions on a sphere: grids, exact cases, the hard case."""

import mpmath
import numpy as np
import pytest

from algos.common.spectral import largest_eigenvalue_upper, maximize_on_sphere, orthonormal_complement

EXACT = 1e-14  # a handful of roundings
GRID = 2e-6  # a circle of 4096 points misses a maximum by at most the curvature times (2 pi / 4096)^2 / 8
HARD = 1e-11  # in the hard case the multiplier is kept 1e-13 of the size above the eigenvalue, and the size is up to 50


@pytest.mark.parametrize("w", [[3.0], [0.0, -2.0], [1e-200, 1e-200, 0.0], [1.0, 1e-9, -1e9, 4.0], np.r_[1.0, np.zeros(30)]])
def test_complement_is_orthonormal_and_orthogonal(w):
    Q = orthonormal_complement(w)
    assert Q.shape == (len(w), len(w) - 1)
    np.testing.assert_allclose(Q.T @ Q, np.eye(len(w) - 1), atol=EXACT)
    np.testing.assert_allclose(Q.T @ (np.asarray(w) / np.abs(w).max()), 0.0, atol=EXACT)


@pytest.mark.parametrize("w", [[0.0, 0.0], [np.nan, 1.0], [[1.0, 2.0]], []])
def test_complement_of_nothing_is_refused(w):
    with pytest.raises(ValueError, match="not all zero"):
        orthonormal_complement(w)


@pytest.mark.parametrize("m", [1, 2, 7, 60])
def test_eigenvalue_bound_is_above_and_close(m):
    rng = np.random.default_rng(m)
    for scale in (1e-200, 1.0, 1e150):
        values = np.sort(rng.standard_normal(m))
        Q = np.linalg.qr(rng.standard_normal((m, m)))[0]
        A = scale * (Q * values) @ Q.T
        bound = largest_eigenvalue_upper((A + A.T) / 2)
        assert values[-1] * scale - 1e-15 * scale * m <= bound <= scale * (values[-1] + 1e-12 * m)


def test_eigenvalue_bound_of_exact_matrices():
    assert largest_eigenvalue_upper(np.zeros((3, 3))) == 0.0
    assert 1.0 <= largest_eigenvalue_upper(np.eye(5)) <= 1 + 1e-13
    assert -1.0 <= largest_eigenvalue_upper(-np.eye(5)) <= -1 + 1e-13
    hilbert = 1.0 / (np.arange(12)[:, None] + np.arange(12) + 1.0)
    with mpmath.workdps(40):
        largest = float(max(mpmath.eigsy(mpmath.matrix(hilbert.tolist()), eigvals_only=True)))
    assert largest <= largest_eigenvalue_upper(hilbert) <= largest * (1 + 1e-12)


@pytest.mark.parametrize("A", [np.ones((2, 3)), np.ones(4), np.empty((0, 0)), [[np.nan]]])
def test_eigenvalue_bound_refuses_what_is_no_matrix(A):
    with pytest.raises(ValueError, match="A has"):
        largest_eigenvalue_upper(A)


def circle_maximum(C, b, radius):
    angle = np.linspace(0, 2 * np.pi, 4097)
    v = radius * np.array([np.cos(angle), np.sin(angle)])
    return np.max(np.einsum("in,ij,jn->n", v, C, v) + 2 * b @ v)


@pytest.mark.parametrize("radius", [0.3, 1.0, 5.0])
def test_sphere_maximum_agrees_with_a_circle(radius):
    rng = np.random.default_rng(0)
    for trial in range(60):
        C = rng.standard_normal((2, 2))
        C = C + C.T
        b = rng.standard_normal(2) * 10.0 ** rng.integers(-12, 3)
        if trial % 5 == 0:
            C = np.eye(2) * 2.0  # a repeated largest eigenvalue
        if trial % 7 == 0:
            b = np.linalg.eigh(C)[1][:, 0] * 0.1  # orthogonal to the top eigenvector
        if trial % 11 == 0:
            b = np.zeros(2)
        best, grid = maximize_on_sphere(C, b, radius), circle_maximum(C, b, radius)
        size = radius**2 * np.abs(C).sum() + radius * np.abs(b).sum()
        assert -HARD * size <= best.value - grid <= GRID * size
        v = best.point
        assert np.linalg.norm(v) == pytest.approx(radius, rel=1e-12)
        assert v @ C @ v + 2 * b @ v == pytest.approx(best.value, abs=1e-6 * size)  # square root of the hard case's tolerance


@pytest.mark.parametrize("m", [3, 8, 40])
def test_sphere_maximum_is_proved_by_its_multiplier_and_reached_by_its_point(m):
    rng = np.random.default_rng(m)
    for _ in range(20):
        C = rng.standard_normal((m, m))
        C, b = C + C.T, rng.standard_normal(m) * 10.0 ** rng.integers(-6, 2)
        best = maximize_on_sphere(C, b)
        assert best.multiplier >= np.linalg.eigvalsh(C)[-1]
        dual = best.multiplier + b @ np.linalg.solve(best.multiplier * np.eye(m) - C, b)
        assert dual == pytest.approx(best.value, rel=1e-6)
        assert best.point @ C @ best.point + 2 * b @ best.point == pytest.approx(best.value, rel=1e-6)


def test_hard_case_in_closed_form():
    # top eigenvalue 9 orthogonal to b: v2 = 2 / (9 - 1), value 9 (1 - v2^2) + v2^2 + 4 v2
    assert maximize_on_sphere(np.diag([9.0, 1.0]), [0.0, 2.0]).value == pytest.approx(9.5, rel=HARD)
    assert maximize_on_sphere(np.diag([9.0, 9.0, 1.0]), [0.0, 0.0, 1e-30]).value == pytest.approx(9.0, rel=HARD)
    assert maximize_on_sphere([[2.0]], [-3.0]).value == pytest.approx(8.0, rel=EXACT)


@pytest.mark.parametrize(
    ("C", "b", "radius", "message"),
    [
        (np.eye(2), np.ones(3), 1.0, "C has shape"),
        (np.eye(2), np.ones(2), 0.0, "radius=0.0"),
        (np.full((2, 2), np.inf), np.ones(2), 1.0, "NaN or infinite"),
    ],
)
def test_sphere_maximum_refuses_bad_input(C, b, radius, message):
    with pytest.raises(ValueError, match=message):
        maximize_on_sphere(C, b, radius)
