"""The bracket must contain exact sensitivities for any weights, and close where theory says so."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.common.blocks import RowSource
from algos.lp_embeddings import instances, sensitivity_bracket

ROUNDING = 1e-9  # leverage scores of well-conditioned tables are right to about 1e-14; the powers of p at most 10 keep nine digits


def exact_instances(p):
    rng = np.random.default_rng(21)
    made = [
        instances.two_basis(4, 2, p),
        instances.two_basis(16, 1, p),
        instances.sign_cube(5, p),
        instances.identity(4, p),
        instances.one_column(rng.standard_t(1.2, 30), p),
        instances.mixture_hard_instance(4, 2, 3, p),
    ]
    return [*made, instances.two_columns(rng.standard_normal((25, 2)))] if p == 1.0 else made


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 3.0, 6.0, 10.0])
def test_exact_sensitivities_lie_inside_for_any_weights(p):
    rng = np.random.default_rng(22)
    for instance in exact_instances(p):
        n = instance.A.shape[0]
        spike = np.ones(n)
        spike[0] = 1e6
        for v in (np.ones(n), np.exp(rng.standard_normal(n)), np.exp(5 * rng.standard_normal(n)), spike):
            lower, upper = sensitivity_bracket(instance.A, p, v)
            assert np.all(lower <= instance.sensitivities * (1 + ROUNDING)), instance.name
            assert np.all(instance.sensitivities <= upper * (1 + ROUNDING)), instance.name


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 6.0])
def test_lewis_weights_give_the_ratio_of_the_theory(p):
    for instance in exact_instances(p):
        if instance.lewis_weights is not None:
            lower, upper = sensitivity_bracket(instance.A, p, instance.lewis_weights)
            assert np.max(upper / lower) <= instance.rank ** abs(1 - p / 2) * (1 + ROUNDING)


def test_ones_give_root_leverage_scores():
    A = np.random.default_rng(23).standard_normal((30, 4))
    tau = (np.linalg.qr(A)[0] ** 2).sum(axis=1)
    upper = sensitivity_bracket(A, 1.0, np.ones(30)).upper
    np.testing.assert_allclose(upper, np.minimum(1, np.sqrt(tau) * np.sqrt(tau.max())), rtol=ROUNDING)
    upper = sensitivity_bracket(A, 4.0, np.ones(30)).upper
    np.testing.assert_allclose(upper, np.minimum(1, 30 * tau**2), rtol=ROUNDING)


@given(seed=st.integers(0, 2**32 - 1), p=st.floats(1.0, 12.0), factor=st.sampled_from([1e-200, 1e-3, 1e200]))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_no_direction_beats_the_upper_bound_and_scales_do_not_matter(seed, p, factor):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((20, 3)) * np.exp(rng.standard_normal((20, 1)))
    v = np.exp(rng.standard_normal(20))
    lower, upper = sensitivity_bracket(A, p, v)
    powers = np.abs(A @ rng.standard_normal((3, 300))) ** p
    assert np.all(np.max(powers / powers.sum(axis=0), axis=1) <= upper * (1 + ROUNDING))
    assert np.all(lower <= upper * (1 + ROUNDING))
    np.testing.assert_allclose(sensitivity_bracket(A, p, factor * v), [lower, upper], rtol=1e-7)


def test_sparse_and_streamed_tables_and_zero_rows():
    rng = np.random.default_rng(24)
    A = rng.standard_normal((30, 3)) * (rng.random((30, 3)) < 0.6)
    A[4] = 0.0
    v = rng.uniform(0.5, 1.5, 30)
    v[4] = 0.0
    expected = sensitivity_bracket(A, 1.5, v)
    assert expected.lower[4] == expected.upper[4] == 0.0
    np.testing.assert_allclose(sensitivity_bracket(sp.csr_array(A), 1.5, v), expected, rtol=ROUNDING)
    np.testing.assert_allclose(sensitivity_bracket(RowSource([A[:7], A[7:]]), 1.5, v), expected, rtol=ROUNDING)


@pytest.mark.parametrize(
    ("p", "v", "message"),
    [
        (0.9, np.ones(3), "p=0.9 is outside"),
        (math.inf, np.ones(3), "p=inf is not covered"),
        (1.0, np.ones(2), r"v has shape \(2,\)"),
        (1.0, [1.0, math.nan, 1.0], r"v\[1\]=nan must be finite"),
        (1.0, [1.0, 1.0, -2.0], r"v\[2\]=-2.0 must be finite and not negative"),
        (1.0, [1.0, 0.0, 1.0], r"v\[1\] is 0 although row 1 of A is not zero"),
    ],
)
def test_bad_arguments_are_named(p, v, message):
    with pytest.raises(ValueError, match=message):
        sensitivity_bracket(np.arange(6.0).reshape(3, 2) + 1.0, p, v)
