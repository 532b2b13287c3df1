"""What the pages refer to exists: claims, sections, files, names, commands; and nothing that should be there is left out."""

import importlib
import importlib.util
import pkgutil
import re
import unicodedata
from pathlib import Path
from types import ModuleType

import pytest

import algos
import experiments
import proofs_check
from experiments import cli as experiments_cli
from experiments import figures
from proofs_check import cli as proofs_check_cli
from proofs_check.claims import catalogue
from proofs_check.model import STATUSES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "generated" not in path.parts)]
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
SYSTEMS = sorted(path.stem for path in (DOCS / "theory").glob("*.md") if path.stem != "index")
PREFIX = {"lp_embeddings": "LP"}
CLAIM_ID = re.compile(r"\b(?:LP|HS|MB|LS|MT|DL)-\d\d[a-z]{0,2}\b")


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def theory(system: str) -> str:
    return TEXT[DOCS / "theory" / f"{system}.md"]


def statement(claim_id: str) -> str:
    """A claim with a letter (LP-03a) is a part of the statement in the box of its number."""
    return claim_id.rstrip("abcdefghijklmnopqrstuvwxyz")


def sources() -> list[Path]:
    return [path for package in (algos, experiments, proofs_check) for path in Path(package.__path__[0]).rglob("*.py")]


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+?)\s*$", text, re.M)


def anchors(text: str) -> set[str]:
    """The anchors that MyST gives a page's headings (as GitHub does) and its explicit targets."""
    slugs = set(re.findall(r"^\(([a-z0-9-]+)\)=$", text, re.M))
    for heading in headings(text):
        kept = "".join(c for c in heading.lower() if c in " -_" or unicodedata.category(c)[0] in "LN")
        slugs.add(kept.replace(" ", "-"))
    return slugs


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_claim_that_a_page_names_is_in_the_catalogue(page: Path) -> None:
    assert set(CLAIM_ID.findall(TEXT[page])) <= set(catalogue()) | {statement(claim) for claim in catalogue()}


@pytest.mark.parametrize("system", SYSTEMS)
def test_theory_page_and_catalogue_hold_the_same_claims(system: str) -> None:
    boxes = re.findall(r"^:::\{admonition\} (\S+) ·", theory(system), re.M)
    assert len(boxes) == len(set(boxes))
    declared = {statement(claim.id) for claim in catalogue().claims if claim.topic.split("/")[0] == system}
    assert set(boxes) == declared
    targets = re.findall(r"^\(([a-z]{2}-\d\d)\)=\n:::\{admonition\} (\S+) ·", theory(system), re.M)
    assert [(claim.lower(), claim) for claim in boxes] == targets


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_topic_with_a_claim_has_its_section(system: str) -> None:
    topics = {claim.topic.split("/")[1] for claim in catalogue().claims if claim.topic.split("/")[0] == system}
    assert topics <= set(re.findall(r"^Topic `(\w+)`", theory(system), re.M))


def test_sections_quoted_in_the_code_exist() -> None:
    quoted = [
        (path.name, system, section)
        for path in sources()
        for system, section in re.findall(r'docs/theory/(\w+)\.md(?:``)?, "([^"]+)"', path.read_text(encoding="utf-8"))
    ]
    assert quoted
    assert not [quote for quote in quoted if quote[2] not in headings(theory(quote[1]))]


def test_sections_that_claims_name_as_their_proof_exist() -> None:
    proofs = {claim.id: claim.source.proof for claim in catalogue().claims if claim.source.origin == "derived"}
    for claim, proof in proofs.items():
        named = re.match(r"docs/theory/(\w+)\.md, ([^:(]+?)\s*(?:[:(]|$)", proof)
        assert named, f"{claim}: {proof}"
        assert named[2].strip('"') in headings(theory(named[1])), f"{claim}: {proof}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", TEXT[page], flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target) or "generated" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        file = file if file.exists() else file.with_suffix(".md")
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_named_in_code_marks_exist(page: Path) -> None:
    named = re.findall(r"`((?:algos|docs|experiments|proofs_check|tests)/[\w./-]+)`", TEXT[page])
    for name in named:
        package, _, rest = name.partition("/")
        home = {"algos": algos, "experiments": experiments, "proofs_check": proofs_check}.get(package)
        path = ROOT / name if home is None else Path(home.__path__[0]) / rest
        assert path.exists(), name


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_exist(page: Path) -> None:
    commands = {
        "experiments": experiments_cli._parser(),
        "proofs_check": proofs_check_cli._parser(),
    }
    for package, name in re.findall(r"python -m (experiments|proofs_check) ([a-z]+)\b", TEXT[page]):
        choices = next(action.choices for action in commands[package]._actions if isinstance(action.choices, dict))
        assert name in choices, f"{package} {name}"


