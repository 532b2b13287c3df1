"""Sparse fits against brute force, HiGHS and scikit-learn; norming constants against linear programs; what the recovery bandit promises."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog
from sklearn.linear_model import orthogonal_mp

from algos.misspecified_bandits import SparseRecoveryBandit, norming_constant
from algos.misspecified_bandits._sparse_fits import best_support, hard_thresholding, lasso_support, least_squares_on, orthogonal_matching
from algos.misspecified_bandits.bounds import coherent_eigenvalue, norming_bound, recovery_error, recovery_queries, recovery_suboptimality
from algos.misspecified_bandits.norming import isotropy, mutual_coherence

HIGHS = 1e-7  # what HiGHS promises, relative to numbers near 1
ROUNDING = 1e-9  # two ways to one optimum
METHODS = ("omp", "htp", "lasso", "chebyshev")


def signs(seed, K, d):
    return np.random.default_rng(seed).choice([-1.0, 1.0], (K, d))


def model(seed, d, s):
    rng = np.random.default_rng([3, seed])
    theta = np.zeros(d)
    theta[rng.choice(d, s, replace=False)] = rng.choice([-1.0, 1.0], s) * rng.uniform(0.5, 1.0, s)
    return theta


def play(learner, X, mean):
    learner.fit(X)
    while not learner.done_:
        actions = learner.ask(16)
        learner.tell(actions, mean[actions])
    return learner


def chebyshev_by_highs(A, y):
    n, d = A.shape
    ones = np.ones((n, 1))
    found = linprog(
        np.append(np.zeros(d), 1.0),
        A_ub=np.block([[A, -ones], [-A, -ones]]),
        b_ub=np.append(y, -y),
        bounds=[(None, None)] * d + [(0.0, None)],
    )
    return found.fun


@pytest.mark.parametrize(
    ("seed", "n", "d", "s", "intercept"), [(0, 12, 6, 2, False), (1, 20, 6, 3, True), (2, 30, 5, 1, True), (3, 4, 5, 3, True)]
)
def test_the_best_support_is_that_of_enumeration(seed, n, d, s, intercept):
    rng = np.random.default_rng(seed)
    A, base = rng.standard_normal((n, d)), np.ones((n, 1)) if intercept else None
    y = 3.0 * rng.standard_normal(n) + A[:, 0]
    errors = {S: chebyshev_by_highs(np.hstack([base, A[:, S]]) if intercept else A[:, S], y) for S in itertools.combinations(range(d), s)}
    found = best_support(A, y, s, base)
    assert found.lower == pytest.approx(min(errors.values()), abs=HIGHS)
    assert errors[tuple(found.support.tolist())] <= min(errors.values()) + HIGHS


def test_least_squares_rules_out_supports_without_a_linear_program():
    X, theta = signs(0, 60, 20), model(0, 20, 3)
    found = best_support(X, X @ theta + np.random.default_rng(1).uniform(-0.05, 0.05, 60), 3)
    assert found.support.tolist() == np.flatnonzero(theta).tolist()
    assert found.n_programs == 1


def test_dependent_and_empty_columns_do_not_break_the_search():
    rng = np.random.default_rng(4)
    A = np.zeros((15, 5))
    A[:, 0] = rng.standard_normal(15)
    A[:, 1] = 1e9 * A[:, 0]
    A[:, 3] = rng.standard_normal(15)
    y = A[:, 0] - A[:, 3] + rng.uniform(-0.1, 0.1, 15)
    found = best_support(A, y, 2)
    assert found.support.tolist() in ([0, 3], [1, 3])
    assert found.lower == pytest.approx(chebyshev_by_highs(A[:, [0, 3]], y), abs=HIGHS)
    assert best_support(A, np.zeros(15), 2).lower == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_matching_pursuit_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((40, 12)) * rng.uniform(0.1, 10.0, 12)
    y = A @ rng.standard_normal(12)
    units = A / np.linalg.norm(A, axis=0)
    assert orthogonal_matching(A, y, 4).tolist() == np.flatnonzero(orthogonal_mp(units, y, n_nonzero_coefs=4)).tolist()


@pytest.mark.parametrize("find", [orthogonal_matching, hard_thresholding, lambda A, y, s: lasso_support(A, y, s, 0.05)])
def test_units_of_columns_and_rewards_do_not_matter(find):
    X, theta = signs(5, 60, 30), model(5, 30, 3)
    y = X @ theta + np.random.default_rng(5).uniform(-0.05, 0.05, 60)
    units = 10.0 ** np.random.default_rng(6).integers(-3, 4, 30)
    support = np.flatnonzero(theta).tolist()
    assert find(X, y, 3).tolist() == support
    assert find(X * units, y, 3).tolist() == support
    assert find(X[:, support], np.zeros(60), 3).size in (0, 3)
    if find in (orthogonal_matching, hard_thresholding):
        assert find(X * 1e150, y * 1e-100, 3).tolist() == support


def test_least_squares_on_a_support_is_that_of_the_normal_equations():
    A, y = signs(7, 20, 6), np.random.default_rng(7).standard_normal(20)
    chosen = A[:, [1, 4]]
    assert least_squares_on(A, y, np.array([1, 4])) == pytest.approx(np.linalg.solve(chosen.T @ chosen, chosen.T @ y), rel=ROUNDING)


def norming_by_highs(X, Q, k):
    best = 0.0
    for S in itertools.combinations(range(X.shape[1]), k):
        rows = X[np.ix_(Q, S)]
        for a in range(len(X)):
            found = linprog(-X[a, S], A_ub=np.vstack([rows, -rows]), b_ub=np.ones(2 * len(Q)), bounds=(None, None))
            if found.status == 3:
                return np.inf
            best = max(best, -found.fun)
    return best


@pytest.mark.parametrize(
    ("seed", "m", "k", "kind"), [(0, 6, 2, "sign"), (1, 6, 3, "gauss"), (2, 3, 2, "sign"), (3, 2, 3, "gauss"), (4, 8, 1, "sign")]
)
def test_the_norming_constant_is_that_of_linear_programs(seed, m, k, kind):
    rng = np.random.default_rng(seed)
    X = signs(seed, 12, 5) if kind == "sign" else rng.standard_normal((12, 5)) * [1.0, 100.0, 1.0, 0.01, 1.0]
    Q = rng.choice(12, m, replace=False)
    found, expected = norming_constant(X, Q, k), norming_by_highs(X, Q, k)
    assert found.value == pytest.approx(expected, rel=HIGHS)
    on_queries = np.abs(X[np.ix_(Q, found.support)] @ found.coef).max()
    there = abs(X[found.action, found.support] @ found.coef)
    if np.isinf(expected):
        assert on_queries <= ROUNDING * there
    else:
        assert on_queries <= 1.0 + ROUNDING
        assert there == pytest.approx(found.value, rel=ROUNDING)
    assert found.value <= isotropy(X, Q, k, rng=rng).norming * (1.0 + ROUNDING)


def test_few_queries_have_a_norming_constant_above_the_root_of_the_columns():
    # with entries of size 1 the root of k is a bound only where Gram matrices are the identity
    X = np.array(list(itertools.product([-1.0, 1.0], repeat=6)))
    few = norming_constant(X, [1, 7, 22, 33, 40, 60], 4).value
    assert few > 2.0 + 1e-6
    assert norming_constant(X, np.arange(64), 4).value == pytest.approx(1.0, rel=ROUNDING)


def test_two_models_that_agree_on_the_queries_differ_by_the_norming_constant():
    X, s, eps = signs(8, 40, 6), 2, 0.1
    Q = np.arange(10)
    found = norming_constant(X, Q, 2 * s)
    apart = np.zeros(6)
    apart[found.support] = 2.0 * eps * found.coef
    one, other = np.zeros(6), np.zeros(6)
    one[found.support[:s]], other[found.support[s:]] = apart[found.support[:s]], -apart[found.support[s:]]
    answers = (X[Q] @ one + X[Q] @ other) / 2.0
    for theta in (one, other):
        assert np.abs(X[Q] @ theta - answers).max() <= eps + ROUNDING
    assert np.abs(X @ (one - other)).max() == pytest.approx(2.0 * eps * found.value, rel=ROUNDING)


def test_coherence_and_eigenvalues_are_those_of_numpy():
    X, Q, rng = np.random.default_rng(9).standard_normal((50, 7)), np.arange(30), np.random.default_rng(0)
    gram = (X / np.linalg.norm(X, axis=0)).T @ (X / np.linalg.norm(X, axis=0))
    assert mutual_coherence(X) == pytest.approx(np.abs(gram - np.eye(7)).max(), rel=ROUNDING)
    assert mutual_coherence(sp.csr_array(X)) == pytest.approx(mutual_coherence(X), rel=ROUNDING)
    units = X[Q] / np.sqrt(np.mean(X[Q] ** 2, axis=0))
    least = min(np.linalg.svd(units[:, S], compute_uv=False)[-1] ** 2 / 30 for S in itertools.combinations(range(7), 4))
    found = isotropy(X, Q, 4, rng=rng)
    assert found.exact
    assert found.least_eigenvalue == pytest.approx(least, rel=1e-6)  # the squares of small singular values lose half the digits
    assert coherent_eigenvalue(k=4, coherence=found.coherence) <= least
    dead = np.hstack([X, np.zeros((50, 1))])
    assert isotropy(dead, Q, 2, rng=rng).least_eigenvalue == 0.0
    assert isotropy(dead, Q, 2, rng=rng).norming == np.inf


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("attack", ["random", "tail", "decoy"])
def test_the_guarantee_holds_against_errors_that_mislead(method, attack):
    kept = 0
    for seed in range(4):
        X, theta, eps = signs(seed, 300, 8), model(seed, 8, 2), 0.1
        linear, rng = X @ theta, np.random.default_rng(seed)
        if attack == "tail":  # hide what the smaller coefficient does
            j = np.flatnonzero(theta)[np.argmin(np.abs(theta[theta != 0]))]
            nu = -eps * np.sign(theta[j] * X[:, j])
        elif attack == "decoy":  # let a column without effect seem to have one
            nu = eps * X[:, np.flatnonzero(theta == 0)[0]]
        else:
            nu = rng.uniform(-eps, eps, 300)
        learner = play(
            SparseRecoveryBandit(s=2, eps=eps, random_state=seed, method=method, factor=12.0, on_coherent="ignore"), X, linear + nu
        )
        assert learner.guarantee_.holds
        mean = linear + nu
        assert mean.max() - mean[learner.recommend()] <= learner.bound_ + ROUNDING
        error = recovery_error(eps=eps, residual=learner._residual(), norming=learner.norming_)
        assert np.abs(X @ (learner.coef_ - theta)).max() <= error + ROUNDING
        assert learner.support_.size <= 2
        kept += learner.support_.tolist() == np.flatnonzero(theta).tolist()
    assert kept == 4  # coefficients of .5 are five times the error


@pytest.mark.parametrize("method", METHODS)
def test_isotropic_columns_are_recovered_from_few_actions_whatever_the_table_is(method):
    X, theta = signs(11, 2000, 100), model(11, 100, 3)
    mean = X @ theta + np.random.default_rng(11).uniform(-0.05, 0.05, 2000)
    learner = play(SparseRecoveryBandit(s=3, eps=0.05, random_state=1, method=method), X, mean)
    assert learner.support_.tolist() == np.flatnonzero(theta).tolist()
    m = recovery_queries(d=100, s=3)
    assert m < learner.n_queries_ + 1 <= m + 4
    for table in (X.astype(np.float32), sp.csr_array(X), np.asfortranarray(X)):
        other = play(SparseRecoveryBandit(s=3, eps=0.05, random_state=1, method=method), table, mean)
        assert other.history_.questions.tolist() == learner.history_.questions.tolist()
        assert other.recommend() == learner.recommend()
        assert other.coef_ == pytest.approx(learner.coef_, abs=1e-6)  # float32


@pytest.mark.parametrize("method", METHODS)
def test_extreme_units_change_nothing(method):
    X, theta = signs(15, 200, 20), model(15, 20, 2)
    mean = X @ theta
    plain = play(SparseRecoveryBandit(s=2, eps=0.01, random_state=0, method=method), X, mean)
    for unit, worth in ((1e-150, 1.0), (1e200, 1e100), (1e-100, 1e-200)):
        other = play(SparseRecoveryBandit(s=2, eps=0.01 * worth, random_state=0, method=method), X * unit, mean * worth)
        assert other.history_.questions.tolist() == plain.history_.questions.tolist()
        assert other.support_.tolist() == plain.support_.tolist() == np.flatnonzero(theta).tolist()
        assert other.coherence_ == pytest.approx(plain.coherence_, rel=ROUNDING)
        assert other.norming_ == pytest.approx(plain.norming_, rel=ROUNDING)
    with pytest.raises(ValueError, match="rescale"):
        play(SparseRecoveryBandit(s=2, eps=0.01, random_state=0, method=method), X * 1e-200, mean * 1e200)


def test_actions_that_are_all_zero_are_chosen_by_their_rewards():
    learner = play(SparseRecoveryBandit(s=2, eps=0.1, random_state=0), np.zeros((10, 3)), np.arange(10.0))
    assert learner.recommend() == 9
    assert not learner.coef_.any()
    assert not learner.guarantee_.holds


def test_checking_the_favourite_ends_with_an_observed_action():
    X, theta = signs(12, 400, 30), model(12, 30, 2)
    mean = X @ theta + np.random.default_rng(12).uniform(-0.3, 0.3, 400)
    checked = play(SparseRecoveryBandit(s=2, random_state=0), X, mean)
    assert checked.recommend() in checked.history_.questions
    assert mean[checked.recommend()] == checked.history_.values.max()
    blind = play(SparseRecoveryBandit(s=2, random_state=0, check_best=False), X, mean)
    assert blind.n_queries_ == blind.planned_.size
    assert blind.recommend() == int(np.argmax(X @ blind.coef_))
    assert not blind.guarantee_.holds
    assert "eps" in blind.guarantee_.reason


def test_columns_that_are_not_isotropic_are_reported():
    X = signs(13, 500, 20)
    X[:, 7] = np.where(np.arange(500) % 50, X[:, 3], -X[:, 3])
    with pytest.warns(UserWarning, match=r"not isotropic: two of them, made of length one, have a product of 0\.96"):
        learner = SparseRecoveryBandit(s=2, random_state=0).fit(X)
    assert learner.coherence_ == pytest.approx(0.96)
    assert learner.least_eigenvalue_ <= 1.0 - abs(np.mean(X[learner.planned_, 3] * X[learner.planned_, 7])) + ROUNDING
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SparseRecoveryBandit(s=2, random_state=0, on_coherent="ignore").fit(X)
        SparseRecoveryBandit(s=1, random_state=0, on_coherent="ignore").fit(X)


def test_means_of_noisy_rewards_keep_the_guarantee():
    X, theta, eps, misses = signs(14, 200, 8), model(14, 8, 2), 0.2, 0
    mean = X @ theta + np.random.default_rng(14).choice([-eps, eps], 200)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        learner = SparseRecoveryBandit(s=2, eps=eps, sigma=0.3, delta=0.05, random_state=seed, factor=12.0, on_coherent="ignore").fit(X)
        while not learner.done_:
            actions = learner.ask(10_000)
            learner.tell(actions, mean[actions] + 0.3 * rng.standard_normal(actions.size))
        misses += mean.max() - mean[learner.recommend()] > learner.bound_
    assert misses <= 5  # 20 trials at .05: more than 5 has probability below 4e-4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "lars"}, "method='lars'"),
        ({"method": "lasso"}, "eps=None"),
        ({"factor": 0.0}, "factor"),
        ({"max_supports": 0}, "max_supports"),
        ({"on_coherent": "raise"}, "on_coherent"),
    ],
)
def test_bad_options_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        SparseRecoveryBandit(**parameters).fit(signs(0, 20, 4))


def test_bad_queries_are_named():
    X = signs(0, 20, 4)
    with pytest.raises(ValueError, match="at least one action"):
        norming_constant(X, [], 2)
    with pytest.raises(ValueError, match="20 actions"):
        norming_constant(X, [20], 2)
    with pytest.raises(TypeError, match="indices"):
        norming_constant(X, [0.5], 2)
    with pytest.raises(ValueError, match="k=5"):
        norming_constant(X, [0], 5)
    with pytest.raises(ValueError, match="max_supports=3"):
        norming_constant(X, [0], 2, max_supports=3)


def test_formulas_are_those_of_their_definitions():
    assert recovery_queries(d=50, s=2) == int(np.ceil(8.0 * np.log(25.0 * np.e)))
    assert recovery_suboptimality(eps=0.1, error=recovery_error(eps=0.1, residual=0.1, norming=3.0)) == pytest.approx(
        2 * 0.1 * (1 + 2 * 3.0)
    )
    assert recovery_error(eps=0.0, residual=0.0, norming=np.inf) == 0.0
    assert norming_bound(length=np.sqrt(4.0), eigenvalue=1.0) == 2.0
    for wrong in (
        lambda: recovery_queries(d=3, s=4),
        lambda: norming_bound(length=-1.0, eigenvalue=1.0),
        lambda: coherent_eigenvalue(k=0, coherence=0.1),
    ):
        with pytest.raises(ValueError, match="must"):
            wrong()
