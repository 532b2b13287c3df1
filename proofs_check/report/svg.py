"""Small drawings for the report, and the cleaning of foreign ones.

Charts are inline SVG without text: curves live in a 100 x 100 box that stretches to its place while lines keep their width, and labels are
HTML beside it, so that letters keep their size on a phone.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Plot", "evidence_plot", "inline_svg", "log_position", "loglog_plot", "power_plot", "ticks_log"]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_DROPPED = frozenset({"script", "foreignObject", "metadata", "iframe", "a", "animate", "set", "handler"})
_POINTS = 60


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing and the labels around it.

    Attributes
    ----------
    svg : str
        The inline SVG.
    x_ticks, y_ticks : tuple of (float, str)
        Position in per cent (x from the left, y from the top) and text.
    marks : tuple of (float, float, str, str)
        Labels inside the drawing: x, y in per cent, text, CSS class.
    x_label, y_label, alt : str
    """

    svg: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_label: str
    y_label: str
    alt: str
    marks: tuple[tuple[float, float, str, str], ...] = field(default=())


def log_position(value: float, low: float, high: float) -> float:
    """Place a value on a logarithmic axis, in per cent, clipped to its ends.

    Examples
    --------
    >>> log_position(1.0, 0.01, 100.0)
    50.0
    """
    if value <= low:
        return 0.0
    return round(100.0 * math.log(min(value, high) / low) / math.log(high / low), 2)


def ticks_log(low: float, high: float) -> list[float]:
    """Powers of ten between two ends, or 1-2-5 steps where there are fewer than three.

    Examples
    --------
    >>> ticks_log(0.01, 2.0)
    [0.01, 0.1, 1.0]
    >>> ticks_log(0.2, 2.0)
    [0.2, 0.5, 1.0, 2.0]
    """
    start, stop = math.floor(math.log10(low)), math.ceil(math.log10(high))
    tens = [10.0**e for e in range(start, stop + 1) if low <= 10.0**e * (1 + 1e-9) and 10.0**e <= high * (1 + 1e-9)]
    if len(tens) >= 3:
        return tens[:: math.ceil(len(tens) / 5)]
    return [m * 10.0**e for e in range(start, stop + 1) for m in (1, 2, 5) if low <= m * 10.0**e * (1 + 1e-9) <= high * (1 + 2e-9)]


def evidence_plot(path: Sequence[tuple[int, float, float]], alpha_R: float, alpha_A: float) -> Plot | None:
    """Draw the two e-processes of a part against the number of trials, with the thresholds at which they decide.

    Parameters
    ----------
    path : sequence of (n, ln R, ln A)
        Looks of one part.
    alpha_R, alpha_A : float
        Error levels.

    Returns
    -------
    Plot or None
        None with fewer than two looks.
    """
    if len(path) < 1:
        return None
    points = [(0, 0.0, 0.0), *_thin(path)]
    top, floor = -math.log(alpha_R) + 2.0, -7.0
    right = float(points[-1][0])
    high = max(top, *(min(v, 3 * top) for p in points for v in p[1:] if math.isfinite(v)))

    def xy(n: float, value: float) -> tuple[float, float]:
        return 100.0 * n / right, 100.0 * (high - min(max(value, floor), high)) / (high - floor)

    curves = [_polyline([xy(n, r) for n, r, _ in points], "c-refute")]
    if all(math.isfinite(a) for _, _, a in points):
        curves.append(_polyline([xy(n, a) for n, _, a in points], "c-accept"))
    lines, marks = [_rule(xy(0, 0.0)[1], "c-zero")], []
    for alpha, css, word in ((alpha_R, "c-refute", "refuted"), (alpha_A, "c-accept", "accepted")):
        y = xy(0, -math.log(alpha))[1]
        lines.append(_rule(y, css + " c-limit"))
        marks.append((0.0, y, f"{word} at {1 / alpha:.0e}".replace("e+0", "e"), css))
    decades = [d for d in (-3, 0, 3, 6, 9, 12, 15, 18) if floor <= d * math.log(10) <= high]
    return Plot(
        svg=_frame("".join(lines + curves)),
        x_ticks=tuple((100.0 * n / right, f"{n:,}") for n in _nice_ticks(right)),
        y_ticks=tuple((xy(0, d * math.log(10))[1], f"1e{d}" if d else "1") for d in decades),
        x_label="trials",
        y_label="evidence",
        alt=f"Evidence against the claim and against its negation after up to {int(right)} trials",
        marks=tuple(marks),
    )


