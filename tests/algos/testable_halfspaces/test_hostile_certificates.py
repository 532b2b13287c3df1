"""Certificates from a stranger: edits of every field, and what a certificate that calls itself vacuous may still claim."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from algos.testable_halfspaces import HalfspaceCertificate, VerifyReport, agnostic_certificate, massart_certificate, predict_mask


def noisy(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    return X, np.where((X[:, 0] > 0) ^ (rng.random(n) < 0.05), 1, -1)


@pytest.fixture(scope="module")
def certified():
    """One certificate of every sort: proofs of both kinds, a proof no better than the trivial bound, and two of nothing."""
    X, y = noisy(2_000)
    w = [1.0, 0.0]
    few, many = slice(0, 30), slice(0, 400)
    made = {
        "massart": (X, y, massart_certificate(X, y, w, 0.2, 0.05, etas=[0.05, 0.1])),
        "agnostic": (X, y, agnostic_certificate(X, y, w, 0.3)),
        "trivial": (X[many], y[many], massart_certificate(X[many], y[many], w, 0.3, 0.05)),
        "no angle": (X[few], y[few], massart_certificate(X[few], y[few], w, 0.3, 0.1)),
        "no bound": (X[few], y[few], agnostic_certificate(X[few], y[few], w, 0.3)),
    }
    assert [sort for sort, (_, _, c) in made.items() if c.vacuous] == ["trivial", "no angle", "no bound"]
    assert made["trivial"][2].confined
    assert made["trivial"][2].eps_hat < 1.0
    for X_made, y_made, certificate in made.values():
        assert HalfspaceCertificate.from_json(certificate.to_json()).verify(X_made, y_made)
    return made


SORTS = ("massart", "agnostic", "trivial", "no angle", "no bound")
OF_NO_FIELD = (10**400, [1.0], (), {"a": 1}, 1j, np.array(["a"]), np.array([None]), np.zeros((1, 1, 1)))
NUMBERS = (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e308, 5e-324, 0.01)
CLAIMS = ("tau", "theta", "push", "push_limit", "gradient", "deviation", "error_upper", "eps_hat", "opt_lower", "eta", "delta", "sigma")
WEAKER = {("massart", "eps_hat"), ("trivial", "eps_hat"), ("no angle", "eps_hat")}  # a larger excess claims less, and may pass


@pytest.mark.parametrize("sort", SORTS)
def test_values_of_another_type_fail_and_raise_nothing(certified, sort):
    X, y, certificate = certified[sort]
    for field in fields(certificate):
        for value in OF_NO_FIELD:
            assert not replace(certificate, **{field.name: value}).verify(X, y), (field.name, value)
    for name in ("vacuous", "lift"):
        for value in (0, 1, "yes", None):
            assert not replace(certificate, **{name: value}).verify(X, y), (name, value)


@pytest.mark.parametrize("sort", SORTS)
def test_other_numbers_fail_and_raise_nothing(certified, sort):
    X, y, certificate = certified[sort]
    for name in CLAIMS:
        old = getattr(certificate, name)
        for value in NUMBERS:
            if value == old or (math.isnan(value) and math.isnan(old)):
                continue
            if (sort, name) in WEAKER and value >= old:
                continue
            assert not replace(certificate, **{name: value}).verify(X, y), (name, value)


@pytest.mark.parametrize("sort", SORTS)
def test_numbers_of_the_proof_raise_nothing(certified, sort):
    X, y, certificate = certified[sort]
    for name in ("scale", "light_reach", "lam", "cone", "cone_scale", "cone_multiplier", "cone_lam"):
        for value in NUMBERS:
            assert isinstance(replace(certificate, **{name: value}).verify(X, y), VerifyReport)


def test_a_vacuous_certificate_cannot_confine_more_than_the_data_show(certified):
    """`confined` and the mask of certain rows read the angle, whether or not the bound itself is called vacuous."""
    X, y, trivial = certified["trivial"]
    tau = trivial.tau / 10
    narrow = replace(trivial, tau=tau, theta=math.atan(tau), cone=math.atan(tau), disagreement=0)
    assert predict_mask(narrow, X).sum() > predict_mask(trivial, X).sum()
    assert not narrow.verify(X, y)
    assert not replace(trivial, eps_hat=0.5 * trivial.eps_hat).verify(X, y)
    X, y, nothing = certified["no angle"]
    assert not replace(nothing, tau=tau, theta=math.atan(tau), cone=math.atan(tau), disagreement=0).verify(X, y)
    assert not replace(nothing, disagreement=0).verify(X, y)


def test_a_bound_no_better_than_the_trivial_one_must_say_so(certified):
    X, y, trivial = certified["trivial"]
    assert not replace(trivial, vacuous=False).verify(X, y)


def test_a_certificate_claims_nothing_of_the_other_kind(certified):
    X, y, massart = certified["massart"]
    assert not replace(massart, opt_lower=0.01).verify(X, y)
    assert not replace(massart, optimum=1).verify(X, y)
    X, y, agnostic = certified["agnostic"]
    assert not replace(agnostic, eps_hat=0.01).verify(X, y)
    assert not replace(agnostic, eta=0.1).verify(X, y)
