"""The formulas against brute force, exact rationals and scipy's distributions."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from algos.lp_embeddings import bounds

ROUNDING = 1e-12  # a few hundred float64 operations on numbers of order one


def whitened(A, p, v):
    """Leverage scores of diag(v)^(1/2-1/p) A by a QR factorisation."""
    return (np.linalg.qr(v[:, None] ** (0.5 - 1 / p) * A)[0] ** 2).sum(axis=1)


@pytest.mark.parametrize("p", [1.0, 1.3, 1.5, 2.0, 3.0, 6.0, 10.0])
def test_one_column_sensitivities_lie_in_the_bracket_of_any_weights(p):
    rng = np.random.default_rng(3)
    a = rng.standard_normal(30)
    truth = np.abs(a) ** p / np.sum(np.abs(a) ** p)
    for spread in (0.0, 1.0, 3.0):
        v = np.exp(spread * rng.standard_normal(30))
        t = whitened(a[:, None], p, v)
        assert np.all(bounds.sensitivity_lower(p=p, v=v, leverages=t) <= truth * (1 + ROUNDING))
        assert np.all(truth <= bounds.sensitivity_upper(p=p, v=v, leverages=t) * (1 + ROUNDING))


def test_bracket_closes_at_p_two_whatever_the_weights():
    rng = np.random.default_rng(4)
    A, v = rng.standard_normal((25, 4)), np.exp(2 * rng.standard_normal(25))
    t = whitened(A, 2.0, v)
    np.testing.assert_allclose(bounds.sensitivity_lower(p=2.0, v=v, leverages=t), t, rtol=ROUNDING)
    np.testing.assert_allclose(bounds.sensitivity_upper(p=2.0, v=v, leverages=t), t, rtol=ROUNDING)


@pytest.mark.parametrize("p", [1.0, 1.5, 4.0])
def test_bracket_ignores_a_common_factor_of_the_weights(p):
    rng = np.random.default_rng(5)
    A, v = rng.standard_normal((25, 4)), np.exp(rng.standard_normal(25))
    one = [f(p=p, v=v, leverages=whitened(A, p, v)) for f in (bounds.sensitivity_lower, bounds.sensitivity_upper)]
    two = [f(p=p, v=1e30 * v, leverages=whitened(A, p, v)) for f in (bounds.sensitivity_lower, bounds.sensitivity_upper)]
    np.testing.assert_allclose(one, two, rtol=ROUNDING)


def test_zero_rows_have_zero_bounds_and_do_not_disturb_the_others():
    t, v = np.array([0.4, 0.6]), np.array([0.5, 0.5])
    for bound in (bounds.sensitivity_lower, bounds.sensitivity_upper):
        padded = bound(p=1.0, v=[*v, 0.0], leverages=[*t, 0.0])
        assert padded[2] == 0.0
        np.testing.assert_array_equal(padded[:2], bound(p=1.0, v=v, leverages=t))
    assert bounds.sensitivity_upper(p=1.0, v=[0.0, 0.0], leverages=[0.0, 0.0]).tolist() == [0.0, 0.0]


def test_relaxed_rate_is_the_worst_eigenvalue_of_the_jacobian():
    for p in (1.0, 1.5, 3.0, 4.0, 6.0, 10.0):
        for theta in (None, 1.0, 2.0 / p, 0.3):
            step = 4.0 / (p + 2.0) if theta is None else theta
            spectrum = np.abs(1 - step - step * (p / 2 - 1) * np.linspace(0, 1, 1001))
            assert bounds.relaxed_rate(p=p, theta=theta) == pytest.approx(spectrum.max(), rel=ROUNDING)


def test_no_step_beats_the_optimal_relaxation():
    for p in (1.0, 3.0, 6.0, 10.0):
        best = min(bounds.relaxed_rate(p=p, theta=theta) for theta in np.linspace(0.01, 2, 400))
        assert bounds.relaxed_rate(p=p) <= best + ROUNDING


def test_a_posteriori_error_is_the_geometric_series():
    p, residual = 1.5, 1e-2
    series = sum(residual * bounds.lewis_contraction(p=p) ** k for k in range(200))
    assert bounds.lewis_error(residual=residual, p=p) == pytest.approx(series, rel=ROUNDING)
    assert bounds.lewis_error(residual=residual, p=4.0) == math.inf


def test_logdet_gap_bounds_the_distance_to_the_maximum():
    rng = np.random.default_rng(6)
    A, p = rng.standard_normal((40, 3)), 6.0

    def logdet(v):
        return np.linalg.slogdet(A.T @ (v[:, None] ** (1 - 2 / p) * A))[1]

    v = np.full(40, 3 / 40)
    rough = np.exp(0.3 * rng.standard_normal(40))
    rough *= 3 / rough.sum()
    gap = bounds.logdet_gap(p=p, rank=3, overshoot=np.max(whitened(A, p, rough) / rough))
    for _ in range(4000):  # the monotone iteration v <- t converges, slowly, to the maximiser
        v = whitened(A, p, v)
    assert 0 < logdet(v) - logdet(rough) <= gap


@pytest.mark.parametrize(("n", "m", "k"), [(6, 3, 1), (6, 3, 2), (5, 4, 3), (4, 1, 2)])
def test_uniform_miss_probability_by_enumeration(n, m, k):
    wanted = set(range(k))
    subsets = list(itertools.combinations(range(n), m))
    missed = Fraction(sum(not wanted <= set(s) for s in subsets), len(subsets))
    assert bounds.uniform_miss_probability(n=n, m=m, k=k, draw="without_replacement") == pytest.approx(float(missed), rel=ROUNDING)
    draws = list(itertools.product(range(n), repeat=m))
    missed = Fraction(sum(not wanted <= set(s) for s in draws), len(draws))
    assert bounds.uniform_miss_probability(n=n, m=m, k=k, draw="with_replacement") == float(missed)
    bernoulli = 1 - Fraction(m, n) ** k
    assert bounds.uniform_miss_probability(n=n, m=m, k=k) == pytest.approx(float(bernoulli), rel=ROUNDING)


def test_uniform_miss_probability_against_the_hypergeometric_law_at_size():
    exact = 1 - stats.hypergeom(5000, 20, 4800).pmf(20)
    assert bounds.uniform_miss_probability(n=5000, m=4800, k=20, draw="without_replacement") == pytest.approx(exact, rel=1e-9)
    union = 20 * (1 - 1 / 5000) ** 50_000  # sum over the rows, an upper bound and nearly exact
    missed = bounds.uniform_miss_probability(n=5000, m=50_000, k=20, draw="with_replacement")
    assert 0.99 * union < missed < union


def test_bernoulli_variance_over_all_subsets():
    rng = np.random.default_rng(7)
    terms, q = rng.random(8), rng.uniform(0.1, 1, 8)
    kept = np.array(list(itertools.product([False, True], repeat=8)))
    chance = np.prod(np.where(kept, q, 1 - q), axis=1)
    estimates = kept @ (terms / q)
    assert chance @ estimates == pytest.approx(terms.sum(), rel=ROUNDING)
    assert chance @ (estimates - terms.sum()) ** 2 == pytest.approx(bounds.bernoulli_variance(terms=terms, q=q), rel=1e-10)


def test_fixed_size_variance_over_all_draws():
    rng = np.random.default_rng(8)
    terms, law, m = rng.random(4), rng.dirichlet(np.ones(4)), 3
    draws = np.array(list(itertools.product(range(4), repeat=m)))
    chance = law[draws].prod(axis=1)
    estimates = (terms[draws] / law[draws]).sum(axis=1) / m
    variance = chance @ (estimates - chance @ estimates) ** 2
    assert bounds.fixed_size_variance(terms=terms, probabilities=law, m=m) == pytest.approx(variance, rel=1e-10)


def test_a_row_that_can_never_be_drawn_has_no_variance_formula():
    with pytest.raises(ValueError, match="q must be positive"):
        bounds.bernoulli_variance(terms=[1.0, 2.0], q=[1.0, 0.0])
    with pytest.raises(ValueError, match="probabilities must be positive"):
        bounds.fixed_size_variance(terms=[1.0, 2.0], probabilities=[1.0, 0.0], m=2)


def test_known_total_sensitivities():
    # values of the closed forms worked out by hand
    assert bounds.two_basis_total_sensitivity(d=16, p=1.5) == pytest.approx(32 / 3, rel=ROUNDING)
    assert bounds.two_basis_total_sensitivity(d=16, p=3.0) == pytest.approx(25.6, rel=ROUNDING)
    assert bounds.sign_cube_total_sensitivity(d=4, p=1.0) == pytest.approx(8 / 3, rel=ROUNDING)
    assert bounds.sign_cube_total_sensitivity(d=8, p=1.0) == pytest.approx(128 / 35, rel=ROUNDING)
    for d in (2, 5, 9):
        assert bounds.sign_cube_total_sensitivity(d=d, p=4.0) == pytest.approx(d**3 / (3 * d - 2), rel=ROUNDING)
        assert bounds.sign_cube_total_sensitivity(d=d, p=2.0) == pytest.approx(d, rel=ROUNDING)
        assert bounds.two_basis_total_sensitivity(d=d, p=2.0, bases=3) == pytest.approx(d, rel=ROUNDING)
    # the largest float exponent does not overflow: the moment is taken relative to d
    assert bounds.sign_cube_total_sensitivity(d=12, p=400.0) == pytest.approx(2.0**11, rel=1e-9)


def test_closed_forms_lie_in_the_range_that_the_rank_allows():
    for p in (1.0, 1.5, 3.0, 8.0):
        for d in (2, 4, 16):
            low, high = bounds.total_sensitivity_range(p=p, rank=d)
            assert low <= bounds.two_basis_total_sensitivity(d=d, p=p) <= high
            assert low <= bounds.sign_cube_total_sensitivity(d=d, p=p) <= high


def test_sample_sizes_of_the_table():
    size = {s: bounds.sample_size(sampler=s, p=1.0, d=16, S=6.4, L=1.0) for s in ("lewis", "root_leverage", "l2_augmented", "sensitivity")}
    assert size == {"lewis": 128, "root_leverage": 128, "l2_augmented": math.ceil(8 * 22.4), "sensitivity": math.ceil(8 * 4 * 6.4)}
    assert bounds.sample_size(sampler="sensitivity_power", p=1.0, d=16, S=6.4, L=1.0) == math.ceil(8 * 6.4**2)
    assert bounds.sample_size(sampler="sensitivity_power", p=4.0, d=16, S=27.0, L=1.0) == math.ceil(8 * 27**1.5)
    assert bounds.sample_size(sampler="leverage_sensitivity", p=4.0, d=16, S=25.0, L=1.0) == 8 * 4 * 25
    assert bounds.sample_size(sampler="sensitivity_classical", p=4.0, d=16, S=25.0, L=1.0) == 8 * 400


def test_sharper_sizes_are_never_above_the_weaker_ones():
    for p in (1.0, 1.5, 1.9):
        for d in (2, 9, 40):
            for S in np.linspace(*bounds.total_sensitivity_range(p=p, rank=d), 7):
                size = {
                    s: bounds.sample_size(sampler=s, p=p, d=d, S=S) for s in ("sensitivity", "sensitivity_power", "sensitivity_classical")
                }
                assert size["sensitivity"] <= size["sensitivity_power"] <= size["sensitivity_classical"]


def test_uniform_size_is_that_of_sensitivities_when_rows_are_alike():
    alike = {"n": 100, "max_sensitivity": 0.05}
    assert bounds.sample_size(sampler="uniform", p=1.0, d=8, S=5.0, **alike) == bounds.sample_size(sampler="sensitivity", p=1.0, d=8, S=5.0)
    assert bounds.sample_size(sampler="uniform", p=1.0, d=8, S=5.0, n=100, max_sensitivity=0.5, L=1.0) >= 9 * bounds.sample_size(
        sampler="sensitivity", p=1.0, d=8, S=5.0, L=1.0
    )


def test_gap_identity_equals_primal_minus_dual():
    rng = np.random.default_rng(9)
    t, n = 0.3, 40
    A, x = rng.standard_normal((n, 3)), rng.standard_normal(3)
    r = rng.standard_normal(n)
    y = rng.uniform(t - 1, t, n)
    outside = rng.permutation(n)[:25]
    signs = rng.choice([True, False], 25)
    y[outside] = np.where(signs, t, t - 1)
    # make the dual orthogonal to the columns by choosing the columns, not the dual
    A -= np.outer(y, y @ A) / (y @ y)
    b = A @ x + r
    primal, dual = bounds.quantile_loss(residuals=b - A @ x, quantile=t), float(y @ b)
    band = np.setdiff1d(np.arange(n), outside)
    flipped = outside[np.where(signs, r[outside] < 0, r[outside] > 0)]
    gap = bounds.quantile_gap_identity(band_residuals=r[band], band_dual=y[band], flipped_residuals=r[flipped], quantile=t)
    assert gap == pytest.approx(primal - dual, rel=1e-11)


def test_quantile_loss_is_half_the_absolute_loss_at_the_median_and_takes_weights():
    r, w = np.array([1.0, -2.0, 0.0, 4.0]), np.array([1.0, 2.0, 3.0, 0.5])
    assert bounds.quantile_loss(residuals=r, quantile=0.5) == 3.5
    assert bounds.quantile_loss(residuals=r, quantile=0.25, weights=w) == 0.25 + 3.0 + 0.5


def test_relative_gap_at_zero_loss_is_measured_against_rounding():
    assert bounds.relative_gap(primal=0.0, dual=0.0) == 0.0
    assert bounds.relative_gap(primal=1e-15, dual=-1e-14, scale=10.0) == 0.0
    assert bounds.relative_gap(primal=1e-15, dual=-1e-12, scale=10.0) == pytest.approx(10.01)
    assert bounds.relative_gap(primal=1e-15, dual=0.0) == 1.0
    assert bounds.relative_gap(primal=1.0, dual=1.5) == 0.0


def test_l1_embedding_ratio_where_an_exact_embedding_is_not_enough():
    # every row comes with its negative; keeping one of each pair with weight 2 preserves every l1 norm exactly,
    # but turns the median of b into its quantile
    assert bounds.sketch_and_solve_ratio(eps=0.0) == 1.0
    b, t = np.random.default_rng(10).exponential(size=201), 0.9
    everything = [bounds.quantile_loss(residuals=np.r_[b - x, x - b], quantile=t) for x in (np.quantile(b, t), np.median(b))]
    ratio = everything[0] / everything[1]
    assert 1.5 < ratio <= bounds.sketch_and_solve_ratio(eps=0.0, quantile=t)
    assert bounds.sketch_and_solve_ratio(eps=0.2, quantile=0.1) == pytest.approx(81 * 1.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.lewis_contraction(p=0.5), "p=0.5 must be"),
        (lambda: bounds.relaxed_rate(p=math.inf), "p=inf must be"),
        (lambda: bounds.logdet_gap(p=1.5, rank=2, overshoot=1.0), "concave .* only from p = 2"),
        (lambda: bounds.sample_size(sampler="best", p=1.0, d=2), "sampler='best' is unknown; choose one of lewis"),
        (lambda: bounds.sample_size(sampler="root_leverage", p=3.0, d=2), "covers p <= 2"),
        (lambda: bounds.sample_size(sampler="leverage", p=3.0, d=2), "p = 2 only"),
        (lambda: bounds.sample_size(sampler="leverage_sensitivity", p=1.0, d=2), "covers p >= 2"),
        (lambda: bounds.sample_size(sampler="uniform", p=1.0, d=2), "needs n and max_sensitivity"),
        (lambda: bounds.sample_size(sampler="lewis", p=1.0, d=2, eps=0.0), "eps=0.0 must be positive"),
        (lambda: bounds.sample_size(sampler="lewis", p=1.0, d=2, delta=1.0), "delta=1.0 must lie"),
        (lambda: bounds.sample_size(sampler="lewis", p=1.0, d=0), "d=0 must be at least 1"),
        (lambda: bounds.sample_size(sampler="sensitivity", p=1.0, d=2, S=-1.0), "S=-1.0 must be positive"),
        (lambda: bounds.uniform_miss_probability(n=5, m=6, k=1), "m=6 exceeds n=5"),
        (lambda: bounds.uniform_miss_probability(n=5, m=2, k=6), "need 0 <= k <= n"),
        (lambda: bounds.uniform_miss_probability(n=5, m=2, k=1, draw="lots"), "draw='lots' is unknown"),
        (lambda: bounds.sketch_and_solve_ratio(eps=1.0), "eps=1.0 must lie in"),
        (lambda: bounds.sketch_and_solve_ratio(eps=0.1, quantile=1.0), "quantile=1.0 must lie strictly"),
    ],
)
def test_parameters_outside_a_formula_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
