"""What a person sees while claims run: a line per claim, and on a terminal a live line below them."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO

from proofs_check.evidence import RunResult, Verdict
from proofs_check.model import Claim

HEARTBEAT_SECONDS = 10.0
_COLOURS = {
    "VERIFIED": "green",
    "SURVIVED": "cyan",
    "REFUTED": "bold red",
    "INCONCLUSIVE": "yellow",
    "ERROR": "magenta",
    "UNAVAILABLE": "dim",
}


def visible(text: str) -> str:
    r"""Write control characters as escapes: messages of claims neither colour nor break the lines that a reader or a script sees.

    Examples
    --------
    >>> print(visible("bad\n\x1b[31mvalue"))
    bad\n\x1b[31mvalue
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def slack_words(verdict: Verdict) -> str:
    """Say how tight a bound was."""
    slack = verdict.slack
    if slack is None:
        return ""
    if 0.995 <= slack.worst <= 1.0:
        return f"slack {slack.worst:.3f} tight"
    return f"slack {slack.worst:.3g}"


def mutant_words(verdict: Verdict) -> str:
    """Count the mutants that ran and those that were treated as they should be."""
    ran = [mutant for mutant in verdict.mutants if mutant.status not in ("blind", "not run")]
    good = sum(mutant.status in ("killed", "equivalent") for mutant in ran)
    return f"mutants {good}/{len(ran)}" if ran else "mutants not run"


def claim_words(verdict: Verdict, title: str) -> str:
    """Summarise a verdict in one line."""
    columns = f"{verdict.claim:<8} {visible(title)[:34]:<34} {verdict.status:<12} {slack_words(verdict):<18} n {verdict.n:<8,}"
    text = f"  {columns} {verdict.seconds:6.1f} s  {mutant_words(verdict)}"
    if verdict.status not in ("VERIFIED", "SURVIVED"):
        text += f"\n           {visible(verdict.reason)}"
    for found in verdict.counterexamples:
        text += f"\n           measured {found.measured:.6g} against {found.bound:.6g} on {visible(found.part)}; replay {found.id}"
    for mutant in verdict.mutants:
        if mutant.status in ("survived", "error"):
            text += f"\n           mutant {mutant.id} {mutant.status}: {visible(mutant.why)} ({visible(mutant.reason)})"
    return text


def run_words(result: RunResult) -> str:
    """Summarise a run in one line."""
    counts = " ".join(f"{count} {status}" for status, count in reversed(result.counts.items()) if count) or "nothing ran"
    ran = [m for v in result.verdicts for m in v.mutants if m.status not in ("blind", "not run")]
    good = sum(m.status in ("killed", "equivalent") for m in ran)
    return f"{len(result.verdicts)} claims: {counts} | mutants {good}/{len(ran)} | {result.seconds:.1f} s | exit {result.exit_code}"


class Plain:
    """A line per claim, and a heartbeat while nothing else is said; no escape codes."""

    def __init__(self, jobs: int, stream: TextIO | None = None, catalogue: str | None = None) -> None:
        self.jobs, self.stream, self.catalogue = jobs, stream or sys.stdout, catalogue
        self._spoke = time.monotonic()
        self.result: RunResult | None = None

    def say(self, text: str) -> None:
        """Print at once."""
        print(text, file=self.stream, flush=True)
        self._spoke = time.monotonic()

    def started(self, claims: Sequence[Claim], result: RunResult) -> None:
        """Print the header."""
        self.result = result
        mutants = sum(len(claim.mutants) for claim in claims)
        where = f" | {result.records}" if result.records else ""
        self.say(f"root {result.root} | {result.tier} | {len(claims)} claims, {mutants} mutants, {self.jobs} jobs{where}")
        for note in result.notes:
            self.say(note)

    def progressed(self, claim: Claim, trials: int) -> None:
        """Give a sign of life."""
        if time.monotonic() - self._spoke > HEARTBEAT_SECONDS:
            self.say(f"  ... {claim.id} after {trials:,} trials")

    def finished(self, claim: Claim, verdict: Verdict) -> None:
        """Print a verdict."""
        self.say(claim_words(verdict, claim.title) + self._again(verdict))

    def _again(self, verdict: Verdict) -> str:
        """Say how to see an error again: the same claim, seeds and tier, nothing else."""
        if verdict.status != "ERROR":
            return ""
        options = "" if verdict.tier == "quick" else f" --tier {verdict.tier}"
        options += f" --root {self.result.root}" if self.result is not None else ""
        options += f" --catalogue {self.catalogue}" if self.catalogue else ""
        return f"\n           again: python -m proofs_check run {verdict.claim} --mutants none{options}"

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *error: object) -> None:
        return


class Live(Plain):
    """Verdicts as above, in colour, and below them a table of what is being tried now."""

    ROWS = 6  # a glance, not a second screen

    def __init__(self, jobs: int, catalogue: str | None = None, console: Any = None) -> None:
        super().__init__(jobs, catalogue=catalogue)
        from rich.console import Console
        from rich.live import Live as Screen

        self._console = Console(highlight=False) if console is None else console
        self._open: dict[str, tuple[str, int, float]] = {}  # claim: title, trials, when it was first seen
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._start = time.monotonic()
        self._screen: Any = Screen(get_renderable=self._table, console=self._console, transient=True, refresh_per_second=4)

    def __enter__(self) -> "Live":
        self._screen.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._screen.stop()

    def say(self, text: str) -> None:
        """Print above the table."""
        self._console.print(text, markup=False, soft_wrap=True)

    def started(self, claims: Sequence[Claim], result: RunResult) -> None:
        """Print the header and start the table."""
        super().started(claims, result)
        self._total = len(claims)

    def progressed(self, claim: Claim, trials: int) -> None:
        """Show what is being tried."""
        _, _, since = self._open.pop(claim.id, ("", 0, time.monotonic()))
        self._open[claim.id] = (claim.title, trials, since)  # the newest comes last

    def finished(self, claim: Claim, verdict: Verdict) -> None:
        """Print a verdict in its colour."""
        self._open.pop(claim.id, None)
        self._counts[verdict.status] += 1
        words = claim_words(verdict, claim.title) + self._again(verdict)
        self._console.print(words, style=_COLOURS[verdict.status], markup=False, soft_wrap=True)

    def _table(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        counts = " ".join(f"{count} {status}" for status, count in self._counts.items())
        done = f"{sum(self._counts.values())} of {self._total} claims, {time.monotonic() - self._start:.0f} s"
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, (title, trials, since) in list(self._open.items())[-self.ROWS :]:
            table.add_row(Text(f"  {name:<8}"), Text(title[:34]), Text(f"{trials:,} trials"), Text(f"{time.monotonic() - since:.1f} s"))
        return Group(Text(f"{done}  {counts}"), table)


def listener(jobs: int, catalogue: str | None = None) -> Plain:
    """Choose by what the standard output is; ``catalogue`` appears in the commands that are printed."""
    return Live(jobs, catalogue) if sys.stdout.isatty() else Plain(jobs, catalogue=catalogue)
