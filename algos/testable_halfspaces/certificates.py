r"""Certificates: statements about the best halfspace that anyone can check again from the data.

``massart_certificate`` bounds how much more often a halfspace errs than the best one, if labels are flipped independently with probability
at most eta. ``agnostic_certificate`` assumes nothing: it proves that no halfspace makes fewer than so many mistakes *on these rows*. Both
rest on four numbers measured in a band around the halfspace, not on the distribution of the rows.
"""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.validation import check_option, check_range
from algos.testable_halfspaces._arguments import checked_labels, checked_sigma
from algos.testable_halfspaces._best_width import best_agnostic, best_massart, default_widths, sharpened
from algos.testable_halfspaces._certificate_steps import agnostic_steps, blank_certificate, excess_curve, massart_steps
from algos.testable_halfspaces._geometry import View, is_invertible, row_source, whitening_map
from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate
from algos.testable_halfspaces._search import Cones, Search
from algos.testable_halfspaces._verify import VerifyReport, signed_labels
from algos.testable_halfspaces.band_statistics import MAX_QUARTIC_DIM
from algos.testable_halfspaces.quartic_forms import MAX_SOS_FEATURES

__all__ = ["HalfspaceCertificate", "VerifyReport", "agnostic_certificate", "certify", "massart_certificate"]

FloatArray = npt.NDArray[np.float64]
Form = Literal["auto", "quartic", "norm", "sos"]

_FORMS = ("auto", "quartic", "norm", "sos")


def certify(
    X: Any,
    y: npt.ArrayLike,
    w: Any,
    *,
    noise: Literal["agnostic", "massart"] = "agnostic",
    eta: float | None = None,
    delta: float = 0.05,
    intercept: float | None = None,
    sigmas: npt.ArrayLike | Literal["auto"] = "auto",
    transform: Literal["whiten"] | None = "whiten",
    form: Form = "auto",
    etas: npt.ArrayLike = (),
) -> HalfspaceCertificate:
    """Certify any linear classifier: how much better can the best one be at most.

    Parameters
    ----------
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows. For ``noise="massart"`` they must not have been used to choose the classifier; for ``"agnostic"`` they may.
    y : array-like of shape (n,)
        Labels of two classes. The larger one, or the second of the classifier's ``classes_``, is the positive one.
    w : array-like of shape (d,), or fitted classifier
        Normal of the halfspace, or an object with ``coef_`` (and ``intercept_``), such as a fitted LogisticRegression or LinearSVC.
    noise : {"agnostic", "massart"}, default="agnostic"
        Agnostic: a lower bound on the mistakes of every halfspace on these rows, without any assumption. Massart: an upper bound on the
        excess error if labels are flipped independently with probability at most `eta`.
    eta : float, optional
        Bound on the flip probability, in [0, 1/2); needed for ``"massart"``.
    delta : float, default=0.05
        Probability that the statement about the population is false.
    intercept : float, optional
        Intercept that belongs to an array `w`; rivals have intercepts, too, then. By default halfspaces are homogeneous, and a classifier
        says itself by ``fit_intercept`` and ``intercept_``.
    sigmas : array-like or "auto", default="auto"
        Widths of the band to try. By default a geometric grid in units of the margins; ``"massart"`` keeps the three that the rows alone,
        without labels, show to be the most promising, and divides delta among them.
    transform : {"whiten", None}, default="whiten"
        Measure bands after a linear map that gives the rows second moments I. The statement is the same; it is hardly ever weaker.
        Nearly dependent columns are left as they are.
    form : {"auto", "quartic", "norm", "sos"}, default="auto"
        See `massart_certificate`. With ``"sos"`` the width is chosen without and used with the sharper bound.
    etas : array-like, default=()
        Flip probabilities whose `eps_hat` is stored for `HalfspaceCertificate.curve`.

    Returns
    -------
    HalfspaceCertificate
        The best one over the widths.

    Raises
    ------
    ValueError
        One class or more than two; `eta` missing or at least 1/2, or given with ``noise="agnostic"``, which would ignore it; NaN or
        infinite entries; sizes that do not fit.
    TypeError
        `w` is neither an array nor a fitted linear classifier.

    Notes
    -----
    One pass over the rows for the margins, and one certificate for every width.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from algos.testable_halfspaces import certify
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((20_000, 2))
    >>> y = np.where((X[:, 0] > 0) ^ (rng.random(20_000) < 0.05), "yes", "no")
    >>> classifier = LogisticRegression(fit_intercept=False).fit(X, y)
    >>> certificate = certify(X, y, classifier)
    >>> 20 < certificate.optimum <= certificate.mistakes
    True
    """
    check_option(noise, ("agnostic", "massart"), name="noise")
    check_option(transform, ("whiten", None), name="transform")
    if noise == "massart":
        eta = _check_eta(eta)
    elif eta is not None or np.size(etas):
        raise ValueError(
            f"eta={eta!r}, etas={etas!r} with noise='agnostic', which assumes no flip probability; give noise='massart' or neither"
        )
    normal, lift, given = _classifier(w, intercept)
    if isinstance(sigmas, str):
        check_option(sigmas, ("auto",), name="sigmas")
    source = row_source(X)
    labels, classes = _two_classes(y, source.n_rows, given)
    T = whitening_map(source, lift=lift) if transform else None
    view = View.of(source, normal, lift=lift, transform=T)
    _, delta, _ = _check_numbers(1.0, delta, 1)
    wanted = [checked_sigma(float(sigma), name="sigmas") for sigma in np.ravel(default_widths(view) if isinstance(sigmas, str) else sigmas)]
    if not wanted:
        raise ValueError("sigmas is empty; give at least one width")
    quartic = _quartic(form, view)
    if noise == "agnostic":
        best = best_agnostic(view, labels, wanted, normal, T, delta, quartic)
    else:
        assert eta is not None
        best = best_massart(view, labels, wanted, normal, T, delta, quartic, eta, _checked_etas(etas))
    return replace(sharpened(view, labels, best) if form == "sos" else best, classes=classes)


