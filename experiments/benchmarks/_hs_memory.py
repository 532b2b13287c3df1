"""Certificates of rows in a file: memory of a process that reads them, and the same numbers from blocks of any size."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._hs_kernels import labelled
from ._lp_leverage import _case
from ._lp_memory import Peak, anonymous_mb
from ._table import Row, Target

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]

COLUMNS, SIGMA, ETA, WRITTEN = 20, 0.05, 0.2, 100_000
PROCESS_MB = 200.0  # interpreter and libraries, a block of rows, moments by bins of the margin
SHARE_OF_FILE = 0.5  # label, margin, distance and its rounding are a fifth of 20 columns; the rest is for band, cone and what passes
BLOCKS = (1000, 77_777, 2**16)


def memory(settings: "Settings") -> Iterator[Row | Target]:
    """Measure processes that certify, and that learn, test and certify, from a memory map: anonymous pages at the peak."""
    rows = 300_000 if settings.quick else 10_000_000
    limit = PROCESS_MB + SHARE_OF_FILE * rows * COLUMNS * 8 / 1e6
    if not Path("/proc/self/status").exists():
        yield Target("memory", "anonymous memory of a certificate, MB", limit, None, "needs Linux's /proc")
        return
    settings.scratch.mkdir(parents=True, exist_ok=True)
    path, labels = settings.scratch / "halfspace.f8", settings.scratch / "halfspace.i1"
    case = f"memmap {_case(rows, COLUMNS)}, {rows * COLUMNS * 8 / 1e9:.2g} GB"
    try:
        normal = write(path, labels, rows, settings.seed)
        for work in ("certificate", "fit"):
            measured = _measure(work, path, labels, normal)
            seconds = measured.pop("seconds")
            name = {"certificate": "massart_certificate", "fit": "TestableHalfspace('massart')"}[work]
            yield Row("memory", case, f"epsdelta {name}", seconds, repeats=1, quality=measured, note="its own process; disk included")
            if work == "certificate":
                reason = "half of the file and the process itself: margins of all rows, coordinates of those in the band and the cone"
                yield Target("memory", f"certificate of a {case}: anonymous MB", limit, measured["peak MB"], reason)
    finally:
        path.unlink(missing_ok=True)
        labels.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another benchmark's file is there
            settings.scratch.rmdir()


def write(path: Path, labels: Path, rows: int, seed: int) -> FloatArray:
    """Write Gaussian rows and noisy labels block by block, and return the normal that labelled them."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(COLUMNS)
    w /= np.linalg.norm(w)
    with open(path, "wb") as file, open(labels, "wb") as label_file:
        for start in range(0, rows, WRITTEN):
            X = rng.standard_normal((min(WRITTEN, rows - start), COLUMNS))
            X.tofile(file)
            np.where((X @ w >= 0.0) ^ (rng.random(len(X)) < ETA), 1, -1).astype(np.int8).tofile(label_file)
    return w


def _measure(work: str, path: Path, labels: Path, normal: FloatArray) -> dict[str, float]:
    """Run the measurement in a fresh process and return what it printed."""
    command = [sys.executable, "-m", __spec__.name, work, str(path), str(labels), json.dumps(normal.tolist())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the memory measurement failed: {done.stderr.strip().splitlines()[-1]}")
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _child(work: str, path: str, labels: str, normal: FloatArray) -> dict[str, float]:
    """Do the work and return the memory that it took."""
    from threadpoolctl import threadpool_limits

    from algos.testable_halfspaces import massart_certificate

    with threadpool_limits(1):
        massart_certificate(*labelled(5000, 3, 0), [1.0, 0.0, 0.0], 0.5, ETA)  # compile before measuring
        y = np.memmap(labels, dtype=np.int8, mode="r")
        X = np.memmap(path, dtype=np.float64, mode="r", shape=(len(y), COLUMNS))
        before, started = anonymous_mb(), time.perf_counter()
        with Peak() as peak:
            found = _certified(X, y, normal) if work == "certificate" else _fitted(X, y)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak MB": peak.highest, "growth MB": peak.highest - before, **found}


def _certified(X: Any, y: Any, normal: FloatArray) -> dict[str, float]:
    from algos.testable_halfspaces import massart_certificate

    certificate = massart_certificate(X, y, normal, SIGMA, ETA)
    return {"eps_hat": certificate.eps_hat, "rows in the band": certificate.n_band}


def _fitted(X: Any, y: Any) -> dict[str, float]:
    from algos.testable_halfspaces import TestableHalfspace

    model = TestableHalfspace("massart", eta=ETA, fit_intercept=False, calibration="theory", on_reject="ignore", random_state=0)
    model.fit(X, y)
    return {"eps_hat": model.eps_hat_, "rows in the band": model.certificate_.n_band}


def blocks(settings: "Settings") -> Iterator[Row | Target]:
    """Count the fields of a certificate that differ when the same rows come in other pieces: from a list of blocks, from a file."""
    from algos.testable_halfspaces import agnostic_certificate, massart_certificate

    rows = 20_000 if settings.quick else 200_000
    settings.scratch.mkdir(parents=True, exist_ok=True)
    path, labels = settings.scratch / "blocks.f8", settings.scratch / "blocks.i1"
    try:
        normal = write(path, labels, rows, settings.seed)
        y, X = np.fromfile(labels, dtype=np.int8), np.fromfile(path).reshape(rows, COLUMNS)
        pieces: dict[str, Any] = {f"blocks of {size}": [X[k : k + size] for k in range(0, rows, size)] for size in BLOCKS}
        pieces |= {"memmap": np.memmap(path, dtype=np.float64, mode="r", shape=X.shape), "column-major array": np.asfortranarray(X)}
        for kind in ("massart", "agnostic"):

            def certificate(table: Any, kind: str = kind) -> Any:
                return massart_certificate(table, y, normal, 0.3, ETA) if kind == "massart" else agnostic_certificate(table, y, normal, 1.0)

            whole, most = certificate(X), 0
            for name, table in pieces.items():
                count = differing_fields(whole, certificate(table))
                most = max(most, count)
                yield Row("blocks", f"{_case(rows, COLUMNS)}, {kind}", name, quality={"fields that differ": count})
            yield Target("blocks", f"{kind} certificate {_case(rows, COLUMNS)}: fields that differ between pieces and whole", 0, most)
    finally:
        path.unlink(missing_ok=True)
        labels.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another benchmark's file is there
            settings.scratch.rmdir()


def differing_fields(first: Any, second: Any) -> int:
    """Return in how many fields two certificates differ, to the last bit.

    Examples
    --------
    >>> from algos.testable_halfspaces import agnostic_certificate
    >>> X, y = labelled(400, 2, 0)
    >>> one, other = agnostic_certificate(X, y, [1.0, 0.0], 0.5), agnostic_certificate(X, y, [1.0, 0.0], 0.75)
    >>> differing_fields(one, one), differing_fields(one, other) > 3
    (0, True)
    """
    return sum(not _same(getattr(first, item.name), getattr(second, item.name)) for item in fields(first))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray | float):
        return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
    return bool(a == b)


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], sys.argv[2], sys.argv[3], np.array(json.loads(sys.argv[4])))))
