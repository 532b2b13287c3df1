"""What a fitted tester-learner can do: predict, certify, and say on which other rows its predictions can be trusted."""

import warnings
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted, validate_data

from algos.common.guarantees import Guarantee
from algos.testable_halfspaces import certificates, distribution_shift, results
from algos.testable_halfspaces._fit_settings import Settings
from algos.testable_halfspaces._target_map import TargetMap
from algos.testable_halfspaces.certificates import HalfspaceCertificate
from algos.testable_halfspaces.distribution_shift import ShiftBound
from algos.testable_halfspaces.results import DistributionRejected, DistributionRejectedWarning, TestResult

__all__ = ["CertifiedClassifier", "forget_warning"]

_warned: "weakref.WeakSet[CertifiedClassifier]" = weakref.WeakSet()
"""Estimators whose `predict` has said already that they were rejected; kept apart since `predict` must not change them."""


def forget_warning(estimator: "CertifiedClassifier") -> None:
    """Let the next `predict` of an estimator warn again."""
    _warned.discard(estimator)


class CertifiedClassifier:
    """Methods of `TestableHalfspace` after its fit."""

    on_reject: str
    accepted_: bool
    certificate_: HalfspaceCertificate
    guarantee_: Guarantee
    classes_: npt.NDArray[Any]
    coef_: npt.NDArray[np.float64]
    columns_: npt.NDArray[np.bool_]
    intercept_: npt.NDArray[np.float64]
    tests_: list[TestResult]
    _map: TargetMap

    def explain(self) -> str:
        """Return the verdict, the tests that failed and what is certified, in words."""
        check_is_fitted(self)
        failed = [test.sentence() for test in self.tests_ if not test.passed]
        parts = ["Accepted." if self.accepted_ else "Not accepted."]
        if failed:
            parts.append(f"{len(failed)} of {len(self.tests_)} tests of the marginal failed: {'; '.join(failed)}.")
        if self.certificate_.vacuous and self.guarantee_.holds:
            parts.append(f"The best halfspace is better by at most {self.guarantee_.value:.4g}; {self.guarantee_.reason}.")
        else:
            parts.append(self.certificate_.explain())
        return " ".join(parts)

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the margin: the distance from the hyperplane for mapped rows, positive for ``classes_[1]``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return np.asarray(X @ self.coef_[0] + self.intercept_[0], dtype=np.float64)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Warns
        -----
        DistributionRejectedWarning
            In the first call, if a test had failed and ``on_reject="warn"``.
        """
        margins = self.decision_function(X)
        if self.on_reject == "warn" and self not in _warned and any(not test.passed for test in self.tests_):
            _warned.add(self)
            warnings.warn(str(DistributionRejected(self.tests_)), DistributionRejectedWarning, stacklevel=2)
        return np.asarray(self.classes_[(margins >= 0.0).astype(np.intp)])

    def tests_table(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the tests as columns, see `algos.testable_halfspaces.tests_table`."""
        check_is_fitted(self)
        return results.tests_table(self.tests_)

    def certify(self, X: Any, y: npt.ArrayLike, w: Any = None) -> HalfspaceCertificate:
        """Certify this halfspace, or any linear classifier, on given rows.

        Parameters
        ----------
        X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
            Rows. With ``noise="massart"`` none of them may have been used to choose the classifier.
        y : array-like of shape (n,)
            Labels.
        w : array-like of shape (d,) or fitted linear classifier, optional
            What to certify, such as a LogisticRegression; then nothing needs to be fitted. This estimator's halfspace by default.

        Returns
        -------
        HalfspaceCertificate
            For this estimator's `noise`, `eta`, `delta` and `certificate`; see `algos.testable_halfspaces.certify`.

        Raises
        ------
        ValueError
            As for `algos.testable_halfspaces.certify`.
        NotFittedError
            No `w`, and nothing was fitted.
        """
        settings = Settings.of(self)
        if w is None:
            check_is_fitted(self)
            X = self._used_columns(X)
            w = SimpleNamespace(
                coef_=self.coef_[:, self.columns_], intercept_=self.intercept_, fit_intercept=settings.lift, classes_=self.classes_
            )
        eta = settings.eta if settings.noise == "massart" else None
        return certificates.certify(X, y, w, noise=settings.noise, eta=eta, delta=settings.delta, form=settings.certificate)

    def shift_bound(self, X: Any, *, delta: float = 0.05) -> ShiftBound:
        """Bound how often this halfspace and the best one differ on rows of another distribution.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Rows without labels.
        delta : float, default=0.05
            Probability of failure on top of that of the certificate.

        Returns
        -------
        ShiftBound
            See `algos.testable_halfspaces.shift_bound`.

        Raises
        ------
        ValueError
            Agnostic noise: that certificate does not say where the best halfspace lies.
        """
        check_is_fitted(self)
        return distribution_shift.shift_bound(self.certificate_, self._used_columns(X), delta=delta)

    def predict_mask(self, X: Any) -> npt.NDArray[np.bool_]:
        """Tell for which rows the prediction is certified to be that of the best halfspace.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n,), bool
            See `algos.testable_halfspaces.predict_mask`.

        Raises
        ------
        ValueError
            As for `shift_bound`.
        """
        check_is_fitted(self)
        return distribution_shift.predict_mask(self.certificate_, self._used_columns(X))

    def project(self, X: Any, direction: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return rows along a direction, such as `direction_`, centred and scaled so that the target would be standard Gaussian there.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        direction : array-like of shape (n_features,)

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            A direction of another length.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        u = np.asarray(direction, dtype=np.float64)
        if u.shape != (X.shape[1],):
            raise ValueError(f"direction has shape {u.shape}, X has {X.shape[1]} columns; give one number for each")
        return self._map.project(X, u)

    def _used_columns(self, X: Any) -> Any:
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return X if self.columns_.all() else np.ascontiguousarray(X[:, self.columns_])
