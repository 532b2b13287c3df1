"""What an adversary climbs: the slack of a claim as a function of a vector, under common random numbers."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from proofs_check import comparing
from proofs_check.measuring import Trial, Trials, Unit, compare_trial
from proofs_check.model import DETERMINISTIC, STREAMS, Claim, Family, Instance, InstanceKey, Mutant, SearchSpace, Subject, Tier
from proofs_check.seeds import ROOT, StreamKey, generator

__all__ = ["Objective", "vector_key"]

# Beyond this an instance would overflow in any computation; the adversary is not to win that way.
_LARGEST = 1e100
# Common random numbers behind one value of a random statistic: enough to rank instances; the verdict comes from elsewhere.
_REPEATS = 32


class Objective:
    """Slack of a claim as a function of (grid point, vector); every evaluation sees the same random numbers.

    Parameters
    ----------
    claim, subject, family : Claim, Subject, Family
        What is attacked; the family declares the space.
    mutant : Mutant, optional
        Mistake to inject.
    tier, root
        As in :func:`search_worst`.
    """

    def __init__(
        self, claim: Claim, subject: Subject, family: Family, *, mutant: Mutant | None = None, tier: Tier = "quick", root: int = ROOT
    ) -> None:
        if family.search is None:
            raise ValueError(f"{claim.id}: family {family.name!r} has no search space; give Family(search=SearchSpace(...))")
        self.claim, self.subject, self.family = claim, subject, family
        self.space: SearchSpace = family.search
        self.levels: tuple[float | None, ...] = claim.rule.levels or (None,)
        self.repeats = 1 if claim.kind in DETERMINISTIC else _REPEATS
        self.cost = self.repeats * (len(self.levels) if claim.rule.delta_in_algorithm else 1)
        self.evaluations = 0
        self.inadmissible = 0
        self.error = ""
        self._mistaken = mutant is not None
        self._root = root
        self._bits = np.random.PCG64DXSM(0)
        self._rng = np.random.Generator(self._bits)
        self._states: dict[int, Any] = {}
        unit = Unit(
            claim,
            mutant,
            "" if mutant is None else mutant.id,
            subject,
            family,
            0,
            self.levels,
            STREAMS["search"],
            0,
            self.repeats,
            tier,
            root,
            "search",
            claim.tiers[tier].seconds,
        )
        self._source = Trials(unit)

    def generator(self, index: int) -> np.random.Generator:
        """Return the generator that moves the adversary on a grid point; it is not the one that the trials see."""
        return generator(StreamKey(self.claim.id, self.family.name, index, STREAMS["search"], 1, None, self.subject.name), self._root)

    def instance(self, params: Mapping[str, Any], vector: Any, index: int, level: float | None = None) -> Instance:
        """Decode a vector.

        Raises
        ------
        ValueError
            Whatever ``decode`` refuses.
        """
        instance = self.space.decode(np.array(vector, dtype=np.float64), params)
        if self.claim.rule.delta_in_algorithm:
            instance = replace(instance, params={**instance.params, "delta": level})
        return replace(instance, key=InstanceKey(self.family.name, index))

    def __call__(self, params: Mapping[str, Any], vector: Any, index: int) -> float:
        """Return the slack, the largest over the levels; ``-inf`` for a vector that is no admissible instance."""
        return max(self.slacks(params, vector, index))

    def worst_level(self, params: Mapping[str, Any], vector: Any, index: int) -> float | None:
        """Return the level at which the slack is largest."""
        if len(self.levels) == 1:
            return self.levels[0]
        slacks = self.slacks(params, vector, index)
        return self.levels[slacks.index(max(slacks))]

    def slacks(self, params: Mapping[str, Any], vector: Any, index: int) -> list[float]:
        """Return the slack at every level."""
        refused = [-math.inf] * len(self.levels)
        self.evaluations += self.cost
        try:
            if not np.all(np.abs(vector) <= _LARGEST):
                raise OverflowError("the adversary went too far")
            with np.errstate(all="ignore"):
                first = self.instance(params, vector, index, self.levels[0])
        except (ValueError, ArithmeticError):  # also LinAlgError; anything else is a bug of decode and is raised
            self.inadmissible += 1
            return refused
        try:
            return self._measured(params, vector, index, first)
        except _MissedError:
            self.inadmissible += 1
        except Exception as error:
            if self._mistaken:  # a planted mistake may fall over on some of the adversary's instances; its trials decide
                self.inadmissible += 1
                return refused
            self.error = self.error or f"{type(error).__name__}: {error} (on {dict(params)!r}, vector {vector_key(vector)})"
        return refused

    def violates(self, params: Mapping[str, Any], vector: Any, index: int) -> bool:
        """Tell whether a deterministic claim is violated, also after the recheck in other precisions (False for random claims)."""
        if self.claim.kind not in DETERMINISTIC or self.claim.kind == "witness":
            return False
        try:
            trials = self._trials(self.instance(params, vector, index, self.levels[0]), index)
            return any(compare_trial(self._source, level, trial).verdict == "refuted" for level in self.levels for trial in trials)
        except (ValueError, ArithmeticError, _MissedError):
            return False

    def _measured(self, params: Mapping[str, Any], vector: Any, index: int, first: Instance) -> list[float]:
        if not self.claim.rule.delta_in_algorithm:
            trials = self._trials(first, index)
            return [self._statistic(trials, level) for level in self.levels]
        instances = [first, *(self.instance(params, vector, index, level) for level in self.levels[1:])]
        return [self._statistic(self._trials(instance, index), level) for instance, level in zip(instances, self.levels, strict=True)]

    def _trials(self, instance: Instance, index: int) -> list[Trial]:
        """Run the common trials on an instance."""
        self._bits.state = self._state(index)
        trials = [self._source.measure(instance, self._rng) for _ in range(self.repeats)]
        requires = self.claim.requires
        if requires is not None and not all(requires(trial.instance, trial.outcome) for trial in trials):
            raise _MissedError
        return trials

    def _state(self, index: int) -> Any:
        if index not in self._states:
            key = StreamKey(self.claim.id, self.family.name, index, STREAMS["search"], 0, None, self.subject.name)
            self._states[index] = generator(key, self._root).bit_generator.state
        return self._states[index]

    def _statistic(self, trials: Sequence[Trial], level: float | None) -> float:
        claim = self.claim
        if claim.kind in DETERMINISTIC:
            # Without the ladder: it decides about a violation, not about the way there.
            return max(self._climbed(level, replace(trial, repeat=None)) for trial in trials)
        bound = self._source.bound(trials[0].instance, level)
        sense = claim.sense
        if claim.kind == "expectation":
            return _ratio(float(np.mean([float(trial.outcome.value) for trial in trials])), bound, sense)
        ordered = sorted(self._single(trial, bound, sense) for trial in trials)
        return ordered[min(math.ceil((1.0 - float(level or 0.0)) * len(ordered)), len(ordered)) - 1]

    def _climbed(self, level: float | None, trial: Trial) -> float:
        if self.claim.kind != "witness":
            return compare_trial(self._source, level, trial).slack
        bound = self._source.bound(trial.instance, level)
        if bound is None:
            return float(bool(trial.outcome.value))
        return 1.0 / max(_ratio(trial.outcome.value, bound, self.claim.sense), 1e-300)

    def _single(self, trial: Trial, bound: Any, sense: str) -> float:
        if self.claim.kind == "soundness":
            if not trial.outcome.accepted:
                return 0.0
            bound = comparing.high(trial.outcome.claimed if trial.outcome.claimed is not None else bound)
        return _ratio(trial.outcome.value, bound, sense)


class _MissedError(Exception):
    """The premise of the claim does not hold on an instance."""


def _ratio(value: Any, bound: Any, sense: str) -> float:
    pair = (comparing.low(value), comparing.high(bound)) if sense != ">=" else (comparing.low(bound), comparing.high(value))
    ratios = comparing.ratios(*pair)
    if np.isnan(ratios).any():
        raise ValueError(f"measured {value!r} against {bound!r}: not a number; return a number in every trial")
    return float(ratios.max())


def vector_key(vector: Any) -> str:
    """Name a vector by a digest of its exact bits.

    Examples
    --------
    >>> vector_key([1.0, 2.0]) == vector_key((1.0, 2.0 + 1e-16)), vector_key([1.0]) == vector_key([1.0 + 1e-15])
    (True, False)
    """
    return hashlib.sha256(np.ascontiguousarray(vector, dtype="<f8").tobytes()).hexdigest()[:12]
