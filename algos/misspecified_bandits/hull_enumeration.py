"""Query the vertices of the hull of every projection to s columns: 2 eps from the best, without knowing eps or R."""

from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike
from algos.common.validation import canonical_array, check_range
from algos.misspecified_bandits._columns import scaled_columns, support_columns
from algos.misspecified_bandits._enumeration import _EnumerationLearner
from algos.misspecified_bandits._hull_kernels import count_pair_vertices
from algos.misspecified_bandits._hulls import hull_of_columns, hull_of_points
from algos.misspecified_bandits._learner import IntArray
from algos.misspecified_bandits._sharding import check_candidates, most_counted, sum_over_supports
from algos.misspecified_bandits._supports import count_supports
from algos.misspecified_bandits.bounds.enumeration import hull_suboptimality

__all__ = ["HullEnumeration", "hull_actions", "hull_vertices"]

MAX_CANDIDATES = 2 * 10**8


def hull_vertices(points: npt.ArrayLike) -> IntArray:
    """Return the vertices of the convex hull of points in any dimension, also when they are flat, repeated or few.

    Parameters
    ----------
    points : array-like of shape (n, s)
        Points.

    Returns
    -------
    ndarray of int64
        Rows that are vertices, in increasing order. Of equal vertices the lowest row stands for all.

    Raises
    ------
    TypeError, ValueError
        Not a table of finite numbers.

    Notes
    -----
    In one dimension the two ends; in the plane a monotone chain whose turns have exact signs, so that the result is exact for the given
    floating-point numbers; in three dimensions Qhull, after points that lie in a plane or on a line up to rounding (1e-13 of their spread)
    were turned into it; in more dimensions one small linear program per point and vertex, with accuracy 1e-10 of the spread. Points are
    never moved at random. Where Qhull cannot decide, all points in question are returned: no vertex is missed.

    Examples
    --------
    >>> hull_vertices([[0, 0], [2, 0], [1, 1], [0, 2], [1, 0.5], [2, 0]]).tolist()
    [0, 1, 3]
    """
    table = canonical_array(points, name="points").astype(np.float64, copy=False)
    return hull_of_points(np.ascontiguousarray(scaled_columns(table, each=True).T))


def hull_actions(X: Any, s: int = 2, *, n_jobs: int | None = None, max_candidates: int = MAX_CANDIDATES) -> IntArray:
    """Return the actions that are vertices of the hull of some projection to s columns: what `HullEnumeration` would query.

    Their number is known before any query, and says whether the budget is enough.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features of the actions.
    s : int, default=2
        Columns in a support.
    n_jobs : int, optional
        Threads; the result does not depend on them.
    max_candidates : int, default=200_000_000
        Most supports that are looked at.

    Returns
    -------
    ndarray of int64
        In increasing order.

    Raises
    ------
    TypeError, ValueError
        Not a table of finite numbers, s outside 1, ..., n_features, or too many supports.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((1000, 4))
    >>> hull_actions(X, 1).size, hull_actions(X, 2).size
    (8, 43)
    """
    table = canonical_array(X)
    check_range(s, name="s", low=1, high=table.shape[1], integer=True)
    return np.flatnonzero(_vertex_counts(table, s, n_jobs, max_candidates)).astype(np.int64)


def _vertex_counts(X: Any, s: int, n_jobs: int | None, most: int) -> IntArray:
    """Return for every action the number of supports on which it is a vertex."""
    n, d = X.shape
    check_candidates(count_supports(d, s), most, "take fewer columns or a smaller s")
    columns = scaled_columns(X, each=True)

    def count(supports: IntArray, counts: IntArray) -> None:
        if s == 2:
            count_pair_vertices(columns, supports, counts)
            return
        for support in supports:
            if s == 1:
                counts[hull_of_points(columns[support[0]][:, None])] += 1
            else:
                counts[hull_of_columns(support_columns(columns, support), n)] += 1

    return sum_over_supports(count, d=d, s=s, n_actions=n, n_jobs=n_jobs)


class HullEnumeration(_EnumerationLearner):
    r"""Query every action that is a vertex of the hull of some projection to s columns, and recommend the best.

    A linear function of s columns is largest at a vertex of the hull of the actions projected to them. So one of the queried actions is as
    good as any other up to the misspecification: the recommendation is within :math:`2\varepsilon` of the best action, and nobody has to
    know :math:`\varepsilon` or the length of :math:`\theta` to run the search. No learner that leaves an action unqueried can promise less.

    Parameters
    ----------
    s : int, default=2
        Most features that matter.
    eps : float, optional
        Misspecification; only `bound_` and the repeats against noise use it.
    R : float, default=1.0
        Unused; for the common interface and `certificate`.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact. Otherwise every action is pulled ``n_repeats_`` times and the bound has two more errors
        of the means, each at most eps (sigma, without eps).
    delta : float, default=0.05
        Probability that some mean of noisy rewards is further off than allowed.
    budget : int, optional
        Most pulls. Actions that are vertices on the most supports come first; there is a promise only after all of them.
    random_state : None, int, Generator or RandomState, default=None
        Unused: nothing is random.
    n_jobs : int, optional
        Threads for `fit`; the result does not depend on them.
    max_candidates : int, default=200_000_000
        Most supports that are looked at.

    Attributes
    ----------
    planned_ : ndarray of int64
        Actions to query, known after `fit`.
    n_actions_, n_features_in_ : int
    n_repeats_ : int
        Pulls of every action, more than 1 only with noise.
    done_, n_queries_, n_distinct_, history_, guarantee_, bound_ :
        State of the search.

    Notes
    -----
    `fit` takes one hull for each of the :math:`\binom ds` supports: :func:`hull_vertices` says how. Points within rounding of a face may be
    taken for a vertex or not, which is below any :math:`\varepsilon` that matters. For :math:`s\ge4` linear programs take over, a few
    milliseconds for every action and support: with many actions use :class:`SparseCoverEnumeration`.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import HullEnumeration
    >>> X = np.random.default_rng(0).standard_normal((1000, 4))
    >>> rewards = X[:, 1] - 0.5 * X[:, 3] + 0.1 * np.sin(9 * X[:, 0])
    >>> learner = HullEnumeration(s=2, eps=0.1).fit(X)
    >>> while not learner.done_:
    ...     actions = learner.ask(10)
    ...     _ = learner.tell(actions, rewards[actions])
    >>> learner.n_queries_, learner.bound_
    (43, 0.2)
    >>> bool(rewards.max() - rewards[learner.recommend()] <= learner.bound_)
    True
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
        self.n_jobs = n_jobs
        self.max_candidates = max_candidates

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_jobs()

    def _listed(self) -> IntArray:
        return most_counted(_vertex_counts(self._X, self.s, self.n_jobs, self.max_candidates))

    def _worst(self, error: float) -> tuple[float, tuple[str, ...]]:
        assert self.eps is not None  # _promise has looked
        return hull_suboptimality(eps=self.eps, error=error), self._model_premises()
