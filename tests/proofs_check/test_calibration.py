"""The judge on trial: exact error rates and stopping times, and checkers that are broken on purpose and must be found out."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import bdtr, bdtrc

from proofs_check import evalues
from proofs_check.calibration import broken_checkers, calibrate, peeking_error, stopping_law
from proofs_check.evalues import odds_margin

# (level, P(REFUTED) at the level, P(VERIFIED) at the margin, median trials to VERIFIED at p = 0, level/2, level, and to REFUTED at
# the margin), with a look after every trial and a horizon of 200 / level: the values that the rule was designed with.
TABLE = [
    (0.5, 5.9e-7, 5.3e-4, (7, 19, 105), 193),
    (0.2, 6.7e-7, 8.1e-4, (17, 45, 132), 221),
    (0.1, 5.9e-7, 8.3e-4, (34, 88, 221), 353),
    (0.05, 4.7e-7, 8.8e-4, (67, 155, 402), 647),
    pytest.param(0.01, 2.6e-7, 9.0e-4, (333, 766, 1829), 3184, marks=pytest.mark.slow),
]


def test_the_dynamic_programme_agrees_with_enumeration():
    """All 2**13 sequences of trials, decided one by one."""
    p, p0, p1, horizon, alphas = 0.35, 0.3, 0.6, 13, {"alpha_R": 0.3, "alpha_A": 0.3}
    table = evalues.boundary(p0, p1, horizon, 1, **alphas)
    expected = np.zeros((2, horizon))
    for sequence in itertools.product((0, 1), repeat=horizon):
        weight = p ** sum(sequence) * (1 - p) ** (horizon - sum(sequence))
        for n, k in enumerate(itertools.accumulate(sequence)):
            if k >= table.k_refute[n] or k <= table.k_accept[n]:
                expected[int(k <= table.k_accept[n]), n] += weight
                break
    law = stopping_law(p, p0, p1, horizon, step=1, **alphas)
    np.testing.assert_allclose([law.refuted, law.accepted], expected, atol=1e-12)
    assert expected.sum(axis=1).min() > 0.01  # both decisions occur


def test_looks_at_block_ends_agree_with_looks_that_are_skipped():
    whole = stopping_law(0.12, 0.1, 0.2, 256, step=64)
    assert whole.looks.tolist() == [64, 128, 192, 256]
    table = evalues.boundary(0.1, 0.2, 256, 64)
    assert whole.accepted[0] == pytest.approx(bdtr(table.k_accept[0], 64, 0.12), rel=1e-10)
    assert whole.refuted[0] == pytest.approx(bdtrc(table.k_refute[0] - 1, 64, 0.12), rel=1e-8)


@pytest.mark.parametrize(("level", "refuted", "verified", "times", "to_refute"), TABLE)
def test_exact_error_rates_and_medians_are_those_of_the_design(level, refuted, verified, times, to_refute):
    p1, horizon = odds_margin(level), round(200 / level)
    laws = {p: stopping_law(p, level, p1, horizon, step=1) for p in (0.0, level / 2, level, p1)}
    assert laws[level].p_refuted == pytest.approx(refuted, rel=0.06)  # two digits
    assert laws[p1].p_accepted == pytest.approx(verified, rel=0.06)
    assert laws[level].p_refuted <= 1e-6
    assert laws[p1].p_accepted <= 1e-3
    assert tuple(laws[p].median("accepted") for p in (0.0, level / 2, level)) == times
    assert laws[p1].median("refuted") == pytest.approx(to_refute, abs=1)  # the median sits on a step of the law


def test_the_three_verdicts_exhaust_all_runs():
    for p in np.linspace(0, 1, 11):
        law = stopping_law(p, 0.1, 0.2, 1536)
        total = law.p_refuted + law.p_accepted
        assert -1e-12 < 1.0 - total < 1.0
    assert law.p_refuted == pytest.approx(1.0)


def test_power_grows_with_the_budget_and_errors_do_not_pass_their_levels():
    short, long = calibrate((0.05,), horizon=384)[0], calibrate((0.05,), horizon=1536)[0]
    assert short.accepted_half < long.accepted_half
    for row in calibrate((0.5, 0.2, 0.1, 0.05, 0.01)):
        assert row.false_refuted <= 1e-6
        assert row.false_accepted <= 1e-3
        assert row.refuted_double > 0.99
        assert row.median_accept % 64 == 0


def test_unlikely_decisions_have_no_median():
    assert stopping_law(0.1, 0.1, 0.2, 640).median("refuted") is None


def test_engine_like_runs_agree_with_the_exact_error():
    """2,000 simulated parts at alpha_R = .05 against the exact probability, by a binomial test at 1e-4."""
    exact = stopping_law(0.1, 0.1, 0.2, 1536, alpha_R=0.05).p_refuted
    table = evalues.boundary(0.1, 0.2, 1536, 64, alpha_R=0.05)
    counts = np.cumsum(np.random.default_rng(9).binomial(64, 0.1, size=(2000, 24)), axis=1)
    over, under = counts >= table.k_refute, counts <= table.k_accept
    first = np.argmax(over | under, axis=1)
    wrong = int(over[np.arange(2000), first].sum())
    assert bdtr(wrong, 2000, exact) > 1e-4
    assert bdtrc(wrong - 1, 2000, exact) > 1e-4


# ------------------------------------------------------------------------------------------------------------------ broken checkers


@pytest.mark.parametrize(
    ("name", "actual"), [("null too small", 0.126), ("margin too large", 0.858), ("void trials dropped", 1.0), ("peeking", 0.109)]
)
def test_broken_checkers_exceed_their_nominal_error(name, actual):
    nominal, found = broken_checkers()[name]
    assert found == pytest.approx(actual, abs=2e-3)
    assert found > 5 * nominal


def test_an_e_process_read_as_often_keeps_its_level():
    """The counterpart of peeking at an interval: same readings, .50 % instead of 10.9 % at the same nominal 1 %."""
    law = stopping_law(0.1, 0.1, 0.11, 2000, step=1, alpha_R=0.01, alpha_A=1e-300)
    assert law.p_refuted == pytest.approx(0.005, abs=5e-4)
    assert peeking_error(0.1, 0.01, 2000) > 20 * law.p_refuted


def test_counting_trials_as_they_finish_accepts_what_counting_in_order_does_not():
    """Sixteen workers, failing trials fifty times slower: a claim of .1, false at .2, looks true while its failures still run."""
    rng = np.random.default_rng(2)
    table = evalues.boundary(0.1, 0.2, 400, 1)

    def accepted(failed):
        counts = np.cumsum(failed)
        n = len(counts)
        good, bad = counts <= table.k_accept[:n], counts >= table.k_refute[:n]
        return bool(good.any() and (not bad.any() or np.argmax(good) < np.argmax(bad)))

    by_completion = in_order = 0
    for _ in range(200):
        failed = rng.random(400) < 0.2
        finish, busy = np.zeros(400), np.zeros(16)
        for trial in range(400):
            worker = int(np.argmin(busy))
            busy[worker] += 50.0 if failed[trial] else 1.0
            finish[trial] = busy[worker]
        by_completion += accepted(failed[np.argsort(finish, kind="stable")])
        in_order += accepted(failed)
    assert by_completion / 200 > 0.6
    assert in_order / 200 < 0.02


def test_a_searched_instance_must_be_judged_on_fresh_trials():
    """Worst of 200 true instances judged on the trials that chose it, nominal 1 %: refuted most of the time; on fresh ones hardly ever."""
    rng = np.random.default_rng(4)
    counts = rng.binomial(256, 0.1, size=(400, 200)).max(axis=1)
    reused = bdtrc(counts - 1, 256, 0.1) <= 0.01
    fresh = bdtrc(np.maximum(rng.binomial(256, 0.1, size=400), 1) - 1, 256, 0.1) <= 0.01
    assert reused.mean() > 0.7
    assert fresh.mean() < 0.01 + 3 * math.sqrt(0.01 * 0.99 / 400)
