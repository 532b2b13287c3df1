"""The record of a sequential learner against a plain list of what it was told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.common.sequential import AnswerLog
from algos.common.serialization import load_state, save_state


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), max_size=30), st.lists(st.integers(0, 4), max_size=10))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_counts_means_and_open_questions_are_those_of_a_plain_list(told, asked):
    log = AnswerLog(5, exact=False)
    log.ask(asked)
    for question, value in told:
        log.tell(question, value)
    for question in range(5):
        values = [value for q, value in told if q == question]
        assert log.count(question) == len(values)
        assert log.out(question) == max(asked.count(question) - len(values), 0)
        assert np.isnan(log.mean(question)) if not values else log.mean(question) == sum(values) / len(values)
    assert log.n_distinct == len({question for question, _ in told})
    questions, values = log.answers
    assert list(zip(questions.tolist(), values.tolist(), strict=True)) == told


def test_a_repeated_exact_answer_keeps_its_bits():
    log = AnswerLog(1, exact=True)
    for _ in range(3):
        log.tell(0, 0.1)
    assert log.mean(0) == 0.1


def test_a_contradiction_within_one_call_is_refused_and_nothing_is_recorded():
    log = AnswerLog(2, exact=True)
    with pytest.raises(ValueError, match=r"action 1 was told with reward 0\.5 and now with 0\.25"):
        log.tell([0, 1, 1], [0.0, 0.5, 0.25])
    assert not len(log)


def test_a_saved_log_comes_back(tmp_path):
    log = AnswerLog(4, exact=True)
    log.ask([3, 1, 3])
    log.tell([1, 0], [0.1, 1 / 3])
    save_state(tmp_path / "log", log.state(), kind="log")
    again = AnswerLog.restore(load_state(tmp_path / "log", kind="log"))
    assert again.waiting() == log.waiting() == [3, 3]
    assert again.answers.values.tolist() == [0.1, 1 / 3]
    assert again.exact
