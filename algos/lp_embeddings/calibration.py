"""How many rows a sampler really needs on a table, and the constant that this gives the formula of its theorem."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import canonical_array, check_range
from algos.lp_embeddings import bounds
from algos.lp_embeddings.distortion import Reference, measure
from algos.lp_embeddings.importance import RowScores, Sampler, draw_rows, row_scores

__all__ = ["Calibration", "calibrate_m"]

FloatArray = npt.NDArray[np.float64]

_GRID = 1.12  # ratio of neighbouring sizes: sizes are found to within 12 %
_STRIDE = 6  # grid steps of the first search: sizes about double


@dataclass(frozen=True, eq=False)
class Calibration:
    r"""Rows that a sampler needed.

    Attributes
    ----------
    m : float
        Smallest expected size tried at which at most ``delta * trials`` samples had a distortion above eps; the number of nonzero rows
        if nothing less sufficed.
    C : float or None
        ``m * eps**2 / (f L)`` with the leading rows f of the sampler's theorem, at the upper bound on the total sensitivity, and L =
        ``log_factor``; None where there is no theorem.
    sampler : str
        Scores that were used.
    sizes : ndarray of shape (k,)
        Sizes tried, increasing.
    failures : ndarray of shape (k,), int64
        Samples whose distortion exceeded eps, of ``trials``.
    trials : int
    log_factor : float
        The number L.
    exact : bool
        Whether every distortion was known exactly; otherwise they are lower bounds found by search, and m may be somewhat too small.
    """

    m: float
    C: float | None
    sampler: Sampler
    sizes: FloatArray
    failures: npt.NDArray[np.int64]
    trials: int
    log_factor: float
    exact: bool


def calibrate_m(
    A: Any,
    p: float,
    sampler: Literal["auto"] | Sampler | RowScores = "auto",
    *,
    eps: float = 0.5,
    delta: float = 0.1,
    trials: int = 40,
    log_factor: float | None = None,
    starts: int = 6,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
) -> Calibration:
    r"""Find the sample size at which a share of at least ``1 - delta`` of the samples has distortion at most eps.

    Every trial has its own random numbers, the same at all sizes (common random numbers): a larger Bernoulli sample contains the
    smaller one. Sizes lie on a logarithmic grid and are searched by doubling and bisection.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, d)
        Table, read for every sample.
    p : float
        Exponent, 1 <= p < inf.
    sampler : str or RowScores, default="auto"
        As in `row_scores`; scores that are known, for example exact sensitivities, can be given instead.
    eps : float, default=0.5
        Distortion allowed, positive.
    delta : float, default=0.1
        Share of the samples that may exceed it, in (0, 1).
    trials : int, default=40
        Samples at each size. The share is estimated from them: with 40 the standard error at one tenth is .05.
    log_factor : float, optional
        The factor L of the theorem, by default ``max(1, ln(d / delta))`` as in `sample_size`; it only divides C.
    starts : int, default=6
        Starts of the distortion search, see `distortion`.
    n_jobs : int, optional
        Threads. The result does not depend on their number.
    random_state : None, int, Generator or RandomState, default=None
        Draws the seeds of the trials.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        Arguments out of range, scores of another table, a table of zeros.

    Notes
    -----
    Between seven and twelve sizes are tried, so the time is that of about ``10 * trials`` distortions.

    Examples
    --------
    >>> from algos.lp_embeddings import calibrate_m
    >>> from algos.lp_embeddings.instances import two_basis
    >>> found = calibrate_m(two_basis(2, 50).A, 1.0, "lewis", trials=20, random_state=0)
    >>> found.exact, bool(10 < found.m < 40)
    (True, True)
    """
    eps = check_range(eps, name="eps", low=0.0, low_open=True, high=math.inf, high_open=True)
    delta = check_range(delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)
    trials = check_range(trials, name="trials", low=1, integer=True)
    if log_factor is not None:
        log_factor = check_range(log_factor, name="log_factor", low=0.0, low_open=True, high=math.inf, high_open=True)
    table = canonical_array(A, name="A", sparse=True)
    found = sampler if isinstance(sampler, RowScores) else row_scores(table, p, sampler)
    if found.scores.shape != (table.shape[0],) or found.p != p:
        raise ValueError(
            f"sampler holds {found.scores.size} scores for p={found.p}, A has {table.shape[0]} rows and p={p}; score this table"
        )
    seeds = [int(seed) for seed in as_generator(random_state).integers(2**63, size=trials)]
    measured = _Measured(table, found, eps, seeds, starts, n_jobs)
    m = _search(measured, math.floor(delta * trials + 1e-9))
    factor = max(1.0, math.log(found.rank / delta)) if log_factor is None else log_factor
    sizes = sorted(measured.failures)
    return Calibration(
        m,
        _constant(found, m, eps, factor),
        found.sampler,
        np.array(sizes),
        np.array([measured.failures[size] for size in sizes], dtype=np.int64),
        trials,
        factor,
        measured.exact,
    )


class _Measured:
    """Failures at each size, computed once."""

    def __init__(self, table: Any, found: RowScores, eps: float, seeds: list[int], starts: int, n_jobs: int | None) -> None:
        self.table, self.found, self.eps, self.seeds, self.starts, self.n_jobs = table, found, eps, seeds, starts, n_jobs
        self.reference = Reference.of(table, found.p)
        self.present = int(np.count_nonzero(found.scores))
        self.failures: dict[float, int] = {}
        self.exact = True

    def size(self, step: int) -> float:
        """Size number `step` of the grid, which begins at the rank and ends where all rows are kept."""
        return min(self.found.rank * _GRID**step, float(self.present))

    def failing(self, size: float) -> int:
        """Count the samples of this size that exceed the distortion allowed."""
        if size >= self.present:
            return self.failures.setdefault(size, 0)
        if size not in self.failures:
            from joblib import Parallel, delayed

            results = Parallel(n_jobs=self.n_jobs, prefer="threads")(delayed(self._one)(size, seed) for seed in self.seeds)
            self.failures[size] = sum(failed for failed, _ in results)
            self.exact &= all(exact for _, exact in results)
        return self.failures[size]

    def _one(self, size: float, seed: int) -> tuple[bool, bool]:
        sample, _ = draw_rows(self.table, self.found, max(size, 1.0), seed=seed)
        rows = self.table[sample.indices]
        scale = sample.scale(self.found.p)[:, None]
        sketch = rows.multiply(scale) if hasattr(rows, "multiply") else rows * scale
        measured = measure(self.reference, sketch, starts=self.starts)
        return measured.lower > self.eps, measured.lower > self.eps or measured.upper <= self.eps


def _search(measured: _Measured, allowed: int) -> float:
    """Double until at most `allowed` samples fail, then bisect on the grid."""
    enough, too_few = 0, -1
    while measured.failing(measured.size(enough)) > allowed:
        too_few, enough = enough, enough + _STRIDE
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if measured.failing(measured.size(middle)) > allowed:
            too_few = middle
        else:
            enough = middle
    return measured.size(enough)


def _constant(found: RowScores, m: float, eps: float, log_factor: float) -> float | None:
    if found.sampler == "leverage" and found.p != 2.0:
        return None
    leading = bounds.leading_rows(
        sampler=found.sampler,
        p=found.p,
        d=found.rank,
        S=found.total_bounds[1],
        n=int(np.count_nonzero(found.scores)),
        max_sensitivity=float(found.sensitivity_upper.max()),
    )
    return float(m * eps**2 / (leading * log_factor))
