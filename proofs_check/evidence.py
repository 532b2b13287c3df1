"""What was observed and concluded: records of blocks, evidence per part, verdicts and the result of a run.

These classes are re-exported by :mod:`proofs_check.model`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

Status = Literal["VERIFIED", "SURVIVED", "INCONCLUSIVE", "UNAVAILABLE", "ERROR", "REFUTED"]
Tier = Literal["quick", "full", "nightly"]
Where = Literal["bound", "impl", "env", "claim"]
MutantStatus = Literal["killed", "survived", "equivalent", "error", "blind", "not run"]

TIERS: tuple[Tier, ...] = get_args(Tier)
STATUSES: tuple[Status, ...] = get_args(Status)  # from best to worst: a claim is as good as its worst part
SCHEMA = 1
BETS = 16
SLACK_BINS = 64


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of several statuses (``VERIFIED`` for none at all).

    Examples
    --------
    >>> worst(["VERIFIED", "INCONCLUSIVE", "SURVIVED"])
    'INCONCLUSIVE'
    """
    return max(statuses, key=STATUSES.index, default="VERIFIED")


@dataclass(frozen=True, slots=True)
class Part:
    """One (subject, family, instance, level) of a claim; ``weight`` is its share of the mixture that refutes."""

    index: int
    subject: str
    family: str
    instance: int
    level: float | None
    weight: float
    label: str


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """One finished block: the unit of work, of storage and of evidence.

    ``k_lo <= failures <= k_hi`` (brackets make them differ).  For deterministic kinds ``k_lo`` counts violations that survived the recheck,
    ``k_hi`` adds those that the recheck left open (``unclear``) or blamed on the budget (``over_budget``).
    """

    fingerprint: str
    claim: str
    mutant: str
    subject: str
    family: str
    instance: int
    level: float | None
    stream: int
    block: int
    n: int = 0
    k_lo: int = 0
    k_hi: int = 0
    void: int = 0
    accepts: int = 0
    over_budget: int = 0
    unclear: int = 0
    log_wealth_R: tuple[float, ...] = ()
    log_wealth_A: tuple[float, ...] = ()
    slack_min: float | None = None
    slack_max: float | None = None
    slack_hist: tuple[int, ...] = ()
    argmax_trial: int = -1
    values: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()  # of a rate: what the solver of each error may have missed, where the measurement says so
    ladder_slope: float | None = None
    seconds: float = 0.0
    error: str | None = None
    schema: int = SCHEMA

    @property
    def key(self) -> tuple[str, str, str, str, int, float | None, int, int]:
        """The identity of the unit of work."""
        return (self.claim, self.mutant, self.subject, self.family, self.instance, self.level, self.stream, self.block)

    def content(self) -> "BlockRecord":
        """Return the record without its time: what must be equal whenever the block is run again."""
        return replace(self, seconds=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary in field order."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Slack:
    """Measured/bound (bound/measured for lower bounds): 1 is tight, above 1 violated, .2 is five times loose."""

    worst: float
    median: float
    best: float
    searched: bool = False
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one part."""

    part: Part
    status: Status
    n: int = 0
    k_lo: int = 0
    k_hi: int = 0
    void: int = 0
    ln_R: float | None = None
    ln_A: float | None = None
    interval: tuple[float, float] | None = None  # confidence sequence of the failure probability (or mean)
    slack: Slack | None = None
    guards: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    path: tuple[tuple[int, float, float], ...] = ()  # (n, ln R, ln A) at the looks, for the report


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A stored violation, re-checked and replayable: arrays and numbers as exact hex floats in ``path``."""

    id: str
    claim: str
    mutant: str
    part: str
    measured: float
    bound: float
    slack: float
    path: str


@dataclass(frozen=True, slots=True)
class MutantResult:
    """Whether the harness noticed this mistake, and which claim did."""

    id: str
    claim: str
    where: Where
    status: MutantStatus
    why: str
    killer: str = ""
    expected_dead: bool = True  # false in a tier that is too small to decide the claim
    n: int = 0
    reason: str = ""
    seconds: float = 0.0
    generated: bool = False
    also: tuple[str, ...] = ()  # further claims that noticed it, where all were asked


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer about one claim, with everything that supports it."""

    claim: str
    status: Status
    reason: str = ""
    parts: tuple[Evidence, ...] = ()
    counterexamples: tuple[Counterexample, ...] = ()
    mutants: tuple[MutantResult, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    tier: Tier = "quick"
    n: int = 0
    seconds: float = 0.0
    expected: bool = True  # false for an INCONCLUSIVE or ERROR that the claim's declared tier should have avoided

    @property
    def slack(self) -> Slack | None:
        """The worst slack over the parts (None where nothing was measured)."""
        return max((e.slack for e in self.parts if e.slack is not None), key=lambda s: s.worst, default=None)


@dataclass(frozen=True, slots=True)
class RunResult:
    """All verdicts of a run, in catalogue order, with what a report needs.

    ``summaries`` maps a claim id to its description (:func:`proofs_check.catalogue.describe`); ``records`` and ``results`` are paths.
    """

    verdicts: tuple[Verdict, ...]
    summaries: Mapping[str, Mapping[str, Any]]
    tier: Tier
    root: int
    seconds: float
    provenance: Mapping[str, Any]
    records: str = ""
    results: str = ""
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[Status, int]:
        """Number of claims per status."""
        return {status: sum(verdict.status == status for verdict in self.verdicts) for status in STATUSES}

    @property
    def survivors(self) -> tuple[MutantResult, ...]:
        """Mutants that nobody noticed although they should have been, and "equivalent" ones that were refuted."""
        return tuple(
            mutant for verdict in self.verdicts for mutant in verdict.mutants if mutant.status == "survived" and mutant.expected_dead
        )

    @property
    def exit_code(self) -> int:
        """0 all as expected, 1 a refuted claim or surviving mutant, 3 unexpectedly INCONCLUSIVE, ERROR or UNAVAILABLE, 130 interrupted."""
        if any(verdict.status == "REFUTED" for verdict in self.verdicts) or self.survivors:
            return 1
        if self.interrupted:
            return 130
        if any(not verdict.expected for verdict in self.verdicts) or any(m.status == "error" for v in self.verdicts for m in v.mutants):
            return 3
        return 0
