r"""Sampling rows by importance: from scores to inclusion probabilities, and from probabilities to weighted rows.

A sample keeps row i with probability :math:`q_i` and weight :math:`1/q_i`, so that every sum over rows keeps its expectation. The random
number of a row depends on the seed and on the number of the row alone: the same rows are kept whether a table is read at once, in
blocks, or by several workers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algos.common.randomness import row_uniforms
from algos.common.validation import check_finite_rows, check_option, check_range

__all__ = [
    "RowSample",
    "inclusion_probabilities",
    "l2_augmented",
    "leverage_sensitivity",
    "root_leverage",
    "sample_rows",
    "uniform",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RowSample:
    """Rows that were drawn, and what each stands for; unpacks as ``indices, weights``.

    Parameters
    ----------
    indices : ndarray of shape (m,), int64
        Row numbers, strictly increasing.
    weights : ndarray of shape (m,), float64
        What multiplies a row's term in a sum over rows; its expectation over draws, 0 where the row is not drawn, is 1.

    Examples
    --------
    >>> from algos.lp_embeddings.samplers import sample_rows
    >>> indices, weights = sample_rows([1.0, 0.0, 1.0], seed=0)
    >>> indices.tolist(), weights.tolist()
    ([0, 2], [1.0, 1.0])
    """

    indices: NDArray[np.int64]
    weights: Array

    def __iter__(self) -> Iterator[NDArray[np.int64] | Array]:
        return iter((self.indices, self.weights))

    def scale(self, p: float) -> Array:
        r"""Return the row multipliers :math:`w_i^{1/p}` with which the sampled rows have the weighted lp norm as their lp norm.

        Parameters
        ----------
        p : float
            Exponent, finite and at least 1.

        Returns
        -------
        ndarray of shape (m,), float64
        """
        p = check_range(p, name="p", low=1.0, high=np.inf, high_open=True)
        return self.weights ** (1.0 / p)


def inclusion_probabilities(scores: ArrayLike, m: float) -> Array:
    r"""Turn scores into probabilities that add up to an expected sample size.

    .. math:: q_i = \min(1,\; 1/n_0 + s_i/\alpha), \qquad \alpha \text{ such that } \sum_i q_i = m,

    over the :math:`n_0` rows with a positive score; rows with score 0 (rows of zeros) have :math:`q_i = 0`. The floor :math:`1/n_0` uses up
    one expected row; it bounds every weight by :math:`n_0` where scores underestimate.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Non-negative importance; only ratios matter.
    m : float
        Expected number of rows, at least 1. From :math:`n_0` on every row with a positive score is kept.

    Returns
    -------
    ndarray of shape (n,), float64
        Probabilities in [0, 1].

    Raises
    ------
    ValueError
        Scores that are negative, NaN, infinite or all zero, or not one-dimensional; m below 1 or not finite.

    Notes
    -----
    Exact up to rounding: :math:`\alpha` has a closed form when the number of capped rows is known, and only the m largest scores, which
    alone can be capped, are sorted. Time O(n + m log m).

    Examples
    --------
    >>> from algos.lp_embeddings.samplers import inclusion_probabilities
    >>> inclusion_probabilities([4.0, 1.0, 1.0, 0.0], m=2).round(6).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    s = np.asarray(scores, dtype=np.float64)
    if s.ndim != 1 or s.size == 0:
        raise ValueError(f"scores has shape {s.shape}; give one score per row in one dimension")
    check_finite_rows(s.reshape(-1, 1), name="scores")
    if s.min() < 0.0:
        i = int(np.argmin(s))
        raise ValueError(f"scores[{i}]={s[i]!r} is negative; importance scores are at least 0")
    m = check_range(m, name="m", low=1.0, high=np.inf, high_open=True)
    positive = s > 0.0
    n0 = int(np.count_nonzero(positive))
    if n0 == 0:
        raise ValueError("scores are all zero; a table of zeros has no row to draw")
    if m >= n0:
        return positive.astype(np.float64)
    # the largest is scaled to 2**500 and the smallest lifted to 2**-500, so that neither sums nor quotients leave the range of floats
    kept = np.maximum(np.ldexp(s[positive], 500 - math.frexp(s.max())[1]), 2.0**-500)
    inverse_alpha = _inverse_alpha(kept, m)
    q = np.zeros_like(s)
    q[positive] = np.minimum(1.0, 1.0 / n0 + kept * inverse_alpha)
    return q


