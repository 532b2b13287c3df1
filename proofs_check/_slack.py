"""How much room a bound leaves: ratios measured/bound, from their own stream for random claims."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofs_check.model import BlockRecord, Slack

__all__ = ["SlackSums", "slack_histogram"]

_HIST_OCTAVES = (-12.0, 4.0)


@dataclass(slots=True)
class SlackSums:
    """Ratios of one part, collected over records."""

    ratios: list[float] = field(default_factory=list)
    hist: list[int] = field(default_factory=list)
    least: float = math.inf
    most: float = -math.inf

    def add(self, record: BlockRecord, *, ratios: bool) -> None:
        """Collect one record; ``ratios`` says that its values are ratios."""
        if ratios:
            self.ratios.extend(v for v in record.values if math.isfinite(v))
        if record.slack_hist:
            self.hist = [a + b for a, b in zip(self.hist or [0] * len(record.slack_hist), record.slack_hist, strict=True)]
        if record.slack_min is not None:
            self.least = min(self.least, record.slack_min)
        if record.slack_max is not None:
            self.most = max(self.most, record.slack_max)

    def extremes(self) -> Slack | None:
        """Slack of a deterministic claim: the extreme ratios."""
        if self.most == -math.inf:
            return None
        median = _hist_quantile(self.hist, 0.5) if sum(self.hist) else 0.5 * (self.least + self.most)
        return Slack(self.most, min(max(median, self.least), self.most), self.least)

    def mean(self, *, exact: bool) -> Slack | None:
        """Slack of an expectation claim: mean over bound; of an exact mean, its distance from one in standard errors."""
        if len(self.ratios) < 2:
            return None
        value = math.fsum(self.ratios) / len(self.ratios)
        if exact:
            error = float(np.std(self.ratios, ddof=1)) / math.sqrt(len(self.ratios))
            # Nothing varies: a mean that agrees to rounding is exact, any other is infinitely many errors away.
            value = abs(value - 1.0) / error if error > 0.0 else (0.0 if math.isclose(value, 1.0, rel_tol=1e-12) else math.inf)
        return Slack(value, value, value)

    def deviation(self, p: float) -> Slack | None:
        """Slack of an exact law: distance of the frequency of "ratio above one" from its probability, in standard errors."""
        if not self.ratios:
            return None
        n, events = len(self.ratios), sum(ratio > 1.0 for ratio in self.ratios)
        value = abs(events / n - p) / math.sqrt(p * (1.0 - p) / n)
        return Slack(value, value, value)

    def quantile(self, q: float) -> Slack | None:
        """Slack of a tail claim: the quantile that the bound promises to cover, with a 95 % interval."""
        if self.ratios:
            ordered = np.sort(np.asarray(self.ratios))
            value = float(ordered[min(len(ordered) - 1, max(math.ceil(q * len(ordered)) - 1, 0))])
            return Slack(value, value, value, interval=_order_interval(ordered, q))
        if sum(self.hist):
            value = _hist_quantile(self.hist, q)
            return Slack(value, value, value)
        return None


def slack_histogram(ratios: Any) -> tuple[int, ...]:
    """Count ratios measured/bound in 64 bins, four per octave from 2**-12 to 2**4; both ends are open.

    Parameters
    ----------
    ratios : array_like of float

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> counts = slack_histogram([0.0, 1.0, 1e9])
    >>> counts[0], counts[48], counts[63]
    (1, 1, 1)
    """
    low, high = _HIST_OCTAVES
    with np.errstate(divide="ignore"):
        octave = np.log2(np.maximum(np.asarray(ratios, dtype=np.float64), 0.0))
    index = np.clip(np.floor((octave - low) * 64 / (high - low)), 0, 63)
    return tuple(np.bincount(index.astype(np.int64), minlength=64).tolist())


def _order_interval(ordered: NDArray[np.float64], q: float) -> tuple[float, float] | None:
    """95 % interval of a quantile from order statistics at a sample size fixed in advance."""
    from scipy.special import bdtr

    n = len(ordered)
    below = bdtr(np.arange(n), n, q)  # P(at most i values lie below the quantile)
    low = int(np.searchsorted(below, 0.025, side="right"))
    high = int(np.searchsorted(below, 0.975, side="left")) + 1
    if low == 0 or high >= n:
        return None if low == 0 else (float(ordered[low - 1]), math.inf)
    return float(ordered[low - 1]), float(ordered[high])


def _hist_quantile(hist: Sequence[int], q: float) -> float:
    """Geometric middle of the bin that holds the quantile."""
    low, high = _HIST_OCTAVES
    index = int(np.searchsorted(np.cumsum(hist), max(q * sum(hist), 1.0)))
    return float(2.0 ** (low + (min(index, 63) + 0.5) * (high - low) / 64))