def _classifier(w: Any, intercept: float | None) -> tuple[FloatArray, bool, Any]:
    """Return the normal (with its intercept last), whether there is one, and the classes if they are known."""
    if hasattr(w, "coef_"):
        dense = w.coef_.toarray() if hasattr(w.coef_, "toarray") else w.coef_  # LogisticRegression.sparsify
        normal = np.ravel(np.asarray(dense, dtype=np.float64))
        if np.ndim(w.coef_) == 2 and np.shape(w.coef_)[0] != 1:
            raise ValueError(
                f"w has coefficients for {np.shape(w.coef_)[0]} classes; certify two classes at a time, as OneVsRest fits them"
            )
        if intercept is not None:
            raise ValueError("intercept is for an array w; a fitted classifier has its own")
        own = float(np.ravel(getattr(w, "intercept_", 0.0))[0])
        lift = bool(getattr(w, "fit_intercept", True)) or own != 0.0
        return np.append(normal, own) if lift else normal, lift, getattr(w, "classes_", None)
    if hasattr(w, "fit"):
        raise TypeError(f"w is a {type(w).__name__} without coef_; give a fitted linear classifier or the normal of a halfspace")
    normal = np.asarray(w, dtype=np.float64)
    normal = normal[0] if normal.ndim == 2 and normal.shape[0] == 1 else normal
    if intercept is None:
        return normal, False, None
    return np.append(normal, check_range(intercept, name="intercept")), True, None


