"""JUnit XML, for continuous integration: a test case per claim and per mutant."""

import xml.etree.ElementTree as ET
from pathlib import Path

from proofs_check.evidence import MutantResult, RunResult, Verdict

__all__ = ["junit_xml", "write_junit"]


def junit_xml(result: RunResult) -> str:
    """Translate a run.

    REFUTED and a surviving mutant are failures, ERROR is an error, INCONCLUSIVE and UNAVAILABLE are skipped with their reason (and
    the property ``expected`` says whether the tier was meant to decide).

    Parameters
    ----------
    result : RunResult

    Returns
    -------
    str
        An XML document.
    """
    cases = [_claim(verdict, result) for verdict in result.verdicts]
    cases += [
        _mutant(mutant, verdict) for verdict in result.verdicts for mutant in verdict.mutants if mutant.status not in ("blind", "not run")
    ]
    suite = ET.Element("testsuite", name="proofs_check", tests=str(len(cases)), time=f"{result.seconds:.3f}")
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
    suite.extend(cases)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def write_junit(result: RunResult, path: str | Path) -> Path:
    """Write :func:`junit_xml` to a file and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(junit_xml(result), encoding="utf-8")
    return path


def _claim(verdict: Verdict, result: RunResult) -> ET.Element:
    summary = result.summaries.get(verdict.claim, {})
    case = ET.Element("testcase", classname=str(summary.get("topic", "claims")).replace("/", "."), name=verdict.claim)
    case.set("time", f"{verdict.seconds:.3f}")
    properties = ET.SubElement(case, "properties")
    for name, value in (("verdict", verdict.status), ("tier", verdict.tier), ("expected", str(verdict.expected).lower())):
        ET.SubElement(properties, "property", name=name, value=value)
    tag = {"REFUTED": "failure", "ERROR": "error", "INCONCLUSIVE": "skipped", "UNAVAILABLE": "skipped"}.get(verdict.status)
    if tag is not None:
        ET.SubElement(case, tag, message=_valid(f"{verdict.status}: {verdict.reason}"))
    return case


def _mutant(mutant: MutantResult, verdict: Verdict) -> ET.Element:
    case = ET.Element("testcase", classname=f"mutants.{verdict.claim}", name=mutant.id, time=f"{mutant.seconds:.3f}")
    if mutant.status == "survived":
        tag = "failure" if mutant.expected_dead else "skipped"
        ET.SubElement(case, tag, message=_valid(f"not noticed: {mutant.why}"))
    elif mutant.status == "error":
        ET.SubElement(case, "error", message=_valid(mutant.reason or "could not run"))
    return case


def _valid(text: str) -> str:
    """Drop the characters that XML cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or 0x20 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE or ord(c) > 0xFFFF)
