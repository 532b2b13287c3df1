"""Values as exact text: floats in hex, arrays with their type and shape, and a digest that tells whether a file was changed."""

import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["ExactTextError", "count_numbers", "decode", "encode", "seal", "unseal"]

_SEAL = "sha256"


class ExactTextError(ValueError):
    """A text that does not hold what was written."""


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
    """Undo :func:`encode`.

    Raises
    ------
    ExactTextError
        A structure that :func:`encode` does not write.
    """
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise ExactTextError(f"unknown structure with keys {sorted(value)}")
    ((kind, body),) = value.items()
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
    raise ExactTextError(f"unknown kind {kind!r}")


def count_numbers(value: Any) -> int:
    """Count the numbers that a value holds."""
    if isinstance(value, np.ndarray):
        return value.size
    if hasattr(value, "nnz"):
        return int(value.nnz)
    return sum(count_numbers(item) for item in value.values()) if isinstance(value, Mapping) else 1


def _digest(body: Mapping[str, Any]) -> str:
    """Digest the content, whatever the layout of the file is."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seal(body: Mapping[str, Any]) -> tuple[str, str]:
    """Write a JSON object with the digest of its content as the last entry.

    Returns
    -------
    text, digest : str

    Examples
    --------
    >>> text, digest = seal({"n": 3})
    >>> unseal(text)
    {'n': 3}
    >>> unseal(text.replace("3", "4", 1))
    Traceback (most recent call last):
    ...
    proofs_check.exact.ExactTextError: its content does not match its digest: the file was edited or damaged
    """
    digest = _digest(body)
    return json.dumps({**body, _SEAL: digest}, indent=1) + "\n", digest


def unseal(text: str) -> dict[str, Any]:
    """Read what :func:`seal` wrote.

    Raises
    ------
    ExactTextError
        Not JSON, no digest, or a digest of something else.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise ExactTextError(f"not JSON ({error})") from error
    if not isinstance(body, dict) or _SEAL not in body:
        raise ExactTextError(f"no entry {_SEAL!r}: this is not a file of this version")
    if body.pop(_SEAL) != _digest(body):
        raise ExactTextError("its content does not match its digest: the file was edited or damaged")
    return body
