"""Benchmarks: ours against named peers on the same arrays, in the same process, on one thread.

Every module ``experiments/benchmarks/<system>.py`` has a docstring whose first line says what is compared, and ``PARTS``: functions by
name, each of which takes `Settings` and yields `Row` and `Target` objects; files with a leading underscore are helpers. `run` collects
the rows and rewrites the table after each one, so that an interrupted run keeps what was measured. A peer that is missing or fails is a
row that says so.
"""

import ast
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..progress import Progress, Silent
from ._table import Row, Table, Target

__all__ = ["Row", "Settings", "Table", "Target", "catalogue", "find", "run"]

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    """What a part needs to know.

    Attributes
    ----------
    tier : {"quick", "full"}
        Small sizes that only show that the code runs, or the sizes of the targets.
    seed : int
    repeats : int
        Timed runs of each method.
    scratch : Path
        Folder for temporary files; the part deletes what it puts there.
    progress : Progress
    """

    tier: str
    seed: int
    repeats: int
    scratch: Path
    progress: Progress

    @property
    def quick(self) -> bool:
        """Whether small sizes are asked for."""
        return self.tier == "quick"


def catalogue() -> dict[str, str]:
    """Return every benchmark with its first docstring line, without importing it.

    Examples
    --------
    >>> {'lp_embeddings', 'proofs_check', 'testable_halfspaces'} <= set(catalogue())
    True
    """
    found = {}
    for path in sorted(ROOT.glob("[a-z]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem] = docstring.split("\n", 1)[0]
    return found


def find(names: Sequence[str], only: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Return the parts to run of each benchmark named.

    Parameters
    ----------
    names : sequence of str
        Systems, or ``all``.
    only : sequence of str
        Parts to keep; all by default.

    Returns
    -------
    dict of str to tuple of str

    Raises
    ------
    ValueError
        If a name or a part is unknown.
    """
    known = list(catalogue())
    for name in names:
        if name not in (*known, "all"):
            raise ValueError(f"benchmark {name!r} does not exist; choose all or one of {', '.join(known)}")
    chosen = known if "all" in names else list(dict.fromkeys(names))
    parts = {name: tuple(importlib.import_module(f"{__name__}.{name}").PARTS) for name in chosen}
    unknown = set(only) - {part for group in parts.values() for part in group}
    if unknown:
        choices = ", ".join(part for group in parts.values() for part in group)
        raise ValueError(f"part {sorted(unknown)[0]!r} does not exist; choose from {choices}")
    return {name: tuple(part for part in group if not only or part in only) for name, group in parts.items()}


def run(
    name: str,
    parts: Sequence[str],
    *,
    tier: str = "full",
    seed: int = 0,
    repeats: int | None = None,
    out: Path = Path("build/bench"),
    progress: Progress | None = None,
) -> Table:
    """Run parts of one benchmark and write ``<name>.md`` and ``<name>.json`` into `out`.

    Parameters
    ----------
    name : str
    parts : sequence of str
    tier : {"quick", "full"}
    seed : int
    repeats : int, optional
        Timed runs of each method; 3 in the quick tier, 5 in the full one.
    out : Path
    progress : Progress, optional

    Returns
    -------
    Table
    """
    from threadpoolctl import threadpool_limits

    progress = progress or Silent()
    settings = Settings(tier, seed, repeats or (3 if tier == "quick" else 5), out / "scratch", progress)
    module = importlib.import_module(f"{__name__}.{name}")
    table = Table(name, tier, seed, settings.repeats)
    with threadpool_limits(1):
        for part in parts:
            for item in module.PARTS[part](settings):
                table.add(item)
                table.write(out)
                progress.line(item.line())
    table.write(out)
    return table
