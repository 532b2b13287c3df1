"""Sphinx extension: every formula becomes MathML, which browsers draw themselves, so that a page needs no script and no network.

Serves the ``math`` role and directive, MyST's dollar formulas and numpydoc's ``:math:``, since all of them become docutils
``math`` and ``math_block`` nodes. A formula that latex2mathml cannot read is a warning, hence an error under ``-W``.
"""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator
from tex import render

logger = logging.getLogger(__name__)


def _checked(node: nodes.Element, *, block: bool) -> str:
    tex = node.astext()
    try:
        return render(tex, block=block)
    except Exception as error:  # latex2mathml's own errors have no common base class
        logger.warning("formula %r: %s", tex, error, location=node)
        return f"<code>{escape(tex)}</code>"


def _visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{_checked(node, block=False)}</span>')
    raise nodes.SkipNode


def _visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    number = f'<span class="eqno">({get_node_equation_number(self, node)})</span>' if node.get("number") else ""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(f"{_checked(node, block=True)}{number}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer; ``html_math_renderer = "mathml"`` in conf.py selects it."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
