"""Disagreement within a cone: exact enumeration in the plane and in space, Gaussian slope, edge cases, the test built on it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algos.testable_halfspaces import bounds, disagreement_bound, disagreement_test
from algos.testable_halfspaces._certificate_check import cone_count, plain_view
from algos.testable_halfspaces._geometry import View, row_source
from algos.testable_halfspaces.disagreement import cone_bound, whole_count

SAMPLING = 0.03  # of a slope measured on 200,000 rows of which some 20,000 lie in the cone

MARGINALS = {
    "gaussian": lambda n, d, rng: rng.standard_normal((n, d)),
    "t1.5": lambda n, d, rng: rng.standard_t(1.5, (n, d)),
    "cube": lambda n, d, rng: rng.choice([-1.0, 1.0], (n, d)),
    "lattice": lambda n, d, rng: rng.integers(-2, 3, (n, d)).astype(float),
    "two points": lambda n, d, rng: np.where(rng.random((n, 1)) < 0.5, np.eye(d)[0] * 0.05 + np.eye(d)[1], np.eye(d)[0]),
    "mixture": lambda n, d, rng: rng.choice([0.05, 1.0], (n, 1)) * rng.standard_normal((n, d)) + rng.choice([0.0, 1.0], (n, 1)),
    "next to the hyperplane": lambda n, d, rng: rng.standard_normal((n, d)) * np.r_[0.02, np.ones(d - 1)],
}  # fmt: skip


def rivals_in_the_plane(X, w, theta):
    """All directions within the cone where some row changes sides, both neighbours of each, and the ends of the cone."""
    w = w / np.linalg.norm(w)
    turn = np.arctan2(X @ np.r_[-w[1], w[0]], X @ w)  # angle of the row from w
    edges = np.concatenate([turn + np.pi / 2, turn - np.pi / 2, [theta, -theta]])
    edges = (edges + np.pi) % (2 * np.pi) - np.pi
    edges = np.concatenate([edges, edges + 1e-9, edges - 1e-9])
    edges = edges[np.abs(edges) <= theta]
    return np.cos(edges)[:, None] * w + np.sin(edges)[:, None] * np.r_[-w[1], w[0]]


def rivals_in_space(X, w, theta, rng):
    """Directions orthogonal to two rows and random ones, slightly moved, as far as they lie within the cone."""
    w = w / np.linalg.norm(w)
    pairs = np.array(list(itertools.combinations(range(len(X)), 2)))
    normals = np.cross(X[pairs[:, 0]], X[pairs[:, 1]])
    normals = np.vstack([normals, -normals, w + math.tan(theta) * rng.standard_normal((3000, 3))])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 0] / lengths[lengths > 0, None]
    normals = np.vstack([normals + 1e-7 * rng.standard_normal(normals.shape) for _ in range(4)])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    return normals[normals @ w >= math.cos(theta)]


def most_disagreement(X, w, rivals):
    return int(np.max(np.count_nonzero((rivals @ X.T >= 0) != (X @ w >= 0), axis=1), initial=0))


@pytest.mark.parametrize("marginal", MARGINALS)
def test_no_rival_in_the_plane_disagrees_on_more_rows(marginal):
    rng = np.random.default_rng(0)
    for trial in range(40):
        n = int(rng.choice([3, 20, 150]))
        X = MARGINALS[marginal](n, 2, rng)
        w = rng.standard_normal(2) if trial % 3 else np.eye(2)[0]
        theta = float(rng.choice([1e-6, 0.03, 0.3, 1.0, 1.5]))
        bound = disagreement_bound(X, w, theta)
        assert most_disagreement(X, w, rivals_in_the_plane(X, w, theta)) <= bound.count, trial
        assert bound.count <= bound.n_possible <= n
        assert bound.value <= 1.0


@pytest.mark.parametrize("marginal", MARGINALS)
def test_no_rival_in_space_disagrees_on_more_rows(marginal):
    rng = np.random.default_rng(1)
    for _ in range(8):
        X = MARGINALS[marginal](30, 3, rng)
        w, theta = rng.standard_normal(3), float(rng.choice([0.05, 0.3, 1.2]))
        assert most_disagreement(X, w, rivals_in_space(X, w, theta, rng)) <= disagreement_bound(X, w, theta).count


@pytest.mark.parametrize("d", [6, 12])
def test_no_ascent_finds_more_disagreement_in_high_dimension(d):
    rng = np.random.default_rng(d)
    for marginal in ("gaussian", "cube", "t1.5"):
        X = MARGINALS[marginal](400, d, rng)
        w, theta = np.eye(d)[0] + 0.1, 0.3
        bound = disagreement_bound(X, w, theta)
        unit = w / np.linalg.norm(w)
        z = X - np.outer(X @ unit, unit)
        z *= np.where(X @ unit < 0, -1.0, 1.0)[:, None]
        V = np.vstack([bound.direction, -bound.direction, rng.standard_normal((60, d)), -z[np.abs(X @ unit) < 0.3][:60]])
        V -= np.outer(V @ unit, unit)
        V = V[np.linalg.norm(V, axis=1) > 0]
        for _ in range(15):  # move towards the rows that differ, and those that nearly do
            V /= np.linalg.norm(V, axis=1)[:, None]
            u = V @ z.T
            near = u <= -0.7 * np.abs(X @ unit) / math.tan(theta)
            V = V - 0.5 * near @ z / np.maximum(near.sum(axis=1), 1)[:, None]
            V -= np.outer(V @ unit, unit)
        V /= np.linalg.norm(V, axis=1)[:, None]
        assert most_disagreement(X, w, math.cos(theta) * unit + math.sin(theta) * V) <= bound.count


def test_gaussian_slope_is_that_of_the_formula():
    X = np.random.default_rng(0).standard_normal((200_000, 10))
    bound = disagreement_bound(X, np.eye(10)[0], 0.05)
    assert bound.method == "mixed"
    assert bound.value / math.tan(0.05) <= bounds.gaussian_disagreement_slope() * (1 + SAMPLING)
    assert bound.value / math.tan(0.05) >= bounds.gaussian_disagreement_slope() * (1 - 2 * SAMPLING)  # rows outside the cone drop out
    assert np.linalg.norm(bound.direction) == pytest.approx(1.0)
    assert bound.direction[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("short", "long"), [(1.0, 1e6), (1.0, 1e78), (1.0, 1e140), (1e-100, 1e100), (1e-150, 1e150), (1e-200, 1.0)])
def test_rows_of_any_length_are_counted(short, long):
    X = np.array([[5.0, 1.0]] * 3 + [[0.1, 1.0], [0.1, -1.0]] * 2 + [[0.5, -1.0]] * 3)
    w = np.array([1.0, 0.0])
    assert most_disagreement(X, w, rivals_in_the_plane(X, w, np.pi / 4)) == 5
    X *= np.r_[[short] * 7, [long] * 3][:, None]
    bound = disagreement_bound(X, w, np.pi / 4)
    assert bound.count >= 5
    rows = plain_view(row_source(X), w, False, None, 0.0, np.pi / 4)
    proof = {"method": bound.method, "scale": bound.scale, "multiplier": bound.multiplier, "lam": bound.lam}
    assert 5 <= cone_count(rows, np.ones(10, dtype=bool), np.pi / 4, **proof) <= bound.count


def test_direction_points_to_the_planted_rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 5))
    v = np.r_[0.0, 0.6, 0.0, 0.8, 0.0]
    X[:400] = 0.01 * np.eye(5)[0] - v  # all turned over at once by a small tilt towards v
    bound = disagreement_bound(X, np.eye(5)[0], 0.05)
    assert abs(bound.direction @ v) > 0.99
    assert bound.count >= 400


def test_ends_of_the_range():
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-2.0, 1.0]])
    assert disagreement_bound(X, [1.0, 0.0], 0.0).n_possible == 2  # rows on the hyperplane may go either way by rounding
    assert disagreement_bound(X[[0, 3]], [1.0, 0.0], 0.0).count == 0
    assert disagreement_bound(X, [1.0, 0.0], np.pi / 2).count == 4
    assert disagreement_bound(X, [1.0, 0.0], np.pi).value == 1.0
    assert disagreement_bound([[3.0], [-1.0]], [2.0], 1.0).count == 0  # one column: no other direction


def test_a_row_on_the_hyperplane_counts_whatever_its_label_side():
    X = np.array([[0.0, 1.0], [0.0, -1.0], [5.0, 1.0]])
    bound = disagreement_bound(X, [1.0, 0.0], 1e-3)
    assert bound.count == 2
    settled = np.array([True, True, False])
    assert cone_bound(View.of(X, [1.0, 0.0]), 1e-3, settled).count == 0


@given(st.integers(0, 10**6))
def test_units_rotation_and_duplicates(seed):
    rng = np.random.default_rng(seed)
    X, w = rng.standard_t(3, (60, 3)), rng.standard_normal(3)
    theta = float(rng.uniform(0.01, 1.4))
    base = disagreement_bound(X, w, theta)
    Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    for other in (
        disagreement_bound(X @ Q, Q.T @ w, theta),
        disagreement_bound(X * 1e-100, w, theta),
        disagreement_bound(X * 1e100, 1e-50 * w, theta),
        disagreement_bound(-X, w, theta),
        disagreement_bound(np.repeat(X, 3, axis=0), w, theta),
    ):
        assert other.value == pytest.approx(base.value, rel=1e-9)


@pytest.mark.parametrize(("share", "n", "count"), [(15 / 22, 22, 15), (0.1 + 0.2, 10, 3), (0.29999, 10, 2), (1.7, 10, 10), (0.0, 5, 0)])
def test_shares_become_whole_rows_without_losing_one(share, n, count):
    assert whole_count(share, n) == count


def test_test_passes_gaussian_rows_and_names_the_direction_otherwise():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 4))
    good = disagreement_test(X, [1.0, 0, 0, 0], 0.1, null_mean=0.99, null_sd=0.01, p_value=0.4)
    assert good.passed
    assert (good.name, good.n_used, good.null_mean, good.p_value) == ("disagreement", 20_000, 0.99, 0.4)
    assert not disagreement_test(X, [1.0, 0, 0, 0], 0.1, threshold=0.3).passed
    X[:5000] = X[:5000] * np.r_[1e-3, 0.1, 0.1, 0.1] + np.r_[0, 0, 2.0, 0]
    bad = disagreement_test(X, [1.0, 0, 0, 0], 0.02)
    assert not bad.passed
    assert abs(bad.direction[2]) > 0.95


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((np.ones((3, 2)), [1, 0], -0.1), {}, ValueError, "theta=-0.1"),
        ((np.ones((3, 2)), [1, 0], 4.0), {}, ValueError, "theta=4.0"),
        ((np.ones((3, 2)), [1, 0], None), {}, TypeError, "theta=None"),
        ((np.ones((3, 2)), [1, 0, 1], 0.1), {}, ValueError, "w has shape"),
        ((np.full((3, 2), np.inf), [1, 0], 0.1), {}, ValueError, "infinite"),
        ((np.ones((3, 2)), [1, 0], 0.0), {"threshold": 3.0}, ValueError, "theta=0.0"),
        ((np.ones((3, 2)), [1, 0], 0.1), {"threshold": -3.0}, ValueError, "threshold=-3.0"),
    ],
)
def test_bad_input(arguments, options, error, message):
    function = disagreement_test if options else disagreement_bound
    with pytest.raises(error, match=message):
        function(*arguments, **options)


def test_no_quartic_form_is_built_beyond_sixty_columns():
    X = np.random.default_rng(0).standard_normal((500, 400))
    assert disagreement_bound(X, np.eye(400)[0], 1.2).method in ("quadratic", "count")
