"""Coresets of streams: time against plain passes over the same blocks, and memory for more rows than fit into it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._lp_leverage import _case, ratio
from ._lp_memory import Peak, anonymous_mb
from ._table import Row, Target
from ._timing import interleave

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]

GRAM = "floor: Gram matrix of every block (syrk)"
COLUMNS, SIZE = 20, 1000
BLOCK, ODD_BLOCK = 2**16, 50_000
SPEED = {"root_leverage": 4.0, "lewis": 60.0}  # Gram passes that a stream may take
LIMIT_MB = 100.0  # a leaf of 2**16 rows is 10 MB; the whole table of the full run would be 3.2 GB


def streaming(settings: "Settings") -> Iterator[Row | Target]:
    """Compress blocks that are in memory: units are passes that only compute the Gram matrix of each block."""
    rows = 200_000 if settings.quick else 2_000_000
    X = np.random.default_rng(settings.seed).standard_t(3, (rows, COLUMNS))
    for block in (BLOCK, ODD_BLOCK):
        methods: dict[str, Callable[[], Any]] = {GRAM: partial(gram_of_blocks, X, block)}
        methods |= {f"epsdelta LpCoreset({reduction!r})": partial(coreset_of_blocks, X, block, reduction) for reduction in SPEED}
        times = interleave(methods, settings.repeats)
        case = f"{_case(rows, COLUMNS)}, blocks of {block}"
        for method, timing in times.items():
            yield Row("streaming", case, method, **timing.fields(), quality={} if method == GRAM else _quality(X, timing.result))
        if settings.quick or block != BLOCK:  # blocks that cut leaves are copied: shown, not promised
            continue
        for reduction, limit in SPEED.items():
            taken = ratio(times[f"epsdelta LpCoreset({reduction!r})"], times[GRAM])
            yield Target("streaming", f"stream of {case}, {reduction}: time / Gram pass", limit, taken)


def gram_of_blocks(X: FloatArray, block: int) -> FloatArray:
    """Return the Gram matrix, a block at a time.

    Examples
    --------
    >>> gram_of_blocks(np.ones((5, 2)), 2).tolist()
    [[5.0, 5.0], [5.0, 5.0]]
    """
    total = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, X.shape[0], block):
        rows = X[start : start + block]
        total += rows.T @ rows
    return total


def coreset_of_blocks(X: FloatArray, block: int, reduction: str) -> Any:
    """Return a coreset that has seen the rows in blocks, its result computed."""
    from algos.lp_embeddings import LpCoreset

    coreset = LpCoreset(1.0, SIZE, reduction=reduction, random_state=0)  # type: ignore[arg-type]
    for start in range(0, X.shape[0], block):
        coreset.partial_fit(X[start : start + block])
    assert len(coreset.rows_)
    return coreset


def _quality(X: FloatArray, coreset: Any) -> dict[str, float]:
    """Return the rows kept and the largest error of the norm in a few directions."""
    x = np.random.default_rng(0).standard_normal((X.shape[1], 8))
    errors = np.abs(coreset.row_weights_ @ np.abs(coreset.rows_ @ x) / np.abs(X @ x).sum(axis=0) - 1.0)
    return {"rows kept": len(coreset.rows_), "largest error in 8 directions": float(errors.max())}


def stream_memory(settings: "Settings") -> Iterator[Row | Target]:
    """Measure a process that generates rows, streams them into a coreset and forgets them: anonymous pages at the peak."""
    if not Path("/proc/self/status").exists():
        yield Target("stream_memory", "anonymous memory of a stream, MB", LIMIT_MB, None, "needs Linux's /proc")
        return
    rows = 1_000_000 if settings.quick else 20_000_000
    command = [sys.executable, "-m", __spec__.name, str(rows), str(settings.seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the memory measurement failed: {done.stderr.strip().splitlines()[-1]}")
    measured: dict[str, float] = json.loads(done.stdout)
    seconds = measured.pop("seconds")
    case = f"{_case(rows, COLUMNS)} generated"
    yield Row("stream_memory", case, "epsdelta LpCoreset('root_leverage')", seconds, repeats=1, quality=measured, note="its own process")
    yield Target("stream_memory", f"stream of {case}: growth of anonymous memory, MB", LIMIT_MB, measured["growth MB"])


def _child(rows: int, seed: int) -> dict[str, float]:
    """Stream generated rows and return the memory that it took; norms of the rows are added up exactly on the way."""
    from threadpoolctl import threadpool_limits

    from algos.lp_embeddings import LpCoreset

    rng = np.random.default_rng(seed)
    x = rng.standard_normal((COLUMNS, 8))
    with threadpool_limits(1):
        warm = LpCoreset(1.0, SIZE, leaf=2 * SIZE, reduction="root_leverage", random_state=0)
        assert len(warm.partial_fit(rng.standard_normal((8 * SIZE, COLUMNS))).rows_)  # compile before measuring
        coreset = LpCoreset(1.0, SIZE, reduction="root_leverage", random_state=seed)
        norms, taken = np.zeros(8), 0.0
        before = anonymous_mb()
        with Peak() as peak:
            for start in range(0, rows, BLOCK):
                block = rng.standard_normal((min(BLOCK, rows - start), COLUMNS))
                norms += np.abs(block @ x).sum(axis=0)
                started = time.perf_counter()
                coreset.partial_fit(block)
                taken += time.perf_counter() - started
            kept = coreset.rows_
    errors = np.abs(coreset.row_weights_ @ np.abs(kept @ x) / norms - 1.0)
    return {
        "seconds": taken,
        "growth MB": peak.highest - before,
        "peak MB": peak.highest,
        "rows kept": len(kept),
        "largest error in 8 directions": float(errors.max()),
    }


if __name__ == "__main__":
    print(json.dumps(_child(int(sys.argv[1]), int(sys.argv[2]))))
