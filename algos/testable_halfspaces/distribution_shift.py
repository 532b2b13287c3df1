r"""What a certificate says about rows from another distribution.

A massart certificate confines the best halfspace w* to a cone of angle :math:`\theta` around w. That is a statement about w*, not about the
rows that proved it: under any other distribution of the rows, w and w* differ only where the cone lets them. Rows without labels are enough
to see how often that can be (after Klivans, Stavropoulos and Vasilyan, "Testable Learning with Distribution Shift", 2024).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.binomial import clopper_pearson
from algos.common.guarantees import Guarantee
from algos.common.validation import check_range
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate
from algos.testable_halfspaces.disagreement import cone_bound

__all__ = ["ShiftBound", "predict_mask", "shift_bound"]


@dataclass(frozen=True)
class ShiftBound:
    """How often a certified halfspace and the best one can differ under another distribution.

    Attributes
    ----------
    value : float
        With probability 1 - delta the two differ with at most this probability; 1 where the certificate confines nothing.
    count, n : int
        No halfspace of the cone differs from w on more than `count` of the n rows.
    decided : float
        Share of the rows on which no halfspace of the cone differs: see `predict_mask`.
    theta : float
        Angle of the cone.
    guarantee : Guarantee
    """

    value: float
    count: int
    n: int
    decided: float
    theta: float
    guarantee: Guarantee


def shift_bound(certificate: HalfspaceCertificate, X: Any, *, delta: float = 0.05) -> ShiftBound:
    """Bound the disagreement of the certified halfspace with the best one under the distribution of other rows.

    If labels there are those of the same best halfspace without noise, it bounds the error of w; with Massart noise it bounds the excess of
    the error of w over that of the best halfspace.

    Parameters
    ----------
    certificate : HalfspaceCertificate
        Of kind ``"massart"``.
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows of the other distribution, without labels.
    delta : float, default=0.05
        Probability, over the draw of these rows, that the bound is false although the certificate is right; the certificate's own delta
        comes on top.

    Returns
    -------
    ShiftBound

    Raises
    ------
    ValueError
        An agnostic certificate (it does not confine the best halfspace), another number of columns, NaN or infinite entries, delta
        outside (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import massart_certificate, shift_bound
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((20_000, 2))
    >>> certificate = massart_certificate(X, np.sign(X[:, 0]), [1.0, 0.0], sigma=0.2, eta=0.0)
    >>> far = X + [3.0, 0.0]
    >>> near = X * [0.001, 1.0]
    >>> shift_bound(certificate, far).value < 0.01 < 0.5 < shift_bound(certificate, near).value
    True
    """
    _check_kind(certificate)
    delta = check_range(delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)
    view = _seen(certificate, X)
    n = view.n
    if not certificate.confined:
        return ShiftBound(1.0, n, n, 0.0, certificate.theta, Guarantee("none", reason=certificate.reason))
    cone = cone_bound(view, certificate.theta)
    value = clopper_pearson(cone.count, n, 1.0 - delta, "upper")
    premises = (
        "the rows are independent draws",
        "their labels come from the same best halfspace",
        f"the certificate is right: it fails with probability at most {certificate.delta:g}, and has excluded the reverse of w",
    )
    guarantee = Guarantee("bound on the disagreement", value, premises, f"it fails with probability at most {delta:g} on top")
    return ShiftBound(value, cone.count, n, float(np.mean(_decided(view, certificate.theta))), certificate.theta, guarantee)


def predict_mask(certificate: HalfspaceCertificate, X: Any) -> npt.NDArray[np.bool_]:
    r"""Tell for which rows the prediction of the certified halfspace is that of the best one.

    These are the rows with :math:`|t|>|z|\tan\theta`: every halfspace of the cone puts them on the same side.

    Parameters
    ----------
    certificate : HalfspaceCertificate
        Of kind ``"massart"``.
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows from anywhere.

    Returns
    -------
    ndarray of shape (n,), bool
        All false where the certificate confines nothing.

    Raises
    ------
    ValueError
        As for `shift_bound`.

    Notes
    -----
    Right for all rows at once whenever the certificate is right, and whatever their distribution; no further delta is spent.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import massart_certificate, predict_mask
    >>> X = np.random.default_rng(0).standard_normal((20_000, 2))
    >>> certificate = massart_certificate(X, np.sign(X[:, 0]), [1.0, 0.0], sigma=0.2, eta=0.0)
    >>> predict_mask(certificate, [[2.0, 1.0], [0.0, 1.0]]).tolist()
    [True, False]
    """
    _check_kind(certificate)
    view = _seen(certificate, X)
    return _decided(view, certificate.theta) if certificate.confined else np.zeros(view.n, dtype=bool)


def _check_kind(certificate: Any) -> None:
    if not isinstance(certificate, HalfspaceCertificate):
        raise TypeError(f"certificate is a {type(certificate).__name__}; give what massart_certificate or certify returned")
    if certificate.kind != "massart":
        raise ValueError("the certificate is agnostic: it does not tell where the best halfspace lies; make one with noise='massart'")


def _seen(certificate: HalfspaceCertificate, X: Any) -> View:
    return View.of(X, certificate.w, lift=certificate.lift, transform=certificate.transform)


def _decided(view: View, theta: float) -> npt.NDArray[np.bool_]:
    if theta >= math.pi / 2.0:
        return np.zeros(view.n, dtype=bool)
    return np.asarray(np.abs(view.t) > view.rho * (math.tan(theta) * (1.0 + 1e-12)) + view.blur)