def _two_classes(y: npt.ArrayLike, n_rows: int, given: Any) -> tuple[FloatArray, tuple[Any, ...]]:
    """Return labels -1 and +1 and the classes that they stand for."""
    values = np.asarray(y)
    if values.shape != (n_rows,):
        raise ValueError(f"y has shape {values.shape}, X has {n_rows} rows; give one label per row")
    if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
        raise ValueError("y has NaN or infinite entries; drop such rows")
    found = np.unique(values) if given is None else np.asarray(given)
    if found.size != 2:
        remedy = (
            "there is nothing to separate" if found.size < 2 else "certify one class against the others, as OneVsRestClassifier fits them"
        )
        raise ValueError(f"y has {found.size} class(es), exactly 2 are needed; {remedy}")
    classes = tuple(value.item() if isinstance(value, np.generic) else value for value in found)
    return signed_labels(values, classes, n_rows), classes


def _checked_etas(etas: npt.ArrayLike) -> FloatArray:
    wanted = np.ravel(np.asarray(etas, dtype=np.float64))
    for eta in wanted:
        _check_eta(float(eta), name="etas")
    return wanted


def massart_certificate(
    X: Any,
    y: npt.ArrayLike,
    w: npt.ArrayLike,
    sigma: float,
    eta: float,
    delta: float = 0.05,
    *,
    n_candidates: int = 1,
    lift: bool = False,
    transform: npt.ArrayLike | None = None,
    form: Form = "auto",
    etas: npt.ArrayLike = (),
) -> HalfspaceCertificate:
    r"""Certify how much more often a halfspace errs than the best one, under bounded label noise.

    Premise: given the rows, labels are those of some halfspace w*, each flipped independently with probability at most eta. Then, with
    probability 1 - delta, the error of w exceeds that of w* by at most `eps_hat`, whatever the distribution of the rows. Three steps share
    delta: the gradient of the ramp loss along the direction of w* is close to its mean, which excludes large angles between w and w*; the
    reverse -w errs too often to be w*; and the two differ on no more than a few rows.

    Parameters
    ----------
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows that were *not* used to choose w.
    y : array-like of shape (n,)
        Labels -1 and +1.
    w : array-like of shape (d,), or (d + 1,) with `lift`
        Normal of the halfspace; its length does not matter.
    sigma : float
        Width parameter of the band, in the unit of the (transformed) rows.
    eta : float
        Bound on the flip probability, in [0, 1/2). An assumption: it cannot be tested.
    delta : float, default=0.05
        Probability that the statement is false, over the draw of rows and labels.
    n_candidates : int, default=1
        Pairs of a halfspace and a width for which certificates are made and of which the best is kept: delta is divided among them.
    lift : bool, default=False
        Append a constant 1 to every row, so that halfspaces have an intercept.
    transform : array-like of shape (d, d), optional
        Invertible T; the band is measured on rows :math:`T^\top x`. It may depend on the rows, not on the labels.
    form : {"auto", "quartic", "norm", "sos"}, default="auto"
        Minorants: the better of quartic and quadratic ones (quartic up to 60 columns); the same, or an error beyond 60 columns; quadratic
        ones alone; or quartic ones whose bound is sharpened by degree-4 sums of squares, up to 8 columns and never worse.
    etas : array-like, default=()
        Flip probabilities for which `eps_hat` is computed and stored as well, for `HalfspaceCertificate.curve`.

    Returns
    -------
    HalfspaceCertificate

    Raises
    ------
    ValueError
        NaN, infinite or huge entries, labels other than -1 and +1, a parameter outside its range, or more than 60 columns with
        ``form="quartic"``.

    Notes
    -----
    Time :math:`n d + b d^4/4` for b rows in the band or cone, and some 30 eigenvalue problems of size :math:`d^2/2`.

    Examples
    --------
    See `HalfspaceCertificate`.
    """
    eta = _check_eta(eta)
    view, labels = _checked(X, y, w, lift, transform)
    sigma, delta, n_candidates = _check_numbers(sigma, delta, n_candidates)
    search = Search.of(view, labels, sigma, quartic=_quartic(form, view), sos=form == "sos")
    blank = blank_certificate(search, labels, w, "massart", transform, delta, n_candidates, eta)
    certificate = massart_steps(search, blank, eta)
    known, values = excess_curve(search.plain(), blank, np.unique(_checked_etas(etas)))
    return replace(certificate, curve_etas=known, curve_eps=values)


