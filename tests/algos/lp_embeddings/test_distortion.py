import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.lp_embeddings import bounds, distortion, instances
from algos.lp_embeddings._distortion_exact import arc_extremes, ray_extremes
from algos.lp_embeddings._distortion_kernels import ascend, best_step, lp_length, moved_length, norm_gradient, reweighted_gram
from algos.lp_embeddings.distortion import ratio_ascent

EXACT = 1e-11  # relative error of an enumerated extreme: norms of some hundred terms after a whitening at condition below 1e4
SEARCHED = 1e-6  # what a converged search leaves at a smooth extreme, whose value is stationary


def table_and_sample(seed, n, d, m, p, law=1.5):
    rng = np.random.default_rng(seed)
    A = rng.standard_t(law, (n, d))
    rows = rng.choice(n, m, replace=False)
    return A, A[rows] * (n / m) ** (1 / p)


def ratio(A, TA, x, p):
    return np.linalg.norm(TA @ x, p) / np.linalg.norm(A @ x, p)


def brute_force_l1(A, TA):
    """All rays orthogonal to d - 1 rows of either table, from null spaces."""
    rows = np.vstack([A, TA])
    found = []
    for chosen in itertools.combinations(range(len(rows)), A.shape[1] - 1):
        null = scipy.linalg.null_space(rows[list(chosen)])
        if null.shape[1] == 1:
            found.append(ratio(A, TA, null[:, 0], 1))
    return min(found), max(found)


# --- p = 2 ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_p_2_equals_generalised_eigenvalues(seed):
    A, TA = table_and_sample(seed, 80, 5, 12, 2.0)
    values = scipy.linalg.eigh(TA.T @ TA, A.T @ A, eigvals_only=True)
    found = distortion(A, TA, 2.0)
    assert found.method == "eigenvalues"
    assert found.exact
    np.testing.assert_allclose([found.smallest, found.largest], np.sqrt(values[[0, -1]]), rtol=1e-9)  # the oracle squares the condition
    assert found.lower == found.upper == max(1 - found.smallest, found.largest - 1)
    assert ratio(A, TA, found.x_min, 2) == pytest.approx(found.smallest, rel=EXACT)


# --- p = 1 ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "n", "m"), [(1, 20, 5), (2, 40, 8), (2, 7, 3), (3, 20, 6), (3, 12, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_p_1_equals_brute_force_over_rays(seed, d, n, m):
    A, TA = table_and_sample(seed, n, d, m, 1.0)
    low, high = brute_force_l1(A, TA) if d > 1 else (ratio(A, TA, np.ones(1), 1),) * 2
    found = distortion(A, TA, 1.0)
    assert found.exact
    assert found.method == "enumeration"
    np.testing.assert_allclose([found.smallest, found.largest], [low, high], rtol=EXACT)
    np.testing.assert_allclose([ratio(A, TA, x, 1) for x in (found.x_min, found.x_max)], [low, high], rtol=EXACT)


def test_sketch_that_is_no_sample_has_rays_of_its_own():
    rng = np.random.default_rng(0)
    A, TA = rng.standard_normal((15, 3)), rng.standard_normal((6, 3))
    found = distortion(A, TA, 1.0)
    np.testing.assert_allclose([found.smallest, found.largest], brute_force_l1(A, TA), rtol=EXACT)


# --- any p in the plane ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.05, 1.5, 2.0, 3.0, 8.0, 40.0])
@pytest.mark.parametrize("seed", range(3))
def test_bracket_in_the_plane_holds_all_directions_and_is_narrow(seed, p):
    A, TA = table_and_sample(seed, 100, 2, 15, p)
    found = distortion(A, TA, p, method="arcs")
    angles = np.linspace(0, math.pi, 20_001)
    ratios = [ratio(A, TA, np.array([math.cos(t), math.sin(t)]), p) for t in angles[::20]]
    assert found.upper - found.lower < 1e-9 * (1 + found.upper)
    assert max(max(ratios) - 1, 1 - min(ratios)) <= found.upper
    assert ratio(A, TA, found.x_max, p) == pytest.approx(found.largest, rel=EXACT)
    if p in (1.0, 2.0):
        assert found.lower - EXACT <= distortion(A, TA, p).lower <= found.upper + EXACT


