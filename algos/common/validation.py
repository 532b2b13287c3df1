"""Checks at the public boundary: one canonical form of the data, and messages that say what to do."""

import numbers
from collections.abc import Collection
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp

__all__ = ["as_table", "canonical_array", "canonical_rows", "check_finite_rows", "check_option", "check_range", "is_sparse", "real_dtype"]

T = TypeVar("T")

_SCAN_ROWS = 2**14  # rows looked at together when searching for NaN: small enough to stay far below the data's own size


def is_sparse(X: Any) -> bool:
    """Return whether ``X`` is a scipy sparse matrix or array.

    Parameters
    ----------
    X : object
        Anything.

    Returns
    -------
    bool

    Examples
    --------
    >>> from algos.common.validation import is_sparse
    >>> is_sparse([[0.0]])
    False
    """
    return bool(sp.issparse(X))


def canonical_array(X: Any, *, name: str = "X", sparse: bool = False, min_rows: int = 1, check_finite: bool = True) -> Any:
    """Return a table in the one form that the algorithms understand.

    Parameters
    ----------
    X : array-like of shape (n, d), or scipy sparse matrix or array
        float32 stays float32; every other real type becomes float64.
    name : str, default="X"
        Name used in messages.
    sparse : bool, default=False
        Whether sparse input is accepted. It becomes CSR with sorted, summed entries and int64 indices.
    min_rows : int, default=1
        Fewest rows accepted.
    check_finite : bool, default=True
        Whether every entry is looked at. Algorithms that see a bad entry in what they compute anyway switch this off and call
        :func:`check_finite_rows` only when something is wrong, which saves a pass over the data.

    Returns
    -------
    ndarray of shape (n, d), C-contiguous, float64 or float32; or csr_array
        The input itself, not copied, when it already has this form; this includes a memory-mapped file.

    Raises
    ------
    TypeError
        Sparse input where it is not accepted, or complex or non-numeric entries.
    ValueError
        Not two-dimensional, empty, too few rows, NaN or infinite entries.

    Examples
    --------
    >>> from algos.common.validation import canonical_array
    >>> canonical_array([[1, 2], [3, 4]]).dtype
    dtype('float64')
    """
    table: Any = _canonical_sparse(X, name, sparse) if is_sparse(X) else _canonical_dense(X, name)
    n, d = table.shape
    if n < min_rows or d < 1:
        raise ValueError(f"{name} has shape {(n, d)}; at least {min_rows} row(s) and 1 column are needed")
    if check_finite:
        check_finite_rows(table.data.reshape(-1, 1) if is_sparse(table) else table, name=name)
    return table


def _canonical_dense(X: Any, name: str) -> np.ndarray:
    array = as_table(X, name=name)
    dtype = real_dtype(array.dtype, name)
    try:
        return canonical_rows(array, dtype)
    except OverflowError as error:
        raise ValueError(f"{name} has an integer beyond the range of floats ({error}); divide it by a constant") from error
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} has entries that are not numbers ({error}); encode them first") from error


def as_table(X: Any, *, name: str = "X") -> np.ndarray:
    """Return ``X`` as a two-dimensional array of whatever type and order, without copying an array.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Table.
    name : str, default="X"
        Name used in messages.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    ValueError
        Not two-dimensional, or with masked entries.

    Examples
    --------
    >>> from algos.common.validation import as_table
    >>> as_table([[1, 2]]).shape
    (1, 2)
    """
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(f"{name} has masked entries; fill them or drop their rows")
    array = np.asanyarray(X) if isinstance(X, np.memmap) else np.asarray(X)
    if array.ndim != 2:
        remedy = f"{name}.reshape(-1, 1) for one column or {name}.reshape(1, -1) for one row" if array.ndim == 1 else "a 2-D table"
        raise ValueError(f"{name} has {array.ndim} dimension(s), 2 are expected; give {remedy}")
    return array


def canonical_rows(rows: np.ndarray, dtype: Any) -> np.ndarray:
    """Return rows as a C-contiguous, aligned array of a native type; the input itself when it is one.

    Parameters
    ----------
    rows : ndarray of shape (b, d)
        Rows.
    dtype : {float64, float32}
        Type of the result.

    Returns
    -------
    ndarray of shape (b, d)

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.validation import canonical_rows
    >>> rows = np.ones((2, 2))
    >>> canonical_rows(rows, np.float64) is rows
    True
    """
    flags = rows.flags
    if flags.c_contiguous and flags.aligned and rows.dtype == dtype and rows.dtype.isnative:
        return rows
    return np.require(rows, dtype=dtype, requirements=["C", "A"])


