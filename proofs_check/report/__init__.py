"""Reports: one self-contained HTML file, JUnit XML, and the schema of ``results.jsonl``.

Examples
--------
>>> from proofs_check.evidence import RunResult
>>> from proofs_check.report import render
>>> page = render(RunResult((), {}, "quick", 0, 0.0, {}))
>>> page.startswith("<!DOCTYPE html>")
True
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proofs_check.evidence import RunResult
from proofs_check.report.html import render
from proofs_check.report.junit import junit_xml, write_junit

if TYPE_CHECKING:
    from proofs_check.calibration import Calibration

__all__ = ["junit_xml", "render", "schema", "write", "write_junit"]


def write(
    result: RunResult,
    figures: Sequence[Mapping[str, Any]] = (),
    path: str | Path = "build/report/index.html",
    *,
    title: str = "Proof check",
    sections: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (),
    calibration: "Calibration | None" = None,
) -> Path:
    """Write the report of a run as one HTML file that appears whole or not at all.

    Parameters
    ----------
    result : RunResult
        Verdicts, summaries and provenance of a run.
    figures : sequence of mapping, default=()
        Figures to show: ``system``, ``topic``, ``name``, ``title``, ``svg`` (an SVG document), ``alt``, ``caption``, ``provenance``
        (mapping or text), ``data`` (path of the saved arrays). Identifiers inside the drawings may repeat between figures.
    path : str or Path, default="build/report/index.html"
        File to write; its folder is made.
    title : str, default="Proof check"
        Title of the browser tab.
    sections : sequence of (str, sequence of (str, str)), default=()
        Further facts for the end of the page: a heading and name-value pairs each.
    calibration : Calibration, optional
        Result of :func:`proofs_check.calibration.calibrate`, shown as "The judge on trial".

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        A figure is not a well-formed SVG document.
    """
    path = Path(path)
    text = render(result, figures, title=title, sections=sections, calibration=calibration)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one line of ``results.jsonl``."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
    return found
