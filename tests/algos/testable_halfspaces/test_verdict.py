"""What is good enough: an accuracy that was asked for, and certificates that prove nothing."""

import warnings

import pytest

from algos.testable_halfspaces import TestableHalfspace, make_halfspace


@pytest.fixture(scope="module")
def wedge():
    """Flips in a wedge only: the best halfspace errs in 2 %, less than what these rows can certify about the excess."""
    return make_halfspace(1500, 2, noise="massart", rate=0.1, random_state=0)


def fitted(table, **options):
    model = TestableHalfspace(
        "massart", eta=0.1, fit_intercept=False, calibration="theory", on_reject="ignore", force=True, random_state=0, **options
    )
    return model.fit(table.X, table.y)


def test_an_accuracy_that_was_asked_for_is_accepted_also_where_the_error_is_smaller(wedge):
    model = fitted(wedge, eps=0.3)
    assert model.certificate_.vacuous  # no better than "the excess is at most the error"
    assert model.error_upper_ < model.eps_hat_ <= 0.3
    assert model.accepted_
    assert model.guarantee_.value == model.eps_hat_
    assert f"better by at most {model.eps_hat_:.4g}" in model.explain()
    assert not fitted(wedge, eps=0.9 * model.eps_hat_).accepted_


def test_without_an_accuracy_such_a_certificate_is_not_enough(wedge):
    assert not fitted(wedge).accepted_


def test_a_certificate_that_confines_nothing_is_not_enough_for_any_accuracy():
    table = make_halfspace(60, 6, noise="rcn", rate=0.3, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the descent may stop early on thirty rows
        model = fitted(table, eps=1.0, marginal=None)
    assert model.eps_hat_ == 1.0
    assert not model.guarantee_.holds
    assert not model.accepted_
