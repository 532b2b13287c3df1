"""Progress of long work: a live bar on a terminal, plain lines elsewhere, nothing when asked to be quiet."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

__all__ = ["Progress", "Silent", "Step", "progress_for"]

HEARTBEAT_SECONDS = 10.0  # rare enough not to flood a log, often enough to show that the run is alive


class Step(Protocol):
    """A piece of work with a known number of parts."""

    def advance(self, parts: int = 1) -> None:
        """Report that `parts` more parts are done."""


class Progress(Protocol):
    """What computations report to."""

    def step(self, label: str, total: int) -> Any:
        """Return a context manager that yields a `Step`."""

    def line(self, text: str) -> None:
        """Print one line about something finished."""


class Silent:
    """Report nothing."""

    def advance(self, parts: int = 1) -> None:
        """Ignore the report."""

    def line(self, text: str) -> None:
        """Ignore the line."""

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """Yield an object that ignores reports."""
        yield self


class Plain:
    """Print a line for each finished thing and a heartbeat at most every ten seconds; never an escape sequence."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def line(self, text: str) -> None:
        """Print the line at once."""
        print(text, file=self.stream, flush=True)

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """Yield a counter that prints heartbeats."""
        yield _PlainStep(self, label, total)


class _PlainStep:
    """Count parts; print done/total, elapsed and remaining when a heartbeat is due."""

    def __init__(self, owner: Plain, label: str, total: int) -> None:
        self.owner, self.label, self.total, self.done = owner, label, total, 0
        self.started = self.printed = time.monotonic()

    def advance(self, parts: int = 1) -> None:
        """Count, and print when ten seconds have passed since the last line."""
        self.done += parts
        now = time.monotonic()
        if now - self.printed >= HEARTBEAT_SECONDS and self.done < self.total:
            elapsed = now - self.started
            remaining = elapsed * (self.total - self.done) / max(self.done, 1)
            self.owner.line(f"  {self.done}/{self.total} {self.label}, {elapsed:.0f} s elapsed, about {remaining:.0f} s to go")
            self.printed = now


class Live:
    """Show a bar with done/total, elapsed and remaining time on a terminal (rich)."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self.console = Console(file=stream, highlight=False)

    def line(self, text: str) -> None:
        """Print above the bar."""
        self.console.print(text, markup=False)

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """Show a bar that vanishes when the step is done; the caller prints the line that stays."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Bars(*columns, console=self.console, transient=True) as bars:
            yield _LiveStep(bars, bars.add_task(label, total=total))


class _LiveStep:
    """Move one bar."""

    def __init__(self, bars: Any, task: Any) -> None:
        self.bars, self.task = bars, task

    def advance(self, parts: int = 1) -> None:
        """Move the bar."""
        self.bars.advance(self.task, parts)


def progress_for(stream: TextIO | None = None) -> Progress:
    """Return live progress if the stream is a terminal, plain lines otherwise.

    Parameters
    ----------
    stream : text file, optional
        Where progress goes; standard error by default, so that standard output holds results only.
    """
    stream = sys.stderr if stream is None else stream
    return Live(stream) if stream.isatty() else Plain(stream)
