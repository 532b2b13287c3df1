"""Violations kept for good: numbers and arrays as exact hex floats in a text file, measured again on request.

Random streams may change between releases of numpy; what was drawn does not.  A stored counterexample therefore holds the instance
itself and the state of the generator at the start of the trial.

Whether the claim is violated is always measured, never read.  A file with a digest of something else is refused; while the code is the one
that wrote the file, instance and numbers must moreover come out of the seed again.  What nobody can tell is whether a file with a correct
digest was made by an older version of the code or by hand: its instance then need not belong to the claim's families.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from proofs_check import comparing
from proofs_check.catalogue import Catalogue, load_catalogue
from proofs_check.evidence import BlockRecord, Counterexample, Verdict
from proofs_check.exact import ExactTextError, count_numbers, decode, encode, seal, unseal
from proofs_check.measuring import Trial, Trials, Unit, compare_trial, is_violation
from proofs_check.model import DETERMINISTIC, Claim, Family, Instance, InstanceKey
from proofs_check.pinning import PINNED, pinned
from proofs_check.provenance import digest_of, fingerprint
from proofs_check.records import plain
from proofs_check.shrink import ShrinkStep

_MAX_NUMBERS = 200_000  # beyond this an instance is kept by its seed and a digest of its bytes: the file would exceed some megabytes
FORMAT = 2


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
    same_code: bool = False  # as when the file was written: then instance and numbers were checked against the seed


# ------------------------------------------------------------------------------------------------------------------------ capture


def capture(
    verdict: Verdict, claim: Claim, unit: Unit, record: BlockRecord, folder: Path | None, steps: Sequence[ShrinkStep] = ()
) -> Verdict:
    """Store the clearest violation of a refuted claim and return the verdict with it.

    Parameters
    ----------
    verdict : Verdict
        A refutation.
    claim : Claim
        The claim as its catalogue holds it (that of the unit may have been searched or shrunk): its code is named in the file.
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
        "fingerprint": fingerprint(claim, unit.tier, unit.root),
        "tier": unit.tier,
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
    text, digest = seal(body)
    name, path = digest[:8], ""
    if folder is not None:
        file = folder / "counterexamples" / verdict.claim / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
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
    if count_numbers(instance.params) + count_numbers(instance.data) <= _MAX_NUMBERS and instance.env is None:
        try:
            return {"params": encode(dict(instance.params)), "data": encode(dict(instance.data))}
        except TypeError:
            pass
    return {"rebuild": True, "digest": None if instance.env is not None else digest_of([dict(instance.params), dict(instance.data)])}


def _point(point: Mapping[str, Any]) -> Any:
    """Return the grid point as exact text (None where it has none): a shrunk or searched one is in no catalogue."""
    try:
        return encode(dict(point)) if count_numbers(point) <= _MAX_NUMBERS else None
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
        Not an id, or none or several match.
    """
    if Path(name).is_file():
        return Path(name)
    stored = sorted({path.stem: path for path in sorted(runs.rglob("counterexamples/*/*.json"))}.items())
    known = ", ".join(stem for stem, _ in stored[:10]) + (", ..." if len(stored) > 10 else "") or "none"
    if not re.fullmatch("[0-9a-f]{1,64}", name):
        raise CounterexampleError(
            f"{name!r} is neither a file nor an id: name one counterexample by its id (or its beginning), such as 9f2c, or by its file; "
            f"stored below {runs}: {known}"
        )
    hits = [path for stem, path in stored if stem.startswith(name)]
    if len(hits) != 1:
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
        The file or its claim cannot be used: it was edited, or its instance and numbers do not come from this claim.
    """
    path = find(str(name), Path(runs))
    try:
        body = unseal(path.read_text(encoding="utf-8"))
        if body.get("format") != FORMAT:
            raise CounterexampleError(f"{path}: format {body.get('format')!r}, this version reads {FORMAT}")
        everything = catalogue if isinstance(catalogue, Catalogue) else load_catalogue(catalogue)
        if body["claim"] not in everything:
            raise CounterexampleError(f"{path}: claim {body['claim']!r} is not in the catalogue; name it with --catalogue")
        claim = everything[body["claim"]]
        stored = float.fromhex(body["measured"]), float.fromhex(body["bound"])
        source, trial, level = _measure_again(body, claim)
        measured, bound, _ = _numbers(source, level, trial)
        same_code = body["fingerprint"] == fingerprint(claim, body["tier"], body["root"])
        foreign = _foreign(body, source, (measured, bound) == stored) if same_code else ""
    except (ExactTextError, UnicodeDecodeError) as error:
        raise CounterexampleError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise CounterexampleError(f"{path}: not a counterexample of this claim ({type(error).__name__}: {error})") from error
    if foreign:
        raise CounterexampleError(f"{path}: this file's numbers do not come from this claim: {foreign}, though the code is the same")
    return Replay(path.stem, body["claim"], is_violation(source, level, trial), measured, bound, *stored, same_code)


def _foreign(body: Mapping[str, Any], source: Trials, equal: bool) -> str:
    """Say in what a file differs from what its seed gives under the code that wrote it (empty where nothing does)."""
    if not equal:
        return (
            f"measured and bound are {body['measured']} and {body['bound']} in the file, and others when they are computed from its arrays"
        )
    rng = source.unit.random_stream()
    fresh = Trials(source.unit)
    for _ in range(body["trial"] + 1):
        instance = fresh.instance(rng)
        state = _state_text(rng.bit_generator.state)
        fresh.measure(instance, rng)
    drawn = json.loads(json.dumps(_problem(instance)))
    if any(body.get(name) != value for name, value in drawn.items()):
        return "its instance is not the one that its seed gives"
    return "" if state == body["generator"] else "its generator is not the one that its seed gives"


def _family(claim: Claim, name: str, index: int, point: Mapping[str, Any] | None) -> Family:
    """Return the family of a counterexample with its own grid point in its place (which names the random stream)."""
    base = next(family for family in claim.families if name in (family.name, family.name + PINNED))
    if point is None:
        return base
    grid = (point,) * (index + 1)
    return replace(base, grid=grid) if name == base.name else pinned(base, grid)


def _measure_again(body: Mapping[str, Any], claim: Claim) -> tuple[Trials, Trial, float | None]:
    family = _family(claim, body["family"], body["instance"], decode(body["point"]))
    subject = next(subject for subject in claim.subjects if subject.name == body["subject"])
    level = None if body["level"] is None else float.fromhex(body["level"])
    unit = Unit(
        claim, None, "", subject, family, body["instance"], (level,), body["stream"], body["block"], 1, body["tier"], body["root"],
        f"replay {json.dumps(body['point'])}", claim.tiers["quick"].seconds,
    )  # fmt: skip
    source = Trials(unit)
    if body.get("rebuild"):
        rng = unit.random_stream()
        for _ in range(body["trial"] + 1):
            trial = source.measure(source.instance(rng), rng)
        digest = _problem(trial.instance).get("digest")
        if body["digest"] not in (None, digest):
            raise CounterexampleError("its instance was too large to be stored, and its seed gives another one today")
        return source, trial, level
    instance = Instance(decode(body["params"]), decode(body["data"]), key=InstanceKey(body["family"], body["instance"]))
    bits = np.random.PCG64DXSM()
    stored = body["generator"]
    bits.state = cast(Any, {**stored, "state": {key: int(value) for key, value in stored["state"].items()}})
    return source, source.measure(instance, np.random.Generator(bits)), level
