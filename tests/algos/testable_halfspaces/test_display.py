"""HalfspaceDisplay: bars that add up to the rows, the band of the certificate, the direction that failed."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from algos.testable_halfspaces import HalfspaceDisplay, TestableHalfspace, make_halfspace


@pytest.fixture(scope="module")
def rejected():
    instance = make_halfspace(4000, 3, marginal="mixture", weight=0.95, noise="rcn", rate=0.1, random_state=0)
    options = {"fit_intercept": False, "n_calibration": 79, "on_reject": "ignore", "random_state": 0}
    return instance, TestableHalfspace(**options).fit(instance.X, instance.y)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_bars_count_the_rows_of_both_classes_and_the_band_is_that_of_the_certificate(rejected):
    instance, model = rejected
    display = HalfspaceDisplay.from_estimator(model, instance.X, instance.y)
    left, right = display.ax_
    counted = [sum(bar.get_height() for bar in bars) for bars in left.containers]
    classes = [np.count_nonzero(instance.y == label) for label in (-1, 1)]
    assert all(0.99 * n <= c <= n for c, n in zip(counted, classes, strict=True))  # a thousandth on either side is not shown
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["-1.0", "1.0", "band"]
    assert display.half_width == model.certificate_.sigma / 2
    assert np.array_equal(display.margins, model.decision_function(instance.X))
    density = sum(bar.get_height() * bar.get_width() for bar in right.containers[0])
    assert density == pytest.approx(1.0)
    assert right.get_xlabel() == "offending direction"
    np.testing.assert_allclose(display.projected, instance.X @ model.direction_, atol=1e-12)
    assert display.title.startswith("not accepted: ")
    curve = right.lines[0]
    assert curve.get_ydata().max() == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-3)


def test_an_accepted_halfspace_shows_its_normal():
    X, y, _ = make_halfspace(20_000, 2, noise="rcn", rate=0.1, random_state=0)
    model = TestableHalfspace(fit_intercept=False, calibration="theory", random_state=0).fit(X, y)
    figure, axes = plt.subplots(2)
    display = HalfspaceDisplay.of(model, X, y).plot(axes)
    assert display.figure_ is figure
    assert (display.title, display.label) == ("accepted", "normal of the halfspace")
    np.testing.assert_allclose(display.projected, display.margins, atol=1e-12)


def test_what_cannot_be_drawn_is_refused(rejected):
    instance, model = rejected
    with pytest.raises(TypeError, match="estimator is a LogisticRegression; give a fitted TestableHalfspace"):
        HalfspaceDisplay.from_estimator(LogisticRegression(), instance.X, instance.y)
    with pytest.raises(ValueError, match=r"y must hold one label, -1.0 or 1.0, for each of the 4000 rows"):
        HalfspaceDisplay.from_estimator(model, instance.X, instance.y + 5)
    with pytest.raises(ValueError, match=r"ax has shape \(1,\); give a pair of axes"):
        HalfspaceDisplay.from_estimator(model, instance.X, instance.y, ax=plt.subplots()[1])


def test_rows_that_are_all_alike_can_be_drawn():
    X, y = np.zeros((40, 2)), np.arange(40) % 2
    model = TestableHalfspace(calibration="theory", on_reject="ignore", random_state=0).fit(X, y)
    drawn = HalfspaceDisplay.from_estimator(model, X, y)
    heights = [bar.get_height() for bar in drawn.ax_[0].patches if hasattr(bar, "get_height")]
    assert heights
    assert np.all(np.isfinite(heights))
