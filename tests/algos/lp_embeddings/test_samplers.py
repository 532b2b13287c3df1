import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom, chisquare

from algos.common.randomness import row_uniforms
from algos.lp_embeddings import samplers
from algos.lp_embeddings.samplers import (
    inclusion_probabilities,
    l2_augmented,
    leverage_sensitivity,
    root_leverage,
    sample_rows,
    uniform,
)

NEVER = 1e-6  # probability with which a correct sampler would fail a test of its law, had the seeds not been fixed
SCORES = np.array([8.0, 1.0, 0.0, 0.5, 0.25, 3.0])


def solved_by_root_finding(scores, m):
    positive = scores > 0
    n0 = positive.sum()

    def excess(log_alpha):
        return np.minimum(1.0, 1 / n0 + scores[positive] * math.exp(-log_alpha)).sum() - m

    alpha = math.exp(brentq(excess, -60, 60, xtol=1e-14))
    return np.where(positive, np.minimum(1.0, 1 / n0 + scores / alpha), 0.0)


@given(
    scores=st.lists(st.floats(1e-3, 1e3) | st.just(0.0), min_size=2, max_size=40).filter(lambda s: sum(x > 0 for x in s) > 1),
    share=st.floats(0.01, 0.99),
)
def test_probabilities_solve_their_equation(scores, share):
    scores = np.array(scores)
    m = 1 + share * (np.count_nonzero(scores) - 1)
    q = inclusion_probabilities(scores, m)
    np.testing.assert_allclose(q, solved_by_root_finding(scores, m), rtol=1e-9)
    assert q.sum() == pytest.approx(m, rel=1e-12)
    assert q.max() <= 1.0


@given(st.integers(0, 1000), st.floats(1e-100, 1e100))
def test_probabilities_depend_on_ratios_and_follow_their_rows(seed, unit):
    scores = np.random.default_rng(seed).pareto(0.5, 30)
    q = inclusion_probabilities(scores, 7.5)
    np.testing.assert_allclose(inclusion_probabilities(scores * unit, 7.5), q, rtol=1e-12)
    order = np.random.default_rng(seed).permutation(30)
    np.testing.assert_allclose(inclusion_probabilities(scores[order], 7.5), q[order], rtol=1e-12)


def test_appending_rows_of_zeros_changes_nothing():
    q = inclusion_probabilities(SCORES, 3)
    np.testing.assert_array_equal(inclusion_probabilities(np.r_[SCORES, 0.0, 0.0], 3), np.r_[q, 0.0, 0.0])
    assert q[2] == 0.0


@pytest.mark.parametrize("m", [5, 5.0, 6, 1e9])
def test_from_the_number_of_nonzero_rows_on_all_of_them_are_kept(m):
    assert inclusion_probabilities(SCORES, m).tolist() == [1, 1, 0, 1, 1, 1]


def test_one_expected_row_is_drawn_uniformly_because_the_floor_takes_it():
    np.testing.assert_allclose(inclusion_probabilities(SCORES, 1), [0.2, 0.2, 0, 0.2, 0.2, 0.2], rtol=1e-15)


def test_equal_scores_are_uniform_sampling():
    np.testing.assert_allclose(inclusion_probabilities(uniform(50), 7), 7 / 50, rtol=1e-14)


@pytest.mark.parametrize("m", [1.5, 3.0, math.nextafter(4.0, 0.0)])
def test_scores_over_the_whole_range_of_floats_stay_finite(m):
    q = inclusion_probabilities([1e308, 1e308, 1e-300, 5e-324], m)
    assert np.isfinite(q).all()
    assert q.sum() == pytest.approx(m, rel=1e-12)
    assert q.min() >= 1 / 4


@pytest.mark.parametrize(
    ("scores", "m", "error", "message"),
    [
        ([1.0, -1.0], 1, ValueError, r"scores\[1\]=.*negative"),
        ([1.0, np.nan], 1, ValueError, "scores has a NaN entry in row 1"),
        ([np.inf, 1.0], 1, ValueError, "scores has an infinite entry"),
        ([0.0, 0.0], 1, ValueError, "all zero"),
        ([], 1, ValueError, "scores has shape"),
        ([[1.0]], 1, ValueError, "scores has shape"),
        ([1.0, 1.0], 0.5, ValueError, "m=0.5 is outside"),
        ([1.0, 1.0], math.inf, ValueError, "m=inf"),
        ([1.0, 1.0], math.nan, ValueError, "m=nan"),
        ([1.0, 1.0], "2", TypeError, "m='2'"),
    ],
)
def test_bad_scores_and_sizes_are_named(scores, m, error, message):
    with pytest.raises(error, match=message):
        inclusion_probabilities(scores, m)