@given(st.integers(0, 10**6), st.sampled_from([1.0, 1.3, 4.0]))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_arcs_never_miss_the_rays(seed, p):
    rng = np.random.default_rng(seed)
    B = np.linalg.qr(rng.standard_t(1.0, (12, 2)))[0]
    C = rng.standard_t(1.0, (4, 2))
    found = arc_extremes(B, C, p)
    rays = ray_extremes(B, C)
    for z in (rays.z_min, rays.z_max, rng.standard_normal(2)):
        assert found.floor <= ratio(B, C, z, p) <= found.ceiling


# --- search ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.2, 1.5, 3.0, 4.0, 8.0])
def test_diagonal_sketch_of_the_identity_has_its_entries_as_extremes(p):
    # |Cx|_p / |x|_p with C diagonal: a mean of the entries' powers, extreme at unit vectors, for every p
    entries = np.array([0.6, 0.9, 1.0, 1.3, 1.1])
    found = distortion(np.eye(5), np.diag(entries), p, method="ascent")
    assert found.smallest == pytest.approx(0.6, rel=SEARCHED)
    assert found.largest == pytest.approx(1.3, rel=SEARCHED)
    assert found.lower == pytest.approx(0.4, rel=SEARCHED)
    assert found.upper == math.inf
    assert not found.exact


