"""Make several figures, one line each; one that lacks its data does not stop the others."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from . import figures
from .codes import EXIT_OK, EXIT_UNAVAILABLE
from .data import DataUnavailable
from .progress import progress_for

__all__ = ["make_figures"]


def make_figures(
    entries: Sequence[figures.Entry], arguments: argparse.Namespace, finished: list[Path]
) -> tuple[list[figures.FigureResult], int]:
    """Make or redraw each figure.

    Parameters
    ----------
    entries : sequence of Entry
    arguments : Namespace
        Options of the command line: ``tier, seed, jobs, out``, and where the command has them ``redraw, format``.
    finished : list of Path
        Gets the files of each figure as soon as they are whole, for the message after an interrupt.

    Returns
    -------
    results : list of FigureResult
    code : int
        0, or 3 if data was missing or nothing was there to redraw.
    """
    progress = progress_for()
    formats, out = tuple(getattr(arguments, "format", ())), arguments.out / "figures"
    options = {"tier": arguments.tier, "seed": arguments.seed, "jobs": arguments.jobs, "progress": progress}
    results, code = [], EXIT_OK
    for entry in entries:
        started = time.perf_counter()
        try:
            if getattr(arguments, "redraw", False):
                result = figures.redraw(entry, out=out, formats=formats)
            else:
                result = figures.make(entry, out=out, formats=formats, **options)
        except (DataUnavailable, FileNotFoundError) as error:
            progress.line(f"unavailable  {entry.key}: {error}")
            code = EXIT_UNAVAILABLE
            continue
        results.append(result)
        finished.extend(result.files)
        progress.line(f"{time.perf_counter() - started:6.1f} s  {entry.key:<40}  {result.files[-1]}")
    return results, code
