"""What answers the queries: rewards that are linear up to an error, and opponents that decide while they are asked."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import canonical_array, check_range

__all__ = ["AdaptiveAdversary", "BanditEnv", "LinearBanditEnv", "ResistedSearch", "ResistingOracle"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

ROUNDING = 1e-12
"""Misspecification is a difference of rounded numbers; it may pass its bound by this, relative to the rewards."""


class BanditEnv(Protocol):
    """What `run` needs of an environment."""

    X: Any

    def pull(self, actions: npt.ArrayLike) -> FloatArray:
        """Return one reward for each action."""

    def suboptimality(self, action: int) -> float:
        """Return how far an action's mean reward is below the best one; NaN while it is not decided."""


class _CountingEnv:
    """Actions, and how often each was pulled."""

    def __init__(self, X: Any) -> None:
        self.X = canonical_array(X, sparse=True)
        self.n_actions = int(self.X.shape[0])
        self.counts = np.zeros(self.n_actions, dtype=np.int64)

    @property
    def n_pulls(self) -> int:
        """Number of pulls."""
        return int(self.counts.sum())

    @property
    def n_distinct(self) -> int:
        """Number of actions pulled at least once."""
        return int(np.count_nonzero(self.counts))

    def _counted(self, actions: npt.ArrayLike) -> IntArray:
        """Return the actions as an array of indices after counting them; none is counted if one is refused."""
        asked = np.atleast_1d(np.asarray(actions))
        if asked.ndim != 1:
            raise ValueError(f"actions have shape {asked.shape}; give one index or a list of them")
        if asked.size and asked.dtype.kind not in "iu":
            raise TypeError(f"actions of dtype {asked.dtype} are not indices; give integers from 0 to {self.n_actions - 1}")
        if asked.size and (int(asked.min()) < 0 or int(asked.max()) >= self.n_actions):
            wrong = int(asked.min()) if int(asked.min()) < 0 else int(asked.max())
            raise ValueError(f"action {wrong} is unknown; actions are numbered from 0 to {self.n_actions - 1}")
        pulled = asked.astype(np.int64)
        np.add.at(self.counts, pulled, 1)
        return pulled

    def _one(self, action: int) -> int:
        return int(check_range(action, name="action", low=0, high=self.n_actions - 1, integer=True))


