"""Query the extreme actions in a net of directions on every support: the enumeration of the paper."""

from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike
from algos.common.validation import canonical_array, check_option, check_range
from algos.misspecified_bandits._columns import largest_length, scaled_columns, support_columns
from algos.misspecified_bandits._enumeration import _EnumerationLearner
from algos.misspecified_bandits._learner import IntArray
from algos.misspecified_bandits._net_kernels import count_net_extremes, net_extremes
from algos.misspecified_bandits._sharding import check_candidates, most_counted, sum_over_supports
from algos.misspecified_bandits._supports import count_supports
from algos.misspecified_bandits.bounds.enumeration import cover_suboptimality
from algos.misspecified_bandits.bounds.nets import net_size
from algos.misspecified_bandits.nets import ball_net, sphere_net

__all__ = ["SparseCoverEnumeration", "cover_actions"]

MAX_CANDIDATES = 2 * 10**8
_NETS = ("sphere", "ball")


def cover_actions(
    X: Any, s: int = 2, *, eta: float, net: str = "sphere", n_jobs: int | None = None, max_candidates: int = MAX_CANDIDATES
) -> IntArray:
    """Return the actions that are extreme on some support in some direction of a net: what `SparseCoverEnumeration` would query.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_actions, n_features)
        Features of the actions.
    s : int, default=2
        Columns in a support.
    eta : float
        Covering radius of the net.
    net : {"sphere", "ball"}, default="sphere"
        Directions, or weights of length at most 1.
    n_jobs : int, optional
        Threads; the result does not depend on them.
    max_candidates : int, default=200_000_000
        Most pairs of a support and a point of the net.

    Returns
    -------
    ndarray of int64
        In increasing order.

    Raises
    ------
    TypeError, ValueError
        Not a table of finite numbers, a parameter outside its range, or too many candidates.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((1000, 4))
    >>> [cover_actions(X, 2, eta=eta).size for eta in (0.5, 0.1, 0.01)]
    [28, 42, 43]
    """
    table = canonical_array(X, sparse=True)
    check_range(s, name="s", low=1, high=table.shape[1], integer=True)
    check_range(eta, name="eta", low=0.0, low_open=True)
    check_option(net, _NETS, name="net")
    return np.flatnonzero(_extreme_counts(table, s, eta, net, n_jobs, max_candidates)).astype(np.int64)


def _extreme_counts(X: Any, s: int, eta: float, net: str, n_jobs: int | None, most: int) -> IntArray:
    """Return for every action the number of supports on which it is extreme in some direction of the net."""
    n, d = X.shape
    candidates = count_supports(d, s) * net_size(s=s, eta=eta, net=net)
    check_candidates(candidates, most, "take a larger eta, a smaller s or fewer columns")
    directions = sphere_net(s, eta) if net == "sphere" else _half(ball_net(s, eta))
    columns = scaled_columns(X)

    def count(supports: IntArray, counts: IntArray) -> None:
        places, extremes = np.empty((2, len(directions)), dtype=np.int64), np.empty((2, len(directions)))
        for support in supports:
            net_extremes(support_columns(columns, support), directions, places, extremes)
            count_net_extremes(places, counts)

    return sum_over_supports(count, d=d, s=s, n_actions=n, n_jobs=n_jobs)


