"""Formulas: MathML where the converter can, TeX in <code> where it cannot."""

from functools import lru_cache
from html import escape

__all__ = ["formula"]


@lru_cache(maxsize=1024)
def formula(tex: str, display: bool = True) -> str:
    r"""Turn TeX into markup that a browser shows without any further file.

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
        from latex2mathml.converter import convert

        markup = str(convert(tex, display="block" if display else "inline"))
        if "href" not in markup:  # a formula has no reason to lead anywhere
            return markup
    except Exception:  # the converter raises a dozen kinds of errors; whatever it cannot do is shown as it was written
        pass
    return f'<code class="tex">{escape(tex)}</code>'
