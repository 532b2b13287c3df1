"""From evidence to statuses and sentences: per part, then per claim."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from proofs_check import _windows, evalues
from proofs_check._state import COUNTED, MIN_ACCEPTS, REPEATED, PartState, State
from proofs_check.model import DETERMINISTIC, Claim, Evidence, Slack, Status, worst

__all__ = ["combine", "may_verify", "part_evidence"]

# More void trials than this mean that the claim was hardly tried; below, they are paid for as failures on the accepting side.
_VOID_SHARE = 0.05
# A report needs the shape of a path, not each of thousands of looks.
_PATH_POINTS = 120


def may_verify(claim: Claim) -> bool:
    """Whether trials can accept this kind: a finite zoo of learners never proves a statement about all learners."""
    return claim.kind != "lower"


def accepted_status(claim: Claim, part: PartState) -> Status:
    """Status of an accepted part: an ordering on a handful of real splits is never more than SURVIVED."""
    role = next(family.role for family in claim.families if family.name == part.part.family)
    return "SURVIVED" if claim.kind == "order" and role == "real" else "VERIFIED"


def part_evidence(state: State, part: PartState, exhausted: bool) -> Evidence:
    """Freeze what is known about a part."""
    status, reason, guards = _part_status(state, part, exhausted)
    counted = state.claim.kind in COUNTED
    sequential = state.claim.kind not in DETERMINISTIC
    return Evidence(
        part=part.part,
        status=status,
        n=part.n,
        k_lo=part.k_lo,
        k_hi=part.k_hi,
        void=part.void,
        ln_R=part.ln_R if sequential else None,
        ln_A=part.ln_A if sequential else None,
        interval=(evalues.confidence_sequence(part.k_lo, part.n)[0], evalues.confidence_sequence(part.harmful, part.n)[1])
        if counted
        else None,
        slack=_slack_of(state.claim, part),
        guards=guards,
        reason=reason,
        path=_thinned(part.path),
    )


def _part_status(state: State, part: PartState, exhausted: bool) -> tuple[Status, str, dict[str, Any]]:
    claim = state.claim
    family = next(family for family in claim.families if family.name == part.part.family)
    guards: dict[str, Any] = {}
    if part.void:
        guards["void_share"] = part.void / max(part.n, 1)
    if part.error:
        return "ERROR", part.error, guards
    if claim.kind in DETERMINISTIC:
        return *_deterministic_status(claim, part, exhausted, enumerated=family.role == "enumeration"), guards
    if claim.kind == "rate":
        guards.update(_windows.guards(claim, state.tier, part.part, part.values, part.gaps))
    if not part.honest:
        return (*_cheater_status(state, part), guards)
    # The mixture never exceeds its largest term, so that some part always carries the blame (up to rounding of the logarithm).
    if state.refuted() and part.ln_R >= state.log_R() - 1e-9:
        return "REFUTED", f"E = {_power(part.ln_R)} against the claim after {part.n:,} trials", guards
    if guards.get("failed"):
        return "INCONCLUSIVE", guards["failed"], guards
    if part.accepted and may_verify(claim):
        return accepted_status(claim, part), _accepted_reason(claim, part), guards
    if part.void > _VOID_SHARE * max(part.n, 1):
        return "INCONCLUSIVE", f"{part.void:,} of {part.n:,} trials missed the premise", guards
    if not exhausted:
        return "INCONCLUSIVE", "the run stopped before its budget was spent", guards
    if claim.kind == "expectation" and not part.wealth_R:
        return (
            "INCONCLUSIVE",
            "no bet against the claim exists: the bound sits at the end of the envelope, or that end is not proved",
            guards,
        )
    if part.ln_A is None or not may_verify(claim):
        return "SURVIVED", f"not refuted in {part.n:,} trials; no number of trials accepts this statement", guards
    return "INCONCLUSIVE", _undecided_reason(part), guards


def _accepted_reason(claim: Claim, part: PartState) -> str:
    if claim.kind in COUNTED:
        return f"a failure probability of {part.p1:.3g} or more is excluded"
    return f"accepted after {part.n:,} {'repetitions' if claim.kind in REPEATED else 'trials'}"


def _undecided_reason(part: PartState) -> str:
    if part.ln_A is not None and math.isinf(part.ln_A):
        return "its brackets may miss more often than the margin leaves room for: no number of trials accepts it"
    unresolved = part.k_hi - part.k_lo
    if unresolved:
        return f"{unresolved:,} of {part.n:,} trials stay unresolved between the ends of their brackets"
    return f"after {part.n:,} trials neither e-process reached its threshold"


def _cheater_status(state: State, part: PartState) -> tuple[Status, str]:
    if state.log_R(part.part.subject) >= state.claim.rule.refutes_at:
        return "REFUTED", "the cheating subject was caught"
    return "ERROR", "the cheating subject was not caught"


def _deterministic_status(claim: Claim, part: PartState, exhausted: bool, enumerated: bool) -> tuple[Status, str]:
    if claim.kind == "witness":
        return ("VERIFIED", f"{part.accepts:,} witnesses found") if part.accepts else _no_witness(part, exhausted, enumerated)
    if not part.honest:
        return ("REFUTED", "") if part.k_lo else ("ERROR", "the harness did not notice a subject that cheats")
    if part.k_lo:
        return "REFUTED", f"{part.k_lo:,} of {part.n:,} trials violate it, also after the recheck"
    if part.unclear:
        return "INCONCLUSIVE", f"{part.unclear:,} excesses could not be told from rounding: no finer precision settled them"
    if part.k_hi:
        return (
            "INCONCLUSIVE",
            f"the float budget was too small {max(part.over_budget, part.k_hi):,} times: the excess shrinks with the precision",
        )
    if part.void > _VOID_SHARE * max(part.n, 1):
        return "INCONCLUSIVE", f"{part.void:,} of {part.n:,} trials missed the premise"
    if not exhausted or part.n == 0:
        return "INCONCLUSIVE", "the run stopped before its budget was spent"
    if enumerated:
        return "VERIFIED", f"all {part.n:,} listed cases"
    rarely = 1.0 - claim.rule.alpha_A ** (1.0 / max(part.n - part.void, 1))
    return "SURVIVED", f"no violation in {part.n:,} trials; on this family a violation has probability at most {rarely:.2g}"


def _no_witness(part: PartState, exhausted: bool, enumerated: bool) -> tuple[Status, str]:
    if enumerated and exhausted:
        return "REFUTED", f"none of all {part.n:,} listed cases is a witness"
    return "INCONCLUSIVE", f"no witness among {part.n:,} candidates"


def combine(state: State, evidence: Sequence[Evidence]) -> tuple[Status, str]:
    """Worst status of the honest parts, and one line that says what decided."""
    claim = state.claim
    honest = [e for e, p in zip(evidence, state.parts.values(), strict=True) if p.honest]
    blind = [e for e, p in zip(evidence, state.parts.values(), strict=True) if not p.honest and e.status == "ERROR"]
    if not honest:
        return "ERROR", "no part ran"
    if claim.kind == "witness":
        found = [e for e in honest if e.status == "VERIFIED"]
        if found:
            return "VERIFIED", f"{found[0].reason} in {found[0].part.label}"
    status = worst([e.status for e in honest])
    first = next(e for e in honest if e.status == status)
    if status == "REFUTED":
        return status, _refutation_reason(state, first)
    if blind:
        return "ERROR", f"harness blind: {blind[0].part.label}: {blind[0].reason}"
    if status in ("ERROR", "INCONCLUSIVE"):
        return status, f"{first.part.label}: {first.reason}"
    guard = _claim_guard(state, honest)
    if guard:
        return "INCONCLUSIVE", guard
    return status, _success_reason(state, status, honest)


def _claim_guard(state: State, honest: Sequence[Evidence]) -> str:
    """Reasons for which a run without violation still says too little."""
    claim = state.claim
    if state.vacuous():
        accepts = sum(part.accepts for part in state.honest())
        return f"vacuous: {accepts} objects were accepted, {MIN_ACCEPTS} are needed"
    if claim.tight is not None:
        roles = {family.name: family for family in claim.families}
        reached = [
            e.slack.worst
            for e in honest
            if e.slack and (roles[e.part.family].role == "adversarial" or roles[e.part.family].search is not None)
        ]
        best = max(reached, default=-math.inf)
        if best < claim.tight:
            return f"adversary too weak: it reached slack {best:.4g} of the {claim.tight:.4g} that is known to be possible"
    return ""


def _refutation_reason(state: State, first: Evidence) -> str:
    if state.claim.kind in DETERMINISTIC:
        slack = "" if first.slack is None else f"; slack {first.slack.worst:.4g}"
        return f"{first.part.label}: {first.reason}{slack}"
    trials = sum(part.n for part in state.honest())
    threshold = f"{math.exp(state.claim.rule.refutes_at):.0e}"
    return f"E = {_power(state.log_R())} >= {threshold} after {trials:,} trials; strongest in {first.part.label}"


def _success_reason(state: State, status: Status, honest: Sequence[Evidence]) -> str:
    claim, trials = state.claim, sum(e.n for e in honest)
    if status == "VERIFIED" and claim.kind in COUNTED:
        zone = sorted({part.p1 for part in state.honest()}, reverse=True)
        shown = ", ".join(f"{p:.3g}" for p in zone[:4]) + (", ..." if len(zone) > 4 else "")
        return f"P(fail) below {shown} is accepted on {_parts(honest)}, {trials:,} trials"
    if status == "VERIFIED" and claim.kind == "rate":
        return f"median slope of the window accepted on {_parts(honest)}, {trials:,} repetitions"
    if status == "VERIFIED":
        return f"{'all listed cases hold' if claim.kind in DETERMINISTIC else 'accepted'} on {_parts(honest)}, {trials:,} trials"
    return f"no violation on {_parts(honest)}, {trials:,} trials"


def _parts(parts: Sequence[Evidence]) -> str:
    return f"{len(parts):,} part{'' if len(parts) == 1 else 's'}"


def _slack_of(claim: Claim, part: PartState) -> Slack | None:
    if claim.kind in DETERMINISTIC:
        return part.slack.extremes()
    if claim.kind in REPEATED:
        return None
    exact = claim.bound is not None and claim.bound.sense == "=="
    if claim.kind == "expectation":
        return part.slack.mean(exact=exact)
    if exact:
        return part.slack.deviation(part.p0)
    return part.slack.quantile(1.0 - part.p0)


def _thinned(path: Sequence[tuple[int, float, float]]) -> tuple[tuple[int, float, float], ...]:
    if len(path) <= _PATH_POINTS:
        return tuple(path)
    keep = np.unique(np.linspace(0, len(path) - 1, _PATH_POINTS).round().astype(int))
    return tuple(path[i] for i in keep)


def _power(log_e: float) -> str:
    exponent = math.floor(log_e / math.log(10.0))
    return f"{math.exp(log_e - exponent * math.log(10.0)):.1f}e{exponent}" if abs(exponent) > 3 else f"{math.exp(log_e):.3g}"
