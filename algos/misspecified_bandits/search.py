"""The best of many candidates in one call: choose a learner, call the objective, certify what was found."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from algos.common.randomness import RandomStateLike
from algos.common.sequential import Answers
from algos.common.validation import canonical_array, check_range
from algos.misspecified_bandits._learner import BanditLearner
from algos.misspecified_bandits._supports import count_supports
from algos.misspecified_bandits.choosing import which_learner
from algos.misspecified_bandits.version_space import BanditCertificate, CertificateCurve, certificate_curve

__all__ = ["SearchFailed", "SearchResult", "best_action_search"]

_MAX_SUPPORTS = 10_000
_MODEL = ("s", "eps", "R", "sigma", "delta")

Progress = Callable[[int, int, float], object]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found, and what is proved about it.

    Attributes
    ----------
    best_index : int
        Recommended candidate.
    best_value : float
        Its observed (mean) value; NaN if it was not evaluated.
    certificate : BanditCertificate or None
        No candidate is better by more than ``certificate.value``, under the model; None without eps, with too many supports, or without
        any evaluation.
    curve : CertificateCurve or None
        The same for several eps, if eps is not known.
    eps_min : float
        No sparse model is nearer than this to the values seen; NaN without a certificate or a curve.
    refuted : bool
        Whether that rules out the eps that was given.
    n_queries : int
        Evaluations, repeats included.
    history : Answers
        Candidates and their values in the order of evaluation.
    learner : BanditLearner
        The learner with all answers; ``learner.certificate(s, eps, R)`` certifies under other assumptions.
    reason : str
        Why this learner.
    interrupted : bool
        Whether the search was stopped from the keyboard.
    """

    best_index: int
    best_value: float
    certificate: BanditCertificate | None
    curve: CertificateCurve | None
    eps_min: float
    refuted: bool
    n_queries: int
    history: Answers
    learner: BanditLearner
    reason: str
    interrupted: bool = False

    def explain(self) -> str:
        """Return what was found, by which learner, and what is proved, one line each."""
        found = f"Candidate {self.best_index} with value {self.best_value:.6g} after {self.n_queries} evaluations"
        lines = [found + (", interrupted." if self.interrupted else "."), f"{type(self.learner).__name__}: {self.reason}"]
        if self.certificate is not None:
            lines.append(self.certificate.explain())
        elif self.curve is not None:
            pairs = ", ".join(f"{value:.4g} for eps={eps:.4g}" for eps, value in zip(self.curve.eps, self.curve.values, strict=True))
            lines.append(f"No sparse model is nearer than {self.eps_min:.4g}. No candidate is better by more than {pairs}.")
        else:
            lines.append("Nothing is proved: there are too many supports for a certificate.")
        return "\n".join(lines)


class SearchFailed(RuntimeError):
    """The objective raised an error, or returned what is no finite number.

    Attributes
    ----------
    candidate : int
        Index of the candidate.
    result : SearchResult or None
        What was found before, without a certificate; None if there was nothing.
    """

    def __init__(self, message: str, candidate: int, result: SearchResult | None) -> None:
        super().__init__(message)
        self.candidate = candidate
        self.result = result


