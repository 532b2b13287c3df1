"""Which blocks are measured a second time, and what it means when they differ.

A claim must give the same record whenever a block is run again.  Each run repeats block 0 of every part before anything is concluded, and
the round that decides before its verdict.  A resumed run also repeats one stored block of every part, chosen by a digest of what was read:
a record that was edited moves the choice, and whoever edits cannot know where it will fall without computing it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from proofs_check.evidence import BlockRecord
from proofs_check.model import STREAMS
from proofs_check.records import encode_record, same_content
from proofs_check.trials import Unit

__all__ = ["ONE_IN", "Measured", "StoredSample", "difference", "to_repeat"]

Records = tuple[BlockRecord, ...]

#: One in so many groups of stored blocks that decide nothing by themselves (of mutants, searches and the slack stream) is repeated.
ONE_IN = 8


class Measured(NamedTuple):
    """A unit with its records, and whether they come from a file."""

    unit: Unit
    records: Records
    stored: bool


def _digest(records: Iterable[BlockRecord], before: bytes = b"") -> bytes:
    text = "\n".join(sorted(encode_record(record.content()) for record in records))
    return hashlib.sha256(before + text.encode()).digest()


class StoredSample:
    """One stored block of every part: each is as likely as another, and the content of all that was read decides."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, ...], tuple[int, bytes]] = {}
        self._kept: dict[tuple[Any, ...], Measured] = {}

    def offer(self, measured: Measured) -> None:
        """Keep a block, or go on with the one that is kept."""
        unit = measured.unit
        alone = unit.levels if unit.claim.rule.delta_in_algorithm else None
        part = (unit.subject.name, unit.family.name, unit.instance, alone)
        count, digest = self._seen.get(part, (0, b""))
        digest = _digest(measured.records, digest)
        self._seen[part] = (count + 1, digest)
        if int.from_bytes(digest, "little") % (count + 1) == 0:
            self._kept[part] = measured

    @property
    def chosen(self) -> tuple[Measured, ...]:
        """The blocks that are kept, one per part."""
        return tuple(self._kept.values())


def to_repeat(records: Iterable[BlockRecord]) -> frozenset[tuple[Any, ...]]:
    """Choose the stored blocks of mutants, searches and slack trials that a resumed run measures again.

    Parameters
    ----------
    records : iterable of BlockRecord
        What the file holds.

    Returns
    -------
    frozenset
        Keys of the records of one group in eight; a group is what was measured of one part.
    """
    groups: dict[tuple[Any, ...], list[BlockRecord]] = {}
    for record in records:
        if record.mutant or record.stream != STREAMS["confirm"]:
            part = (record.fingerprint, record.claim, record.mutant, record.subject, record.family, record.instance, record.stream)
            groups.setdefault(part, []).append(record)
    chosen = (group for group in groups.values() if int.from_bytes(_digest(group), "little") % ONE_IN == 0)
    return frozenset(record.key for group in chosen for record in group)


def difference(first: Iterable[Measured], second: Iterable[Records]) -> str:
    """Say where two measurements of the same blocks differ (empty where they agree, or fail alike)."""
    for (_, records, stored), again in zip(first, second, strict=True):
        for a, b in _unlike(records, again):
            where = f"block {a.block} of {a.family}[{a.instance}]"
            raised = f" ({a.error or b.error})" if a.error or b.error else ""
            if stored:
                return (
                    f"stored {where} is not what the code gives{raised}: the record file was edited, or the claim is non-deterministic; "
                    "start a new run"
                )
            return (
                f"non-deterministic claim: {where}, measured twice from the same seed, differs{raised}; draw every random number from the "
                "generator that the claim is given, and read neither the clock nor global random state"
            )
    return ""


def _unlike(first: Records, second: Records) -> Sequence[tuple[BlockRecord, BlockRecord]]:
    pairs = zip(first, second, strict=True)
    return [(a, b) for a, b in pairs if (a.error is None) != (b.error is None) or (a.error is None and not same_content(a, b))]
