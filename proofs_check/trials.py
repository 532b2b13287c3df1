"""Units of work and their trials: which instance, which bound, which implementation, which random numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from proofs_check.instances import build, draws_per_trial, shared_instance
from proofs_check.model import BlockRecord, Claim, Family, Instance, Interval, Mutant, Outcome, Subject, Tier, as_outcome
from proofs_check.mutants import Injection, inject
from proofs_check.seeds import StreamKey, generator

Level = float | None


@dataclass(frozen=True, slots=True)
class Unit:
    """What one worker does at a time: a block of one part, or of several parts that differ in their level and share the trials."""

    claim: Claim
    mutant: Mutant | None
    mutant_name: str
    subject: Subject
    family: Family
    instance: int
    levels: tuple[Level, ...]
    stream: int
    block: int
    trials: int
    tier: Tier
    root: int
    fingerprint: str
    seconds: float

    def blank(self, level: Level, **measured: Any) -> BlockRecord:
        """Return the record of a level, empty but for what is given."""
        return BlockRecord(
            self.fingerprint,
            self.claim.id,
            self.mutant_name,
            self.subject.name,
            self.family.name,
            self.instance,
            level,
            self.stream,
            self.block,
            **measured,
        )

    @property
    def blanks(self) -> tuple[BlockRecord, ...]:
        """Records that the unit produces, before anything is measured."""
        return tuple(self.blank(level) for level in self.levels)

    @property
    def keys(self) -> tuple[tuple[Any, ...], ...]:
        """Keys of the records that the unit produces."""
        return tuple(blank.key for blank in self.blanks)

    def random_stream(self) -> np.random.Generator:
        """Return the generator of the block; mutants share it with the original."""
        level = self.levels[0] if self.claim.rule.delta_in_algorithm else None
        return generator(
            StreamKey(self.claim.id, self.family.name, self.instance, self.stream, self.block, level, self.subject.name), self.root
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One finished trial: the instance that the bound was evaluated on, the outcome, and how to repeat it in another precision."""

    instance: Instance
    outcome: Outcome
    repeat: Callable[[str], float] | None = None


class Trials:
    """The trials of a unit, one by one."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.claim = unit.claim
        self.injected: Injection = inject(unit.claim, unit.subject, unit.mutant)
        self.fresh = draws_per_trial(unit.claim, unit.family)
        self._shared: Instance | None = None

    @property
    def plain(self) -> bool:
        """Whether a trial is nothing but a call of the measurement on the part's only instance."""
        counted = self.claim.kind == "tail" and not self.fresh
        return counted and self.claim.requires is None and self.claim.ladder is None and self.injected.world is None

    @property
    def shared(self) -> Instance:
        """The instance that all trials share; there is one as soon as a trial ran."""
        assert self._shared is not None
        return self._shared

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return the instance of the next trial, drawn from ``rng`` or shared."""
        unit = self.unit
        if self.fresh:
            return self._with_level(build(unit.claim, unit.family, unit.instance, rng))
        if self._shared is None:
            self._shared = self._with_level(shared_instance(unit.claim, unit.family, unit.instance, unit.root, unit.fingerprint))
        return self._shared

    def _with_level(self, instance: Instance) -> Instance:
        if not self.claim.rule.delta_in_algorithm:
            return instance
        return replace(instance, params={**instance.params, "delta": self.unit.levels[0]})

    def measure(self, instance: Instance, rng: np.random.Generator) -> Trial:
        """Run one trial."""
        seen = instance if self.injected.world is None else self.injected.world(instance)
        repeat = None
        if self.claim.ladder is not None:
            repeat = self._repeat(seen, rng.bit_generator.state)
        return Trial(instance, as_outcome(self.claim.measure(seen, rng, self.injected.impl)), repeat)

    def _repeat(self, instance: Instance, state: Any) -> Callable[[str], float]:
        ladder, impl = self.claim.ladder, self.injected.impl
        assert ladder is not None

        def repeat(level: str) -> float:
            bits = np.random.PCG64DXSM()
            bits.state = state
            return float(ladder(instance, np.random.Generator(bits), impl, level))

        return repeat

    def bound(self, instance: Instance, level: Level) -> Any:
        """Evaluate the bound on an instance and a level."""
        if self.injected.bound is None:
            return None
        value = self.injected.bound.value(instance.params, level)
        if isinstance(value, float) and value == value:  # the usual case: a number
            return value
        if not isinstance(value, Interval) and np.any(np.isnan(np.asarray(value, dtype=np.float64))):
            raise ValueError(f"the bound is not a number on {dict(instance.params)!r}; define it there or leave the point out")
        return value

    def exact_bound(self, instance: Instance, level: Level) -> Any:
        """Evaluate the exact twin of the bound (rationals, or many digits); None where there is none, or where the bound is a mutant."""
        bound = self.injected.bound
        return None if bound is None or bound.exact is None else replace(bound, fn=bound.exact).value(instance.params, level)


def first_blocks(total: int, block: int) -> list[tuple[int, int]]:
    """List (block number, trials) of a budget of ``total`` trials in blocks of ``block``."""
    edges = [*range(0, total, block), total]
    return [(number, stop - start) for number, (start, stop) in enumerate(pairwise(edges))]