def best_action_search(
    candidates: Any,
    objective: Callable[[Any], float],
    *,
    budget: int,
    features: Any = None,
    s: int = 2,
    eps: float | None = None,
    R: float | None = None,
    sigma: float = 0.0,
    delta: float = 0.05,
    learner: BanditLearner | None = None,
    random_state: RandomStateLike = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    max_supports: int = _MAX_SUPPORTS,
) -> SearchResult:
    """Find the candidate with the largest value by few evaluations, and prove how much better another one can be.

    Parameters
    ----------
    candidates : sequence, array or data frame
        What the objective is called with, one element or row at a time.
    objective : callable
        Takes a candidate and returns its value, the larger the better.
    budget : int
        Most evaluations.
    features : array-like of shape (n_candidates, n_features) or callable, optional
        Features, or a function from a candidate to its features. The default is the candidates themselves, as a table of numbers.
    s : int, default=2
        Most features that matter, in a linear model within eps of the values. There is no intercept: a column of ones is a feature.
    eps : float, optional
        Misspecification. Without it there is a curve of certificates instead of one.
    R : float, optional
        Largest Euclidean length of the model, and so of a coefficient; 1 where a number is needed and none was given.
    sigma : float, default=0.0
        Noise level of the objective; 0 means that it always returns the same value.
    delta : float, default=0.05
        Probability that a mean of repeated noisy values is further off than allowed.
    learner : BanditLearner, optional
        Decides what to evaluate; it is cloned. The default is the choice of :func:`which_learner`.
    random_state : None, int, Generator or RandomState, default=None
        For the learner, if it was not given and draws at random.
    progress : callable, optional
        Called as ``progress(n_queries, budget, best_value)`` after each evaluation, with the best observed (mean) value.
    checkpoint : str or path-like, optional
        File that is rewritten before and after every evaluation. If it exists the search goes on from there, with the same features.
    max_supports : int, default=10_000
        Most supports for which certificates are computed.

    Returns
    -------
    SearchResult

    Raises
    ------
    SearchFailed
        From an error of the objective, or a value that is not a finite number; it holds what was found before.
    KeyboardInterrupt
        Only before the first value. Later, the search stops and the result says that it was interrupted.
    TypeError, ValueError
        Malformed candidates or features, a number outside its range, or a checkpoint of another search.

    Notes
    -----
    With an exact objective a recommended candidate that was not evaluated is evaluated at the end, if the budget allows.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import best_action_search
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2000, 8))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> def objective(x):
    ...     return 0.7 * x[2] - 0.4 * x[5] + 0.05 * np.sin(40.0 * x[0])
    >>> result = best_action_search(X, objective, budget=40, s=2, eps=0.05, R=1.0)
    >>> result.n_queries < 40, result.refuted
    (True, False)
    >>> bool(max(objective(x) for x in X) - result.best_value <= result.certificate.value <= 0.2)
    True
    """
    items = _items(candidates)
    table = _features(candidates, items, features)
    check_range(budget, name="budget", low=1, integer=True)
    check_range(max_supports, name="max_supports", low=1, integer=True)
    if not callable(objective):
        raise TypeError(f"objective={objective!r} cannot be called; give a function from a candidate to its value")
    search = _Search(
        items, objective, int(budget), progress, None if checkpoint is None else Path(checkpoint), learner is not None, max_supports
    )
    own: dict[str, Any] = {"s": s, "eps": eps, "sigma": sigma, "delta": delta, "budget": budget}
    if learner is None:
        choice = which_learner(table, R=R, **own)
        search.reason, made = choice.reason, choice.create(random_state=random_state)
    elif isinstance(learner, BanditLearner):
        made = clone(learner).set_params(R=1.0 if R is None else R, **own)
    else:
        raise TypeError(f"learner={learner!r} is no learner of algos.misspecified_bandits; give one, or leave it out")
    return search.run(search.bound(made, table))


def _items(candidates: Any) -> Any:
    """Return what yields candidates by position."""
    items = getattr(candidates, "iloc", candidates)
    if isinstance(candidates, dict | str) or not (hasattr(candidates, "__len__") and hasattr(items, "__getitem__")):
        raise TypeError(f"candidates are of type {type(candidates).__name__}; give a list, an array or a data frame")
    return items


def _features(candidates: Any, items: Any, features: Any) -> Any:
    n = candidates.shape[0] if hasattr(candidates, "shape") else len(candidates)
    if n == 0:
        raise ValueError("there are no candidates; give at least one")
    if callable(features):
        features = np.array([features(items[i]) for i in range(n)])
    name = "candidates" if features is None else "features"
    table = canonical_array(candidates if features is None else features, name=name, sparse=True)
    if table.shape[0] != n:
        raise ValueError(f"features has {table.shape[0]} rows for {n} candidates; give one row for each")
    return table


