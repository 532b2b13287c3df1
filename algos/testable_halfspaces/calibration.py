r"""Thresholds of the tests: what the statistics are when the marginal is the one that the guarantee assumes.

All tests are calibrated together. Tables with the target marginal are simulated and every statistic is computed on each. The first half
of the tables gives each statistic's mean and standard deviation; on the second half, m' tables, the largest standardised statistic is
taken, and c is its order statistic of rank :math:`\lceil(1-\alpha)(m'+1)\rceil`. Thresholds are mean + c sd. A new table from the target is
exchangeable with the second half, so that some test fails with probability at most :math:`\alpha`, however the statistics depend on each
other.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from algos.common.randomness import child
from algos.common.validation import check_option, check_range
from algos.testable_halfspaces._null_tables import MARGINALS, NullTable, TransformLike, measure_null
from algos.testable_halfspaces.results import Measured, TestResult

__all__ = ["THEORY_LIMITS", "Calibration", "calibrate"]

T = TypeVar("T")
FloatArray = npt.NDArray[np.float64]
Mode = Literal["simulate", "theory"]
Marginal = Literal["gaussian", "isotropic-logconcave"]

THEORY_LIMITS: dict[str, tuple[float, float]] = {
    "mean": (-math.inf, 0.5),
    "covariance": (-math.inf, 0.5),
    "skewness": (-math.inf, 1.0),
    "kurtosis_high": (-math.inf, 6.0),
    "kurtosis_low": (1.5, math.inf),
    "kurtosis_upper_bound": (-math.inf, 6.0),
    "kurtosis_lower_bound": (1.5, math.inf),
    "band_mass_inner": (0.5, 2.0),
    "band_mass_outer": (0.5, 2.0),
    "band_mean": (-math.inf, 0.5),
    "band_covariance_low": (0.5, math.inf),
    "band_covariance_high": (-math.inf, 2.0),
    "band_kurtosis": (-math.inf, 6.0),
    "disagreement": (-math.inf, 3.0),
}
"""Fixed slacks, about a factor two around the value of the standard Gaussian. An infinite end is a side that is not tested."""

MAX_ROWS = 50_000
"""Rows of a simulated table. Statistics of fewer rows spread more, so that thresholds for a larger table are wider than they need be."""

CONFIDENCE = 0.99
"""With which thresholds of ``guarantee="tolerance"`` have their level by default."""

_UNBOUNDED = 1e30  # an infinite statistic (moments of an empty band) counts as this, so that means and deviations stay finite
_SMALLEST_SD = 1e-7  # after whitening on the same rows mean and covariance differ from 0 and I by rounding alone, which must not reject
_KEPT = 32  # calibrations kept in memory
_VERSION = 1  # raised when a statistic or the simulation changes


@dataclass(frozen=True, eq=False)
class Calibration:
    r"""Thresholds for the statistics of a table of a given shape.

    Attributes
    ----------
    names : tuple of str
        Statistics that it knows.
    low, high : ndarray of shape (k,)
        Accepted intervals.
    mean, sd : ndarray of shape (k,)
        Under the target; NaN for fixed slacks.
    multiplier : float
        The number c.
    rank, m_ranked : int
        Its rank among the tables of the second half.
    level : float
        Probability that a table from the target fails any test.
    confidence : float
        1 when that holds for the simulation and the data together (``guarantee="rank"``); with ``"tolerance"`` the probability, over the
        simulation, that these thresholds have the level for every further table.
    mode : {"simulate", "theory"}
    marginal : str
    n, d : int
        Shape that was simulated.
    key : int
        Seed; table j is drawn from ``child(key, "null", marginal, j)``.
    ranked : ndarray of shape (m', k)
        Standardised statistics of the second half, for p-values; empty for fixed slacks.
    """

    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    mean: FloatArray
    sd: FloatArray
    multiplier: float
    rank: int
    m_ranked: int
    level: float
    confidence: float
    mode: Mode
    marginal: str
    n: int
    d: int
    key: int
    ranked: FloatArray

    def p_value(self, name: str, value: float) -> float:
        """Return the share of simulated tables, the new one among them, in which this statistic is at least as far out."""
        column = self._column(name)
        if not self.ranked.size:
            return math.nan
        score = _score(name, float(np.clip(value, -_UNBOUNDED, _UNBOUNDED)), self.mean[column], self.sd[column])
        return float((1 + np.count_nonzero(self.ranked[:, column] >= score)) / (1 + self.m_ranked))

    def judge(self, measured: Iterable[Measured]) -> tuple[TestResult, ...]:
        """Compare statistics with their thresholds.

        Parameters
        ----------
        measured : iterable of Measured
            Statistics of one table.

        Returns
        -------
        tuple of TestResult

        Raises
        ------
        ValueError
            A statistic that was not calibrated.
        """
        results = []
        for item in measured:
            k = self._column(item.name)
            exact = self.marginal == "gaussian" and not math.isnan(item.p_value)
            p_value = item.p_value if exact else self.p_value(item.name, item.value)
            limits = float(self.low[k]), float(self.high[k])
            null = float(self.mean[k]), float(self.sd[k])
            results.append(TestResult(item.name, item.value, *limits, p_value, item.direction, *null, item.n_used, item.bracket))
        return tuple(results)

    def _column(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"statistic {name!r} is not calibrated, only {', '.join(self.names)}; give sigma and theta to calibrate")
        return self.names.index(name)


def calibrate(
    n: int,
    d: int,
    *,
    sigma: float | None = None,
    theta: float | None = None,
    n_certify: int | None = None,
    intercept: float | None = None,
    transform: TransformLike = None,
    marginal: Marginal = "gaussian",
    mode: Mode = "simulate",
    guarantee: Literal["rank", "tolerance"] = "rank",
    confidence: float = CONFIDENCE,
    level: float = 0.05,
    n_calibration: int = 199,
    certify: bool | None = None,
    key: int = 0,
    n_jobs: int | None = None,
) -> Calibration:
    r"""Find thresholds with which a table from the target marginal passes all tests with probability at least ``1 - level``.

    Parameters
    ----------
    n, d : int
        Shape of the table. More than 50,000 rows are simulated as 50,000, which makes thresholds wider, never narrower.
    sigma : float, optional
        Width of the band; without it only the moment tests are calibrated. It must not depend on the rows of the certify fold, and
        neither may theta and the halfspace: the null tables are drawn for a fixed halfspace, and only then is the level exact.
    theta : float, optional
        Angle of the disagreement test.
    n_certify : int, optional
        Rows, the last ones, on which band and disagreement are tested; all by default.
    intercept : float, optional
        Last entry of the unit normal when rows are lifted to (x, 1).
    transform : {None, "whiten", "standardize"} or callable, optional
        What is done to a table before it is tested, fitted on the rows that do not certify (all rows if there are none): the null tables go
        through the same. A callable takes those rows and returns a function that maps rows to rows. The level is exact for
        the moment tests; band and disagreement are tested at a direction that the fit cannot have chosen.
    marginal : {"gaussian", "isotropic-logconcave"}, default="gaussian"
        The second stands for a panel (Gaussian, uniform on a cube and a ball, products of Laplace and of exponential distributions):
        thresholds are the widest of the five, and the level holds for these five only.
    mode : {"simulate", "theory"}, default="simulate"
        ``"theory"``: fixed slacks instead, `THEORY_LIMITS`; they hold once n is large, for which no number is promised here.
    guarantee : {"rank", "tolerance"}, default="rank"
        ``"rank"``: the level holds for one table and its own simulation. ``"tolerance"``: thresholds that are used again and again have the
        level with the given confidence, by the smallest rank k with :math:`P(\mathrm{Bin}(m',1-\alpha)\le k-1)\ge` confidence.
    confidence : float, default=0.99
        For ``guarantee="tolerance"``.
    level : float, default=0.05
        Probability :math:`\alpha` that a table from the target fails a test.
    n_calibration : int, default=199
        Tables simulated; half of them are ranked, so at least ``2 (1 / level - 1)`` are needed.
    certify : bool, optional
        Whether fourth moments get their certified interval; by default for up to 60 columns.
    key : int, default=0
        Seed.
    n_jobs : int, optional
        Threads; the result does not depend on their number.

    Returns
    -------
    Calibration
        The same object for the same arguments: the last 32 are kept in memory.

    Raises
    ------
    ValueError
        Too few tables for the level, arguments out of range, theta without sigma.

    Notes
    -----
    Time: ``n_calibration`` times that of the tests, memory that of one table per thread.

    Examples
    --------
    >>> from algos.testable_halfspaces.calibration import calibrate
    >>> known = calibrate(500, 2, sigma=1.0, n_calibration=79)
    >>> known.rank, known.m_ranked
    (39, 40)
    >>> bool(known.high[known.names.index("kurtosis_high")] > 3.0)
    True
    """
    check_option(mode, ("simulate", "theory"), name="mode")
    check_option(marginal, ("gaussian", "isotropic-logconcave"), name="marginal")
    check_option(guarantee, ("rank", "tolerance"), name="guarantee")
    alpha = check_range(level, name="level", low=0.0, high=1.0, low_open=True, high_open=True)
    sure = check_range(confidence, name="confidence", low=0.0, high=1.0, low_open=True, high_open=True)
    table = NullTable.checked(n, d, sigma, theta, n_certify, intercept, transform, certify, MAX_ROWS)
    if mode == "theory":
        return _theory(table, alpha)
    count = check_range(n_calibration, name="n_calibration", low=2, integer=True)
    half = count - count // 2
    rank = null_rank(half, alpha, sure if guarantee == "tolerance" else None)
    members = ("gaussian",) if marginal == "gaussian" else MARGINALS
    seed = check_range(key, name="key", low=0, integer=True)
    holds_with = sure if guarantee == "tolerance" else 1.0
    identity = (_VERSION, table, members, half, rank, count, seed, alpha, holds_with)
    known = _memory.get(identity)
    if known is None:
        parts = [_simulate(table, member, count, half, rank, alpha, holds_with, seed, n_jobs) for member in members]
        known = parts[0] if len(parts) == 1 else _widest(parts)
        _memory.put(identity, known)
    return known


def calibration_for(calibration: Calibration | Mode, n: int, d: int, *, level: float, n_calibration: int, key: Any) -> Calibration:
    """Return the calibration that was given, after checking that it is for tables of this width, or make one for moment tests."""
    if isinstance(calibration, Calibration):
        if calibration.d != d:
            raise ValueError(f"calibration is for {calibration.d} columns, X has {d}; calibrate for its shape")
        return calibration
    seed = int(key) if isinstance(key, int | np.integer) else 0
    return calibrate(n, d, mode=calibration, level=level, n_calibration=n_calibration, key=seed)


def null_rank(half: int, level: float, confidence: float | None = None) -> int:
    """Return the rank of the threshold among simulated values, or raise when there are too few of them."""
    if confidence is None:
        rank = math.ceil((1.0 - level) * (half + 1) - 1e-9)
        if rank > half:
            raise ValueError(
                f"n_calibration gives {half} ranked tables, level={level} needs {math.ceil(1 / level - 1)}: give twice as many"
            )
        return rank
    from scipy.special import bdtr

    enough = np.flatnonzero(bdtr(np.arange(half), half, 1.0 - level) >= confidence)
    if not enough.size:
        needed = math.ceil(math.log(1.0 - confidence) / math.log(1.0 - level))
        raise ValueError(
            f"n_calibration gives {half} ranked tables, confidence={confidence} at level={level} needs {needed}; "
            f"give n_calibration={2 * needed}"
        )
    return int(enough[0]) + 1


def _simulate(
    table: NullTable, marginal: str, count: int, half: int, rank: int, level: float, confidence: float, key: int, n_jobs: int | None
) -> Calibration:
    def one(j: int) -> dict[str, float]:
        return measure_null(table, marginal, child(key, "null", marginal, j))

    drawn = each_replicate(one, count, n_jobs)
    names = tuple(drawn[0])
    values = np.clip([[row[name] for name in names] for row in drawn], -_UNBOUNDED, _UNBOUNDED)
    first, second = values[: count - half], values[count - half :]
    mean = first.mean(axis=0)
    sd = np.maximum(first.std(axis=0, ddof=1) if len(first) > 1 else np.zeros(len(names)), _SMALLEST_SD * (1.0 + np.abs(mean)))
    ranked = np.column_stack([_score(name, second[:, k], mean[k], sd[k]) for k, name in enumerate(names)])
    c = float(np.sort(ranked.max(axis=1))[rank - 1])
    low = np.array([mean[k] - c * sd[k] if math.isfinite(THEORY_LIMITS[name][0]) else -math.inf for k, name in enumerate(names)])
    high = np.array([mean[k] + c * sd[k] if math.isfinite(THEORY_LIMITS[name][1]) else math.inf for k, name in enumerate(names)])
    low, high = _settled(low, mean, -1.0), _settled(high, mean, 1.0)
    return Calibration(names, low, high, mean, sd, c, rank, half, level, confidence, "simulate", marginal, table.n, table.d, key, ranked)


def _settled(limits: FloatArray, mean: FloatArray, sign: float) -> FloatArray:
    """Move limits outwards by rounding errors, so that the table of that rank itself passes; to infinity where null values reach there."""
    moved = limits + sign * 1e-12 * (1.0 + np.abs(mean))
    return np.where(np.abs(moved) < _UNBOUNDED / 10.0, moved, sign * np.inf)


def _score(name: str, value: Any, mean: float, sd: float) -> Any:
    """Standardised distance from the mean on the side or sides that are tested."""
    low, high = THEORY_LIMITS[name]
    if math.isinf(low):
        return (value - mean) / sd
    return (mean - value) / sd if math.isinf(high) else abs(value - mean) / sd


def each_replicate(one: Callable[[int], T], count: int, n_jobs: int | None) -> list[T]:
    """Call a function for 0, ..., count - 1, each with one thread of BLAS: the matrices are small, and results are those of one core."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        if n_jobs in (None, 1):
            return [one(j) for j in range(count)]
        from joblib import Parallel, delayed

        return list(Parallel(n_jobs=n_jobs, prefer="threads")(delayed(one)(j) for j in range(count)))


def _widest(parts: list[Calibration]) -> Calibration:
    """Join calibrations of a panel: widest intervals; p-values against the member in which the statistics spread most."""
    low, high = np.min([part.low for part in parts], axis=0), np.max([part.high for part in parts], axis=0)
    mean, sd = np.mean([part.mean for part in parts], axis=0), np.max([part.sd for part in parts], axis=0)
    first = parts[0]
    scores = [
        np.column_stack(
            [_score(name, _value(name, part.ranked[:, k], part.mean[k], part.sd[k]), mean[k], sd[k]) for k, name in enumerate(part.names)]
        )
        for part in parts
    ]
    ranked = np.max(np.sort(np.array(scores), axis=1), axis=0)
    c = max(part.multiplier for part in parts)
    return Calibration(
        first.names, low, high, mean, sd, c, first.rank, first.m_ranked, first.level, first.confidence, "simulate",
        "isotropic-logconcave", first.n, first.d, first.key, ranked,
    )  # fmt: skip


def _value(name: str, score: FloatArray, mean: float, sd: float) -> FloatArray:
    """Invert `_score`; for a two-sided statistic on the far side of the mean, which is as far out as the near one."""
    sign = -1.0 if math.isinf(THEORY_LIMITS[name][1]) else 1.0
    return mean + sign * score * sd


def _theory(table: NullTable, level: float) -> Calibration:
    names = tuple(THEORY_LIMITS)
    low, high = (np.array([THEORY_LIMITS[name][side] for name in names]) for side in (0, 1))
    unknown = np.full(len(names), np.nan)
    return Calibration(
        names, low, high, unknown, unknown, math.nan, 0, 0, level, math.nan, "theory", "gaussian", table.n, table.d, 0, np.empty((0, 0))
    )


class _Memory:
    """The calibrations made last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, Calibration] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, identity: Any) -> Calibration | None:
        with self._lock:
            found = self._kept.get(identity)
            if found is not None:
                self._kept.move_to_end(identity)
            return found

    def put(self, identity: Any, calibration: Calibration) -> None:
        with self._lock:
            self._kept[identity] = calibration
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


_memory = _Memory()
