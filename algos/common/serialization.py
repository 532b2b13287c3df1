"""State of a long computation on disk: one file, replaced as a whole, read back bit for bit, and never able to run code.

A file is a zip archive with ``state.json`` (structure and numbers, floats as hexadecimal text) and one ``.npy`` member for every array;
``numpy.load`` opens it too. It is written beside its final place, flushed to disk and then renamed: whoever is interrupted, at whatever
moment, leaves the old file or the new one.
"""

import contextlib
import io
import json
import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["load_state", "save_state"]

_FORMAT = 1  # raised when an older reader could not understand a file
_JSON = "state.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same state gives the same bytes


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any], *, kind: str) -> None:
    """Write a state so that an interruption at any moment leaves a complete file: the former one or this one.

    Parameters
    ----------
    path : str or path-like
        File to write or replace. Its folder must exist; a temporary file is made in it.
    state : mapping of str to values
        Values are ``None``, booleans, integers of any size, floats, strings, numeric arrays, and lists, tuples and string-keyed mappings
        of these. Tuples come back as lists.
    kind : str
        What the state belongs to; `load_state` refuses files of another kind.

    Raises
    ------
    TypeError
        A value of another type, such as an array of objects. Nothing is written.
    OSError
        The folder does not exist or cannot be written. A former file stays as it was.

    Notes
    -----
    Uncompressed, so that time is that of writing the arrays. The same state gives the same bytes.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from algos.common.serialization import load_state, save_state
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "sum.state"
    ...     save_state(file, {"total": 0.1, "rows": np.arange(3)}, kind="sum")
    ...     again = load_state(file, kind="sum")
    >>> again["total"], again["rows"].tolist()
    (0.1, [0, 1, 2])
    """
    arrays: list[np.ndarray] = []
    text = json.dumps({"format": _FORMAT, "kind": kind, "state": _encode(dict(state), arrays, "state")}, allow_nan=False)
    target = Path(path)
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:
            _write(file, text, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def load_state(path: str | os.PathLike[str], *, kind: str) -> dict[str, Any]:
    """Read a state back; nothing in the file is executed, so a file from a stranger is safe to read.

    Parameters
    ----------
    path : str or path-like
        File written by `save_state`.
    kind : str
        What the state must belong to.

    Returns
    -------
    dict
        The same numbers, bit for bit.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        The file is damaged, is not a state, or is of another kind or a newer format.

    Examples
    --------
    See `save_state`.
    """
    source = Path(path)
    with open(source, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                record = json.loads(archive.read(_JSON))
                version, found = record["format"], record["kind"]
                state = _decode(record["state"], archive) if (version, found) == (_FORMAT, kind) else {}
                if not isinstance(state, dict):
                    raise TypeError(f"it holds a {type(state).__name__}")
        # a damaged archive shows in many ways: OSError is a seek beyond its ends, NotImplementedError an unknown compression
        except (zipfile.BadZipFile, OSError, EOFError, LookupError, TypeError, ValueError, NotImplementedError) as error:
            raise ValueError(f"{source} is damaged or is not a saved state ({error}); use a copy of it") from error
    if version != _FORMAT:
        raise ValueError(f"{source} has format {version!r}, this version reads format {_FORMAT}; use the version that wrote it")
    if found != kind:
        raise ValueError(f"{source} holds the state of a {found!r}, not of a {kind!r}; give the file that this class wrote")
    return state


def _write(file: Any, text: str, arrays: list[np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_JSON, _EPOCH), text.encode())
        for number, array in enumerate(arrays):
            with archive.open(zipfile.ZipInfo(_member(number), _EPOCH), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _member(number: int) -> str:
    return f"{number}.npy"


def _sync_folder(folder: Path) -> None:
    """Make the new name durable; a system that cannot sync folders keeps the file, only perhaps not through a power failure."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _encode(value: Any, arrays: list[np.ndarray], where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            raise TypeError(f"{where} is an array of dtype {value.dtype}, which is not saved; give a numeric array")
        arrays.append(np.ascontiguousarray(value).reshape(value.shape))
        return {"array": len(arrays) - 1}
    if isinstance(value, list | tuple):
        return {"list": [_encode(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; keys are strings")
        return {"dict": {key: _encode(item, arrays, f"{where}[{key!r}]") for key, item in value.items()}}
    raise TypeError(
        f"{where} has type {type(value).__name__}, which is not saved; give numbers, text, arrays, or lists and mappings of them"
    )


def _decode(value: Any, archive: zipfile.ZipFile) -> Any:
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float.fromhex(value["float"])
    if "array" in value:
        return np.lib.format.read_array(io.BytesIO(archive.read(_member(value["array"]))), allow_pickle=False)
    if "list" in value:
        return [_decode(item, archive) for item in value["list"]]
    return {key: _decode(item, archive) for key, item in value["dict"].items()}
