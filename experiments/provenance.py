"""What a result rests on: versions, machine, seed, data; and how results are written to disk."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["machine", "plain", "read_json", "run_record", "save_arrays", "versions", "write_json", "write_text"]

PACKAGES = ("epsdelta", "numpy", "scipy", "numba", "scikit-learn", "matplotlib")


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the installed version of Python and of each package; a missing package is left out, and nothing is imported.

    Examples
    --------
    >>> "numpy" in versions(("numpy", "no-such-package"))
    True
    """
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return processor, cores, memory and system: what a time depends on.

    Examples
    --------
    >>> machine()["cores"] >= 1
    True
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def run_record(*, seed: int, tier: str, data: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the record saved beside every figure: seed, tier, data, versions and the hour."""
    return {
        "seed": seed,
        "tier": tier,
        "data": data,
        "versions": versions(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as compressed ``.npz`` that loads with ``allow_pickle=False``.

    Raises
    ------
    TypeError
        If an array holds Python objects, which only a pickle could carry.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"array {name!r} holds Python objects; results are saved without pickle, use a numeric or text dtype")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]  # names are keywords: one could be allow_pickle


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; numpy numbers and arrays become numbers and lists, NaN and infinities become null."""
    write_text(path, json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all: an interrupted run leaves the former version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class _replacing:
    """Hand out a temporary path beside `path` and move it into place when the block ends without error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            # mkstemp makes a private file; results get the permissions any new file would have.
            mask = os.umask(0)
            os.umask(mask)
            self.temporary.chmod(0o666 & ~mask)
            self.temporary.replace(self.path)
        else:
            self.temporary.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Return `value` in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _processor() -> str:
    """Return the processor's name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _memory_gb() -> float:
    """Return the physical memory in GB; NaN where the system does not tell."""
    if sys.platform == "win32":
        return float("nan")
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return float("nan")
