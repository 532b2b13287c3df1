"""Random streams that are named, not counted.

Every block of trials has a generator of its own, keyed by what the block *is*: claim, subject, family, instance, level, stream, block
number.  Adding a family, a worker or a mutant changes no other stream; a mutant reuses the keys of its claim: both see the same coins.
"""

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from proofs_check.model import STREAMS

ROOT = 20240229
"""Root of all seeds: a constant, so that unchanged code gives the same run and nobody can draw again until it passes."""


class StreamKey(NamedTuple):
    """What names a random stream.

    ``level`` is None where all levels share their trials; ``subject`` is empty for streams that all subjects share (building an instance).
    """

    claim: str
    family: str
    instance: int
    stream: int
    block: int
    level: float | None = None
    subject: str = ""


@lru_cache(maxsize=4096)
def _words(text: str, count: int) -> tuple[int, ...]:
    digest = hashlib.sha256(text.encode()).digest()
    return tuple(int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(count))


def generator(key: StreamKey, root: int = ROOT) -> np.random.Generator:
    """Return the generator of a stream.

    Parameters
    ----------
    key : StreamKey
        Name of the stream.
    root : int
        Root seed of the run.

    Returns
    -------
    numpy.random.Generator
        PCG64DXSM seeded by ``SeedSequence(root, spawn_key=...)``; the spawn key holds 128 bits of the claim id, then family, instance,
        stream, block, level and subject.

    Examples
    --------
    >>> a, b = (generator(StreamKey("LP-01", "gauss", 0, 1, block)).random() for block in (0, 1))
    >>> a == generator(StreamKey("LP-01", "gauss", 0, 1, 0)).random(), a == b
    (True, False)
    """
    level = "shared" if key.level is None else float(key.level).hex()
    spawn_key = (
        *_words(key.claim, 4),
        *_words(key.family, 1),
        key.instance,
        key.stream,
        key.block,
        *_words(level, 1),
        *_words(key.subject, 1),
    )
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(root, spawn_key=spawn_key)))


def build_key(claim: str, family: str, instance: int) -> StreamKey:
    """Return the key of the stream that builds an instance once for all subjects, levels and mutants."""
    return StreamKey(claim, family, instance, STREAMS["build"], 0)


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Put the global random states of ``random`` and numpy back on leaving."""
    state, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state is guarded, not used
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(legacy)  # noqa: NPY002


def poison_global_state() -> None:
    """Seed the global generators from the operating system, so that a trial that reads them differs when it is repeated."""
    noise = os.urandom(8)
    random.seed(int.from_bytes(noise, "little"))
    np.random.seed(int.from_bytes(noise[:4], "little"))  # noqa: NPY002
