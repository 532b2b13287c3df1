"""One call that searches: what it proves, what it keeps when it is interrupted or fails, and that it goes on from a file."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from algos.misspecified_bandits import HullEnumeration, OptimisticElimination, RandomSearch, SearchFailed, best_action_search

ROUNDING = 1e-9

_rng = np.random.default_rng(0)
X = _rng.standard_normal((400, 5))
X /= np.linalg.norm(X, axis=1, keepdims=True)
EPS = 0.1
MEAN = X[:, 1] * 0.7 - X[:, 4] * 0.5 + _rng.uniform(-EPS, EPS, 400)


def value_of(x):
    return float(MEAN[np.flatnonzero((np.asarray(x).ravel() == X).all(axis=1))[0]])


@pytest.mark.parametrize(
    ("budget", "known", "name"),
    [
        (400, {}, "ExhaustiveSearch"),
        (300, {"eps": EPS}, "HullEnumeration"),
        (40, {"eps": EPS, "R": 1.0}, "OptimisticElimination"),
        (60, {}, "SparseRecoveryBandit"),
        (3, {}, "RandomSearch"),
    ],
)
def test_the_best_is_within_what_is_proved(budget, known, name):
    result = best_action_search(X, value_of, budget=budget, random_state=0, **known)
    assert type(result.learner).__name__ == name
    assert result.n_queries == len(result.history) <= budget
    assert result.best_value == MEAN[result.best_index]
    missed = MEAN.max() - result.best_value
    assert result.eps_min <= EPS
    if known:
        assert not result.refuted
        assert missed <= result.certificate.value + ROUNDING
        assert result.certificate.recommended == result.best_index
        assert result.certificate.verify(X, *result.history)
    else:
        at = np.searchsorted(result.curve.eps, EPS)
        assert at == result.curve.eps.size or missed <= result.curve.values[at] + ROUNDING
    assert name in result.explain()


def test_a_model_that_cannot_be_true_is_refuted():
    rng = np.random.default_rng(1)
    rewards = rng.uniform(-1.0, 1.0, 400)
    result = best_action_search(np.arange(400), lambda i: rewards[i], features=X, budget=400, eps=0.05)
    assert result.refuted
    assert result.eps_min > 0.5
    assert np.isnan(result.certificate.value)
    assert result.best_index == int(np.argmax(rewards))


def test_candidates_of_any_kind_with_features_given_or_computed():
    expected = best_action_search(X, value_of, budget=40, eps=EPS, R=1.0)
    frame = pd.DataFrame(X, columns=list("abcde"))
    names = [f"item {i}" for i in range(400)]
    number = dict(zip(names, range(400), strict=True))
    others = [
        best_action_search(frame, value_of, budget=40, eps=EPS, R=1.0),
        best_action_search(
            sp.csr_array(X), lambda x: value_of(x.toarray()), budget=40, eps=EPS, R=1.0, learner=RandomSearch(random_state=0)
        ),
        best_action_search(names, lambda item: MEAN[number[item]], features=X, budget=40, eps=EPS, R=1.0),
        best_action_search(names, lambda item: MEAN[number[item]], features=lambda item: X[number[item]], budget=40, eps=EPS, R=1.0),
    ]
    for result in (others[0], *others[2:]):
        assert result.history.questions.tolist() == expected.history.questions.tolist()
        assert result.best_index == expected.best_index
    assert others[1].best_value == MEAN[others[1].best_index]


class Stops:
    """An objective that is stopped at one of its calls."""

    def __init__(self, at, error):
        self.calls, self.at, self.error = 0, at, error

    def __call__(self, x):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return value_of(x)


def test_an_interrupted_search_returns_what_it_has():
    result = best_action_search(X, Stops(8, KeyboardInterrupt()), budget=60, learner=RandomSearch(random_state=0), eps=EPS)
    assert result.interrupted
    assert result.n_queries == 7
    assert MEAN.max() - result.best_value <= result.certificate.value + ROUNDING
    assert "interrupted" in result.explain()
    with pytest.raises(KeyboardInterrupt):
        best_action_search(X, Stops(1, KeyboardInterrupt()), budget=60)


def test_an_interrupt_between_two_evaluations_or_inside_the_learner_loses_nothing(monkeypatch):
    def stop(n_queries, budget, best):
        if n_queries == 2:
            raise KeyboardInterrupt

    known = {"budget": 60, "eps": EPS, "R": 1.0}
    between = best_action_search(X, value_of, progress=stop, learner=OptimisticElimination(), **known)
    absorb, calls = OptimisticElimination._absorb, []

    def interrupted_absorb(self, action, value):
        calls.append(action)
        if len(calls) == 2:
            raise KeyboardInterrupt
        absorb(self, action, value)

    monkeypatch.setattr(OptimisticElimination, "_absorb", interrupted_absorb)
    inside = best_action_search(X, value_of, learner=OptimisticElimination(), **known)
    assert between.interrupted
    assert inside.interrupted
    assert inside.n_queries == between.n_queries == 2
    assert inside.learner.n_alive_ == between.learner.n_alive_ < inside.learner.n_candidates_
    assert inside.best_index == between.best_index


def test_a_failed_search_keeps_what_it_has():
    for stop, message in ((Stops(5, OSError("no connection")), "no connection"), (lambda x: np.nan, "nan")):
        with pytest.raises(SearchFailed, match=message) as caught:
            best_action_search(X, stop, budget=60, learner=RandomSearch(random_state=0))
        assert caught.value.__cause__ is not None
        if isinstance(stop, Stops):
            assert caught.value.result.n_queries == 4
            assert caught.value.result.best_value == caught.value.result.history.values.max()
            assert caught.value.candidate not in caught.value.result.history.questions
        else:
            assert caught.value.result is None


def test_a_search_goes_on_from_its_file(tmp_path):
    whole = best_action_search(X, value_of, budget=60, random_state=3)
    objective = Stops(10, KeyboardInterrupt())
    first = best_action_search(X, objective, budget=60, random_state=3, checkpoint=tmp_path / "search")
    assert first.interrupted
    second = best_action_search(X, objective, budget=60, random_state=99, checkpoint=tmp_path / "search")  # the key is in the file
    assert second.history.questions.tolist() == whole.history.questions.tolist()
    assert second.best_index == whole.best_index
    assert objective.calls == whole.n_queries + 1  # only the interrupted call was made twice
    more = best_action_search(X, objective, budget=400, random_state=3, checkpoint=tmp_path / "search")  # another learner would be chosen
    assert type(more.learner) is type(second.learner)
    assert objective.calls == whole.n_queries + 1


def test_a_file_of_another_search_is_refused(tmp_path):
    best_action_search(X, value_of, budget=5, learner=RandomSearch(random_state=0), checkpoint=tmp_path / "search")
    with pytest.raises(ValueError, match="differs from the actions"):
        best_action_search(X[::-1], value_of, budget=5, checkpoint=tmp_path / "search")
    with pytest.raises(ValueError, match="has s=2, not 3"):
        best_action_search(X, value_of, budget=5, s=3, checkpoint=tmp_path / "search")
    with pytest.raises(ValueError, match="by RandomSearch, not by HullEnumeration"):
        best_action_search(X, value_of, budget=5, learner=HullEnumeration(), checkpoint=tmp_path / "search")


def test_progress_is_told_after_each_evaluation():
    seen = []
    result = best_action_search(X, value_of, budget=7, learner=RandomSearch(random_state=1), progress=lambda *now: seen.append(now))
    assert [now[:2] for now in seen] == [(i, 7) for i in range(1, 8)]
    assert [now[2] for now in seen] == np.maximum.accumulate(result.history.values).tolist()


def test_a_learner_that_is_given_is_not_changed():
    learner = RandomSearch(s=1, random_state=0)
    result = best_action_search(X, value_of, budget=5, learner=learner)
    assert not hasattr(learner, "n_actions_")
    assert learner.s == 1
    assert result.learner.s == 2


def test_noisy_values_are_repeated():
    rng = np.random.default_rng(5)
    result = best_action_search(X[:12], lambda x: value_of(x) + 0.1 * rng.standard_normal(), budget=5000, sigma=0.1, eps=0.2)
    assert result.n_queries == 12 * result.learner.n_repeats_
    assert result.best_index == int(np.argmax(MEAN[:12]))
    assert MEAN[:12].max() - MEAN[result.best_index] <= result.certificate.value


def test_too_many_supports_leave_the_certificate_out():
    wide = np.random.default_rng(0).choice([-1.0, 1.0], (100, 60))
    result = best_action_search(wide, lambda x: x[0], budget=100, s=3, eps=0.1)
    assert result.certificate is None
    assert "too many supports" in result.explain()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"candidates": {}}, TypeError, "type dict"),
        ({"candidates": []}, ValueError, "no candidates"),
        ({"candidates": iter([1])}, TypeError, "give a list"),
        ({"candidates": [1.0, 2.0]}, ValueError, "candidates"),
        ({"features": X[:3]}, ValueError, "3 rows for 400"),
        ({"objective": 3}, TypeError, "cannot be called"),
        ({"budget": 0}, ValueError, "budget"),
        ({"s": 9}, ValueError, "s=9"),
        ({"eps": -1.0}, ValueError, "eps"),
        ({"learner": "RandomSearch"}, TypeError, "no learner"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        best_action_search(**{"candidates": X, "objective": value_of, "budget": 5, **arguments})
