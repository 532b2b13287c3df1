import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import binom

from algos.common.blocks import RowSource
from algos.common.randomness import row_uniforms
from algos.lp_embeddings import bounds, inclusion_probabilities, instances, recursive_root_leverage, row_scores
from algos.lp_embeddings.importance import SAMPLERS, choose_sampler, draw_rows, take_rows

NEVER = 1e-6  # probability with which a correct sampler would fail a test of its law, had the seeds not been fixed
LEVERAGE = 1e-9  # leverage scores at condition below 100


def qr_leverage(A):
    return (np.linalg.qr(A)[0] ** 2).sum(axis=1)


def table(n=500, d=4, seed=0):
    return np.random.default_rng(seed).standard_t(3, (n, d))


# --- scores ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_leverage_root_leverage_and_uniform_scores(p):
    A = np.vstack([table(), np.zeros((2, 4))])
    tau = qr_leverage(A)
    np.testing.assert_allclose(row_scores(A, p, "leverage").scores, tau, rtol=LEVERAGE, atol=1e-15)
    np.testing.assert_allclose(row_scores(A, p, "root_leverage").scores, tau ** (p / 2), rtol=LEVERAGE, atol=1e-8)
    np.testing.assert_array_equal(row_scores(A, p, "uniform").scores, np.r_[np.ones(500), 0.0, 0.0])


@pytest.mark.parametrize(("sampler", "p"), [(s, p) for s in SAMPLERS for p in (1.0, 1.5, 2.0, 3.0, 6.0)])
def test_bounds_hold_the_sensitivities_of_the_mixture(sampler, p):
    made = instances.mixture_hard_instance(4, 2, 3, p)
    if (sampler in ("l2_augmented", "root_leverage") and p > 2) or (sampler == "leverage_sensitivity" and p < 2):
        with pytest.raises(ValueError, match=f"sampler='{sampler}' covers"):
            row_scores(made.A, p, sampler)
        return
    found = row_scores(made.A, p, sampler)
    assert found.rank == 7
    assert (found.scores > 0).all()
    assert (found.sensitivity_upper >= made.sensitivities * (1 - 1e-5)).all()  # leverage scores are right to 16e-6 at worst
    assert found.total_bounds[0] * (1 - 1e-5) <= made.total_sensitivity <= found.total_bounds[1] * (1 + 1e-5)
    if sampler == "lewis":
        np.testing.assert_allclose(found.scores, made.lewis_weights, rtol=0.25)  # residual 0.1 over 1 - |1 - p/2| at worst
    if sampler == "l2_augmented":
        np.testing.assert_allclose(found.scores - found.sensitivity_upper, qr_leverage(made.A), rtol=1e-5)


def test_default_follows_the_smallest_formula():
    assert choose_sampler(1.9, 5, 5.0) == "l2_augmented"
    assert choose_sampler(2.0, 5, 5.0) == "leverage"
    assert choose_sampler(3.9, 5, 5.0) == "lewis"
    assert choose_sampler(4.0, 10, 21.5) == "sensitivity"  # 21.5^1.5 < 10^2 < 21.6^1.5
    assert choose_sampler(4.0, 10, 21.6) == "lewis"
    assert row_scores(instances.two_basis(16, 2, 8.0).A, 8.0).sampler == "sensitivity"


def test_scores_do_not_depend_on_the_form_of_the_table():
    A = table(300)
    plain = row_scores(A, 1.0)
    for form in (sp.csr_array(A), [A[:50], A[50:]], np.asfortranarray(A)):
        np.testing.assert_allclose(row_scores(form, 1.0).scores, plain.scores, rtol=1e-9)


def test_table_of_zeros_is_refused():
    for sampler in ("lewis", "uniform"):
        with pytest.raises(ValueError, match="A has only zeros; there is no row to draw"):
            row_scores(np.zeros((3, 2)), 1.0, sampler)
    with pytest.raises(ValueError, match="sampler='best' is not known"):
        row_scores(np.ones((3, 1)), 1.0, "best")


# --- draws ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["bernoulli", "fixed", "systematic"])
def test_from_the_number_of_nonzero_rows_on_all_are_kept_once(draw):
    A = np.vstack([table(20), np.zeros((3, 4))])
    for sampler in ("lewis", "root_leverage"):
        sample, q = draw_rows(A, row_scores(A, 1.0, sampler), 20, seed=0, draw=draw)
        np.testing.assert_array_equal(sample.indices, np.arange(20))
        np.testing.assert_array_equal(sample.weights, 1.0)
        np.testing.assert_array_equal(q, np.r_[np.ones(20), np.zeros(3)])


def test_rounds_are_drawn_row_by_row_only():
    A = table(200)
    with pytest.raises(ValueError, match="draw='fixed' with sampler='root_leverage'"):
        draw_rows(A, row_scores(A, 1.0, "root_leverage"), 20, seed=0, draw="fixed")


