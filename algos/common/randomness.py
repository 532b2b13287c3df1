"""Random numbers that depend on a key and an index, never on blocks, order or workers."""

import hashlib

import numpy as np
from numpy.random import Generator, Philox, RandomState, SeedSequence
from numpy.typing import ArrayLike

__all__ = ["RandomStateLike", "as_generator", "child", "index_uniforms", "row_uniforms"]

RandomStateLike = int | np.integer | Generator | RandomState | SeedSequence | None

_WORD = 2**32
_KEY_LIMIT = 2**128  # a Philox key has 128 bits
_INDEX_LIMIT = 2**64


def as_generator(random_state: RandomStateLike) -> Generator:
    """Turn any accepted ``random_state`` into a numpy Generator.

    Parameters
    ----------
    random_state : None, int, Generator, RandomState or SeedSequence
        ``None`` draws fresh entropy. A Generator is returned as it is. A RandomState is advanced by four words, so that two
        calls with the same object give different generators.

    Returns
    -------
    Generator

    Raises
    ------
    TypeError
        Another type.
    ValueError
        A negative integer.

    Examples
    --------
    >>> from algos.common.randomness import as_generator
    >>> bool(as_generator(7).random() == as_generator(7).random())
    True
    """
    if isinstance(random_state, Generator):
        return random_state
    if isinstance(random_state, RandomState):
        return np.random.default_rng(random_state.randint(0, _WORD, size=4, dtype=np.uint32))
    if random_state is None or isinstance(random_state, SeedSequence):
        return np.random.default_rng(random_state)
    if isinstance(random_state, int | np.integer):
        if random_state < 0:
            raise ValueError(f"random_state={random_state} is negative; give a non-negative integer")
        return np.random.default_rng(int(random_state))
    raise TypeError(
        f"random_state of type {type(random_state).__name__} is not understood; "
        "give None, a non-negative integer, a numpy Generator, RandomState or SeedSequence"
    )


def child(key: int, *ids: int | str) -> Generator:
    """Return the generator that belongs to a path of identifiers below a key.

    Parameters
    ----------
    key : int
        Root key, non-negative.
    *ids : int or str
        Path of identifiers, for example a trial number or a name. Different paths give independent streams; integers take
        exactly two words each, so that (2**32,) and (0, 1) differ.

    Returns
    -------
    Generator

    Raises
    ------
    ValueError
        A negative key, or an integer outside [0, 2**64).

    Examples
    --------
    >>> from algos.common.randomness import child
    >>> bool(child(3, "sample", 0).random() == child(3, "sample", 1).random())
    False
    """
    if key < 0:
        raise ValueError(f"key={key} is negative; give a non-negative integer")
    words: list[int] = []
    for identifier in ids:
        value = _identifier_value(identifier)
        words += [value % _WORD, value // _WORD]
    return np.random.default_rng(SeedSequence(entropy=int(key), spawn_key=tuple(words)))


def _identifier_value(identifier: int | str) -> int:
    if isinstance(identifier, str):
        return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "little")
    value = int(identifier)
    if not 0 <= value < _INDEX_LIMIT:
        raise ValueError(f"id {value} is outside [0, 2**64); give non-negative integers or strings")
    return value


def row_uniforms(key: int, start: int, stop: int, level: int = 0) -> np.ndarray:
    """Return one uniform number per row index, the same whatever block the row comes in.

    Number i is word ``i % 4`` of block ``i // 4`` of the counter-based generator Philox (4 x 64 bits) with this key; ``level`` is
    the third word of the 256-bit counter, so that levels never share a number.

    Parameters
    ----------
    key : int
        Philox key, in [0, 2**128).
    start, stop : int
        Row indices ``start, ..., stop - 1``; 0 <= start <= stop.
    level : int, default=0
        Round of a recursion or level of a merge tree. A row that is drawn again must use a fresh number: the same number used
        twice makes the two draws dependent and the weights biased.

    Returns
    -------
    ndarray of shape (stop - start,), float64
        Numbers in [0, 1), multiples of 2**-53.

    Raises
    ------
    ValueError
        A key, index or level outside its range.

    Notes
    -----
    Time and memory O(stop - start), wherever the range begins.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.common.randomness import row_uniforms
    >>> whole = row_uniforms(5, 0, 100)
    >>> parts = np.concatenate([row_uniforms(5, 0, 37), row_uniforms(5, 37, 100)])
    >>> bool((whole == parts).all())
    True
    """
    _check_key(key, level)
    if not 0 <= start <= stop < _INDEX_LIMIT:
        raise ValueError(f"start={start}, stop={stop}: the rule is 0 <= start <= stop < 2**64")
    first = int(start) // 4
    skip = int(start) - 4 * first
    bits = Philox(key=int(key), counter=first + (int(level) << 128))
    return Generator(bits).random(skip + int(stop) - int(start))[skip:]


def index_uniforms(key: int, indices: ArrayLike, level: int = 0) -> np.ndarray:
    """Return the numbers of :func:`row_uniforms` for rows that need not follow each other.

    Parameters
    ----------
    key : int
        Philox key, in [0, 2**128).
    indices : array-like of int, shape (k,)
        Row indices in [0, 2**63), in any order.
    level : int, default=0
        Round of a recursion or level of a merge tree; see :func:`row_uniforms`.

    Returns
    -------
    ndarray of shape (k,), float64
        Numbers in [0, 1), the same bits as :func:`row_uniforms` gives.

    Raises
    ------
    TypeError
        Indices that are not integers.
    ValueError
        A key, index or level outside its range, or indices that are not one-dimensional.

    Notes
    -----
    Time and memory O(k), wherever the rows are.

    Examples
    --------
    >>> from algos.common.randomness import index_uniforms, row_uniforms
    >>> bool((index_uniforms(5, [90, 3]) == row_uniforms(5, 0, 100)[[90, 3]]).all())
    True
    """
    _check_key(key, level)
    rows = np.asarray(indices)
    if rows.ndim != 1:
        raise ValueError(f"indices has shape {rows.shape}; give one dimension")
    if rows.size == 0:
        return np.empty(0)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"indices has dtype {rows.dtype}; give integers")
    first, last = int(rows.min()), int(rows.max())
    if first < 0 or last >= _INDEX_LIMIT // 2:
        raise ValueError(f"indices reach from {first} to {last}; the rule is 0 <= index < 2**63")
    if last - first == rows.size - 1 and bool(np.all(np.diff(rows) == 1)):
        return row_uniforms(key, first, last + 1, level)
    from algos.common._philox import philox_uniforms  # numba is loaded only where rows are scattered

    words = rows.astype(np.uint64)
    words.flags.writeable = False
    out = np.empty(rows.size)
    with np.errstate(over="ignore"):  # without compilation numpy would warn of the products' overflow, which is meant
        philox_uniforms(np.array([key % _INDEX_LIMIT, key // _INDEX_LIMIT], dtype=np.uint64), words, np.uint64(level), out)
    return out


def _check_key(key: int, level: int) -> None:
    if not 0 <= key < _KEY_LIMIT:
        raise ValueError(f"key={key} is outside [0, 2**128); give a non-negative integer")
    if not 0 <= level < _INDEX_LIMIT:
        raise ValueError(f"level={level} is outside [0, 2**64); give a non-negative integer")
