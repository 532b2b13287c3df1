"""The judge on trial: exact error rates of the decision rules, their power, and six broken checkers that must be noticed.

The failures of a part form a walk, so that the probability of every decision follows from dynamic programming over (trials, failures)
without any simulation.  Where completion order or betting enters, many runs are simulated instead, and the word "simulated" says so.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from proofs_check import evalues
from proofs_check.broken_checkers import BrokenChecker, broken_checkers
from proofs_check.model import Bound, Budget, Claim, Family, Instance, Mutant, Rule, Source, Subject
from proofs_check.seeds import ROOT
from proofs_check.walks import as_decided, walk

__all__ = ["BettingStream", "Calibration", "EngineAgreement", "ErrorRates", "PowerCurve", "calibrate"]

Float = NDArray[np.float64]
Size = Literal["quick", "full"]

_ALPHA_R, _ALPHA_A = 1e-6, 1e-3
_LEVELS: Mapping[Size, tuple[float, ...]] = {"quick": (0.5, 0.2, 0.1, 0.05), "full": (0.5, 0.2, 0.1, 0.05, 0.01)}
_RUNS: Mapping[Size, int] = {"quick": 200, "full": 600}
_PATHS: Mapping[Size, int] = {"quick": 400, "full": 10_000}
_ENGINE_RUNS: Mapping[Size, int] = {"quick": 60, "full": 2_000}
_COINS = (0.1, 0.15, 0.2)  # at the boundary of the claim, between, and at what must not be accepted
# The typical budget of a part before a decision must have come, in units of 1/delta: beyond, both errors hardly grow.
_HORIZON = 200


# ------------------------------------------------------------------------------------------------------------- exact probabilities


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Exact errors and stopping times of a tail claim at one level.

    ``false_refutation`` is P(refuted) at p = delta, ``false_acceptance`` P(verified) at p = p1, each with the other boundary taken away;
    medians are trials to VERIFIED at p = 0, delta/2 and delta, and to REFUTED at p1 and 2 p1.
    """

    delta: float
    p1: float
    horizon: int
    false_refutation: float
    false_acceptance: float
    to_verified: tuple[int | None, int | None, int | None]
    to_refuted: tuple[int | None, int | None]


def _error_rates(delta: float) -> ErrorRates:
    p1 = evalues.odds_margin(delta)
    horizon = round(_HORIZON / delta)
    table = evalues.boundary(delta, p1, horizon, step=1, alpha_R=_ALPHA_R, alpha_A=_ALPHA_A)
    far = min(2 * p1, 0.97)
    accepts = [walk(p, table).median("verified") for p in (0.0, delta / 2, delta)]
    refutes = [walk(p, table).median("refuted") for p in (p1, far)]
    return ErrorRates(
        delta,
        p1,
        horizon,
        float(walk(delta, table, accept=False).refuted[-1]),
        float(walk(p1, table, refute=False).verified[-1]),
        (accepts[0], accepts[1], accepts[2]),
        (refutes[0], refutes[1]),
    )


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """P(REFUTED), P(VERIFIED) and P(INCONCLUSIVE) of one part under the quick budget, by failure probability."""

    delta: float
    trials: int
    p: tuple[float, ...]
    refuted: tuple[float, ...]
    verified: tuple[float, ...]
    inconclusive: tuple[float, ...]


def _power(delta: float, trials: int = 1536, block: int = 64) -> PowerCurve:
    table = as_decided(evalues.boundary(delta, evalues.odds_margin(delta), trials, step=block, alpha_R=_ALPHA_R, alpha_A=_ALPHA_A), delta)
    grid = _grid(delta)
    walks = [walk(p, table) for p in grid]
    return PowerCurve(
        delta,
        trials,
        tuple(grid),
        tuple(float(w.refuted[-1]) for w in walks),
        tuple(float(w.verified[-1]) for w in walks),
        tuple(w.undecided for w in walks),
    )


def _grid(delta: float) -> list[float]:
    """Failure probabilities from a fifth of the odds of delta to ten times them."""
    return [evalues.odds_margin(delta, float(factor)) for factor in np.geomspace(0.2, 10.0, 21)]


