"""The adversary: look for the worst instance a claim can be confronted with, smallest problems first.

A family that declares a :class:`~proofs_check.model.SearchSpace` is searched before the claim is tried.  All evaluations of a search share
their random numbers (stream 0); the instances it finds are then *pinned*: they join the claim as a family of their own, and whatever is
concluded about them comes from fresh trials (stream 1), under the error probabilities of the claim.  A search alone proves nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proofs_check._objective import Objective
from proofs_check._optimizers import ascend
from proofs_check.model import (
    DETERMINISTIC,
    Claim,
    Family,
    Mutant,
    Subject,
    Tier,
)
from proofs_check.seeds import ROOT, global_state_kept, poison_global_state

__all__ = [
    "EVALUATIONS",
    "SEARCHABLE",
    "Found",
    "Objective",
    "SearchResult",
    "SizeReport",
    "search_families",
    "search_size",
    "search_worst",
    "sizes_of",
]

#: Kinds whose trials have a slack to climb.
SEARCHABLE: frozenset[str] = DETERMINISTIC | {"tail", "soundness", "expectation"}

#: Trials spent by a search when the claim's budget names no number of its own.
EVALUATIONS: Mapping[Tier, int] = {"quick": 2_000, "full": 100_000, "nightly": 5_000_000}

_CORPUS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """One bad instance: the grid point it belongs to, the vector that decodes to it, and the slack it showed during the search."""

    slack: float
    index: int
    params: Mapping[str, Any]
    vector: tuple[float, ...]
    level: float | None = None


@dataclass(frozen=True, slots=True)
class SizeReport:
    """What the search spent on one grid point, and the largest slack there."""

    index: int
    label: str
    dimension: int
    evaluations: int
    slack: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Outcome of a search.

    Attributes
    ----------
    claim, subject, family, mutant : str
        What was searched.
    evaluations : int
        Trials that were run, all of them in stream 0.
    inadmissible : int
        Evaluations that gave no instance: ``decode`` refused, or the premise was missed.
    found : tuple of Found
        At most five instances, worst first: the corpus.
    sizes : tuple of SizeReport
        Grid points in the order in which they were searched.
    violated : bool
        The worst instance violates a deterministic claim, also after the recheck.  Never true of random claims: those are judged on
        fresh trials.
    error : str
        First exception of the claim's own code, with the vector that caused it.
    """

    claim: str
    subject: str
    family: str
    mutant: str
    evaluations: int
    inadmissible: int
    found: tuple[Found, ...]
    sizes: tuple[SizeReport, ...]
    violated: bool = False
    error: str = ""

    @property
    def slack(self) -> float:
        """Largest slack seen (``-inf`` when no instance was admissible)."""
        return self.found[0].slack if self.found else -math.inf

    def describe(self) -> str:
        """One line for a reader.

        Examples
        --------
        >>> SearchResult("XX-01", "default", "pairs", "", 2000, 0, (), ()).describe()
        '2,000 evaluations, no admissible instance'
        """
        if not self.found:
            return f"{self.evaluations:,} evaluations, no admissible instance"
        return f"{self.evaluations:,} evaluations, best slack {self.slack:.9g} at {self._where()}"

    def _where(self) -> str:
        return next(size.label for size in self.sizes if size.index == self.found[0].index)

    def to_dict(self) -> dict[str, Any]:
        """Return what :class:`~proofs_check.model.Evidence` keeps about a search."""
        return {
            "evaluations": self.evaluations,
            "inadmissible": self.inadmissible,
            "slack": self.slack,
            "sizes": [{"label": s.label, "dimension": s.dimension, "evaluations": s.evaluations, "slack": s.slack} for s in self.sizes],
            "error": self.error,
        }


