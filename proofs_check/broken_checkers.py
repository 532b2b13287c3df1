"""Six mistakes that a checker could make, and by how much each exceeds the error that it promises.

Each is paired with the sound rule in the same situation, so that a mistake is told from a hard case.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proofs_check import evalues
from proofs_check.walks import walk

__all__ = ["BrokenChecker", "broken_checkers"]

# Sound rules in these comparisons use the thresholds of the harness on the side that is not being spoiled.
_ALPHA_R, _ALPHA_A = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class BrokenChecker:
    """A mistake that a checker could make, its error, and the error of the checker without the mistake in the same situation."""

    name: str
    mistake: str
    nominal: float
    error: float
    sound_error: float
    how: Literal["exact", "simulated"]

    @property
    def caught(self) -> bool:
        """Whether calibration tells it from a sound checker."""
        return self.error > self.nominal >= self.sound_error


def broken_checkers(runs: int, rng: np.random.Generator) -> tuple[BrokenChecker, ...]:
    """Measure all six.

    Parameters
    ----------
    runs : int
        Simulated runs of the one that has no closed form.
    rng : numpy.random.Generator
        Randomness of these.

    Returns
    -------
    tuple of BrokenChecker
    """
    return (
        _by_completion(runs, rng),
        _on_search_trials(),
        _null_too_small(),
        _margin_too_wide(),
        _voids_dropped(),
        _peeked_interval(),
    )


def _by_completion(runs: int, rng: np.random.Generator, workers: int = 16, trials: int = 4000) -> BrokenChecker:
    """Count trials as they finish; failing ones take fifty times as long, so that the early ones are nearly all good."""
    alpha, delta, p = 1e-2, 0.1, 0.2
    table = evalues.boundary(delta, p, trials, step=1, alpha_R=_ALPHA_R, alpha_A=alpha)
    wrong = 0
    for _ in range(runs):
        failed = rng.random((workers, trials // workers)) < p
        finished = np.cumsum(np.where(failed, 50.0, 1.0), axis=1)
        by_time = failed.ravel()[np.argsort(finished, axis=None, kind="stable")]
        wrong += _accepted(by_time, table)
    return BrokenChecker(
        "counts by completion",
        "reads trials in the order in which they finish, not in the order of their numbers",
        alpha,
        wrong / runs,
        float(walk(p, table).verified[-1]),
        "simulated",
    )


def _accepted(failed: NDArray[np.bool_], table: evalues.Boundary) -> bool:
    """Tell whether a sequence of trials meets the accepting boundary before the refuting one."""
    k = np.cumsum(failed)
    accept, refute = k <= table.k_accept, k >= table.k_refute
    first = int(np.argmax(accept)) if accept.any() else len(k)
    return bool(accept.any() and not refute[:first].any())


def _on_search_trials(instances: int = 200, trials: int = 100, alpha: float = 1e-2, delta: float = 0.1) -> BrokenChecker:
    """Pick the worst of 200 instances that all obey the claim, and judge it on the trials by which it was picked."""
    from scipy.special import bdtrc

    counts = np.arange(trials + 1)
    tail = bdtrc(counts - 1.0, trials, delta)  # P(at least k failures)
    tail[0] = 1.0
    once = float(tail[tail <= alpha].max())
    return BrokenChecker(
        "judges on search trials",
        f"tests the worst of {instances} instances on the trials that selected it",
        alpha,
        -math.expm1(instances * math.log1p(-once)),
        once,
        "exact",
    )


def _null_too_small(horizon: int = 2000, alpha: float = 1e-3) -> BrokenChecker:
    broken = evalues.boundary(0.08, 0.2, horizon, step=1, alpha_R=alpha, alpha_A=_ALPHA_A)
    sound = evalues.boundary(0.1, 0.2, horizon, step=1, alpha_R=alpha, alpha_A=_ALPHA_A)
    errors = [float(walk(0.1, table, accept=False).refuted[-1]) for table in (broken, sound)]
    return BrokenChecker("null too small", "builds R for .08 where the claim allows .1", alpha, errors[0], errors[1], "exact")


def _margin_too_wide(horizon: int = 2000, alpha: float = 1e-3) -> BrokenChecker:
    broken = evalues.boundary(0.1, 0.25, horizon, step=1, alpha_R=_ALPHA_R, alpha_A=alpha)
    sound = evalues.boundary(0.1, 0.2, horizon, step=1, alpha_R=_ALPHA_R, alpha_A=alpha)
    errors = [float(walk(0.2, table, refute=False).verified[-1]) for table in (broken, sound)]
    return BrokenChecker("margin too wide", "builds A for .25 where .2 must not be accepted", alpha, errors[0], errors[1], "exact")


def _voids_dropped(horizon: int = 2000, alpha: float = 1e-3) -> BrokenChecker:
    """Half of the failing trials miss a premise: dropped, the rest fails with probability .1/.9; counted against acceptance, with .2."""
    table = evalues.boundary(0.1, 0.2, horizon, step=1, alpha_R=_ALPHA_R, alpha_A=alpha)
    errors = [float(walk(p, table).verified[-1]) for p in (0.1 / 0.9, 0.2)]
    return BrokenChecker("drops void trials", "leaves out trials whose premise failed", alpha, errors[0], errors[1], "exact")


def _peeked_interval(horizon: int = 2000, alpha: float = 1e-2, delta: float = 0.1) -> BrokenChecker:
    """Read an exact test for a fixed number of trials after every trial."""
    from scipy.special import bdtrc

    looks = np.arange(1, horizon + 1, dtype=np.int64)
    critical = np.empty(horizon, dtype=np.int64)
    k = 1  # the smallest count whose tail is below alpha never falls as n grows
    for n in range(1, horizon + 1):
        while k <= n and float(bdtrc(k - 1, n, delta)) > alpha:
            k += 1
        critical[n - 1] = k
    peeked = evalues.Boundary(looks, critical, np.full(horizon, -1, dtype=np.int64))
    sound = evalues.boundary(delta, evalues.odds_margin(delta), horizon, step=1, alpha_R=alpha, alpha_A=_ALPHA_A)
    errors = [float(walk(delta, table, accept=False).refuted[-1]) for table in (peeked, sound)]
    return BrokenChecker(
        "peeks at an interval", "reads a fixed-n Clopper-Pearson test after every trial", alpha, errors[0], errors[1], "exact"
    )
