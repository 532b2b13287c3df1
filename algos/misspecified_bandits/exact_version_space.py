"""A learner that keeps all models that agree with the answers, and asks where they differ most."""

import math

import numpy as np

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike
from algos.common.validation import check_range
from algos.misspecified_bandits._bandit_certificate import Bounds, bounds_for
from algos.misspecified_bandits._consistent_models import ConsistentModels, Observations, widened
from algos.misspecified_bandits._learner import BanditLearner

__all__ = ["ExactVersionSpace"]

_MAX_SUPPORTS = 200_000
_MOST_PROGRAMS = 16  # actions named at once where each takes a round of linear programs


class ExactVersionSpace(BanditLearner):
    r"""Query the action that can still be the best by most, until no action can beat the best observed one by more than a target.

    All models that agree with the answers are kept, support by support: as intervals and polygons for one or two columns, by linear
    programs for more. With every answer the certificate is known, as :func:`~algos.misspecified_bandits.certify_history` makes it, and the
    next query is its rival. Nothing is lost to a net, at the price of work for every support in every round.

    Parameters
    ----------
    s : int, default=2
        Most coefficients of the model that are not zero.
    eps : float
        Misspecification: expected rewards are within eps of the model. Required.
    R : float, default=1.0
        Largest size of a coefficient.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact.
    delta : float, default=0.05
        Probability that a mean of repeated noisy rewards is further off than eps (sigma, if eps is 0).
    budget : int, optional
        Most pulls.
    random_state : None, int, Generator or RandomState, default=None
        Unused: nothing is random. Present for the common interface.
    target : float, optional
        The search ends when `bound_` is at most this. The default is 2 eps (2 eps + 2 e with means that are off by e): nobody can
        guarantee less before every action has been seen.
    max_supports : int, default=200_000
        Most supports.

    Attributes
    ----------
    n_actions_, n_features_in_, n_repeats_ : int
    n_alive_ : int
        Supports with a model that agrees with all answers.
    model_refuted_ : bool
        Whether no support is left: the rewards follow no model of this kind.
    bound_, guarantee_ :
        At any time: the certificate for the recommended action.
    done_, n_queries_, n_distinct_, history_ :
        State of the search.

    Raises
    ------
    ValueError
        At `fit`: no eps, or too many supports.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import ExactVersionSpace
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 6))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> mean = 0.7 * X[:, 1] - 0.5 * X[:, 4] + rng.uniform(-0.1, 0.1, 300)
    >>> learner = ExactVersionSpace(s=2, eps=0.1).fit(X)
    >>> while not learner.done_:
    ...     actions = learner.ask()
    ...     _ = learner.tell(actions, mean[actions])
    >>> bool(mean.max() - mean[learner.recommend()] <= learner.bound_ <= 0.2), learner.n_queries_ < 30
    (True, True)
    """

    def __init__(
        self,
        s: int = 2,
        eps: float | None = None,
        R: float = 1.0,
        sigma: float = 0.0,
        delta: float = 0.05,
        budget: int | None = None,
        random_state: RandomStateLike = None,
        *,
        target: float | None = None,
        max_supports: int = _MAX_SUPPORTS,
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state
        self.target = target
        self.max_supports = max_supports

    @property
    def n_alive_(self) -> int:
        """Number of supports with a model that agrees with all answers."""
        self._check_bound()
        self._bounds()
        return int(self._models.alive.sum())

    @property
    def model_refuted_(self) -> bool:
        """Whether no support is left."""
        return self.n_alive_ == 0

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_range(self.max_supports, name="max_supports", low=1, integer=True)
        check_range(self.R, name="R", low=0.0, high=math.inf, low_open=True, high_open=True)
        if self.target is not None:
            check_range(self.target, name="target", low=0.0)
        if self.eps is None:
            raise ValueError("eps=None: the models have to be told the misspecification; give eps, for example eps_min of a certificate")

    def _start(self) -> None:
        assert self.eps is not None
        self._level = float(self.eps)
        self._radius = float(self._noise_level()) if self.sigma > 0 else 0.0
        self._goal = 2.0 * (self._level + self._radius) if self.target is None else float(self.target)
        self._models = ConsistentModels(self._X, s=self.s, R=self.R, max_supports=self.max_supports)
        self._means: dict[int, float] = {}
        self._sides: Bounds | None = None

    def _absorb(self, action: int, value: float) -> None:
        self._means[action] = value
        self._sides = None

    def _seen(self) -> Observations:
        values = np.array(list(self._means.values()), dtype=np.float64)
        return Observations(np.array(list(self._means), dtype=np.int64), values, np.full(values.size, self._radius))

    def _bounds(self) -> Bounds:
        """Return the certificate's two sides; NaN if no model is left."""
        if self._sides is None:
            seen = self._seen()
            self._models.settle(seen, stop=widened(self._level))
            self._models.rule_out(self._level)
            if self._models.alive.any():
                self._sides = bounds_for(self._models, seen, recommended=self._choose(), eps=self._level)
            else:
                self._sides = Bounds(math.nan, math.nan, -1, None)
        return self._sides

    def _propose(self, n: int) -> list[int]:
        bounds, seen = self._bounds(), self._seen()
        threatens = bounds.lower + self._goal - self._level  # a prediction above it could break the target
        open_actions = np.ones(self.n_actions_, dtype=np.bool_)
        for action in {*self._log.answered, *self._log.waiting()}:
            open_actions[action] = action not in self._means and self._open(action)
        if self.s <= 2:
            best, _, thin = self._models.predictions(seen, self._level)
            order = np.argsort(-best, kind="stable")
            return [int(a) for a in order[open_actions[order] & ((best[order] > threatens) | thin.any())][:n]]
        wanted: list[int] = []
        for _ in range(min(n, _MOST_PROGRAMS)):
            found = self._models.largest(open_actions, seen, self._level)
            if found.action < 0 or found.value <= threatens:
                break
            wanted.append(found.action)
            open_actions[found.action] = False
        return wanted

    def _finished(self) -> bool:
        bounds = self._bounds()
        return math.isnan(bounds.upper) or len(self._means) == self.n_actions_ or (bool(self._means) and self._value(bounds) <= self._goal)

    def _choose(self) -> int:
        if not self._means:
            return super()._choose()
        best = max(self._means.values())
        return min(action for action, mean in self._means.items() if mean == best)

    @staticmethod
    def _value(bounds: Bounds) -> float:
        return max(0.0, bounds.upper - bounds.lower)

    def _promise(self) -> Guarantee:
        bounds = self._bounds()
        if math.isnan(bounds.upper):
            return Guarantee("none", reason="no model agrees with the answers: eps, s or R is too small for them")
        if not self._means:
            return Guarantee("none", reason="nothing has been observed")
        premises = (f"expected rewards are within {self.eps:g} of a model with {self.s} coefficients of size at most {self.R:g}",)
        if self.sigma == 0:
            return Guarantee("worst case", self._value(bounds), premises)
        noise = f"noise is {self.sigma:g}-subgaussian and independent"
        return Guarantee(f"with probability {1 - self.delta:g}", self._value(bounds), (*premises, noise))