def _inverse_alpha(s: Array, m: float) -> float:
    """Solve sum_i min(1, 1/n + s_i x) = m for x, where 1 <= m < n and all s_i > 0."""
    n = s.size
    x = (m - 1.0) / float(s.sum())
    if 1.0 / n + float(s.max()) * x <= 1.0:  # no row is capped, as usual in tall tables
        return x
    capped = min(math.ceil(m), n - 1)  # at most: k capped rows and the floors of the others add up to no more than m
    ordered = np.partition(s, n - 1 - capped)
    falling = np.sort(ordered[n - 1 - capped :])[::-1]
    rest = np.cumsum(np.append(ordered[: n - 1 - capped].sum(), falling[::-1]))[:0:-1]  # rest[k]: all but the k largest, small terms first
    k = np.arange(falling.size)
    x = (m - k - (n - k) / n) / rest  # the root if exactly the k largest are capped
    fits = 1.0 / n + falling * x <= 1.0 + 1e-12  # at a tie rounding would deny the root, and the next candidate is x = 0
    fits[-1] = True  # holds for every m < n; rounding may deny it
    return max(float(x[np.argmax(fits)]), 0.0)


def sample_rows(
    q: ArrayLike, *, method: Literal["bernoulli", "fixed", "systematic"] = "bernoulli", seed: int, start: int = 0, level: int = 0
) -> RowSample:
    r"""Draw rows with given inclusion probabilities.

    Parameters
    ----------
    q : array-like of shape (n,)
        Probabilities in [0, 1]; at least one positive unless the method is Bernoulli, where an empty block is no fault.
    method : {"bernoulli", "fixed", "systematic"}, default="bernoulli"
        ``"bernoulli"``: each row on its own, weight 1/q; the only method that can be used block by block.
        ``"fixed"``: m independent draws with replacement, m the sum of q rounded to the nearest integer, row i with probability
        :math:`p_i = q_i / \sum q`; a row drawn c times has weight :math:`c / (m p_i)`.
        ``"systematic"``: one random number, exact probabilities, size m rounded up or down, weight 1/q; rows are dependent, and no
        embedding theorem covers it.
    seed : int
        Key of the random numbers, in [0, 2**128).
    start : int, default=0
        Number of the first row, when ``q`` belongs to a block of a larger table.
    level : int, default=0
        Round of a recursive reduction: a row that is drawn again must use a fresh number.

    Returns
    -------
    RowSample
        Indices count from ``start``.

    Raises
    ------
    ValueError
        Probabilities outside [0, 1] or NaN; a negative seed, start or level; an unknown method.

    Notes
    -----
    Time and memory O(n).

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings.samplers import sample_rows
    >>> q = np.full(1000, 0.1)
    >>> whole = sample_rows(q, seed=3).indices
    >>> parts = [sample_rows(q[:400], seed=3).indices, sample_rows(q[400:], seed=3, start=400).indices]
    >>> bool((whole == np.concatenate(parts)).all())
    True
    """
    check_option(method, ("bernoulli", "fixed", "systematic"), name="method")
    seed = check_range(seed, name="seed", low=0, integer=True)
    start = check_range(start, name="start", low=0, integer=True)
    level = check_range(level, name="level", low=0, integer=True)
    probabilities = _checked_probabilities(q)
    if method == "bernoulli":
        drawn, weights = _bernoulli(probabilities, seed, start, level)
    elif method == "fixed":
        drawn, weights = _fixed(probabilities, seed, level)
    else:
        drawn, weights = _systematic(probabilities, seed, level)
    return RowSample(drawn.astype(np.int64) + start, weights)


def _checked_probabilities(q: ArrayLike) -> Array:
    probabilities = np.asarray(q, dtype=np.float64)
    if probabilities.ndim != 1 or probabilities.size == 0:
        raise ValueError(f"q has shape {probabilities.shape}; give one probability per row in one dimension")
    bad = np.flatnonzero(~((probabilities >= 0.0) & (probabilities <= 1.0)))
    if bad.size:
        raise ValueError(
            f"q[{bad[0]}]={probabilities[bad[0]]!r} is outside [0, 1]; inclusion_probabilities turns scores into probabilities"
        )
    return probabilities


def _bernoulli(q: Array, seed: int, start: int, level: int) -> tuple[NDArray[np.intp], Array]:
    drawn = np.flatnonzero(row_uniforms(seed, start, start + q.size, level) < q)
    return drawn, 1.0 / q[drawn]


