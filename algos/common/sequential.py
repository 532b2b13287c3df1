"""What a sequential learner has been told: every answer in its order, questions that are still out, and contradictions."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["AnswerLog", "Answers"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers in the order in which they arrived; unpacks into questions and values.

    Attributes
    ----------
    questions : ndarray of int64, shape (t,)
    values : ndarray of float64, shape (t,)
    """

    questions: IntArray
    values: FloatArray

    def __iter__(self) -> Any:
        return iter((self.questions, self.values))

    def __len__(self) -> int:
        return self.questions.size


class AnswerLog:
    """Record of answers to questions 0, ..., n - 1, that may come in any order, more than once, and without having been asked.

    Parameters
    ----------
    n : int
        Number of possible questions.
    exact : bool
        Whether a question has one answer: a second, different one is then an error and not noise.

    Examples
    --------
    >>> log = AnswerLog(3, exact=True)
    >>> log.ask([2, 0])
    >>> log.tell([0, 1], [0.5, 0.25])
    >>> log.waiting(), log.count(1), log.mean(0)
    ([2], 1, 0.5)
    """

    def __init__(self, n: int, *, exact: bool) -> None:
        self.n = n
        self.exact = exact
        self._questions: list[int] = []
        self._values: list[float] = []
        self._counts: dict[int, int] = {}
        self._sums: dict[int, float] = {}
        self._out: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._questions)

    @property
    def n_distinct(self) -> int:
        """Number of questions with an answer."""
        return len(self._counts)

    @property
    def answers(self) -> Answers:
        """All answers, in the order of their arrival."""
        return Answers(np.array(self._questions, dtype=np.int64), np.array(self._values, dtype=np.float64))

    @property
    def answered(self) -> list[int]:
        """Questions with an answer, in the order of their first one."""
        return list(self._counts)

    def count(self, question: int) -> int:
        """Return how many answers a question has."""
        return self._counts.get(question, 0)

    def mean(self, question: int) -> float:
        """Return the mean answer to a question; NaN without one."""
        if question not in self._counts:
            return math.nan
        return self._sums[question] if self.exact else self._sums[question] / self._counts[question]

    def out(self, question: int) -> int:
        """Return how many answers to a question were asked for and have not come."""
        return self._out.get(question, 0)

    @property
    def n_out(self) -> int:
        """Number of answers that were asked for and have not come."""
        return self._out.total()

    def waiting(self) -> list[int]:
        """Return the questions that are out, the oldest first, each as often as it was asked."""
        return list(self._out.elements())

    def ask(self, questions: Iterable[int]) -> None:
        """Note that questions have been asked."""
        for question in questions:
            self._out[question] += 1

    def check(self, questions: npt.ArrayLike, values: npt.ArrayLike) -> tuple[list[int], list[float]]:
        """Return questions and values as lists, or raise; nothing is changed.

        Raises
        ------
        TypeError
            Questions that are not integers.
        ValueError
            Lengths that differ, an unknown question, a value that is not finite, or, in an exact log, a second answer to a question that
            differs from the first.
        """
        asked, given = np.asarray(questions), np.asarray(values, dtype=np.float64)
        if asked.ndim == 0:
            asked = asked.reshape(1)
        if given.ndim == 0:
            given = given.reshape(1)
        if asked.size and asked.dtype.kind not in "iu":
            raise TypeError(f"actions of dtype {asked.dtype} are not indices; give integers from 0 to {self.n - 1}")
        if asked.ndim != 1 or asked.shape != given.shape:
            raise ValueError(f"actions have shape {asked.shape}, rewards {given.shape}; give one reward per action")
        pairs = asked.tolist(), given.tolist()  # and Python's own loops from here: most calls bring one answer
        if asked.size and not (min(pairs[0]) >= 0 and max(pairs[0]) < self.n):
            wrong = min(pairs[0]) if min(pairs[0]) < 0 else max(pairs[0])
            raise ValueError(f"action {wrong} is unknown; actions are numbered from 0 to {self.n - 1}")
        if not all(map(math.isfinite, pairs[1])):
            place = int(np.flatnonzero(~np.isfinite(given))[0])
            raise ValueError(f"the reward of action {asked[place]} is {given[place]}; leave out queries that failed")
        if self.exact:
            self._refuse_contradictions(*pairs)
        return pairs

    def tell(self, questions: npt.ArrayLike, values: npt.ArrayLike) -> None:
        """Record answers; either all of them or, if one is refused, none.

        Raises
        ------
        TypeError, ValueError
            As `check`.
        """
        for question, value in zip(*self.check(questions, values), strict=True):
            self.record(question, value)

    def record(self, question: int, value: float) -> None:
        """Record one answer that was checked before."""
        self._questions.append(question)
        self._values.append(value)
        self._counts[question] = self._counts.get(question, 0) + 1
        # exact answers are all the same: a mean of equal numbers may be off by a bit
        self._sums[question] = value if self.exact else self._sums.get(question, 0.0) + value
        if self._out.get(question, 0):
            self._out[question] -= 1
            if not self._out[question]:
                del self._out[question]

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as numbers and arrays."""
        answers = self.answers
        return {
            "n": self.n,
            "exact": self.exact,
            "questions": answers.questions,
            "values": answers.values,
            "waiting": np.array(self.waiting(), dtype=np.int64),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Return the log that a state was taken from.

        Raises
        ------
        ValueError
            A state that contradicts itself.
        """
        log = cls(int(state["n"]), exact=bool(state["exact"]))
        log.tell(state["questions"], state["values"])
        log.ask(np.asarray(state["waiting"], dtype=np.int64).tolist())
        return log

    def _refuse_contradictions(self, questions: list[int], values: list[float]) -> None:
        known: dict[int, float] = {}
        for question, value in zip(questions, values, strict=True):
            before = known.get(question, self._sums.get(question, value))
            if value != before:
                raise ValueError(
                    f"action {question} was told with reward {before!r} and now with {value!r}, but answers are said to be exact; "
                    "set sigma to the noise level, or correct the reward"
                )
            known[question] = value
