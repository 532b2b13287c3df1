"""Three ways uphill for functions that can only be evaluated: a (1+1) evolution strategy, Nelder-Mead and CMA-ES.

The evolution strategy finds the region from any start and shrugs off plateaus; the other two polish what it found, Nelder-Mead up to
dimension 12, CMA-ES above.  All of them stop exactly when the evaluations are used up, and draw from the one generator they are given.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Climber", "Peak", "ascend", "climb_from"]

Vector: TypeAlias = NDArray[np.float64]
Peak: TypeAlias = tuple[float, Vector]

# Up to here a simplex with dimension-dependent coefficients gains more per evaluation than a covariance matrix that must first be learnt.
_SIMPLEX_UP_TO = 12
# Above, a full covariance needs more samples than any quick budget holds; a diagonal one learns in O(dimension).
_FULL_COVARIANCE_UP_TO = 60
_RUNS = 3  # evolution runs before a polish
_RUN_SHARE = 0.2  # of a round's evaluations for each of them
_ROUND = 5000  # evaluations of a round: three runs of 1000 and a polish of 2000
_POLISHES = 2  # a second simplex (or covariance) from where the first one settled: both may settle too early
_POLISH_STEP = 0.01  # of the largest coordinate; measured on the extremal pairs of rank truncation: .001 and .1 are no better
_SUCCESS, _FAILURE = 1.5, 1.5**-0.25  # balanced at a success rate of one fifth
_SMALLEST_STEP = 1e-13  # relative to the start; below, a step changes nothing
_WORST = 1e300  # stands for "inadmissible" where an optimiser subtracts values


class _SpentError(Exception):
    """The evaluations are used up."""


class Climber:
    """A function to be maximised, with a budget; remembers the best point it was ever asked about.

    Parameters
    ----------
    function : callable
        Maps a vector to a number; ``-inf`` where it is not admissible.
    evaluations : int
        Calls that may be spent.
    """

    def __init__(self, function: Callable[[Vector], float], evaluations: int) -> None:
        self._function = function
        self.left = evaluations
        self.best: Peak | None = None

    def __call__(self, x: Vector) -> float:
        """Evaluate, count and remember."""
        if self.left <= 0:
            raise _SpentError
        self.left -= 1
        value = self._function(x)
        if self.best is None or value > self.best[0]:
            self.best = (value, x.copy())
        return value


def ascend(
    function: Callable[[Vector], float],
    dimension: int,
    evaluations: int,
    rng: np.random.Generator,
    *,
    starts: Sequence[Sequence[float]] = (),
    step: float = 1.0,
) -> list[Peak]:
    """Look for the largest value of a function, with restarts, until the evaluations are used up.

    Rounds of at most 5000 evaluations: three evolution runs with a fifth each, then the best of them is polished with the rest.  In the
    first round the runs begin at the best of the given starts, and at least one at a random point; later rounds begin at random points.

    Parameters
    ----------
    function : callable
        Maps a vector of ``dimension`` numbers to a value, ``-inf`` where it is not admissible.
    dimension : int
        Length of the vectors.
    evaluations : int
        Calls of ``function``, spent to the last one unless the dimension is zero.
    rng : numpy.random.Generator
        All randomness.
    starts : sequence of sequences of float
        Known bad cases; those of another length are ignored.
    step : float, default=1.0
        Scale of the random starts and first step of the evolution.

    Returns
    -------
    list of (value, vector)
        The end of every run, best first.

    Examples
    --------
    >>> peaks = ascend(lambda x: -float(np.sum((x - 3.0) ** 2)), 2, 1500, np.random.default_rng(0))
    >>> peaks[0][1].round(6).tolist()
    [3.0, 3.0]
    """
    if dimension == 0:
        return [(function(np.zeros(0)), np.zeros(0))] if evaluations > 0 else []
    known = sorted(((function(x), x) for x in _fitting(starts, dimension, evaluations)), key=_height)
    peaks, left = list(known), evaluations - len(known)
    while left > 0:
        climber = Climber(function, min(left, _ROUND))
        left -= climber.left
        peaks += _round(climber, dimension, known[: _RUNS - 1], step, rng)
        known, left = [], left + climber.left
    return sorted(peaks, key=_height)


def climb_from(climber: Climber, peak: Peak, step: float, rng: np.random.Generator) -> Peak:
    """Improve a known point: one evolution run with half of the climber's evaluations, then a polish with the rest.

    Parameters
    ----------
    climber : Climber
        Function and budget.
    peak : (value, vector)
        Where to begin; need not be admissible.
    step : float
        First step.
    rng : numpy.random.Generator
        All randomness.

    Returns
    -------
    (value, vector)
    """
    if peak[1].size == 0:
        return peak
    leg = Climber(climber, (climber.left + 1) // 2)
    leg.best = peak
    last_step = _evolve(leg, peak[1], peak[0], step, rng)
    return _polished(climber, leg.best, last_step, rng)


def _height(peak: Peak) -> float:
    return -peak[0]


def _fitting(starts: Sequence[Sequence[float]], dimension: int, evaluations: int) -> list[Vector]:
    return [np.asarray(start, dtype=np.float64) for start in starts if len(start) == dimension][: max(evaluations // 2, 1)]


def _round(climber: Climber, dimension: int, known: Sequence[Peak], step: float, rng: np.random.Generator) -> list[Peak]:
    """One round: evolution runs from the known and from random points, then a polish of the best.

    What a finished polish leaves over is not spent.
    """
    share = max(int(climber.left * _RUN_SHARE), 1)
    ends: list[tuple[Peak, float]] = []
    for run in range(_RUNS):
        leg = Climber(climber, min(share, climber.left))
        if run < len(known):
            value, x = leg.best = known[run]
        elif leg.left > 0:
            x = step * rng.standard_normal(dimension)
            value = leg(x)
        else:
            break
        last_step = _evolve(leg, x, value, step, rng)
        if leg.best is not None:
            ends.append((leg.best, last_step))
    best = max(range(len(ends)), key=lambda i: ends[i][0][0])
    ends[best] = (_polished(climber, *ends[best], rng), 0.0)
    return [peak for peak, _ in ends]


def _polished(climber: Climber, peak: Peak, step: float, rng: np.random.Generator) -> Peak:
    method = _simplex if peak[1].size <= _SIMPLEX_UP_TO else _covariance
    leg = Climber(climber, climber.left)
    leg.best = peak
    with suppress(_SpentError):
        for _ in range(_POLISHES):
            x = leg.best[1]
            method(leg, x, max(step, _POLISH_STEP * float(np.abs(x).max()), _SMALLEST_STEP), rng)
    return leg.best


def _evolve(climber: Climber, x: Vector, value: float, step: float, rng: np.random.Generator) -> float:
    """Evolve one point by isotropic steps, longer after a success, shorter after a failure; returns the last step length."""
    scale = step * max(1.0, float(np.abs(x).max()))
    while climber.left > 0 and step > _SMALLEST_STEP * scale:
        y = x + step * rng.standard_normal(x.size)
        found = climber(y)
        if found > value:
            step *= _SUCCESS
        elif found < value:
            step *= _FAILURE
        if found >= value:  # drift along plateaus, without growing on them
            x, value = y, found
    return step


def _loss(climber: Climber, x: Vector) -> float:
    """Return the value to be minimised, finite because optimisers subtract."""
    value = -climber(np.asarray(x, dtype=np.float64))
    return min(max(value, -_WORST), _WORST) if not math.isnan(value) else _WORST


def _simplex(climber: Climber, x: Vector, step: float, rng: np.random.Generator) -> None:
    from scipy.optimize import minimize

    simplex = np.vstack([x, x + step * np.eye(x.size)])
    minimize(
        partial(_loss, climber),
        x,
        method="Nelder-Mead",
        options={"adaptive": True, "initial_simplex": simplex, "maxfev": climber.left, "xatol": 1e-11, "fatol": 1e-15},
    )


def _covariance(climber: Climber, x: Vector, step: float, rng: np.random.Generator) -> None:
    from cmaes import CMA, SepCMA

    method = CMA if x.size <= _FULL_COVARIANCE_UP_TO else SepCMA
    strategy = method(mean=x, sigma=step, seed=int(rng.integers(2**31)))
    while not strategy.should_stop():
        asked = [strategy.ask() for _ in range(strategy.population_size)]
        strategy.tell([(y, _loss(climber, y)) for y in asked])