@pytest.mark.parametrize("p", [1.0, 1.5, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_search_lies_below_the_truth_and_attains_what_it_says(seed, p):
    A, TA = table_and_sample(seed, 60, 2, 12, p)
    known = distortion(A, TA, p, method="auto")
    found = distortion(A, TA, p, method="ascent")
    assert found.lower <= known.upper * (1 + EXACT)
    assert found.lower == pytest.approx(known.lower, rel=1e-5)  # two dimensions and six starts: it finds the extremes of these samples
    assert ratio(A, TA, found.x_min, p) == pytest.approx(found.smallest, rel=EXACT)
    assert ratio(A, TA, found.x_max, p) == pytest.approx(found.largest, rel=EXACT)
    assert np.linalg.norm(A @ found.x_max, p) == pytest.approx(1.0, rel=EXACT)


@pytest.mark.parametrize("p", [1.0, 1.1, 2.0, 5.0, 20.0])
def test_no_step_of_the_search_loses(p):
    rng = np.random.default_rng(1)
    B = np.linalg.qr(rng.standard_t(1.2, (90, 6)))[0]
    C = np.ascontiguousarray(B[:20])
    directions, trace = ratio_ascent(C, B, rng.standard_normal((8, 6)), p)
    assert (np.diff(trace, axis=0) >= 0).all()
    for z, reached in zip(directions, trace[-1], strict=True):
        assert ratio(B, C, z, p) == pytest.approx(reached, rel=EXACT)


def test_random_directions_do_not_beat_the_search_in_six_dimensions():
    A, TA = table_and_sample(3, 200, 6, 40, 1.0)
    x = np.random.default_rng(0).standard_normal((6, 20_000))
    ratios = np.abs(TA @ x).sum(axis=0) / np.abs(A @ x).sum(axis=0)
    found = distortion(A, TA, 1.0)
    assert max(ratios.max() - 1, 1 - ratios.min()) < found.lower


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_search_on_some_of_many_rows_is_judged_on_all(p):
    A, TA = table_and_sample(12, 12_000, 2, 300, p, law=3)
    known, found = distortion(A, TA, p, method="arcs"), distortion(A, TA, p, method="ascent")
    assert found.lower <= known.upper * (1 + EXACT)
    assert found.lower == pytest.approx(known.lower, rel=1e-3)  # four steps and the exact ones after them
    for x, value in ((found.x_min, found.smallest), (found.x_max, found.largest)):
        assert ratio(A, TA, x, p) == pytest.approx(value, rel=EXACT)


def test_two_basis_without_one_direction_is_lost_and_its_weight_is_seen():
    A = instances.two_basis(8).A  # the identity above an orthogonal matrix with entries +-1/sqrt(8)
    half = distortion(A, A[:8] * 2.0, 1.0)
    # 2 |x|_1 / (|x|_1 + |Hx|_1) where |Hx|_1 / |x|_1 lies between 1/sqrt(8) and sqrt(8), attained at rows of H and at unit vectors
    np.testing.assert_allclose([half.smallest, half.largest], [2 / (1 + math.sqrt(8)), 2 / (1 + 1 / math.sqrt(8))], rtol=SEARCHED)
    lost = distortion(A, A[:7] * 2.0, 1.0)
    assert (lost.smallest, lost.lower >= 1.0, lost.upper) == (0.0, True, math.inf)
    np.testing.assert_allclose(A[:7] @ lost.x_min, 0.0, atol=1e-15)


# --- invariances and forms of input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("d", [2, 3])
def test_split_rows_in_a_rotated_basis_in_another_order_change_nothing(d, p):
    rng = np.random.default_rng(5)
    A, TA = table_and_sample(5, 30, d, 8, p)
    M = rng.standard_normal((d, d)) @ np.diag(np.geomspace(1, 1e3, d))
    shares = rng.dirichlet(np.ones(3), size=len(A)) ** (1 / p)  # rows split into three with |c_1|^p + |c_2|^p + |c_3|^p = 1
    twin = np.vstack([A * (shares[:, [0]]), -A * shares[:, [1]], A * shares[:, [2]], np.zeros((2, d))])
    order = rng.permutation(len(twin))
    plain, odd = distortion(A, TA, p), distortion(twin[order] @ M, -TA[::-1] @ M, p)
    np.testing.assert_allclose([odd.lower, odd.smallest, odd.largest], [plain.lower, plain.smallest, plain.largest], rtol=1e-6)
    assert ratio(A, TA, M @ odd.x_max, p) == pytest.approx(odd.largest, rel=1e-9)  # condition 1e3 of the basis


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
def test_sparse_single_precision_and_scaled_tables(p):
    A, TA = (np.round(X, 2) for X in table_and_sample(6, 40, 3, 9, p))
    plain = distortion(A, TA, p)
    assert distortion(sp.csr_array(A), sp.csr_matrix(TA), p).lower == pytest.approx(plain.lower, rel=1e-9)
    assert distortion(A.astype(np.float32), TA.astype(np.float32), p).lower == pytest.approx(plain.lower, rel=1e-4)
    for unit in (1e-150, 1e150):
        assert distortion(A * unit, TA * unit, p).lower == pytest.approx(plain.lower, rel=1e-9)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
def test_dependent_columns_are_no_directions(p):
    A, TA = table_and_sample(7, 40, 2, 9, p)
    wide = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    plain, found = distortion(A, TA, p), distortion(A @ wide, TA @ wide, p)
    assert found.lower == pytest.approx(plain.lower, rel=1e-9)
    with pytest.raises(ValueError, match="row 1 of TA is no combination of the rows of A"):
        distortion(A @ wide, np.vstack([A[:1] @ wide, np.ones((1, 4))]), p)


@pytest.mark.parametrize("p", [1.0, 1.7, 2.0, 3.0])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_table_itself_has_distortion_zero_and_an_empty_sketch_one(d, p):
    A = np.random.default_rng(8).standard_normal((12, d))
    same = distortion(A, A[::-1], p)
    assert same.lower <= 1e-12
    assert same.smallest == pytest.approx(1.0, rel=1e-12)
    nothing = distortion(A, A[:0], p)
    assert (nothing.lower, nothing.upper, nothing.smallest, nothing.largest) == (1.0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize("method", ["ascent", "arcs", "enumeration"])
def test_sketch_of_one_row_has_lost_a_direction_by_every_method(method):
    A = np.random.default_rng(9).standard_normal((12, 2))
    found = distortion(A, 5.0 * A[:1], 1.0, method=method)
    assert found.smallest == pytest.approx(0.0, abs=1e-12)
    assert found.lower >= 1.0 - 1e-12
    assert abs(A[0] @ found.x_min) < 1e-12


def test_more_starts_only_add_to_the_list_and_the_default_repeats_itself():
    A, TA = table_and_sample(11, 80, 5, 16, 1.0)
    few, same, many = (distortion(A, TA, 1.0, starts=k).lower for k in (5, 5, 25))
    assert few == same
    assert many >= few * (1 - SEARCHED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0.5}, "p=0.5 "),
        ({"p": math.inf}, "p=inf is not covered"),
        ({"TA": np.ones((2, 4))}, "TA has 4 columns and A has 3; a sketch keeps the columns"),
        ({"A": np.zeros((5, 3))}, "A has only zeros"),
        ({"A": np.array([[1.0, np.nan, 0.0]])}, "A has a NaN entry in row 0, column 1"),
        ({"TA": np.array([[1.0, np.inf, 0.0]])}, "TA has an infinite entry"),
        ({"method": "eigenvalues"}, "method='eigenvalues' covers p = 2, got p=1.0; use method='auto'"),
        ({"method": "arcs"}, "covers rank 2"),
        ({"method": "enumeration", "p": 1.5}, "covers p = 1 and rank at most 3"),
        ({"method": "guess"}, "method='guess' is not known"),
        ({"starts": 0}, "starts=0"),
    ],
)
def test_bad_input_is_named(change, message):
    A = np.random.default_rng(0).standard_normal((8, 3))
    arguments = {"A": A, "TA": A[:4], "p": 1.0} | change
    with pytest.raises(ValueError, match=message):
        distortion(**arguments)


