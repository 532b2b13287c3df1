"""Violations kept for good: numbers and arrays as exact hex floats in a text file, measured again on request.

Random streams may change between releases of numpy; what was drawn does not.  A stored counterexample therefore holds the instance
itself and the state of the generator at the start of the trial.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from proofs_check import comparing
from proofs_check.catalogue import Catalogue, load_catalogue
from proofs_check.evidence import BlockRecord, Counterexample, Verdict
from proofs_check.measuring import Trial, Trials, Unit, compare_trial, is_violation
from proofs_check.model import DETERMINISTIC, Claim, Family, Instance, InstanceKey
from proofs_check.pinning import PINNED, pinned
from proofs_check.records import plain
from proofs_check.shrink import ShrinkStep

_MAX_NUMBERS = 200_000  # beyond this an instance is kept by its seed and a digest of its bytes: the file would exceed some megabytes
FORMAT = 1


class CounterexampleError(ValueError):
    """A stored counterexample that cannot be read or no longer fits its claim."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What measuring a stored counterexample again gave."""

    id: str
    claim: str
    violated: bool
    measured: float
    bound: float
    stored_measured: float
    stored_bound: float


# --------------------------------------------------------------------------------------------------------------------- exact text


def encode(value: Any) -> Any:
    """Turn a value into JSON that gives back the same bits; floats become hex.

    Raises
    ------
    TypeError
        A type that has no exact text.

    Examples
    --------
    >>> decode(encode({"x": np.array([0.1, np.inf]), "n": 3}))["x"].tolist()
    [0.1, inf]
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, Fraction):
        return {"fraction": [str(value.numerator), str(value.denominator)]}
    if isinstance(value, np.generic):
        return {"scalar": encode(np.asarray(value))}
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if isinstance(value, Mapping):
        return {"mapping": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [encode(item) for item in value]}
    if hasattr(value, "tocsr"):
        rows = value.tocsr()
        return {"csr": [encode(rows.data), encode(rows.indices), encode(rows.indptr), list(rows.shape)]}
    raise TypeError(f"{type(value).__name__} has no exact text")


def _encode_array(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array of {array.dtype} has no exact text")
    if array.dtype.kind != "f":
        items: list[Any] = array.ravel().tolist()
    elif array.dtype.itemsize > 8:
        raise TypeError("long double arrays have no portable text")
    else:
        items = [float(item).hex() for item in array.ravel()]
    return {"array": [str(array.dtype), list(array.shape), items]}


def decode(value: Any) -> Any:
    """Undo :func:`encode`."""
    if not isinstance(value, dict):
        return value
    (kind, body), *rest = value.items()
    if rest:
        raise CounterexampleError(f"unknown structure with keys {sorted(value)}")
    if kind == "float":
        return float.fromhex(body)
    if kind == "fraction":
        return Fraction(int(body[0]), int(body[1]))
    if kind == "scalar":
        return decode(body)[()]
    if kind == "array":
        dtype, shape, items = body
        numbers = [float.fromhex(item) for item in items] if np.dtype(dtype).kind == "f" else items
        return np.array(numbers, dtype=dtype).reshape(shape)
    if kind == "mapping":
        return {decode(key): decode(item) for key, item in body}
    if kind in ("tuple", "list"):
        items = [decode(item) for item in body]
        return tuple(items) if kind == "tuple" else items
    if kind == "csr":
        from scipy.sparse import csr_array

        return csr_array((decode(body[0]), decode(body[1]), decode(body[2])), shape=tuple(body[3]))
    raise CounterexampleError(f"unknown kind {kind!r}")


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    if hasattr(value, "nnz"):
        return int(value.nnz)
    return sum(_size(item) for item in value.values()) if isinstance(value, Mapping) else 1


# ------------------------------------------------------------------------------------------------------------------------ capture


def capture(verdict: Verdict, unit: Unit, record: BlockRecord, folder: Path | None, steps: Sequence[ShrinkStep] = ()) -> Verdict:
    """Store the clearest violation of a refuted claim and return the verdict with it.

    Parameters
    ----------
    verdict : Verdict
        A refutation.
    unit : Unit
        The block that holds the violation, for a single level.
    record : BlockRecord
        Its record; ``argmax_trial`` is the trial.
    folder : Path or None
        Folder of the run; None keeps the counterexample in memory only.
    steps : sequence of ShrinkStep
        How the problem was shrunk.
    """
    source = Trials(unit)
    rng = unit.random_stream()
    state: Any = None
    for _ in range(record.argmax_trial + 1):
        instance = source.instance(rng)
        state = rng.bit_generator.state
        trial = source.measure(instance, rng)
    measured, bound, slack = _numbers(source, record.level, trial)
    body = {
        "format": FORMAT,
        "claim": verdict.claim,
        "version": unit.claim.version,
        "subject": record.subject,
        "family": record.family,
        "instance": record.instance,
        "point": _point(unit.family.grid[unit.instance]),
        "stream": unit.stream,
        "level": None if record.level is None else record.level.hex(),
        "block": record.block,
        "trial": record.argmax_trial,
        "root": unit.root,
        **_problem(trial.instance),
        "generator": _state_text(state),
        "measured": measured.hex(),
        "bound": bound.hex(),
        "slack": slack.hex(),
        "ladder_slope": record.ladder_slope,
        "shrink": plain(steps),
        "versions": plain(verdict.provenance.get("versions", {})),
    }
    text = json.dumps(body, indent=1)
    name = hashlib.sha256(text.encode()).hexdigest()[:8]
    path = ""
    if folder is not None:
        file = folder / "counterexamples" / verdict.claim / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
        path = str(file)
    label = next(
        part.label
        for part in unit.claim.parts()
        if (part.subject, part.family, part.instance, part.level) == (record.subject, record.family, record.instance, record.level)
    )
    found = Counterexample(name, verdict.claim, "", label, measured, bound, slack, path)
    return replace(verdict, counterexamples=(*verdict.counterexamples, found))


def _problem(instance: Instance) -> dict[str, Any]:
    """Return the arrays of an instance, or only their digest when they are too many or have no exact text."""
    if _size(instance.params) + _size(instance.data) <= _MAX_NUMBERS and instance.env is None:
        try:
            return {"params": encode(dict(instance.params)), "data": encode(dict(instance.data))}
        except TypeError:
            pass
    return {"rebuild": True}


def _point(point: Mapping[str, Any]) -> Any:
    """Return the grid point as exact text (None where it has none): a shrunk or searched one is in no catalogue."""
    try:
        return encode(dict(point)) if _size(point) <= _MAX_NUMBERS else None
    except TypeError:
        return None


def _state_text(state: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: str(value) for key, value in state["state"].items()}
    return {"bit_generator": state["bit_generator"], "state": inner, "has_uint32": state["has_uint32"], "uinteger": state["uinteger"]}


def _numbers(source: Trials, level: float | None, trial: Trial) -> tuple[float, float, float]:
    """Return measured value, bound and slack of one trial (largest ratio for arrays)."""
    if source.claim.kind in DETERMINISTIC and source.claim.kind != "witness":
        compared = compare_trial(source, level, trial)
        return compared.measured, compared.bound, compared.slack
    value = _scalar(comparing.high(trial.outcome.value))
    bound = source.bound(trial.instance, level) if source.claim.kind != "lower" else None
    if bound is None and trial.outcome.claimed is not None:
        bound = trial.outcome.claimed
    limit = float("nan") if bound is None else _scalar(comparing.low(bound))
    slack = float("nan") if bound is None else float(comparing.ratios(value, limit).max())
    return value, limit, slack


def _scalar(value: Any) -> float:
    return float(np.max(np.asarray(value, dtype=np.float64)))


# ------------------------------------------------------------------------------------------------------------------------- replay


def find(name: str, runs: Path) -> Path:
    """Return the stored file of a counterexample: a path, or an id (or its beginning) below the folder of runs.

    Raises
    ------
    CounterexampleError
        None or several match.
    """
    if Path(name).is_file():
        return Path(name)
    hits = sorted({path.stem: path for path in sorted(runs.rglob(f"counterexamples/*/{name}*.json"))}.values())
    if len(hits) != 1:
        known = ", ".join(sorted({path.stem for path in runs.rglob("counterexamples/*/*.json")})[:10]) or "none"
        raise CounterexampleError(f"{len(hits)} counterexamples match {name!r} below {runs}; stored: {known}")
    return hits[0]


def replay(name: str | Path, *, catalogue: Catalogue | str | None = None, runs: str | Path = "build/runs") -> Replay:
    """Measure a stored counterexample again with today's code.

    Parameters
    ----------
    name : str or Path
        File, or id below ``runs``.
    catalogue : Catalogue, "module:name" or None
        Where the claim is; None for the package's own.

    Returns
    -------
    Replay
        ``violated`` tells whether the stored instance still violates the claim.

    Raises
    ------
    CounterexampleError
        The file or its claim cannot be used.
    """
    path = find(str(name), Path(runs))
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body.get("format") != FORMAT:
            raise CounterexampleError(f"{path}: format {body.get('format')!r}, this version reads {FORMAT}")
        everything = catalogue if isinstance(catalogue, Catalogue) else load_catalogue(catalogue)
        if body["claim"] not in everything:
            raise CounterexampleError(f"{path}: claim {body['claim']!r} is not in the catalogue; name it with --catalogue")
        stored = float.fromhex(body["measured"]), float.fromhex(body["bound"])
        source, trial, level = _measure_again(body, everything)
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise CounterexampleError(f"{path}: not a counterexample of this claim ({type(error).__name__}: {error})") from error
    measured, bound, _ = _numbers(source, level, trial)
    return Replay(
        path.stem,
        body["claim"],
        is_violation(source, level, trial),
        measured,
        bound,
        *stored,
    )


def _family(claim: Claim, name: str, index: int, point: Mapping[str, Any] | None) -> Family:
    """Return the family of a counterexample with its own grid point in its place (which names the random stream)."""
    base = next(family for family in claim.families if name in (family.name, family.name + PINNED))
    if point is None:
        return base
    grid = (point,) * (index + 1)
    return replace(base, grid=grid) if name == base.name else pinned(base, grid)


def _measure_again(body: Mapping[str, Any], everything: Catalogue) -> tuple[Trials, Trial, float | None]:
    claim = everything[body["claim"]]
    family = _family(claim, body["family"], body["instance"], decode(body["point"]))
    subject = next(subject for subject in claim.subjects if subject.name == body["subject"])
    level = None if body["level"] is None else float.fromhex(body["level"])
    unit = Unit(
        claim, None, "", subject, family, body["instance"], (level,), body["stream"], body["block"], 1, "quick", body["root"],
        f"replay {json.dumps(body['point'])}", claim.tiers["quick"].seconds,
    )  # fmt: skip
    source = Trials(unit)
    if body.get("rebuild"):
        rng = unit.random_stream()
        for _ in range(body["trial"] + 1):
            trial = source.measure(source.instance(rng), rng)
        return source, trial, level
    instance = Instance(decode(body["params"]), decode(body["data"]), key=InstanceKey(body["family"], body["instance"]))
    bits = np.random.PCG64DXSM()
    stored = body["generator"]
    bits.state = cast(Any, {**stored, "state": {key: int(value) for key, value in stored["state"].items()}})
    return source, source.measure(instance, np.random.Generator(bits)), level
