"""What all learners share: binding the actions, questions and answers in any order, repeats against noise, saving and resuming.

A learner's state is a function of its parameters, its random key, the actions, and the answers in the order of their arrival. So it can
be saved at any moment as a few arrays, and another process that replays the answers goes on with the same recommendations.
"""

import math
import os
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data

from algos.common.guarantees import Guarantee, data_digest
from algos.common.randomness import RandomStateLike, as_generator, child
from algos.common.sequential import AnswerLog, Answers
from algos.common.serialization import load_state, save_state
from algos.common.validation import check_range, is_sparse
from algos.misspecified_bandits.bounds import noisy_repeats

if TYPE_CHECKING:
    from algos.misspecified_bandits._bandit_certificate import BanditCertificate

__all__ = ["BanditLearner", "PlannedLearner"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_KIND = "bandit learner"


class BanditLearner(BaseEstimator):  # type: ignore[misc]
    """Base of learners that look for the best action with few queries.

    A subclass implements `_start`, which reads ``self._X`` and prepares its state; `_propose`, which names the actions wanted next; and
    `_absorb`, which takes in an answer. It may refine `_choose`, `_promise` and `_finished`. `_propose` must depend on the answers and the
    questions that are out alone, and randomness must come from ``self._rng(...)``: that is what makes a run resumable.

    With ``sigma > 0`` every proposed action is pulled ``n_repeats_`` times and `_absorb` sees the mean, unless the class sets
    ``_takes_single_pulls``.
    """

    _takes_single_pulls: ClassVar[bool] = False
    _takes_sparse: ClassVar[bool] = False
    _known: ClassVar[dict[str, type["BanditLearner"]]] = {}

    s: int
    eps: float | None
    R: float
    sigma: float
    delta: float
    budget: int | None
    random_state: RandomStateLike

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        BanditLearner._known[cls.__name__] = cls

    # --- the interface ------------------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: None = None) -> Self:
        """Bind the actions; nothing is queried.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_actions, n_features)
            Features of the actions.
        y : None
            Ignored, present for the interface.

        Returns
        -------
        object
            The learner, which has forgotten all answers.

        Raises
        ------
        ValueError
            A parameter outside its range, or entries that are NaN or infinite.
        """
        return self._bind(X, int(as_generator(self.random_state).integers(2**63)))

    def ask(self, n: int = 1) -> IntArray:
        """Return actions to query next.

        Parameters
        ----------
        n : int, default=1
            Most actions wanted.

        Returns
        -------
        ndarray of int64, of shape (at most n,)
            Empty when the search is over. Where nothing new can be named before an answer has come, the actions that are out are named
            again, the oldest first: a process that lost answers just asks again.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            n < 1.
        """
        self._check_bound()
        check_range(n, name="n", low=1, integer=True)
        if self.done_:
            return np.empty(0, dtype=np.int64)
        n = min(n, self._left())
        fresh = self._fresh(n)
        self._log.ask(fresh)
        return np.array(fresh or self._log.waiting()[:n], dtype=np.int64)

    def tell(self, actions: npt.ArrayLike, rewards: npt.ArrayLike) -> Self:
        """Take in observed rewards, in any order, asked for or not.

        Parameters
        ----------
        actions : int or array-like of int
            Indices of actions.
        rewards : float or array-like of float
            One reward for each.

        Returns
        -------
        object
            The learner.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            An unknown action, a reward that is not finite, or, with ``sigma=0``, another reward for an action that has one. Then none of
            the rewards is taken in.
        """
        self._check_bound()
        for action, reward in zip(*self._log.check(actions, rewards), strict=True):
            self._log.record(action, reward)
            if self._takes_single_pulls:
                self._absorb(action, reward)
            elif self._log.count(action) == self.n_repeats_:
                self._absorb(action, self._log.mean(action))
        return self

    def recommend(self) -> int:
        """Return the action that is best as far as is known; the lowest index among equals.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        self._check_bound()
        return int(self._choose())

    @property
    def done_(self) -> bool:
        """Whether the search is over: nothing is left to ask, or the budget is spent."""
        self._check_bound()
        return self._left() <= 0 or self._finished()

    @property
    def history_(self) -> Answers:
        """All answers, in the order of their arrival."""
        self._check_bound()
        return self._log.answers

    @property
    def n_queries_(self) -> int:
        """Number of answers, repeats included."""
        self._check_bound()
        return len(self._log)

    @property
    def n_distinct_(self) -> int:
        """Number of actions with an answer."""
        self._check_bound()
        return self._log.n_distinct

    @property
    def guarantee_(self) -> Guarantee:
        """What is promised about the recommendation: a bound on its suboptimality and its premises, or why there is none."""
        self._check_bound()
        return self._promise()

    @property
    def bound_(self) -> float:
        """Guaranteed suboptimality of the recommendation; NaN when nothing is promised."""
        return self.guarantee_.value

    def certificate(self, s: int | None = None, eps: float | None = None, R: float | None = None) -> "BanditCertificate":
        """Prove how much better any action can be than the recommended one, or that no sparse model explains the answers.

        Parameters
        ----------
        s, eps, R : optional
            Model to assume; what is left out is the learner's own.

        Returns
        -------
        BanditCertificate
            As :func:`~algos.misspecified_bandits.certify_history` makes it from `history_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            No eps here and none in the learner, or a number outside its range.
        """
        self._check_bound()
        eps = self.eps if eps is None else eps
        if eps is None:
            raise ValueError("eps=None: a certificate needs a misspecification; give eps here, or look at certificate_curve over several")
        from algos.misspecified_bandits.version_space import certify_history  # which holds a learner itself

        return certify_history(
            self._X,
            *self.history_,
            s=self.s if s is None else s,
            eps=eps,
            R=self.R if R is None else R,
            sigma=self.sigma,
            delta=self.delta,
            recommended=self.recommend(),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the search to a file, so that another process can go on; between `ask` and `tell`, too.

        Parameters
        ----------
        path : str or path-like
            File to write or replace. The actions are not stored, only their fingerprint.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            A parameter that is not a number, text or array.
        """
        self._check_bound()
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name != "random_state"}
        state = {
            "class": type(self).__name__,
            "parameters": parameters,
            "key": self._key,
            "actions": data_digest(self._X),
            "log": self._log.state(),
        }
        save_state(path, state, kind=_KIND)

    @classmethod
    def load(cls, path: str | os.PathLike[str], X: Any) -> Self:
        """Read a search back.

        Parameters
        ----------
        path : str or path-like
            File written by `save`.
        X : array-like or sparse matrix of shape (n_actions, n_features)
            The same actions.

        Returns
        -------
        object
            A learner with the same answers, the same questions out, and the same recommendations from here on. `random_state` is not
            stored: the new learner has None, and still draws what the old one would have drawn.

        Raises
        ------
        FileNotFoundError
            No such file.
        ValueError
            The file is damaged, belongs to another class, or the actions are others.

        Notes
        -----
        The answers are replayed, which takes as long as the learner spent on them.
        """
        state = load_state(path, kind=_KIND)
        try:
            name, parameters, key, digest, saved = (state[field] for field in ("class", "parameters", "key", "actions", "log"))
            log = AnswerLog.restore(saved)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a saved search ({error}); use a file that save() wrote") from error
        made = BanditLearner._known.get(name)
        if made is None or not issubclass(made, cls):
            raise ValueError(f"{path} holds a {name}, not a {cls.__name__}; load it with {name}.load")
        learner = made(**parameters)
        learner._bind(X, int(key))
        if data_digest(learner._X) != digest:
            raise ValueError("X differs from the actions of the saved search, in values or in order; give the same table")
        learner.tell(*log.answers)
        learner._log.ask(log.waiting())
        return learner

    # --- for subclasses -----------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Prepare the state for ``self._X`` with ``self.n_actions_`` rows."""
        raise NotImplementedError

    def _propose(self, n: int) -> list[int]:
        """Return up to n distinct actions for which `_open` is true, in order of preference; none if an answer is needed first."""
        raise NotImplementedError

    def _absorb(self, action: int, value: float) -> None:
        """Take in the (mean) answer for an action, or a single pull."""

    def _can_play(self, n: int) -> bool:
        """Return whether `_play` is there, and the next n questions come one after the other."""
        return False

    def _play(self, mean: FloatArray, noise: FloatArray) -> None:
        """Ask and be told at once for each number of noise, with rewards ``mean[action] + noise[i]``, as `ask` and `tell` would in turn."""
        raise NotImplementedError

    def _finished(self) -> bool:
        """Return whether nothing is left to ask, whatever the budget."""
        raise NotImplementedError

    def _choose(self) -> int:
        """Return the best observed action, or action 0 without observations."""
        best, value = 0, -math.inf
        for action in self._log.answered:
            mean = self._log.mean(action)
            if mean > value or (mean == value and action < best):
                best, value = action, mean
        return best

    def _promise(self) -> Guarantee:
        """Return the guarantee of the recommendation."""
        return Guarantee("none", reason="this learner makes no promise")

    def _most_queried(self) -> int:
        """Return the most actions that the learner may query: what the repeats must be right about at once."""
        return self.n_actions_

    def _rng(self, *ids: int | str) -> np.random.Generator:
        """Return the generator for a purpose; the same one each time."""
        return child(self._key, *ids)

    def _known_to(self, action: int) -> bool:
        """Return whether an action has all its answers."""
        return self._log.count(action) >= (1 if self._takes_single_pulls else self.n_repeats_)

    def _open(self, action: int) -> bool:
        """Return whether more pulls of an action are needed than have been asked for or told."""
        return self._owed(action) > 0

    # --- inside -------------------------------------------------------------------------------------------------------------------

    def _bind(self, X: Any, key: int) -> Self:
        self._check_parameters()
        table = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], order="C")
        if is_sparse(table) and not self._takes_sparse:
            warnings.warn(f"{type(self).__name__} makes the sparse actions dense, {table.shape[0] * table.shape[1]} numbers", stacklevel=3)
            table = np.ascontiguousarray(table.toarray())
        self._X, self._key = table, key
        self.n_actions_ = int(table.shape[0])
        check_range(self.s, name="s", low=1, high=table.shape[1], integer=True)
        self._log = AnswerLog(self.n_actions_, exact=self.sigma == 0)
        self.n_repeats_ = 1
        self._start()
        if self.sigma > 0 and not self._takes_single_pulls:
            self.n_repeats_ = noisy_repeats(sigma=self.sigma, n_queries=self._most_queried(), delta=self.delta, error=self._noise_level())
        return self

    def _noise_level(self) -> float:
        """Return the error that repeats leave in each mean: eps, or sigma without one."""
        return float(self.eps) if self.eps else float(self.sigma)

    def _check_parameters(self) -> None:
        check_range(self.s, name="s", low=1, integer=True)
        if self.eps is not None:
            check_range(self.eps, name="eps", low=0.0)
        check_range(self.R, name="R", low=0.0, low_open=True)
        check_range(self.sigma, name="sigma", low=0.0)
        check_range(self.delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)
        if self.budget is not None:
            check_range(self.budget, name="budget", low=1, integer=True)

    def _check_bound(self) -> None:
        if not hasattr(self, "_log"):
            raise NotFittedError(f"this {type(self).__name__} has no actions yet; call fit(X) first")

    def _left(self) -> int:
        """Return the pulls that the budget leaves beyond the answers; a large number without a budget."""
        return (2**62 if self.budget is None else self.budget) - len(self._log)

    def _fresh(self, n: int) -> list[int]:
        """Return up to n pulls that are not out yet: repeats of started actions first, then new actions."""
        room = min(n, self._left() - self._log.n_out)
        if room <= 0:
            return []
        if self._takes_single_pulls:
            return self._propose(room)[:room]
        pulls: list[int] = []
        for action in self._propose(room):
            pulls += [action] * min(self._owed(action), room - len(pulls))
        return pulls

    def _owed(self, action: int) -> int:
        return self.n_repeats_ - self._log.count(action) - self._log.out(action)


class PlannedLearner(BanditLearner):
    """Base of learners that query a list of actions fixed in advance; a subclass implements `_plan`."""

    def _plan(self) -> IntArray:
        """Return the distinct actions to query, in their order."""
        raise NotImplementedError

    def _start(self) -> None:
        self._planned = self._plan()
        self._place = 0  # all planned actions before it have their answers

    def _next_place(self) -> int:
        while self._place < self._planned.size and self._known_to(int(self._planned[self._place])):
            self._place += 1
        return self._place

    def _propose(self, n: int) -> list[int]:
        wanted: list[int] = []
        for action in self._planned[self._next_place() :].tolist():
            if self._open(action):
                wanted.append(action)
                if len(wanted) == n:
                    break
        return wanted

    def _finished(self) -> bool:
        return self._next_place() == self._planned.size

    def _most_queried(self) -> int:
        return max(int(self._planned.size), 1)
