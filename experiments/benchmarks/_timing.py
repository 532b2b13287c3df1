"""Timing of competing methods on the same arrays."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Timing", "interleave"]

ONCE_ABOVE_SECONDS = 10.0  # a method this slow is not run again: its row says "1 run"


@dataclass(frozen=True)
class Timing:
    """Seconds of one method.

    Attributes
    ----------
    first : float
        First call, with compilation and cold caches; not part of the median.
    runs : tuple of float
        Timed calls by the clock; the first call itself for a method too slow to repeat.
    cpu_runs : tuple of float
        Processor time of the same calls. On one thread it equals the clock on an idle machine, and other programs do not change it,
        so ratios are taken of it.
    result : object
        What the last call returned.
    error : str
        Why the method has no result; empty if it has one.
    """

    first: float
    runs: tuple[float, ...]
    cpu_runs: tuple[float, ...]
    result: Any
    error: str = ""

    @property
    def cpu(self) -> float:
        """Median processor time; NaN if there is none."""
        return statistics.median(self.cpu_runs) if self.cpu_runs else float("nan")

    def fields(self) -> dict[str, Any]:
        """Return the time columns of a `Row`."""
        if not self.runs:
            return {"note": self.error}
        return {
            "seconds": statistics.median(self.runs),
            "cpu": self.cpu,
            "fastest": min(self.runs),
            "slowest": max(self.runs),
            "repeats": len(self.runs),
            "first": self.first,
        }


def interleave(methods: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Timing]:
    """Time methods in turn, round after round, so that a busy spell of the machine hits all of them.

    Parameters
    ----------
    methods : mapping of str to callable without arguments
    repeats : int
        Rounds after the first, untimed one.

    Returns
    -------
    dict of str to Timing
        A method that raises has no runs and its error's text; the others go on.
    """
    first: dict[str, tuple[float, float]] = {}
    results: dict[str, Any] = {}
    errors: dict[str, str] = {}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for name, method in methods.items():
        try:
            first[name], results[name] = _timed(method)
        except Exception as error:
            errors[name] = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        else:
            if first[name][0] > ONCE_ABOVE_SECONDS:
                runs[name].append(first[name])
    again = [name for name in results if not runs[name]]
    for _ in range(repeats):
        for name in again:
            seconds, results[name] = _timed(methods[name])
            runs[name].append(seconds)
    return {
        name: Timing(
            first.get(name, (float("nan"),))[0],
            tuple(clock for clock, _ in runs[name]),
            tuple(cpu for _, cpu in runs[name]),
            results.get(name),
            errors.get(name, ""),
        )
        for name in methods
    }


def _timed(method: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Return (seconds by the clock, processor seconds) and result of a call, with garbage collected before and kept off meanwhile."""
    gc.collect()
    gc.disable()
    try:
        clock, cpu = time.perf_counter(), time.process_time()
        result = method()
        return (time.perf_counter() - clock, time.process_time() - cpu), result
    finally:
        gc.enable()
