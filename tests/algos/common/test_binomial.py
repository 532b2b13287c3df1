"""Clopper-Pearson limits: closed forms, the tails that define them, exact coverage."""

import math

import numpy as np
import pytest
import scipy.stats

from algos.common.binomial import clopper_pearson

TAIL = 1e-9  # relative accuracy of the inverse incomplete beta function, amplified by the slope of the tail


@pytest.mark.parametrize("n", [1, 7, 1000])
@pytest.mark.parametrize("level", [0.5, 0.95, 1 - 1e-9])
def test_no_success_and_only_successes_have_closed_forms(n, level):
    miss = 1.0 - level
    assert clopper_pearson(0, n, level, "upper") == pytest.approx(-math.expm1(math.log(miss) / n), rel=TAIL)
    assert clopper_pearson(n, n, level, "lower") == pytest.approx(miss ** (1 / n), rel=TAIL)
    assert clopper_pearson(0, n, level, "lower") == 0.0
    assert clopper_pearson(n, n, level, "upper") == 1.0


@pytest.mark.parametrize(("k", "n"), [(1, 3), (5, 40), (39, 40), (20, 10**5), (99_000, 10**5), (3, 10**7)])
@pytest.mark.parametrize("level", [0.9, 0.999])
def test_limits_have_the_tail_that_defines_them(k, n, level):
    assert scipy.stats.binom.cdf(k, n, clopper_pearson(k, n, level, "upper")) == pytest.approx(1 - level, rel=1e-6)
    assert scipy.stats.binom.sf(k - 1, n, clopper_pearson(k, n, level, "lower")) == pytest.approx(1 - level, rel=1e-6)


@pytest.mark.parametrize("n", [5, 30])
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_coverage_by_enumeration_is_at_least_the_level_and_sometimes_no_more(n, side):
    level = 0.9
    limits = np.array([clopper_pearson(k, n, level, side) for k in range(n + 1)])
    probes = np.concatenate([np.linspace(0.001, 0.999, 301), limits[1:-1] * (1 + 1e-9), limits[1:-1] * (1 - 1e-9)])
    probes = probes[probes < 1]
    pmf = scipy.stats.binom.pmf(np.arange(n + 1)[:, None], n, probes)
    right = limits[:, None] <= probes if side == "lower" else limits[:, None] >= probes
    coverage = np.sum(pmf * right, axis=0)
    assert coverage.min() >= level - 1e-7
    assert coverage.min() < level + 1e-6


def test_limits_grow_with_the_count():
    for side in ("lower", "upper"):
        limits = [clopper_pearson(k, 50, 0.95, side) for k in range(51)]
        assert np.all(np.diff(limits) > 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 5, 0.9, "lower"), ValueError, "k=-1"),
        ((6, 5, 0.9, "lower"), ValueError, "k=6"),
        ((1, 0, 0.9, "lower"), ValueError, "n=0"),
        ((1.5, 5, 0.9, "lower"), TypeError, "k=1.5"),
        ((1, 5, 1.0, "lower"), ValueError, "level=1.0"),
        ((1, 5, 0.9, "both"), ValueError, "side='both'"),
    ],
)
def test_bad_input_names_the_argument(arguments, error, message):
    with pytest.raises(error, match=message):
        clopper_pearson(*arguments)
