"""Exactness of the binomial part by enumeration; the conditional moments against numpy; the panel of marginals."""

import numpy as np
import pytest
from scipy import integrate, stats

from algos.common.binomial import binomial_interval, binomial_p_value
from algos.testable_halfspaces import bounds
from algos.testable_halfspaces.band_test import band_measurements, band_probability, band_test
from algos.testable_halfspaces.calibration import calibrate

ROUNDING = 1e-10


@pytest.mark.parametrize("n", [1, 2, 7, 40, 200])
@pytest.mark.parametrize("p", [0.0, 0.01, 0.2, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("level", [0.01, 0.05, 0.3])
def test_binomial_test_has_its_level_and_no_smaller_interval_has(n, p, level):
    counts = np.arange(n + 1)
    pmf = stats.binom.pmf(counts, n, p)
    low, high = binomial_interval(n, p, level)
    assert pmf[:low].sum() <= level / 2 + ROUNDING
    assert pmf[high + 1 :].sum() <= level / 2 + ROUNDING
    assert low == 0 or pmf[: low + 1].sum() > level / 2 - ROUNDING
    assert high == 0 or pmf[high:].sum() > level / 2 - ROUNDING
    rejected = [k for k in counts.tolist() if binomial_p_value(k, n, p) <= level]
    assert rejected == [k for k in counts.tolist() if not low <= k <= high]


def test_binomial_test_works_for_many_rows():
    n, p = 10**7, 0.1974
    low, high = binomial_interval(n, p, 0.05)
    assert (low, high) == (stats.binom.ppf(0.025, n, p), stats.binom.ppf(0.975, n, p))
    assert binomial_p_value(round(n * p), n, p) > 0.99


@pytest.mark.parametrize("intercept", [0.0, 0.3, -0.6])
@pytest.mark.parametrize("width", [1e-7, 0.05, 1.0, 5.0])
def test_band_probability_is_the_integral_of_the_density(intercept, width):
    spread = np.sqrt(1 - intercept**2)
    expected = integrate.quad(lambda t: stats.norm.pdf(t, intercept, spread), -width, width, epsabs=0, epsrel=1e-12)[0]
    assert band_probability(width, intercept=intercept) == pytest.approx(expected, rel=1e-9)


def test_counts_include_the_edge_and_have_exact_p_values():
    X = np.column_stack([[-0.25, 0.25, 1 / 12, 3.0, -2.0], np.ones(5)])
    inner, outer = band_measurements(X, [1.0, 0.0], 0.5)[:2]
    p = band_probability(0.25)
    assert outer.value == pytest.approx(3 / (5 * p), rel=ROUNDING)
    assert outer.p_value == binomial_p_value(3, 5, p)
    assert inner.value == pytest.approx(1 / (5 * band_probability(1 / 12)), rel=ROUNDING)


def test_conditional_moments_are_weighted_by_the_density_of_the_ramp():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 3)) * [1.0, 0.7, 1.4] + [0.0, 0.2, 0.0]
    measured = {item.name: item for item in band_measurements(X, [1.0, 0.0, 0.0], 0.8)}
    weights = bounds.ramp_density(margin=X[:, 0], sigma=0.8)
    weights /= weights.sum()
    Z = X[:, 1:]
    values = np.linalg.eigvalsh((Z.T * weights) @ Z)
    assert measured["band_mean"].value == pytest.approx(np.linalg.norm(weights @ Z), rel=ROUNDING)
    assert measured["band_covariance_low"].value == pytest.approx(values[0], rel=ROUNDING)
    assert measured["band_covariance_high"].value == pytest.approx(values[1], rel=ROUNDING)
    angles = np.linspace(0, np.pi, 2001)
    moments = weights @ (Z @ [np.cos(angles), np.sin(angles)]) ** 4
    assert moments.max() <= measured["band_kurtosis"].value <= 1.05 * moments.max()
    assert abs(measured["band_covariance_high"].direction @ [0.0, 0.0, 1.0]) > 0.99
    assert measured["band_mass_inner"].direction.tolist() == [1.0, 0.0, 0.0]


def test_intercept_is_the_shift_of_the_margins():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20_000, 2))
    w = np.array([0.8, 0.0, 0.6])
    assert all(test.passed for test in band_test(X, w, 0.5, fit_intercept=True)[:2])
    mass = {test.name: test for test in band_test(X, w, 0.5, fit_intercept=True)}["band_mass_outer"]
    share = np.mean(np.abs(0.8 * X[:, 0] + 0.6) <= 0.25)
    assert mass.statistic == pytest.approx(share / band_probability(0.25, intercept=0.6), rel=ROUNDING)


