"""Pictures of a tester-learner's verdict."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from algos.testable_halfspaces.bounds import HALF_WIDTH
from algos.testable_halfspaces.estimators import TestableHalfspace

__all__ = ["HalfspaceDisplay"]

FloatArray = npt.NDArray[np.float64]


@dataclass(eq=False)
class HalfspaceDisplay:
    r"""Margins of both classes with the band of the certificate, and the rows along the direction that breaks the assumption.

    Left: how far rows lie from the hyperplane, by class; labels of the wrong colour on either side are mistakes. The certificate rests on
    the rows in the shaded band, :math:`|t|<\sigma/2`. Right: the rows along ``direction_``, in the unit in which the target has variance 1,
    against the standard Gaussian density. Without a failed test, the right shows the normal of the halfspace.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Decision function.
    positive : ndarray of shape (n,), bool
        Rows of ``classes[1]``.
    classes : tuple
        The two labels.
    half_width : float
        Half of the band's width, in the unit of the margins.
    projected : ndarray of shape (n,)
        Rows along the direction.
    title : str
        Verdict.
    label : str
        What the direction is.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : ndarray of shape (2,) of matplotlib Axes

    Examples
    --------
    >>> from algos.testable_halfspaces import HalfspaceDisplay, TestableHalfspace, make_halfspace
    >>> X, y, w = make_halfspace(4000, 2, marginal="uniform", random_state=0)
    >>> model = TestableHalfspace(fit_intercept=False, n_calibration=79, on_reject="ignore", random_state=0).fit(X, y)
    >>> HalfspaceDisplay.of(model, X, y).title.split(":")[0]  # from_estimator draws it, too
    'not accepted'
    """

    margins: FloatArray
    positive: npt.NDArray[np.bool_]
    classes: tuple[Any, Any]
    half_width: float
    projected: FloatArray
    title: str
    label: str

    @classmethod
    def from_estimator(cls, estimator: TestableHalfspace, X: Any, y: npt.ArrayLike, *, ax: Any = None) -> Self:
        """Draw a fitted estimator's verdict on rows, which need not be those of the fit.

        Parameters
        ----------
        estimator : TestableHalfspace
            Fitted.
        X : array-like of shape (n, n_features)
            Rows.
        y : array-like of shape (n,)
            Labels.
        ax : pair of matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        HalfspaceDisplay

        Raises
        ------
        TypeError
            Not a `TestableHalfspace`.
        ValueError
            Labels that the estimator does not know, or one axis.
        """
        return cls.of(estimator, X, y).plot(ax)

    @classmethod
    def of(cls, estimator: TestableHalfspace, X: Any, y: npt.ArrayLike) -> Self:
        """Return the display without drawing it."""
        if not isinstance(estimator, TestableHalfspace):
            raise TypeError(f"estimator is a {type(estimator).__name__}; give a fitted TestableHalfspace")
        check_is_fitted(estimator)
        margins, labels = estimator.decision_function(X), np.asarray(y)
        unknown = ~np.isin(labels, estimator.classes_)
        if labels.shape != margins.shape or unknown.any():
            first, second = estimator.classes_.tolist()
            raise ValueError(f"y must hold one label, {first!r} or {second!r}, for each of the {len(margins)} rows of X")
        direction, failed = estimator.direction_, [test for test in estimator.tests_ if not test.passed]
        label = "offending direction"
        if direction is None:
            direction, label = estimator.coef_[0], "normal of the halfspace"
        verdict = "accepted" if estimator.accepted_ else "not accepted"
        reasons = [f"{len(failed)} of {len(estimator.tests_)} tests failed"] if failed else []
        reasons += ["nothing certified"] if estimator.certificate_.vacuous else []
        return cls(
            margins=margins,
            positive=labels == estimator.classes_[1],
            classes=tuple(estimator.classes_.tolist()),
            half_width=HALF_WIDTH * estimator.band_width_,
            projected=estimator.project(X, direction),
            title=": ".join([verdict, ", ".join(reasons)]) if reasons else verdict,
            label=label,
        )

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : pair of matplotlib Axes, optional
            A new figure by default.

        Returns
        -------
        HalfspaceDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object))
            if axes.shape != (2,):
                raise ValueError(f"ax has shape {axes.shape}; give a pair of axes, one for the margins and one for the direction")
            figure = axes[0].figure
        self.figure_, self.ax_ = figure, axes
        self._draw_margins(axes[0])
        self._draw_direction(axes[1])
        figure.suptitle(self.title)
        return self

    def _draw_margins(self, ax: Any) -> None:
        edges = _edges(self.margins)
        for chosen, colour, name in ((~self.positive, "tab:orange", self.classes[0]), (self.positive, "tab:blue", self.classes[1])):
            ax.hist(self.margins[chosen], edges, color=colour, alpha=0.55, label=f"{name}")
        ax.axvspan(-self.half_width, self.half_width, color="0.5", alpha=0.3, lw=0.0, label="band")
        ax.axvline(0.0, color="0.2", lw=1.0)
        ax.set(xlabel="margin", ylabel="rows")
        ax.legend(frameon=False)

    def _draw_direction(self, ax: Any) -> None:
        edges = _edges(self.projected)
        ax.hist(self.projected, edges, density=True, color="0.6", label="rows")
        at = np.linspace(min(edges[0], -4.0), max(edges[-1], 4.0), 400)
        ax.plot(at, np.exp(-at * at / 2.0) / np.sqrt(2.0 * np.pi), color="tab:red", label="standard Gaussian")
        ax.set(xlabel=self.label, ylabel="density")
        ax.legend(frameon=False)


def _edges(values: FloatArray) -> FloatArray:
    """Return edges of bins over all but a thousandth of the values on either side."""
    low, high = np.quantile(values, [0.001, 0.999])
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, 61)
