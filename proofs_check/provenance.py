"""What a number depends on: fingerprints of claims, and the versions and machine behind a run."""

import hashlib
import inspect
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from proofs_check.evidence import SCHEMA
from proofs_check.model import Claim, Mutant, Tier

_PACKAGES = ("epsdelta", "numpy", "scipy", "scikit-learn", "numba", "joblib")


def fingerprint(claim: Claim, tier: Tier, root: int) -> str:
    """Hash everything that a block's numbers depend on: statement, sources of all functions, alphas, block size, root, versions.

    Records of different fingerprints are never combined.
    """
    known = _known.get((id(claim), tier, root))
    if known is not None and known[0] is claim:
        return known[1]
    found = _fingerprint(claim, tier, root)
    _known[id(claim), tier, root] = (claim, found)  # the claim is kept, so that its id stays its own
    while len(_known) > _REMEMBERED:
        del _known[next(iter(_known))]
    return found


_REMEMBERED = 256
_known: dict[tuple[int, Tier, int], tuple[Claim, str]] = {}


def _fingerprint(claim: Claim, tier: Tier, root: int) -> str:
    rule = claim.rule
    numbers = (
        claim.id,
        claim.version,
        claim.kind,
        rule.alpha_R,
        rule.alpha_A,
        rule.levels,
        rule.delta_in_algorithm,
        rule.bracket_miss,
        root,
    )
    pieces: list[Any] = [
        *numbers,
        claim.tiers[tier].block,
        claim.tiers[tier].search_evals,
        SCHEMA,
        np.__version__,
        _package("scipy"),
        _package("proofs_check"),
    ]
    pieces += [claim.measure, claim.requires, claim.ladder, rule.budget, claim.bound]
    for family in claim.families:
        pieces += [family.name, family.build, family.draw, family.role, family.search, *family.grid]
    for subject in claim.subjects:
        pieces += [subject.name, subject.impl]
    return hashlib.sha256("\n".join(_code(piece) for piece in pieces).encode()).hexdigest()[:16]


def mutant_fingerprint(base: str, mutant: Mutant) -> str:
    """Extend a claim's fingerprint by the mistake that is injected."""
    return hashlib.sha256(f"{base}|{mutant.where}|{_code(mutant.make)}".encode()).hexdigest()[:16]


def digest_of(value: Any) -> str:
    """Name a value by a digest of its exact content."""
    return hashlib.sha256(_code(value).encode()).hexdigest()[:16]


@cache
def _package(name: str) -> str:
    """Identify the code of a top-level package: its version where installed, the hash of its sources where it is being edited."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or file is None or "site-packages" in file or file.startswith(sys.base_prefix) or not Path(file).is_file():
        return f"{name}=={getattr(module, '__version__', platform.python_version())}"
    path = Path(file)
    sources = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.relative_to(path.parent).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _code(value: Any) -> str:
    """Identify a value: functions and classes by source and package, arrays by their bytes, the rest by ``repr`` without addresses."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest() + f"{value.dtype}{value.shape}"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_code(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "(" + ",".join(map(_code, value)) + ")"
    if isinstance(value, partial):
        return f"partial({_code(value.func)},{_code(value.args)},{_code(value.keywords)})"
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__ + "(" + ",".join(_code(getattr(value, f.name)) for f in fields(value)) + ")"
    if callable(value):
        return _callable(value)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _callable(value: Any) -> str:
    package = _package(str(getattr(value, "__module__", None) or type(value).__module__).split(".")[0])
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        source = type(value).__name__ if code is None else f"{code.co_code.hex()}{code.co_names}{code.co_consts}"
    return re.sub(r" at 0x[0-9a-f]+", "", f"{getattr(value, '__qualname__', '')}|{package}|{source}|{_bound_values(value)}")


def _bound_values(function: Any) -> str:
    """Identify the constants that a function carries: its defaults and what it closes over.

    Values that may change while they are held (lists, counters) are left out: they are state, and state is what the repetition of blocks
    is for.
    """
    held = [*(getattr(function, "__defaults__", None) or ()), *(getattr(function, "__kwdefaults__", None) or {}).values()]
    for cell in getattr(function, "__closure__", None) or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # a name that is bound later
            continue
    return ",".join(_code(item) for item in held if _is_constant(item))


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, bool | int | float | complex | str | bytes | Fraction | np.ndarray | np.generic)


def provenance() -> dict[str, Any]:
    """Collect versions, commit and processor: what a reader needs to repeat the run."""
    return {**_machine(), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


@cache
def _machine() -> dict[str, Any]:
    """Look once per process: the code that runs is the code that was loaded."""
    from importlib.metadata import PackageNotFoundError, version

    import threadpoolctl

    versions: dict[str, str] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    blas = {f"{lib.get('internal_api')} {lib.get('version')}" for lib in threadpoolctl.threadpool_info() if lib.get("user_api") == "blas"}
    commit, dirty = _commit()
    return {
        "versions": versions,
        "commit": commit,
        "dirty": dirty,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "blas": sorted(blas),
    }


def _commit() -> tuple[str, bool | None]:
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10, check=True)
        status = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "", None
    return head.stdout.strip(), bool(status.stdout.strip())