# ------------------------------------------------------------------------------------------------------------- the real engine


@dataclass(frozen=True, slots=True)
class EngineAgreement:
    """Verdicts of many runs of the engine on a coin of known probability, against their exact probabilities.

    ``alpha_R`` is raised to .05 so that refutations of a claim at its boundary can be seen; the intervals are Clopper-Pearson with error
    1e-4.
    """

    p: float
    runs: int
    refuted: int
    verified: int
    exact_refuted: float
    exact_verified: float

    @property
    def agrees(self) -> bool:
        """Whether the intervals hold the exact probabilities."""
        pairs = ((self.refuted, self.exact_refuted), (self.verified, self.exact_verified))
        intervals = [(_clopper_pearson(count, self.runs, 1e-4), exact) for count, exact in pairs]
        return all(low <= exact <= high for (low, high), exact in intervals)


def _engine_agreement(p: float, runs: int, root: int, alpha: float = 0.05, delta: float = 0.1, trials: int = 512) -> EngineAgreement:
    from proofs_check.engine import check

    claim = _coin(p, delta, alpha, trials, block=64)
    verdicts = [check(claim, root=root + run, mutants="none").status for run in range(runs)]
    table = evalues.boundary(delta, evalues.odds_margin(delta), trials, step=64, alpha_R=alpha, alpha_A=_ALPHA_A)
    exact = walk(p, as_decided(table, delta))
    return EngineAgreement(
        p, runs, verdicts.count("REFUTED"), verdicts.count("VERIFIED"), float(exact.refuted[-1]), float(exact.verified[-1])
    )


def _clopper_pearson(k: int, n: int, alpha: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, alpha / 2))
    return low, 1.0 if k == n else float(betaincinv(k + 1, n - k, 1.0 - alpha / 2))


def _coin(p: float, delta: float, alpha: float, trials: int, block: int) -> Claim:
    """Build a claim about a coin: true exactly when p is at most delta."""
    budget = Budget(trials, block)
    return Claim(
        id="CAL-01",
        kind="tail",
        title="coin",
        plain="a coin of probability delta shows heads with probability at most delta",
        source=Source("folklore"),
        measure=_toss,
        families=(Family("coin", grid=({"p": p},)),),
        subjects=(Subject("coin", {"toss": _heads}),),
        rule=Rule("tail", alpha_R=alpha, levels=(delta,)),
        mutants=(Mutant("always", "impl", {"toss": lambda toss: lambda rng, p: True}, why="every toss shows heads"),),
        tiers={"quick": budget, "full": budget, "nightly": budget},
        bound=Bound(_half, ()),
    )


def _heads(rng: np.random.Generator, p: float) -> bool:
    return bool(rng.random() < p)


def _toss(inst: Instance, rng: np.random.Generator, impl: Any) -> float:
    return float(impl.toss(rng, inst.p))


def _half() -> float:
    return 0.5


# ------------------------------------------------------------------------------------------------------------------------ betting


@dataclass(frozen=True, slots=True)
class BettingStream:
    """Share of paths on which a true statement about a mean was refuted at least once."""

    name: str
    nominal: float
    error: float
    paths: int
    looks: int

    @property
    def within(self) -> bool:
        """Whether the simulated share is compatible with the nominal error (four standard errors)."""
        return self.error <= self.nominal + 4.0 * math.sqrt(self.nominal * (1.0 - self.nominal) / self.paths)


def _betting_streams(
    paths: int, rng: np.random.Generator, nominal: float = 0.05, looks: int = 16, block: int = 64
) -> tuple[BettingStream, ...]:
    """Means exactly at the bound: coins, a rare large value, a heavy tail."""
    shape = (paths, looks, block)
    streams: dict[str, tuple[Float, float]] = {
        "coins of mean .1": (np.where(rng.random(shape) < 0.1, 1.0, 0.0), 0.1),
        "0 or 10 of mean .1": (np.where(rng.random(shape) < 0.01, 10.0, 0.0), 0.1),
        "Pareto(2.5) from 0, mean 2/3": (np.asarray(rng.pareto(2.5, shape)), 2.0 / 3.0),
    }
    return tuple(
        BettingStream(name, nominal, float(np.mean([_crosses(path, mean, nominal) for path in x])), paths, looks)
        for name, (x, mean) in streams.items()
    )


