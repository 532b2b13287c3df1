"""Every learner keeps the same contract: questions and answers in any order, refusals that change nothing, runs that can be resumed."""

import importlib.util
import inspect
import pickle
import pkgutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import algos.misspecified_bandits as room
from algos.misspecified_bandits._learner import BanditLearner, PlannedLearner

_spec = importlib.util.spec_from_file_location("bandit_learners", Path(__file__).with_name("learners.py"))
_table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_table)
LEARNERS = _table.LEARNERS

_rng = np.random.default_rng(5)
X = _rng.standard_normal((24, 4))
X /= np.linalg.norm(X, axis=1, keepdims=True)
MEAN = X[:, :2] @ np.array([0.6, -0.5]) + _rng.uniform(-0.1, 0.1, 24)


def rewards(learner, actions, count):
    """Rewards that depend on the action and on how often it was pulled, so that two runs see the same noise."""
    values = []
    for action in actions.tolist():
        count[action] = count.get(action, 0) + 1
        noise = np.random.default_rng([action, count[action]]).standard_normal() if learner.sigma else 0.0
        values.append(MEAN[action] + learner.sigma * noise)
    return np.array(values)


def play(learner, rounds, count, batch=1):
    recommended = []
    for _ in range(rounds):
        actions = learner.ask(batch)
        if not actions.size:
            break
        learner.tell(actions, rewards(learner, actions, count))
        recommended.append(learner.recommend())
    return recommended


def names(learner):
    return f"{learner}".replace("\n", "")


each = pytest.mark.parametrize("learner", LEARNERS, ids=names)


def test_the_table_holds_every_learner():
    classes = set()
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        for _, value in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(value, BanditLearner) and value not in (BanditLearner, PlannedLearner) and not value.__name__.startswith("_"):
                classes.add(value)
    assert classes == {type(learner) for learner in LEARNERS}


def test_the_first_table_of_the_guide_names_every_learner():
    guide = (Path(__file__).resolve().parents[3] / "docs" / "user_guide" / "misspecified_bandits.md").read_text(encoding="utf-8")
    table = guide[: guide.index("\n## ")]
    assert not [type(learner).__name__ for learner in LEARNERS if f"`{type(learner).__name__}`" not in table]


@each
def test_questions_are_actions_and_a_search_ends_or_keeps_to_its_budget(learner):
    learner = clone(learner).set_params(budget=90).fit(X)
    for _ in range(200):
        actions = learner.ask(3)
        assert actions.dtype == np.int64
        assert actions.size <= 3
        if not actions.size:
            break
        assert actions.min() >= 0
        assert actions.max() < 24
        learner.tell(actions, rewards(learner, actions, {}))
    assert learner.done_
    assert learner.n_queries_ <= 90
    assert learner.n_distinct_ == len(set(learner.history_.questions.tolist()))
    assert 0 <= learner.recommend() < 24


@each
def test_asking_before_fit_is_refused(learner):
    learner = clone(learner)
    for call in (learner.ask, learner.recommend, lambda: learner.tell([0], [1.0]), lambda: learner.history_):
        with pytest.raises(NotFittedError, match="call fit"):
            call()


@each
def test_a_refused_answer_changes_nothing(learner):
    learner = clone(learner).fit(X)
    play(learner, 3, {})
    before = learner.history_.values.tolist(), learner.recommend(), learner.n_distinct_
    with pytest.raises(ValueError, match="unknown"):
        learner.tell([0, 24], [0.0, 0.0])
    with pytest.raises(ValueError, match="unknown"):
        learner.tell([-1], [0.0])
    with pytest.raises(ValueError, match="leave out"):
        learner.tell([0, 1], [0.0, np.nan])
    with pytest.raises(ValueError, match="one reward per action"):
        learner.tell([0, 1], [0.0])
    with pytest.raises(TypeError, match="integers"):
        learner.tell([0.5], [0.0])
    assert (learner.history_.values.tolist(), learner.recommend(), learner.n_distinct_) == before


@each
def test_exact_answers_must_not_contradict_each_other(learner):
    learner = clone(learner).fit(X)
    learner.tell(3, MEAN[3])
    learner.tell(3, MEAN[3])
    assert learner.n_queries_ == 2
    if learner.sigma == 0:
        with pytest.raises(ValueError, match="action 3 was told"):
            learner.tell([4, 3], [MEAN[4], MEAN[3] + 1.0])
        assert learner.n_queries_ == 2
    else:
        learner.tell(3, MEAN[3] + 1.0)


@each
def test_a_run_that_is_pickled_in_the_middle_goes_on_alike(learner):
    learner, count = clone(learner).fit(X), {}
    play(learner, 5, count)
    learner.ask(1)
    other = pickle.loads(pickle.dumps(learner))
    assert play(learner, 12, dict(count)) == play(other, 12, dict(count))


@each
def test_a_run_that_is_saved_between_question_and_answer_goes_on_alike(learner, tmp_path):
    learner, count = clone(learner).fit(X), {}
    play(learner, 5, count)
    out = learner.ask(1)
    learner.save(tmp_path / "search")
    other = type(learner).load(tmp_path / "search", X)
    for run in (learner, other):
        if out.size:
            run.tell(out, MEAN[out])
    first, second = play(learner, 12, dict(count)), play(other, 12, dict(count))
    assert first == second
    assert learner.history_.questions.tolist() == other.history_.questions.tolist()
    with pytest.raises(ValueError, match="differs from the actions"):
        type(learner).load(tmp_path / "search", X[::-1])


@each
def test_answers_of_a_batch_may_come_in_any_order(learner):
    runs = []
    for reverse in (False, True):
        run = clone(learner).fit(X)
        for _ in range(6):
            actions = np.unique(run.ask(4))
            if not actions.size:
                break
            order = actions[::-1] if reverse else actions
            run.tell(order, MEAN[order])
        runs.append((run.recommend(), sorted(run.history_.questions.tolist())))
    assert runs[0] == runs[1]


@each
def test_answers_that_nobody_asked_for_are_used(learner):
    learner = clone(learner).fit(X)
    everything = np.tile(np.arange(24), learner.n_repeats_)
    learner.tell(everything, MEAN[everything])
    best = int(np.argmax(MEAN))
    assert learner.n_distinct_ == 24
    if learner.guarantee_.holds:
        assert MEAN[best] - MEAN[learner.recommend()] <= learner.bound_ + 1e-12


@each
def test_lost_answers_are_asked_for_again(learner):
    learner = clone(learner).fit(X)
    seen = set()
    for _ in range(400):
        actions = learner.ask(2)
        assert actions.size or learner.done_
        repeated = seen.issuperset(actions.tolist())
        seen.update(actions.tolist())
        if repeated and learner.sigma == 0:
            break
    assert not learner.n_queries_


@each
@pytest.mark.parametrize(
    ("parameter", "value"), [("s", 0), ("s", 5), ("eps", -1.0), ("R", 0.0), ("sigma", -0.1), ("delta", 0.0), ("budget", 0)]
)
def test_parameters_outside_their_range_are_named(learner, parameter, value):
    with pytest.raises(ValueError, match=parameter):
        clone(learner).set_params(**{parameter: value}).fit(X)


@each
def test_actions_with_nan_are_refused(learner):
    with pytest.raises(ValueError, match="NaN"):
        clone(learner).fit(np.where(np.arange(4) == 2, np.nan, X))
