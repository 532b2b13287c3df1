"""Worst instances that earlier searches found, one small file of exact numbers per claim; every later search begins with them.

A corpus decides nothing: it saves the adversary the way to where a claim is weakest, and keeps what a lucky search found once.  It is read
when a claim is declared (so that whatever searches the claim begins there) and written by an explicit command only::

    python -m proofs_check corpus --write
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from proofs_check.evidence import BlockRecord
from proofs_check.exact import ExactTextError, decode, encode, seal, unseal
from proofs_check.model import STREAMS, Claim, ClaimDefinitionError, Family, Subject, Tier
from proofs_check.seeds import ROOT

__all__ = ["CORPUS", "KEPT", "Remembered", "collect", "read", "remembering", "write"]

#: The corpus of the package's own claims.
CORPUS = Path(__file__).with_name("corpus")

#: Instances kept for one grid point of a family.
KEPT = 3

_FORMAT = 1
_ALIKE = 1e-6  # vectors nearer than this, relative to their length, are the same find


@dataclass(frozen=True, slots=True)
class Remembered:
    """One bad instance: its family, its grid point, the vector that decodes to it, and the slack that it had when it was kept."""

    family: str
    point: Mapping[str, Any]
    vector: tuple[float, ...]
    slack: float


def read(claim_id: str, folder: Path) -> tuple[Remembered, ...]:
    """Read the worst instances of a claim; none if there is no file.

    Raises
    ------
    ClaimDefinitionError
        The file was edited or damaged.
    """
    path = folder / f"{claim_id}.json"
    if not path.is_file():
        return ()
    try:
        body = unseal(path.read_text(encoding="utf-8"))
        if (body["format"], body["claim"]) != (_FORMAT, claim_id):
            raise ExactTextError(f"format {body['format']!r} of claim {body['claim']!r}")
        return tuple(
            Remembered(item["family"], decode(item["point"]), tuple(map(float.fromhex, item["vector"])), float.fromhex(item["slack"]))
            for item in body["instances"]
        )
    except (ExactTextError, KeyError, TypeError, ValueError) as error:
        raise ClaimDefinitionError(f"{claim_id}: corpus {path}: {error}; restore the file, or delete it and search again") from error


def remembering(claim: Claim, folder: Path | None) -> Claim:
    """Return a claim whose searches begin with what the corpus holds (the same claim where it holds nothing)."""
    if folder is None or all(family.search is None for family in claim.families):
        return claim
    found = read(claim.id, folder)
    families = tuple(_starting(family, found) for family in claim.families)
    return replace(claim, families=families) if found else claim


def _starting(family: Family, found: Sequence[Remembered]) -> Family:
    if family.search is None:
        return family
    starts = dict.fromkeys([*family.search.start, *(item.vector for item in found if item.family == family.name)])
    return replace(family, search=replace(family.search, start=tuple(starts)))


def write(claim_id: str, found: Sequence[Remembered], folder: Path) -> bool:
    """Write a corpus file; tells whether anything changed."""
    instances = [
        {
            "family": item.family,
            "point": encode(dict(item.point)),
            "vector": [value.hex() for value in item.vector],
            "slack": item.slack.hex(),
        }
        for item in found
    ]
    text, _ = seal({"format": _FORMAT, "claim": claim_id, "instances": instances})
    path = folder / f"{claim_id}.json"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def collect(
    claim: Claim,
    folder: Path | None = None,
    *,
    tier: Tier = "quick",
    evaluations: int | None = None,
    records: Iterable[BlockRecord] | None = None,
    root: int = ROOT,
) -> tuple[Remembered, ...]:
    """Gather the worst instances of a claim: those of its corpus, and those of a search or of the records of a run.

    Every candidate is measured again, so that what does not fit the claim any longer is dropped.

    Parameters
    ----------
    claim : Claim
        Only families with a search space count.
    folder : Path, optional
        Where the corpus is.
    tier, evaluations, root
        Of the search, which covers all sizes; see :func:`~proofs_check.search.search_worst`.
    records : iterable of BlockRecord, optional
        Take the finds from here instead of searching.

    Returns
    -------
    tuple of Remembered
        At most three per grid point, worst first; no two of a point alike.
    """
    from proofs_check.search import search_families, search_worst

    families = {family.name: family for family in search_families(claim)}
    subjects = [subject for subject in claim.subjects if subject.expected == "pass"]
    candidates = [(item.family, item.point, item.vector) for item in (() if folder is None else read(claim.id, folder))]
    if records is not None:
        mine = [r for r in records if (r.claim, r.mutant, r.stream) == (claim.id, "", STREAMS["search"]) and r.values]
        candidates += [(r.family, families[r.family].grid[r.instance], r.values) for r in mine if r.family in families]
    else:
        for family in families.values():
            for subject in subjects:
                found = search_worst(
                    claim,
                    subject=subject.name,
                    family=family.name,
                    tier=tier,
                    evaluations=evaluations,
                    sizes=len(family.grid),
                    root=root,
                ).found
                candidates += [(family.name, f.params, f.vector) for f in found]
    return _best(claim, families, subjects, candidates, tier, root)


def _best(
    claim: Claim,
    families: Mapping[str, Family],
    subjects: Sequence[Subject],
    candidates: Iterable[tuple[str, Mapping[str, Any], tuple[float, ...]]],
    tier: Tier,
    root: int,
) -> tuple[Remembered, ...]:
    """Measure candidates and keep the worst of every grid point."""
    from proofs_check._objective import Objective

    points = {(name, str(encode(dict(point)))): index for name, f in families.items() for index, point in enumerate(f.grid)}
    measured: dict[tuple[str, int], list[Remembered]] = {(name, i): [] for name, f in families.items() for i in range(len(f.grid))}
    for name, point, vector in candidates:
        index = points.get((name, str(encode(dict(point)))))
        if index is None or len(vector) != families[name].search.dimension(point):  # type: ignore[union-attr]
            continue
        slack = max(Objective(claim, subject, families[name], tier=tier, root=root)(point, vector, index) for subject in subjects)
        if np.isfinite(slack):
            measured[name, index].append(Remembered(name, dict(point), tuple(vector), slack))
    return tuple(item for found in measured.values() for item in _distinct(found)[:KEPT])


def _distinct(found: Iterable[Remembered]) -> list[Remembered]:
    kept: list[Remembered] = []
    for item in sorted(found, key=lambda item: (-item.slack, item.vector)):
        x = np.array(item.vector)
        if all(np.linalg.norm(x - other.vector) > _ALIKE * np.linalg.norm(x) for other in kept):
            kept.append(item)
    return kept
