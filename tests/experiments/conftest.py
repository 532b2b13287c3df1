"""Figures small enough to be made in a test; one of them is drawn once for all tests."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import figures
from experiments.figures.lp_embeddings import lewis_convergence

SMALL = replace(lewis_convergence.QUICK, rows=60, columns=3, exponents=(1.0, 3.0, 6.0), matrices=3)
ENTRY = figures.find("lewis_convergence")[0]


@pytest.fixture
def small_convergence(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The convergence figure with parameters that take a tenth of a second."""
    monkeypatch.setattr(lewis_convergence, "QUICK", SMALL)
    return lewis_convergence


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> figures.FigureResult:
    """The small convergence figure, computed, saved and drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lewis_convergence, "QUICK", SMALL)
        return figures.make(ENTRY, out=tmp_path_factory.mktemp("figures"))


@pytest.fixture
def quick_make(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, BaseException], None]:
    """Replace the making of figures by writing empty files; the returned function makes one of them fail."""
    failures: dict[str, BaseException] = {}

    def make(entry: figures.Entry, *, out: Path, **options: object) -> figures.FigureResult:
        if entry.name in failures:
            raise failures[entry.name]
        folder = out / entry.system
        folder.mkdir(parents=True, exist_ok=True)
        files = tuple(folder / f"{entry.name}.{kind}" for kind in ("npz", "json", "svg"))
        for path in files:
            path.touch()
        record = dict.fromkeys(("topic", "title", "alt", "question", "answer", "data", "sizes", "sources"), "-")
        svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
        return figures.FigureResult(record | {"system": entry.system, "name": entry.name}, svg, files, 0.0)

    monkeypatch.setattr(figures, "make", make)
    return failures.__setitem__
