"""Instances in which one action of many sticks out, and nothing but a query of that action tells which: hard for every learner."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_range
from algos.misspecified_bandits.bounds.needles import rs_tradeoff
from algos.misspecified_bandits.environments import LinearBanditEnv, ResistingOracle

__all__ = ["MAX_ACTIONS", "NeedleInstance", "make_identical_features", "make_jl_needle", "make_rs_needle"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MAX_ACTIONS = 2_000_000
"""Most actions that `make_rs_needle` makes unless told otherwise: with 88 columns they take 1.4 GB."""

_BLOCK = 1024  # rows whose inner products with all others are formed at once


@dataclass(frozen=True, eq=False)
class NeedleInstance:
    r"""Rewards that are equal but for one action; iterating gives X and mean.

    Every action can be the needle: with a needle i the linear part is ``scale * X[i]``, and the misspecification is eps for each i.

    Attributes
    ----------
    name : str
    X : ndarray or csr_array of shape (n_actions, n_features), read-only
    needle : int
        The best action.
    background, peak : float
        Mean reward of all others, and of the needle.
    scale : float
        Linear part over the needle's features; its length, since rows are unit vectors.
    eps : float
        Largest misspecification, attained.
    s : int
        Nonzero entries of the linear part.
    coherence : Fraction
        No two actions have an inner product of larger size; from whole numbers, without rounding.
    """

    name: str
    X: Any = field(repr=False)
    needle: int
    background: float
    peak: float
    scale: float
    eps: float
    s: int
    coherence: Fraction

    def __iter__(self) -> Iterator[Any]:
        return iter((self.X, self.mean))

    @property
    def n_actions(self) -> int:
        """Number of actions, N in the bounds."""
        return int(self.X.shape[0])

    @property
    def gap(self) -> float:
        """Suboptimality of every action but the needle, as the environment computes it."""
        return self.peak - self.background

    @property
    def mean(self) -> FloatArray:
        """Mean rewards, of shape (n_actions,)."""
        mean = np.full(self.n_actions, self.background)
        mean[self.needle] = self.peak
        return mean

    @property
    def theta(self) -> FloatArray:
        """Linear part, of shape (n_features,)."""
        row = self.X[[self.needle]]
        return np.asarray(self.scale * np.asarray(row if isinstance(row, np.ndarray) else row.toarray(), dtype=np.float64)[0] + 0.0)

    def with_needle(self, needle: int) -> "NeedleInstance":
        """Return the instance with another needle; the features are shared.

        Raises
        ------
        TypeError, ValueError
            Not the index of an action.
        """
        return replace(self, needle=_needle(needle, self.n_actions, None))

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

    def oracle(self) -> ResistingOracle:
        """Return the oracle that decides in the end where the needle is; whatever it decides is an instance of this family."""
        return ResistingOracle(self.X, self.background, gap=self.gap)


def make_rs_needle(
    s: int,
    p: int,
    t: int,
    *,
    eps: float | None = None,
    needle: int | None = None,
    sample: int | None = None,
    max_actions: int = MAX_ACTIONS,
    sparse: bool = False,
    random_state: RandomStateLike = None,
) -> NeedleInstance:
    r"""Make the sparse hard instance: one action for each polynomial of degree at most t over the field of p elements.

    The features of polynomial f are :math:`1/\sqrt s` in the columns :math:`xp+f(x)`, x = 0, ..., s - 1, and 0 elsewhere, so that inner
    products are 0, 1/s, ..., t/s. All rewards are eps, and that of the needle i is :math:`\Delta+\varepsilon`. With the s-sparse linear
    part :math:`\Delta\phi_i` the misspecification is :math:`\Delta(t/2-m)/s` where m values agree, of size at most
    :math:`\varepsilon=\Delta t/(2s)`, and eps at the needle.

    Parameters
    ----------
    s : int
        Sparsity.
    p : int
        Prime, at least s.
    t : int
        Degree, from 0 to s - 1.
    eps : float, optional
        Misspecification; the gap is :math:`\Delta=2\varepsilon s/t`. By default the one with :math:`\Delta=1`. With t = 0 there is none.
    needle : int, optional
        Best action; drawn by default.
    sample : int, optional
        Keep this many polynomials, drawn without repeats. Actions are numbered in the order of the polynomials, whose coefficient of
        :math:`x^k` is digit k of their number to the base p.
    max_actions : int, default=2_000_000
        Refuse to make more.
    sparse : bool, default=False
        Make X a `csr_array`, of s entries a row.
    random_state : None, int, Generator or RandomState, default=None
        Draws needle and sample.

    Returns
    -------
    NeedleInstance

    Raises
    ------
    ValueError
        A parameter outside its range, p not prime, a positive eps with t = 0, or too many actions.

    Examples
    --------
    >>> from algos.misspecified_bandits.instances import make_rs_needle
    >>> instance = make_rs_needle(3, 5, 1, needle=7)
    >>> instance.X.shape, instance.coherence, round(instance.eps, 4), instance.gap
    ((25, 15), Fraction(1, 3), 0.1667, 1.0)
    >>> instance.env().suboptimality(6) == instance.gap
    True
    """
    for name, value in (("s", s), ("p", p), ("t", t)):
        check_range(value, name=name, low=0, integer=True)
    size = rs_tradeoff(s=s, p=p, t=t)
    rng = as_generator(random_state)
    coefficients = _polynomials(size.n_actions, p, t, sample, max_actions, rng)
    columns = _values(coefficients, s, p) + p * np.arange(s, dtype=np.int64)
    if eps is None:
        scale = 1.0
    else:
        check_range(eps, name="eps", low=0.0, low_open=t > 0)
        if t == 0 and eps > 0.0:
            raise ValueError(f"eps={eps!r} with t=0: disjoint supports leave no misspecification; leave eps out, or take t >= 1")
        scale = 2.0 * eps * s / t if t else 1.0
    error = scale * t / (2.0 * s) if eps is None else float(eps)
    n = len(columns)
    return NeedleInstance(
        name=f"polynomials of degree {t} over {p} elements at {s} places" + ("" if sample is None else f", {n} of them"),
        X=_sparse_rows(columns, s * p) if sparse else _dense_rows(columns, s * p),
        needle=_needle(needle, n, rng),
        background=error,
        peak=scale + error,
        scale=scale,
        eps=error,
        s=int(s),
        coherence=Fraction(int(t), int(s)),
    )


def make_jl_needle(
    K: int,
    d: int,
    *,
    s: int | None = None,
    eps: float | None = None,
    needle: int | None = None,
    random_state: RandomStateLike = None,
) -> NeedleInstance:
    r"""Make the dense hard instance: random sign vectors, which are nearly orthogonal.

    All rewards are 0, and that of the needle i is :math:`\Delta+\varepsilon`. With the linear part :math:`\Delta\phi_i` the
    misspecification is :math:`-\Delta\langle\phi_i,\phi_a\rangle`, of size at most :math:`\varepsilon=\Delta\mu` with the coherence
    :math:`\mu` of these very vectors, counted in whole numbers. The gap over eps is :math:`1+1/\mu`.

    Parameters
    ----------
    K : int
        Actions, at least 2.
    d : int
        Features.
    s : int, optional
        Columns that hold signs; the others are 0. By default all.
    eps : float, optional
        Misspecification; by default the one with :math:`\Delta=1`.
    needle : int, optional
        Best action; drawn by default.
    random_state : None, int, Generator or RandomState, default=None
        Draws the signs and the needle.

    Returns
    -------
    NeedleInstance
        Its `eps` is :math:`\mu\Delta`, the largest misspecification over all needles.

    Raises
    ------
    ValueError
        A parameter outside its range, or a positive eps for orthogonal vectors.

    Notes
    -----
    O(K² s) time for the coherence, O(K d) memory.

    Examples
    --------
    >>> from algos.misspecified_bandits.instances import make_jl_needle
    >>> instance = make_jl_needle(100, 50, random_state=0)
    >>> instance.coherence.denominator in (1, 5, 10, 25, 50) and instance.gap == 1.0 + instance.eps
    True
    """
    check_range(K, name="K", low=2, integer=True)
    check_range(d, name="d", low=1, integer=True)
    used = int(check_range(d if s is None else s, name="s", low=1, high=d, integer=True))
    rng = as_generator(random_state)
    signs = 2 * rng.integers(0, 2, (K, used), dtype=np.int8) - 1
    coherence = Fraction(_largest_product(signs), used)
    scale = 1.0
    if eps is not None:
        check_range(eps, name="eps", low=0.0)
        if (coherence == 0) != (eps == 0.0):
            raise ValueError(f"eps={eps!r} does not fit the coherence {coherence}; leave eps out for a needle of height 1")
        scale = eps / float(coherence) if coherence else 1.0
    error = scale * float(coherence) if eps is None else float(eps)
    X = np.zeros((K, d))
    X[:, :used] = signs / math.sqrt(used)
    return NeedleInstance(
        name=f"{K} random sign vectors in {used} of {d} columns",
        X=_frozen(X),
        needle=_needle(needle, K, rng),
        background=0.0,
        peak=scale + error,
        scale=scale,
        eps=error,
        s=used,
        coherence=coherence,
    )


def make_identical_features(
    K: int, eps: float = 1.0, *, d: int = 1, needle: int | None = None, random_state: RandomStateLike = None
) -> NeedleInstance:
    r"""Make actions with one and the same features, where :math:`2\varepsilon` is the best error that can be had without luck.

    The linear part is 0, the needle has the reward eps, all others -eps.

    Parameters
    ----------
    K : int
        Actions, at least 2.
    eps : float, default=1.0
        Misspecification, positive.
    d : int, default=1
        Features; each row is the first unit vector.
    needle : int, optional
        Best action; drawn by default.
    random_state : None, int, Generator or RandomState, default=None
        Draws the needle.

    Returns
    -------
    NeedleInstance

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> from algos.misspecified_bandits.instances import make_identical_features
    >>> make_identical_features(4, 0.25, needle=2).mean.tolist()
    [-0.25, -0.25, 0.25, -0.25]
    """
    check_range(K, name="K", low=2, integer=True)
    check_range(d, name="d", low=1, integer=True)
    error = float(check_range(eps, name="eps", low=0.0, high=math.inf, low_open=True, high_open=True))
    X = np.zeros((K, d))
    X[:, 0] = 1.0
    name = f"{K} actions of equal features"
    return NeedleInstance(name, _frozen(X), _needle(needle, K, as_generator(random_state)), -error, error, 0.0, error, 1, Fraction(1))


# --- parts ----------------------------------------------------------------------------------------------------------------------------


def _polynomials(total: int, p: int, t: int, sample: int | None, max_actions: int, rng: np.random.Generator) -> IntArray:
    """Return the coefficients, of shape (n, t + 1), constant term first, in the order of the polynomials' numbers."""
    check_range(max_actions, name="max_actions", low=1, integer=True)
    wanted = total if sample is None else int(check_range(sample, name="sample", low=2, high=total, integer=True))
    if wanted > max_actions:
        raise ValueError(f"{wanted} actions are more than max_actions={max_actions}; give sample= to keep some, or raise max_actions")
    if wanted == total:
        numbers = np.arange(total, dtype=np.int64)
    elif total < 2**62:
        numbers = np.sort(rng.choice(total, wanted, replace=False)).astype(np.int64)
    else:
        return _distinct_rows(wanted, p, t, rng)
    digits = np.empty((wanted, t + 1), dtype=np.int64)
    for k in range(t + 1):
        numbers, digits[:, k] = np.divmod(numbers, p)
    return digits


