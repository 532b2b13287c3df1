"""JSON lines: block records that survive a kill.

A file begins with a header; every further line is one finished block with a checksum.  A last line cut by a kill is dropped and written
again by the resumed run; anything else that is wrong is refused with its line number.  Nothing is ever unpickled.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from proofs_check.evidence import SCHEMA, BlockRecord

FSYNC_SECONDS = 2.0
_TUPLES = ("log_wealth_R", "log_wealth_A", "slack_hist", "values", "gaps")
_FLOATS = ("slack_min", "slack_max", "ladder_slope", "seconds", "level")


class RecordError(ValueError):
    """A record file that cannot be trusted; the message names the file and the line."""


class NonDeterministicError(ValueError):
    """The same block was measured twice with different results."""


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The content of a record file: header, records by key, and what had to be repaired."""

    header: Mapping[str, Any]
    records: Mapping[tuple[Any, ...], BlockRecord]
    notes: tuple[str, ...] = ()
    good_bytes: int = 0  # length of the intact prefix


# ----------------------------------------------------------------------------------------------------------------------- numbers


def plain(value: Any) -> Any:
    """Turn a value into what strict JSON can hold; numbers that are not finite become the strings ``"inf"``, ``"-inf"`` and ``"nan"``."""
    if isinstance(value, bool | str | int | None):
        return value
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return str(value)


def dumps(value: Any) -> str:
    """Write one line of strict JSON."""
    return json.dumps(plain(value), allow_nan=False, separators=(",", ":"), ensure_ascii=False)


# ------------------------------------------------------------------------------------------------------------------- record files


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def encode_record(record: BlockRecord) -> str:
    """Write one record as a line; defaults are left out, the checksum comes last."""
    body = {name: value for name, value in record.to_dict().items() if name not in _DEFAULTS or value != _DEFAULTS[name]}
    text = dumps(body)
    return text[:-1] + f',"sha":"{_checksum(text)}"}}'


def same_content(a: BlockRecord, b: BlockRecord) -> bool:
    """Tell whether two records agree to the last digit, times apart."""
    return encode_record(a.content()) == encode_record(b.content())


_DEFAULTS = {f.name: f.default for f in fields(BlockRecord) if f.default is not MISSING and f.name != "schema"}


def decode_record(line: str) -> BlockRecord:
    """Read one line.

    Raises
    ------
    ValueError
        Not JSON, a wrong checksum, another schema, or fields that do not belong.
    """
    body = json.loads(line)
    if not isinstance(body, dict) or "sha" not in body:
        raise ValueError("no block record")
    sha = body.pop("sha")
    if sha != _checksum(dumps(body)):
        raise ValueError("checksum does not match: the line was edited or damaged")
    if body.get("schema") != SCHEMA:
        raise ValueError(f"schema {body.get('schema')!r}, this version reads {SCHEMA}")
    for name in _TUPLES:
        if name in body:
            body[name] = tuple(float(item) if isinstance(item, str) else item for item in body[name])
    for name in _FLOATS:
        if body.get(name) is not None:
            body[name] = float(body[name])
    try:
        record = BlockRecord(**body)
        possible = (
            0 <= record.k_lo <= record.k_hi <= record.n
            and 0 <= min(record.void, record.accepts) <= max(record.void, record.accepts) <= record.n
        )
    except TypeError as error:
        raise ValueError(str(error)) from None
    if not possible:
        raise ValueError(f"counts that no block can have: n={record.n}, failures {record.k_lo} to {record.k_hi}, void {record.void}")
    return record


def load_records(path: str | Path) -> RecordFile:
    """Read a record file.

    A truncated last line is dropped (and noted), an exact duplicate is ignored.

    Parameters
    ----------
    path : str or Path
        A ``records.jsonl`` file, or the folder that holds one.

    Returns
    -------
    RecordFile

    Raises
    ------
    RecordError
        The header is missing or foreign, or a line before the last cannot be trusted.
    NonDeterministicError
        Two lines give different results for the same block.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "records.jsonl"
    raw = path.read_bytes()
    lines = raw.split(b"\n")
    header = _header(path, lines[0], complete=len(lines) > 1)
    records: dict[tuple[Any, ...], BlockRecord] = {}
    notes: list[str] = []
    good = len(lines[0]) + 1
    for number, line in enumerate(lines[1:], start=2):
        last = number == len(lines)
        if last:
            if line:
                notes.append(f"{path}:{number}: truncated last line dropped")
            break
        try:
            record = decode_record(line.decode())
        except (ValueError, UnicodeDecodeError) as error:
            raise RecordError(f"{path}:{number}: {error}; remove the line or start a new run") from error
        known = records.get(record.key)
        if known is None:
            records[record.key] = record
        elif known.fingerprint == record.fingerprint and not same_content(known, record):
            raise NonDeterministicError(f"{path}:{number}: block {record.key} was measured twice with different results")
        good += len(line) + 1
    return RecordFile(header, records, tuple(notes), good)


def _header(path: Path, line: bytes, complete: bool) -> dict[str, Any]:
    try:
        header = json.loads(line) if complete else None
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("type") != "header" or header.get("schema") != SCHEMA:
        raise RecordError(f"{path}:1: no header of schema {SCHEMA}; this is not a record file of this version")
    return header


class RecordWriter:
    """Append records to a file: a line is flushed when it is written and reaches the disk within two seconds.

    Parameters
    ----------
    path : Path
        File to write; parents are made.
    header : mapping
        Written first in a new file, ignored when an existing file is continued.
    keep_bytes : int or None
        Continue an existing file after this many intact bytes.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], keep_bytes: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes]
        if keep_bytes is None:
            self._file = path.open("xb")
            self._write(dumps({"type": "header", "schema": SCHEMA, **header}))
        else:
            self._file = path.open("r+b")
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)
        self._synced = time.monotonic()

    def write(self, record: BlockRecord) -> None:
        """Append one record."""
        self._write(encode_record(record))

    def _write(self, text: str) -> None:
        self._file.write(text.encode() + b"\n")
        self._file.flush()
        now = time.monotonic()
        if now - getattr(self, "_synced", now) > FSYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = now

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
