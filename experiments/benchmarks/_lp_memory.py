"""Anonymous memory of leverage scores on a memory-mapped file larger than what may be held."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._table import Row, Target

if TYPE_CHECKING:
    from . import Settings

COLUMNS = 50
FULL_BYTES, QUICK_BYTES = 4_000_000_000, 200_000_000
LIMIT_MB = 300.0
POLL_SECONDS = 0.005


def memory(settings: "Settings") -> Iterator[Row | Target]:
    """Measure a process that computes leverage scores of a memory map: anonymous pages at the peak, less the returned array."""
    if not Path("/proc/self/status").exists():
        yield Target("memory", "anonymous memory beyond the returned array, MB", LIMIT_MB, None, "needs Linux's /proc")
        return
    rows = (QUICK_BYTES if settings.quick else FULL_BYTES) // (8 * COLUMNS)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    path = settings.scratch / "leverage.f8"
    try:
        _write(path, rows, settings)
        measured = _measure(path, rows)
    finally:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another benchmark's file is there
            settings.scratch.rmdir()
    case = f"memmap {rows * COLUMNS * 8 / 1e9:.2g} GB, {COLUMNS} columns"
    quality = {name: measured[name] for name in ("peak beyond result MB", "growth beyond result MB", "sum of scores")}
    yield Row(
        "memory", case, "epsdelta leverage_scores", measured["seconds"], repeats=1, quality=quality, note="its own process; disk included"
    )
    yield Target("memory", f"leverage of a {case}: anonymous MB beyond the returned array", LIMIT_MB, measured["peak beyond result MB"])


def _write(path: Path, rows: int, settings: "Settings") -> None:
    """Write a Gaussian matrix block by block."""
    rng = np.random.default_rng(settings.seed)
    block = 100_000
    with open(path, "wb") as file, settings.progress.step("writing the memory map", rows // block) as step:
        for start in range(0, rows, block):
            rng.standard_normal((min(block, rows - start), COLUMNS)).tofile(file)
            step.advance()


def _measure(path: Path, rows: int) -> dict[str, float]:
    """Run the measurement in a fresh process and return what it printed."""
    command = [sys.executable, "-m", __spec__.name, str(path), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the memory measurement failed: {done.stderr.strip().splitlines()[-1]}")
    result: dict[str, float] = json.loads(done.stdout)
    return result


def anonymous_mb() -> float:
    """Return this process's anonymous resident memory in MB (10^6 bytes), as Linux counts it.

    Examples
    --------
    >>> anonymous_mb() > 1
    True
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status has no RssAnon line; Linux 4.5 or newer is needed")


class Peak:
    """Poll the anonymous memory in a thread while a block runs."""

    def __enter__(self) -> "Peak":
        self.highest, self._stop = anonymous_mb(), threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()
        return self

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.highest = max(self.highest, anonymous_mb())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.highest = max(self.highest, anonymous_mb())


def _child(path: str, rows: int) -> dict[str, float]:
    """Compute the scores and return the memory they took."""
    from threadpoolctl import threadpool_limits

    from algos.lp_embeddings import leverage_scores

    with threadpool_limits(1):
        leverage_scores(np.random.default_rng(0).standard_normal((5000, COLUMNS)))  # compile before measuring
        A = np.memmap(path, dtype=np.float64, mode="r", shape=(rows, COLUMNS))
        before = anonymous_mb()
        started = time.perf_counter()
        with Peak() as peak:
            scores = leverage_scores(A)
        seconds = time.perf_counter() - started
    result = scores.nbytes / 1e6
    return {
        "seconds": seconds,
        "peak beyond result MB": peak.highest - result,
        "growth beyond result MB": peak.highest - before - result,
        "sum of scores": float(scores.sum()),
    }


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], int(sys.argv[2]))))
