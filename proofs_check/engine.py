"""Run claims: hand out blocks, keep records, commit rounds, and collect verdicts."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from proofs_check.auditing import Measured, to_repeat
from proofs_check.catalogue import Catalogue, describe, load_catalogue
from proofs_check.counterexamples import capture
from proofs_check.evidence import TIERS, BlockRecord, RunResult, Tier, Verdict
from proofs_check.executors import Backend, Executor, first_interrupt
from proofs_check.instances import missing_data
from proofs_check.measuring import Unit
from proofs_check.model import Claim
from proofs_check.provenance import provenance
from proofs_check.records import RecordError, RecordWriter, load_records
from proofs_check.reducing import reduce_violation
from proofs_check.results import write_results
from proofs_check.scheduling import Case, Records, Track
from proofs_check.seeds import ROOT, global_state_kept

RUNS = Path("build/runs")
MUTANT_CHOICES = ("auto", "none", "quick", "all", "generated")


_Place = tuple[int, str, int]  # number of a track in its wave, why a unit is measured, position of the unit


class Listener(Protocol):
    """What a front end is told while claims run."""

    def started(self, claims: Sequence[Claim], result: RunResult) -> None:
        """Tell that the claims are about to run."""

    def progressed(self, claim: Claim, trials: int) -> None:
        """Tell that a round of a claim was committed."""

    def finished(self, claim: Claim, verdict: Verdict) -> None:
        """Tell a verdict, in catalogue order."""


class _Store:
    """Records by key: the ones an earlier run left, and the ones written now."""

    def __init__(self, folder: Path | None, resume: bool, header: Mapping[str, Any]) -> None:
        self.known: dict[tuple[Any, ...], BlockRecord] = {}
        self.notes: tuple[str, ...] = ()
        self._audits: frozenset[tuple[Any, ...]] = frozenset()
        self.writer: RecordWriter | None = None
        if folder is None:
            return
        path = folder / "records.jsonl"
        if resume and path.exists():
            old = load_records(path)
            for name in ("tier", "root"):
                had = old.header.get(name)
                if had != header[name]:
                    raise RecordError(f"{path}:1: this run has {name} {had}, not {header[name]}; go on with --{name} {had}")
            self.known, self.notes = dict(old.records), old.notes
            self._audits = to_repeat(self.known.values())
            self.writer = RecordWriter(path, header, old.good_bytes)
        else:
            self.writer = RecordWriter(path, header)

    def find(self, unit: Unit) -> Records | None:
        """Return the stored records of a unit, if all of them are there."""
        found = tuple(record for record in map(self._stored, unit.blanks) if record is not None and record.n == unit.trials)
        return found if self.known and len(found) == len(unit.levels) else None

    def doubts(self, unit: Unit) -> bool:
        """Tell whether a stored unit is to be measured again."""
        return not self._audits.isdisjoint(unit.keys)

    def add(self, records: Records) -> Records:
        """Write what is not stored yet; returns what the file holds of these records, which a kill may have left incomplete."""
        held = []
        for record in records:
            known = self._stored(record)
            held.append(record if known is None else known)
            if self.writer is not None and record.error is None and known is None:
                self.writer.write(record)
        return tuple(held)

    def _stored(self, like: BlockRecord) -> BlockRecord | None:
        known = self.known.get(like.key)
        return known if known is not None and known.fingerprint == like.fingerprint else None

    def close(self) -> None:
        if self.writer is not None:
            self.writer.__exit__(None, None, None)


def run(
    patterns: str | Iterable[str] = (),
    tier: Tier = "quick",
    *,
    jobs: int = 1,
    backend: Backend | None = None,
    catalogue: Catalogue | str | None = None,
    system: str | None = None,
    kind: str | None = None,
    root: int = ROOT,
    mutants: str = "auto",
    out: str | Path | None = RUNS,
    resume: str | Path | None = None,
    allow_missing: bool = False,
    max_seconds: float | None = None,
    listener: Listener | None = None,
) -> RunResult:
    """Put claims on trial.

    Parameters
    ----------
    patterns : str or iterable of str
        Claim ids or globs; all claims by default.
    tier : {"quick", "full", "nightly"}, default="quick"
        Budgets.  Error probabilities are the same in every tier.
    jobs, backend
        Workers and where they run; verdicts and every digit are equal for any choice.
    catalogue : Catalogue, "module:name" or None
        None: the claims of the package.
    system, kind : str, optional
        Further restrictions.
    root : int
        Root of all seeds; another root is another draw, and is recorded.
    mutants : {"auto", "none", "quick", "all", "generated"}, default="auto"
        "auto" runs quick mutants in the quick tier, all and generated ones in larger ones; "generated" does so in any tier.
    out : path or None
        Folder of runs; this run writes ``<out>/<n>/{records,results}.jsonl`` with the next free number.  None writes nothing.
    resume : path, optional
        Folder of an interrupted run, to go on with.
    allow_missing : bool, default=False
        Report absent data as UNAVAILABLE rather than as ERROR.
    max_seconds : float, optional
        Start no further block after this time; open claims become INCONCLUSIVE.
    listener : Listener, optional
        Is told what happens.

    Returns
    -------
    RunResult
        Verdicts in catalogue order; ``exit_code`` as on the command line.

    Raises
    ------
    ValueError
        An unknown option, or a pattern that matches nothing.
    RecordError
        A record file that cannot be continued.
    """
    if tier not in TIERS:
        raise ValueError(f"tier={tier!r}: choose one of {', '.join(TIERS)}")
    if mutants not in MUTANT_CHOICES:
        raise ValueError(f"mutants={mutants!r}: choose one of {', '.join(MUTANT_CHOICES)}")
    everything = catalogue if isinstance(catalogue, Catalogue) else load_catalogue(catalogue)
    everything.check_references()
    claims = everything.select((patterns,) if isinstance(patterns, str) else patterns, system=system, kind=kind)
    executor = Executor(jobs, backend)
    folder = Path(resume) if resume is not None else None if out is None else _next_folder(Path(out))
    origin = provenance()
    store = _Store(folder, resume is not None, {"tier": tier, "root": root, "claims": [c.id for c in claims], "provenance": origin})
    cases = [Case(claim, tier, root, mutants, everything.__getitem__) for claim in claims]
    session = _Session(cases, store, executor, folder, origin, listener, time.monotonic(), max_seconds)
    return session.run(tier, root, allow_missing)


def check(claim: Claim, tier: Tier = "quick", *, jobs: int = 1, root: int = ROOT, mutants: str = "auto") -> Verdict:
    """Put a single claim on trial and return its verdict; nothing is written.

    A mutant or companion that names another claim needs its catalogue: use :func:`run`.
    """
    alone = Catalogue(claim.topic or "check")
    alone.add(claim)
    return run((), tier, jobs=jobs, catalogue=alone, root=root, mutants=mutants, out=None).verdicts[0]


def _next_folder(out: Path) -> Path:
    """Make the next numbered folder; two runs started together get different ones."""
    out.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(p.name) for p in out.iterdir() if p.name.isdigit()), default=0)
    while True:
        try:
            (out / f"{number:04d}").mkdir()
        except FileExistsError:
            number += 1
        else:
            return out / f"{number:04d}"


class _Session:
    """One run: waves of units until every case is closed."""

    def __init__(
        self,
        cases: Sequence[Case],
        store: _Store,
        executor: Executor,
        folder: Path | None,
        origin: Mapping[str, Any],
        listener: Listener | None,
        started: float,
        max_seconds: float | None,
    ) -> None:
        self.cases, self.store, self.executor, self.folder = cases, store, executor, folder
        self.origin, self.listener, self.started, self.max_seconds = origin, listener, started, max_seconds
        self.verdicts: list[Verdict] = []
        self.stopped = ""

    def run(self, tier: Tier, root: int, allow_missing: bool) -> RunResult:
        if self.listener is not None:
            self.listener.started([case.claim for case in self.cases], self._result(tier, root))
        try:
            with ExitStack() as stack:
                stack.callback(self.store.close)
                stack.enter_context(global_state_kept())
                stack.enter_context(first_interrupt(self._interrupt))
                stack.enter_context(self.executor)
                for case in self.cases:
                    reason = missing_data(case.claim)
                    if reason:
                        case.track.fail("UNAVAILABLE" if allow_missing else "ERROR", reason)
                self._waves()
        except KeyboardInterrupt:
            self.stopped = self.stopped or "interrupted"
        self._announce(close=True)
        result = self._result(tier, root)
        if self.folder is not None:
            write_results(result, self.folder / "results.jsonl")
        return result

    def _interrupt(self) -> None:
        self.stopped = "interrupted"
        self.executor.stop()

    def _out_of_time(self) -> bool:
        if self.max_seconds is not None and time.monotonic() - self.started > self.max_seconds and not self.stopped:
            self.stopped = f"not finished within {self.max_seconds:g} s"
        return bool(self.stopped)

    def _waves(self) -> None:
        while not self._out_of_time():
            self._announce()
            wave = self._gather()
            if not wave:
                return
            self._measure(wave)

    def _gather(self) -> list[Track]:
        """Choose the tracks of the next wave: from the front, until there is work for every worker."""
        chosen: list[Track] = []
        size = 0
        for case in self.cases[len(self.verdicts) :]:
            for track in case.tracks():
                if size >= self.executor.wave:
                    return chosen
                chosen.append(track)
                size += len(track.units())
        return chosen

    def _measure(self, wave: Sequence[Track]) -> None:
        """Run one round of every chosen track and commit those that are complete."""
        plans = [(track, track.units(), track.recheck()) for track in wave]
        stored = [[self.store.find(unit) for unit in units] for _, units, _ in plans]
        todo: list[Unit] = []
        where: list[_Place] = []
        for number, (_, units, again) in enumerate(plans):
            repeated = set(map(id, again))
            for position, unit in enumerate(units):
                if stored[number][position] is None:
                    where.append((number, "first", position))
                elif id(unit) not in repeated and self.store.doubts(unit):
                    where.append((number, "audit", position))
                else:
                    continue
                todo.append(unit)
            where += [(number, "again", position) for position in range(len(again))]
            todo += again
        results: dict[_Place, Records] = {}
        halves: dict[_Place, Records] = {}  # what is stored of units that a kill left incomplete
        for index, records in self.executor.run(todo):
            results[where[index]] = records
            if where[index][1] == "first":
                held = self.store.add(records)
                if held != records:
                    halves[where[index]] = held
        for number, (track, units, again) in enumerate(plans):
            if all(place in results for place in where if place[0] == number):
                first = [
                    Measured(unit, known if known is not None else results[number, "first", i], known is not None)
                    for i, (unit, known) in enumerate(zip(units, stored[number], strict=True))
                ]
                repeats = [results[number, "again", position] for position in range(len(again))]
                audits = [(first[i], results[number, "audit", i]) for i in range(len(units)) if (number, "audit", i) in results]
                audits += [(Measured(units[i], held, True), results[n, why, i]) for (n, why, i), held in halves.items() if n == number]
                track.commit(first, repeats, audits)
                if self.listener is not None:
                    self.listener.progressed(track.claim, track.trials)

    def _announce(self, close: bool = False) -> None:
        """Close the finished cases at the front of the catalogue (all of them at the end)."""
        for case in self.cases[len(self.verdicts) :]:
            if case.tracks() and not close:
                return
            verdict = self._with_counterexample(case, case.verdict(self.origin, self.stopped))
            self.verdicts.append(verdict)
            if self.listener is not None:
                self.listener.finished(case.claim, verdict)

    def _with_counterexample(self, case: Case, verdict: Verdict) -> Verdict:
        best = case.track.best
        if verdict.status != "REFUTED" or best is None:
            return verdict
        reduced = reduce_violation(case.track.unit_of(best), best)
        return capture(verdict, case.claim, reduced.unit, reduced.record, self.folder, reduced.steps)

    def _result(self, tier: Tier, root: int) -> RunResult:
        return RunResult(
            verdicts=tuple(self.verdicts),
            summaries={case.claim.id: describe(case.claim) for case in self.cases},
            tier=tier,
            root=root,
            seconds=time.monotonic() - self.started,
            provenance=self.origin,
            records=str(self.folder / "records.jsonl") if self.folder else "",
            results=str(self.folder / "results.jsonl") if self.folder else "",
            interrupted=self.stopped == "interrupted",
            notes=self.store.notes,
        )
