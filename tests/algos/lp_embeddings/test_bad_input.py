"""Tables that are legal and unpleasant: a million copies of few rows, rows whose sizes differ by 300 orders of magnitude."""

import numpy as np
import pytest

from algos.lp_embeddings import (
    LpCoreset,
    LpSubspaceEmbedding,
    certified_lp,
    certified_quantile,
    leverage_scores,
    lewis_weights,
    lp_sensitivities,
    non_crossing_quantiles,
)

ROWS = 10**6


@pytest.fixture(scope="module")
def copies():
    """Fifty different rows of [A b], a million in all, and how often each occurs."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 4))
    rows[:, 3] = rows[:, :3] @ [1.0, 2.0, 3.0] + rng.standard_t(2, 50)
    which = rng.integers(0, 50, ROWS)
    return rows, which, np.bincount(which, minlength=50)


def test_a_million_copies_share_the_scores_of_their_rows(copies):
    rows, which, counts = copies
    A = rows[which, :3]
    first = np.unique(which, return_index=True)[1]
    once = rows[:, :3] * np.sqrt(counts)[:, None]
    np.testing.assert_allclose(leverage_scores(A)[first] * counts, leverage_scores(once), rtol=1e-9)
    weighted = rows[:, :3] * counts[:, None]  # p = 1: a row that stands for c copies is c times as long
    np.testing.assert_allclose(lewis_weights(A, 1.0, tol=1e-6)[first] * counts, lewis_weights(weighted, 1.0, tol=1e-6), rtol=1e-5)
    found, truth = (lp_sensitivities(table, 1.0, method="exact", rtol=1e-6).upper for table in (A, weighted))
    np.testing.assert_allclose(found[first] * counts, truth, rtol=1e-5)


def test_a_million_copies_cost_the_regression_nothing(copies):
    rows, which, counts = copies
    A, b = rows[which, :3], rows[which, 3]
    few = certified_quantile(rows[:, :3], rows[:, 3], 0.3, sample_weight=counts)
    assert certified_quantile(A, b, 0.3, random_state=0).objective == pytest.approx(few.objective, rel=1e-9)


@pytest.mark.slow
def test_a_million_copies_in_every_other_fit_and_sample(copies):
    rows, which, counts = copies
    A, b = rows[which, :3], rows[which, 3]
    few = certified_lp(rows[:, :3], rows[:, 3], 1.5, sample_weight=counts)
    assert certified_lp(A, b, 1.5, random_state=0).objective == pytest.approx(few.objective, rel=1e-9)
    ones = np.ones((ROWS, 1))
    ordered = non_crossing_quantiles(np.hstack([ones[:50], rows[:, :3]]), rows[:, 3], sample_weight=counts)
    assert non_crossing_quantiles(np.hstack([ones, A]), b, random_state=0).objective == pytest.approx(ordered.objective, rel=2e-9)
    x = np.ones(3)
    norm = np.abs(A @ x).sum()
    embedding = LpSubspaceEmbedding(size=2000, random_state=0).fit(A)
    assert np.abs(embedding.sketch(A) @ x).sum() == pytest.approx(norm, rel=0.1)  # four standard errors
    coreset = LpCoreset(size=2000, random_state=0).partial_fit(A)
    assert coreset.row_weights_ @ np.abs(coreset.rows_ @ x) == pytest.approx(norm, rel=0.1)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
def test_rows_of_extreme_size_beside_ordinary_ones(p):
    rng = np.random.default_rng(1)
    ordinary = rng.standard_normal((200, 3))
    A = np.vstack([ordinary, [[1e150, 0.0, 0.0], [0.0, 1e-150, 0.0], [0.0, 0.0, 1e-150]]])
    # the first column is decided by the huge row alone, so that the others have the scores of the last two columns
    rest, seen = A[[*range(200), 201, 202], 1:], [*range(200), 201, 202]
    np.testing.assert_allclose(leverage_scores(A)[seen], leverage_scores(rest), rtol=1e-9)
    assert leverage_scores(A)[200] == pytest.approx(1.0)
    weights = lewis_weights(A, p, tol=1e-6)
    np.testing.assert_allclose(weights[:200], lewis_weights(rest, p, tol=1e-6)[:200], rtol=1e-5)
    assert weights[200] == pytest.approx(1.0, rel=1e-5)
    found, truth = lp_sensitivities(A, p), lp_sensitivities(rest, p, method="exact", rtol=1e-6)
    assert np.all(found.lower[seen] <= truth.upper * (1.0 + 1e-6))
    assert np.all(found.upper[seen] >= truth.lower * (1.0 - 1e-6))
    assert found.upper[200] == pytest.approx(1.0)
    assert 200 in LpSubspaceEmbedding(p=p, size=40, random_state=0).fit(A).sample_indices_
    assert np.abs(LpCoreset(p=p, size=40, leaf=80, random_state=0).partial_fit(A).rows_).max() == 1e150
