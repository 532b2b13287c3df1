"""Certificates against linear programs by HiGHS, and against the truth of models whose misspecification is at its limit."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy.optimize import linprog

from algos.common.guarantees import Certificate
from algos.misspecified_bandits import BanditCertificate, certificate_curve, certify_history
from algos.misspecified_bandits._consistent_models import ConsistentModels, Observations
from algos.misspecified_bandits._polygon_kernels import model_corners
from algos.misspecified_bandits._polytope_kernels import dual_ascent
from algos.misspecified_bandits.bounds import anytime_radius

SLACK = 1e-7  # HiGHS satisfies its rows to 1e-7; the rewards are near 1, and the small terms that certificates allow are given to it, too
FAMILIES = ["gauss", "sign", "repeated", "few columns", "float32"]


def actions_of(kind, rng, K=40, d=5):
    if kind == "sign":
        X = rng.choice([-1.0, 1.0], (K, d))
    elif kind == "repeated":
        X = np.repeat(rng.standard_normal((K // 4, d)), 4, axis=0)
    elif kind == "few columns":
        X = rng.standard_normal((K, d)) * (rng.random((K, d)) < 0.4)
        X[0] = 0.0
    else:
        X = rng.standard_normal((K, d))
    X = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1.0)
    return X.astype(np.float32) if kind == "float32" else X


def instance(kind, s, seed, eps=0.1, q=12):
    """Rewards of a model with s coefficients and misspecification eps or -eps everywhere, which leaves the least room."""
    rng = np.random.default_rng([seed, s, FAMILIES.index(kind)])
    X = actions_of(kind, rng)
    theta = np.zeros(X.shape[1])
    theta[rng.choice(X.shape[1], s, replace=False)] = rng.uniform(-1.0, 1.0, s)
    mean = X.astype(np.float64) @ theta + rng.choice([-eps, eps], len(X))
    return X, mean, rng.choice(len(X), q, replace=False)


def misfit_by_program(A, y, R):
    q, s = A.shape
    rows = np.block([[A, -np.ones((q, 1))], [-A, -np.ones((q, 1))]])
    found = linprog(np.append(np.zeros(s), 1.0), rows, np.append(y, -y), bounds=[(-R, R)] * s + [(0, None)], method="highs")
    return found.fun


def largest_by_programs(X, seen, y, s, eps, R, wanted):
    """Largest prediction over all supports and actions, one program each; None if every support is infeasible."""
    best, reach = None, eps * (1.0 + 1e-6) + 1e-9 * (1.0 + np.abs(y))
    for support in itertools.combinations(range(X.shape[1]), s):
        A = X[np.ix_(seen, support)]
        for a in wanted:
            found = linprog(
                -X[a, list(support)], np.vstack([A, -A]), np.append(y + reach, reach - y), bounds=[(-R, R)] * s, method="highs-ds"
            )
            if found.status == 2:
                break
            best = -found.fun if best is None else max(best, -found.fun)
    return best


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("kind", FAMILIES)
def test_the_bound_and_the_least_misfit_are_those_of_linear_programs(kind, s):
    X, mean, asked = instance(kind, s, seed=0)
    table, eps = X.astype(np.float64), 0.13
    certificate = certify_history(X, asked, mean[asked], s=s, eps=eps)
    misfits = [misfit_by_program(table[np.ix_(asked, c)], mean[asked], 1.0) for c in itertools.combinations(range(X.shape[1]), s)]
    assert certificate.eps_min == pytest.approx(min(misfits), abs=SLACK)
    rest = np.setdiff1d(np.arange(len(X)), asked)[:: 3 if s == 3 else 1]
    whole = np.ones(len(X), dtype=bool)
    whole[rest] = False
    unseen = largest_by_programs(table, asked, mean[asked], s, eps, 1.0, rest)
    seen = Observations(asked.astype(np.int64), mean[asked], np.zeros(len(asked)))
    models = ConsistentModels(X, s=s, R=1.0, max_supports=100)
    models.settle(seen)
    models.rule_out(eps)
    for found in (models.largest(~whole, seen, eps), models.programs(~whole, seen, eps)):
        assert found.value == pytest.approx(unseen, abs=SLACK)
        assert found.action in rest
        assert table[found.action, found.support] @ found.coef == pytest.approx(found.value, abs=1e-9)
    if s < 3:
        best = max(unseen + eps, mean[asked].max())
        assert certificate.upper == pytest.approx(best, abs=SLACK)
        assert certificate.value == pytest.approx(max(0.0, best - mean[asked].max()), abs=SLACK)


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("kind", FAMILIES)
def test_no_action_beats_the_certificate_at_the_limit_of_the_misspecification(kind, s):
    for seed in range(12):
        X, mean, order = instance(kind, s, seed, q=30)
        for q in (1, 3, 12, 30):
            certificate = certify_history(X, order[:q], mean[order[:q]], s=s, eps=0.1)
            assert not certificate.refuted
            assert certificate.eps_min <= 0.1
            assert mean.max() - mean[certificate.recommended] <= certificate.value + 1e-12
            assert certificate.lower <= mean[certificate.recommended]
            assert certificate.verify(X, order[:q], mean[order[:q]])


def test_the_bound_of_an_action_without_an_answer_holds_and_its_lower_end_is_that_of_programs():
    X, mean, asked = instance("gauss", 2, seed=3)
    other = int(np.setdiff1d(np.arange(len(X)), asked)[0])
    certificate = certify_history(X, asked, mean[asked], s=2, eps=0.1, recommended=other)
    lowest = -largest_by_programs(-X, asked, -mean[asked], 2, 0.1, 1.0, [other])  # both signs change: the models are the same
    assert certificate.lower == pytest.approx(lowest - 0.1, abs=SLACK)
    assert certificate.lower <= mean[other]
    assert mean.max() - mean[other] <= certificate.value
    nothing = certify_history(X, np.empty(0, dtype=int), [], s=2, eps=0.1, recommended=0)
    assert nothing.upper == pytest.approx(0.1 + np.sort(np.abs(X), axis=1)[:, -2:].sum(axis=1).max())
    assert nothing.verify(X, np.empty(0, dtype=int), [])


def test_a_model_is_refuted_by_more_than_rounding_and_then_there_is_no_bound():
    X, mean, asked = instance("gauss", 2, seed=1, q=30)
    least = certify_history(X, asked, mean[asked], s=2, eps=0.0)
    assert least.refuted
    assert math.isnan(least.value)
    assert not least.guarantee.holds
    assert "nearest misses by" in least.explain()
    assert least.verify(X, asked, mean[asked])
    for share, refuted in ((1.0, False), (1.0 - 5e-7, False), (1.0 - 2e-6, True)):
        again = certify_history(X, asked, mean[asked], s=2, eps=least.eps_min * share)
        assert again.refuted == refuted
        assert math.isnan(again.value) == refuted
        assert again.verify(X, asked, mean[asked])


@pytest.mark.parametrize("s", [1, 2, 3])
def test_exact_models_are_not_refuted_by_rounding(s):
    rng = np.random.default_rng(s)
    for scale in (1e-3, 1.0, 1e3):
        X = rng.standard_normal((60, 5))
        theta = np.zeros(5)
        theta[:s] = scale * rng.uniform(-1.0, 1.0, s)
        certificate = certify_history(X, np.arange(30), (X @ theta)[:30], s=s, eps=0.0, R=scale)
        assert not certificate.refuted
        assert certificate.n_alive == math.comb(5 - s, 0)
        assert certificate.value == pytest.approx(max(0.0, (X @ theta).max() - (X @ theta)[:30].max()), abs=1e-6 * (1 + scale))


@pytest.mark.parametrize("s", [2, 3])
def test_more_answers_never_loosen_the_bound_on_an_action_and_never_lower_the_misfit(s):
    X, mean, order = instance("gauss", s, seed=4, q=40)
    first, uppers, misfits = int(order[0]), [], []
    for q in range(1, 41, 3):
        certificate = certify_history(X, order[:q], mean[order[:q]], s=s, eps=0.1, recommended=first)
        misfits.append(certificate.eps_min)
        uppers.append(certificate.upper)
    assert np.all(np.diff(misfits) >= -1e-12)
    assert np.all(np.diff(uppers) <= 1e-9)
    assert uppers[-1] == mean.max()


def test_the_curve_is_the_list_of_its_certificates_and_rises():
    X, mean, asked = instance("gauss", 2, seed=5)
    curve = certificate_curve(X, asked, mean[asked], s=2)
    assert curve.eps.shape == (8,)
    assert not np.isnan(curve.values).any()
    assert np.all(np.diff(curve.values) >= 0.0)
    grid = np.array([0.3, 0.0, 0.5 * curve.eps_min, curve.eps_min, 0.1])
    eps, values = certificate_curve(X, asked, mean[asked], s=2, eps=grid)
    assert eps is not None
    singles = [certify_history(X, asked, mean[asked], s=2, eps=value) for value in grid]
    np.testing.assert_array_equal(values, [single.value for single in singles])
    assert np.isnan(values).tolist() == [single.refuted for single in singles]


@pytest.mark.parametrize("s", [2, 3])
def test_a_certificate_survives_as_text_and_altered_numbers_are_found(s):
    X, mean, asked = instance("gauss", s, seed=6)
    certificate = certify_history(X, asked, mean[asked], s=s, eps=0.12)
    text = certificate.to_json()
    again = Certificate.from_json(text)
    assert isinstance(again, BanditCertificate)
    assert again.to_json() == text
    assert again.verify(X, asked, mean[asked])
    fields = json.loads(text)["fields"]
    for name in ("value", "upper", "eps_min", "lower"):
        for change in (-1e-4, 1e-4):
            wrong = json.loads(text)
            wrong["fields"][name] = fields[name] + change
            other = BanditCertificate.from_json(json.dumps(wrong))
            harmless = name == "value" and change > 0  # a bound that claims less
            assert other.verify(X, asked, mean[asked]) == harmless, (name, change)
    assert not certificate.verify(X[:, ::-1], asked, mean[asked])
    assert not certificate.verify(X, asked[::-1], mean[asked])
    assert str(certificate.rival) in certificate.explain()
    assert certificate.guarantee.value == certificate.value


def test_means_of_noisy_rewards_are_used_within_their_radii():
    rng = np.random.default_rng(0)
    X, mean, order = instance("gauss", 2, seed=7)
    for trial in range(20):
        asked = np.repeat(order, 40)
        rewards = mean[asked] + 0.2 * rng.standard_normal(asked.size)
        certificate = certify_history(X, asked, rewards, s=2, eps=0.1, sigma=0.2)
        assert mean.max() - mean[certificate.recommended] <= certificate.value, trial
        assert not certificate.refuted
    assert certificate.n_distinct == order.size
    assert "With probability 0.95" in certificate.statement
    assert certificate.guarantee.kind == "with probability 0.95"
    assert certificate.verify(X, asked, rewards)
    exact = certify_history(X, order, mean[order], s=2, eps=0.1)
    assert exact.value < certificate.value


def test_the_radius_covers_all_counts_at_once():
    # the radii were chosen so that the union over all n of two-sided Gaussian tails stays below delta
    total = sum(
        2.0 * math.exp(-n * anytime_radius(sigma=0.7, n_pulls=n, n_actions=9, delta=0.2) ** 2 / (2 * 0.7**2)) for n in range(1, 20_000)
    )
    assert 9 * total <= 0.2
    assert 9 * total > 0.199


def test_polygons_have_the_corners_of_a_brute_force_intersection():
    rng = np.random.default_rng(2)
    corners, spare = np.empty((60, 2)), np.empty((60, 2))
    for _ in range(50):
        seen = rng.standard_normal((4, 3))
        y, tol = seen[:, [0, 2]] @ rng.uniform(-0.8, 0.8, 2), 0.2
        n = model_corners(seen, y - tol, y + tol, np.array([0, 2]), 1.0, corners, spare)
        lines = np.vstack([seen[:, [0, 2]], -seen[:, [0, 2]], np.eye(2), -np.eye(2)])
        ends = np.concatenate([y + tol, tol - y, np.ones(4)])
        brute = []
        for i, k in itertools.combinations(range(len(lines)), 2):
            if abs(np.linalg.det(lines[[i, k]])) > 1e-12:
                point = np.linalg.solve(lines[[i, k]], ends[[i, k]])
                if np.all(lines @ point <= ends + 1e-9):
                    brute.append(point)
        distances = np.linalg.norm(np.array(brute)[:, None] - corners[None, :n], axis=2)
        assert distances.min(axis=1).max() < 1e-8
        assert distances.min(axis=0).max() < 1e-8


def test_the_small_program_agrees_with_highs_also_where_many_rows_meet_in_one_point():
    rng = np.random.default_rng(3)
    for n in (1, 2, 4, 7):
        for _ in range(25):
            A = rng.integers(-2, 3, (30, n)).astype(np.float64)
            b = rng.integers(0, 3, 30).astype(np.float64)
            c = rng.integers(-2, 3, n).astype(np.float64)
            G = np.vstack([np.kron(np.eye(n), [[1.0], [-1.0]]), A])
            ends = np.append(np.full(2 * n, 1.5), b)
            basis = np.array([2 * j if c[j] >= 0 else 2 * j + 1 for j in range(n)])
            w = np.empty(n)
            value = dual_ascent(G, ends, c, np.full(n, 1.5), basis, -np.inf, w)
            assert value == pytest.approx(-linprog(-c, A, b, bounds=[(-1.5, 1.5)] * n, method="highs").fun, abs=1e-8)
            assert np.all(G @ w <= ends + 1e-9)
            early = dual_ascent(G, ends, c, np.full(n, 1.5), basis, value + 1.0, w)
            assert early >= value - 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": [0, 50]}, "X has 40 rows"),
        ({"actions": [0.0, 1.0]}, "integers"),
        ({"rewards": [0.0, np.inf]}, "leave out"),
        ({"rewards": [0.0]}, "one reward per action"),
        ({"actions": [1, 1]}, "sigma=0 says"),
        ({"s": 6}, "s=6"),
        ({"s": 0}, "s=0"),
        ({"eps": -1.0}, "eps=-1.0"),
        ({"R": np.inf}, "R=inf"),
        ({"recommended": 40}, "recommended=40"),
        ({"max_supports": 9}, "10 supports are more than max_supports=9"),
        ({"actions": np.empty(0, dtype=int), "rewards": []}, "name `recommended`"),
    ],
)
def test_bad_input_is_named(change, message):
    X = actions_of("gauss", np.random.default_rng(0))
    arguments = {"actions": [0, 1], "rewards": [0.1, 0.2], "s": 2, "eps": 0.1} | change
    actions, rewards = arguments.pop("actions"), arguments.pop("rewards")
    with pytest.raises((ValueError, TypeError), match=message):
        certify_history(X, actions, rewards, **arguments)
