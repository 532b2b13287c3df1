"""Rank thresholds against exact probabilities; that null tables are what they say; memory and determinism."""

import numpy as np
import pytest
from scipy import stats

from algos.testable_halfspaces._null_tables import MARGINALS, NullTable, draw, fit_transform, measure_null
from algos.testable_halfspaces.calibration import THEORY_LIMITS, calibrate, null_rank
from algos.testable_halfspaces.results import Measured, TestResult
from algos.testable_halfspaces.results import tests_table as as_columns


@pytest.mark.parametrize(("half", "level"), [(40, 0.05), (100, 0.025), (99, 0.1), (39, 0.025)])
def test_rank_is_the_smallest_that_keeps_the_level(half, level):
    """A new exchangeable value exceeds the one of rank r among m' with probability 1 - r / (m' + 1)."""
    rank = null_rank(half, level, None)
    assert 1 - rank / (half + 1) <= level + 1e-12
    assert rank == 1 or 1 - (rank - 1) / (half + 1) > level - 1e-12


@pytest.mark.parametrize(("half", "level", "confidence"), [(400, 0.025, 0.99), (100, 0.05, 0.99), (300, 0.1, 0.9)])
def test_tolerance_rank_covers_with_its_confidence(half, level, confidence):
    """The order statistic of rank r covers the (1 - level) quantile with probability P(Bin(m', 1 - level) <= r - 1)."""
    rank = null_rank(half, level, confidence)
    assert stats.binom.cdf(rank - 1, half, 1 - level) >= confidence
    assert stats.binom.cdf(rank - 2, half, 1 - level) < confidence
    assert rank >= null_rank(half, level, None)


def test_too_few_tables_are_refused_with_the_number_needed():
    with pytest.raises(ValueError, match=r"gives 20 ranked tables, level=0\.025 needs 39"):
        calibrate(50, 2, level=0.025, n_calibration=40)
    with pytest.raises(ValueError, match=r"needs 90; give n_calibration=180"):
        calibrate(50, 2, guarantee="tolerance", n_calibration=100)


def test_every_table_within_the_rank_passes_and_no_other():
    known = calibrate(200, 2, sigma=1.0, n_calibration=59, level=0.1)
    table = NullTable.checked(200, 2, 1.0, None, None, None, None, None, 10**6)
    from algos.common.randomness import child

    passed = 0
    for j in range(29, 59):
        drawn = measure_null(table, "gaussian", child(0, "null", "gaussian", j))
        passed += all(test.passed for test in known.judge(Measured(name, value, 200) for name, value in drawn.items()))
    assert (known.m_ranked, known.rank) == (30, 28)
    assert passed == 28


def test_gaussian_tables_are_rejected_no_more_often_than_the_level():
    """200 fresh tables at level .1; the count is beyond 33 with probability below 1e-3 if the true probability is .1 or less."""
    table = NullTable.checked(100, 2, 1.0, 0.3, 60, None, None, None, 10**6)
    known = calibrate(100, 2, sigma=1.0, theta=0.3, n_certify=60, level=0.1, n_calibration=199)
    rejected = 0
    for seed in range(200):
        drawn = measure_null(table, "gaussian", np.random.default_rng(seed))
        rejected += not all(test.passed for test in known.judge(Measured(name, value, 100) for name, value in drawn.items()))
    assert rejected <= stats.binom.ppf(1 - 1e-3, 200, 0.1)


def test_p_value_counts_tables_at_least_as_far_out():
    known = calibrate(200, 2, n_calibration=39, level=0.1)
    k = known.names.index("kurtosis_low")
    worst = known.mean[k] - known.sd[k] * known.ranked[:, k].max()
    assert known.p_value("kurtosis_low", worst + 1e-9) == pytest.approx(2 / 21)
    assert known.p_value("kurtosis_low", 0.0) == pytest.approx(1 / 21)
    assert known.p_value("kurtosis_low", 10.0) == 1.0


def test_same_arguments_give_the_same_object_and_other_keys_other_tables():
    one = calibrate(60, 2, n_calibration=39)
    assert calibrate(60, 2, n_calibration=39) is one
    assert calibrate(60, 2, n_calibration=39, key=1).mean[0] != one.mean[0]


def test_threads_do_not_change_a_bit():
    one = calibrate(60, 2, sigma=1.0, n_calibration=39, key=5)
    other = calibrate(60, 2, sigma=1.0, n_calibration=39, key=5, n_jobs=2)
    assert one is other  # the number of threads is not part of the identity
    from algos.testable_halfspaces import calibration

    calibration._memory._kept.clear()
    again = calibrate(60, 2, sigma=1.0, n_calibration=39, key=5, n_jobs=2)
    assert again is not one
    assert again.ranked.tobytes() == one.ranked.tobytes()


