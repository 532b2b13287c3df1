"""Sphinx extension: the gallery is the figures of `experiments`, made by the same call with the quick parameters.

Before sphinx-gallery starts, one short script is written for every module in ``experiments/figures/<system>``. It calls
`experiments.figures.make`, as ``python -m experiments figure`` does, so that the gallery cannot drift from the figures.
"""

import ast
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from sphinx.application import Sphinx

SYSTEMS = {"lp_embeddings": "lp embeddings", "testable_halfspaces": "testable halfspaces", "misspecified_bandits": "misspecified bandits"}

HEADER = """\
Gallery
=======

Every picture here answers one question, named under it, and is made by the script that
``python -m experiments figure NAME`` runs, with its quick parameters. ``--full`` draws the version worth publishing.
"""

SCRIPT = '''\
"""
{title}
{rule}

{docstring}
"""

from pathlib import Path

from experiments import figures

entry = figures.find("{key}")[0]
made = figures.make(entry, tier="quick", out=Path("figures"))

# %%
# ``made.record`` holds the caption, the numbers that it quotes, the parameters and where the data came from; beside it lie the arrays
# (``.npz``) and the picture (``.svg``). The same from the command line: ``python -m experiments figure {key} --quick``.
#
# .. dropdown:: The script: experiments/figures/{key}.py
#
#    .. literalinclude:: /../experiments/figures/{key}.py
#       :language: python
'''


def _title(source: ast.Module) -> str:
    """Return the module's ``TITLE`` without importing it."""
    for node in source.body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "TITLE" for target in node.targets):
            return str(ast.literal_eval(node.value))
    raise ValueError("the figure's module assigns no TITLE")


def write_scripts(folder: Path) -> None:
    """Write the headers and one script per figure into ``folder``."""
    from experiments import figures

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "GALLERY_HEADER.rst").write_text(HEADER, encoding="utf-8")
    for entry in figures.catalogue().values():
        place = folder / entry.system
        if not place.exists():
            place.mkdir()
            name = SYSTEMS[entry.system]
            (place / "GALLERY_HEADER.rst").write_text(f"{name}\n{'-' * len(name)}\n", encoding="utf-8")
        source = ast.parse((figures.ROOT / entry.system / f"{entry.name}.py").read_text(encoding="utf-8"))
        title = _title(source)
        fields = {"title": title, "rule": "=" * len(title), "docstring": ast.get_docstring(source), "key": entry.key}
        (place / f"plot_{entry.name}.py").write_text(SCRIPT.format(**fields), encoding="utf-8")


def scrape(block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: Mapping[str, Any]) -> str:
    """Return the reStructuredText that shows what a block made: sphinx-gallery's scraper for `FigureResult`."""
    made = block_vars["example_globals"].get("made")
    if made is None or block_vars.get("shown") is made:
        return ""
    block_vars["shown"] = made
    target = Path(next(block_vars["image_path_iterator"])).with_suffix(".svg")
    target.write_text(made.svg, encoding="utf-8")
    record = made.record
    return dedent(
        """
        .. figure:: {image}
           :alt: {alt}
           :class: epsdelta-figure

           {question}

        {answer}

        .. container:: small-print

           {small}

        """
    ).format(
        image="/" + target.relative_to(gallery_conf["src_dir"]).as_posix(),
        alt=record["alt"],
        question=_plain(record["question"]),
        answer=_plain(record["answer"]),
        small=_plain(record["caption"].removeprefix(record["question"]).strip().removeprefix(record["answer"]).strip()),
    )


def _plain(text: str) -> str:
    """Escape what reStructuredText would read as markup."""
    return re.sub(r"([\\`*_|])", r"\\\1", text)


def _get_sg_image_scraper() -> Callable[..., str]:
    """Tell sphinx-gallery, which finds this function by its name, how this module's pictures are collected."""
    return scrape


def _before_gallery(app: Sphinx) -> None:
    conf = app.config.sphinx_gallery_conf
    write_scripts(Path(conf["examples_dirs"][0]))
    shutil.rmtree(Path(app.srcdir, conf["gallery_dirs"][0]), ignore_errors=True)  # pages and thumbnails of figures that are gone


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the scripts before sphinx-gallery, which listens to the same event, looks for them."""
    app.connect("builder-inited", _before_gallery, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
