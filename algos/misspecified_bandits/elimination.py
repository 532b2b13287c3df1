"""Optimistic elimination: query what the most promising model would choose, and drop the models that the answer contradicts."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike
from algos.common.validation import check_range
from algos.misspecified_bandits._columns import largest_length, support_columns
from algos.misspecified_bandits._elimination_kernels import best_promises, best_promises_of_all, first_filter, later_filter
from algos.misspecified_bandits._learner import BanditLearner
from algos.misspecified_bandits._net_kernels import net_extremes
from algos.misspecified_bandits._supports import support_blocks
from algos.misspecified_bandits.bounds import elimination_candidates
from algos.misspecified_bandits.nets import ball_net

__all__ = ["OptimisticElimination"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_MAX_CANDIDATES = 20_000_000
_ROUNDING = 1e-12  # of the largest prediction: values that must not differ by computing them twice


class OptimisticElimination(BanditLearner):
    r"""Look for the best action with few queries, when eps and the length of the model are known.

    Candidates are all pairs of s columns and a vector w of a net with covering radius :math:`\eta` of the ball of radius R. A candidate
    promises :math:`H=\max_a\langle w,\phi_S(a)\rangle`. The action of the largest promise is queried; candidates whose prediction misses
    the answer by more than :math:`\tau=\epsilon+\eta B+e` are dropped, where B is the largest length of an action on s columns and e the
    error of a mean of noisy rewards. The search ends when the best answer is within :math:`\tau` of the largest promise that is left.

    Parameters
    ----------
    s : int, default=2
        Most coefficients of the model that are not zero.
    eps : float
        Misspecification: expected rewards are within eps of the model. Required.
    R : float, default=1.0
        Largest Euclidean length of the model.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact.
    delta : float, default=0.05
        Probability that a mean of repeated noisy rewards is further off than eps (sigma, if eps is 0).
    budget : int, optional
        Most pulls.
    random_state : None, int, Generator or RandomState, default=None
        Unused: nothing is random. Present for the common interface.
    eta : float, optional
        Covering radius of the net. The default is eps / B, so that the net costs as much as the misspecification.
    max_candidates : int, default=20_000_000
        Most candidates; each takes 20 bytes.

    Attributes
    ----------
    n_actions_, n_features_in_, n_repeats_ : int
    eta_ : float
        Covering radius of the net.
    n_candidates_, n_alive_ : int
        Candidates, and candidates that agree with all answers.
    tolerance_ : float
        :math:`\tau`.
    model_refuted_ : bool
        Whether no candidate is left: the rewards follow no model of this kind.
    bound_, guarantee_ :
        At any time: the largest promise plus :math:`\tau` minus the best answer; at the end at most :math:`2\tau`.
    done_, n_queries_, n_distinct_, history_ :
        State of the search.

    Raises
    ------
    ValueError
        At `fit`: no eps, eps = 0 without eta, or more candidates than `max_candidates`.

    Notes
    -----
    Time O(C(d, s) n K s) for `fit`, with n vectors in the net, and O(C(d, s) n s) for the first answer; later ones cost what is left.
    Answers drop most candidates at once, so that a handful of queries is usual; their number, `n_candidates_`, is the bound.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import OptimisticElimination
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 6))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> mean = 0.7 * X[:, 1] - 0.5 * X[:, 4] + rng.uniform(-0.1, 0.1, 300)
    >>> learner = OptimisticElimination(s=2, eps=0.1).fit(X)
    >>> while not learner.done_:
    ...     actions = learner.ask()
    ...     _ = learner.tell(actions, mean[actions])
    >>> bool(mean.max() - mean[learner.recommend()] <= learner.bound_ <= 0.4 + 1e-9), learner.n_queries_ < 20
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
        eta: float | None = None,
        max_candidates: int = _MAX_CANDIDATES,
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state
        self.eta = eta
        self.max_candidates = max_candidates

    @property
    def n_alive_(self) -> int:
        """Number of candidates that agree with all answers."""
        self._check_bound()
        return self.n_candidates_ if self._alive is None else len(self._alive[0])

    @property
    def model_refuted_(self) -> bool:
        """Whether no candidate is left."""
        return self.n_alive_ == 0

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_range(self.max_candidates, name="max_candidates", low=1, integer=True)
        if self.eta is not None:
            check_range(self.eta, name="eta", low=0.0, high=math.inf, low_open=True, high_open=True)
        if self.eps is None:
            raise ValueError("eps=None: elimination has to know the misspecification; give eps, for example eps_min of a certificate")
        if self.eps == 0 and self.eta is None:
            raise ValueError("eps=0 leaves no default for the covering radius; give eta, which costs 2 eta B in the guarantee")

    def _start(self) -> None:
        assert self.eps is not None
        length = largest_length(self._X, self.s)
        # actions that are all zero are served by any net
        self.eta_ = float(self.eta) if self.eta is not None else (self.eps / length if length > 0.0 else self.R)
        self.n_candidates_ = elimination_candidates(d=self.n_features_in_, s=self.s, eta=self.eta_, R=self.R)
        if self.n_candidates_ > self.max_candidates:
            raise ValueError(
                f"eta={self.eta_:g}, R={self.R:g} and s={self.s} of {self.n_features_in_} columns make {self.n_candidates_} candidates, "
                f"more than max_candidates={self.max_candidates}; raise eta, lower s, drop columns, or raise max_candidates (20 bytes each)"
            )
        self._noise = self._noise_level() if self.sigma > 0 else 0.0
        rounding = _ROUNDING * (1.0 + (self.R + self.eta_) * length)
        self.tolerance_ = self.eps + self.eta_ * length + self._noise + rounding
        # a candidate that has agreed on its own action must end the search, though its promise was summed in another order
        self._near_enough = self.tolerance_ + rounding
        self._net = ball_net(self.s, self.eta_, self.R)
        self._axes = np.ascontiguousarray(self._net.T)
        self._supports = np.concatenate([block for _, block in support_blocks(self.n_features_in_, self.s)])
        self._promises, self._actions = promised(self._X, self._supports, self._net)
        self._alive: tuple[Any, Any] | None = None  # supports and points; None while all are alive
        self._means: dict[int, float] = {}
        self._best: FloatArray | None = None

    def _absorb(self, action: int, value: float) -> None:
        self._means[action] = value
        self._best = None
        features = np.ascontiguousarray(self._X[action].astype(np.float64)[self._supports])
        if self._alive is None:
            support, point = (np.empty(self.n_candidates_, dtype=np.int32) for _ in range(2))
            count = first_filter(self._axes, features, value, self.tolerance_, support, point)
        else:
            support, point = self._alive
            count = later_filter(self._net, features, value, self.tolerance_, support, point, len(support))
        # what was dropped is given back to the system
        self._alive = (support[:count].copy(), point[:count].copy())

    def _promises_left(self) -> FloatArray:
        """Return for every action the largest promise of a live candidate that would choose it, or -inf."""
        if self._best is None:
            self._best = np.full(self.n_actions_, -np.inf)
            if self._alive is None:
                best_promises_of_all(self._promises, self._actions, self._best)
            else:
                support, point = self._alive
                best_promises(self._promises, self._actions, support, point, len(support), self._best)
        return self._best

    def _propose(self, n: int) -> list[int]:
        best = self._promises_left()
        order = np.argsort(-best, kind="stable")
        wanted: list[int] = []
        for action in order.tolist():
            if len(wanted) == n or best[action] == -np.inf:
                break
            if self._open(action):
                wanted.append(action)
        return wanted

    def _finished(self) -> bool:
        if self.model_refuted_:
            return True
        return bool(self._means) and max(self._means.values()) >= float(self._promises_left().max()) - self._near_enough

    def _choose(self) -> int:
        if not self._means:
            return super()._choose()
        best = max(self._means.values())
        return min(action for action, mean in self._means.items() if mean == best)

    def _promise(self) -> Guarantee:
        if self.model_refuted_:
            return Guarantee("none", reason="no candidate agrees with the answers: eps, s or R is too small for them")
        if not self._means:
            return Guarantee("none", reason="nothing has been observed")
        value = max(0.0, float(self._promises_left().max()) + self.tolerance_ - max(self._means.values()))
        premises = (f"expected rewards are within {self.eps:g} of a model with {self.s} coefficients and length at most {self.R:g}",)
        if self.sigma == 0:
            return Guarantee("worst case", value, premises)
        noise = f"noise is {self.sigma:g}-subgaussian and independent"
        return Guarantee(f"with probability {1 - self.delta:g}", value, (*premises, noise))


def promised(X: Any, supports: IntArray, net: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """Return the largest prediction of every candidate and the action that has it, the lowest one of equals.

    The net is symmetric, its last vector the negative of its first and so on: half of it is enough, by largest and smallest predictions.

    Returns
    -------
    promises : ndarray of shape (n_supports, n_net)
    actions : ndarray of int32, of shape (n_supports, n_net)
    """
    n, columns = len(net), np.ascontiguousarray(X.T)
    half = -(-n // 2)
    promises, actions = np.empty((len(supports), n)), np.empty((len(supports), n), dtype=np.int32)
    places, extremes = np.empty((2, half), dtype=np.int64), np.empty((2, half))
    directions = np.ascontiguousarray(net[:half])
    for i, support in enumerate(supports):
        net_extremes(support_columns(columns, support), directions, places, extremes)
        promises[i, n - half :], actions[i, n - half :] = -extremes[1, ::-1], places[1, ::-1]
        promises[i, :half], actions[i, :half] = extremes[0], places[0]
    return promises, actions