def test_bernoulli_keeps_the_rows_whose_own_uniform_lies_below_q():
    q = np.random.default_rng(0).random(500)
    indices, weights = sample_rows(q, seed=11)
    np.testing.assert_array_equal(indices, np.flatnonzero(row_uniforms(11, 0, 500) < q))
    np.testing.assert_array_equal(weights, 1 / q[indices])


@given(cut=st.integers(0, 300), start=st.integers(0, 10**12), level=st.integers(0, 50))
def test_a_bernoulli_sample_does_not_depend_on_blocks(cut, start, level):
    q = np.linspace(0, 1, 301)[1:]
    whole = sample_rows(q, seed=5, start=start, level=level)
    parts = [sample_rows(q[a:b], seed=5, start=start + a, level=level) for a, b in ((0, cut), (cut, 300)) if b > a]
    np.testing.assert_array_equal(whole.indices, np.concatenate([part.indices for part in parts]))
    np.testing.assert_array_equal(whole.weights, np.concatenate([part.weights for part in parts]))


def test_levels_are_independent_so_that_weights_multiply_without_bias():
    n, first, second = 40_000, 0.3, 0.4
    kept = sample_rows(np.full(n, first), seed=1, level=0)
    again = sample_rows(np.full(kept.indices.size, second), seed=1, level=1)
    low, high = binom.interval(1 - NEVER, n, first * second)
    assert low <= again.indices.size <= high


@pytest.mark.parametrize("method", ["bernoulli", "fixed", "systematic"])
def test_certain_rows_are_kept_and_impossible_rows_never(method):
    q = np.array([0.0, 1.0, 0.0, 1.0, 0.5, 0.0])
    for seed in range(40):
        drawn = set(sample_rows(q, method=method, seed=seed).indices.tolist())
        assert not drawn & {0, 2, 5}
        if method != "fixed":  # with replacement even a row of probability 1 can be missed
            assert {1, 3} <= drawn


@pytest.mark.parametrize("method", ["bernoulli", "fixed", "systematic"])
def test_the_mean_weight_of_every_row_is_one(method):
    q = inclusion_probabilities(np.arange(1.0, 9.0), 4)
    draws = 3000
    total = np.zeros(8)
    squares = np.zeros(8)
    for seed in range(draws):
        indices, weights = sample_rows(q, method=method, seed=seed)
        total[indices] += weights
        squares[indices] += weights**2
    error = np.sqrt(np.maximum(squares / draws - (total / draws) ** 2, 0) / draws)
    assert (np.abs(total / draws - 1) <= 5 * error + 1e-12).all()  # five standard errors, eight rows: 5e-6


def test_the_fixed_size_sample_has_the_multinomial_law():
    q = np.array([0.5, 1.0, 0.0, 0.5])  # two draws with probabilities 1/4, 1/2, 1/4
    seen = Counter(tuple(sample_rows(q, method="fixed", seed=seed).indices.tolist()) for seed in range(4000))
    expected = Counter()
    for pair in product([0, 1, 3], repeat=2):
        expected[tuple(sorted(set(pair)))] += 4000 * np.prod([q[i] / 2 for i in pair])
    assert set(seen) == set(expected)
    keys = sorted(expected)
    assert chisquare([seen[key] for key in keys], [expected[key] for key in keys]).pvalue > NEVER


def test_a_row_drawn_twice_counts_twice():
    draws = [sample_rows([1.0, 1.0, 1.0], method="fixed", seed=seed) for seed in range(50)]
    for sample in draws:
        assert sample.weights.sum() == pytest.approx(3.0)  # counts add up to the three draws, each worth one row here
    assert any(sample.weights.max() == 2.0 for sample in draws)


@given(st.integers(0, 10**6), st.floats(1, 20))
def test_a_systematic_sample_has_its_size_rounded_up_or_down(seed, m):
    q = inclusion_probabilities(np.random.default_rng(seed).exponential(size=25), m)
    size = sample_rows(q, method="systematic", seed=seed).indices.size
    assert math.floor(m - 1e-9) <= size <= math.ceil(m + 1e-9)