def _crosses(path: Float, mean: float, alpha: float) -> bool:
    wealth = np.cumsum([evalues.betting_log_wealth(block, null=mean, extreme=0.0) for block in path], axis=0)
    evidence = np.logaddexp.reduce(wealth, axis=1) - math.log(len(evalues.BETS))  # grid_log_e of every look
    return bool(evidence.max() >= -math.log(alpha))


# -------------------------------------------------------------------------------------------------------------------- the section


@dataclass(frozen=True, slots=True)
class Calibration:
    """All calibration results of one size: what the report shows.

    Attributes
    ----------
    rates : tuple of ErrorRates
    power : tuple of PowerCurve
    broken : tuple of BrokenChecker
    betting : tuple of BettingStream
    engine : tuple of EngineAgreement
    problems : tuple of str
        What is not as it should be; empty when the judge is sound.
    seconds : float
    """

    size: Size
    rates: tuple[ErrorRates, ...]
    power: tuple[PowerCurve, ...]
    broken: tuple[BrokenChecker, ...]
    betting: tuple[BettingStream, ...]
    engine: tuple[EngineAgreement, ...]
    problems: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def calibrate(size: Size = "quick", *, root: int = ROOT) -> Calibration:
    """Put the decision rules on trial.

    Parameters
    ----------
    size : {"quick", "full"}, default="quick"
        Quick (a few seconds): levels down to .05, 200 simulated runs, 400 betting paths, 60 runs of the engine.  Full (minutes): level
        .01 too, 600 runs, 10,000 paths and 2,000 runs of the engine.
    root : int
        Seed of the simulated parts.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        Unknown size.
    """
    if size not in _LEVELS:
        raise ValueError(f"size={size!r}: choose 'quick' or 'full'")
    started = time.perf_counter()
    rng = np.random.Generator(np.random.PCG64DXSM(root))
    rates = tuple(_error_rates(delta) for delta in _LEVELS[size])
    power = tuple(_power(delta) for delta in _LEVELS[size])
    broken = broken_checkers(_RUNS[size], rng)
    betting = _betting_streams(_PATHS[size], rng)
    engine = tuple(_engine_agreement(p, _ENGINE_RUNS[size] // len(_COINS), root) for p in _COINS)
    result = Calibration(size, rates, power, broken, betting, engine, (), time.perf_counter() - started)
    return replace(result, problems=tuple(_problems(result)))


def _problems(c: Calibration) -> list[str]:
    found = [
        f"delta={r.delta:g}: false refutation {r.false_refutation:.2g} > {_ALPHA_R:g}" for r in c.rates if r.false_refutation > _ALPHA_R
    ]
    found += [
        f"delta={r.delta:g}: false acceptance {r.false_acceptance:.2g} > {_ALPHA_A:g}" for r in c.rates if r.false_acceptance > _ALPHA_A
    ]
    for curve in c.power:
        total = np.array([curve.refuted, curve.verified, curve.inconclusive]).sum(axis=0)
        if np.abs(total - 1.0).max() > 1e-9:  # sums of about 1e5 probabilities: 1e5 * 2**-53 is 1e-11
            found.append(f"delta={curve.delta:g}: the probabilities of the verdicts do not sum to one")
    found += [f"not caught: {b.name} ({b.error:.2g}, sound {b.sound_error:.2g}, nominal {b.nominal:g})" for b in c.broken if not b.caught]
    found += [f"betting on {s.name}: {s.error:.3g} > {s.nominal:g}" for s in c.betting if not s.within]
    found += [
        f"engine at p={e.p:g}: {e.refuted} refuted, {e.verified} verified of {e.runs}, against the exact law"
        for e in c.engine
        if not e.agrees
    ]
    return found
