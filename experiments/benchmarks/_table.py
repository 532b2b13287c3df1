"""Rows, targets and the table that holds them, as Markdown and JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import provenance

__all__ = ["Row", "Table", "Target"]

PACKAGES = ("epsdelta", "numpy", "scipy", "numba", "scikit-learn", "highspy", "pyqreg2", "statsmodels", "joblib")


@dataclass(frozen=True)
class Row:
    """One method on one case.

    Attributes
    ----------
    part, case, method : str
    seconds : float or None
        Median over the timed runs; None where the method has no time (missing peer, memory row).
    fastest, slowest : float or None
    cpu : float or None
        Median processor time, of which the targets' ratios are taken.
    repeats : int
        Timed runs.
    first : float or None
        Seconds of the first call, which includes compilation; None where it was not taken.
    quality : mapping of str to float
        Errors, gaps or bytes, by name.
    note : str
    """

    part: str
    case: str
    method: str
    seconds: float | None = None
    fastest: float | None = None
    slowest: float | None = None
    cpu: float | None = None
    repeats: int = 0
    first: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def line(self) -> str:
        """Return the row as one line for the terminal."""
        took = f"{self.seconds:9.4f} s" if self.seconds is not None else " " * 11
        facts = ", ".join(f"{name} {_number(value)}" for name, value in self.quality.items())
        return f"{took}  {self.case:<26} {self.method:<32} {facts or self.note}".rstrip()


@dataclass(frozen=True)
class Target:
    """A promise about speed, memory or precision with what was measured.

    Attributes
    ----------
    part, statement : str
    limit : float
        Largest value that passes.
    measured : float or None
        None if it could not be measured; `note` says why.
    note : str
    """

    part: str
    statement: str
    limit: float
    measured: float | None
    note: str = ""

    @property
    def verdict(self) -> str:
        """``pass``, ``miss`` or ``not measured``."""
        if self.measured is None:
            return "not measured"
        return "pass" if self.measured <= self.limit else "miss"

    def line(self) -> str:
        """Return the target as one line for the terminal."""
        measured = "" if self.measured is None else f"{_number(self.measured)} <= {_number(self.limit)}"
        return f"  {self.verdict:<12} {measured:<20} {self.statement} {self.note}".rstrip()


@dataclass
class Table:
    """Everything one benchmark measured."""

    name: str
    tier: str
    seed: int
    repeats: int
    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def add(self, item: Row | Target) -> None:
        """Append a row or a target."""
        if isinstance(item, Row):
            self.rows.append(item)
        else:
            self.targets.append(item)

    @property
    def misses(self) -> int:
        """Number of targets missed."""
        return sum(target.verdict == "miss" for target in self.targets)

    def summary(self) -> str:
        """Return the counts of targets in one line."""
        count = {verdict: sum(target.verdict == verdict for target in self.targets) for verdict in ("pass", "miss", "not measured")}
        return f"{len(self.targets)} targets: " + ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)

    def as_dict(self) -> dict[str, Any]:
        """Return the table in JSON's types, with versions and machine."""
        return {
            "name": self.name,
            "tier": self.tier,
            "seed": self.seed,
            "repeats": self.repeats,
            "threads": 1,
            "versions": provenance.versions(PACKAGES),
            "machine": provenance.machine(),
            "rows": [asdict(row) for row in self.rows],
            "targets": [asdict(target) | {"verdict": target.verdict} for target in self.targets],
        }

    def markdown(self) -> str:
        """Return the table as Markdown: targets first, then every row by part."""
        lines = [f"# Benchmark {self.name}", ""]
        machine = provenance.machine()
        known = ", ".join(f"{name} {version}" for name, version in provenance.versions(PACKAGES).items())
        lines += [
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}; one thread; "
            f"median of {self.repeats} interleaved runs unless a row says otherwise; ratios are of processor time, which other programs do "
            f"not change; seed {self.seed}; tier {self.tier}.",
            "",
            f"Versions: {known}.",
            "",
        ]
        if self.targets:
            cells = [(t.statement, _number(t.limit), _number(t.measured), t.verdict, t.note) for t in self.targets]
            lines += ["## Targets", "", *_grid(("target", "at most", "measured", "verdict", "note"), cells, right={1, 2}), ""]
        for part in dict.fromkeys(row.part for row in self.rows):
            lines += [f"## {part}", "", *_grid(_HEADER, [_cells(row) for row in self.rows if row.part == part], right={2, 3, 4, 5}), ""]
        return "\n".join(lines)

    def write(self, out: Path) -> None:
        """Write both files."""
        provenance.write_json(out / f"{self.name}.json", self.as_dict())
        provenance.write_text(out / f"{self.name}.md", self.markdown())


_HEADER = ("case", "method", "median s", "range s", "processor s", "first call s", "quality", "note")


def _cells(row: Row) -> tuple[str, ...]:
    """Return one row of the Markdown table."""
    spread = "" if row.fastest is None else f"{_number(row.fastest)} - {_number(row.slowest)}"
    quality = ", ".join(f"{name} {_number(value)}" for name, value in row.quality.items())
    runs = f"{row.repeats} run{'s' * (row.repeats > 1)}" if row.repeats else ""
    note = "; ".join(text for text in (row.note, runs) if text)
    return row.case, row.method, _number(row.seconds), spread, _number(row.cpu), _number(row.first), quality, note


def _grid(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, right: set[int]) -> list[str]:
    """Return a Markdown table, padded so that it also reads as plain text."""
    body = list(rows)
    widths = [max(len(row[column]) for row in (header, *body)) for column in range(len(header))]
    rule = tuple("-" * (width - 1) + ":" if column in right else "-" * width for column, width in enumerate(widths))
    return [f"| {' | '.join(_pad(row, widths, right))} |" for row in (header, rule, *body)]


def _pad(row: tuple[str, ...], widths: list[int], right: set[int]) -> list[str]:
    """Return the cells of one row in the columns' widths, figures to the right."""
    pairs = enumerate(zip(row, widths, strict=True))
    return [text.rjust(width) if column in right else text.ljust(width) for column, (text, width) in pairs]


def _number(value: float | None) -> str:
    """Return three significant digits; an empty cell for a missing value.

    Examples
    --------
    >>> _number(0.012345), _number(1234.5), _number(3e-11), _number(None)
    ('0.0123', '1230', '3e-11', '')
    """
    if value is None or value != value:
        return ""
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e+").replace(".00e", "e")
    digits = f"{float(f'{value:.3g}'):f}"
    return digits.rstrip("0").rstrip(".") if abs(value) >= 100 else f"{value:.3g}"
