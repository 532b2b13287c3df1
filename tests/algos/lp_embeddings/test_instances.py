"""The generators' claims about themselves, against enumeration, HiGHS and direct fixed-point iteration."""

import numpy as np
import pytest
from scipy.optimize import linprog

from algos.lp_embeddings import instances

ROUNDING = 1e-12
SOLVER = 1e-7  # HiGHS's own feasibility tolerance


def l1_sensitivity(A, i):
    """max a_i x subject to ||A x||_1 <= 1, a linear programme."""
    n, d = A.shape
    cost = np.r_[-A[i], np.zeros(n)]
    eye = np.eye(n)
    inequalities = np.block([[A, -eye], [-A, -eye], [np.zeros((1, d)), np.ones((1, n))]])
    solution = linprog(cost, A_ub=inequalities, b_ub=np.r_[np.zeros(2 * n), 1.0], bounds=[(None, None)] * (d + n), method="highs")
    return -solution.fun


def lewis_residual(A, p, w):
    t = (np.linalg.qr(w[:, None] ** (0.5 - 1 / p) * A)[0] ** 2).sum(axis=1)
    return np.max(np.abs(t / w - 1))


@pytest.mark.parametrize(
    "instance",
    [
        instances.two_basis(4),
        instances.two_basis(2, copies=3),
        instances.sign_cube(4),
        instances.identity(3),
        instances.one_column([3.0, -1.0, 0.5]),
        instances.two_columns([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0], [-1.0, 0.3]]),
        instances.mixture_hard_instance(2, 2, 2),
    ],
    ids=lambda instance: instance.name,
)
def test_l1_sensitivities_are_those_of_a_linear_programme(instance):
    rows = range(0, instance.A.shape[0], 3)
    np.testing.assert_allclose(instance.sensitivities[list(rows)], [l1_sensitivity(instance.A, i) for i in rows], rtol=SOLVER)


@pytest.mark.parametrize("p", [1.5, 3.0, 6.0])
@pytest.mark.parametrize("make", [instances.two_basis, instances.sign_cube])
def test_lp_sensitivities_are_never_beaten_by_a_direction_and_reached_by_the_row(make, p):
    instance = make(8, p=p)
    rng = np.random.default_rng(1)
    directions = np.hstack([rng.standard_normal((8, 500)), instance.A.T])
    powers = np.abs(instance.A @ directions) ** p
    reached = np.max(powers / powers.sum(axis=0), axis=1)
    np.testing.assert_allclose(reached, instance.sensitivities, rtol=ROUNDING)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 6.0])
def test_lewis_weights_are_a_fixed_point(p):
    for instance in (instances.two_basis(8, 2, p), instances.sign_cube(5, p), instances.mixture_hard_instance(4, 2, 3, p)):
        assert lewis_residual(instance.A, p, instance.lewis_weights) < ROUNDING
        assert instance.lewis_weights.sum() == pytest.approx(instance.rank, rel=ROUNDING)


def test_a_coherent_row_is_the_only_one_in_its_column():
    instance = instances.coherent(n=200, d=3, k=5, scale=1e-3, random_state=2)
    assert np.linalg.matrix_rank(instance.A) == instance.rank == 8
    for lost in instance.special_rows:
        assert np.linalg.matrix_rank(np.delete(instance.A, lost, axis=0)) == 7


@pytest.mark.parametrize("spectrum", ["geometric", "one_small", "one_large"])
def test_condition_number_is_as_ordered_and_column_scales_hide_it(spectrum):
    plain = instances.with_condition(60, 5, 1e4, spectrum, random_state=3).A
    assert np.linalg.cond(plain) == pytest.approx(1e4, rel=1e-9)
    scaled = instances.with_condition(60, 5, 1e4, spectrum, column_scale=1e6, random_state=3).A
    assert np.linalg.cond(scaled) > 1e7
    np.testing.assert_allclose(scaled / scaled[0], plain / plain[0], rtol=1e-10)


def test_random_families_have_full_rank_and_their_own_streams():
    everything = instances.random_families(120, 6, random_state=4)
    assert list(everything) == list(instances.RANDOM_FAMILIES)
    for instance in everything.values():
        assert np.linalg.matrix_rank(instance.A / np.linalg.norm(instance.A, axis=0)) == instance.rank == 6
    alone = instances.random_families(120, 6, names=["one_hot"], random_state=4)["one_hot"]
    np.testing.assert_array_equal(alone.A, everything["one_hot"].A)


def test_quantile_designs_are_what_their_names_say():
    made = instances.quantile_designs(300, 4, 0.3, random_state=5)
    assert list(made) == list(instances.QUANTILE_DESIGNS)
    truth = np.arange(1.0, 5.0)
    exact = made["exact_fit"]
    assert exact.optimum == 0.0
    np.testing.assert_array_equal(exact.A @ truth, exact.b)
    half = made["half_exact"]
    np.testing.assert_array_equal(half.A[:150] @ truth, half.b[:150])
    assert np.min(np.abs(made["bimodal"].b - made["bimodal"].A @ truth)) > 9
    assert np.linalg.matrix_rank(made["rank_deficient"].A) == 3
    assert 1e6 < np.linalg.cond(made["nearly_collinear"].A) < 1e8
    assert len(np.unique(made["duplicated"].A, axis=0)) <= 15
    assert all(design.quantile == 0.3 and design.A.shape == (300, 4) for design in made.values())


def test_arrays_cannot_be_changed_by_an_algorithm_under_test():
    with pytest.raises(ValueError, match="read-only"):
        instances.two_basis(2).A[0, 0] = 5.0
    with pytest.raises(ValueError, match="read-only"):
        instances.quantile_designs()["ties"].b[0] = 5.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: instances.two_basis(6), "d=6 must be a power of two"),
        (lambda: instances.one_column([0.0]), "other than zero"),
        (lambda: instances.two_columns(np.ones((4, 2))), "rank 2"),
        (lambda: instances.coherent(n=5, d=3, k=3), "n=5 must be at least d"),
        (lambda: instances.with_condition(9, 2, 10.0, "flat"), "spectrum='flat' is unknown"),
        (lambda: instances.random_families(5, 2), "n=5, d=2"),
        (lambda: instances.random_families(names=["odd"]), "odd"),
        (lambda: instances.quantile_designs(quantile=1.0), "quantile=1.0 must lie"),
        (lambda: instances.quantile_designs(n=3, d=3), "need n > d"),
        (lambda: instances.quantile_designs(names=["odd"]), "odd"),
    ],
)
def test_impossible_orders_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
