"""Real and generated data sets by name, each with the record of where it came from.

Nothing here downloads: real data is read from packages of the ``data`` extra, generated data is computed from a seed.
A data set that cannot be had raises `DataUnavailable` with the line that installs it.
"""

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DataUnavailable", "Dataset", "Provenance", "load", "names"]


class DataUnavailable(LookupError):
    """A data set is not on this machine; the message names the extra that brings it."""


@dataclass(frozen=True)
class Provenance:
    """Where a data set came from, enough to obtain the same numbers again.

    Attributes
    ----------
    name : str
        The name given to `load`.
    package, version, licence : str
        Distribution that holds the data (or whose generator made it), its version and the licence of the data.
    sha256 : str
        Checksum of the arrays that `load` returned, `X` then `y`, as little-endian C-ordered bytes.
    rows, columns : int
        Shape of `X`.
    source : str
        File inside the package, or the generator's name and arguments.
    source_sha256 : str
        Checksum of that file; empty for generated data.
    note : str
        What was selected, dropped or encoded.
    """

    name: str
    package: str
    version: str
    licence: str
    sha256: str
    rows: int
    columns: int
    source: str
    source_sha256: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON types."""
        return asdict(self)

    def sentence(self) -> str:
        """Return the record as one sentence for a caption.

        Examples
        --------
        >>> Provenance("toy", "epsdelta", "0.1.0", "BSD-3-Clause", "ab" * 32, 10, 2, "made up").sentence()
        'toy (epsdelta 0.1.0, BSD-3-Clause), 10 rows x 2 columns, sha256 abababababab.'
        """
        return (
            f"{self.name} ({self.package} {self.version}, {self.licence}), {self.rows:,} rows x {self.columns} columns, "
            f"sha256 {self.sha256[:12]}."
        )


@dataclass(frozen=True)
class Dataset:
    """Arrays of one data set; they are read-only, copy before changing them.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features), float64, C-ordered
    y : ndarray of shape (n_rows,), float64, or None
        The response; None for families that have none.
    feature_names : tuple of str
    provenance : Provenance
    """

    X: NDArray[np.float64] = field(repr=False)
    y: NDArray[np.float64] | None = field(repr=False)
    feature_names: tuple[str, ...] = field(repr=False)
    provenance: Provenance


def names() -> dict[str, str]:
    """Return every data set's name with a one-line description; imports no loader and reads no data.

    Examples
    --------
    >>> "flights" in names()
    True
    """
    from . import generated, keel, multiclass

    flights = {"flights": "arrival delay of 327,346 flights out of New York City in 2013, 34 columns (extra: data)"}
    return flights | keel.DESCRIPTIONS | multiclass.DESCRIPTIONS | generated.DESCRIPTIONS


@lru_cache(maxsize=8)
def load(name: str, *, seed: int = 0) -> Dataset:
    """Load a data set by name; a second call in the same process returns the same object.

    Parameters
    ----------
    name : str
        One of `names`.
    seed : int, default 0
        Seed of a generated family; real data ignores it.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the name is unknown.
    DataUnavailable
        If the package that holds the data is not installed.

    Examples
    --------
    >>> load("two_basis").X.shape
    (32, 16)
    """
    if name not in names():
        raise ValueError(f"name={name!r} is no data set; choose one of {', '.join(sorted(names()))}")
    if name == "flights":
        from .flights import load_flights

        return load_flights()
    from . import keel, multiclass

    if name in keel.DESCRIPTIONS:
        return keel.load_keel(name)
    if name in multiclass.DESCRIPTIONS:
        return multiclass.load_multiclass(name)
    from .generated import generate

    return generate(name, seed=seed)


def checksum(X: NDArray[np.float64], y: NDArray[np.float64] | None) -> str:
    """Return the sha256 of the arrays' little-endian bytes, `X` first.

    Examples
    --------
    >>> checksum(np.zeros((1, 1)), None)[:8]
    'af5570f5'
    """
    import hashlib

    digest = hashlib.sha256()
    for array in (X, y):
        if array is not None:
            digest.update(np.ascontiguousarray(array, dtype="<f8").data)
    return digest.hexdigest()


def frozen(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the array, C-ordered and marked read-only, so that a cached data set cannot be changed by accident."""
    array = np.ascontiguousarray(array, dtype=np.float64)
    array.setflags(write=False)
    return array
