"""The exact oracles against integer programming, against trying every direction, and on data whose answer is known."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from algos.testable_halfspaces._arguments import read_only
from algos.testable_halfspaces._exact_lines import sweep
from algos.testable_halfspaces._kernels import half_circle_keys, sweep_half_circle
from algos.testable_halfspaces.exact_oracles import exact_halfspace_error


def mistakes_of(X, y, w):
    """Mistakes of sign(<w, x>), sign(0) = +1, in rational arithmetic."""
    w = [Fraction(float(v)) for v in w]
    wrong = 0
    for row, label in zip(np.asarray(X, dtype=float).tolist(), y, strict=True):
        wrong += (sum(a * Fraction(b) for a, b in zip(w, row, strict=True)) >= 0) != (label > 0)
    return wrong


def by_integer_programme(X, y):
    """HiGHS: minimise the mistakes over w with one coordinate fixed to 1 or -1; small integer rows, so a margin of 1e-3 separates."""
    n, d = X.shape
    big = 4.0 * np.abs(X).max() * d
    best = n
    for j, side in product(range(d), (-1.0, 1.0)):
        low, high = np.r_[np.full(d, -1.0), np.zeros(n)], np.r_[np.full(d, 1.0), np.ones(n)]
        low[j] = high[j] = side
        margin = np.where(y > 0, 0.0, 1e-3)
        constraint = LinearConstraint(np.hstack([y[:, None] * X, big * np.eye(n)]), margin, np.inf)
        solution = milp(
            np.r_[np.zeros(d), np.ones(n)],
            constraints=constraint,
            bounds=Bounds(low, high),
            integrality=np.r_[np.zeros(d), np.ones(n)],
            options={"mip_rel_gap": 0.0},
        )
        assert solution.status == 0
        best = min(best, round(solution.fun))
    return best


def by_every_direction(X, y):
    """Try directions orthogonal to a row, and the middles between neighbours of those, all in integers (d = 2)."""
    turned = [(-int(b), int(a)) for a, b in X] + [(int(b), -int(a)) for a, b in X]
    turned = sorted((p for p in set(turned) if p != (0, 0)), key=lambda p: np.arctan2(p[1], p[0]))
    scale = 10**6
    fine = [(round(scale * np.cos(phi)), round(scale * np.sin(phi))) for phi in np.linspace(0, 2 * np.pi, 2000, endpoint=False) + 1e-4]
    return min(mistakes_of(X, y, w) for w in [*turned, *fine])


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_small_lattices_have_the_optimum_of_an_integer_programme(d, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (10, d)).astype(float)  # parallel, opposite, coplanar and zero rows all occur
    y = rng.choice([-1.0, 1.0], 10)
    found = exact_halfspace_error(X, y)
    assert found.n_mistakes == by_integer_programme(X, y)
    assert found.error == found.n_mistakes / 10


@given(seed=st.integers(0, 10_000), size=st.integers(1, 12), spread=st.integers(1, 3))
def test_plane_lattices_have_the_optimum_over_every_direction(seed, size, spread):
    rng = np.random.default_rng(seed)
    X = rng.integers(-spread, spread + 1, (size, 2)).astype(float)
    y = rng.choice([-1.0, 1.0], size)
    found = exact_halfspace_error(X, y)
    assert found.n_mistakes == by_every_direction(X, y)
    assert mistakes_of(X, y, found.w) == found.n_mistakes


@given(seed=st.integers(0, 10_000), size=st.integers(1, 9), d=st.sampled_from([1, 2, 3]), lattice=st.booleans())
def test_direction_attains_the_number(seed, size, d, lattice):
    rng = np.random.default_rng(seed)
    X = rng.integers(-1, 2, (size, d)).astype(float) if lattice else rng.standard_normal((size, d))
    y = rng.choice([-1.0, 1.0], size)
    found = exact_halfspace_error(X, y)
    if d < 3 or not lattice:  # in space the best direction may be a ray or an arc that floats miss
        assert mistakes_of(X, y, found.w) == found.n_mistakes
    tried = rng.standard_normal((200, d))
    wrong = np.count_nonzero((X @ tried.T >= 0) != (y > 0)[:, None], axis=0)
    assert found.n_mistakes <= wrong.min()


@pytest.mark.parametrize("d", [2, 3])
def test_general_position_and_duplicated_rows_agree(d):
    """Doubling the rows makes every breakpoint a tie, so that the slow path must find twice the number of the fast one."""
    rng = np.random.default_rng(7)
    X, y = rng.standard_normal((60, d)), rng.choice([-1.0, 1.0], 60)
    once = exact_halfspace_error(X, y).n_mistakes
    assert exact_halfspace_error(np.vstack([X, X]), np.r_[y, y]).n_mistakes == 2 * once
    assert exact_halfspace_error(np.vstack([X, 4.0 * X]), np.r_[y, y]).n_mistakes == 2 * once
    assert exact_halfspace_error(np.vstack([X, -X]), np.r_[y, -y]).n_mistakes == 2 * once
    assert exact_halfspace_error(2.0**300 * X, y).n_mistakes == exact_halfspace_error(2.0**-300 * X, y).n_mistakes == once


def test_space_restricted_to_a_plane_is_the_plane():
    rng = np.random.default_rng(3)
    flat, y = rng.integers(-4, 5, (25, 2)).astype(float), rng.choice([-1.0, 1.0], 25)
    lifted = np.column_stack([flat, np.zeros(25)])
    zero_rows = np.count_nonzero(y < 0)
    # in space w may also be orthogonal to the whole plane, which predicts +1 everywhere
    assert exact_halfspace_error(lifted, y).n_mistakes == min(exact_halfspace_error(flat, y).n_mistakes, zero_rows)


def test_boundary_helps_where_open_arcs_lose():
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert exact_halfspace_error(X, [1, 1, 1, -1]).n_mistakes == 0
    assert (
        exact_halfspace_error(X + np.array([0.0, 1e-300]), [1, 1, 1, -1]).n_mistakes == 0
    )  # no longer on one line: an open arc has it too
    assert exact_halfspace_error(X, [-1, -1, 1, -1]).n_mistakes == 1
    assert exact_halfspace_error(np.zeros((3, 2)), [1, -1, -1]).n_mistakes == 2


def test_neighbouring_floats_are_told_apart():
    tiny = np.nextafter(1.0, 2.0)
    X = np.array([[1.0, 1.0], [1.0, tiny], [-1.0, -1.0], [1.0, 3.0], [1.0, -3.0]])
    y = np.array([1, -1, 1, -1, 1])
    found = exact_halfspace_error(X, y)
    assert found.n_mistakes == mistakes_of(X, y, found.w) == 0  # on the boundary of the first and third row, the second beyond it


@pytest.mark.parametrize("d", [1, 2, 3])
def test_planted_halfspace_has_no_mistakes_and_flips_count(d):
    rng = np.random.default_rng(d)
    X = rng.standard_normal((80, d))
    w = rng.standard_normal(d)
    y = np.where(X @ w >= 0, 1.0, -1.0)
    assert exact_halfspace_error(X, y).n_mistakes == 0
    y[:3] *= -1
    assert exact_halfspace_error(X, y).n_mistakes <= 3


def keys_twin(X, y):
    keys, before = [], []
    for (a, b), label in zip(X, y, strict=True):
        if a or b:
            angle = np.arctan2(a, -b)
            above = 0 <= angle < np.pi
            keys.append(angle % np.pi)
            before.append(above != (label > 0))
    return np.array(keys), np.array(before)


def test_keys_sort_like_angles_and_carry_the_side():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((500, 2)), rng.choice([-1.0, 1.0], 500)
    X[7], X[9] = 0.0, [0.0, 2.0]
    y[7] = -1.0
    keys = np.empty(500)
    used, wrong, lost = half_circle_keys(read_only(X), read_only(y), keys)
    angles, before = keys_twin(X, y)
    assert (used, wrong, lost) == (499, np.count_nonzero(before), 1)
    np.testing.assert_array_equal(np.argsort(keys[:used]), np.argsort(angles))
    np.testing.assert_array_equal(keys[:used].view(np.int64) & 1, before)


def test_sweep_kernel_and_twin_count_alike():
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, 300)
    keys = np.sort(1.0 + 2.0 * rng.random(300))
    keys = ((keys.view(np.int64) & ~1) | bits).view(np.float64)
    fewest, at_fewest, most, at_most, close = sweep_half_circle(keys, 150, 2.0**-48)
    reached = 150 + np.r_[0, np.cumsum(1 - 2 * bits)]
    assert (fewest, at_fewest, most, at_most) == (reached.min(), reached.argmin(), reached.max(), reached.argmax())
    assert close == bool(np.any(np.diff(keys) <= 2.0**-48))
    arcs = sweep(bits, 1 - bits, bits, np.ones(300, dtype=bool))
    assert arcs.arc == min(reached.min() - 150 + bits.sum(), 300 - (reached.max() - 150 + bits.sum()))
    assert sweep_half_circle(np.array([1.5, 1.5 + 2.0**-50]), 1, 2.0**-48)[4]


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 4)), [1, 1, -1], "X has 4 columns; the exact search is for at most 3"),
        (np.ones((3, 2)), [0, 1, 1], r"labels must be -1 and \+1"),
        ([[np.inf, 0.0]], [1], "infinite entry in row 0"),
        (np.ones(3), [1, 1, 1], "1 dimension"),
    ],
)
def test_bad_input_is_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        exact_halfspace_error(X, y)