# --- recursion ------------------------------------------------------------------------------------------------------------------------


def twin(A, p, m, seed, factor=3.0):
    """The recursion in plain numpy, scores by QR."""
    alive, weights, level, rounds = np.arange(len(A)), np.ones(len(A)), 0, []
    while True:
        scores = qr_leverage(A[alive] * weights[:, None] ** (1 / p)) ** (p / 2)
        target = max(m, factor * scores.sum())
        last = target >= 0.7 * len(alive) or target == m
        q = inclusion_probabilities(scores, m if last else target)
        rounds.append((len(alive), scores.sum(), q.sum()))
        kept = row_uniforms(seed, 0, len(A), level)[alive] < q
        alive, weights, level = alive[kept], (weights / q)[kept], level + 1
        if last:
            return alive, weights, rounds


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_recursion_equals_its_twin(p):
    A = table(6000, 3, seed=1)
    found = recursive_root_leverage(A, p, 60, seed=7)
    indices, weights, rounds = twin(A, p, 60, 7)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-9)
    np.testing.assert_allclose(found.rounds, rounds, rtol=1e-9)
    np.testing.assert_allclose(found.probabilities[indices] * found.weights, 1.0, rtol=1e-12)
    assert len(found.rounds) > 1 or p > 1.0
    assert found.rounds[-1][2] == pytest.approx(60, rel=1e-9)
    for n, mass, _ in found.rounds:
        assert mass <= bounds.root_leverage_rows(n=n, p=p, rank=3) * (1 + 1e-9)


def test_mean_weight_of_a_row_over_several_rounds_is_one():
    # with one uniform for all rounds a row that survives once survives again, and its mean weight exceeds 1
    A = np.ones((3000, 1))
    draws = 300
    weights = np.zeros(draws)
    for seed in range(draws):
        weights[seed] = recursive_root_leverage(A, 1.0, 30, seed=seed).weights.sum() / 3000
    # rows are alike: after a round of expected size m the total weight is n_k / m, so its relative variance is at most the sum of 1 / m
    rounds = recursive_root_leverage(A, 1.0, 30, seed=0).rounds
    spread = np.sqrt(1.5 * sum(1 / size for _, _, size in rounds) / draws)
    assert abs(weights.mean() - 1) < 5 * spread  # five standard errors


def test_size_of_the_last_round_follows_the_binomial_law():
    A = np.ones((400, 1))
    found = [recursive_root_leverage(A, 1.0, 20, seed=seed) for seed in range(40)]
    last = [(sample.rounds[-1], len(sample.indices)) for sample in found]
    # alike rows: the sum of binomials with equal parameters per round, compared by tails of the total
    total, mean = sum(kept for _, kept in last), sum(size for (_, _, size), _ in last)
    assert binom.cdf(total, 40 * 400, mean / (40 * 400)) > NEVER
    assert binom.sf(total - 1, 40 * 400, mean / (40 * 400)) > NEVER


def test_recursion_reads_blocks_and_sparse_tables_as_the_whole():
    A = np.round(table(3000, 3, seed=2), 1)
    whole = recursive_root_leverage(A, 1.0, 50, seed=3)
    for form in ([A[:700], A[700:701], A[701:]], sp.csr_array(A), RowSource(A)):
        found = recursive_root_leverage(form, 1.0, 50, seed=3)
        np.testing.assert_array_equal(found.indices, whole.indices)
        np.testing.assert_allclose(found.weights, whole.weights, rtol=1e-9)


def test_recursion_keeps_rows_that_carry_a_direction():
    made = instances.coherent(2000, 3, 6, random_state=0)
    for seed in range(20):
        found = recursive_root_leverage(made.A, 1.0, 60, seed=seed)
        assert np.isin(made.special_rows, found.indices).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 3.0}, "sampler='root_leverage' covers 1 <= p <= 2, got p=3.0"),
        ({"m": 0.5}, "m=0.5"),
        ({"factor": 0.5}, "factor=0.5"),
        ({"seed": -1}, "seed=-1"),
        ({"A": np.zeros((3, 1))}, "A has only zeros"),
    ],
)
def test_bad_arguments_of_the_recursion(change, message):
    with pytest.raises(ValueError, match=message):
        recursive_root_leverage(**{"A": table(30), "p": 1.0, "m": 10, "seed": 0} | change)


def test_rows_are_taken_from_any_source():
    A = table(50)
    wanted = np.array([0, 7, 8, 49])
    for form in (A, [A[:10], A[10:]], sp.csr_matrix(A)):
        taken = take_rows(form, wanted)
        np.testing.assert_array_equal(taken.toarray() if sp.issparse(taken) else taken, A[wanted])
    assert take_rows(A, wanted[:0]).shape == (0, 4)
