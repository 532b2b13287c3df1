"""Every example of a page or a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import algos
import experiments
import proofs_check

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts)]
MODULES = [
    module.name
    for package in (algos, experiments, proofs_check)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not module.name.endswith("__main__")
]
FENCE = re.compile(r"^(\s*)(```+)(.*)$")


def code_of(page: str) -> str:
    """The page's fenced Python code at its line numbers, everything else blank, so that a failure names the page's line."""
    lines, inside = [], False
    for line in page.splitlines():
        if fence := FENCE.match(line):
            inside = not inside and fence[3].strip() == "python"
            lines.append("")
        else:
            lines.append(line if inside else "")
    return "\n".join(lines) + "\n"


def failures_of(test: doctest.DocTest) -> str:
    output: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test, out=output.append)
    return "".join(output)


@pytest.mark.parametrize("page", [page for page in PAGES if ">>>" in code_of(page.read_text(encoding="utf-8"))], ids=lambda page: page.stem)
def test_the_code_of_a_page_prints_what_the_page_says(page: Path) -> None:
    code = code_of(page.read_text(encoding="utf-8"))
    assert not failures_of(doctest.DocTestParser().get_doctest(code, {"__name__": "__main__"}, page.name, str(page), 0))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_say(name: str) -> None:
    for test in doctest.DocTestFinder().find(importlib.import_module(name), name):
        if test.examples:
            assert not failures_of(test)


def test_a_page_with_a_wrong_example_is_noticed() -> None:
    code = code_of("text\n\n```python\n>>> 1 + 1\n3\n```\n\n```text\n>>> 1\n```\n")
    report = failures_of(doctest.DocTestParser().get_doctest(code, {}, "page", "page.md", 0))
    assert "Expected:\n    3\nGot:\n    2" in report
    assert "line 4" in report
    assert ">>> 1\n" not in code