class _Search:
    """The loop around a learner: everything that is known is in the learner, so that nothing is lost."""

    def __init__(
        self,
        items: Any,
        objective: Callable[[Any], float],
        budget: int,
        progress: Progress | None,
        checkpoint: Path | None,
        given: bool,
        max_supports: int,
    ) -> None:
        self.items, self.objective, self.budget, self.progress = items, objective, budget, progress
        self.checkpoint, self.given, self.max_supports = checkpoint, given, max_supports
        self.reason = "it was given."
        self._calling = False

    def bound(self, learner: BanditLearner, table: Any) -> BanditLearner:
        """Return the learner with its actions, or the one of the checkpoint, if there is one, with its answers too."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return learner.fit(table)
        room = import_module("algos.misspecified_bandits")
        for name in room.__all__:  # a learner can be read back only once its class is known
            getattr(room, name)
        stored: BanditLearner = BanditLearner.load(self.checkpoint, table)
        if self.given and type(stored) is not type(learner):
            raise ValueError(f"{self.checkpoint} holds a search by {type(stored).__name__}, not by {type(learner).__name__}")
        wanted, held = learner.get_params(deep=False), stored.get_params(deep=False)
        for name in wanted if self.given else _MODEL:
            if name not in ("random_state", "budget") and held[name] != wanted[name]:
                raise ValueError(f"the search in {self.checkpoint} has {name}={held[name]!r}, not {wanted[name]!r}; give the same")
        stored.set_params(budget=self.budget)
        if type(stored) is not type(learner):
            self.reason = "it was in the file."
        return stored

    def run(self, learner: BanditLearner) -> SearchResult:
        interrupted = False
        try:
            self._loop(learner)
        except KeyboardInterrupt:
            if not learner.n_queries_:
                raise
            interrupted = True
            if not self._calling:  # the learner may have been at work: it is made again from its answers
                learner = self._replayed(learner)
        return self._result(learner, interrupted=interrupted, certify=True)

    @staticmethod
    def _replayed(learner: BanditLearner) -> BanditLearner:
        again: BanditLearner = clone(learner)
        again._bind(learner._X, learner._key)
        return again.tell(*learner.history_)

    def _loop(self, learner: BanditLearner) -> None:
        waiting = learner._log.waiting()
        while not learner.done_:
            actions = [waiting.pop(0)] if waiting else learner.ask().tolist()
            if not actions:
                break
            self._evaluate(learner, int(actions[0]))
        chosen = learner.recommend()
        while learner.sigma == 0 and learner.n_queries_ < self.budget and not learner._log.count(chosen):
            self._evaluate(learner, chosen)
            chosen = learner.recommend()

    def _evaluate(self, learner: BanditLearner, action: int) -> None:
        self._store(learner)
        try:
            self._calling = True
            value = float(self.objective(self.items[action]))
            self._calling = False
            learner.tell(action, value)
        except Exception as error:
            found = self._result(learner, interrupted=False, certify=False) if learner.n_queries_ else None
            raise SearchFailed(f"candidate {action}, evaluation {learner.n_queries_ + 1}: {error}", action, found) from error
        self._store(learner)
        if self.progress is not None:
            self.progress(learner.n_queries_, self.budget, learner._log.mean(BanditLearner._choose(learner)))

    def _store(self, learner: BanditLearner) -> None:
        if self.checkpoint is not None:
            learner.save(self.checkpoint)

    def _result(self, learner: BanditLearner, *, interrupted: bool, certify: bool) -> SearchResult:
        best = learner.recommend()
        possible = certify and count_supports(learner.n_features_in_, learner.s) <= self.max_supports and learner.n_queries_ > 0
        certificate = learner.certificate() if possible and learner.eps is not None else None
        curve = self._curve(learner, best) if possible and learner.eps is None else None
        source = certificate or curve
        return SearchResult(
            best_index=best,
            best_value=learner._log.mean(best),
            certificate=certificate,
            curve=curve,
            eps_min=math.nan if source is None else source.eps_min,
            refuted=certificate is not None and certificate.refuted,
            n_queries=learner.n_queries_,
            history=learner.history_,
            learner=learner,
            reason=self.reason,
            interrupted=interrupted,
        )

    def _curve(self, learner: BanditLearner, best: int) -> CertificateCurve:
        return certificate_curve(
            learner._X,
            *learner.history_,
            s=learner.s,
            R=learner.R,
            sigma=learner.sigma,
            delta=learner.delta,
            recommended=best,
            max_supports=self.max_supports,
        )
