"""Hard instances in whole numbers and fractions, and the curve of what can be found against every order of search."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from algos.misspecified_bandits.bounds import (
    coherence_bound,
    jl_gap_ratio,
    needle_queries,
    needle_success_curve,
    rs_actions,
    rs_exponent,
    rs_tradeoff,
)
from algos.misspecified_bandits.instances import make_identical_features, make_jl_needle, make_rs_needle

ROUNDING = 1e-12  # sums of a few numbers of order one


def graphs(s, p, t):
    """The sets {(x, f(x))}, from powers and in the order of the digits; nothing shared with the generator."""
    sets = []
    for number in range(p ** (t + 1)):
        digits = [number // p**k % p for k in range(t + 1)]
        sets.append({x * p + sum(c * x**k for k, c in enumerate(digits)) % p for x in range(s)})
    return sets


@pytest.mark.parametrize(("s", "p", "t"), [(1, 2, 0), (2, 2, 1), (3, 5, 0), (3, 5, 1), (3, 3, 2), (5, 5, 1), (2, 7, 1), (4, 5, 2)])
def test_polynomials_meet_in_as_many_places_as_said_and_the_error_is_exact(s, p, t):
    sets = graphs(s, p, t)
    instance = make_rs_needle(s, p, t, random_state=0)
    assert [set(np.flatnonzero(row)) for row in instance.X] == sets
    assert instance.X.shape == (p ** (t + 1), s * p)
    assert max(len(a & b) for a, b in itertools.combinations(sets, 2)) == t == instance.coherence * s
    # with rational numbers: eps of a unit needle is t / (2 s), attained, for every needle
    eps = Fraction(t, 2 * s)
    for needle in sets:
        errors = [(1 if other is needle else 0) + eps - Fraction(len(needle & other), s) for other in sets]
        assert max(map(abs, errors)) == eps
    assert instance.eps == float(eps)
    assert instance.gap == pytest.approx(1.0, abs=ROUNDING)
    if t:
        assert instance.gap / instance.eps == pytest.approx(rs_tradeoff(s=s, p=p, t=t).ratio, rel=ROUNDING)


@pytest.mark.parametrize(
    "instance",
    [
        make_rs_needle(5, 7, 2, eps=0.03, random_state=1),
        make_rs_needle(5, 7, 1, sparse=True, random_state=1),
        make_rs_needle(8, 11, 3, sample=50, random_state=1),
        make_rs_needle(30, 31, 29, sample=40, random_state=1),
        make_jl_needle(60, 40, random_state=1),
        make_jl_needle(60, 40, s=8, eps=0.2, random_state=2),
        make_identical_features(7, 0.3, d=3, random_state=0),
    ],
    ids=lambda instance: instance.name,
)
def test_every_needle_is_a_sparse_model_within_eps(instance):
    X = instance.X if isinstance(instance.X, np.ndarray) else instance.X.toarray()
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, rtol=ROUNDING)
    worst = 0.0
    for needle in range(min(instance.n_actions, 40)):
        moved = instance.with_needle(needle)
        assert np.count_nonzero(moved.theta) <= instance.s
        assert np.linalg.norm(moved.theta) == pytest.approx(instance.scale)
        worst = max(worst, np.abs(moved.mean - X @ moved.theta).max())
        env = moved.env()
        assert env.best == needle
        assert {env.suboptimality(a) for a in range(instance.n_actions)} == {0.0, instance.gap}
    assert worst <= instance.eps + ROUNDING
    assert float(instance.coherence) >= np.abs(np.triu(X @ X.T, 1)).max() - ROUNDING
    oracle = instance.oracle()
    oracle.pull(np.arange(0, instance.n_actions, 2))
    needle, mean = oracle.finish(0)
    np.testing.assert_array_equal(mean, instance.with_needle(needle).mean)
    assert oracle.suboptimality(0) == instance.gap


def test_samples_are_distinct_actions_of_the_whole():
    whole = {tuple(row) for row in make_rs_needle(3, 5, 1).X}
    kept = make_rs_needle(3, 5, 1, sample=11, random_state=0).X
    assert len({tuple(row) for row in kept}) == 11
    assert {tuple(row) for row in kept} <= whole
    huge = make_rs_needle(30, 31, 29, sample=40, random_state=1).X
    assert len({tuple(row) for row in huge}) == 40
    same = make_rs_needle(30, 31, 29, sample=40, random_state=1)
    np.testing.assert_array_equal(huge, same.X)


def test_sparse_and_dense_features_are_the_same():
    dense, sparse = make_rs_needle(4, 7, 2, needle=3), make_rs_needle(4, 7, 2, needle=3, sparse=True)
    np.testing.assert_array_equal(dense.X, sparse.X.toarray())
    np.testing.assert_array_equal(dense.theta, sparse.theta)


def test_coherence_of_signs_is_counted_and_attained():
    instance = make_jl_needle(1100, 24, random_state=0)  # more rows than one block
    signs = np.rint(instance.X * math.sqrt(24)).astype(int)
    products = signs @ signs.T
    np.fill_diagonal(products, 0)
    assert instance.coherence == Fraction(int(np.abs(products).max()), 24)
    needle = int(np.argmax(np.abs(products).max(axis=1)))
    env = instance.with_needle(needle).env()
    assert np.abs(env.mean - env.X @ env.theta).max() == pytest.approx(instance.eps, rel=1e-9)
    assert instance.gap / instance.eps == pytest.approx(jl_gap_ratio(coherence=float(instance.coherence)))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, 4, 1), {}, "p=4 is not prime"),
        ((3, 2, 1), {}, "p=2 must not be below s=3"),
        ((3, 5, 3), {}, "t=3 must lie in"),
        ((0, 5, 0), {}, "s=0"),
        ((3, 5, 0), {"eps": 0.1}, "leave eps out"),
        ((3, 5, 1), {"eps": 0.0}, "eps=0.0"),
        ((3, 5, 1), {"needle": 25}, "needle=25"),
        ((3, 5, 1), {"sample": 26}, "sample=26"),
        ((8, 11, 7), {}, r"214358881 actions are more than max_actions=2000000; give sample="),
    ],
)
def test_parameters_of_polynomials_are_checked(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        make_rs_needle(*arguments, **options)


def test_other_parameters_are_checked():
    with pytest.raises(ValueError, match="K=1"):
        make_jl_needle(1, 5)
    with pytest.raises(ValueError, match="s=6"):
        make_jl_needle(5, 5, s=6)
    with pytest.raises(ValueError, match="does not fit the coherence"):
        make_jl_needle(50, 10, eps=0.0)
    with pytest.raises(ValueError, match=r"eps=0\.0"):
        make_identical_features(3, 0.0)
    with pytest.raises(TypeError, match="not an integer"):
        make_rs_needle(3, 5.0, 1)


@pytest.mark.parametrize("N", [1, 2, 5, 6])
def test_the_curve_is_the_best_over_all_plans_and_guesses(N):
    for q in range(N + 2):
        found = 0
        for guess in range(N):
            for plan in itertools.combinations(range(N), min(q, N)):
                found = max(found, sum(needle in plan or needle == guess for needle in range(N)))
        assert needle_success_curve(q=q, N=N) == pytest.approx(found / N, rel=ROUNDING)


def test_queries_are_the_fewest_that_the_curve_allows():
    for N in (1, 3, 10, 49, 125):
        for probability in (0.01, 0.1, 0.3, 0.5, 0.7, 1.0):
            q = needle_queries(N=N, probability=probability)
            assert needle_success_curve(q=q, N=N) >= probability * (1 - 1e-9)
            assert q == 0 or needle_success_curve(q=q - 1, N=N) < probability


def test_the_exponent_is_the_largest_degree_that_reaches_the_ratio():
    for s in range(2, 40):
        for ratio in (2.01, 2.5, 3.0, 7.7, s**0.5, s**0.7, float(2 * s), 2.0 * s / 3):
            if ratio <= 2:
                continue
            degrees = [t for t in range(s) if t == 0 or Fraction(2 * s, t) >= Fraction(ratio) * (1 - Fraction(1, 10**10))]
            assert rs_exponent(s=s, ratio=ratio) == max(degrees) + 1
    assert rs_actions(s=8, d=88, ratio=16 / 3) == rs_tradeoff(s=8, p=11, t=3).n_actions
    # error s**delta eps has its exponent only where the degree stays below s: s**delta > 2
    assert rs_exponent(s=5, ratio=5**0.5) == math.floor(2 * 5**0.5) + 1
    with pytest.raises(ValueError, match="larger than 2"):
        rs_exponent(s=4, ratio=4**0.5)


def test_coherence_stays_below_its_bound_as_often_as_said():
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(200):
        signs = rng.choice([-1, 1], (40, 60))
        passed += np.abs(np.triu(signs @ signs.T, 1)).max() / 60 > coherence_bound(K=40, d=60, delta=0.1)
    assert passed <= 40  # 0.1 of 200 are 20, and 40 are 4.7 standard deviations more


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: needle_success_curve(q=-1, N=3), "q=-1"),
        (lambda: needle_success_curve(q=1, N=0), "N=0"),
        (lambda: needle_queries(N=3, probability=0.0), "probability=0.0"),
        (lambda: rs_tradeoff(s=3, p=9, t=1), "p=9 is not prime"),
        (lambda: rs_actions(s=3, d=2, ratio=3.0), "d=2"),
        (lambda: coherence_bound(K=1, d=2), "K=1"),
        (lambda: jl_gap_ratio(coherence=1.5), "coherence=1.5"),
    ],
)
def test_formulas_name_what_is_out_of_range(call, message):
    with pytest.raises(ValueError, match=message):
        call()
