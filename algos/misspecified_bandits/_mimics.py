"""Two sparse models that nobody can tell apart by the queries made, and that differ as much as possible elsewhere."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from algos.common.linear_programs import solve_lp
from algos.common.validation import canonical_array, check_range
from algos.misspecified_bandits._consistent_models import all_supports
from algos.misspecified_bandits._sparse_bandits import BanditInstance

__all__ = ["MimicPair", "mimic_pair"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_ROUNDING = 1e-9  # relative: a row further from the span of the queries is outside it; a gain below this is none


@dataclass(frozen=True, eq=False)
class MimicPair:
    r"""Two worlds with the same answers; iterating gives both instances.

    Attributes
    ----------
    first, second : BanditInstance
        Sparse models with errors within eps. On the queries their rewards are equal; elsewhere they have no error.
    queries : ndarray of int64
    answers : ndarray of float64
        Rewards of the queries, in both worlds.
    action : int
        Where the two differ most.
    difference : float
        First reward minus second one there, not negative: no method that sees the answers predicts within less than half of it in both.
    """

    first: BanditInstance
    second: BanditInstance
    queries: IntArray = field(repr=False)
    answers: FloatArray = field(repr=False)
    action: int
    difference: float

    def __iter__(self) -> Iterator[BanditInstance]:
        return iter((self.first, self.second))


def mimic_pair(X: npt.ArrayLike, queries: npt.ArrayLike, *, s: int, eps: float, R: float = 1.0, max_supports: int = 100_000) -> MimicPair:
    r"""Find two s-sparse models that agree within :math:`2\varepsilon` on the queries and differ most on some action.

    With the difference u of the models, which has 2 s coefficients, it maximises :math:`\langle u,\phi(a)\rangle` over actions, supports,
    and u with :math:`|\langle u,\phi(b)\rangle|\le2\varepsilon` at each query b and :math:`\|u\|_\infty\le R`. Both worlds answer a query
    with the midpoint of their linear parts. Where R does not matter, the result is :math:`2\varepsilon` times the norming constant of the
    queries for sparsity 2 s.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features.
    queries : array-like of int
        Actions queried.
    s : int
        Sparsity of each model.
    eps : float
        Bound on the errors, positive.
    R : float, default=1.0
        Bound on each coefficient.
    max_supports : int, default=100_000
        Refuse to look at more supports of size 2 s.

    Returns
    -------
    MimicPair

    Raises
    ------
    ValueError
        A parameter outside its range, or too many supports.
    TypeError
        Queries that are not integers.

    Notes
    -----
    Linear programs for pairs of a support and an action, in the order of an upper bound (l1 norm of the least-squares weights), until the
    bound falls below what was found; often a few of :math:`\binom d{2s}K`.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits.instances import mimic_pair
    >>> pair = mimic_pair(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]), [0, 1], s=1, eps=0.125)
    >>> pair.action, pair.difference, (pair.first.theta - pair.second.theta).tolist()
    (2, 0.5, [0.25, -0.25])
    """
    table = np.asarray(canonical_array(X), dtype=np.float64)
    n, d = table.shape
    asked = np.unique(np.asarray(queries))
    if asked.dtype.kind not in "iu" and asked.size:
        raise TypeError(f"queries of dtype {asked.dtype} are not indices; give integers from 0 to {n - 1}")
    if asked.size and not (int(asked[0]) >= 0 and int(asked[-1]) < n):
        raise ValueError(f"queries reach from {asked[0]} to {asked[-1]}; actions are numbered from 0 to {n - 1}")
    asked = asked.astype(np.int64)
    check_range(s, name="s", low=1, high=d, integer=True)
    bound = 2.0 * float(check_range(eps, name="eps", low=0.0, high=math.inf, low_open=True, high_open=True))
    box = float(check_range(R, name="R", low=0.0, high=math.inf, low_open=True, high_open=True))
    supports = all_supports(d, min(2 * s, d), max_supports)
    action, support, u = _largest_difference(table, asked, supports, bound, box)
    first, second = np.zeros(d), np.zeros(d)
    first[support[:s]], second[support[s:]] = u[:s], -u[s:]
    answers = table[asked] @ (first + second) / 2.0
    worlds = [_world(table, theta, asked, answers, eps, name) for theta, name in ((first, "first"), (second, "second"))]
    return MimicPair(worlds[0], worlds[1], asked, answers, action, float(table[action] @ (first - second)))


def _largest_difference(X: FloatArray, asked: IntArray, supports: IntArray, bound: float, box: float) -> tuple[int, IntArray, FloatArray]:
    limits = [_limits(X[:, support], asked, bound, box) for support in supports]
    order = np.argsort([-limit.max() for limit in limits], kind="stable").tolist()
    best, found = -math.inf, (0, supports[0], np.zeros(supports.shape[1]))
    for i in order:
        if limits[i].max() <= best + _ROUNDING * abs(best):
            break
        rows = X[:, supports[i]]
        for a in np.argsort(-limits[i], kind="stable").tolist():
            if limits[i][a] <= best + _ROUNDING * abs(best):
                break
            A = rows[asked]
            solved = solve_lp(
                -rows[a],
                A_ub=np.vstack([A, -A]) if asked.size else None,
                b_ub=np.full(2 * asked.size, bound) if asked.size else None,
                bounds=(-box, box),
            )
            if -solved.objective > best:
                best, found = -solved.objective, (int(a), supports[i], solved.x)
    return found


def _limits(rows: FloatArray, asked: IntArray, bound: float, box: float) -> FloatArray:
    r"""Return for each action a number that no :math:`\langle u,\phi\rangle` surpasses: interpolation from the queries, or the box."""
    limits = np.asarray(box * np.abs(rows).sum(axis=1))
    if asked.size:
        weights = rows @ np.linalg.pinv(rows[asked])
        inside = np.abs(weights @ rows[asked] - rows).max(axis=1) <= _ROUNDING * float(np.abs(rows).max())
        limits[inside] = np.minimum(limits, bound * np.abs(weights).sum(axis=1))[inside]
    return limits


def _world(X: FloatArray, theta: FloatArray, asked: IntArray, answers: FloatArray, eps: float, name: str) -> BanditInstance:
    nu = np.zeros(len(X))
    nu[asked] = answers - X[asked] @ theta
    for array in (nu, theta):
        array.flags.writeable = False
    return BanditInstance(f"{name} of two models with equal answers", X, theta, nu, float(eps))
