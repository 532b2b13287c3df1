"""The searches behind the certificates: the smallest excluded angle, and the largest number of mistakes that no halfspace keeps to."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._push import LARGEST_TANGENT, Push, PushValue
from algos.testable_halfspaces.band_statistics import Band, BandStatistics, statistics_of
from algos.testable_halfspaces.disagreement import DisagreementBound, cone_bound

__all__ = ["Excluded", "Search"]

FloatArray = npt.NDArray[np.float64]

_RANGE = (1e-4, LARGEST_TANGENT)
"""Angles looked at: tangents in units of sigma over the length of z. Beyond the upper end every threshold is zero."""
_STEPS = 14
"""Halvings of the logarithm of that range: the tangent is then found to a tenth of a per cent."""
_COARSE = 0.125
"""Step of the logarithm of the tangents at which the agnostic search works first."""
_FINER = 16
"""Parts of a coarse step between which refining chooses: few angles, since the disagreement within each is dear."""
_GROWTH = 1.25
"""One coarse step is 13 per cent of the tangent: refining it cannot gain more mistakes than this factor."""
_TOLERANCE = 0.004
"""Relative accuracy to which the number of mistakes is found: below the 13, or after refining 0.8, per cent of an angular step."""
_SHARPENINGS = 2  # the second shift fits the smaller angle that the first has led to
_LEAP, _SHORT_LEAP = 1.6, 1.02
"""From one number to the next while the search goes up from a guess, and from a good one."""
_SAMPLED = 50_000
"""Rows whose cones tell nearly how many mistakes can be proved; the proofs themselves, which are dear, are then few."""


@dataclass(frozen=True, eq=False)
class Excluded:
    """An angle beyond which no halfspace explains the labels, and what the cone inside can change.

    Attributes
    ----------
    tau : float
        Tangent of the angle.
    push : PushValue
        LB there.
    cone : DisagreementBound
        Disagreement within the angle.
    """

    tau: float
    push: PushValue
    cone: DisagreementBound


@dataclass
class Cones:
    """Disagreement within cones around one halfspace, remembered over all widths of the band."""

    view: View
    settled: npt.NDArray[np.bool_] | None = None
    _known: dict[float, DisagreementBound] = field(default_factory=dict, repr=False)

    def __call__(self, tau: float) -> DisagreementBound:
        """Return the least bound known for a cone that holds the one of this tangent."""
        if tau not in self._known:
            self._known[tau] = cone_bound(self.view, math.atan(tau), self.settled)
        larger = (bound for known, bound in self._known.items() if known >= tau)
        return min(larger, key=lambda bound: (bound.count, bound.theta))


@dataclass
class _SampledCones(Cones):
    """Disagreement as some of the rows suggest it: to know where to look, not to prove anything."""

    factor: float = 1.0

    @classmethod
    def of(cls, view: View, settled: npt.NDArray[np.bool_] | None) -> "_SampledCones":
        """Take every so-manieth row."""
        chosen = slice(None, None, view.n // _SAMPLED)
        rows = np.concatenate([block.X[-block.start % chosen.step :: chosen.step] for block in view.source])
        some = replace(view, source=RowSource(rows), t=view.t[chosen], rho=view.rho[chosen], blur=view.blur[chosen])
        return cls(some, None if settled is None else settled[chosen], factor=view.n / len(rows))

    def __call__(self, tau: float) -> DisagreementBound:
        """Return the bound of a cone with its count scaled to all rows."""
        bound = super().__call__(tau)
        return replace(bound, count=round(bound.count * self.factor))


@dataclass
class Search:
    """Band, moments and bounds for one halfspace and one width."""

    view: View
    statistics: BandStatistics
    band: Band
    push: Push
    cones: Cones
    sos: bool = False

    @classmethod
    def of(
        cls, view: View, labels: FloatArray, sigma: float, *, quartic: bool = True, cones: Cones | None = None, sos: bool = False
    ) -> "Search":
        """Measure the band and sum it up; with `sos`, proofs are sharpened by a semidefinite program or two."""
        band, rows = Band.of(view, sigma)
        push = Push.of(band, quartic=quartic)
        fourths = push.fourths.sum(axis=0) if push.quartic else None
        return cls(view, statistics_of(band, rows, view, labels, fourths), band, push, cones or Cones(view), sos)

    def plain(self) -> "Search":
        """Return the same search without sums of squares."""
        return replace(self, sos=False, push=replace(self.push, shift=None, _known={})) if self.sos else self

    @property
    def unit(self) -> float:
        """Tangent at which a typical row at distance sigma is turned over."""
        return self.statistics.sigma / self.statistics.scale

    @property
    def largest_tau(self) -> float:
        """Tangent of the largest angle looked at."""
        return _RANGE[1] * self.unit

    def limit(self, advantage: float) -> float:
        """Return LB at the largest angle: what the gradient must stay below for anything to be excluded."""
        return self.push.plain(_RANGE[1] * self.unit, advantage).value

    def smallest_excluded(self, slack: float, advantage: float) -> float | None:
        """Return a tangent at which LB exceeds the slack, nearly the smallest, or None."""
        found = self._smallest_excluded(slack, advantage)
        for _ in range(_SHARPENINGS if self.sos else 0):
            self.push.sharpen(_RANGE[1] * self.unit if found is None else found, advantage)
            found = self._smallest_excluded(slack, advantage)
        return found

    def _smallest_excluded(self, slack: float, advantage: float) -> float | None:
        low, high = (math.log(end * self.unit) for end in _RANGE)
        if not self._excludes(high, slack, advantage):
            return None
        return math.exp(self._halve(low, high, slack, advantage, _STEPS))

    def _halve(self, low: float, high: float, slack: float, advantage: float, steps: int) -> float:
        """Return the upper end of a bracket halved so often; it stays excluded, whether or not LB is monotone."""
        for _ in range(steps):
            middle = (low + high) / 2.0
            if self._excludes(middle, slack, advantage):
                high = middle
            else:
                low = middle
        return high

    def _excludes(self, log_tau: float, slack: float, advantage: float) -> bool:
        return self.push(math.exp(log_tau), advantage).value > slack + 1e-12 * abs(slack)

    def excluded(self, slack: float, advantage: float) -> Excluded | None:
        """Return the smallest excluded angle with its cone, or None."""
        tau = self.smallest_excluded(slack, advantage)
        return None if tau is None else Excluded(tau, self.push(tau, advantage), self.cones(tau))

    def most_mistakes(self, mistakes: int, guess: int = 0) -> tuple[int, Excluded] | None:
        """Return a large k such that no halfspace makes k mistakes or fewer, or None.

        Parameters
        ----------
        mistakes : int
            Mistakes that w certainly makes, and its reverse too.
        guess : int, default=0
            About the number expected; a good one saves the wide cones that belong to numbers too large.

        Notes
        -----
        A halfspace with k mistakes lies within the angle excluded for k, so that w makes at most k plus the disagreement. A k with
        a smaller sum therefore proves k + 1 mistakes for every halfspace; nothing rests on monotonicity. Angles come from a coarse grid
        that all widths share, so that the disagreement within is computed once; `refine` improves on it.
        """
        if self.view.k == 0:
            return self._no_complement(mistakes)
        if self.view.n < 2 * _SAMPLED:
            return self._search(mistakes, guess, _LEAP)
        sampled = replace(self, cones=_SampledCones.of(self.view, self.cones.settled))
        likely = sampled._search(mistakes, guess, _LEAP)
        return self._search(mistakes, 0 if likely is None else likely[0], _SHORT_LEAP)

    def _search(self, mistakes: int, guess: int, leap: float) -> tuple[int, Excluded] | None:
        step = _COARSE / _FINER if guess else _COARSE
        low, high = (math.floor(math.log(end * self.unit) / step) for end in _RANGE)
        return _largest(lambda k: self._proof(k, low, high, step, mistakes), mistakes, 0, mistakes - 1, guess, leap)

    def refine(self, found: tuple[int, Excluded], mistakes: int) -> tuple[int, Excluded]:
        """Improve a proof by angles between those of the coarse grid."""
        if self.view.k == 0:
            return found
        step = _COARSE / _FINER
        high = math.floor((math.log(found[1].tau) + _COARSE) / step)
        last = min(mistakes - 1, int(_GROWTH * found[0]) + 2)
        better = _largest(lambda k: self._proof(k, high - 2 * _FINER, high, step, mistakes), mistakes, found[0], last)
        return better if better is not None else found

    def _proof(self, k: int, first: int, last: int, step: float, mistakes: int) -> tuple[float, Excluded | None]:
        """Return k plus the disagreement within the least angle of a grid that is excluded for k mistakes; a proof if that is too few."""
        slack = self.slack(k)
        if not self._excludes(last * step, slack, 1.0):
            return math.inf, None
        while first < last:
            middle = (first + last) // 2
            first, last = (first, middle) if self._excludes(middle * step, slack, 1.0) else (middle + 1, last)
        tau = math.exp(last * step)
        cone = self.cones(tau)
        total = k + cone.count
        return total, Excluded(tau, self.push(tau, 1.0), cone) if total < mistakes else None

    def slack(self, k: int) -> float:
        """Return the largest gradient that a halfspace with k mistakes can leave."""
        return self.statistics.G + 2.0 * self.statistics.mistake_push(k)

    def _no_complement(self, mistakes: int) -> tuple[int, Excluded] | None:
        """One column: every halfspace is w or its reverse."""
        if mistakes == 0:
            return None
        return mistakes - 1, Excluded(0.0, PushValue(math.inf, "norm", 0.0), cone_bound(self.view, 0.0))


def _largest(
    proof: Callable[[int], tuple[float, Excluded | None]], mistakes: int, first: int, last: int, guess: int = 0, leap: float = 1.0
) -> tuple[int, Excluded] | None:
    """Narrow in on the largest number with a proof, up to the tolerance; the one returned has one.

    The next number is where the sums of the proofs, drawn as a line, reach the mistakes; the middle while only one end is known.
    """
    bracket = [k for k in (int(guess * leap**power) for power in range(-1, 8)) if first < k < last]
    start = bracket.pop(0) if bracket else first
    lowest, found = proof(start)
    if found is None and start > first:
        start, last, bracket = first, start - 1, []
        lowest, found = proof(start)
    if found is None:
        return None
    best, first, highest = start, start, math.inf
    while last - first > int(_TOLERANCE * first):
        if bracket:
            middle = bracket.pop(0)
        else:
            share = (mistakes - lowest) / max(highest - lowest, 1.0) if math.isfinite(highest) else 0.5
            middle = min(max(first + round((last + 1 - first) * min(max(share, 0.1), 0.9)), first + 1), last)
        total, attempt = proof(middle)
        if attempt is None:
            last, highest, bracket = middle - 1, total, []
        else:
            first, best, found, lowest = middle, middle, attempt, total
    return best, found
