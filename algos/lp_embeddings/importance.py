r"""From a table to importance scores of every kind, and to samples that follow them, also over several rounds.

Scores say how often a row should be drawn; what is proved about a sample rests on bounds on the sensitivities, which every kind of
score brings along here.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.linalg import row_leverages, whitening
from algos.common.randomness import row_uniforms
from algos.common.validation import check_option, check_range, is_sparse
from algos.lp_embeddings import bounds
from algos.lp_embeddings._arguments import checked_exponent
from algos.lp_embeddings.leverage_scores import leverage_scores
from algos.lp_embeddings.lewis_weights import lewis_weights
from algos.lp_embeddings.samplers import (
    RowSample,
    inclusion_probabilities,
    l2_augmented,
    leverage_sensitivity,
    root_leverage,
    sample_rows,
    uniform,
)

__all__ = [
    "SAMPLERS",
    "Draw",
    "RecursiveSample",
    "RowScores",
    "Sampler",
    "choose_sampler",
    "draw_rows",
    "recursive_root_leverage",
    "row_scores",
    "take_rows",
]

FloatArray = npt.NDArray[np.float64]
Draw = Literal["bernoulli", "fixed", "systematic"]
Sampler = Literal["lewis", "sensitivity", "l2_augmented", "root_leverage", "leverage_sensitivity", "leverage", "uniform"]

SAMPLERS: tuple[Sampler, ...] = ("lewis", "sensitivity", "l2_augmented", "root_leverage", "leverage_sensitivity", "leverage", "uniform")
_FOR_SMALL_P = ("l2_augmented", "root_leverage")
_LEWIS_TOL = 0.1  # sampling needs no more; the sensitivity bounds hold at any accuracy
_SHRINKS = 0.7  # a round that keeps more than this share of the rows is not worth its loss
_MOST_ROUNDS = 60  # every round but the last removes three tenths of the rows in expectation


@dataclass(frozen=True, eq=False)
class RowScores:
    """Scores of all rows of one table, and what is proved about its sensitivities.

    Attributes
    ----------
    sampler : str
        Kind of the scores.
    p : float
        Exponent.
    scores : ndarray of shape (n,)
        Importance, zero exactly at zero rows.
    sensitivity_upper : ndarray of shape (n,)
        Upper bounds on the lp sensitivities.
    total_bounds : tuple of float
        Lower and upper bound on the total sensitivity.
    rank : int
        Rank of the table.
    """

    sampler: Sampler
    p: float
    scores: FloatArray
    sensitivity_upper: FloatArray
    total_bounds: tuple[float, float]
    rank: int


def row_scores(A: Any, p: float, sampler: Literal["auto"] | Sampler = "auto") -> RowScores:
    r"""Compute the scores of every row that a sampler wants.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d), of any rank.
    p : float
        Exponent, 1 <= p < inf.
    sampler : str, default="auto"
        ``"lewis"``: Lewis weights. ``"sensitivity"``: upper bounds on the sensitivities, from Lewis weights. ``"l2_augmented"``
        (p <= 2): these plus leverage scores. ``"root_leverage"`` (p <= 2): :math:`\tau_i^{p/2}`. ``"leverage_sensitivity"`` (p >= 2): the
        larger of the shares in both sums. ``"leverage"``, ``"uniform"``. ``"auto"``: see `choose_sampler`.

    Returns
    -------
    RowScores

    Raises
    ------
    ValueError
        An unknown sampler, one that does not cover p, NaN or infinite entries, or a table of zeros.

    Notes
    -----
    One leverage computation for leverage, root leverage and uniform scores and for p = 2; some four to nine more for the others.

    Examples
    --------
    >>> from algos.lp_embeddings.importance import row_scores
    >>> found = row_scores([[3.0], [1.0], [0.0]], 2.0)
    >>> found.sampler, found.scores.round(6).tolist(), found.rank
    ('leverage', [0.9, 0.1, 0.0], 1)
    """
    p = checked_exponent(p)
    check_option(sampler, ("auto", *SAMPLERS), name="sampler")
    _check_covers(sampler, p)
    source = RowSource.of(A, name="A")
    if p == 2.0 or sampler in ("leverage", "root_leverage", "uniform"):
        chosen: Sampler = "leverage" if sampler == "auto" else sampler
        return _from_leverage(source, p, chosen)
    fit = lewis_weights(source, p, tol=_LEWIS_TOL, return_info=True)
    _refuse_zeros(fit.rank)
    total = float(fit.sensitivity_lower.sum()), float(fit.sensitivity_upper.sum())
    chosen = choose_sampler(p, fit.rank, total[1]) if sampler == "auto" else sampler
    if chosen == "lewis":
        scores = fit.weights
    elif chosen == "sensitivity":
        scores = fit.sensitivity_upper
    else:
        combine = l2_augmented if chosen == "l2_augmented" else leverage_sensitivity
        scores = combine(fit.sensitivity_upper, leverage_scores(source))
    return RowScores(chosen, p, scores, fit.sensitivity_upper, total, fit.rank)


def choose_sampler(p: float, rank: int, total_upper: float) -> Sampler:
    r"""Return the sampler that needs the fewest rows by the known formulas.

    Below p = 2 the l2-augmented sensitivities: :math:`S + d` rows, and a floor under flat parts of the table. At 2 leverage scores. Above,
    Lewis weights, :math:`d^{p/2}` rows; from p = 4 on sensitivities, :math:`S^{2-2/p}` rows, where the bound on S is so small that this is
    less.

    Parameters
    ----------
    p : float
        Exponent.
    rank : int
        Rank of the table.
    total_upper : float
        Upper bound on the total sensitivity.

    Returns
    -------
    str

    Examples
    --------
    >>> choose_sampler(1.0, 10, 10.0), choose_sampler(4.0, 10, 12.0), choose_sampler(4.0, 10, 100.0)
    ('l2_augmented', 'sensitivity', 'lewis')
    """
    if p < 2.0:
        return "l2_augmented"
    if p == 2.0:
        return "leverage"
    by_sensitivity = bounds.leading_rows(sampler="sensitivity_power", p=p, d=rank, S=total_upper)
    return "sensitivity" if p >= 4.0 and by_sensitivity < bounds.leading_rows(sampler="lewis", p=p, d=rank, S=total_upper) else "lewis"


def _check_covers(sampler: str, p: float) -> None:
    if sampler in _FOR_SMALL_P and p > 2.0:
        raise ValueError(f"sampler={sampler!r} covers 1 <= p <= 2, got p={p!r}; use 'lewis' or 'sensitivity'")
    if sampler == "leverage_sensitivity" and p < 2.0:
        raise ValueError(f"sampler='leverage_sensitivity' covers p >= 2, got p={p!r}; use 'l2_augmented'")


def _refuse_zeros(rank: int) -> None:
    if rank == 0:
        raise ValueError("A has only zeros; there is no row to draw")


def _from_leverage(source: RowSource, p: float, sampler: Sampler) -> RowScores:
    leverage = leverage_scores(source, return_info=True)
    _refuse_zeros(leverage.rank)
    tau, present = leverage.scores, np.asarray(leverage.scores > 0.0, dtype=np.float64)
    upper = bounds.sensitivity_upper(p=p, v=present, leverages=tau)
    lower = bounds.sensitivity_lower(p=p, v=present, leverages=tau)
    if sampler == "root_leverage":
        scores = root_leverage(tau, p)
    elif sampler == "uniform":
        scores = uniform(len(tau)) * present
    elif sampler == "l2_augmented":
        scores = l2_augmented(upper, tau)
    else:
        scores = tau  # p = 2: all others are multiples of leverage scores
    return RowScores(sampler, p, scores, upper, (float(lower.sum()), float(upper.sum())), leverage.rank)


# --- recursion -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RecursiveSample:
    """Rows that survived several rounds of sampling.

    Attributes
    ----------
    indices : ndarray of shape (m,), int64
        Row numbers, increasing.
    weights : ndarray of shape (m,)
        Product of the weights of all rounds; its mean over draws, 0 where the row is gone, is 1.
    probabilities : ndarray of shape (n,)
        Product of the probabilities of the rounds that the row took part in.
    rounds : tuple of (int, float, float)
        For each round: rows before it, the sum of their root leverage scores, expected rows after it.
    """

    indices: npt.NDArray[np.int64]
    weights: FloatArray
    probabilities: FloatArray
    rounds: tuple[tuple[int, float, float], ...]

    @property
    def sample(self) -> RowSample:
        """The rows as a `RowSample`."""
        return RowSample(self.indices, self.weights)


def recursive_root_leverage(A: Any, p: float, m: float, *, seed: int, factor: float = 3.0) -> RecursiveSample:
    r"""Sample rows by root leverage scores, again and again, until about m are left.

    :math:`\tau_i^{p/2}` bounds the sensitivity for p <= 2, but one round leaves up to :math:`n^{1-p/2}d^{p/2}` rows. Each round keeps

    .. math:: \max\Big(m,\; c \sum_i \tau_i^{p/2}\Big)

    rows in expectation, with :math:`\tau` the leverage scores of the rows as they are weighted by then; the last one m. This is the
    recursion of Woodruff and Yasuda up to its details and constants, which are not known to us.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d). Rows that survive the first round are held in memory.
    p : float
        Exponent, 1 <= p <= 2.
    m : float
        Expected rows of the last round, at least 1. Where no more rows are left, all of them are kept.
    seed : int
        Key of the random numbers, which depend on row number and round only.
    factor : float, default=3.0
        The number c, at least 1. Larger ones shrink the table more slowly and lose less on the way; with 3 the distortion of a round is
        about as large as that of the last one.

    Returns
    -------
    RecursiveSample

    Raises
    ------
    ValueError
        p outside [1, 2], m or factor below 1, a table of zeros, NaN or infinite entries.

    Notes
    -----
    Every round removes three tenths of the rows or is the last one, so the time is at most about three leverage computations, O(n d^2).

    References
    ----------
    D. Woodruff, T. Yasuda, "Sharper Bounds for lp Sensitivity Sampling", ICML 2023, abstract.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import recursive_root_leverage
    >>> A = np.random.default_rng(0).standard_normal((20_000, 4))
    >>> sample = recursive_root_leverage(A, 1.0, 80, seed=0)
    >>> [rows for rows, _, _ in sample.rounds], len(sample.indices)
    ([20000, 797, 153], 73)
    """
    p = checked_exponent(p)
    _check_covers("root_leverage", p)
    m = check_range(m, name="m", low=1.0, high=np.inf, high_open=True)
    factor = check_range(factor, name="factor", low=1.0, high=np.inf, high_open=True)
    seed = check_range(seed, name="seed", low=0, integer=True)
    source = RowSource.of(A, name="A")
    n = source.n_rows
    alive, weights, total = np.arange(n, dtype=np.int64), np.ones(n), np.ones(n)
    rows: Any = source
    rounds: list[tuple[int, float, float]] = []
    for level in range(_MOST_ROUNDS):
        scores = _scaled_root_leverage(rows, weights, p)
        mass, present = float(scores.sum()), int(np.count_nonzero(scores))
        target = max(m, factor * mass)
        last = target >= _SHRINKS * present or target == m
        q = inclusion_probabilities(scores, m if last else target)
        rounds.append((len(alive), mass, float(q.sum())))
        kept = np.flatnonzero(row_uniforms(seed, 0, n, level)[alive] < q)
        total[alive] *= q
        rows = take_rows(rows, kept)
        alive, weights = alive[kept], weights[kept] / q[kept]
        if last or not len(alive):
            break
    return RecursiveSample(alive, weights, total, tuple(rounds))


def _scaled_root_leverage(rows: Any, weights: FloatArray, p: float) -> FloatArray:
    """Root leverage scores of rows multiplied by the p-th roots of their weights."""
    scale = None if np.all(weights == 1.0) else weights ** (1.0 / p)
    white = whitening(rows, scale=scale)
    _refuse_zeros(white.rank)
    return root_leverage(np.minimum(row_leverages(rows, white, scale=scale), 1.0), p)


def take_rows(A: Any, indices: npt.NDArray[np.intp] | npt.NDArray[np.int64]) -> Any:
    """Return some rows of any kind of table, in the order of increasing indices, as an array in memory (CSR stays CSR).

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        Table of shape (n, d).
    indices : ndarray of shape (m,)
        Increasing row numbers.

    Returns
    -------
    ndarray or csr_array of shape (m, d)

    Notes
    -----
    One pass over the blocks; memory is that of the rows taken.

    Examples
    --------
    >>> import numpy as np
    >>> take_rows(np.arange(6.0).reshape(3, 2), np.array([0, 2]))
    array([[0., 1.],
           [4., 5.]])
    """
    source = RowSource.of(A, name="A")
    parts = []
    for block in source:
        first, last = np.searchsorted(indices, [block.start, block.stop])
        parts.append(block.X[indices[first:last] - block.start])
    if not is_sparse(parts[0]):
        return np.concatenate(parts)
    import scipy.sparse as sp

    return sp.csr_array(sp.vstack(parts, format="csr"))


def draw_rows(A: Any, found: RowScores, m: float, *, seed: int, draw: Draw = "bernoulli") -> tuple[RowSample, FloatArray]:
    """Draw about m rows by their scores.

    Parameters
    ----------
    A : array-like, memmap, sparse matrix, dask array, re-iterable of blocks, or RowSource
        The table; read again only by the recursion of root leverage scores.
    found : RowScores
        Its scores.
    m : float
        Expected rows, at least 1. From the number of nonzero rows on all of these are kept, whatever the way of drawing.
    seed : int
        Key of the random numbers.
    draw : {"bernoulli", "fixed", "systematic"}, default="bernoulli"
        See `sample_rows`. Root leverage scores for p < 2 are drawn over several rounds, "bernoulli" only.

    Returns
    -------
    sample : RowSample
    probabilities : ndarray of shape (n,)

    Examples
    --------
    >>> A = [[3.0], [1.0], [0.0]]
    >>> sample, q = draw_rows(A, row_scores(A, 1.0, "lewis"), 2, seed=0)
    >>> sample.indices.tolist(), q.tolist()
    ([0, 1], [1.0, 1.0, 0.0])
    """
    if found.sampler == "root_leverage" and found.p < 2.0 and m < np.count_nonzero(found.scores):
        if draw != "bernoulli":
            raise ValueError(f"draw={draw!r} with sampler='root_leverage': its rounds are drawn row by row; use draw='bernoulli'")
        sample = recursive_root_leverage(A, found.p, m, seed=seed)
        return sample.sample, sample.probabilities
    q = inclusion_probabilities(found.scores, m)
    return sample_rows(q, method="bernoulli" if q[q > 0.0].min() == 1.0 else draw, seed=seed), q
