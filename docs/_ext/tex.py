"""TeX to MathML for the site: the report's renderer, with a check of what latex2mathml passes over, and with bars that know their side."""

import re
from html import escape

from proofs_check.report.mathml import formula

# What latex2mathml leaves behind, without an error, where it does not know a command or an environment, and the one
# attribute that browsers ignore by now (\mathbb E gives it, \mathbb{E} does not).
_LEFTOVERS = re.compile(r'<code class="tex">|<m[ion][^>]*>\\[^<]*|<mi>&</mi>|mathvariant="(?!normal)[^"]*"')
_BAR = re.compile(r"\\(l|r)[vV]ert(?![A-Za-z])")
_BAR_ELEMENT = re.compile("<mo>(?=&#x0007C;|&#x02016;)")


def _with_sides(element: str, tex: str) -> str:
    r"""Mark \lvert and \rvert as opening and closing: without it a browser spaces them as relations and stretches only the first."""
    sides = _BAR.findall(tex)
    if len(sides) != len(_BAR_ELEMENT.findall(element)):
        return element
    forms = iter(["prefix" if side == "l" else "postfix" for side in sides])
    return _BAR_ELEMENT.sub(lambda _: f'<mo form="{next(forms)}" fence="true" stretchy="false">', element)


def render(tex: str, *, block: bool = False) -> str:
    """Return the ``<math>`` element of a TeX formula, with the TeX as its alternative text; ValueError if it is beyond latex2mathml."""
    element = formula(tex.strip(), display=block)
    if leftover := _LEFTOVERS.search(element):
        raise ValueError(f"latex2mathml left {leftover.group()!r} in the formula {tex!r}: write it with other commands")
    element = _with_sides(element, tex)
    return element.replace("<math ", f'<math alttext="{escape(" ".join(tex.split()), quote=True)}" ', 1)
