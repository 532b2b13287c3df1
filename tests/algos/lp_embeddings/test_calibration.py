import math

import numpy as np
import pytest
from scipy.stats import binom

from algos.lp_embeddings import RowScores, calibrate_m, instances, row_scores, sample_size

NEVER = 1e-6  # probability with which a correct calibration would fail a test of its law, had the seeds not been fixed
COLUMN = np.ones((400, 1))


def failure_probability(m, n, eps):
    """A column of ones: the sketch's norm is (rows kept) n / m, so its distortion is |Bin(n, m/n) / m - 1|."""
    return 1 - (binom.cdf(math.floor(m * (1 + eps) + 1e-9), n, m / n) - binom.cdf(math.ceil(m * (1 - eps) - 1e-9) - 1, n, m / n))


@pytest.mark.parametrize("eps", [0.5, 0.25])
def test_failures_on_a_column_of_ones_follow_the_binomial_law(eps):
    trials = 60
    found = calibrate_m(COLUMN, 1.0, "uniform", eps=eps, delta=0.1, trials=trials, random_state=0)
    assert found.exact
    assert len(found.sizes) > 6
    for m, failures in zip(found.sizes, found.failures, strict=True):
        law = failure_probability(max(m, 1.0), 400, eps)
        assert binom.cdf(failures, trials, law) > NEVER
        assert binom.sf(failures - 1, trials, law) > NEVER
    place = int(np.flatnonzero(found.sizes == found.m)[0])
    assert found.failures[place] <= 6 < found.failures[place - 1]
    assert found.sizes[place] <= 1.12 * found.sizes[place - 1] * (1 + 1e-12)


def test_constant_is_the_size_over_the_formula():
    found = calibrate_m(COLUMN, 1.0, "lewis", eps=0.5, trials=20, log_factor=1.0, random_state=0)
    assert pytest.approx(found.m * 0.25, rel=1e-12) == found.C  # rank 1: one leading row
    assert math.ceil(found.m) == sample_size(sampler="lewis", p=1.0, d=1, eps=0.5, L=1.0, C=found.C)
    logarithmic = calibrate_m(COLUMN, 1.0, "lewis", eps=0.5, trials=20, random_state=0)
    assert pytest.approx(found.C / math.log(10), rel=1e-12) == logarithmic.C
    assert calibrate_m(COLUMN, 1.0, "leverage", trials=5, random_state=0).C is None


def test_rows_that_are_all_needed_are_all_kept():
    found = calibrate_m(np.eye(6), 1.0, "lewis", eps=0.3, trials=10, random_state=0)
    assert found.m == 6.0
    assert found.failures[-1] == 0


def test_trials_share_their_numbers_and_do_not_depend_on_the_threads():
    A = instances.two_basis(2, 60).A
    first, second = (calibrate_m(A, 1.0, "l2_augmented", trials=12, n_jobs=jobs, random_state=3) for jobs in (1, 2))
    assert first.m == second.m
    np.testing.assert_array_equal(first.failures, second.failures)
    assert first.exact


@pytest.mark.parametrize("sampler", ["root_leverage", "sensitivity"])
def test_every_sampler_can_be_calibrated(sampler):
    A = instances.two_basis(2, 100).A
    found = calibrate_m(A, 1.0, sampler, trials=10, random_state=0)
    assert 2 <= found.m < 100
    assert found.sampler == sampler


@pytest.mark.slow
def test_known_scores_can_be_given():
    made = instances.two_basis(4, 20)
    total = made.total_sensitivity
    scores = RowScores("sensitivity", 1.0, made.sensitivities, made.sensitivities, (total, total), 4)
    found = calibrate_m(made.A, 1.0, scores, trials=10, starts=3, random_state=0)
    assert found.sampler == "sensitivity"
    assert not found.exact
    assert found.m > total


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": 0.0}, "eps=0.0"),
        ({"delta": 0.0}, "delta=0.0"),
        ({"trials": 0}, "trials=0"),
        ({"log_factor": 0.0}, "log_factor=0.0"),
        ({"sampler": "best"}, "sampler='best' is not known"),
        ({"p": 0.5}, "p=0.5"),
        ({"sampler": row_scores(np.ones((3, 1)), 1.0)}, "sampler holds 3 scores for p=1.0, A has 400 rows and p=1.0"),
        ({"sampler": row_scores(COLUMN, 1.5)}, "scores for p=1.5, A has 400 rows and p=1.0"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        calibrate_m(**{"A": COLUMN, "p": 1.0, "trials": 5} | change)
