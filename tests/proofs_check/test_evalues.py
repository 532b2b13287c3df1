"""E-processes against oracles: 60-digit arithmetic, exact enumeration of the stopping law, simulation at the boundary."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaincc, betaln

from proofs_check.evalues import (
    BETS,
    betting_log_wealth,
    boundary,
    confidence_sequence,
    count_evidence,
    e_bh,
    e_holm,
    first_count,
    grid_log_e,
    log_accept,
    log_accept_two_sided,
    log_average,
    log_refute,
    log_refute_two_sided,
    log_sign,
    odds_margin,
)

quick = settings(derandomize=True, deadline=None, max_examples=25)
# betaln subtracts logarithms of size n ln n; measured worst relative error over 1,500 random cases up to n = 16,000: 2.5e-11.
BETALN_DIGITS = 2e-10


def log_refute_60_digits(k, n, p):
    """Integral of the likelihood ratio by the binomial sum, in 60 digits."""
    with mpmath.workdps(60):
        p = mpmath.mpf(p)
        term = total = mpmath.mpf(1)
        for i in range(k):
            term *= mpmath.mpf(k - i) / (n + 2 - k + i) * (1 - p) / p
            total += term
        return float(mpmath.log(total / (n + 1 - k)))


def log_accept_60_digits(k, n, p):
    """Definition of A by numerical integration in 60 digits."""
    with mpmath.workdps(60):
        p = mpmath.mpf(p)
        mixture = mpmath.quad(lambda t: (t / p) ** k * ((1 - t) / (1 - p)) ** (n - k), [0, p / 2, p]) / p
        return float(mpmath.log(mixture / 2 + (0.5 * (1 - p) ** -n if k == 0 else 0)))


@given(st.integers(1, 4000), st.floats(1e-4, 0.999), st.floats(0, 1))
@quick
def test_refute_agrees_with_60_digits(n, p, share):
    k = round(share * n)
    assert float(log_refute(k, n, p)) == pytest.approx(log_refute_60_digits(k, n, p), rel=BETALN_DIGITS, abs=BETALN_DIGITS)


@pytest.mark.parametrize(("k", "n", "p"), [(0, 5000, 0.5), (10, 5000, 0.5), (3, 3000, 0.9), (0, 2000, 0.999), (400, 9000, 0.3)])
def test_refute_agrees_with_60_digits_where_the_beta_function_underflows(k, n, p):
    assert betaincc(k + 1, n - k + 1, p) < 1e-280
    assert float(log_refute(k, n, p)) == pytest.approx(log_refute_60_digits(k, n, p), rel=BETALN_DIGITS)


@pytest.mark.parametrize(("k", "n", "p"), [(0, 1, 0.2), (0, 40, 0.2), (7, 40, 0.2), (40, 40, 0.2), (3, 200, 0.106), (120, 200, 0.692)])
def test_accept_agrees_with_integration_in_60_digits(k, n, p):
    assert float(log_accept(k, n, p)) == pytest.approx(log_accept_60_digits(k, n, p), rel=BETALN_DIGITS, abs=BETALN_DIGITS)


def test_accept_stays_finite_where_every_trial_failed():
    values = log_accept(np.arange(3990, 4001), 4000, 0.05)
    assert np.all(np.isfinite(values))
    assert np.all(values < -8)


@given(st.integers(1, 3000), st.floats(1e-3, 0.9), st.floats(0, 1), st.floats(0, 1))
@quick
def test_the_fast_path_for_numbers_agrees_with_the_one_for_arrays(n, p0, low, high):
    k_lo, k_hi = sorted((round(low * n), round(high * n)))
    p1 = odds_margin(p0)
    expected = [float(log_refute(k_lo, n, p0)), float(log_accept(k_hi, n, p1))]
    np.testing.assert_allclose(count_evidence(k_lo, k_hi, n, p0, p1), expected, rtol=BETALN_DIGITS, atol=BETALN_DIGITS)


@pytest.mark.parametrize("p", [0.01, 0.05, 0.5, 0.95])
def test_evidence_is_monotone_in_the_count_of_failures(p):
    for n in (1, 7, 64, 400, 1536):
        k = np.arange(n + 1)
        assert np.all(np.diff(log_refute(k, n, p)) > 0)
        assert np.all(np.diff(log_accept(k, n, p)) < 0)


@pytest.mark.parametrize(("p0", "p"), [(0.1, 0.1), (0.1, 0.04), (0.5, 0.5), (0.01, 0.01)])
def test_expectation_at_a_fixed_time_is_one_at_the_boundary_and_less_inside(p0, p):
    n = 200
    k = np.arange(n + 1)
    log_mass = betaln(1, n + 1) - betaln(k + 1, n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    log_mass = log_mass - np.log(np.exp(log_mass).sum())
    mean_refute = np.exp(log_mass + log_refute(k, n, p0)).sum()
    mean_two_sided = np.exp(log_mass + log_refute_two_sided(k, n, p)).sum()
    mean_accept = np.exp(log_mass + log_accept(k, n, p)).sum()
    assert mean_refute == pytest.approx(1.0, abs=1e-9) if p == p0 else mean_refute < 1.0
    assert mean_two_sided == pytest.approx(1.0, abs=1e-9)
    assert mean_accept == pytest.approx(1.0, abs=1e-9)


def test_blocks_of_64_err_no_more_often_than_looks_after_every_trial():
    p0, horizon = 0.1, 1536
    table, fine = boundary(p0, 0.2, horizon, step=64), boundary(p0, 0.2, horizon, step=1)
    assert np.array_equal(table.k_refute, fine.k_refute[63::64])
    assert np.array_equal(table.k_accept, fine.k_accept[63::64])


def test_boundaries_are_the_first_counts_that_cross():
    b = boundary(0.05, odds_margin(0.05), 640, step=64, alpha_R=1e-3)
    for n, top, bottom in zip(b.looks, b.k_refute, b.k_accept, strict=True):
        if top <= n:
            assert log_refute(top, n, 0.05) >= math.log(1e3) > log_refute(top - 1, n, 0.05)
        if bottom >= 0:
            assert log_accept(bottom, n, odds_margin(0.05)) >= math.log(1e3) > log_accept(bottom + 1, n, odds_margin(0.05))


def test_unanimous_signs_decide_at_13_and_24_and_a_dissent_costs_five():
    n = np.arange(1, 60)
    for dissents, at_1e3, at_1e6 in ((0, 13, 24), (1, 18, 29)):
        k = np.maximum(n - dissents, 0)
        assert n[np.argmax(log_sign(k, n) >= math.log(1e3))] == at_1e3
        assert n[np.argmax(log_sign(k, n) >= math.log(1e6))] == pytest.approx(at_1e6, abs=1)


@pytest.mark.parametrize(("p", "missed"), [(0.05, 0.021), (0.1, 0.033), (0.5, 0.038)])
def test_the_confidence_sequence_misses_rarely_however_long_it_is_watched(p, missed):
    horizon = 3000
    alive, total = np.ones(1), 0.0
    for n in range(1, horizon + 1):
        alive = np.append(alive, 0.0) * (1 - p) + np.append(0.0, alive) * p
        out = log_refute_two_sided(np.arange(n + 1), n, p) >= math.log(20)
        total += alive[out].sum()
        alive = np.where(out, 0.0, alive)
    assert total == pytest.approx(missed, abs=6e-4)
    assert total <= 0.05


@given(st.integers(0, 500), st.integers(1, 500))
@quick
def test_confidence_ends_are_where_the_evidence_crosses(k, extra):
    n = k + extra
    low, high = confidence_sequence(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    for end in (low, high):
        if 0.0 < end < 1.0:
            assert float(log_refute_two_sided(k, n, end)) == pytest.approx(math.log(20), abs=1e-6)


def test_confidence_before_any_trial_is_everything():
    assert confidence_sequence(0, 0) == (0.0, 1.0)
    assert confidence_sequence(9, 9)[1] == 1.0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=80), st.integers(0, 2**32 - 1))
@quick
def test_betting_wealth_is_free_of_order_and_adds_over_blocks(values, seed):
    x = np.array(values)
    shuffled = np.random.default_rng(seed).permutation(x)
    whole = betting_log_wealth(x, null=0.4, extreme=0.0)
    parts = betting_log_wealth(shuffled[:1], null=0.4, extreme=0.0) + betting_log_wealth(shuffled[1:], null=0.4, extreme=0.0)
    np.testing.assert_allclose(whole, parts, rtol=1e-12, atol=1e-12)


def test_betting_wealth_is_the_product_of_its_factors():
    x = np.array([0.0, 0.3, 1.0])
    product = [math.prod(1 + c * (v - 0.2) / 0.2 for v in x) for c in BETS]
    np.testing.assert_allclose(np.exp(betting_log_wealth(x, null=0.2, extreme=0.0)), product, rtol=1e-13)
    assert math.exp(grid_log_e(np.log(product))) == pytest.approx(np.mean(product), rel=1e-13)


@pytest.mark.parametrize("stream", ["bernoulli", "two_point", "pareto"])
def test_betting_rarely_refutes_a_mean_at_the_boundary(stream):
    """Threshold 20 allows 5 %; 1,500 paths of 300 trials at the boundary of the null."""
    rng = np.random.default_rng(11)
    draws = {
        "bernoulli": lambda: (rng.random((1500, 300)) < 0.1) * 1.0,
        "two_point": lambda: (rng.random((1500, 300)) < 0.01) * 10.0,
        "pareto": lambda: 0.1 * rng.pareto(2.0, (1500, 300)),
    }
    x = draws[stream]()
    paths = np.cumsum(np.log1p(np.multiply.outer(BETS, (x - 0.1) / 0.1)), axis=2)
    log_e = np.log(np.exp(paths - paths.max(axis=0)).mean(axis=0)) + paths.max(axis=0)
    crossed = (log_e.max(axis=1) >= math.log(20)).mean()
    # Four standard errors of 1,500 paths at 5 % are .023; the nominal level itself is never exceeded by more than chance.
    assert crossed <= 0.05 + 0.023


def test_betting_finds_a_mean_of_two_tenths_against_one_tenth_in_about_180_trials():
    rng = np.random.default_rng(5)
    times = []
    for _ in range(200):
        x = (rng.random(900) < 0.2) * 1.0
        paths = np.cumsum(np.log1p(np.multiply.outer(BETS, (x - 0.1) / 0.1)), axis=1)
        log_e = np.log(np.exp(paths).mean(axis=0))
        times.append(int(np.argmax(log_e >= math.log(1e3))) + 1)
    assert np.median(times) == pytest.approx(179, rel=0.12)


def test_betting_refuses_observations_beyond_the_declared_bound():
    with pytest.raises(ValueError, match="beyond the declared bound"):
        betting_log_wealth([0.5, -0.1], null=0.2, extreme=0.0)
    with pytest.raises(ValueError, match="beyond the declared bound"):
        betting_log_wealth([math.nan], null=0.2, extreme=0.0)
    with pytest.raises(ValueError, match="two different finite numbers"):
        betting_log_wealth([0.5], null=0.0, extreme=0.0)


def test_the_two_sided_test_accepts_only_inside_the_zone():
    n = 1536
    k = np.arange(n + 1)
    accepted = np.flatnonzero(log_accept_two_sided(k, n, 0.2, 0.4) >= math.log(1e3)) / n
    assert 0.2 < accepted.min() < 0.3 < accepted.max() < 0.4


def test_average_of_evidence_is_the_log_of_the_mean():
    assert log_average(np.log([1.0, 4.0]), [0.25, 0.75]) == pytest.approx(math.log(3.25))
    assert log_average([-math.inf, -math.inf], [0.5, 0.5]) == -math.inf
    with pytest.raises(ValueError, match="at most one"):
        log_average([0.0, 0.0], [0.5, 0.6])


@given(st.lists(st.floats(0.0, 1e7), min_size=1, max_size=12), st.sampled_from([0.01, 0.1]))
@quick
def test_holm_and_bh_agree_with_their_definitions(values, alpha):
    e = np.array(values) + 1e-9
    M, order = len(e), np.argsort(-e, kind="stable")
    holm, count = np.zeros(M, bool), 0
    for j, i in enumerate(order):
        if e[i] < (M - j) / alpha * (1 - 1e-12):
            break
        holm[i] = True
    count = max((j + 1 for j in range(M) if e[order[j]] >= M / ((j + 1) * alpha) * (1 - 1e-12)), default=0)
    bh = np.zeros(M, bool)
    bh[order[:count]] = True
    np.testing.assert_array_equal(e_holm(np.log(e), alpha), holm)
    np.testing.assert_array_equal(e_bh(np.log(e), alpha), bh)
    assert not np.any(holm & ~bh)


def test_the_first_count_is_found_or_declared_absent():
    n = np.array([1, 5, 40])
    np.testing.assert_array_equal(first_count(n, lambda k: k * k >= 20), [2, 5, 5])
    np.testing.assert_array_equal(first_count(n, lambda k: k < 0), n + 1)
    np.testing.assert_array_equal(first_count(n, lambda k: k >= 0), 0)


def test_impossible_counts_and_probabilities_are_refused():
    with pytest.raises(ValueError, match="0 <= k <= n"):
        log_refute(5, 4, 0.1)
    with pytest.raises(ValueError, match="strictly between"):
        log_accept(1, 4, 1.0)
    with pytest.raises(ValueError, match="p0 < p1"):
        boundary(0.5, 0.4, 100)
    with pytest.raises(ValueError, match="horizon"):
        boundary(0.1, 0.2, 10)