def test_rounding_of_the_running_sum_never_loses_a_certain_row(monkeypatch):
    # in floats 0.1 + 0.2 > 0.3 but 0.1 + 0.2 + 1 = 1.3, so that the points 0.3 and 1.3 step over the third row
    monkeypatch.setattr(samplers, "row_uniforms", lambda *_: np.array([0.3]))
    assert 2 in sample_rows([0.1, 0.2, 1.0, 0.7], method="systematic", seed=0).indices


def test_uniform_sampling_misses_coherent_rows_with_its_exact_probability():
    q = inclusion_probabilities(uniform(400), 20)
    trials, special = 2000, 20
    missed = sum(not (sample_rows(q, seed=seed).indices < special).any() for seed in range(trials))
    low, high = binom.interval(1 - NEVER, trials, (1 - 20 / 400) ** special)
    assert low <= missed <= high


def test_indices_are_sorted_wide_integers_and_the_result_unpacks():
    for method in ("bernoulli", "fixed", "systematic"):
        sample = sample_rows(np.full(100, 0.3), method=method, seed=2, start=7)
        indices, weights = sample
        assert indices is sample.indices
        assert weights is sample.weights
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()
        assert 7 <= indices[0] <= indices[-1] < 107


def test_scale_turns_weights_into_row_multipliers():
    sample = sample_rows(np.full(50, 0.25), seed=0)
    np.testing.assert_allclose(sample.scale(2), 2.0, rtol=1e-15)
    np.testing.assert_allclose(sample.scale(1), sample.weights, rtol=1e-15)
    with pytest.raises(ValueError, match="p="):
        sample.scale(0.5)


@pytest.mark.parametrize(
    ("q", "options", "error", "message"),
    [
        ([0.5, 1.5], {}, ValueError, r"q\[1\]=.*outside \[0, 1\]; inclusion_probabilities"),
        ([0.5, np.nan], {}, ValueError, r"q\[1\]="),
        ([-0.1], {}, ValueError, r"q\[0\]="),
        ([], {}, ValueError, "q has shape"),
        ([0.0], {"method": "fixed"}, ValueError, "q is all zero"),
        ([0.0], {"method": "systematic"}, ValueError, "q is all zero"),
        ([0.5], {"method": "poisson"}, ValueError, "method='poisson' is not known"),
        ([0.5], {"seed": -1}, ValueError, "seed=-1"),
        ([0.5], {"seed": None}, TypeError, "seed=None"),
        ([0.5], {"start": 0.5}, TypeError, "start=0.5"),
        ([0.5], {"level": -2}, ValueError, "level=-2"),
    ],
)
def test_bad_draws_are_named(q, options, error, message):
    with pytest.raises(error, match=message):
        sample_rows(q, **{"seed": 0, **options})


def test_an_empty_block_is_no_fault():
    assert sample_rows([0.0, 0.0], seed=0).indices.size == 0


def test_combined_scores_are_what_their_formulas_say():
    tau, s = np.array([0.25, 1.0, 0.75]), np.array([0.5, 1.0, 0.5])
    np.testing.assert_allclose(root_leverage(tau, 1), [0.5, 1.0, np.sqrt(0.75)])
    np.testing.assert_allclose(root_leverage(tau, 4), tau**2)
    np.testing.assert_allclose(l2_augmented(s, tau), [0.75, 2.0, 1.25])
    np.testing.assert_allclose(leverage_sensitivity(s, tau), [0.25, 0.5, 0.375])
    with pytest.raises(ValueError, match="p=inf"):
        root_leverage(tau, math.inf)
    with pytest.raises(ValueError, match="n=0"):
        uniform(0)


@pytest.mark.parametrize("seed", [16, 78, 122, 141])
def test_size_is_met_where_capping_the_largest_scores_leaves_only_the_floor(seed):
    scores = 10.0 ** np.random.default_rng(seed).uniform(-300.0, 300.0, 22)
    m = 11.5  # 11 rows at 1 and the others at 1/22: the root is at a tie between two numbers of capped rows
    assert inclusion_probabilities(scores, m).sum() == pytest.approx(m, rel=1e-9)
