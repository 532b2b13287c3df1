"""TeX to MathML for the site: the report's renderer, which refuses what a browser would show wrongly."""

from proofs_check.report.mathml import mathml


def render(tex: str, *, block: bool = False) -> str:
    """Return the ``<math>`` element of a TeX formula, with the TeX as its alternative text; ValueError if it is beyond latex2mathml."""
    return mathml(tex, display=block)