@pytest.mark.parametrize("marginal", MARGINALS)
def test_members_of_the_panel_are_isotropic(marginal):
    X = draw(marginal, 200_000, 3, np.random.default_rng(0))
    assert np.abs(X.mean(axis=0)).max() < 5 / np.sqrt(200_000)
    assert np.abs(np.cov(X.T) - np.eye(3)).max() < 5 * 3 / np.sqrt(200_000)  # fourth moments are at most 9
    if marginal == "ball":
        assert np.linalg.norm(X, axis=1).max() <= np.sqrt(5)
    if marginal == "cube":
        assert np.abs(X).max() <= np.sqrt(3)


def test_panel_accepts_what_each_member_accepts():
    panel = calibrate(150, 2, marginal="isotropic-logconcave", n_calibration=39, level=0.1)
    gaussian = calibrate(150, 2, n_calibration=39, level=0.1)
    assert np.all(panel.low <= gaussian.low)
    assert np.all(panel.high >= gaussian.high)
    high = panel.names.index("kurtosis_high")
    assert panel.high[high] > 9.0 > gaussian.high[high]  # exponential products have fourth moment 9


def test_whitened_null_is_simulated_whitened():
    """Whitened on the same rows, mean and covariance are 0 and I up to rounding, and only a slack of a few 1e-7 is left."""
    whitened = calibrate(400, 3, transform="whiten", n_calibration=39, level=0.1)
    plain = calibrate(400, 3, n_calibration=39, level=0.1)
    for name in ("mean", "covariance"):
        k = whitened.names.index(name)
        assert 1e-9 < whitened.high[k] < 1e-5 < plain.high[k]
    fold = calibrate(400, 3, transform="whiten", n_certify=200, n_calibration=39, level=0.1)
    assert fold.high[fold.names.index("covariance")] > plain.mean[plain.names.index("covariance")]


def test_transforms_do_what_they_say():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4)) @ rng.standard_normal((4, 4)) + 3.0
    X[:, 3] = X[:, 0] - X[:, 1]  # a dependent column
    white = fit_transform(X, "whiten")(X)
    np.testing.assert_allclose(white.T @ white / 300, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(white.mean(axis=0), 0.0, atol=1e-9)
    standard = fit_transform(X, "standardize")(X)
    np.testing.assert_allclose(standard.std(axis=0), 1.0, rtol=1e-9)
    assert fit_transform(X, lambda fold: lambda rows: rows[:, :2])(X).shape == (300, 2)


def test_many_rows_are_simulated_as_fewer_in_proportion():
    table = NullTable.checked(1_000_000, 3, 0.5, 0.1, 250_000, None, None, None, 50_000)
    assert (table.n, table.n_certify) == (50_000, 12_500)


def test_lifted_null_uses_the_intercept():
    table = NullTable.checked(20_000, 3, 0.5, 0.2, None, 0.6, None, None, 10**6)
    drawn = measure_null(table, "gaussian", np.random.default_rng(0))
    assert abs(drawn["band_mass_outer"] - 1.0) < 0.1


def test_theory_mode_covers_all_statistics_and_has_no_p_values():
    known = calibrate(1000, 5, sigma=0.5, mode="theory")
    assert set(known.names) == set(THEORY_LIMITS)
    result = known.judge([Measured("band_covariance_low", 0.4, 10)])[0]
    assert not result.passed
    assert np.isnan(result.p_value)
    assert np.isnan(result.null_mean)


def test_results_show_the_threshold_that_counts():
    both = TestResult("band_mass_inner", 0.7, 0.9, 1.1, 0.01, None, 1.0, 0.05, 100)
    assert (both.passed, both.threshold) == (False, 0.9)
    assert TestResult("x", np.nan, 0.0, 1.0, np.nan, None, 0.0, 1.0, 1).passed is False
    table = as_columns([both, TestResult("mean", 0.1, -np.inf, 0.2, 0.5, None, 0.0, 1.0, 5)])
    assert table["threshold"].tolist() == [0.9, 0.2]
    assert table["name"].tolist() == ["band_mass_inner", "mean"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": 0.1}, "theta is given without sigma"),
        ({"sigma": 0.0}, "sigma=0.0 is outside"),
        ({"sigma": 1.0, "theta": 2.0}, "theta=2.0 is outside"),
        ({"n_certify": 11}, r"n_certify=11 is outside \[1, 10\]"),
        ({"level": 1.0}, "level=1.0 is outside"),
        ({"marginal": "cauchy"}, "marginal='cauchy' is not known"),
        ({"mode": "guess"}, "mode='guess' is not known"),
        ({"transform": "pca"}, "transform='pca' is not known"),
        ({"intercept": 1.0, "sigma": 1.0}, "intercept=1.0 is outside"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        calibrate(10, 2, **change)


def test_uncalibrated_statistic_is_refused():
    with pytest.raises(ValueError, match=r"'disagreement' is not calibrated, only mean, .*give sigma and theta"):
        calibrate(60, 2, n_calibration=39).judge([Measured("disagreement", 1.0, 10)])
