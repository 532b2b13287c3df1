"""What is to be measured next: rounds of blocks, looks at their ends, and the fate of claims and mutants.

Blocks run block-major: block ``b`` of every part that is still open, then block ``b + 1``.  A round is committed as a whole, in the order
of the parts, and only then do the rules look.  Everything here is a function of committed records, so that the number of workers, the
order in which they finish and any interruption change nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from proofs_check import pinning, rules
from proofs_check._objective import vector_key
from proofs_check.auditing import Measured, StoredSample, difference
from proofs_check.evidence import TIERS, BlockRecord, Evidence, MutantResult, Part, Status, Tier, Verdict
from proofs_check.generated import Generated, generate
from proofs_check.measuring import Unit, first_blocks
from proofs_check.model import DETERMINISTIC, STREAMS, Claim, Mutant
from proofs_check.mutants import changed, inject, judge, killers, mutant_parts, wanted
from proofs_check.provenance import fingerprint, mutant_fingerprint

Records = tuple[BlockRecord, ...]
_FUSED = 2000  # evaluations of a search that may take as long as a block


def _judged(claim: Claim, mutant: Mutant | None) -> Claim:
    """Return the claim that the rules see: they read exponents, leads and allowed probabilities off the bound, which may be the mistake."""
    if mutant is None or mutant.where != "bound" or claim.bound is None:
        return claim
    return replace(claim, bound=inject(claim, claim.subjects[0], mutant).bound)


class Track:
    """One claim, or one mutant in one claim, on its way to a status.

    Parameters
    ----------
    claim : Claim
        Statement that judges.
    mutant : Mutant or None
        Mistake that is injected.
    owner : str
        Claim that declares the mutant.
    tier, root
        Of the run.
    searches : sequence of BlockRecord
        What was found already; without it the track begins with a search where the claim declares one.
    """

    def __init__(
        self, claim: Claim, tier: Tier, root: int, mutant: Mutant | None = None, owner: str = "", searches: Sequence[BlockRecord] = ()
    ) -> None:
        claim = changed(claim, mutant)
        self.claim, self.tier, self.root, self.mutant = claim, tier, root, mutant
        self.name = f"{owner}/{mutant.id}" if mutant is not None else ""
        base = fingerprint(claim, tier, root)
        self.fingerprint = base if mutant is None else mutant_fingerprint(base, mutant)
        self._use(claim)
        self.budget = claim.tiers[tier]
        self.round = 0
        self._next: list[Unit] | None = None  # the units of the next round, until it is committed
        self.status: Status | None = None
        self.reason = ""
        self.evidence: tuple[Any, ...] = ()
        self.trials = 0
        self.seconds = 0.0
        self.best: BlockRecord | None = None
        self._slack_pending = (
            mutant is None and self.budget.slack_trials > 0 and claim.kind not in (*DETERMINISTIC, "lower", "completeness")
        )
        self._decided = self._exhausted = False
        self._sample = StoredSample()
        self._doubted: list[Measured] = []  # the round that decided and what the sample holds, to be measured once more
        self.searches = tuple(searches)
        self._to_search = pinning.plan(claim, tier, {part.family for part in self.parts}) if not searches else ()
        if searches:
            self._join(searches)

    def _use(self, claim: Claim) -> None:
        """Start collecting evidence about a claim (again, once a search has added the instances that it found)."""
        self.claim = claim
        self.parts = claim.parts() if self.mutant is None else mutant_parts(claim, self.mutant, self.tier)
        self.state = rules.new_state(_judged(claim, self.mutant), self.tier, self.parts)

    @property
    def done(self) -> bool:
        """Whether the status is final."""
        return self.status is not None

    def fail(self, status: Status, reason: str) -> None:
        """End the track without measuring."""
        self.status, self.reason = status, reason
        self.evidence = self._annotated(rules.finish(self.state, False)[2])

    # ------------------------------------------------------------------------------------------------------------------- rounds

    def units(self) -> list[Unit]:
        """Return the units of the next round in the order in which they will be committed; none once there is nothing left to measure."""
        if self._next is None:
            self._next = self._next_units()
        return self._next

    def _next_units(self) -> list[Unit]:
        if self._to_search:
            return list(self._search_units())
        if self._decided:
            return self._slack_units()
        return [unit for group in self._groups() for unit in self._round(group, self.round)]

    def recheck(self) -> list[Unit]:
        """Return the units that are measured a second time, for the claim itself: block 0 of every part, and at the end some more."""
        if self._decided:
            return [measured.unit for measured in self._doubted]
        first = self.mutant is None and self.round == 0 and not self._to_search
        return self.units() if first else []

    def _groups(self) -> list[list[Part]]:
        """Gather open parts whose levels share their trials."""
        groups: dict[tuple[Any, ...], list[Part]] = {}
        for part in self.parts:
            if not rules.frozen(self.state, part):
                alone = part.level if self.claim.rule.delta_in_algorithm else None
                groups.setdefault((part.subject, part.family, part.instance, alone), []).append(part)
        return list(groups.values())

    def _round(self, group: Sequence[Part], number: int) -> Iterator[Unit]:
        left = self._cap(group[0]) - number * self.budget.block
        if left > 0:
            yield self._unit(group, STREAMS["confirm"], number, min(left, self.budget.block))

    def _cap(self, part: Part) -> int:
        """Trials of a part: a deterministic claim looks once at what does not change from trial to trial."""
        role = self._family(part).role
        if self.claim.kind in DETERMINISTIC and role in ("enumeration", "real"):
            return 1
        return self.budget.trials

    def _slack_units(self) -> list[Unit]:
        if not self._slack_pending:
            return []
        groups: dict[tuple[Any, ...], list[Part]] = {}
        for part in self.parts:
            alone = part.level if self.claim.rule.delta_in_algorithm else None
            groups.setdefault((part.subject, part.family, part.instance, alone), []).append(part)
        blocks = first_blocks(self.budget.slack_trials, self.budget.block)
        return [self._unit(group, STREAMS["slack"], *block) for block in blocks for group in groups.values()]

    def _search_units(self) -> Iterator[Unit]:
        """Yield one search per subject and grid point; subjects that cheat are not searched."""
        for subject in self.claim.subjects:
            for family, index, evaluations in self._to_search if subject.expected == "pass" else ():
                part = Part(0, subject.name, family.name, index, None, 0.0, "")
                fuse = self.budget.seconds * max(evaluations / _FUSED, 1.0)
                yield replace(self._unit([part], STREAMS["search"], 0, evaluations), seconds=fuse)

    def unit_of(self, record: BlockRecord) -> Unit:
        """Return the unit that measured a record, for its level alone."""
        key = (record.subject, record.family, record.instance, record.level)
        part = next(part for part in self.parts if (part.subject, part.family, part.instance, part.level) == key)
        return self._unit([part], record.stream, record.block, record.n)

    def _unit(self, group: Sequence[Part], stream: int, block: int, trials: int) -> Unit:
        subject = next(subject for subject in self.claim.subjects if subject.name == group[0].subject)
        return Unit(
            claim=self.claim,
            mutant=self.mutant,
            mutant_name=self.name,
            subject=subject,
            family=self._family(group[0]),
            instance=group[0].instance,
            levels=tuple(part.level for part in group),
            stream=stream,
            block=block,
            trials=trials,
            tier=self.tier,
            root=self.root,
            fingerprint=self.fingerprint,
            seconds=self.budget.seconds,
        )

    def _family(self, part: Part) -> Any:
        return next(family for family in self.claim.families if family.name == part.family)

    # ------------------------------------------------------------------------------------------------------------------- commits

    def commit(
        self, finished: Sequence[Measured], repeated: Sequence[Records] = (), audited: Sequence[tuple[Measured, Records]] = ()
    ) -> None:
        """Commit a whole round, then look.

        Parameters
        ----------
        finished : sequence of Measured
            What :meth:`units` asked for, in that order.
        repeated : sequence of records
            What :meth:`recheck` asked for.
        audited : sequence of (Measured, records)
            Stored blocks of this round, and what they gave when they were measured again.
        """
        records = [record for measured in finished for record in measured.records]
        self._next = None
        for record in records:
            self.seconds += record.seconds
        pairs = [*zip(self._doubted if self._decided else finished[: len(repeated)], repeated, strict=True), *audited]
        unlike = difference([before for before, _ in pairs], [again for _, again in pairs])
        if unlike:
            self.fail("ERROR", unlike)
            return
        if self._to_search:
            self._arm(records)
            return
        for record in records:
            rules.update(self.state, record)
        if self._decided:
            self._finish(self._exhausted)
            return
        for record in records:
            self.trials += record.n
            self._remember(record)
        for measured in finished if self.round > 0 and self.mutant is None else ():
            if measured.stored:
                self._sample.offer(measured)
        self.round += 1
        answer = rules.decision(self.state)
        if answer is not None or not self.units():
            self._exhausted = answer is None
            self._decided = True
            self._next = None
            if self.mutant is None and self.round > 1:
                self._doubt(finished)
            if answer == "ERROR" or not (self._slack_pending or self._doubted):
                self._finish(self._exhausted)

    def _doubt(self, last: Sequence[Measured]) -> None:
        """Ask for the last round once more, and for one stored block of every part."""
        known = {measured.unit.keys for measured in last}
        self._doubted = [*last, *(measured for measured in self._sample.chosen if measured.unit.keys not in known)]

    def _arm(self, records: Sequence[BlockRecord]) -> None:
        """Add what the searches found to the claim, then try it."""
        self.searches, self._to_search = tuple(records), ()
        error = next((record.error for record in records if record.error), None)
        if error is None:
            self._join(records)
        else:
            self.fail("ERROR", error)

    def _join(self, searches: Sequence[BlockRecord]) -> None:
        """Try the claim on what was found as well; other finds are another run, and never share an instance or a record."""
        self._use(pinning.armed_by(self.claim, searches))
        self.fingerprint += "." + vector_key([x for record in searches for x in record.values])

    def _annotated(self, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
        return tuple(pinning.annotated(part, self.searches) for part in evidence)

    def _remember(self, record: BlockRecord) -> None:
        """Keep the record with the clearest violation, for a counterexample."""
        if record.k_lo > 0 and (self.best is None or (record.slack_max or 0.0) > (self.best.slack_max or 0.0)):
            self.best = record

    def _finish(self, exhausted: bool) -> None:
        self.status, reason, evidence = rules.finish(self.state, exhausted)
        self.reason = reason + (pinning.searched(self.searches) if self.mutant is None else "")
        self.evidence = self._annotated(evidence)


class Case:
    """A claim with its mutants: first the claim, then each mutant with its killers in turn.

    Parameters
    ----------
    claim : Claim
        Owner.
    tier, root
        Of the run.
    mutants : {"auto", "none", "quick", "all", "generated"}
        Which mutants run; "generated" adds those that nobody declared, as "auto" does beyond the quick tier.  In the nightly tier every
        claim that may notice a mutant is asked, otherwise the first one that does suffices.
    find : callable
        Claim id -> claim, for killers that are other claims.
    """

    def __init__(self, claim: Claim, tier: Tier, root: int, mutants: str, find: Callable[[str], Claim]) -> None:
        self.claim, self.tier, self.root, self._find = claim, tier, root, find
        self.track = Track(claim, tier, root)
        self._mutants = [m for m in claim.mutants if wanted(m, tier, mutants)]
        self._runs: dict[str, dict[str, tuple[Status, str, int]]] = {m.id: {} for m in claim.mutants}
        self._seconds = dict.fromkeys(self._runs, 0.0)
        self._live: dict[str, Track] = {}
        self._generates = mutants == "generated" or (mutants == "auto" and tier != "quick")
        self._generated = Generated()

    @property
    def decided_here(self) -> bool:
        """Whether this tier is large enough to decide the claim."""
        return TIERS.index(self.tier) >= TIERS.index(self.claim.decided_in)

    def tracks(self) -> list[Track]:
        """Return the tracks that wait for a round; empty when the case is closed."""
        if not self.track.done:
            return [self.track]
        if self.track.status in ("ERROR", "UNAVAILABLE"):
            return []
        if self._generates:
            self._generate()
        for mutant in self._mutants:
            self._advance(mutant)
        return list(self._live.values())

    def _generate(self) -> None:
        """Make further mistakes, once: what the claim was seen to be like tells which of them are visible."""
        self._generates = False
        if self.track.status not in ("VERIFIED", "SURVIVED"):
            return
        try:
            self._generated = generate(self.track.claim, self.track.state, self.root)
        except Exception as error:  # instances and formulas are the claim's own: what they raise here must not end the run
            reason = f"no mistakes could be made for this claim: {type(error).__name__}: {error}"
            nothing = MutantResult("generated", self.claim.id, "claim", "blind", "made by the harness", expected_dead=False, reason=reason)
            self._generated = Generated(blind=(nothing,))
        taken = set(self._runs)
        new = [replace(m, id=m.id if m.id not in taken else f"generated.{m.id}") for m in self._generated.mutants]
        self._mutants += new
        self._runs |= {m.id: {} for m in new}
        self._seconds |= dict.fromkeys((m.id for m in new), 0.0)
        self._generated = replace(self._generated, mutants=tuple(new))

    def _advance(self, mutant: Mutant) -> None:
        """Take the status of a finished mutant track, and start the next killer unless the mutant is dead."""
        runs, live = self._runs[mutant.id], self._live.get(mutant.id)
        if live is not None:
            if live.status is None:
                return
            runs[live.claim.id] = (live.status, live.reason, live.trials)
            self._seconds[mutant.id] += live.seconds
            del self._live[mutant.id]
        if self.tier != "nightly" and any(status in ("REFUTED", "ERROR") for status, _, _ in runs.values()):
            return
        following = next((killer for killer in killers(self.claim, mutant) if killer not in runs), None)
        if following is not None:
            # A wrong formula is tried on what the right one's search found; wrong code has worst instances of its own.
            known = self.track.searches if mutant.where == "bound" and following == self.claim.id else ()
            self._live[mutant.id] = Track(self._find(following), self.tier, self.root, mutant, self.claim.id, known)

    def verdict(self, provenance: Mapping[str, Any], reason: str = "") -> Verdict:
        """Close the case (with ``reason`` when it is cut short)."""
        if not self.track.done:
            self.track.status, _, self.track.evidence = rules.finish(self.track.state, False)
            self.track.status, self.track.reason = "INCONCLUSIVE", reason or "interrupted"
        results: tuple[MutantResult, ...] = tuple(
            replace(judge(self.claim, m, self._runs[m.id], decided=self.decided_here), seconds=self._seconds[m.id])
            for m in (*self.claim.mutants, *self._generated.mutants)
        )
        status = self.track.status or "INCONCLUSIVE"
        return Verdict(
            claim=self.claim.id,
            status=status,
            reason=self.track.reason,
            parts=self.track.evidence,
            mutants=(*results, *self._generated.blind),
            provenance=provenance,
            tier=self.tier,
            n=self.track.trials,
            seconds=self.track.seconds + sum(self._seconds.values()),
            expected=status in ("VERIFIED", "SURVIVED") or (status == "INCONCLUSIVE" and not self.decided_here),
        )
