"""Statements about a result: which guarantee holds and why, and certificates that anyone can check again."""

import base64
import hashlib
import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from algos.common.blocks import RowSource

__all__ = ["Certificate", "Guarantee", "data_digest"]

_FORMAT = 1  # raised when the text form changes in a way that an older reader cannot understand


@dataclass(frozen=True)
class Guarantee:
    """What is promised about a result, or the reason why nothing is.

    Parameters
    ----------
    kind : str
        ``"none"`` when no promise can be made, otherwise a word for its nature, such as ``"proved gap"``.
    value : float, default=nan
        The number promised; NaN when there is none.
    premises : tuple of str, default=()
        What must be true of the data for the promise to hold.
    reason : str, default=""
        One sentence: why this kind; required for ``"none"``.

    Raises
    ------
    ValueError
        An empty kind, kind ``"none"`` without a reason or with a number, or another kind without a number.

    Examples
    --------
    >>> from algos.common.guarantees import Guarantee
    >>> Guarantee("proved gap", 1e-12).holds
    True
    >>> Guarantee("none", reason="fewer rows than columns").holds
    False
    """

    kind: str
    value: float = math.nan
    premises: tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "premises", tuple(self.premises))
        if math.isnan(self.value):
            object.__setattr__(self, "value", math.nan)  # the same object, so that two guarantees without a number compare equal
        if not self.kind:
            raise ValueError("kind is empty; give 'none' or a word for what is promised")
        if self.kind == "none" and (not self.reason or not math.isnan(self.value)):
            raise ValueError(f"kind='none' with value={self.value!r}, reason={self.reason!r}: give the reason, and no value")
        if self.kind != "none" and math.isnan(self.value):
            raise ValueError(f"kind={self.kind!r} with value=nan: a promise needs its number; use kind='none' and a reason otherwise")

    @property
    def holds(self) -> bool:
        """Whether anything is promised."""
        return self.kind != "none"


class Certificate(ABC):
    """Base of statements that can be stored as text and checked again from the data alone.

    A subclass is a frozen dataclass whose fields are numbers, strings, booleans, ``None``, tuples, dictionaries with string keys,
    float or integer arrays, or a :class:`Guarantee`. It implements :meth:`verify`, which recomputes the statement with as little of
    the solver's code as possible, and :meth:`explain`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from algos.common.guarantees import Certificate
    >>> @dataclass(frozen=True)
    ... class SumCertificate(Certificate):
    ...     total: float
    ...     def verify(self, x):
    ...         return sum(x) == self.total
    ...     def explain(self):
    ...         return f"the numbers add up to {self.total}"
    >>> again = SumCertificate.from_json(SumCertificate(3.0).to_json())
    >>> again.verify([1.0, 2.0])
    True
    """

    _known: ClassVar[dict[str, type["Certificate"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Certificate._known[cls.__name__] = cls

    @abstractmethod
    def verify(self, *args: Any, **kwargs: Any) -> Any:
        """Check the statement against the data; return whether it holds: a bool, or a report with that truth value."""

    @abstractmethod
    def explain(self) -> str:
        """Return the statement in words, with its numbers."""

    def to_json(self) -> str:
        """Return the certificate as text; :meth:`from_json` gives back the same numbers bit for bit.

        Returns
        -------
        str
            JSON. Arrays are written with their type and shape, and their bytes in base64.
        """
        content = {field.name: _encode(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]
        return json.dumps({"certificate": type(self).__name__, "format": _FORMAT, "fields": content}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a certificate from its text; nothing is executed, so text from a stranger is safe to read.

        Parameters
        ----------
        text : str
            What :meth:`to_json` returned. The class that wrote it must have been imported.

        Returns
        -------
        Certificate
            Of the class that wrote the text, which must be ``cls`` or a subclass.

        Raises
        ------
        ValueError
            Not a certificate, of another class or format, or with missing or unknown fields.
        """
        try:
            record = json.loads(text)
            name, version, content = record["certificate"], record["format"], record["fields"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"text is not a certificate ({error!r}); give the text that to_json returned") from error
        target = Certificate._known.get(name)
        if target is None or not issubclass(target, cls):
            raise ValueError(f"text holds a {name!r}, not a {cls.__name__}; import and use the class that wrote it")
        if version != _FORMAT:
            raise ValueError(f"text has format {version!r}, this version reads format {_FORMAT}; write the certificate again")
        expected = {field.name for field in fields(target)}  # type: ignore[arg-type]
        if set(content) != expected:
            raise ValueError(f"text has fields {sorted(content)}, expected {sorted(expected)}; write the certificate again")
        return target(**{key: _decode(value) for key, value in content.items()})


def _encode(value: Any) -> Any:
    if isinstance(value, Guarantee):
        return {"guarantee": [value.kind, _encode(float(value.value)), list(value.premises), value.reason]}
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"an array of dtype {array.dtype} cannot be stored in a certificate; use a numeric array")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return {"array": base64.b64encode(array.tobytes()).decode(), "dtype": array.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, tuple | list):
        return {"tuple": [_encode(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _encode(item) for key, item in value.items()}}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a value of type {type(value).__name__} cannot be stored in a certificate")


def _decode(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "guarantee" in value:
        kind, number, premises, reason = value["guarantee"]
        return Guarantee(kind, _decode(number), tuple(premises), reason)
    if "array" in value:
        dtype = np.dtype(value["dtype"])
        if dtype.kind not in "fiub":
            raise ValueError(f"a certificate holds an array of dtype {dtype}; only numeric arrays are read")
        array = np.frombuffer(base64.b64decode(value["array"]), dtype=dtype)
        return array.astype(dtype.newbyteorder("="), copy=False).reshape(value["shape"])
    if "float" in value:
        return float(value["float"])
    if "tuple" in value:
        return tuple(_decode(item) for item in value["tuple"])
    return {key: _decode(item) for key, item in value["dict"].items()}


def data_digest(X: Any, y: Any = None) -> str:
    """Return a fingerprint of a table and its target that does not depend on how they are stored.

    SHA-256 of the values as float64 in row order, and of the shape. Dense, sparse, memory-mapped and dask data with the same
    values have the same fingerprint, so that a certificate can be tied to its data; 0.0 and -0.0 count as equal.

    Parameters
    ----------
    X : array-like, CSR, dask array, iterable of blocks or RowSource
        Table of shape (n, d).
    y : array-like of shape (n,) or (n, k), optional
        Target.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    ValueError
        The data are not a table, or ``y`` has another number of rows.

    Notes
    -----
    One pass; sparse rows are made dense a slice at a time, so the time is O(n d).

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from algos.common.guarantees import data_digest
    >>> data_digest(np.eye(3)) == data_digest(sp.eye_array(3, format="csr"))
    True
    """
    source = X if isinstance(X, RowSource) else RowSource(X, y)
    table, target = hashlib.sha256(), hashlib.sha256()
    for block in source:
        for first in range(0, block.X.shape[0], _DIGEST_ROWS):
            rows = block.X[first : first + _DIGEST_ROWS]
            table.update(_canonical_bytes(rows.toarray() if source.is_sparse else rows))
        if block.y is not None:
            target.update(_canonical_bytes(block.y))
    shape = f"{source.n_rows},{source.n_features},{source.has_target}".encode()
    return hashlib.sha256(shape + table.digest() + target.digest()).hexdigest()


_DIGEST_ROWS = 4096  # sparse rows made dense together


def _canonical_bytes(values: np.ndarray) -> bytes:
    return (np.asarray(values, dtype="<f8") + 0.0).tobytes()
