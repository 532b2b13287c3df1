"""Optimal designs: the rank as the optimum, classical points, and the same answer whatever form the table has."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import legendre
from sklearn.exceptions import ConvergenceWarning

from algos.misspecified_bandits import g_optimal_design
from algos.misspecified_bandits.bounds import core_set_size, design_pulls, multiplicative_rounds, multiplicative_variance

ROUNDING = 1e-9
FAMILIES = [
    "gauss",
    "heavy tails",
    "grid",
    "cube",
    "dependent",
    "repeated",
    "zero rows",
    "few actions",
    "float32",
    "units",
    "affine",
    "flat",
]


def table(kind, seed=0, n=300, d=5):
    rng = np.random.default_rng([seed, FAMILIES.index(kind)])
    X = rng.standard_normal((n, d))
    match kind:
        case "heavy tails":
            X = rng.standard_t(1.5, (n, d))
        case "grid":
            X = legendre.legvander(np.linspace(-1.0, 1.0, n), d - 1)
        case "cube":
            X = np.array(np.meshgrid(*[[-1.0, 1.0]] * d)).reshape(d, -1).T
        case "dependent":
            X = X[:, :3] @ rng.standard_normal((3, d))
        case "repeated":
            X = np.repeat(X[:20], n // 20, axis=0)
        case "zero rows":
            X[::2] = 0.0
        case "few actions":
            X = X[:3]
        case "float32":
            X = X.astype(np.float32)
        case "units":
            X = X * 10.0 ** np.array([-150, -3, 0, 4, 150])
        case "affine":
            X[:, 0] = 1.0
        case "flat":
            X[:, 1:] *= 1e-7
            X[:, 1] += X[:, 0]
    return X


def variances(X, p):
    """By a singular value decomposition of the weighted rows, columns in units of their largest entries."""
    X = np.asarray(X, dtype=np.float64)
    X = X / np.maximum(np.abs(X).max(axis=0), 1e-300)
    values, right = np.linalg.svd(X * np.sqrt(p)[:, None], full_matrices=False)[1:]
    kept = values > 1e-12 * values[0]
    return ((X @ right[kept].T / values[kept]) ** 2).sum(axis=1), int(kept.sum())


@pytest.mark.parametrize("options", [{}, {"tol": 1.0}, {"init": "uniform"}, {"method": "multiplicative", "tol": 0.1}], ids=str)
@pytest.mark.parametrize("kind", FAMILIES)
def test_the_largest_variance_is_nearly_the_rank(kind, options):
    X = table(kind)
    design = g_optimal_design(X, random_state=0, **options)
    assert design.converged
    assert design.weights.min() >= 0.0
    assert design.weights.sum() == pytest.approx(1.0, rel=ROUNDING)
    assert design.support.tolist() == np.flatnonzero(design.weights).tolist()
    h, rank = variances(X, design.weights)
    assert rank == design.rank
    assert h.max() == pytest.approx(design.g, rel=1e-6)
    assert design.rank * (1.0 - ROUNDING) <= design.g <= (1.0 + options.get("tol", 1e-2)) * design.rank


@pytest.mark.parametrize("degree", [1, 2, 4, 7])
def test_polynomials_are_best_seen_at_the_ends_and_where_the_legendre_polynomial_is_flat(degree):
    special = np.append(legendre.Legendre.basis(degree).deriv().roots().real, [-1.0, 1.0])
    t = np.sort(np.append(special, np.linspace(-0.97, 0.97, 40)))
    design = g_optimal_design(legendre.legvander(t, degree), tol=1e-6, random_state=1)
    assert design.weights[np.isin(t, special)] == pytest.approx(1.0 / (degree + 1), abs=1e-4)


@pytest.mark.parametrize("rounds", [1, 5, 20])
@pytest.mark.parametrize("kind", ["gauss", "heavy tails", "dependent", "repeated"])
def test_the_multiplicative_method_averages_and_keeps_its_bound(kind, rounds):
    X = table(kind, seed=3)
    n, r = len(X), np.linalg.matrix_rank(X)
    w, total = np.full(n, r / n), np.zeros(n)
    for _ in range(rounds):
        total += w
        w = w * variances(X, w)[0]
    with pytest.warns(ConvergenceWarning, match="g = "):
        design = g_optimal_design(X, method="multiplicative", tol=0.0, max_iter=rounds)
    assert (design.n_iter, design.converged) == (rounds, False)
    assert design.weights == pytest.approx(total / total.sum(), rel=1e-8)
    assert design.g <= multiplicative_variance(rank=r, n_actions=n, n_iter=rounds) * (1.0 + ROUNDING)


def test_as_many_rounds_as_the_bound_asks_for_are_enough():
    X = table("heavy tails", seed=1)
    assert multiplicative_variance(rank=5, n_actions=300, n_iter=multiplicative_rounds(rank=5, n_actions=300, tol=0.2)) <= 6.0
    design = g_optimal_design(X, method="multiplicative", tol=0.2)
    assert design.converged
    assert design.n_iter <= multiplicative_rounds(rank=5, n_actions=300, tol=0.2)


@pytest.mark.parametrize("kind", FAMILIES)
def test_twice_the_rank_takes_few_actions(kind):
    design = g_optimal_design(table(kind, seed=2), tol=1.0, random_state=2)
    assert design.support.size <= core_set_size(rank=design.rank)


def test_actions_beyond_the_active_ones_are_found():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((4000, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    X[3456] *= 5.0  # one long action, which every good design must query
    design = g_optimal_design(X, random_state=0)
    assert design.g <= 1.01 * 3
    assert design.weights[3456] > 0.3


@given(st.integers(0, 10**6))
def test_new_coordinates_change_no_design(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((25, 3))
    mixed = X @ rng.standard_normal((3, 3)) * 1e3
    first = g_optimal_design(X, tol=1e-6, random_state=0)
    second = g_optimal_design(np.hstack([mixed, mixed[:, :1]]), tol=1e-6, random_state=0)
    ours, theirs = (X.T @ (design.weights[:, None] * X) for design in (first, second))
    assert ours == pytest.approx(theirs, abs=1e-2)  # the weights need not be unique, the matrix is
    assert np.linalg.slogdet(ours)[1] == pytest.approx(np.linalg.slogdet(theirs)[1], abs=1e-5)


def test_every_form_of_the_table_gives_the_same_design(tmp_path):
    X = table("gauss", n=700)
    X[np.abs(X) < 0.5] = 0.0
    np.save(tmp_path / "X.npy", X)
    dense = g_optimal_design(X, random_state=3)
    for other in (X.tolist(), np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r"), [X[:33], X[33:]]):
        again = g_optimal_design(other, random_state=3)
        assert again.weights.tolist() == dense.weights.tolist()
    sparse = g_optimal_design(sp.csr_array(X), random_state=3)
    assert sparse.g == pytest.approx(dense.g, rel=1e-6)
    single = g_optimal_design(X.astype(np.float32), random_state=3)
    assert single.g == pytest.approx(dense.g, rel=1e-3)


def test_a_limit_leaves_a_valid_design_with_its_true_value():
    X = table("gauss")
    with pytest.warns(ConvergenceWarning, match="raise max_iter or tol"):
        design = g_optimal_design(X, tol=1e-6, max_iter=10, random_state=0)
    assert (design.n_iter, design.converged) == (10, False)
    assert variances(X, design.weights)[0].max() == pytest.approx(design.g, rel=ROUNDING)
    assert design.g > 5 * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["gauss", "dependent", "cube"])
def test_a_reduced_design_is_as_good(kind):
    X = table(kind)
    full = g_optimal_design(X, method="multiplicative", tol=0.2)
    few = full.reduced(X)
    r = full.rank
    assert few.support.size <= r * (r + 1) // 2 + 1 < full.support.size
    assert few.g == pytest.approx(full.g, rel=1e-8)
    assert X.T @ (few.weights[:, None] * X) == pytest.approx(X.T @ (full.weights[:, None] * X), abs=1e-8)
    with pytest.raises(ValueError, match="its own table"):
        full.reduced(X[1:])


def test_pulls_in_proportion_lose_nothing():
    X = table("gauss")
    design = g_optimal_design(X, random_state=0)
    for method, most in (("ceil", 60 + design.support.size), ("efficient", 60)):
        pulls = design.round(60, method)
        assert 60 <= pulls.sum() <= most
        assert np.flatnonzero(pulls).tolist() == design.support.tolist()
    assert variances(X, design.round(60).astype(float))[0].max() <= design.g / 60 * (1 + ROUNDING)
    assert design_pulls(sigma=0.0, variance=design.g, n_actions=9, delta=0.1, error=1.0) == 1


def test_tiny_tables():
    zero = g_optimal_design(np.zeros((4, 2)))
    assert (zero.rank, zero.g, zero.weights.tolist(), zero.converged) == (0, 0.0, [1.0, 0.0, 0.0, 0.0], True)
    assert zero.reduced(np.zeros((4, 2))) is zero
    one = g_optimal_design([[3.0, 4.0]])
    assert (one.rank, one.weights.tolist()) == (1, [1.0])
    assert one.g == pytest.approx(1.0)
    longest = g_optimal_design([[1.0], [-3.0], [2.0]], init="uniform")
    assert longest.weights.tolist() == [0.0, 1.0, 0.0]


def test_bad_input_is_named():
    X = table("gauss")
    with pytest.raises(ValueError, match="NaN"):
        g_optimal_design(np.where(X > 2, np.nan, X))
    for name, value in (("tol", -1.0), ("max_iter", 0), ("method", "newton"), ("init", "random")):
        with pytest.raises(ValueError, match=name):
            g_optimal_design(X, **{name: value})
    with pytest.raises(ValueError, match="dimension"):
        g_optimal_design(X[0])
    with pytest.raises(ValueError, match="eps"):
        g_optimal_design(X).worst_case(-1.0)
    for call in (
        lambda: multiplicative_variance(rank=3, n_actions=2, n_iter=1),
        lambda: multiplicative_rounds(rank=1, n_actions=2, tol=0.0),
        lambda: core_set_size(rank=0),
        lambda: design_pulls(sigma=1.0, variance=1.0, n_actions=1, delta=1.0, error=1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