def test_figures_named_on_the_command_line_exist() -> None:
    known = {name for entry in figures.catalogue().values() for name in (entry.name, entry.key)}
    for text in TEXT.values():
        assert set(re.findall(r"experiments figure ([a-z_/]+)", text)) <= known | {"all"}


def test_make_targets_named_on_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {name for text in TEXT.values() for name in re.findall(r"(?:`|\$ )make ([a-z-]+)", text)}
    assert {"report", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("page", sorted((DOCS / "api").glob("*.md")), ids=page_id)
def test_names_in_the_reference_exist(page: Path) -> None:
    text = TEXT[page]
    for module in re.findall(r"automodule:: (\S+)", text):
        importlib.import_module(module)
    for module, block in re.findall(r"currentmodule:: (\S+)\n(.*?)(?=currentmodule::|\Z)", text, re.S):
        listed = re.findall(r"^   (\w+)$", block, re.M)
        assert listed
        assert not [name for name in listed if not hasattr(importlib.import_module(module), name)]


def test_every_public_name_of_a_room_is_in_the_reference() -> None:
    rooms = [module.name for module in pkgutil.iter_modules(algos.__path__, "algos.") if module.ispkg and module.name != "algos.common"]
    for room in rooms:
        page = TEXT[DOCS / "api" / f"{room.split('.')[1]}.md"]
        assert set(importlib.import_module(room).__all__) <= set(re.findall(r"^   (\w+)$", page, re.M))


def test_verdict_page_explains_every_status() -> None:
    table = re.findall(r"^\| (?:\S\s)?([A-Z]{5,}) \|", TEXT[DOCS / "user_guide" / "verdicts.md"], re.M)
    assert sorted(table) == sorted(STATUSES)


def test_readme_lists_the_six_systems_and_says_which_exist() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", TEXT[ROOT / "README.md"], re.M))
    assert len(rows) == 6
    existing = {module.name for module in pkgutil.iter_modules(algos.__path__) if module.ispkg and module.name != "common"}
    assert {name for name, status in rows.items() if status != "planned"} == existing


@pytest.fixture(scope="module")
def tex() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tex", DOCS / "_ext" / "tex.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def formulas() -> list[str]:
    found = []
    for text in TEXT.values():
        prose = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.M | re.S)
        prose = re.sub(r"`[^`\n]*`", "", prose)
        found += re.findall(r"\$\$(.+?)\$\$", prose, re.S)
        found += re.findall(r"\$([^$]+?)\$", re.sub(r"\$\$.+?\$\$", "", prose, flags=re.S))
    for path in sources():
        found += re.findall(r":math:`([^`]+)`", path.read_text(encoding="utf-8"))
    return found + [claim.tex for claim in catalogue().claims if claim.tex]


def test_every_formula_becomes_mathml(tex: ModuleType) -> None:
    assert len(formulas()) > 100
    for formula in formulas():
        assert tex.render(formula).startswith("<math ")


@pytest.mark.parametrize(
    "formula", [r"\begin{aligned} a &= b \end{aligned}", r"\mathbb E", r"\nosuchcommand x"], ids=["environment", "bare", "command"]
)
def test_formula_that_a_browser_would_show_wrongly_is_refused(tex: ModuleType, formula: str) -> None:
    with pytest.raises(ValueError, match="write it with other commands"):
        tex.render(formula)


def test_bars_of_absolute_values_open_and_close(tex: ModuleType) -> None:
    for formula in (r"\max_x \lvert x\rvert_p", r"\max_x |x|_p", r"\max_x \lVert x\rVert_p", r"\max_x \|x\|_p"):
        assert re.findall(r'form="(\w+)"', tex.render(formula)) == ["prefix", "postfix"]
    assert "form=" not in tex.render(r"P(a|b)")


def test_mathml_keeps_the_tex_as_its_alternative_text(tex: ModuleType) -> None:
    assert 'alttext="a &lt; \\lVert x\\rVert"' in tex.render("a < \\lVert x\\rVert")
