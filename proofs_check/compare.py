"""What a change moved: verdicts, slack, kills, counterexamples and seconds between two runs."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from proofs_check.evidence import STATUSES, RunResult, Verdict

__all__ = ["Comparison", "Move", "compare_runs"]

# Smaller moves of the slack are the order statistics of another sample rather than another bound.
SLACK_MOVE = 0.02
# Seconds are noisy; a factor of two is worth a line.
SECONDS_FACTOR = 2.0
SECONDS_FLOOR = 0.5

_BAD = ("REFUTED", "ERROR")  # of a claim that the first run did not know
_DEAD = ("killed", "equivalent")


@dataclass(frozen=True, slots=True)
class Move:
    """One difference; ``worse``: a verdict fell, a new claim is refuted or in error, or a mistake is no longer noticed."""

    claim: str
    what: str
    before: str
    after: str
    worse: bool = False
    note: str = ""

    def line(self) -> str:
        """One line for a person."""
        what = f"{self.what} " if self.what else ""
        return f"{self.claim}: {what}{self.before} -> {self.after}{f' ({self.note})' if self.note else ''}{'  WORSE' if self.worse else ''}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences of two runs, the claims in the order of the later one."""

    moves: tuple[Move, ...]
    remarks: tuple[str, ...]
    claims: int
    seconds: tuple[float, float]

    @property
    def worse(self) -> bool:
        """Whether anything got worse."""
        return any(move.worse for move in self.moves)

    def lines(self) -> list[str]:
        """Lines for a person; they end with a summary, which is all that a run compared with itself gives."""
        found = [move.line() for move in self.moves] + list(self.remarks)
        worse = sum(move.worse for move in self.moves)
        first, second = self.seconds
        tail = f", {worse} for the worse" if worse else ""
        return [*found, f"{self.claims} claims in both runs, {len(found)} differences{tail}, {first:.1f} s and {second:.1f} s"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"worse": self.worse}


def compare_runs(before: RunResult, after: RunResult) -> Comparison:
    """Find the differences of two runs.

    Parameters
    ----------
    before, after : RunResult
        Two finished runs.

    Returns
    -------
    Comparison
    """
    old = {verdict.claim: verdict for verdict in before.verdicts}
    new = {verdict.claim: verdict for verdict in after.verdicts}
    moves = [Move(claim, "", old[claim].status, "not in the second run") for claim in old if claim not in new]
    for claim, verdict in new.items():
        moves += (
            _moves(old[claim], verdict)
            if claim in old
            else [Move(claim, "", "not in the first run", verdict.status, verdict.status in _BAD)]
        )
    remarks = []
    if (before.tier, before.root) != (after.tier, after.root):
        remarks.append(f"the runs differ in tier or root: {before.tier}, {before.root} against {after.tier}, {after.root}")
    commits = [str(run.provenance.get("commit", ""))[:10] + ("+" if run.provenance.get("dirty") else "") for run in (before, after)]
    if commits[0] != commits[1]:
        remarks.append(f"code: {commits[0] or 'unknown'} -> {commits[1] or 'unknown'}")
    versions = [dict(run.provenance.get("versions", {})) for run in (before, after)]
    for name in sorted({*versions[0], *versions[1]}):
        pair = [known.get(name, "absent") for known in versions]
        if pair[0] != pair[1]:
            remarks.append(f"{name}: {pair[0]} -> {pair[1]}")
    return Comparison(tuple(moves), tuple(remarks), sum(claim in old for claim in new), (before.seconds, after.seconds))


def _moves(a: Verdict, b: Verdict) -> list[Move]:
    moves = []
    if a.status != b.status:
        moves.append(Move(b.claim, "", a.status, b.status, STATUSES.index(b.status) > STATUSES.index(a.status), b.reason))
    x, y = a.slack, b.slack
    if x is not None and y is not None and x.worst != y.worst and not math.isclose(x.worst, y.worst, rel_tol=SLACK_MOVE):
        moves.append(Move(b.claim, "worst slack", f"{x.worst:.4g}", f"{y.worst:.4g}"))
    fates = {mutant.id: mutant.status for mutant in a.mutants}
    for mutant in b.mutants:
        fate = fates.pop(mutant.id, "absent")
        if fate != mutant.status:
            lost = mutant.status in ("survived", "error") and (fate in _DEAD or fate == "absent")
            moves.append(Move(b.claim, f"mutant {mutant.id}", fate, mutant.status, lost))
    moves += [Move(b.claim, f"mutant {name}", fate, "absent") for name, fate in fates.items()]
    if _found(a) != _found(b):
        moves.append(Move(b.claim, "counterexamples", ", ".join(_found(a)) or "none", ", ".join(_found(b)) or "none"))
    slow, fast = max(a.seconds, b.seconds), min(a.seconds, b.seconds)
    if slow > SECONDS_FLOOR and slow > SECONDS_FACTOR * fast:
        moves.append(Move(b.claim, "seconds", f"{a.seconds:.1f}", f"{b.seconds:.1f}"))
    return moves


def _found(verdict: Verdict) -> Sequence[str]:
    return [found.id for found in verdict.counterexamples]
