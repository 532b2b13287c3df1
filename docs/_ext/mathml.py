"""Sphinx extension: every formula becomes MathML, which browsers draw themselves, so that a page needs no script and no network.

Serves the ``math`` role and directive, MyST's dollar formulas and numpydoc's ``:math:``, since all of them become docutils
``math`` and ``math_block`` nodes. A formula that latex2mathml cannot read is a warning, hence an error under ``-W``.
"""

import re
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

# What latex2mathml leaves behind, without an error, where it does not know a command or an environment, and the one
# attribute that browsers ignore by now (\mathbb E gives it, \mathbb{E} does not).
_LEFTOVERS = re.compile(r'<m[ion]>\\[^<]*|<mi>&</mi>|mathvariant="(?!normal)[^"]*"')


def render(tex: str, *, block: bool = False) -> str:
    """Return the ``<math>`` element of a TeX formula, with the TeX kept as its alternative text; ValueError if it is beyond latex2mathml."""
    from latex2mathml.converter import convert

    element = convert(tex.strip(), display="block" if block else "inline")
    if leftover := _LEFTOVERS.search(element):
        raise ValueError(f"latex2mathml left {leftover.group()!r} in the formula {tex!r}: write it with other commands")
    return element.replace("<math ", f'<math alttext="{escape(" ".join(tex.split()), quote=True)}" ', 1)


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
