"""Learners that use no features: what any other learner has to beat."""

import numpy as np

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike
from algos.misspecified_bandits._learner import IntArray, PlannedLearner

__all__ = ["ExhaustiveSearch", "RandomSearch"]


class ExhaustiveSearch(PlannedLearner):
    """Query every action once, in their order, and recommend the best: the learner for few actions.

    Parameters
    ----------
    s, eps, R : optional
        Model that `certificate` assumes; the search itself has none.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact.
    delta : float, default=0.05
        Probability that a mean of repeated noisy rewards is further off than allowed.
    budget : int, optional
        Most pulls.
    random_state : None, int, Generator or RandomState, default=None
        Unused: nothing is random. Present for the common interface.

    Attributes
    ----------
    n_actions_, n_features_in_ : int
    n_repeats_ : int
        Pulls of every action, more than 1 only with noise.
    done_, n_queries_, n_distinct_, history_, guarantee_, bound_ :
        State of the search.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import ExhaustiveSearch
    >>> learner = ExhaustiveSearch(s=1).fit(np.eye(3))
    >>> _ = learner.tell(learner.ask(3), [0.1, 0.7, 0.3])
    >>> learner.recommend(), learner.bound_
    (1, 0.0)
    """

    _takes_sparse = True

    def __init__(
        self,
        s: int = 2,
        eps: float | None = None,
        R: float = 1.0,
        sigma: float = 0.0,
        delta: float = 0.05,
        budget: int | None = None,
        random_state: RandomStateLike = None,
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state

    def _plan(self) -> IntArray:
        return np.arange(self.n_actions_, dtype=np.int64)

    def _promise(self) -> Guarantee:
        if not self._finished():
            return Guarantee("none", reason=f"{self.n_actions_ - self._log.n_distinct} of {self.n_actions_} actions are unseen")
        if self.sigma == 0:
            return Guarantee("worst case", 0.0, ("rewards are exact",))
        premises = (f"noise is {self.sigma:g}-subgaussian and independent",)
        return Guarantee(f"with probability {1 - self.delta:g}", 2.0 * self._noise_level(), premises)


class RandomSearch(ExhaustiveSearch):
    """Query actions in random order without repeats, and recommend the best one seen.

    Parameters
    ----------
    s, eps, R : optional
        Model that `certificate` assumes; the search itself has none.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact.
    delta : float, default=0.05
        Probability that a mean of repeated noisy rewards is further off than allowed.
    budget : int, optional
        Most pulls.
    random_state : None, int, Generator or RandomState, default=None
        Draws the order.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import RandomSearch
    >>> learner = RandomSearch(s=1, budget=2, random_state=0).fit(np.eye(50))
    >>> len(learner.ask(10))
    2
    """

    def _plan(self) -> IntArray:
        return self._rng("order").permutation(self.n_actions_).astype(np.int64)
