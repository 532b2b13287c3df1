"""Sparse linear rewards with a chosen error: who chooses it, and what the error knows, decides how hard the search is."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import canonical_array, check_option, check_range
from algos.misspecified_bandits.environments import LinearBanditEnv

__all__ = ["ADVERSARIES", "BanditInstance", "make_sparse_gaussian", "make_sparse_sign", "misspecify"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Signal = Literal["random", "equal", "geometric"]


@dataclass(frozen=True, eq=False)
class BanditInstance:
    r"""Actions with linear part and error; iterating gives X and mean.

    Attributes
    ----------
    name : str
    X : ndarray of shape (n_actions, n_features), read-only
    theta : ndarray of shape (n_features,), read-only
        Linear part.
    nu : ndarray of shape (n_actions,), read-only
        Error of each action, of size at most eps.
    eps : float
        Bound on the errors.
    """

    name: str
    X: FloatArray = field(repr=False)
    theta: FloatArray = field(repr=False)
    nu: FloatArray = field(repr=False)
    eps: float

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.X, self.mean))

    @property
    def mean(self) -> FloatArray:
        """Mean rewards, of shape (n_actions,)."""
        return np.asarray(self.X @ self.theta + self.nu)

    @property
    def support(self) -> IntArray:
        """Columns in which the linear part is not 0."""
        return np.flatnonzero(self.theta).astype(np.int64)

    @property
    def R(self) -> float:
        """Length of the linear part."""
        return float(np.linalg.norm(self.theta))

    def env(self, *, sigma: float = 0.0, random_state: RandomStateLike = None) -> LinearBanditEnv:
        """Return an environment with these rewards.

        Parameters
        ----------
        sigma : float, default=0.0
            Standard deviation of the noise.
        random_state : None, int, Generator or RandomState, default=None
            Draws the noise.

        Returns
        -------
        LinearBanditEnv
        """
        return LinearBanditEnv(self.X, self.mean, sigma=sigma, eps=self.eps, theta=self.theta, random_state=random_state)


# --- adversaries ----------------------------------------------------------------------------------------------------------------------


def _none(X: FloatArray, theta: FloatArray, eps: float, queries: IntArray | None, rng: Generator) -> FloatArray:
    return np.zeros(len(X))


def _random(X: FloatArray, theta: FloatArray, eps: float, queries: IntArray | None, rng: Generator) -> FloatArray:
    return eps * rng.choice([-1.0, 1.0], len(X))


def _flatten_top(X: FloatArray, theta: FloatArray, eps: float, queries: IntArray | None, rng: Generator) -> FloatArray:
    """Lower the tenth of the actions with the largest linear part, raise the others."""
    nu = np.full(len(X), eps)
    nu[np.argsort(-(X @ theta), kind="stable")[: math.ceil(len(X) / 10)]] = -eps
    return nu


def _hide_tail(X: FloatArray, theta: FloatArray, eps: float, queries: IntArray | None, rng: Generator) -> FloatArray:
    """Cancel the smallest coefficients: all that can be cancelled entirely, or else as much of the smallest one as eps allows."""
    support = np.flatnonzero(theta)
    sizes = np.abs(theta[support]) * np.max(np.abs(X[:, support]), axis=0)
    order = np.argsort(sizes, kind="stable")
    n_hidden = max(1, int(np.searchsorted(np.cumsum(sizes[order]), eps, side="right")))
    tail = support[order[:n_hidden]]
    return np.clip(-(X[:, tail] @ theta[tail]), -eps, eps)


def _decoy(X: FloatArray, theta: FloatArray, eps: float, queries: IntArray | None, rng: Generator) -> FloatArray:
    """Make a column look as if it had a coefficient."""
    idle = np.flatnonzero((theta == 0.0) & np.any(X != 0.0, axis=0))
    if not idle.size:
        raise ValueError("adversary='decoy' needs a column outside the support; take s below the number of columns")
    column = X[:, rng.choice(idle)]
    return np.asarray(eps * column / np.max(np.abs(column)))


def _against_queries(X: FloatArray, theta: FloatArray, eps: float, queries: IntArray | None, rng: Generator) -> FloatArray:
    """Lower what is queried and raise the rest: the worst case of a learner that returns the best action it has seen."""
    nu = np.full(len(X), eps)
    nu[queries] = -eps
    return nu


ADVERSARIES: dict[str, Callable[[FloatArray, FloatArray, float, IntArray | None, Generator], FloatArray]] = {
    "none": _none,
    "random": _random,
    "flatten_top": _flatten_top,
    "hide_tail": _hide_tail,
    "decoy": _decoy,
    "against_queries": _against_queries,
}
"""Adversaries of `misspecify`: the errors they choose."""


def misspecify(
    X: npt.ArrayLike,
    theta: npt.ArrayLike,
    eps: float,
    *,
    adversary: str = "random",
    queries: npt.ArrayLike | None = None,
    name: str = "given actions",
    random_state: RandomStateLike = None,
) -> BanditInstance:
    r"""Let an adversary choose the error :math:`\nu`, :math:`|\nu(a)|\le\varepsilon`, of given linear rewards.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features.
    theta : array-like of shape (n_features,)
        Linear part, not 0.
    eps : float
        Bound on the error.
    adversary : str, default="random"
        ``"none"``: no error. ``"random"``: independent signs. ``"flatten_top"``: -eps on the tenth of the actions with the largest linear
        part, eps on the others. ``"hide_tail"``: cancels small coefficients. ``"decoy"``: gives an idle column the look of a coefficient.
        ``"against_queries"``: -eps on the actions in `queries`, eps on the others.
    queries : array-like of int, optional
        Actions that a learner is known to query, for ``"against_queries"``.
    name : str, default="given actions"
        Beginning of the instance's name.
    random_state : None, int, Generator or RandomState, default=None
        Draws signs and the decoy's column.

    Returns
    -------
    BanditInstance

    Raises
    ------
    ValueError
        Unknown adversary, one that lacks what it needs, shapes that do not fit, or numbers that are not finite.

    Examples
    --------
    >>> from algos.misspecified_bandits.instances import misspecify
    >>> misspecify([[1.0], [0.5], [0.25]], [1.0], 0.125, adversary="against_queries", queries=[0]).nu.tolist()
    [-0.125, 0.125, 0.125]
    """
    table = np.array(canonical_array(X), dtype=np.float64)
    linear = np.array(theta, dtype=np.float64)
    if linear.shape != (table.shape[1],) or not np.all(np.isfinite(linear)) or not np.any(linear):
        raise ValueError(f"theta of shape {linear.shape} must hold {table.shape[1]} finite numbers, one per column of X, not all 0")
    bound = float(check_range(eps, name="eps", low=0.0, high=math.inf, high_open=True))
    check_option(adversary, tuple(ADVERSARIES), name="adversary")
    if (queries is None) == (adversary == "against_queries"):
        raise ValueError(f"adversary={adversary!r} and queries={queries!r} do not go together; queries are for 'against_queries' alone")
    asked = None if queries is None else np.asarray(queries, dtype=np.int64)
    nu = ADVERSARIES[adversary](table, linear, bound, asked, as_generator(random_state))
    return BanditInstance(f"{name}, error {adversary}", _frozen(table), _frozen(linear), _frozen(nu), bound)


# --- generators -----------------------------------------------------------------------------------------------------------------------


def make_sparse_gaussian(
    K: int,
    d: int,
    s: int,
    eps: float,
    *,
    adversary: str = "random",
    queries: npt.ArrayLike | None = None,
    signal: Signal = "random",
    R: float = 1.0,
    random_state: RandomStateLike = None,
) -> BanditInstance:
    """Make rows that are uniform on the unit sphere, and a sparse linear part.

    Parameters
    ----------
    K, d, s : int
        Actions, features, nonzero coefficients.
    eps : float
        Bound on the errors.
    adversary, queries :
        As in `misspecify`.
    signal : {"random", "equal", "geometric"}, default="random"
        Coefficients: a uniform direction, random signs of one size, or random signs of halving sizes.
    R : float, default=1.0
        Length of the linear part.
    random_state : None, int, Generator or RandomState, default=None
        Source of randomness.

    Returns
    -------
    BanditInstance

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> from algos.misspecified_bandits.instances import make_sparse_gaussian
    >>> instance = make_sparse_gaussian(50, 6, 2, 0.1, random_state=0)
    >>> instance.support.size, round(instance.R, 12), instance.env().eps
    (2, 1.0, 0.1)
    """
    rng = as_generator(random_state)
    n, columns, theta = _sizes(K, d, s, signal, R, rng)
    X = rng.standard_normal((n, columns))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    name = f"{n} x {columns} on the sphere, {s} coefficients"
    return misspecify(X, theta, eps, adversary=adversary, queries=queries, name=name, random_state=rng)


def make_sparse_sign(
    K: int,
    d: int,
    s: int,
    eps: float,
    *,
    adversary: str = "random",
    queries: npt.ArrayLike | None = None,
    signal: Signal = "random",
    R: float = 1.0,
    random_state: RandomStateLike = None,
) -> BanditInstance:
    """Make rows of independent signs, and a sparse linear part: bounded columns that a few queries tell apart.

    Parameters
    ----------
    K, d, s : int
        Actions, features, nonzero coefficients.
    eps : float
        Bound on the errors.
    adversary, queries :
        As in `misspecify`.
    signal, R, random_state :
        As in `make_sparse_gaussian`.

    Returns
    -------
    BanditInstance
        Rows have entries -1 and +1, and so the length √d.

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> from algos.misspecified_bandits.instances import make_sparse_sign
    >>> instance = make_sparse_sign(50, 6, 2, 0.1, signal="equal", R=2**0.5, random_state=0)
    >>> abs(instance.theta[instance.support]).round(12).tolist()
    [1.0, 1.0]
    """
    rng = as_generator(random_state)
    n, columns, theta = _sizes(K, d, s, signal, R, rng)
    X = rng.choice([-1.0, 1.0], (n, columns))
    name = f"{n} x {columns} signs, {s} coefficients"
    return misspecify(X, theta, eps, adversary=adversary, queries=queries, name=name, random_state=rng)


def _sizes(K: int, d: int, s: int, signal: Signal, R: float, rng: Generator) -> tuple[int, int, FloatArray]:
    """Return the checked sizes, and the linear part."""
    n = int(check_range(K, name="K", low=1, integer=True))
    columns = int(check_range(d, name="d", low=1, integer=True))
    count = int(check_range(s, name="s", low=1, high=columns, integer=True))
    check_option(signal, ("random", "equal", "geometric"), name="signal")
    length = float(check_range(R, name="R", low=0.0, high=math.inf, low_open=True, high_open=True))
    if signal == "random":
        values = rng.standard_normal(count)
    else:
        values = rng.choice([-1.0, 1.0], count) * (np.ones(count) if signal == "equal" else 0.5 ** np.arange(count))
    theta = np.zeros(columns)
    theta[rng.choice(columns, count, replace=False)] = length * values / np.linalg.norm(values)
    return n, columns, theta


def _frozen(array: Any) -> FloatArray:
    frozen = np.ascontiguousarray(array, dtype=np.float64)
    frozen.flags.writeable = False
    return frozen