# --- numpy twins of the kernels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 2.7, 3.0, 60.0])
def test_kernels_equal_their_twins(p):
    rng = np.random.default_rng(2)
    rows, z, toward = rng.standard_normal((30, 4)), rng.standard_normal(4), rng.standard_normal(4)
    u, du = rows @ z, rows @ toward
    size = np.linalg.norm(u, p)
    assert lp_length(u, p) == pytest.approx(size, rel=1e-13)
    assert lp_length(u * 1e200, p) == pytest.approx(size * 1e200, rel=1e-13)
    assert lp_length(np.zeros(3), p) == 0.0
    assert moved_length(u, du, 0.3, p) == pytest.approx(np.linalg.norm(u + 0.3 * du, p), rel=1e-13)
    weights = (np.maximum(np.abs(u), 1e-3 * np.abs(u).max()) / size) ** (p - 2)
    np.testing.assert_allclose(reweighted_gram(rows, u, p, 1e-3), rows.T @ (weights[:, None] * rows), rtol=1e-11)
    step = 1e-6
    slopes = [(np.linalg.norm(rows @ (z + e), p) - np.linalg.norm(rows @ (z - e), p)) / (2 * step) for e in step * np.eye(4)]
    np.testing.assert_allclose(norm_gradient(rows, u, p), slopes, rtol=1e-6, atol=1e-8)  # central differences
    below = rng.standard_normal((50, 4))
    start = ratio(below, rows, z, p)
    length = best_step(rows, below, z, toward, p, start)
    assert length == 0.0 or ratio(below, rows, z + length * toward, p) > start