def _fixed(q: Array, seed: int, level: int) -> tuple[NDArray[np.intp], Array]:
    total = _positive_total(q)
    draws = max(round(float(total[-1])), 1)
    points = row_uniforms(seed, 0, draws, level) * total[-1]
    drawn, counts = np.unique(_owner(total, points), return_counts=True)
    return drawn, counts * total[-1] / (draws * q[drawn])


def _systematic(q: Array, seed: int, level: int) -> tuple[NDArray[np.intp], Array]:
    _positive_total(q)
    certain = q == 1.0  # set apart, so that the rounding of the running sum cannot lose one
    total = np.cumsum(np.where(certain, 0.0, q))
    points = np.arange(float(row_uniforms(seed, 0, 1, level)[0]), total[-1], 1.0)
    drawn = np.union1d(np.flatnonzero(certain), _owner(total, points))
    return drawn, 1.0 / q[drawn]


def _positive_total(q: Array) -> Array:
    total = np.cumsum(q)
    if not total[-1] > 0.0:
        raise ValueError("q is all zero; there is no row to draw")
    return total


def _owner(total: Array, points: Array) -> NDArray[np.intp]:
    """Return for each point in [0, total[-1]) the row whose part of the running sum holds it; rows of probability 0 hold none."""
    last = int(np.searchsorted(total, total[-1], side="left"))
    return np.minimum(np.searchsorted(total, points, side="right"), last)


def uniform(n: int) -> Array:
    """Return equal scores for ``n`` rows: what sampling without looking at the data means.

    Parameters
    ----------
    n : int
        Number of rows, at least 1.

    Returns
    -------
    ndarray of shape (n,), float64
        Ones.

    Examples
    --------
    >>> from algos.lp_embeddings.samplers import uniform
    >>> uniform(2).tolist()
    [1.0, 1.0]
    """
    return np.ones(check_range(n, name="n", low=1, integer=True))


def root_leverage(leverage: ArrayLike, p: float) -> Array:
    r"""Return :math:`\tau_i^{p/2}`, which bounds the lp sensitivity for :math:`1 \le p \le 2` from one leverage computation.

    Parameters
    ----------
    leverage : array-like of shape (n,)
        Leverage scores.
    p : float
        Exponent, finite and at least 1.

    Returns
    -------
    ndarray of shape (n,), float64

    Examples
    --------
    >>> from algos.lp_embeddings.samplers import root_leverage
    >>> root_leverage([0.25, 1.0], p=1).tolist()
    [0.5, 1.0]
    """
    p = check_range(p, name="p", low=1.0, high=np.inf, high_open=True)
    return np.asarray(leverage, dtype=np.float64) ** (p / 2.0)


def l2_augmented(sensitivity: ArrayLike, leverage: ArrayLike) -> Array:
    r"""Return :math:`s_i + \tau_i`: sensitivities with a floor that keeps flat parts of a table at full rank (Munteanu, Omlor 2024).

    Parameters
    ----------
    sensitivity, leverage : array-like of shape (n,)
        Sensitivities (or upper bounds) and leverage scores.

    Returns
    -------
    ndarray of shape (n,), float64

    Examples
    --------
    >>> from algos.lp_embeddings.samplers import l2_augmented
    >>> l2_augmented([0.5], [0.25]).tolist()
    [0.75]
    """
    return np.asarray(sensitivity, dtype=np.float64) + np.asarray(leverage, dtype=np.float64)


def leverage_sensitivity(sensitivity: ArrayLike, leverage: ArrayLike) -> Array:
    r"""Return :math:`\max(s_i / \sum s,\; \tau_i / \sum \tau)`, a combination for p > 2 that is our own.

    Parameters
    ----------
    sensitivity, leverage : array-like of shape (n,)
        Sensitivities (or upper bounds) and leverage scores, neither all zero.

    Returns
    -------
    ndarray of shape (n,), float64

    Examples
    --------
    >>> from algos.lp_embeddings.samplers import leverage_sensitivity
    >>> leverage_sensitivity([1.0, 1.0], [1.0, 3.0]).tolist()
    [0.5, 0.75]
    """
    s, tau = np.asarray(sensitivity, dtype=np.float64), np.asarray(leverage, dtype=np.float64)
    combined: Array = np.maximum(s / s.sum(), tau / tau.sum())
    return combined
