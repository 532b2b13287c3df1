"""Which learner suits the actions, the budget and what is known of the rewards."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from algos.common.validation import canonical_array, check_option, check_range, is_sparse
from algos.misspecified_bandits._columns import largest_length
from algos.misspecified_bandits._supports import count_supports
from algos.misspecified_bandits.bounds import (
    elimination_bound,
    elimination_candidates,
    hull_suboptimality,
    noisy_repeats,
    recovery_queries,
)

__all__ = ["LearnerChoice", "which_learner"]

_GOALS = ("best_action", "total_reward")
_MOST_PAIRS = 2 * 10**9  # supports times actions whose hulls are counted: about a minute
_HANDFUL = 20  # distinct queries that elimination was hardly ever seen to exceed
_MAX_CANDIDATES = 20_000_000
_MAX_SUPPORTS = 10_000


@dataclass(frozen=True)
class LearnerChoice:
    """A learner for a problem, and why.

    Attributes
    ----------
    name : str
        Class in `algos.misspecified_bandits`.
    reason : str
        One sentence.
    queries : int
        Pulls it makes, or at most makes where they depend on the answers; never more than the budget.
    promise : float
        Suboptimality that it guarantees if it is not cut short; NaN if nothing is promised before the answers are known.
    rejected : tuple of (str, str)
        Learners that come before it in the order of preference, and why they do not fit.
    parameters : dict
        Parameters for the learner.
    """

    name: str
    reason: str
    queries: int
    promise: float
    rejected: tuple[tuple[str, str], ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)

    def create(self, **parameters: Any) -> Any:
        """Return the learner, unfitted; parameters given here replace the chosen ones.

        Parameters
        ----------
        **parameters : object
            Such as ``random_state``.

        Returns
        -------
        BanditLearner
        """
        return getattr(import_module("algos.misspecified_bandits"), self.name)(**{**self.parameters, **parameters})

    def explain(self) -> str:
        """Return the reason and what was rejected, one line each."""
        promise = "no promise before the answers are known" if math.isnan(self.promise) else f"at most {self.promise:.4g} from the best"
        lines = [f"{self.name}: {self.reason} At most {self.queries} pulls; {promise}."]
        return "\n".join([*lines, *(f"not {name}: {why}." for name, why in self.rejected)])


def which_learner(
    X: Any,
    *,
    budget: int,
    s: int | None = 2,
    eps: float | None = None,
    R: float | None = None,
    sigma: float = 0.0,
    delta: float = 0.05,
    goal: str = "best_action",
    max_supports: int = _MAX_SUPPORTS,
) -> LearnerChoice:
    """Choose a learner for a table of actions before anything is queried.

    In this order, the first that fits: every action, if the budget allows; a learner for the sum of rewards, if that is the goal;
    least squares on an optimal design, if nothing is known to be sparse; the vertices of hulls, if the budget allows; elimination, if eps
    and R are known and its candidates fit into memory; the exact version space, if they do not; recovery from random actions, if columns
    are isotropic; least squares; and random search.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_actions, n_features)
        Actions.
    budget : int
        Most pulls.
    s : int or None, default=2
        Most coefficients of the model that are not zero; None for all of them.
    eps : float, optional
        Misspecification, if known.
    R : float, optional
        Largest length of the model, if known.
    sigma : float, default=0.0
        Noise level of the rewards.
    delta : float, default=0.05
        Probability that a mean of repeated noisy rewards is further off than allowed.
    goal : {"best_action", "total_reward"}, default="best_action"
        To find the best action, or to collect rewards on the way.
    max_supports : int, default=10_000
        Most supports for which linear programs are worth their time.

    Returns
    -------
    LearnerChoice

    Raises
    ------
    TypeError, ValueError
        Malformed actions, or a number outside its range.

    Notes
    -----
    Counting the vertices of hulls takes most of the time, and is left out beyond 2e9 pairs of an action and a support.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import which_learner
    >>> X = np.random.default_rng(0).standard_normal((3000, 6))
    >>> which_learner(X, budget=5000).name, which_learner(X, budget=400).name
    ('ExhaustiveSearch', 'HullEnumeration')
    >>> choice = which_learner(X, budget=40, eps=0.5, R=1.0)
    >>> choice.name, [name for name, _ in choice.rejected]
    ('OptimisticElimination', ['ExhaustiveSearch', 'HullEnumeration'])
    """
    table = canonical_array(X, sparse=True)
    check_range(budget, name="budget", low=1, integer=True)
    if s is not None:
        check_range(s, name="s", low=1, high=table.shape[1], integer=True)
    for name, value in (("eps", eps), ("R", R)):
        if value is not None:
            check_range(value, name=name, low=0.0, high=math.inf, low_open=name == "R", high_open=True)
    check_range(sigma, name="sigma", low=0.0, high=math.inf, high_open=True)
    check_range(delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)
    check_option(goal, _GOALS, name="goal")
    check_range(max_supports, name="max_supports", low=1, integer=True)
    problem = _Problem(table, int(budget), s, eps, R, float(sigma), float(delta), goal, int(max_supports))
    rejected: list[tuple[str, str]] = []
    for found in problem.in_order():
        if isinstance(found, LearnerChoice):
            return LearnerChoice(found.name, found.reason, found.queries, found.promise, tuple(rejected), problem.parameters())
        rejected.append(found)
    raise AssertionError("random search always fits")


@dataclass(frozen=True, eq=False)
class _Problem:
    """The question, and one method for each learner: a choice, or the name and why not."""

    X: Any
    budget: int
    s: int | None
    eps: float | None
    R: float | None
    sigma: float
    delta: float
    goal: str
    max_supports: int

    def in_order(self) -> Iterator[LearnerChoice | tuple[str, str]]:
        yield self.every_action()
        if self.goal == "total_reward":
            reason = "rewards on the way count, and it drops actions in phases without knowing eps."
            yield LearnerChoice("PhasedElimination", reason, self.budget, math.nan)
        if self.s is not None:
            yield self.hulls(self.s)
            yield self.elimination(self.s)
            yield self.version_space(self.s)
            yield self.recovery(self.s)
        yield self.least_squares()
        yield LearnerChoice("RandomSearch", "the budget is too small for anything else.", self.budget, math.nan)

    def parameters(self) -> dict[str, Any]:
        return {
            "s": self.X.shape[1] if self.s is None else self.s,
            "eps": self.eps,
            "R": 1.0 if self.R is None else self.R,
            "sigma": self.sigma,
            "delta": self.delta,
            "budget": self.budget,
        }

    def every_action(self) -> LearnerChoice | tuple[str, str]:
        pulls = self._pulls(self.X.shape[0])
        if pulls > self.budget:
            return "ExhaustiveSearch", f"{pulls} pulls for all actions are more than budget={self.budget}"
        return LearnerChoice("ExhaustiveSearch", "the budget is enough for every action.", pulls, 2.0 * self._error())

    def hulls(self, s: int) -> LearnerChoice | tuple[str, str]:
        name = "HullEnumeration"
        K, d = self.X.shape
        if s > 3 or count_supports(d, s) * K > _MOST_PAIRS:
            return name, f"hulls of {count_supports(d, s)} projections of {K} actions to s={s} columns take too long to count"
        from algos.misspecified_bandits.hull_enumeration import hull_actions

        pulls = self._pulls(int(hull_actions(self.X.toarray() if is_sparse(self.X) else self.X, s).size))
        if pulls > self.budget:
            return name, f"{pulls} pulls for all vertices are more than budget={self.budget}"
        promise = math.nan if self.eps is None else hull_suboptimality(eps=self.eps, error=self._error())
        return LearnerChoice(name, "the budget is enough for every action that a sparse linear model can prefer.", pulls, promise)

    def elimination(self, s: int) -> LearnerChoice | tuple[str, str]:
        name = "OptimisticElimination"
        if not self.eps or self.R is None:
            return name, "it has to know R and an eps above 0"
        if self._too_noisy():
            return name, f"{_HANDFUL} actions with {self._repeats(self.X.shape[0])} pulls each are more than budget={self.budget}"
        length = largest_length(self.X, s)
        eta = self.eps / length if length > 0.0 else self.R
        if max(1.0, self.R / eta) ** s > _MAX_CANDIDATES:  # before the points of the net are counted
            return name, f"a net with radius {eta:.3g} in the ball of radius {self.R:g} has too many points"
        candidates = elimination_candidates(d=self.X.shape[1], s=s, eta=eta, R=self.R)
        if candidates > _MAX_CANDIDATES:
            return name, f"{candidates} candidates are more than {_MAX_CANDIDATES}"
        promise = elimination_bound(eps=self.eps, eta=eta, length=length, noise=self._error())
        reason = f"eps and R are known, and {candidates} candidate models fit into memory; a handful of queries is usual."
        return LearnerChoice(name, reason, min(self.budget, self._pulls(min(self.X.shape[0], candidates))), promise)

    def version_space(self, s: int) -> LearnerChoice | tuple[str, str]:
        name, supports = "ExactVersionSpace", count_supports(self.X.shape[1], s)
        if self.eps is None or self.R is None:
            return name, "it has to know eps and R"
        if supports > self.max_supports:
            return name, f"{supports} supports are more than max_supports={self.max_supports}"
        if self._too_noisy():
            return name, f"{_HANDFUL} actions with {self._repeats(self.X.shape[0])} pulls each are more than budget={self.budget}"
        reason = f"eps and R are known, and there are only {supports} supports; it queries what could break its certificate."
        promise = 2.0 * (self.eps + self._error())
        return LearnerChoice(name, reason, min(self.budget, self._pulls(self.X.shape[0])), promise)

    def recovery(self, s: int) -> LearnerChoice | tuple[str, str]:
        from algos.misspecified_bandits.norming import too_coherent

        name, m = "SparseRecoveryBandit", recovery_queries(d=self.X.shape[1], s=s)
        pulls = m * self._repeats(2 * m)
        if pulls > self.budget:
            return name, f"{pulls} pulls for {m} random actions are more than budget={self.budget}"
        coherent, coherence = too_coherent(self.X, s, np.random.default_rng(0))
        if coherent:
            return name, f"columns are not isotropic: two of them have a product of {coherence:.3g} of their lengths"
        reason = f"columns are isotropic, and {m} random actions are enough to find {s} of them."
        return LearnerChoice(name, reason, min(self.budget, 2 * pulls), math.nan)

    def least_squares(self) -> LearnerChoice | tuple[str, str]:
        name, (K, d) = "GOptLeastSquares", self.X.shape
        points = min(K, d * (d + 1) // 2 + 1, math.ceil(4.0 * d * max(0.0, math.log(max(1.0, math.log(d)))) + 16.0))
        pulls = points * self._repeats(points)
        if pulls > self.budget:
            return name, f"{pulls} pulls for {points} points of a design are more than budget={self.budget}"
        what = "nothing is known to be sparse" if self.s is None else "sparsity cannot be used"
        promise = math.nan if self.eps is None or self.sigma > 0 else 2.0 * self.eps * (1.0 + math.sqrt(2.0 * d))
        return LearnerChoice(name, f"{what}, and a design of some {points} actions fits all columns.", pulls, promise)

    def _error(self) -> float:
        """Return the error that repeats leave in a mean, as the learners choose it."""
        return 0.0 if self.sigma == 0 else float(self.eps or self.sigma)

    def _repeats(self, n_queries: int) -> int:
        if self.sigma == 0:
            return 1
        return noisy_repeats(sigma=self.sigma, n_queries=n_queries, delta=self.delta, error=self._error())

    def _pulls(self, n_queries: int) -> int:
        return n_queries * self._repeats(max(n_queries, 1))

    def _too_noisy(self) -> bool:
        return self.sigma > 0 and _HANDFUL * self._repeats(self.X.shape[0]) > self.budget