class LinearBanditEnv(_CountingEnv):
    r"""Fixed mean rewards :math:`r(a)=\langle\theta,\phi(a)\rangle+\nu(a)`, observed exactly or with Gaussian noise.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_actions, n_features)
        Features.
    mean : array-like of shape (n_actions,)
        Mean rewards.
    sigma : float, default=0.0
        Standard deviation of the noise.
    eps : float, optional
        Bound on :math:`|\nu|`; by default the largest one there is, or NaN without theta.
    theta : array-like of shape (n_features,), optional
        Linear part, where one is known.
    random_state : None, int, Generator or RandomState, default=None
        Draws the noise, in the order of the pulls: it does not matter how they are divided into calls.

    Attributes
    ----------
    X, mean, theta, sigma, eps :
        As given; `mean` and `theta` are read-only copies.
    n_actions : int
    counts : ndarray of int64, of shape (n_actions,)
        Pulls of every action.
    n_pulls, n_distinct : int
    best : int
        Best action; the lowest index among equals.

    Raises
    ------
    ValueError
        Shapes that do not fit, numbers that are not finite, or a mean further than eps from the linear part.

    Examples
    --------
    >>> from algos.misspecified_bandits import LinearBanditEnv
    >>> env = LinearBanditEnv([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.125], theta=[0.375, 0.0])
    >>> env.pull([1, 1, 0]).tolist(), env.n_pulls, env.n_distinct
    ([0.125, 0.125, 0.5], 3, 2)
    >>> env.eps, env.regret(), env.suboptimality(1)
    (0.125, 0.75, 0.375)
    """

    def __init__(
        self,
        X: Any,
        mean: npt.ArrayLike,
        *,
        sigma: float = 0.0,
        eps: float | None = None,
        theta: npt.ArrayLike | None = None,
        random_state: RandomStateLike = None,
    ) -> None:
        super().__init__(X)
        self.mean = _vector(mean, self.n_actions, "mean", "action")
        self.sigma = float(check_range(sigma, name="sigma", low=0.0, high=math.inf, high_open=True))
        self.theta = None if theta is None else _vector(theta, self.X.shape[1], "theta", "feature")
        self.eps = self._checked_eps(eps)
        self.best = int(np.argmax(self.mean))
        self._rng = as_generator(random_state)

    def pull(self, actions: npt.ArrayLike) -> FloatArray:
        """Return one reward for each action.

        Parameters
        ----------
        actions : int or array-like of int
            Indices; an action may occur more than once.

        Returns
        -------
        ndarray of float64

        Raises
        ------
        TypeError, ValueError
            Not indices of actions; then nothing is pulled.
        """
        pulled = self._counted(actions)
        return self.mean[pulled] + self._noise(pulled.size)

    def _noise(self, n: int) -> FloatArray:
        """Draw the noise of the next n pulls."""
        return self.sigma * self._rng.standard_normal(n) if self.sigma > 0.0 else np.zeros(n)

    def suboptimality(self, action: int) -> float:
        """Return how far an action's mean reward is below the best one.

        Raises
        ------
        TypeError, ValueError
            Not the index of an action.
        """
        return float(self.mean[self.best] - self.mean[self._one(action)])

    def regret(self) -> float:
        """Return the sum over all pulls of how far their mean rewards are below the best one."""
        return float(self.counts @ (self.mean[self.best] - self.mean))

    def _checked_eps(self, eps: float | None) -> float:
        if eps is not None:
            check_range(eps, name="eps", low=0.0)
        if self.theta is None:
            return math.nan if eps is None else float(eps)
        linear = np.asarray(self.X @ self.theta, dtype=np.float64)
        errors = np.abs(self.mean - linear)
        worst = int(np.argmax(errors))
        if eps is None:
            return float(errors[worst])
        if errors[worst] > eps + ROUNDING * max(eps, float(np.max(np.abs(linear))), float(np.max(np.abs(self.mean)))):
            raise ValueError(
                f"mean[{worst}]={self.mean[worst]!r} is {errors[worst]:.6g} away from the linear part, more than eps={eps!r}; "
                "raise eps or correct theta"
            )
        return float(eps)


@dataclass(frozen=True, eq=False)
class ResistedSearch:
    """What a resisting oracle decides in the end; unpacks into needle and mean.

    Attributes
    ----------
    needle : int or None
        Action that turns out to be the best; None if the learner left no room for it.
    mean : ndarray of shape (n_actions,), read-only
        Mean rewards, which agree with all answers.
    suboptimality : float
        How far the recommendation is below the best action.
    """

    needle: int | None
    mean: FloatArray = field(repr=False)
    suboptimality: float

    def __iter__(self) -> Iterator[Any]:
        return iter((self.needle, self.mean))


class ResistingOracle(_CountingEnv):
    """Answers v to everything, and when the learner has decided, puts the needle where it has not looked.

    A learner without coins fails for certain as long as an action is neither queried nor recommended: always with at most K - 2 distinct
    queries, and with K - 1 where the recommended action is among them.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_actions, n_features)
        Features.
    v : float, default=0.0
        Answer to every query.
    gap : float, default=1.0
        Height of the needle over v, positive.

    Attributes
    ----------
    X, v, gap, n_actions, counts, n_pulls, n_distinct :
        As in `LinearBanditEnv`.

    Notes
    -----
    Whether the rewards it decides for are nearly linear depends on the features: where every action can be the needle, as in the instances
    of `make_rs_needle`, `make_jl_needle` and `make_identical_features`, their method `oracle` gives the v and the gap.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import ResistingOracle
    >>> oracle = ResistingOracle(np.eye(4))
    >>> oracle.pull([0, 2]).tolist()
    [0.0, 0.0]
    >>> needle, mean = oracle.finish(1)
    >>> needle, mean.tolist()
    (3, [0.0, 0.0, 0.0, 1.0])
    """

    def __init__(self, X: Any, v: float = 0.0, *, gap: float = 1.0) -> None:
        super().__init__(X)
        self.v = float(check_range(v, name="v", low=-math.inf, high=math.inf, low_open=True, high_open=True))
        self.gap = float(check_range(gap, name="gap", low=0.0, high=math.inf, low_open=True, high_open=True))

    def pull(self, actions: npt.ArrayLike) -> FloatArray:
        """Return v for each action.

        Raises
        ------
        TypeError, ValueError
            Not indices of actions.
        """
        return np.full(self._counted(actions).size, self.v)

    def finish(self, recommended: int) -> ResistedSearch:
        """Decide where the needle is: the first action that is neither queried nor recommended.

        Parameters
        ----------
        recommended : int
            What the learner recommends.

        Returns
        -------
        ResistedSearch

        Raises
        ------
        TypeError, ValueError
            Not the index of an action.
        """
        chosen = self._one(recommended)
        free = self.counts == 0
        free[chosen] = False
        mean = np.full(self.n_actions, self.v)
        needle = int(np.argmax(free)) if free.any() else None
        if needle is not None:
            mean[needle] = self.v + self.gap
        mean.flags.writeable = False
        return ResistedSearch(needle, mean, float(mean.max() - mean[chosen]))

    def suboptimality(self, action: int) -> float:
        """Return how far below the best action a recommendation would be if the search ended now."""
        return self.finish(action).suboptimality