def gauss_hermite(n, d, rng):
    X = rng.standard_normal((n, d))
    X[:, 0] = rng.choice([-2.334414, -0.741964, 0.741964, 2.334414], n, p=[0.045876, 0.454124, 0.454124, 0.045876])
    return X


def test_band_of_a_lattice_is_empty_at_its_axis_and_full_at_random():
    rng = np.random.default_rng(2)
    X = gauss_hermite(20_000, 5, rng)
    at_axis = band_test(X, np.eye(5)[0], 0.5)
    assert [test.passed for test in at_axis[:2]] == [False, False]
    assert at_axis[1].statistic == 0.0
    assert at_axis[1].p_value < 1e-10
    assert np.isinf(at_axis[-1].statistic)
    assert not at_axis[-1].passed
    w = rng.standard_normal(5)
    assert all(test.passed for test in band_test(X, w, 0.5)[:2])


def test_too_many_rows_in_the_band_are_rejected_as_well_as_too_few():
    rng = np.random.default_rng(3)
    for marginal in (rng.laplace(0, np.sqrt(0.5), (20_000, 2)), rng.uniform(-np.sqrt(3), np.sqrt(3), (20_000, 2))):
        assert not band_test(marginal, [1.0, 0.0], 0.3)[1].passed


def test_calibrated_test_passes_the_gaussian_and_names_heavy_tails():
    rng = np.random.default_rng(4)
    known = calibrate(6000, 4, sigma=0.5, n_calibration=79)
    w = np.eye(4)[0]
    assert all(test.passed for test in band_test(rng.standard_normal((6000, 4)), w, 0.5, calibration=known))
    failed = {test.name for test in band_test(rng.standard_t(4, (6000, 4)) / np.sqrt(2), w, 0.5, calibration=known) if not test.passed}
    assert "band_kurtosis" in failed


def test_one_feature_has_only_masses():
    X = np.random.default_rng(0).standard_normal((1000, 1))
    assert [test.name for test in band_test(X, [1.0], 0.5)] == ["band_mass_inner", "band_mass_outer"]


def test_huge_rows_and_tiny_bands_do_not_overflow():
    X = np.random.default_rng(0).standard_normal((200, 3))
    X[:, 1:] *= 1e90
    results = {test.name: test for test in band_test(X, [1.0, 0.0, 0.0], 0.5)}
    assert not results["band_kurtosis"].passed
    assert band_test(X, [1.0, 0.0, 0.0], 1e-200)[0].passed  # no row, none expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": -1.0}, "sigma=-1.0 is outside"),
        ({"w": [0.0, 0.0]}, "not all zero"),
        ({"w": [1.0, 0.0, 0.0]}, r"w has shape \(3,\), X has 2 columns"),
        ({"X": [[1.0, np.inf]]}, "infinite entry in row 0"),
        ({"level": 0.0}, "level=0.0 is outside"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"X": [[1.0, 0.0], [0.0, 1.0]], "w": [1.0, 0.0], "sigma": 0.5} | change
    with pytest.raises(ValueError, match=message):
        band_test(**arguments)


def test_no_quartic_form_is_built_beyond_sixty_columns():
    """With 400 columns it would have 80,000 features, a matrix of 50 GB."""
    X = np.random.default_rng(0).standard_normal((500, 400))
    names = [item.name for item in band_measurements(X, np.eye(400)[0], 1.0)]
    assert names == ["band_mass_inner", "band_mass_outer", "band_mean", "band_covariance_low", "band_covariance_high"]
    assert "band_kurtosis" in [item.name for item in band_measurements(X[:, :60], np.eye(60)[0], 1.0)]


def test_exact_p_values_are_those_of_the_gaussian_alone():
    """Uniform rows fill the band less than Gaussian ones: under their own panel they must not look impossible."""
    X = np.random.default_rng(0).uniform(-np.sqrt(3.0), np.sqrt(3.0), (3000, 2))
    known = calibrate(3000, 2, sigma=1.0, n_calibration=79, marginal="isotropic-logconcave")
    mass = band_measurements(X, [1.0, 0.0], 1.0)[1]
    assert mass.p_value < 1e-4
    (judged,) = known.judge([mass])
    assert judged.passed
    assert judged.p_value > 0.05
