"""Exact error rates and stopping times of the counting rule: by enumeration, against the design, and as the report states them."""

import itertools

import numpy as np
import pytest
from scipy.special import bdtr, bdtrc

from proofs_check import evalues
from proofs_check.evalues import odds_margin
from proofs_check.report.reliability import reliability
from proofs_check.walks import walk

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
    p, horizon = 0.35, 13
    table = evalues.boundary(0.3, 0.6, horizon, 1, alpha_R=0.3, alpha_A=0.3)
    expected = np.zeros((2, horizon))
    for sequence in itertools.product((0, 1), repeat=horizon):
        weight = p ** sum(sequence) * (1 - p) ** (horizon - sum(sequence))
        for n, k in enumerate(itertools.accumulate(sequence)):
            if k >= table.k_refute[n] or k <= table.k_accept[n]:
                expected[int(k <= table.k_accept[n]), n] += weight
                break
    law = walk(p, table)
    np.testing.assert_allclose([law.refuted, law.verified], np.cumsum(expected, axis=1), atol=1e-12)
    assert expected.sum(axis=1).min() > 0.01  # both decisions occur


def test_looks_at_block_ends_see_a_binomial_count():
    table = evalues.boundary(0.1, 0.2, 256, 64)
    law = walk(0.12, table)
    assert law.looks.tolist() == [64, 128, 192, 256]
    assert law.verified[0] == pytest.approx(bdtr(table.k_accept[0], 64, 0.12), rel=1e-10)
    assert law.refuted[0] == pytest.approx(bdtrc(table.k_refute[0] - 1, 64, 0.12), rel=1e-8)


@pytest.mark.parametrize(("level", "refuted", "verified", "times", "to_refute"), TABLE)
def test_exact_error_rates_and_medians_are_those_of_the_design(level, refuted, verified, times, to_refute):
    p1 = odds_margin(level)
    table = evalues.boundary(level, p1, round(200 / level), 1)
    laws = {p: walk(p, table) for p in (0.0, level / 2, level, p1)}
    assert laws[level].refuted[-1] == pytest.approx(refuted, rel=0.06)  # two digits
    assert laws[p1].verified[-1] == pytest.approx(verified, rel=0.06)
    assert laws[level].refuted[-1] <= 1e-6
    assert laws[p1].verified[-1] <= 1e-3
    assert tuple(laws[p].median("verified") for p in (0.0, level / 2, level)) == times
    assert laws[p1].median("refuted") == pytest.approx(to_refute, abs=1)  # the median sits on a step of the law


def test_power_grows_with_the_budget_and_errors_do_not_pass_their_levels():
    short, long = reliability((0.05,), trials=384)[0], reliability((0.05,), trials=1536)[0]
    assert short.accepted_half < long.accepted_half
    for row in reliability((0.5, 0.2, 0.1, 0.05, 0.01)):
        assert row.false_refuted <= 1e-6
        assert row.false_accepted <= 1e-3
        assert row.refuted_double > 0.99
        assert row.median_accept % 64 == 0


def test_simulated_parts_agree_with_the_exact_error():
    """2,000 parts at alpha_R = .05 against the exact probability, by a binomial test at 1e-4."""
    table = evalues.boundary(0.1, 0.2, 1536, 64, alpha_R=0.05)
    exact = walk(0.1, table).refuted[-1]
    counts = np.cumsum(np.random.default_rng(9).binomial(64, 0.1, size=(2000, 24)), axis=1)
    over, under = counts >= table.k_refute, counts <= table.k_accept
    first = np.argmax(over | under, axis=1)
    wrong = int(over[np.arange(2000), first].sum())
    assert bdtr(wrong, 2000, exact) > 1e-4
    assert bdtrc(wrong - 1, 2000, exact) > 1e-4
