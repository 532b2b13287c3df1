"""Colours by role and the few marks that every figure shares."""

from contextlib import AbstractContextManager
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BOUND",
    "EXACT",
    "OURS",
    "OURS_THIRD",
    "OURS_TWO",
    "PEERS",
    "PREMISE_FAILS",
    "TWO_PANELS",
    "broken_axis",
    "end_label",
    "median_band",
    "new_figure",
    "style",
]

BOUND = "#D55E00"
OURS = "#0072B2"
OURS_TWO = "#009E73"
OURS_THIRD = "#CC79A7"
PEERS = ("#444444", "#777777", "#AAAAAA")
EXACT = "#000000"
PREMISE_FAILS = "#CCCCCC"
TWO_PANELS = (9.6, 4.0)
BAND_ALPHA = 0.18


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn and saved: the package's style file upon matplotlib's defaults."""
    import matplotlib as mpl

    path = resources.files(__package__) / "epsdelta.mplstyle"
    chosen = mpl.rc_params_from_file(str(path), use_default_template=True)
    # The backend is the caller's business; everything else is ours, so that a user's own settings do not leak into a figure.
    return mpl.rc_context({name: value for name, value in chosen.items() if name != "backend"})


def new_figure(*, size: tuple[float, float] | None = None) -> "Figure":
    """Return an empty figure that belongs to no window system, laid out by matplotlib's constrained layout."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def median_band(axes: "Axes", x: ArrayLike, values: ArrayLike, *, color: str, marker: str = "o", **options: Any) -> None:
    """Draw the median over repeats as dots on a line and the 5-95 % range as a light band.

    Parameters
    ----------
    axes : Axes
    x : array of shape (n_points,)
    values : array of shape (n_points, n_repeats)
        NaN where a repeat has no value; a point with none is left out.
    color : str
    marker : str
    **options
        Passed to ``Axes.plot``.
    """
    x, values = np.asarray(x), np.asarray(values)
    low, middle, high = (np.nanquantile(values, level, axis=1) for level in (0.05, 0.5, 0.95))
    axes.fill_between(x, low, high, color=color, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(x, middle, color=color, marker=marker, **options)


def broken_axis(above: "Axes", below: "Axes") -> None:
    """Mark a y axis that continues, after a gap, in the panel below; the panels share their x axis."""
    above.spines["bottom"].set_visible(False)
    above.tick_params(axis="x", which="both", bottom=False, labelbottom=False)
    mark: dict[str, Any] = {"marker": [(-1, -0.5), (1, 0.5)], "markersize": 7, "color": "#333333", "linestyle": "none", "clip_on": False}
    above.plot(0, 0, transform=above.transAxes, **mark)
    below.plot(0, 1, transform=below.transAxes, **mark)


def end_label(axes: "Axes", x: float, y: float, text: str, *, color: str, dx: float = 5, dy: float = 0, **options: Any) -> None:
    """Write a curve's name beside its end, `dx`, `dy` points away; this replaces a legend."""
    options = {"va": "center", "ha": "left"} | options
    axes.annotate(text, (x, y), xytext=(dx, dy), textcoords="offset points", color=color, annotation_clip=False, **options)