def agnostic_certificate(
    X: Any,
    y: npt.ArrayLike,
    w: npt.ArrayLike,
    sigma: float,
    *,
    delta: float = 0.05,
    lift: bool = False,
    transform: npt.ArrayLike | None = None,
    form: Form = "auto",
) -> HalfspaceCertificate:
    """Prove that every halfspace makes at least so many mistakes on these rows.

    A rival with few mistakes would push the gradient of the ramp loss at w; the gradient is small, so the rival must be close to w or to
    its reverse; there it shares most of their mistakes. No probability enters, and w may have been trained on the same rows.

    Parameters
    ----------
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows.
    y : array-like of shape (n,)
        Labels -1 and +1.
    w : array-like of shape (d,), or (d + 1,) with `lift`
        A good halfspace, the better the stronger the bound.
    sigma : float
        Width parameter of the band; about as large as w errs often, in units of the margins' standard deviation.
    delta : float, default=0.05
        For the two statements about the population, `opt_lower` and `error_upper`; half of it each.
    lift, transform, form :
        As in `massart_certificate`; the transform may depend on everything.

    Returns
    -------
    HalfspaceCertificate

    Raises
    ------
    ValueError
        As for `massart_certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import agnostic_certificate
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((20_000, 2))
    >>> y = np.where((X[:, 0] > 0) ^ (rng.random(20_000) < 0.1), 1, -1)
    >>> certificate = agnostic_certificate(X, y, [1.0, 0.0], sigma=0.5)
    >>> 0 < certificate.optimum <= certificate.mistakes
    True
    """
    view, labels = _checked(X, y, w, lift, transform)
    sigma, delta, _ = _check_numbers(sigma, delta, 1)
    cones = Cones(view, np.abs(view.t) <= view.blur)
    search = Search.of(view, labels, sigma, quartic=_quartic(form, view), cones=cones, sos=form == "sos")
    blank = blank_certificate(search, labels, w, "agnostic", transform, delta, 1, math.nan)
    return agnostic_steps(search, blank)


def _checked(X: Any, y: npt.ArrayLike, w: npt.ArrayLike, lift: bool, transform: npt.ArrayLike | None) -> tuple[View, FloatArray]:
    source, T = row_source(X), None
    if transform is not None:
        T, m = np.asarray(transform, dtype=np.float64), source.n_features + bool(lift)
        if not is_invertible(T, m):
            raise ValueError(f"transform has shape {T.shape}; give an invertible matrix of shape {(m, m)} with finite entries, or None")
    view = View.of(source, w, lift=bool(lift), transform=T)
    return view, checked_labels(y, view.n)


def _check_eta(eta: Any, name: str = "eta") -> float:
    if eta is None:
        raise ValueError(f"{name} is missing: give a bound on the flip probability, or use agnostic_certificate, which assumes none")
    return float(check_range(eta, name=name, low=0.0, high=0.5, high_open=True))


def _check_numbers(sigma: Any, delta: Any, n_candidates: Any) -> tuple[float, float, int]:
    return (
        checked_sigma(sigma),
        float(check_range(delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)),
        int(check_range(n_candidates, name="n_candidates", low=1, integer=True)),
    )


def _quartic(form: str, view: View) -> bool:
    check_option(form, _FORMS, name="form")
    if form == "quartic" and view.k >= MAX_QUARTIC_DIM:
        raise ValueError(
            f"form='quartic' with {view.k + 1} columns: the limit is {MAX_QUARTIC_DIM}; project the rows first, or use form='norm'"
        )
    if form == "sos" and view.k >= MAX_SOS_FEATURES:
        raise ValueError(f"form='sos' with {view.k + 1} columns: the limit is {MAX_SOS_FEATURES}; use form='auto'")
    return form != "norm"
