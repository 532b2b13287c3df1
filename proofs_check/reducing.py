"""Shrink the violation of a refuted claim, with the claim's own machinery as the predicate.

Whatever the family offers is used: a search space (coordinates are deleted, searched again, rounded), or only a generator with integer
parameters (smaller ones are drawn afresh).  The shrunk problem is handed back as an ordinary unit of work with its record, so that it is
stored and replayed like any other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from proofs_check import rules
from proofs_check._objective import Objective
from proofs_check.evidence import BlockRecord
from proofs_check.measuring import Unit, run_unit
from proofs_check.model import DETERMINISTIC, STREAMS, Claim, Family
from proofs_check.pinning import PINNED, VECTOR, pinned
from proofs_check.search import EVALUATIONS, SEARCHABLE
from proofs_check.seeds import StreamKey, generator
from proofs_check.shrink import ShrinkStep, shrink

__all__ = ["Reduced", "reduce_violation"]

# A step must be refuted at this level on trials that nothing was chosen by, the final problem at the level of the claim.
_STEP_ALPHA = 1e-2
_DRAWS = 16  # fresh problems of each smaller size for deterministic claims
_SEARCHES = 10  # shrinking may cost as much as this many of the searches that the claim allows itself
_REOPTIMISE = {True: 1500, False: 200}  # deterministic or not: a random statistic costs many trials per evaluation


@dataclass(frozen=True, slots=True)
class Reduced:
    """A smaller violation (or the one that was given): the unit that shows it, its record, and the steps."""

    unit: Unit
    record: BlockRecord
    steps: tuple[ShrinkStep, ...]


def reduce_violation(unit: Unit, record: BlockRecord) -> Reduced:
    """Shrink the problem behind a record that holds a violation.

    Parameters
    ----------
    unit : Unit
        Measured the record, for its level alone.
    record : BlockRecord
        ``k_lo`` is positive.

    Returns
    -------
    Reduced
        The given unit and record where nothing smaller was found, or where the kind of claim has no violation of a single problem.
    """
    kept = Reduced(unit, record, ())
    if unit.claim.kind not in SEARCHABLE or unit.claim.kind == "witness" or unit.mutant is not None or record.k_lo == 0:
        return kept
    tester = _Tester(unit)
    base = next((f for f in unit.claim.families if f.name + PINNED == unit.family.name), None)
    try:
        if base is not None:
            return _searched(tester, base, unit.family.grid[unit.instance]) or kept
        return _generated(tester, unit.family) or kept
    except (Exception, SystemExit) as error:  # the claim's own code, on problems that its author never listed: the violation stands
        failed = ShrinkStep("smaller problem", "", f"{type(error).__name__}: {error}", math.nan, 0, False)
        return replace(kept, steps=(failed,))


class _Tester:
    """Fresh trials, each block used once."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.block = 0
        self.deterministic = unit.claim.kind in DETERMINISTIC

    def on(self, family: Family, alpha: float = _STEP_ALPHA) -> tuple[Unit, BlockRecord] | None:
        """Test the only problem of a family; returns a block with a violation if the claim is refuted on it."""
        claim = _alone(self.unit.claim, family, alpha)
        budget = claim.tiers[self.unit.tier]
        size = _DRAWS if self.deterministic else budget.block
        rounds = 1 if self.deterministic else max(budget.trials // budget.block, 1)
        part = next(p for p in claim.parts() if p.subject == self.unit.subject.name and p.level == self.unit.levels[0])
        state = rules.new_state(claim, self.unit.tier, (replace(part, weight=1.0),))
        last: tuple[Unit, BlockRecord] | None = None
        for _ in range(rounds):
            unit = replace(
                self.unit,
                claim=claim,
                family=family,
                instance=0,
                stream=STREAMS["shrink"],
                block=self.block,
                trials=size,
                fingerprint=f"{self.unit.fingerprint}/shrink/{self.block}",
            )
            self.block += 1
            record = run_unit(unit)[0]
            if record.error is not None:
                return None
            rules.update(state, replace(record, instance=0))
            last = (unit, record) if record.k_lo > 0 or last is None else last
            answer = rules.decision(state)
            if answer is not None:
                return last if answer == "REFUTED" else None
        return None


def _alone(claim: Claim, family: Family, alpha: float) -> Claim:
    """Return the claim about one family; only its refutation is of interest."""
    subjects = tuple(subject for subject in claim.subjects if subject.expected == "pass")
    mutants = tuple(replace(mutant, part=None) for mutant in claim.mutants)
    return replace(claim, families=(family,), subjects=subjects, mutants=mutants, tight=None, rule=replace(claim.rule, alpha_R=alpha))


def _final(tester: _Tester, family: Family, steps: tuple[ShrinkStep, ...]) -> Reduced | None:
    """Judge the end once more, at the claim's own level; None if it does not stand."""
    found = tester.on(family, tester.unit.claim.rule.alpha_R)
    if found is None:
        return None
    unit, record = found
    others = tuple(f for f in tester.unit.claim.families if f.name != family.name)
    return Reduced(replace(unit, claim=replace(tester.unit.claim, families=(*others, family), mutants=unit.claim.mutants)), record, steps)


def _searched(tester: _Tester, base: Family, point: Mapping[str, Any]) -> Reduced | None:
    unit, space = tester.unit, base.search
    assert space is not None
    index = 0
    objective = Objective(unit.claim, unit.subject, base, tier=unit.tier, root=unit.root)
    params = {key: value for key, value in point.items() if key != VECTOR}

    def family(p: Mapping[str, Any], x: Any) -> Family:
        return pinned(base, ({**p, VECTOR: np.array(x)},))

    def violates(p: Mapping[str, Any], x: Any) -> bool:
        if objective(p, x, index) == -math.inf:
            return False
        return objective.violates(p, x, index) if tester.deterministic else tester.on(family(p, x)) is not None

    if not violates(params, point[VECTOR]):
        return None
    shrunk = shrink(
        lambda p, x: objective(p, x, index),
        violates,
        space.dimension,
        params,
        point[VECTOR],
        generator(StreamKey(unit.claim.id, base.name, index, STREAMS["shrink"], 0, None, unit.subject.name), unit.root),
        shapes=space.shapes,
        reoptimise=_REOPTIMISE[tester.deterministic],
        evaluations=max(_SEARCHES * (unit.claim.tiers[unit.tier].search_evals or EVALUATIONS["quick"]) // objective.cost, 1),
    )
    return _final(tester, family(shrunk.params, shrunk.vector), shrunk.steps) if shrunk.improved else None


def _generated(tester: _Tester, family: Family) -> Reduced | None:
    """Lower the integers of the grid point, each to the smallest value at which fresh problems still violate the claim."""
    point = dict(family.grid[tester.unit.instance])
    steps: list[ShrinkStep] = []
    if family.dataset is not None or family.role == "real":
        return None
    for name in [name for name, value in point.items() if isinstance(value, int | np.integer) and not isinstance(value, bool)]:
        for value in _ladder(int(point[name])):
            lower = {**point, name: value}
            found = tester.on(replace(family, grid=(lower,)))
            slack = found[1].slack_max if found is not None and found[1].slack_max is not None else math.nan
            steps.append(ShrinkStep("smaller problem", f"{name}={point[name]}", f"{name}={value}", slack, 0, found is not None))
            if found is not None:
                point = lower
                break
    if not any(step.kept for step in steps):
        return None
    return _final(tester, replace(family, grid=(point,)), tuple(steps))


def _ladder(value: int) -> list[int]:
    """List what to try instead of an integer: 1, 2, 3, then half as much again each time.

    Examples
    --------
    >>> _ladder(20)
    [1, 2, 3, 5, 8, 12, 18]
    """
    rungs: list[int] = []
    rung = 1
    while rung < value:
        rungs.append(rung)
        rung = max(rung + 1, math.ceil(1.5 * rung))
    return rungs
