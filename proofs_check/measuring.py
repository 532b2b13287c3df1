"""One block of trials, from the instance to the record.

A unit of work is self-contained: it runs in any process or thread and returns the same records.
"""

import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from proofs_check.condensing import compare_trial, condense, condense_numbers, is_violation, plain_numbers
from proofs_check.limits import BlockTimeoutError, wall_limit
from proofs_check.model import STREAMS, BlockRecord, Interval, as_outcome
from proofs_check.seeds import poison_global_state
from proofs_check.trials import Trial, Trials, Unit, first_blocks

__all__ = ["Trial", "Trials", "Unit", "compare_trial", "first_blocks", "is_violation", "run_unit"]


def run_unit(unit: Unit) -> tuple[BlockRecord, ...]:
    """Run a unit; whatever goes wrong becomes a record with an error, never an exception.

    Returns
    -------
    tuple of BlockRecord
        One per level, in the order of ``unit.levels``.
    """
    started = time.perf_counter()
    done: list[Any] = []  # trials, or bare values where nothing else is needed; its length tells which trial failed
    try:
        with wall_limit(unit.seconds):
            poison_global_state()
            if unit.stream == STREAMS["search"]:
                from proofs_check.pinning import search_unit

                return (replace(search_unit(unit), seconds=time.perf_counter() - started),)
            source = Trials(unit)
            rng = unit.random_stream()
            if source.plain:
                _plain_trials(source, rng, done)
                numbers, bounds = plain_numbers(done), [source.bound(source.shared, level) for level in unit.levels]
                if numbers is not None and all(np.ndim(bound) == 0 for bound in bounds if not isinstance(bound, Interval)):
                    share = (time.perf_counter() - started) / len(bounds)
                    pairs = zip(unit.levels, bounds, strict=True)
                    return tuple(condense_numbers(source, level, bound, numbers, share) for level, bound in pairs)
                done = [Trial(source.instance(rng), as_outcome(value)) for value in done]
            else:
                for _ in range(unit.trials):
                    done.append(source.measure(source.instance(rng), rng))
            records = tuple(condense(source, level, done) for level in unit.levels)
    except (Exception, BlockTimeoutError, SystemExit) as error:  # a trial that calls exit() must not end the run with its code
        trial = f"trial {len(done)} of " if len(done) < unit.trials else ""
        text = f"{trial}block {unit.block} on {unit.family.name}[{unit.instance}]: {_describe(error)}"
        records = tuple(replace(unit.blank(level), error=text) for level in unit.levels)
    return _timed(records, started)


def _timed(records: Sequence[BlockRecord], started: float) -> tuple[BlockRecord, ...]:
    share = (time.perf_counter() - started) / len(records)
    return tuple(replace(record, seconds=share) for record in records)


def _plain_trials(source: Trials, rng: np.random.Generator, values: list[Any]) -> None:
    """Run the trials of a claim that needs no more than its values: nothing but the measurement inside the loop."""
    measure, impl, instance, keep = source.claim.measure, source.injected.impl, source.instance(rng), values.append
    for _ in range(source.unit.trials):
        keep(measure(instance, rng, impl))


def _describe(error: BaseException) -> str:
    """Name an error and the innermost line of the claim that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
