"""TeX to MathML for the site: the report's renderer, with a check of what latex2mathml passes over in silence. Imports nothing of Sphinx."""

import re
from html import escape

from proofs_check.report.mathml import formula

# What latex2mathml leaves behind, without an error, where it does not know a command or an environment, and the one
# attribute that browsers ignore by now (\mathbb E gives it, \mathbb{E} does not).
_LEFTOVERS = re.compile(r'<code class="tex">|<m[ion]>\\[^<]*|<mi>&</mi>|mathvariant="(?!normal)[^"]*"')


def render(tex: str, *, block: bool = False) -> str:
    """Return the ``<math>`` element of a TeX formula, with the TeX as its alternative text; ValueError if it is beyond latex2mathml."""
    element = formula(tex.strip(), display=block)
    if leftover := _LEFTOVERS.search(element):
        raise ValueError(f"latex2mathml left {leftover.group()!r} in the formula {tex!r}: write it with other commands")
    return element.replace("<math ", f'<math alttext="{escape(" ".join(tex.split()), quote=True)}" ', 1)
