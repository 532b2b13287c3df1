"""Figures: found by their file, computed once, saved as arrays, drawn from what was saved.

Every module ``experiments/figures/<system>/<name>.py`` defines

* a docstring whose first line says what the picture shows,
* ``TITLE``, ``TOPIC`` and ``DATA`` (names for `experiments.data.load` whose record goes into the caption),
* ``QUICK`` and ``FULL``: frozen dataclasses of parameters, with a field ``seed``,
* ``compute(parameters, *, jobs, progress)``, which returns arrays by name,
* ``draw(arrays)``, which returns a matplotlib figure and computes nothing new,
* ``describe(arrays)``, which returns a `Description` with numbers taken from the arrays.

`make` runs the three steps and writes ``<name>.npz``, ``<name>.json`` and ``<name>.svg``; `redraw` needs only the first two files.
"""

import ast
import importlib
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..progress import Progress, Silent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..data import Provenance

__all__ = ["Description", "Entry", "FigureResult", "catalogue", "find", "make", "redraw"]

ROOT = Path(__file__).parent
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Description:
    """What the caption says, computed from a figure's arrays.

    Attributes
    ----------
    question : str
        The one question that the picture answers.
    answer : str
        One sentence, with a number.
    data : str
        The data, and what stands in for what.
    sizes : str
        Sizes, repeats, what bands and bars mean.
    alt : str
        What the picture shows, for those who do not see it.
    numbers : mapping of str to float
        The numbers that the sentences quote, for the JSON file.
    """

    question: str
    answer: str
    data: str
    sizes: str
    alt: str
    numbers: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A figure that can be made: its system, its name and what it shows."""

    system: str
    name: str
    summary: str

    @property
    def key(self) -> str:
        """The name as ``system/name``."""
        return f"{self.system}/{self.name}"

    @property
    def module(self) -> str:
        """The module that computes and draws it."""
        return f"{__name__}.{self.system}.{self.name}"


@dataclass(frozen=True)
class FigureResult:
    """A figure made: its record, its SVG text and the files written.

    Attributes
    ----------
    record : dict
        What the JSON file holds: names, caption parts, parameters, numbers, provenance.
    svg : str
    files : tuple of Path
    seconds : float
        Time of the computation.
    """

    record: dict[str, Any]
    svg: str
    files: tuple[Path, ...]
    seconds: float

    def for_report(self) -> dict[str, Any]:
        """Return the mapping that ``proofs_check.report.write`` takes for each figure; sources and versions stand apart, in small print."""
        parts = {name: self.record[name] for name in ("system", "topic", "name", "title", "alt")}
        caption = " ".join(self.record[name] for name in ("question", "answer", "data", "sizes"))
        return parts | {"caption": caption, "provenance": self.record["sources"], "svg": self.svg, "data": str(self.files[0])}


def catalogue() -> dict[str, Entry]:
    """Return every figure by ``system/name``, read from the files' docstrings without importing them.

    Examples
    --------
    >>> catalogue()["lp_embeddings/lewis_convergence"].system
    'lp_embeddings'
    """
    entries = {}
    for path in sorted(ROOT.glob("*/[a-z]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        entry = Entry(path.parent.name, path.stem, docstring.split("\n", 1)[0])
        entries[entry.key] = entry
    return entries


def find(name: str) -> list[Entry]:
    """Return the figures that a name means: ``system/name``, a bare name, a system or ``all``.

    Raises
    ------
    ValueError
        If there is none.
    """
    entries = catalogue()
    found = [entry for entry in entries.values() if name in ("all", entry.key, entry.name, entry.system)]
    if not found:
        raise ValueError(f"figure {name!r} does not exist; choose all or one of {', '.join(entries)}")
    return found


def make(
    entry: Entry,
    *,
    tier: str = "quick",
    seed: int = 0,
    jobs: int = 1,
    out: Path = Path("build/figures"),
    formats: tuple[str, ...] = ("svg",),
    progress: Progress | None = None,
) -> FigureResult:
    """Compute, save, describe and draw one figure.

    Parameters
    ----------
    entry : Entry
    tier : {"quick", "full"}
        Which of the module's parameter sets.
    seed : int
        Replaces the parameters' seed.
    jobs : int
        Workers for the computation; the arrays do not depend on it.
    out : Path
        Folder that gets ``<system>/<name>.npz`` and the other files.
    formats : tuple of str
        Matplotlib formats; SVG is always written.
    progress : Progress, optional

    Returns
    -------
    FigureResult

    Raises
    ------
    experiments.data.DataUnavailable
        If the figure's data is not on this machine.
    """
    from threadpoolctl import threadpool_limits

    from .. import data, provenance

    module = importlib.import_module(entry.module)
    parameters = replace({"quick": module.QUICK, "full": module.FULL}[tier], seed=seed)
    started = time.perf_counter()
    # One BLAS thread: sums are then taken in the same order on every machine, and workers do not fight for cores.
    with threadpool_limits(1):
        arrays = {name: np.asarray(array) for name, array in module.compute(parameters, jobs=jobs, progress=progress or Silent()).items()}
    seconds = time.perf_counter() - started
    description = module.describe(arrays)
    sources = [data.load(name).provenance for name in module.DATA]
    small = _small_print(seed, tier, sources)
    record = {
        "system": entry.system,
        "topic": module.TOPIC,
        "name": entry.name,
        "title": module.TITLE,
        **{part: getattr(description, part) for part in ("question", "answer", "data", "sizes", "alt")},
        "sources": small,
        "caption": " ".join([description.question, description.answer, description.data, description.sizes, small]),
        "numbers": dict(description.numbers),
        "parameters": asdict(parameters),
        "provenance": provenance.run_record(seed=seed, tier=tier, data=[source.as_dict() for source in sources]),
        "seconds": round(seconds, 3),
    }
    folder = out / entry.system
    numbers_path, record_path = folder / f"{entry.name}.npz", folder / f"{entry.name}.json"
    provenance.save_arrays(numbers_path, arrays)
    provenance.write_json(record_path, record)
    svg, pictures = _draw(module, arrays, entry, folder, formats)
    return FigureResult(provenance.read_json(record_path), svg, (numbers_path, record_path, *pictures), seconds)


def redraw(entry: Entry, *, out: Path = Path("build/figures"), formats: tuple[str, ...] = ("svg",)) -> FigureResult:
    """Draw a figure from the arrays that `make` saved, computing nothing.

    Raises
    ------
    FileNotFoundError
        If the figure has not been computed into `out`.
    """
    from .. import provenance

    folder = out / entry.system
    numbers_path, record_path = folder / f"{entry.name}.npz", folder / f"{entry.name}.json"
    if not numbers_path.exists() or not record_path.exists():
        raise FileNotFoundError(f"{numbers_path} does not exist; compute the figure first: python -m experiments figure {entry.name}")
    with np.load(numbers_path, allow_pickle=False) as saved:
        arrays = dict(saved)
    svg, pictures = _draw(importlib.import_module(entry.module), arrays, entry, folder, formats)
    record = provenance.read_json(record_path)
    return FigureResult(record, svg, (numbers_path, record_path, *pictures), record["seconds"])


def draw(name: str, arrays: Arrays) -> "Figure":
    """Return the matplotlib figure of one name in the package's style, for the gallery and for notebooks."""
    from .style import style

    with style():
        figure: Figure = importlib.import_module(find(name)[0].module).draw(arrays)
    return figure


def _draw(module: Any, arrays: Arrays, entry: Entry, folder: Path, formats: tuple[str, ...]) -> tuple[str, list[Path]]:
    """Draw and save in every format; return the SVG text and the files."""
    from .. import provenance
    from .style import style

    paths = []
    with style():
        figure = module.draw(arrays)
        for kind in dict.fromkeys(("svg", *formats)):
            path = folder / f"{entry.name}.{kind}"
            figure.savefig(path, format=kind, metadata={"Date": None} if kind == "svg" else None)
            paths.append(path)
    svg = _unique_ids(paths[0].read_text(encoding="utf-8"), entry.name)
    provenance.write_text(paths[0], svg)
    return svg, paths


def _unique_ids(svg: str, prefix: str) -> str:
    """Prefix every id, so that several figures can stand in one HTML page."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)


def _small_print(seed: int, tier: str, sources: list["Provenance"]) -> str:
    """Return the end of a caption: seed, tier, data with checksum, versions."""
    from .. import provenance

    known = provenance.versions(("epsdelta", "numpy", "scipy"))
    versions = ", ".join(f"{name} {version}" for name, version in known.items())
    return " ".join([f"Seed {seed}, {tier} tier.", *(source.sentence() for source in sources), f"{versions}."])