def loglog_plot(sizes: Sequence[float], errors: Sequence[float], exponent: float | None) -> Plot | None:
    """Draw median errors over the window of a rate, with the claimed slope as a dashed line through the first point.

    Parameters
    ----------
    sizes, errors : sequence of float
        Positive.
    exponent : float or None
        Claimed exponent ``a`` of ``n ** -a``.

    Returns
    -------
    Plot or None
        None when an error is not positive.
    """
    if len(sizes) < 2 or len(sizes) != len(errors) or min(errors) <= 0.0:
        return None
    line = [] if exponent is None else [errors[0] * (n / sizes[0]) ** -exponent for n in sizes]
    low, high = min([*errors, *line]) / 1.3, max([*errors, *line]) * 1.3

    def xy(n: float, e: float) -> tuple[float, float]:
        return 3.0 + 0.94 * log_position(n, sizes[0], sizes[-1]), 100.0 - log_position(e, low, high)

    pieces = [_polyline([xy(n, e) for n, e in zip(sizes, line, strict=True)], "c-limit c-bound")] if line else []
    pieces += [_polyline([xy(n, e) for n, e in zip(sizes, errors, strict=True)], "c-accept")]
    pieces += [_dot(*xy(n, e)) for n, e in zip(sizes, errors, strict=True)]
    return Plot(
        svg=_frame("".join(pieces)),
        x_ticks=tuple((xy(n, 1.0)[0], f"{n:,.0f}") for n in (sizes[0], sizes[len(sizes) // 2], sizes[-1])),
        y_ticks=tuple((xy(sizes[0], e)[1], f"{e:g}") for e in ticks_log(low, high)),
        x_label="size",
        y_label="error",
        alt=f"Median error at {len(sizes)} sizes on logarithmic axes",
    )


def power_plot(p: Sequence[float], refuted: Sequence[float], verified: Sequence[float], undecided: Sequence[float], level: float) -> Plot:
    """Draw how often each verdict falls, against the true failure probability on a logarithmic axis.

    Parameters
    ----------
    p : sequence of float
        Increasing failure probabilities.
    refuted, verified, undecided : sequence of float
        Probabilities of the verdicts; they sum to one.
    level : float
        Probability that the claim states, drawn as a vertical line.

    Returns
    -------
    Plot
    """

    def x(value: float) -> float:
        return log_position(value, p[0], p[-1])

    curves = (("c-accept", verified), ("c-idle", undecided), ("c-refute", refuted))
    lines = [_polyline([(x(a), 100.0 - 100.0 * b) for a, b in zip(p, curve, strict=True)], css) for css, curve in curves]
    return Plot(
        svg=_frame(f'<line class="c-limit c-zero" x1="{x(level):.4g}" x2="{x(level):.4g}" y1="0" y2="100"/>' + "".join(lines)),
        x_ticks=tuple((x(t), f"{t:g}") for t in ticks_log(p[0], p[-1]) if 5 < x(t) < 95),
        y_ticks=((0.0, "1"), (50.0, "0.5"), (100.0, "0")),
        x_label="true failure probability",
        y_label="probability of the verdict",
        alt=f"Probability of each verdict against the true failure probability, for a claim of {level:g}",
    )


def inline_svg(text: str, prefix: str, alt: str = "") -> str:
    """Make a foreign SVG document safe to stand inside a page beside others.

    Identifiers get a prefix, style rules are confined to the drawing, and scripts, links, metadata, event handlers and references that
    would leave the page are removed.

    Parameters
    ----------
    text : str
        An SVG document.
    prefix : str
        Starts with a letter; unique in the page.
    alt : str, default=""
        Text for readers who do not see it.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        Not well-formed, no SVG, or with entity declarations.

    Examples
    --------
    >>> inline_svg('<svg xmlns="http://www.w3.org/2000/svg"><g id="a"/><use href="#a"/></svg>', "f1")
    '<svg id="f1"><g id="f1-a" /><use href="#f1-a" /></svg>'
    """
    if "<!ENTITY" in text:
        raise ValueError(f"figure {prefix!r}: entity declarations are refused; save the drawing without them")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f"figure {prefix!r} is not well-formed SVG ({error}); save it again as a whole SVG document") from error
    if root.tag not in (f"{{{_SVG}}}svg", "svg"):
        raise ValueError(f"figure {prefix!r} begins with <{root.tag}>, not <svg>; pass an SVG document")
    _clean(root, prefix)
    _undress(root)
    if "viewBox" not in root.attrib and root.get("width", "").rstrip("ptx").replace(".", "").isdigit():
        root.set("viewBox", f"0 0 {root.get('width', '').rstrip('ptx')} {root.get('height', '0').rstrip('ptx')}")
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("id", prefix)
    if alt:
        root.set("role", "img")
        root.set("aria-label", alt)
    return ET.tostring(root, encoding="unicode")


# ---------------------------------------------------------------------------------------------------------------------- foreign SVG


def _clean(element: ET.Element, prefix: str) -> None:
    for child in list(element):
        if not isinstance(child.tag, str) or _local(child.tag) in _DROPPED:
            element.remove(child)
            continue
        _clean(child, prefix)
    if _local(str(element.tag)) == "style" and element.text:
        element.text = _scoped(element.text, prefix)
    for name, value in list(element.attrib.items()):
        changed = _attribute(_local(name), value, prefix)
        if changed is None:
            del element.attrib[name]
        else:
            element.set(name, changed)


def _attribute(name: str, value: str, prefix: str) -> str | None:
    if name.lower().startswith("on"):
        return None
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        if value.startswith("#"):
            return f"#{prefix}-{value[1:]}"
        return value if value.startswith("data:image/png;") or value.startswith("data:image/jpeg;") else None
    return _references(value, prefix)


def _references(value: str, prefix: str) -> str:
    def local(match: re.Match[str]) -> str:
        target = match.group(1).strip("\"' ")
        return f"url(#{prefix}-{target[1:]})" if target.startswith("#") else "none"

    return re.sub(r"url\(([^)]*)\)", local, value)


def _scoped(css: str, prefix: str) -> str:
    """Confine every rule to the drawing; at-rules such as @import are dropped."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    css = re.sub(r"@[^{};]*;", "", css)
    rules = re.findall(r"([^{}@]+)\{([^{}]*)\}", css)
    return "".join(
        ",".join(f"#{prefix} {s.strip().replace('#', f'#{prefix}-')}" for s in selectors.split(",") if s.strip())
        + "{" + _references(body, prefix) + "}"
        for selectors, body in rules
    )  # fmt: skip


def _undress(element: ET.Element) -> None:
    """Drop namespaces: inside a page the parser knows SVG without them."""
    for node in element.iter():
        node.tag = _local(str(node.tag))
        for name in list(node.attrib):
            if name.startswith("{"):
                local = _local(name)
                value = node.attrib.pop(name)
                if local == "href":
                    node.set("href", value)


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]


# ----------------------------------------------------------------------------------------------------------------------- own drawings


def _frame(inner: str) -> str:
    return f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{inner}</svg>'


def _polyline(points: Sequence[tuple[float, float]], css: str) -> str:
    text = " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
    return f'<polyline class="{css}" points="{text}"/>'


def _rule(y: float, css: str) -> str:
    return f'<line class="{css}" x1="0" x2="100" y1="{y:.4g}" y2="{y:.4g}"/>'


def _dot(x: float, y: float) -> str:
    # A line of no length with round ends is a dot that does not stretch.
    return f'<line class="c-dot" x1="{x:.4g}" x2="{x:.4g}" y1="{y:.4g}" y2="{y:.4g}"/>'


def _thin(path: Sequence[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    if len(path) <= _POINTS:
        return list(path)
    step = (len(path) - 1) / (_POINTS - 1)
    return [path[round(i * step)] for i in range(_POINTS)]


def _nice_ticks(right: float) -> list[int]:
    raw = right / 4
    base = 10 ** math.floor(math.log10(max(raw, 1.0)))
    step = next(m * base for m in (1, 2, 5, 10) if m * base >= raw)
    return [int(step * i) for i in range(int(right / step) + 1)]
