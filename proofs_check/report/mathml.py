r"""Formulas: MathML where the converter can, TeX in <code> where it cannot; one renderer for the report and the site.

latex2mathml says nothing where it does not know a command, and gives bars and functions no sides and no space.  Both are put right here.
"""

import re
from functools import lru_cache
from html import escape

__all__ = ["formula", "mathml"]

# What the converter leaves behind, without an error, where it does not know a command or an environment, and the one
# attribute that browsers ignore by now (\mathbb E gives it, \mathbb{E} does not).
_LEFTOVERS = re.compile(r'<m[ion][^>]*>\\[^<]*|<mi>&</mi>|mathvariant="(?!normal)[^"]*"')
_BAR = re.compile(r"\\(l|r)[vV]ert(?![A-Za-z])")
_BAR_ELEMENT = re.compile("<mo>(?=&#x0007C;|&#x02016;)")
_PLAIN_BARS = (re.compile('<mo stretchy="false">(?=&#x0007C;)'), re.compile('<mo fence="false" stretchy="false">(?=&#x02016;)'))
# Written as identifiers by the converter, so that nothing separates them from their argument.  As the base of a script they stay.
_FUNCTION = re.compile(r"(?<!<msub>)(?<!<msup>)(?<!<msubsup>)(<mi>(?:ln|log|exp)</mi>)(?!<mo[^>]*>&#x00028;)")


def mathml(tex: str, display: bool = True) -> str:
    r"""Turn TeX into a ``<math>`` element that carries the TeX as its alternative text.

    Parameters
    ----------
    tex : str
        A formula without dollar signs.
    display : bool, default=True
        As a line of its own.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        The formula is beyond latex2mathml.

    Examples
    --------
    >>> mathml(r"\lvert x\rvert").count("form=")
    2
    """
    from latex2mathml.converter import convert

    try:
        element = str(convert(tex.strip(), display="block" if display else "inline"))
    except Exception as error:  # the converter raises a dozen kinds of errors without a common base class
        raise ValueError(f"latex2mathml cannot read the formula {tex!r} ({error}): write it with other commands") from error
    leftover = _LEFTOVERS.search(element)
    if leftover or "href" in element:  # a formula has no reason to lead anywhere
        what = leftover.group() if leftover else "href"
        raise ValueError(f"latex2mathml left {what!r} in the formula {tex!r}: write it with other commands")
    element = _FUNCTION.sub(r'\1<mspace width="0.1667em" />', _with_sides(element, tex))
    return element.replace("<math ", f'<math alttext="{escape(" ".join(tex.split()), quote=True)}" ', 1)


@lru_cache(maxsize=1024)
def formula(tex: str, display: bool = True) -> str:
    r"""Turn TeX into markup that a browser shows without any further file: MathML, or the TeX itself where that cannot be had.

    Parameters
    ----------
    tex : str
        A formula without dollar signs.
    display : bool, default=True
        As a line of its own.

    Returns
    -------
    str
        Empty for an empty formula.

    Examples
    --------
    >>> formula(r"\alpha").startswith("<math")
    True
    """
    if not tex.strip():
        return ""
    try:
        return mathml(tex, display)
    except (ValueError, ImportError):
        return f'<code class="tex">{escape(tex)}</code>'


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
