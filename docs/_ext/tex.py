"""TeX to MathML for the site: the report's renderer, with a check of what latex2mathml passes over, and with bars that know their side."""

import re
from html import escape

from proofs_check.report.mathml import formula

# What latex2mathml leaves behind, without an error, where it does not know a command or an environment, and the one
# attribute that browsers ignore by now (\mathbb E gives it, \mathbb{E} does not).
_LEFTOVERS = re.compile(r'<code class="tex">|<m[ion][^>]*>\\[^<]*|<mi>&</mi>|mathvariant="(?!normal)[^"]*"')
_BAR = re.compile(r"\\(l|r)[vV]ert(?![A-Za-z])")
_BAR_ELEMENT = re.compile("<mo>(?=&#x0007C;|&#x02016;)")
_PLAIN_BARS = (re.compile('<mo stretchy="false">(?=&#x0007C;)'), re.compile('<mo fence="false" stretchy="false">(?=&#x02016;)'))


# latex2mathml writes these as identifiers, so that nothing separates them from their argument. As the base of a script they stay.
_FUNCTION = re.compile(r"(?<!<msub>)(?<!<msup>)(?<!<msubsup>)(<mi>(?:ln|log|exp)</mi>)(?!<mo[^>]*>&#x00028;)")


def _with_sides(element: str, tex: str) -> str:
    r"""Mark bars as opening and closing: without it a browser spaces them as relations and stretches only the first.

    \lvert and \rvert say their side; plain bars are taken in turn where there is an even number of them.
    """
    sides = _BAR.findall(tex)
    if len(sides) == len(_BAR_ELEMENT.findall(element)):
        element = _marked(element, _BAR_ELEMENT, sides)
    for bars in _PLAIN_BARS:
        count = len(bars.findall(element))
        if count % 2 == 0:
            element = _marked(element, bars, ["l", "r"] * (count // 2))
    return element


def _marked(element: str, bars: re.Pattern[str], sides: list[str]) -> str:
    forms = iter("prefix" if side == "l" else "postfix" for side in sides)
    return bars.sub(lambda _: f'<mo form="{next(forms)}" fence="true" stretchy="false">', element)


def render(tex: str, *, block: bool = False) -> str:
    """Return the ``<math>`` element of a TeX formula, with the TeX as its alternative text; ValueError if it is beyond latex2mathml."""
    element = formula(tex.strip(), display=block)
    if leftover := _LEFTOVERS.search(element):
        raise ValueError(f"latex2mathml left {leftover.group()!r} in the formula {tex!r}: write it with other commands")
    element = _FUNCTION.sub(r'\1<mspace width="0.1667em" />', _with_sides(element, tex))
    return element.replace("<math ", f'<math alttext="{escape(" ".join(tex.split()), quote=True)}" ', 1)