def _canonical_sparse(X: Any, name: str, accepted: bool) -> Any:
    if not accepted:
        raise TypeError(f"{name} is sparse, which is not supported here; convert it with {name}.toarray()")
    csr: Any = sp.csr_array(X)
    if csr.ndim != 2:
        raise ValueError(f"{name} has {csr.ndim} dimension(s), 2 are expected")
    data = csr.data.astype(real_dtype(csr.dtype, name), copy=False)
    indices, indptr = csr.indices.astype(np.int64, copy=False), csr.indptr.astype(np.int64, copy=False)
    canonical: Any = sp.csr_array((data, indices, indptr), shape=csr.shape, copy=False)
    if not canonical.has_canonical_format:
        canonical = canonical.copy()  # the caller's arrays must not be reordered
        canonical.sum_duplicates()
    # scipy may choose 32-bit indices again: compiled loops must always meet the same type
    canonical.indices = canonical.indices.astype(np.int64, copy=False)
    canonical.indptr = canonical.indptr.astype(np.int64, copy=False)
    return canonical


def real_dtype(dtype: np.dtype[Any], name: str = "X") -> type[np.float32] | type[np.float64]:
    """Return the type in which numbers of another type are read: float32 for float32, else float64.

    Parameters
    ----------
    dtype : dtype
        Type of the input.
    name : str, default="X"
        Name used in messages.

    Returns
    -------
    type

    Raises
    ------
    TypeError
        Complex or not numeric.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.validation import real_dtype
    >>> real_dtype(np.dtype("int32")).__name__
    'float64'
    """
    if dtype.kind == "c":
        raise TypeError(f"{name} is complex; give real numbers, for example {name}.real")
    if dtype.kind not in "fiubO":
        raise TypeError(f"{name} has dtype {dtype}, numbers are expected; encode the entries first")
    return np.float32 if dtype == np.float32 else np.float64


def check_finite_rows(X: np.ndarray, *, name: str = "X", start: int = 0) -> None:
    """Raise if a table has a NaN or infinite entry, naming the first one.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Table, read in slices: no array of its size is made.
    name : str, default="X"
        Name used in the message.
    start : int, default=0
        Number of the first row, used in the message.

    Raises
    ------
    ValueError
        An entry is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.validation import check_finite_rows
    >>> check_finite_rows(np.ones((3, 2)))
    """
    for first in range(0, X.shape[0], _SCAN_ROWS):
        rows = X[first : first + _SCAN_ROWS]
        with np.errstate(over="ignore", invalid="ignore"):
            total = rows.sum()
        if np.isfinite(total):  # a sum is cheaper than a test of every entry; it can overflow, hence the second look
            continue
        bad = np.argwhere(~np.isfinite(rows))
        if bad.size:
            i, j = bad[0]
            raise ValueError(
                f"{name} has {'a NaN' if np.isnan(rows[i, j]) else 'an infinite'} entry in row {start + first + i}, column {j}; "
                "finite numbers are needed: drop such rows or fill the entries"
            )


def check_option(value: T, options: Collection[T], *, name: str) -> T:
    """Return ``value`` if it is one of ``options``.

    Parameters
    ----------
    value : object
        What the caller gave.
    options : collection
        What is accepted.
    name : str
        Argument name for the message.

    Returns
    -------
    object
        ``value``.

    Raises
    ------
    ValueError
        The value is not among the options.

    Examples
    --------
    >>> from algos.common.validation import check_option
    >>> check_option("gram", ("gram", "svd"), name="method")
    'gram'
    """
    if not isinstance(value, str | int | float | bool | tuple | type(None)) or value not in options:
        raise ValueError(f"{name}={value!r} is not known; choose one of {', '.join(repr(option) for option in options)}")
    return value


def check_range(
    value: Any,
    *,
    name: str,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    high_open: bool = False,
    integer: bool = False,
) -> Any:
    """Return a number as a Python int or float if it lies in an interval.

    Parameters
    ----------
    value : int or float
        What the caller gave.
    name : str
        Argument name for the message.
    low, high : float, optional
        Ends of the interval; ``None`` means no end.
    low_open, high_open : bool, default=False
        Whether the end itself is excluded.
    integer : bool, default=False
        Whether an integer is required.

    Returns
    -------
    int or float

    Raises
    ------
    TypeError
        Not a number, or not an integer where one is required. Booleans are refused.
    ValueError
        NaN, or outside the interval.

    Examples
    --------
    >>> from algos.common.validation import check_range
    >>> check_range(0.5, name="quantile", low=0, high=1, low_open=True, high_open=True)
    0.5
    """
    kind: Any = numbers.Integral if integer else numbers.Real
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        raise TypeError(f"{name}={value!r} is not {'an integer' if integer else 'a real number'}")
    number = int(value) if integer else float(value)
    below = low is not None and (number < low or (low_open and number == low))
    above = high is not None and (number > high or (high_open and number == high))
    if below or above or number != number:
        left = "(-inf" if low is None else f"{'(' if low_open else '['}{low:g}"
        right = "inf)" if high is None else f"{high:g}{')' if high_open else ']'}"
        raise ValueError(f"{name}={value!r} is outside {left}, {right}; give a value inside")
    return number
