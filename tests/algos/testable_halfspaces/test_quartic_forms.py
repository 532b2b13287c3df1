"""Suprema of quartic forms: definition, circles, closed forms, other solvers, sums of squares."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from algos.testable_halfspaces import quartic_sup_bound
from algos.testable_halfspaces._quartic_kernels import svec_rows
from algos.testable_halfspaces._sos import vanishing_matrices
from algos.testable_halfspaces.quartic_forms import quartic_gram, smat, spectral_supremum, spectral_value, svec

SUM = 1e-12  # sums of a few thousand terms in another order


def features(Z):
    return np.array([svec(np.outer(z, z)) for z in Z])


def gaussian_form(k):
    """Moments of a standard Gaussian: E F F^T = 2 I + e e^T, since E<v,z>^4 = 3 |v|^4 on the sphere."""
    e = svec(np.eye(k))
    return 2.0 * np.eye(e.size) + np.outer(e, e)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_features_are_those_of_the_definition(k):
    rng = np.random.default_rng(k)
    Z, scale = rng.standard_normal((11, k)), rng.exponential(size=11)
    out = np.empty((11, k * (k + 1) // 2))
    svec_rows(Z, scale, out)
    np.testing.assert_allclose(out, scale[:, None] * features(Z), rtol=1e-15)
    np.testing.assert_allclose(features(Z) @ features(Z).T, (Z @ Z.T) ** 2, atol=SUM)
    A = rng.standard_normal((k, k))
    np.testing.assert_allclose(smat(svec(A + A.T), k), A + A.T, rtol=1e-15)


def test_gram_of_many_blocks_is_the_weighted_sum():
    rng = np.random.default_rng(0)
    Z, c = rng.standard_normal((9000, 3)), rng.exponential(size=9000)
    F = features(Z)
    np.testing.assert_allclose(quartic_gram(Z, c), (F * c[:, None]).T @ F, rtol=SUM, atol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 3, 8, 20])
def test_gaussian_moments_give_three_while_the_plain_eigenvalue_grows(k):
    value, lam, _ = spectral_supremum(gaussian_form(k), k)
    assert value == pytest.approx(3.0, rel=SUM)
    assert spectral_value(gaussian_form(k), k, lam) == pytest.approx(3.0, rel=1e-10)  # the test of 210 features adds 210^2 roundings
    assert np.linalg.eigvalsh(gaussian_form(k))[-1] == pytest.approx(k + 2.0)


def test_bound_holds_on_the_whole_circle_and_is_exact_there():
    rng = np.random.default_rng(1)
    angle = np.linspace(0, np.pi, 10_001)
    V = np.array([np.cos(angle), np.sin(angle)])
    for trial in range(30):
        X = rng.standard_t(2, (50, 2)) if trial % 2 else rng.choice([-1.0, 1.0, 3.0], (50, 2))
        c = rng.standard_normal(50) if trial % 3 else np.ones(50)
        largest = np.max(c @ (X @ V) ** 4) / 50
        bound = quartic_sup_bound(X, c)
        size = np.abs(c) @ np.sum(X**2, axis=1) ** 2 / 50
        assert bound.value >= largest - SUM * size
        assert bound.value <= largest + 1e-6 * size  # in two variables every nonnegative quartic is a sum of squares of this kind
        assert bound.attained <= bound.value


@pytest.mark.parametrize("k", [3, 6, 9])
def test_no_ascent_exceeds_the_bound(k):
    rng = np.random.default_rng(k)
    X = rng.standard_t(4, (400, k)) * rng.exponential(size=k)
    for sign in (1.0, -1.0):
        bound = quartic_sup_bound(X, sign * np.ones(400))
        V = rng.standard_normal((200, k))
        V /= np.linalg.norm(V, axis=1)[:, None]
        shift = 4.0 * np.sum(X**2, axis=1).max() ** 2 if sign < 0 else 0.0
        for _ in range(80):  # shifted power iteration: the value never falls
            T = X @ V.T
            step = sign * (X.T @ T**3).T / 400 + shift * V
            V = step / np.linalg.norm(step, axis=1)[:, None]
        best = np.max(sign * np.mean((X @ V.T) ** 4, axis=0))
        assert best <= bound.value * (1 + SUM * np.sign(bound.value))
        assert bound.attained <= bound.value


@pytest.mark.parametrize("k", [2, 4])
def test_every_multiplier_bounds_and_the_best_one_is_found(k):
    rng = np.random.default_rng(3)
    X = rng.laplace(size=(300, k))
    omega = quartic_gram(X, np.ones(300)) / 300
    value, lam, maximiser = spectral_supremum(omega, k)
    found = minimize_scalar(
        lambda x: spectral_value(omega, k, x), bounds=(-50 * value, 50 * value), method="bounded", options={"xatol": 1e-9}
    )
    assert value == pytest.approx(found.fun, rel=1e-7)
    assert spectral_value(omega, k, lam) == pytest.approx(value, rel=1e-10)
    for other in (-3.0, 0.0, 2.0 * lam, 10.0):
        assert spectral_value(omega, k, other) >= value * (1 - SUM)
    e = svec(np.eye(k))
    assert maximiser @ e == pytest.approx(1.0)
    assert maximiser @ maximiser == pytest.approx(1.0)
    assert maximiser @ omega @ maximiser == pytest.approx(value)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_shifts_of_sums_of_squares_vanish_and_improve(k):
    rng = np.random.default_rng(k)
    V = rng.standard_normal((20, k))
    F = features(V)
    basis = vanishing_matrices(k)
    D = k * (k + 1) // 2
    assert len(basis) == D * (D + 1) // 2 - math.comb(k + 3, 4)
    for N in basis:
        np.testing.assert_allclose(np.einsum("ij,jk,ik->i", F, N, F), 0.0, atol=1e-11)
    X = rng.standard_t(3, (60, k))
    plain, sos = quartic_sup_bound(X), quartic_sup_bound(X, method="sos")
    assert sos.attained - SUM <= sos.value <= plain.value * (1 + SUM)


def test_units_and_overflow():
    X = np.random.default_rng(0).standard_normal((50, 3))
    plain = quartic_sup_bound(X).value
    for unit in (1e-60, 1e60):
        assert quartic_sup_bound(X * unit).value == pytest.approx(plain * unit**4, rel=1e-11)
    with pytest.raises(ValueError, match="fourth moments overflow"):
        quartic_sup_bound(X * 1e80)
    assert 0.0 <= quartic_sup_bound(np.zeros((4, 3))).value < 1e-300


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones((4, 2)), np.ones(3)), {}, "weights has shape"),
        ((np.ones((4, 2)), [1, 1, 1, np.nan]), {}, "one finite number per row"),
        ((np.ones((4, 9)),), {"method": "sos"}, "at most 8"),
        ((np.ones((4, 2)),), {"method": "lanczos"}, "method='lanczos'"),
        (([[np.nan, 1.0]],), {}, "NaN"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        quartic_sup_bound(*arguments, **options)
