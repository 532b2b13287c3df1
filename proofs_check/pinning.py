"""Found instances join the claim: searches as units of work, and their results as families that the ordinary rules judge.

A search record holds, for one (subject, family, grid point), the evaluations in ``n``, the inadmissible ones in ``void``, the worst vector
in ``values`` and its slack in ``slack_max``.  It feeds no e-process.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofs_check._objective import Objective
from proofs_check.evidence import BlockRecord, Evidence
from proofs_check.measuring import Unit
from proofs_check.model import Claim, Family, Instance, SearchSpace, Tier
from proofs_check.search import EVALUATIONS, Found, search_families, search_size, sizes_of

__all__ = ["PINNED", "VECTOR", "Pinned", "annotated", "armed", "armed_by", "pinned", "plan", "search_unit", "searched"]

PINNED = ".worst"  # what the name of a family of found instances ends in
VECTOR = "search_vector"  # where a grid point of such a family keeps its vector


@dataclass(frozen=True, slots=True)
class Pinned:
    """Builder of a family that consists of found instances (a class, so that it can be sent to a worker process)."""

    space: SearchSpace

    def __call__(self, rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
        """Decode the vector that the grid point carries; draws nothing."""
        params = {key: value for key, value in point.items() if key != VECTOR}
        vector: NDArray[np.float64] = np.array(point[VECTOR], dtype=np.float64)
        return self.space.decode(vector, params)


def armed(claim: Claim, found: Mapping[str, Sequence[Found]]) -> Claim:
    """Return the claim with the found instances as further families, so that the ordinary rules judge them on fresh trials.

    The new families are called ``<family>.worst``, have the weight of the family they come from, and are part of the claim for its
    mutants too.

    Parameters
    ----------
    claim : Claim
        The claim that was searched.
    found : mapping
        Family name -> instances, for example ``{result.family: result.found[:1]}``.

    Returns
    -------
    Claim
        The same claim when nothing was found.
    """
    extra: list[Family] = []
    for family in claim.families:
        distinct = {f.vector: f for f in found.get(family.name, ())}
        if family.search is None or not distinct:
            continue
        grid = tuple({**f.params, VECTOR: np.array(f.vector)} for f in sorted(distinct.values(), key=lambda f: -f.slack))
        extra.append(pinned(family, grid))
    return replace(claim, families=(*claim.families, *extra)) if extra else claim


def pinned(family: Family, grid: Sequence[Mapping[str, Any]]) -> Family:
    """Return the family that consists of found instances; each grid point carries its vector."""
    assert family.search is not None
    return Family(family.name + PINNED, Pinned(family.search), tuple(grid), role="adversarial", weight=family.weight, draw="part")


# ------------------------------------------------------------------------------------------------------------- as a unit of work


def plan(claim: Claim, tier: Tier, families: Container[str]) -> tuple[tuple[Family, int, int], ...]:
    """List what a run searches before it tries a claim: (family, grid point, evaluations), smallest first.

    The quick tier searches the smallest size of each family, larger tiers all sizes with equal shares.

    Parameters
    ----------
    claim : Claim
        Nothing is listed when its kind has no slack to climb.
    tier : str
        Tier of the run.
    families : container of str
        Names of the families that will be tried.

    Returns
    -------
    tuple of (Family, int, int)
    """
    budget = claim.tiers[tier].search_evals or EVALUATIONS[tier]
    listed: list[tuple[Family, int, int]] = []
    for family in search_families(claim):
        if family.name in families:
            order = sizes_of(family, 1 if tier == "quick" else None)
            listed += [(family, index, max(budget // len(order), 1)) for index in order]
    return tuple(listed)


def search_unit(unit: Unit) -> BlockRecord:
    """Search one grid point as a unit of work; the record holds the worst vector in ``values`` and its slack in ``slack_max``."""
    objective = Objective(unit.claim, unit.subject, unit.family, mutant=unit.mutant, tier=unit.tier, root=unit.root)
    _, here = search_size(objective, unit.instance, unit.trials, ())
    record = replace(unit.blank(None), n=unit.trials, void=objective.inadmissible)
    if objective.error:
        return replace(record, error=f"search of {unit.family.name}[{unit.instance}]: {objective.error}")
    return replace(record, slack_max=here[0].slack, values=here[0].vector) if here else record


def armed_by(claim: Claim, records: Iterable[BlockRecord]) -> Claim:
    """Arm a claim with what the search units found: per family and subject the smallest violation, or else the worst instance."""
    best: dict[tuple[str, str], Found] = {}
    for record in records:  # smallest sizes first
        if record.slack_max is None:
            continue
        point = next(f for f in claim.families if f.name == record.family).grid[record.instance]
        here = Found(record.slack_max, record.instance, point, record.values)
        known = best.get((record.family, record.subject))
        if known is None or (known.slack <= 1.0 and here.slack > known.slack):
            best[record.family, record.subject] = here
    found: dict[str, list[Found]] = {}
    for (family, _), instance in best.items():
        found.setdefault(family, []).append(instance)
    return armed(claim, found)


def annotated(evidence: Evidence, records: Sequence[BlockRecord]) -> Evidence:
    """Write into the evidence about a pinned part what the search spent and saw."""
    if not evidence.part.family.endswith(PINNED):
        return evidence
    mine = [record for record in records if record.family + PINNED == evidence.part.family]
    slacks = [record.slack_max for record in mine if record.slack_max is not None]
    seen = {
        "evaluations": sum(record.n for record in mine),
        "inadmissible": sum(record.void for record in mine),
        "slack": max(slacks, default=-math.inf),
        "sizes": len({record.instance for record in mine}),
    }
    slack = None if evidence.slack is None else replace(evidence.slack, searched=True)
    return replace(evidence, search=seen, slack=slack)


def searched(records: Sequence[BlockRecord]) -> str:
    """Say in one clause what a claim's searches spent and saw (empty without a search).

    Examples
    --------
    >>> searched([BlockRecord("", "XX-01", "", "default", "pairs", 0, None, 0, 0, n=2000, slack_max=0.98)])
    '; searched: 2,000 evaluations, best slack 0.98'
    """
    if not records:
        return ""
    best = max((record.slack_max for record in records if record.slack_max is not None), default=-math.inf)
    seen = f"best slack {best:.9g}" if best > -math.inf else "no admissible instance"
    return f"; searched: {sum(record.n for record in records):,} evaluations, {seen}"
