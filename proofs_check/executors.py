"""Where units of work run: in this process, in threads or in worker processes; each with one BLAS thread."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal

from proofs_check.evidence import BlockRecord
from proofs_check.measuring import Unit, run_unit

Backend = Literal["serial", "loky", "threads"]
BACKENDS: tuple[Backend, ...] = ("serial", "loky", "threads")
Finished = tuple[int, tuple[BlockRecord, ...]]


def _indexed(index: int, unit: Unit) -> Finished:
    """Run a unit in a worker, and keep its place (results arrive in any order)."""
    if os.getpid() != _PARENT and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what is finished
    return index, run_unit(unit)


_PARENT = os.getpid()


class Executor(AbstractContextManager["Executor"]):
    """Runs units; use it as a context.

    Parameters
    ----------
    jobs : int
        Workers; -1 means one per processor.
    backend : {"serial", "loky", "threads"} or None
        None: serial for one job, loky for more.
    """

    def __init__(self, jobs: int = 1, backend: Backend | None = None) -> None:
        if jobs == 0 or jobs < -1:
            raise ValueError(f"jobs={jobs}: give a positive number of workers, or -1 for one per processor")
        if backend is not None and backend not in BACKENDS:
            raise ValueError(f"backend={backend!r}: choose one of {', '.join(BACKENDS)}")
        self.jobs = (os.cpu_count() or 1) if jobs == -1 else jobs
        self.backend: Backend = backend or ("serial" if self.jobs == 1 else "loky")
        self._stack = ExitStack()
        self._parallel: Any = None
        self._stop = threading.Event()

    @property
    def wave(self) -> int:
        """Units worth handing out at a time: one round in this process, enough to keep every worker busy otherwise."""
        return 1 if self.backend == "serial" else 8 * self.jobs

    def __enter__(self) -> "Executor":
        from threadpoolctl import threadpool_limits

        self._stack.enter_context(threadpool_limits(1))
        if self.backend != "serial":
            import joblib

            options: dict[str, Any] = {"inner_max_num_threads": 1} if self.backend == "loky" else {}
            name = {"loky": "loky", "threads": "threading"}[self.backend]
            self._stack.enter_context(joblib.parallel_config(backend=name, **options))
            self._parallel = self._stack.enter_context(
                joblib.Parallel(n_jobs=self.jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs")
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def run(self, units: Sequence[Unit]) -> Iterator[Finished]:
        """Yield (position, records) as units finish."""
        if self._parallel is None:
            for index, unit in enumerate(units):
                if self._stop.is_set():
                    return
                yield index, run_unit(unit)
            return
        left = dict(enumerate(units))
        try:
            for index, records in self._handed_out(left):
                del left[index]
                yield index, records
        except Exception:  # not of a trial, which ends as a record: a worker died, or a unit or its result cannot be sent
            yield from self._one_by_one(left)

    def _handed_out(self, units: Mapping[int, Unit]) -> Iterator[Finished]:
        from joblib import delayed

        def until_stopped() -> Iterator[Any]:
            for index, unit in tuple(units.items()):
                if self._stop.is_set():
                    return
                yield delayed(_indexed)(index, unit)

        yield from self._parallel(until_stopped())

    def _one_by_one(self, units: Mapping[int, Unit]) -> Iterator[Finished]:
        """Run what was left when the pool broke, so that only the units that break it are in error."""
        for index, unit in units.items():
            if self._stop.is_set():
                return
            try:
                yield from tuple(self._handed_out({index: unit}))
            except Exception as error:
                first = (str(error).strip() or "no message").splitlines()[0]
                text = f"block {unit.block} on {unit.family.name}[{unit.instance}] ended its worker: {type(error).__name__}: {first}"
                yield index, tuple(replace(unit.blank(level), error=text) for level in unit.levels)

    def stop(self) -> None:
        """Hand out nothing more; what runs is finished."""
        self._stop.set()


@contextmanager
def first_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """Turn the first Ctrl-C into an action; the second raises ``KeyboardInterrupt`` as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(signum: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        action()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
