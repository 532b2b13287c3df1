"""Sums over the committed prefix of a run, and the two questions that every rule asks of them."""

import math
from dataclasses import dataclass, field

from proofs_check import _windows, evalues
from proofs_check._slack import SlackSums
from proofs_check.model import DETERMINISTIC, Claim, Part, Tier

__all__ = ["COUNTED", "REPEATED", "Key", "PartState", "State", "key_of"]

COUNTED: frozenset[str] = frozenset({"tail", "soundness", "completeness", "lower"})
REPEATED: frozenset[str] = frozenset({"order", "rate"})

# Fewer accepted objects say nothing about how far acceptance can be trusted.
MIN_ACCEPTS = 30

Key = tuple[str, str, int, float | None]


def key_of(part: Part) -> Key:
    """Return what a record and its part have in common."""
    return (part.subject, part.family, part.instance, part.level)


@dataclass(slots=True)
class PartState:
    """Sums over the committed prefix of one part."""

    part: Part
    honest: bool
    p0: float = math.nan
    p1: float = math.nan
    n: int = 0
    k_lo: int = 0
    k_hi: int = 0
    void: int = 0
    accepts: int = 0
    over_budget: int = 0
    unclear: int = 0
    wealth_R: list[tuple[float, ...]] = field(default_factory=list)
    wealth_A: list[tuple[float, ...]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    slack: SlackSums = field(default_factory=SlackSums)
    ln_R: float = 0.0
    ln_A: float | None = 0.0
    accepted: bool = False
    error: str = ""
    path: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def harmful(self) -> int:
        """Failures as the accepting side counts them: whatever is unresolved or void may have failed."""
        return min(self.n, self.k_hi + self.void)


@dataclass(slots=True)
class State:
    """Evidence of one run of a claim (or of a mutant of it): opaque to the engine."""

    claim: Claim
    tier: Tier
    parts: dict[Key, PartState]

    def honest(self) -> list[PartState]:
        """Parts of the subjects that are expected to pass."""
        return [part for part in self.parts.values() if part.honest]

    def log_R(self, cheater: str | None = None) -> float:
        """Log of the mixture of the evidence over all honest parts, or over those of one cheating subject."""
        chosen = [p for p in self.parts.values() if (p.honest if cheater is None else p.part.subject == cheater)]
        return evalues.log_average([p.ln_R for p in chosen], [p.part.weight for p in chosen]) if chosen else -math.inf

    def refuted(self) -> bool:
        """Whether the claim itself is refuted; guards may veto a rate."""
        if self.claim.kind == "witness":
            return False
        if self.claim.kind in DETERMINISTIC:
            return any(part.k_lo > 0 for part in self.honest())
        threshold = self.claim.rule.refutes_at
        if not any(p.honest and p.ln_R >= threshold for p in self.parts.values()):  # an average does not exceed its largest term
            return False
        if self.log_R() < threshold:
            return False
        return not any(self.guard_failure(part) for part in self.honest())

    def guard_failure(self, part: PartState) -> str:
        """First guard of a rate that this part does not pass."""
        if self.claim.kind != "rate":
            return ""
        return str(_windows.guards(self.claim, self.tier, part.part, part.values, part.gaps)["failed"])

    def settled(self, part: PartState) -> bool:
        """Whether a part is accepted for good."""
        return part.accepted and not self.vacuous() and not self.guard_failure(part)

    def vacuous(self) -> bool:
        """Whether a soundness claim has seen too few accepted objects."""
        return self.claim.kind == "soundness" and sum(p.accepts for p in self.honest()) < MIN_ACCEPTS