def _distinct_rows(wanted: int, p: int, t: int, rng: np.random.Generator) -> IntArray:
    """Draw distinct coefficients where their numbers do not fit into 64 bits: two equal draws are all but impossible, and drawn anew."""
    rows = np.empty((0, t + 1), dtype=np.int64)
    while len(rows) < wanted:
        more = rng.integers(0, p, (wanted - len(rows), t + 1), dtype=np.int64)
        rows = np.unique(np.concatenate([rows, more])[:, ::-1], axis=0)[:, ::-1]
    return rows


def _values(coefficients: IntArray, s: int, p: int) -> IntArray:
    """Return f(x) modulo p for x = 0, ..., s - 1, by Horner's rule: whole numbers below p squared."""
    x = np.arange(s, dtype=np.int64)
    values = np.zeros((len(coefficients), s), dtype=np.int64)
    for k in reversed(range(coefficients.shape[1])):
        values = (values * x + coefficients[:, [k]]) % p
    return values


def _dense_rows(columns: IntArray, d: int) -> FloatArray:
    X = np.zeros((len(columns), d))
    np.put_along_axis(X, columns, 1.0 / math.sqrt(columns.shape[1]), axis=1)
    return _frozen(X)


def _sparse_rows(columns: IntArray, d: int) -> Any:
    import scipy.sparse as sp

    n, s = columns.shape
    return sp.csr_array((np.full(n * s, 1.0 / math.sqrt(s)), columns.ravel(), np.arange(0, n * s + 1, s)), shape=(n, d))


def _largest_product(signs: npt.NDArray[np.int8]) -> int:
    """Return the largest size of an inner product of two different rows; sums of fewer than 2**53 signs are exact in floats."""
    table = signs.astype(np.float64)
    largest = 0.0
    for start in range(0, len(table), _BLOCK):
        products = np.abs(table[start : start + _BLOCK] @ table[start:].T)
        np.fill_diagonal(products, 0.0)
        largest = max(largest, float(products.max(initial=0.0)))
    return int(largest)


def _needle(needle: int | None, n: int, rng: np.random.Generator | None) -> int:
    if needle is None and rng is not None:
        return int(rng.integers(n))
    return int(check_range(needle, name="needle", low=0, high=n - 1, integer=True))


def _frozen(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array
