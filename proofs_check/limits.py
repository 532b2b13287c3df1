"""A fuse for trials that never return."""

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BlockTimeoutError(BaseException):
    """A block ran into its wall limit.

    No subclass of ``Exception``: a claim with a fallback for whatever goes wrong must neither outlive its limit nor return a value that
    depends on the clock.
    """


_AGAIN = 1.0  # seconds between alarms, for a block that catches even this exception


@contextmanager
def wall_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`BlockTimeoutError` in this thread when the block inside takes longer.

    The main thread (and so every worker process) is interrupted by an alarm signal.  Any other thread gets the exception between two
    Python instructions: a compiled loop that never returns can only be ended together with its process.
    """
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        yield from _by_signal(seconds)
    else:
        yield from _by_exception(seconds)


def _by_signal(seconds: float) -> Iterator[None]:
    rung = False

    def ring(signum: int, frame: object) -> None:
        nonlocal rung
        rung = True
        raise BlockTimeoutError(f"no result within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if rung:
        raise BlockTimeoutError(f"no result within {seconds:g} s, and the block caught the alarm")


def _by_exception(seconds: float) -> Iterator[None]:
    thread = threading.get_ident()
    lock = threading.Lock()
    running, rung = True, False

    def ring() -> None:
        nonlocal rung
        with lock:
            if running:
                rung = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(BlockTimeoutError))

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            running = False
        timer.cancel()
    if rung:
        raise BlockTimeoutError(f"no result within {seconds:g} s, and the block caught the alarm")