def _half(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return one of each pair w, -w of a symmetric net in lexicographic order: both extremes are taken anyway."""
    return np.ascontiguousarray(weights[: (len(weights) + 1) // 2])


class SparseCoverEnumeration(_EnumerationLearner):
    r"""Query the best and the worst action for every direction of a net on every support of s columns, and recommend the best seen.

    This is the enumeration behind the statement of Dong and Yang (2023) that :math:`O(\varepsilon^{-s}d^s)` queries find an
    :math:`O(\varepsilon)`-optimal action; constants are ours. The recommendation is within :math:`2\varepsilon+2\eta RB` of the best
    action, where B is the largest length of an action on a support (at most 1 for actions in the unit ball).

    Parameters
    ----------
    s : int, default=2
        Most features that matter.
    eps : float, optional
        Misspecification. It gives the default of eta; without it there is no `bound_`.
    R : float, default=1.0
        Largest Euclidean length of theta.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact. Otherwise every action is pulled ``n_repeats_`` times and the bound has two more errors
        of the means, each at most eps (sigma, without eps).
    delta : float, default=0.05
        Probability that some mean of noisy rewards is further off than allowed.
    budget : int, optional
        Most pulls. Actions that are extreme on the most supports come first; there is a promise only after all of them.
    random_state : None, int, Generator or RandomState, default=None
        Unused: nothing is random.
    eta : float, optional
        Covering radius of the net, in units of R; by default eps / R, where both parts of the bound are alike.
    net : {"sphere", "ball"}, default="sphere"
        ``"sphere"`` covers directions, whose number grows as :math:`\eta^{1-s}`: the lengths of weights play no part for which action is
        best. ``"ball"`` covers weights with their lengths, :math:`\eta^{-s}` of them, as the paper counts.
    n_jobs : int, optional
        Threads for `fit`; the result does not depend on them.
    max_candidates : int, default=200_000_000
        Most pairs of a support and a point of the net.

    Attributes
    ----------
    planned_ : ndarray of int64
        Actions to query, known after `fit`; each is there once, however many directions chose it.
    eta_ : float
        Covering radius in use.
    n_candidates_ : int
        Supports times points of the net.
    length_ : float
        B, the largest length of an action on a support.
    n_actions_, n_features_in_ : int
    n_repeats_ : int
        Pulls of every action, more than 1 only with noise.
    done_, n_queries_, n_distinct_, history_, guarantee_, bound_ :
        State of the search.

    Notes
    -----
    `fit` takes 2 s flops per action, direction and support. For :math:`s\le3` :class:`HullEnumeration` queries little more, promises
    :math:`2\varepsilon`, and needs neither eps nor R.

    References
    ----------
    J. Dong and L. F. Yang, "Does Sparsity Help in Learning Misspecified Linear Bandits?", ICML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import SparseCoverEnumeration
    >>> X = np.random.default_rng(0).standard_normal((1000, 4))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> rewards = 0.8 * X[:, 1] - 0.5 * X[:, 3] + 0.1 * np.sin(9 * X[:, 0])
    >>> learner = SparseCoverEnumeration(s=2, eps=0.1).fit(X)
    >>> actions = learner.ask(1000)
    >>> _ = learner.tell(actions, rewards[actions])
    >>> learner.n_candidates_, learner.n_queries_
    (120, 132)
    >>> bool(rewards.max() - rewards[learner.recommend()] <= learner.bound_ <= 0.4)
    True
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
        *,
        eta: float | None = None,
        net: str = "sphere",
        n_jobs: int | None = None,
        max_candidates: int = MAX_CANDIDATES,
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state
        self.eta = eta
        self.net = net
        self.n_jobs = n_jobs
        self.max_candidates = max_candidates

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_jobs()
        check_option(self.net, _NETS, name="net")
        if self.eta is not None:
            check_range(self.eta, name="eta", low=0.0, low_open=True)
        elif not self.eps:
            raise ValueError(f"eps={self.eps!r} gives no covering radius for the net; give a positive eps, or eta, or use HullEnumeration")

    def _listed(self) -> IntArray:
        self.eta_ = float(self.eta) if self.eta is not None else float(self.eps or 0.0) / float(self.R)
        self.n_candidates_ = count_supports(self._X.shape[1], self.s) * net_size(s=self.s, eta=self.eta_, net=self.net)
        self.length_ = largest_length(self._X, self.s)
        return most_counted(_extreme_counts(self._X, self.s, self.eta_, self.net, self.n_jobs, self.max_candidates))

    def _worst(self, error: float) -> tuple[float, tuple[str, ...]]:
        assert self.eps is not None  # _promise has looked
        bound = cover_suboptimality(eps=self.eps, eta=self.eta_, length=self.length_, R=self.R, error=error)
        return bound, (*self._model_premises(), f"theta has length at most R={self.R:g}")
