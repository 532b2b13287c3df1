"""How committed records become a verdict.

A *part* is one (subject, family, instance, level) of a claim. Every part owns two e-processes: ``R`` against "the claim is true" and ``A``
against "this part is false by the margin". With weights fixed in the catalogue

* a claim is REFUTED when the weighted average of the ``R`` reaches ``1 / alpha_R`` (an average of e-processes is one, whatever the
  dependence),
* it is VERIFIED when *every* ``A`` has reached ``1 / alpha_A`` while its ``R`` was at most one: if some part is false by the margin,
  that part's own ``A`` keeps the probability of this below ``alpha_A``, without any correction for the number of parts.

Everything is a function of the prefix of committed records in block-major order; looks happen at the ends of rounds only.

What a record says, by kind
---------------------------
counts (tail, soundness, completeness, lower)
    ``n`` trials, of which surely ``k_lo`` and possibly ``k_hi`` failed, and ``void`` trials whose premise was missed: those are
    contained in ``n`` but in neither count, and are added here as "no failure" to ``R`` and as "failure" to ``A``.
bets (expectation)
    ``log_wealth_R`` and ``log_wealth_A`` from :func:`log_wealth`.
repetitions (order, rate)
    ``values``: differences, one per repetition (positive: as claimed), or the errors at the sizes of the window, already divided by
    declared logarithmic factors. A void repetition is ``nan``.
deterministic (inequality, identity, witness)
    ``k_lo`` confirmed violations, ``k_hi`` those and the ones the recheck left open; for a witness ``accepts`` counts the witnesses found.
slack
    Records of the slack stream hold the ratios measured/bound of their trials in ``values``, or else counts in ``slack_hist``.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from proofs_check import _windows, evalues
from proofs_check._bets import log_wealth, wealth_evidence
from proofs_check._slack import slack_histogram
from proofs_check._state import COUNTED, REPEATED, PartState, State, key_of
from proofs_check._verdicts import accepted_status, combine, may_verify, part_evidence
from proofs_check.model import DETERMINISTIC, STREAMS, BlockRecord, Claim, ClaimDefinitionError, Evidence, Part, Status, Tier, worst

__all__ = [
    "DECIDABLE",
    "TIER_ODDS",
    "decision",
    "error_budget",
    "finish",
    "frozen",
    "log_wealth",
    "margins",
    "new_state",
    "slack_histogram",
    "update",
]

DECIDABLE: frozenset[str] = COUNTED | REPEATED | DETERMINISTIC | {"expectation"}

#: Odds ratio between "allowed" and "must not be accepted": more trials buy a smaller margin, never another error probability.
TIER_ODDS: Mapping[Tier, float] = {"quick": 2.25, "full": 1.25, "nightly": 1.05}


def new_state(claim: Claim, tier: Tier, parts: Sequence[Part]) -> State:
    """Start collecting evidence.

    Parameters
    ----------
    claim : Claim
        Statement under test.
    tier : {"quick", "full", "nightly"}
        Decides the margin.
    parts : sequence of Part
        Parts that will run. Their weights sum to at most one; a mutant that runs on its declared killer only keeps that part's weight,
        and so pays for all the others.

    Returns
    -------
    State
    """
    honest = {subject.name for subject in claim.subjects if subject.expected == "pass"}
    states = {}
    for part in parts:
        state = PartState(part, part.subject in honest)
        if claim.kind in COUNTED:
            state.p0 = _allowed_probability(claim, part)
            state.p1 = margins(claim, tier, state.p0)[1]
            if state.p0 + claim.rule.bracket_miss >= 1.0:
                raise ClaimDefinitionError(
                    f"{claim.id}: {part.label} may fail with probability {state.p0:g}, its brackets with {claim.rule.bracket_miss:g}: "
                    "nothing could refute it; make the brackets more certain"
                )
        states[key_of(part)] = state
    return State(claim, tier, states)


def update(state: State, record: BlockRecord) -> None:
    """Add one committed record.

    Parameters
    ----------
    state : State
        Changed in place.
    record : BlockRecord
        Must come in block-major order. The slack stream feeds the slack and nothing else, so that early stopping cannot bias it.
    """
    part = state.parts[(record.subject, record.family, record.instance, record.level)]
    if record.error is not None:
        part.error = part.error or record.error
        return
    if record.stream == STREAMS["slack"]:
        part.slack.add(record, ratios=True)
        return
    part.n += record.n
    part.k_lo += record.k_lo
    part.k_hi += record.k_hi
    part.void += record.void
    part.accepts += record.accepts
    part.over_budget += record.over_budget
    part.unclear += record.unclear
    part.values.extend(record.values)
    part.gaps.extend(record.gaps)
    if record.log_wealth_R:
        part.wealth_R.append(record.log_wealth_R)
    if record.log_wealth_A:
        part.wealth_A.append(record.log_wealth_A)
    if state.claim.kind in DETERMINISTIC:
        part.slack.add(record, ratios=False)
        return
    part.ln_R, part.ln_A = _evidence(state, part)
    part.path.append((part.n, part.ln_R, math.nan if part.ln_A is None else part.ln_A))
    # An R above one says "false, though by less than the margin": such a part goes on until it is refuted or the budget is spent.
    if part.ln_A is not None and part.ln_A >= state.claim.rule.accepts_at and part.ln_R <= 0.0:
        part.accepted = True


def frozen(state: State, part: Part) -> bool:
    """Tell whether a part needs no further block.

    Parameters
    ----------
    state : State
        Evidence so far.
    part : Part
        One of the state's parts.

    Returns
    -------
    bool
        True once the part is accepted and what its kind asks besides is met (guards of a rate, enough accepted objects for soundness),
        and for a cheating subject once its own evidence has refuted it.
    """
    own = state.parts[key_of(part)]
    if not own.honest:
        return state.log_R(part.subject) >= state.claim.rule.refutes_at
    return state.settled(own)


def decision(state: State) -> Status | None:
    """Answer after a completed round; the first answer other than None stops the claim.

    Parameters
    ----------
    state : State
        Evidence so far.

    Returns
    -------
    str or None
        ``"REFUTED"``, ``"ERROR"``, ``"VERIFIED"``, or None while more blocks may help.
    """
    claim = state.claim
    honest = state.honest()
    if state.refuted():
        return "REFUTED"
    if any(part.error for part in state.parts.values()):
        return "ERROR"
    if claim.kind == "witness":
        return "VERIFIED" if any(part.accepts for part in honest) else None
    if claim.kind in DETERMINISTIC or not may_verify(claim) or not honest:
        return None
    cheaters = [part for part in state.parts.values() if not part.honest]
    if not all(state.settled(part) for part in honest) or not all(frozen(state, part.part) for part in cheaters):
        return None
    return worst([accepted_status(claim, part) for part in honest])


def finish(state: State, exhausted: bool) -> tuple[Status, str, tuple[Evidence, ...]]:
    """Close a run.

    Parameters
    ----------
    state : State
        All committed evidence.
    exhausted : bool
        True when the declared budget was spent; False when the run stopped earlier, by a decision or by an interruption.

    Returns
    -------
    status : str
        Verdict of the claim.
    reason : str
        One line that says what decided.
    evidence : tuple of Evidence
        One per part, in the order of the parts.
    """
    evidence = tuple(part_evidence(state, part, exhausted) for part in state.parts.values())
    status, reason = combine(state, evidence)
    return status, reason, evidence


def error_budget(claims: Sequence[Claim]) -> float:
    """Probability that any true claim of a catalogue is refuted: at most the sum of the claims' ``alpha_R``, whatever was selected.

    Parameters
    ----------
    claims : sequence of Claim

    Returns
    -------
    float
    """
    return math.fsum(claim.rule.alpha_R for claim in claims)


def margins(claim: Claim, tier: Tier, p0: float) -> tuple[float, float]:
    """Failure probabilities below and above ``p0`` that must not be accepted as ``p0``.

    Parameters
    ----------
    claim : Claim
        Its rule may declare a margin: odds ratio, ratio or difference. Otherwise the tier's odds ratio is used.
    tier : {"quick", "full", "nightly"}
        Larger tiers have smaller margins.
    p0 : float
        Probability that the claim states, in (0, 1).

    Returns
    -------
    tuple of float
        ``(low, high)``; only two-sided claims use ``low``.
    """
    margin = claim.rule.margin
    if margin is None or margin.kind == "odds":
        size = TIER_ODDS[tier] if margin is None else margin.size
        return evalues.odds_margin(p0, 1.0 / size), evalues.odds_margin(p0, size)
    low, high = (p0 / margin.size, p0 * margin.size) if margin.kind == "ratio" else (p0 - margin.size, p0 + margin.size)
    if not high < 1.0:
        raise ClaimDefinitionError(f"{claim.id}: the margin moves p0={p0:g} to {high:g}; choose odds, which stay below one")
    return max(low, p0 * 1e-3), high


def _allowed_probability(claim: Claim, part: Part) -> float:
    if part.level is not None:
        return part.level
    if claim.bound is None:
        raise ClaimDefinitionError(f"{claim.id}: neither level nor bound says how often a trial may fail")
    family = next(family for family in claim.families if family.name == part.family)
    p0 = float(claim.bound.value(family.grid[part.instance]))
    if not 0.0 < p0 < 1.0:
        raise ClaimDefinitionError(
            f"{claim.id}: allowed probability {p0:g} of part {part.label}; probabilities lie strictly between 0 and 1"
        )
    return p0


def _evidence(state: State, part: PartState) -> tuple[float, float | None]:
    claim = state.claim
    if claim.kind == "expectation":
        ln_A = wealth_evidence(part.wealth_A, both_needed=True) if part.wealth_A else None
        return wealth_evidence(part.wealth_R, both_needed=False), ln_A
    if claim.kind in REPEATED:
        return _windows.sign_evidence(claim, state.tier, part.part, part.values)
    if claim.bound is not None and claim.bound.sense == "==":
        low, high = margins(claim, state.tier, part.p0)
        # Convex in the count: its least value over a bracket sits at an end, or where the bracket holds the expected count.
        counts = np.array([part.k_lo, part.harmful, min(max(round(part.n * part.p0), part.k_lo), part.harmful)])
        ln_R = float(evalues.log_refute_two_sided(counts, part.n, part.p0).min())
        return ln_R, float(evalues.log_accept_two_sided(counts[:2], part.n, low, high).min())
    # A bracket that misses hides or feigns a failure: the refuting side allows as many more, the accepting side as many fewer.
    miss = claim.rule.bracket_miss
    p0, p1 = part.p0 + miss, part.p1 - miss
    if p1 <= 0.0:
        return evalues.count_evidence(part.k_lo, part.k_lo, part.n, p0, part.p1)[0], -math.inf
    return evalues.count_evidence(part.k_lo, part.harmful, part.n, p0, p1)
