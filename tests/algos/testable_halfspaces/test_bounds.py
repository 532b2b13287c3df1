"""The formulas: derivatives and integrals of the ramp, polynomials below and above, fluctuations by enumeration, Gaussian constants."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import linprog

from algos.testable_halfspaces import bounds

ROUND = 1e-13  # a few roundings of numbers up to a hundred
DIFFERENCE = 1e-5  # central differences with step 1e-5 of functions with bounded third derivative


# -- ramp -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.03, 1.0, 7.0])
def test_ramp_rises_from_zero_to_one_and_is_symmetric(sigma):
    t = np.linspace(-sigma, sigma, 1001)
    value = bounds.ramp(margin=t, sigma=sigma)
    assert np.all(np.diff(value) >= 0.0)
    assert value[0] == 0.0
    assert value[-1] == 1.0
    np.testing.assert_allclose(value + bounds.ramp(margin=-t, sigma=sigma), 1.0, rtol=ROUND)
    assert bounds.ramp(margin=0.0, sigma=sigma) == 0.5
    assert np.all(bounds.ramp_density(margin=[-sigma / 2, sigma / 2, 9 * sigma], sigma=sigma) == 0.0)


@pytest.mark.parametrize("sigma", [0.1, 2.0])
def test_density_integrates_to_one_and_is_the_derivative_of_the_ramp(sigma):
    assert quad(lambda t: bounds.ramp_density(margin=t, sigma=sigma), -sigma, sigma, points=[-sigma / 6, sigma / 6])[0] == pytest.approx(
        1.0
    )
    t = sigma * np.r_[np.linspace(-0.7, 0.7, 201), -1 / 6, 1 / 6, 0.5, -0.5]
    h = 1e-5 * sigma
    slope = (bounds.ramp(margin=t + h, sigma=sigma) - bounds.ramp(margin=t - h, sigma=sigma)) / (2 * h)
    np.testing.assert_allclose(slope, bounds.ramp_density(margin=t, sigma=sigma), atol=DIFFERENCE / sigma)
    bend = (bounds.ramp_density(margin=t + h, sigma=sigma) - bounds.ramp_density(margin=t - h, sigma=sigma)) / (2 * h)
    # the third derivative jumps at the joints: a difference across one is wrong by a multiple of the step
    np.testing.assert_allclose(bend, bounds.ramp_density_slope(margin=t, sigma=sigma), atol=50 * DIFFERENCE / sigma**2)


def test_largest_slope_of_the_density():
    t = np.linspace(-1, 1, 100_001)
    assert np.max(np.abs(bounds.ramp_density_slope(margin=t, sigma=1.0))) == pytest.approx(27 / 4, rel=1e-8)
    assert bounds.ramp_peak(sigma=0.2) == bounds.ramp_density(margin=0.0, sigma=0.2)


def test_descent_bound_falls_with_the_steps():
    values = [bounds.descent_gradient_bound(lipschitz=3.0, variance=5.0, steps=10**k) for k in range(1, 7)]
    assert np.all(np.diff(values) < 0)
    assert values[-2] / values[-1] == pytest.approx(math.sqrt(10), rel=0.01)


# -- minorants ------------------------------------------------------------------------------------------------------------------------


def test_minorants_are_below_the_target_everywhere():
    rng = np.random.default_rng(0)
    for _ in range(1500):
        c, beta = rng.exponential() * rng.choice([0.01, 0.3, 1.0, 3.0]), 1.0 - 0.999 * rng.random()
        u = np.r_[np.linspace(0, 3 * c + 6, 1501), c, np.nextafter(c, 9e9)]
        target = bounds.minorant_target(u=u, c=c, advantage=beta)
        p0, p2, p4 = bounds.quartic_minorant(c=c, advantage=beta)
        assert np.max(-p0 + p2 * u**2 - p4 * u**4 - target) <= ROUND * (1 + p0 + p2)
        assert p4 >= 0.0
        rho = rng.exponential() * rng.choice([0.1, 1.0, 5.0])
        q0, q2 = bounds.norm_minorant(c=c, norm=rho, advantage=beta)
        u = np.r_[np.linspace(0, rho, 1001), c * (c <= rho), min(np.nextafter(c, 9e9), rho)]
        assert np.max(-q0 + q2 * u**2 - bounds.minorant_target(u=u, c=c, advantage=beta)) <= ROUND * (1 + q0 + q2 * rho**2)


def test_norm_minorant_is_exact_in_the_plane_and_survives_extremes():
    for c, rho in [(0.0, 1.0), (0.5, 1.0), (0.97, 1.0), (3.0, 1.0)]:
        p0, p2 = bounds.norm_minorant(c=c, norm=rho, advantage=0.6)
        assert -p0 + p2 * rho**2 == pytest.approx(float(bounds.minorant_target(u=rho, c=c, advantage=0.6)))
    p0, p2 = bounds.norm_minorant(c=[0.0, 1.0, 1e-300, np.inf], norm=[0.0, 1e200, 1e-280, 2.0], advantage=1.0)
    assert np.all(np.isfinite(p0))
    assert np.all(np.isfinite(p2))


@pytest.mark.parametrize("beta", [0.2, 0.6, 1.0])
@pytest.mark.parametrize("c", [0.05, 0.2, 0.5])
def test_quartic_minorant_is_the_best_even_quartic_for_gaussian_moments(c, beta):
    u = np.r_[np.linspace(0, 6, 4001), c]
    target = bounds.minorant_target(u=u, c=c, advantage=beta)
    rows = np.column_stack([np.ones_like(u), u**2, u**4])
    rows, target = np.vstack([rows, [0.0, 0.0, 1.0]]), np.r_[target, 0.0]  # no positive quartic part: that would fail far out
    best = linprog([-1.0, -1.0, -3.0], A_ub=rows, b_ub=target, bounds=[(None, None)] * 3, method="highs")
    p0, p2, p4 = bounds.quartic_minorant(c=c, advantage=beta)
    assert -p0 + p2 - 3 * p4 == pytest.approx(-best.fun, abs=2e-6)  # between grid points the program is free


# -- majorants ------------------------------------------------------------------------------------------------------------------------


def test_majorants_are_above_the_indicator_and_never_negative():
    rng = np.random.default_rng(1)
    u = np.r_[np.linspace(-80, 80, 16_001), 0.0]
    for a in np.r_[0.0, 1e-200, np.exp(rng.uniform(-5, 4, 500))]:
        values = bounds.cantelli_majorant(u=np.r_[u, -a], a=a)
        inside = np.r_[u, -a] <= -a
        assert np.all(values[inside] >= 1.0 - ROUND)
        assert np.all(values >= 0.0)
        c0, c1, c2 = bounds.cantelli_coefficients(a=a)
        np.testing.assert_allclose(c0 - 2 * c1 * u + c2 * u**2, values[:-1], rtol=1e-9, atol=1e-9)
        if a > 1.0:
            values = bounds.quartic_majorant(u=np.r_[u, -a], a=a)
            assert np.all(values[inside] >= 1.0 - ROUND)
            assert np.all(values >= 0.0)
            c, e = bounds.quartic_majorant_coefficients(a=a)
            np.testing.assert_allclose(c * (u**2 + e) ** 2, values[:-1], rtol=1e-12)
    assert np.all(bounds.cantelli_majorant(u=u, a=0.0) == 1.0)


@pytest.mark.parametrize("a", [1.5, 2.0, 5.0])
def test_majorants_have_the_means_of_their_inequalities(a):
    c0, _, c2 = bounds.cantelli_coefficients(a=a)
    assert c0 + c2 == pytest.approx(1 / (1 + a * a))
    c, e = bounds.quartic_majorant_coefficients(a=a)
    assert c * (3 + 2 * e + e * e) == pytest.approx(2 / ((a * a - 1) ** 2 + 2))


def test_disagreement_slopes_by_quadrature():
    def mean(a, quartic):
        return 2 / ((a * a - 1) ** 2 + 2) if quartic and a >= 2 else 1 / (1 + a * a)

    for quartic in (True, False):
        integral = quad(mean, 0, 2, args=(quartic,))[0] + quad(mean, 2, np.inf, args=(quartic,))[0]
        expected = 2 * bounds.DENSITY_AT_ZERO * integral
        assert bounds.gaussian_disagreement_slope(quartic=quartic) == pytest.approx(expected, rel=1e-9)


# -- fluctuations ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.0, 0.1, 0.3, 0.45])
def test_gradient_deviation_by_enumerating_all_labels(eta):
    rng = np.random.default_rng(0)
    n = 12
    flips = np.array(list(itertools.product([0, 1], repeat=n)))
    chance = np.prod(np.where(flips == 1, eta, 1 - eta), axis=1)
    for trial in range(20):
        x = rng.standard_normal(n) * rng.choice([1.0, 8.0], n, p=[0.8, 0.2])
        push = (1 - 2 * flips) @ x / n
        mean = (1 - 2 * eta) * x.sum() / n
        for delta in (0.3, 0.05):
            bound = bounds.gradient_deviation(
                second=float(np.mean(x**2)), largest=2 * float(np.abs(x).max()), log_term=math.log(1 / delta), n=n, advantage=1 - 2 * eta
            )
            assert chance[mean - push > bound].sum() <= delta, trial


def test_mistake_push_against_all_sets_and_a_circle_of_directions():
    rng = np.random.default_rng(2)
    n = 10
    angle = np.linspace(0, np.pi, 721)
    V = np.array([np.cos(angle), np.sin(angle)])
    for trial in range(30):
        psi, z = rng.exponential(size=n) * (rng.random(n) < 0.8), rng.standard_t(3, (n, 2))
        u = np.abs(z @ V)
        moments = {name: np.max(np.mean(psi[:, None] ** a * u**b, axis=0)) for name, a, b in [("n2", 2, 2), ("m2", 1, 2), ("k4", 1, 4)]}
        pushes = psi * np.linalg.norm(z, axis=1)
        for k in range(1, n + 1):
            worst = np.max(np.sum(np.sort(psi[:, None] * u, axis=0)[::-1][:k], axis=0)) / n
            bound = bounds.mistake_push(
                share=k / n, weight=float(np.sort(psi)[::-1][:k].sum() / n), second=moments["n2"], covariance=moments["m2"],
                fourth=moments["k4"], largest_pushes=float(np.sort(pushes)[::-1][:k].sum() / n),
            )  # fmt: skip
            assert worst <= bound * (1 + 1e-4), (trial, k)  # the moments are maxima over a grid of directions


# -- Gaussian constants -----------------------------------------------------------------------------------------------------------------


def test_band_moments_by_quadrature():
    moments = bounds.gaussian_band_moments(sigma=0.3)
    for name, power, margin in [("m0", 1, 0), ("B", 1, 1), ("N2", 2, 0)]:
        value = quad(
            lambda t, p=power, m=margin: bounds.ramp_density(margin=t, sigma=0.3) ** p * abs(t) ** m, -0.15, 0.15, points=[-0.05, 0.0, 0.05]
        )[0]
        assert moments[name] == pytest.approx(bounds.DENSITY_AT_ZERO * value, rel=1e-9)
    assert moments["B"] == pytest.approx(0.06981490 * 0.3, rel=1e-6)
    assert moments["N2"] == pytest.approx(0.52147455 / 0.3, rel=1e-6)


@pytest.mark.parametrize(
    ("eta", "quartic", "linear"), [(0.0, 0.379, 0.606), (0.1, 0.425, 0.682), (0.2, 0.495, 0.808), (0.3, 0.636, 1.061), (0.4, 1.090, 1.819)]
)
def test_excluded_angles_for_gaussian_rows(eta, quartic, linear):
    assert bounds.gaussian_excluded_angle(advantage=1 - 2 * eta) == pytest.approx(quartic, abs=6e-4)
    assert bounds.gaussian_excluded_angle(advantage=1 - 2 * eta, quartic=False) == pytest.approx(linear, abs=6e-4)
    assert bounds.gaussian_excluded_angle(advantage=1 - 2 * eta, slack=0.5) == math.inf


def test_angle_is_exact_to_rounding_although_the_minorant_has_bends():
    nodes, weights = np.polynomial.legendre.leggauss(4)
    a = (np.arange(3000)[:, None] + 0.5 * (nodes + 1.0)).ravel() / 6000.0  # pieces so small that a bend inside one does not matter
    weights = np.tile(weights, 3000) / 6000.0
    psi = bounds.ramp_density(margin=a, sigma=1.0)
    for angle, beta in [(0.38, 1.0), (0.42, 0.8), (1.0, 0.2)]:
        p0, p2, p4 = bounds.quartic_minorant(c=a / angle, advantage=beta)
        expected = bounds.DENSITY_AT_ZERO * float(weights @ (psi * (-p0 + p2 - 3.0 * p4)))
        assert bounds.gaussian_push(angle=angle, advantage=beta) == pytest.approx(expected, abs=1e-8)
    assert bounds.gaussian_excluded_angle(advantage=1.0) == pytest.approx(0.378960357659360, rel=1e-13)  # pieces of 40 nodes, by hand


def test_agnostic_constant():
    assert bounds.gaussian_agnostic_angle(widths=50.0) == pytest.approx(39.62, abs=0.01)
    assert bounds.gaussian_agnostic_factor(widths=50.0) == pytest.approx(39.41, abs=0.01)
    best = bounds.gaussian_agnostic_factor()
    assert best <= min(bounds.gaussian_agnostic_factor(widths=w) for w in (35.0, 45.0, 52.0, 60.0, 80.0)) + 1e-6
    assert bounds.gaussian_agnostic_angle(widths=10.0) == math.inf


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ramp", {"margin": 0.0, "sigma": 0.0}, "sigma=0.0"),
        ("quartic_minorant", {"c": 0.1, "advantage": 0.0}, "advantage=0.0"),
        ("quartic_minorant", {"c": -0.1, "advantage": 1.0}, "c must not"),
        ("norm_minorant", {"c": 0.1, "norm": -1.0, "advantage": 1.0}, "must not be negative"),
        ("cantelli_majorant", {"u": 0.1, "a": -1.0}, "a must not"),
        ("quartic_majorant", {"u": 0.1, "a": 1.0}, "exceed 1"),
        ("gradient_deviation", {"second": 1.0, "largest": 1.0, "log_term": 1.0, "n": 0, "advantage": 1.0}, "n=0"),
        ("mistake_push", {"share": -0.1, "weight": 1.0, "second": 1.0, "covariance": 1.0, "fourth": 1.0}, "must not be negative"),
        ("gaussian_push", {"angle": -1.0, "advantage": 1.0}, "angle=-1.0"),
        ("descent_gradient_bound", {"lipschitz": 1.0, "variance": -1.0, "steps": 1}, "variance=-1.0"),
        ("gradient_variance", {"sigma": 1.0, "n_features": 0}, "n_features=0"),
    ],
)
def test_parameters_outside_their_range(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(bounds, name)(**arguments)