def test_one_step_at_p_2_is_inverse_iteration():
    rng = np.random.default_rng(3)
    B, C, z = rng.standard_normal((40, 3)), rng.standard_normal((10, 3)), rng.standard_normal(3)
    directions, _ = ascend(C, B, z[None, :].copy(), 2.0, 1)
    full = np.linalg.solve(B.T @ B, C.T @ (C @ z)) / ratio(B, C, z, 2) ** 2
    lengths = [1.0, 2.0, 0.5, 0.25, 0.1, 0.01]
    assert any(np.allclose(directions[0], z + t * (full - z), rtol=1e-10) for t in lengths)


# --- formulas -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
def test_proved_distortion_satisfies_its_own_inequalities(p):
    rank, share, delta = 5, 2e-4, 0.05
    eps = bounds.proved_distortion(p=p, rank=rank, share=share, delta=delta)
    assert 0 < eps < 1
    # some fineness of the net must give failure probability at most delta (Bernstein) and this eps (triangle inequality)
    best = math.inf
    for net in np.geomspace(1e-6, 0.5, 4000):
        error = scipy.optimize.brentq(
            lambda e, net=net: rank * math.log(1 + 2 / net) + math.log(2 / delta) - e**2 / (2 * share * (1 + e / 3)), 1e-9, 10
        )
        if error < 1:
            top = (1 + error) ** (1 / p) / (1 - net)
            best = min(best, max(top - 1, 1 - (1 - error) ** (1 / p) + net * top))
    assert eps == pytest.approx(best, rel=1e-3)  # grids of 600 and 4000 finenesses


def test_proved_distortion_grows_with_share_rank_and_confidence():
    base = {"p": 1.0, "rank": 6, "share": 1e-4, "delta": 0.1}
    value = bounds.proved_distortion(**base)
    for change in ({"share": 2e-4}, {"rank": 8}, {"delta": 0.01}):
        assert bounds.proved_distortion(**base | change) > value
    assert bounds.proved_distortion(**base | {"share": 0.0}) == 0.0
    assert bounds.proved_distortion(**base | {"share": 0.5}) == math.inf


@pytest.mark.parametrize("d", [2, 4, 16, 64])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_necessary_rows_of_the_two_basis_matrix_do_not_exceed_its_rank(d, p):
    made = instances.two_basis(d, 3, p)
    assert d / 4 <= bounds.necessary_rows(total_sensitivity=made.total_sensitivity, p=p) <= d * (1 + 1e-12)


def test_flat_block_loss_by_counting():
    # two directions of one row each, dimension one: lost when neither row is kept
    assert bounds.flat_block_loss(d1=1, copies=1, q=0.3) == pytest.approx(0.49, rel=1e-12)
    kept = 1 - 0.8**3
    expected = sum(math.comb(4, k) * kept**k * (1 - kept) ** (4 - k) for k in (0, 1))
    assert bounds.flat_block_loss(d1=2, copies=3, q=0.2) == pytest.approx(expected, rel=1e-12)
    assert bounds.flat_block_loss(d1=3, copies=2, q=1.0) == 0.0
    assert bounds.flat_block_loss(d1=3, copies=2, q=0.0) == 1.0


def test_formulas_refuse_what_they_do_not_cover():
    for call, message in (
        (lambda: bounds.necessary_rows(total_sensitivity=3.0, p=3.0), "for 1 <= p <= 2 only"),
        (lambda: bounds.root_leverage_rows(n=10, p=3.0, rank=2), "for 1 <= p <= 2 only"),
        (lambda: bounds.flat_block_loss(d1=2, copies=1, q=1.5), "q=1.5 must lie in"),
        (lambda: bounds.proved_distortion(p=1.0, rank=0, share=0.1, delta=0.1), "rank=0"),
        (lambda: bounds.proved_distortion(p=1.0, rank=1, share=-0.1, delta=0.1), "share=-0.1"),
        (lambda: bounds.leading_rows(sampler="best", p=1.0, d=2, S=2.0), "sampler='best' is unknown"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