class AdaptiveAdversary(_CountingEnv):
    r"""Chooses the error of an action when it is first queried, and gives the error that hurts most to those never queried.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_actions, n_features)
        Features.
    theta : array-like of shape (n_features,)
        Linear part.
    eps : float
        Bound on the errors.
    choose : callable, optional
        ``choose(action, options)`` returns the reward to give, one of the options :math:`\langle\theta,\phi\rangle-\varepsilon`,
        :math:`\langle\theta,\phi\rangle`, :math:`\langle\theta,\phi\rangle+\varepsilon`. It may look at anything, even at the learner. By
        default the lowest one: what is seen looks worse than what is not, the worst case for enumerations.

    Attributes
    ----------
    X, theta, eps, n_actions, counts, n_pulls, n_distinct :
        As in `LinearBanditEnv`.

    Raises
    ------
    ValueError
        Shapes that do not fit, or numbers outside their range.

    Examples
    --------
    >>> from algos.misspecified_bandits import AdaptiveAdversary
    >>> opponent = AdaptiveAdversary([[1.0], [1.0]], [0.5], 0.25)
    >>> opponent.pull(0).tolist(), opponent.suboptimality(0)
    ([0.25], 0.5)
    """

    def __init__(
        self, X: Any, theta: npt.ArrayLike, eps: float, *, choose: Callable[[int, tuple[float, float, float]], float] | None = None
    ) -> None:
        super().__init__(X)
        self.theta = _vector(theta, self.X.shape[1], "theta", "feature")
        self.eps = float(check_range(eps, name="eps", low=0.0, high=math.inf, high_open=True))
        self._choose = choose
        self._linear = np.asarray(self.X @ self.theta, dtype=np.float64)
        self._given: dict[int, float] = {}

    @property
    def mean(self) -> FloatArray:
        """Mean rewards as they are decided so far; an action that was not queried has the error eps."""
        mean = self._linear + self.eps
        for action, reward in self._given.items():
            mean[action] = reward
        return mean

    def pull(self, actions: npt.ArrayLike) -> FloatArray:
        """Return one reward for each action, the same one each time.

        Raises
        ------
        TypeError, ValueError
            Not indices of actions, or a reward that `choose` did not take from its options.
        """
        return np.array([self._reward(action) for action in self._counted(actions).tolist()], dtype=np.float64)

    def suboptimality(self, action: int) -> float:
        """Return how far an action is below the best one if nothing more is queried."""
        mean = self.mean
        return float(mean.max() - mean[self._one(action)])

    def _reward(self, action: int) -> float:
        if action not in self._given:
            linear = float(self._linear[action])
            options = (linear - self.eps, linear, linear + self.eps)
            reward = options[0] if self._choose is None else self._choose(action, options)
            if reward not in options:
                raise ValueError(f"choose returned {reward!r} for action {action}; it must return one of {options}")
            self._given[action] = reward
        return self._given[action]


def _vector(values: npt.ArrayLike, n: int, name: str, per: str) -> FloatArray:
    """Return a read-only copy of finite numbers, one per action or feature."""
    array = np.array(values, dtype=np.float64)
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}; X has {n} {per}s, give one number for each")
    if not np.all(np.isfinite(array)):
        place = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name}[{place}]={array[place]}; finite numbers are needed")
    array.flags.writeable = False
    return array
