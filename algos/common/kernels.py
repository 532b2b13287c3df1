"""The one place where numba is used: a decorator for compiled loops, and the means to compile them ahead of use.

Every compiled loop of the package is made by :func:`kernel`. It is compiled at its first call (never at import), kept in numba's
cache folder between processes, releases the GIL, and follows numpy's rule for division by zero. Where no cache folder can be
written (a read-only installation without a home folder) the loop still works: it is compiled in every process, and one warning
says so.
"""

import importlib
import inspect
import os
import time
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import numba

__all__ = ["MAX_SIGNATURES", "kernel", "registered_kernels", "warmup"]

F = TypeVar("F", bound=Callable[..., Any])

MAX_SIGNATURES = 2
"""Each argument type is another compilation of about a second, so a kernel may meet two: float64 and float32."""


@dataclass(frozen=True)
class _Registered:
    dispatcher: Any
    signatures: tuple[str, ...]


_registry: dict[str, _Registered] = {}
_warned_uncached = False


@overload
def kernel(fn: F) -> F: ...
@overload
def kernel(*, signatures: Iterable[str] = (), fastmath: bool | Collection[str] = False) -> Callable[[F], F]: ...
def kernel(fn: F | None = None, *, signatures: Iterable[str] = (), fastmath: bool | Collection[str] = False) -> F | Callable[[F], F]:
    """Turn a function into a compiled loop: cached on disk, free of the GIL, nothing compiled at import.

    Parameters
    ----------
    fn : callable, optional
        The function, when the decorator is written without arguments.
    signatures : iterable of str, default=()
        Signatures such as ``"(f8[:, ::1], f8[::1])"``. They are not compiled here; :func:`warmup` compiles them. At most two.
    fastmath : bool or collection of str, default=False
        Passed to numba. Full ``True`` lets the compiler assume that NaN never occurs; name the flags that are needed instead
        (``{"reassoc", "contract"}`` allows sums to be vectorised) and only where a test shows that the bound still holds.

    Returns
    -------
    callable
        The compiled function (the plain function when ``NUMBA_DISABLE_JIT=1``).

    Raises
    ------
    ValueError
        More than two signatures are declared.

    Warns
    -----
    RuntimeWarning
        Once per process, when no cache folder can be written.

    Examples
    --------
    >>> from algos.common.kernels import kernel
    >>> @kernel
    ... def total(x):
    ...     s = 0.0
    ...     for i in range(x.shape[0]):
    ...         s += x[i]
    ...     return s
    >>> total.__name__
    'total'
    """
    declared = tuple(signatures)
    if len(declared) > MAX_SIGNATURES:
        raise ValueError(f"signatures: {len(declared)} given, at most {MAX_SIGNATURES} are allowed; convert the arguments before the call")

    def decorate(function: F) -> F:
        compiled = _compile_lazily(function, fastmath)
        _registry[f"{function.__module__}.{function.__qualname__}"] = _Registered(compiled, declared)
        return compiled

    return decorate if fn is None else decorate(fn)


def _compile_lazily(function: F, fastmath: bool | Collection[str]) -> F:
    flags = fastmath if isinstance(fastmath, bool) else set(fastmath)
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=flags)(function)  # type: ignore[no-any-return]
    except RuntimeError as error:  # numba: "cannot cache function ...: no locator available"
        if "locator" not in str(error):
            raise
        if os.path.exists(inspect.getfile(function)):  # a function typed at a prompt has no file, and nothing is wrong
            _warn_uncached()
        return numba.njit(nogil=True, error_model="numpy", fastmath=flags)(function)  # type: ignore[no-any-return]


def _warn_uncached() -> None:
    global _warned_uncached
    if _warned_uncached:
        return
    _warned_uncached = True
    warnings.warn(
        "no folder for compiled code can be written, so every process compiles its loops again (some seconds); "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=2,
    )


def registered_kernels() -> dict[str, Any]:
    """Return every kernel of the modules imported so far.

    Returns
    -------
    dict of str to callable
        Full name (module and function) to the compiled function; its ``signatures`` list what has been compiled.

    Examples
    --------
    >>> import algos.common.row_products
    >>> from algos.common.kernels import registered_kernels
    >>> "algos.common.row_products.row_squares" in registered_kernels()
    True
    """
    return {name: entry.dispatcher for name, entry in _registry.items()}


def warmup(modules: Iterable[str]) -> list[tuple[str, float]]:
    """Compile the declared signatures of every kernel in the given modules.

    Parameters
    ----------
    modules : iterable of str
        Module names, imported if needed.

    Returns
    -------
    list of (str, float)
        Kernel name and the seconds that its compilation (or its loading from the cache) took.

    Raises
    ------
    ModuleNotFoundError
        A module does not exist.

    Examples
    --------
    >>> from algos.common.kernels import warmup
    >>> warmup([])
    []
    """
    names = list(modules)
    for module in names:
        importlib.import_module(module)
    spent = []
    for name, entry in _registry.items():
        if entry.dispatcher.__module__ not in names or not hasattr(entry.dispatcher, "compile"):
            continue
        began = time.perf_counter()
        for signature in entry.signatures:
            entry.dispatcher.compile(signature)
        spent.append((name, time.perf_counter() - began))
    return spent