def search_worst(
    claim: Claim,
    *,
    subject: str | None = None,
    family: str | None = None,
    mutant: Mutant | None = None,
    tier: Tier = "quick",
    evaluations: int | None = None,
    sizes: int | None = None,
    starts: Sequence[Found] = (),
    root: int = ROOT,
) -> SearchResult:
    """Search one family of a claim for its worst instance.

    Grid points are searched in the order of their dimension, and the first one with a confirmed violation ends the search.  Within a
    point: rounds of evolution runs and a polish, see :func:`proofs_check._optimizers.ascend`.  A random claim is climbed on the
    statistic that its bound promises to cover (the (1 - delta)-quantile of measured/bound, the mean), over 32 common random trials.

    Parameters
    ----------
    claim : Claim
        A claim with a family that declares a search space.
    subject : str, optional
        Implementation to be attacked, default the first.
    family : str, optional
        Family to be searched, default the first that can be.
    mutant : Mutant, optional
        Attack the claim with this mistake injected.
    tier : {"quick", "full", "nightly"}, default="quick"
        Gives the number of evaluations; the quick tier searches the smallest size only.
    evaluations : int, optional
        Overrides the tier's number.
    sizes : int, optional
        How many grid points are searched; default 1 in the quick tier, else all.
    starts : sequence of Found
        Corpus of earlier searches, tried first.
    root : int
        Root seed.

    Returns
    -------
    SearchResult

    Raises
    ------
    ValueError
        The claim, or the family, cannot be searched.
    """
    target = _family(claim, family)
    budget = evaluations if evaluations is not None else claim.tiers[tier].search_evals or EVALUATIONS[tier]
    if budget < 1:
        raise ValueError(f"evaluations={budget!r}: a search needs at least one")
    objective = Objective(claim, _subject(claim, subject), target, mutant=mutant, tier=tier, root=root)
    order = sizes_of(target, sizes if sizes is not None else 1 if tier == "quick" else None)
    found: list[Found] = []
    reports: list[SizeReport] = []
    violated = False
    with global_state_kept():
        poison_global_state()
        for position, index in enumerate(order):
            share = (budget - objective.evaluations) // (len(order) - position)
            report, here = search_size(objective, index, share, [s for s in starts if s.index == index])
            reports.append(report)
            found = sorted([*found, *here], key=lambda f: -f.slack)[:_CORPUS]
            if here and objective.violates(here[0].params, here[0].vector, index):
                found = [here[0], *(f for f in found if f != here[0])][:_CORPUS]
                violated = True
                break
    name = "" if mutant is None else mutant.id
    return SearchResult(
        claim.id,
        objective.subject.name,
        target.name,
        name,
        objective.evaluations,
        objective.inadmissible,
        tuple(found),
        tuple(reports),
        violated,
        objective.error,
    )


def search_families(claim: Claim) -> tuple[Family, ...]:
    """List the families of a claim that an adversary can search: they declare a space, and the statement has a slack to climb."""
    exact_law = claim.bound is not None and claim.bound.sense == "==" and claim.kind not in DETERMINISTIC
    if claim.kind not in SEARCHABLE or exact_law:
        return ()
    return tuple(family for family in claim.families if family.search is not None)


def _family(claim: Claim, name: str | None) -> Family:
    if claim.kind not in SEARCHABLE:
        raise ValueError(
            f"{claim.id}: a claim of kind {claim.kind!r} has no slack to climb; searchable kinds: {', '.join(sorted(SEARCHABLE))}"
        )
    if claim.bound is not None and claim.bound.sense == "==" and claim.kind not in DETERMINISTIC:
        raise ValueError(f"{claim.id}: an exact law has no worst instance; search its one-sided companion")
    able = [family for family in claim.families if family.search is not None]
    chosen = [family for family in able if name is None or family.name == name]
    if not chosen:
        known = ", ".join(family.name for family in able) or "none"
        raise ValueError(f"{claim.id}: no family {name or ''!r} with a search space; searchable families: {known}; give Family(search=...)")
    return chosen[0]


def _subject(claim: Claim, name: str | None) -> Subject:
    for subject in claim.subjects:
        if name is None or subject.name == name:
            return subject
    raise ValueError(f"{claim.id}: no subject {name!r}; subjects: {', '.join(s.name for s in claim.subjects)}")


def sizes_of(family: Family, sizes: int | None) -> list[int]:
    """List the grid points to be searched, smallest dimension first."""
    assert family.search is not None
    dimension = family.search.dimension
    return sorted(range(len(family.grid)), key=lambda i: (dimension(family.grid[i]), i))[:sizes]


def search_size(objective: Objective, index: int, trials: int, starts: Sequence[Found]) -> tuple[SizeReport, list[Found]]:
    """Search one grid point with a number of trials; returns the report and the worst instances, worst first."""
    family, space = objective.family, objective.space
    point = family.grid[index]
    dimension = space.dimension(point)
    rng = objective.generator(index)
    before = objective.evaluations
    peaks = ascend(
        lambda x: objective(point, x, index),
        dimension,
        max(trials // objective.cost, 1),
        rng,
        starts=[*(s.vector for s in starts), *space.start],
        step=space.step,
    )
    here = [
        Found(value, index, point, tuple(x.tolist()), objective.worst_level(point, x, index)) for value, x in peaks if value > -math.inf
    ]
    label = ", ".join(f"{key}={value}" for key, value in point.items() if np.ndim(value) == 0) or family.name
    best = peaks[0][0] if peaks else -math.inf
    return SizeReport(index, label, dimension, objective.evaluations - before, best), here[:_CORPUS]
