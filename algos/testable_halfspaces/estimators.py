"""The tester-learner with the interface of scikit-learn: validation, the steps in order, attributes; the mathematics is elsewhere."""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from algos.common.binomial import clopper_pearson
from algos.common.randomness import RandomStateLike, as_generator
from algos.testable_halfspaces._certified_classifier import CertifiedClassifier, forget_warning
from algos.testable_halfspaces._fit_settings import Settings
from algos.testable_halfspaces._fit_steps import (
    Certified,
    Chosen,
    Learned,
    Table,
    candidates_table,
    certify_chosen,
    choose,
    largest_noise,
    learn,
    mistakes,
    split,
)
from algos.testable_halfspaces._fit_tests import TestPlace, calibrate_fit, measure_fit, worst_direction
from algos.testable_halfspaces._verdict import check_reach, promise, required_eps, shortfall
from algos.testable_halfspaces.ramp_learner import Candidate
from algos.testable_halfspaces.results import DistributionRejected, DistributionRejectedWarning

__all__ = ["TestableHalfspace"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class TestableHalfspace(CertifiedClassifier, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Halfspace that is accepted with a proof of its quality, or rejected with the direction that breaks the assumption.

    Half of the rows learn halfspaces by descending the ramp loss in bands of falling width; the other half certifies one of them; tests
    of the marginal distribution say whether the certificate could be expected. Soundness does not rest on the tests: the certificate
    holds for any distribution of the rows. A halfspace that is not accepted predicts like any other.

    Parameters
    ----------
    noise : {"agnostic", "massart"}, default="agnostic"
        ``"agnostic"`` assumes nothing about labels and proves how many mistakes every halfspace makes. ``"massart"``: labels are flipped
        independently with probability at most `eta`; a bound on the excess error is proved.
    eta : float, optional
        Bound on the flip probability in [0, 1/2), needed for ``"massart"`` and refused otherwise. It is an assumption that no data can
        test.
    eps : float, "auto" or None, default=None
        Excess error that is good enough. None accepts every certificate that is not vacuous. ``"auto"`` (Massart): as good as if the
        marginal were Gaussian, see `minimal_eps`. A number out of reach is refused, see `force`.
    delta : float, default=0.05
        Probability that a certificate is false.
    delta_complete : float, default=0.05
        Probability that rows of the target are rejected. Half of it is the level of the tests, half that of ``eps="auto"``.
    factor : float, optional
        Agnostic: accept if the upper limit of the error, less `eps`, is at most so many times the proved lower bound on the optimum.
        None: any positive bound will do.
    marginal : {"gaussian", "isotropic-logconcave", None}, default="gaussian"
        Target of the tests; None does without tests. For the second, thresholds are the widest over a panel of five distributions.
    target_transform : {None, "whiten", "standardize"}, default=None
        Affine map, fitted on the learning rows, that brings rows to the target's covariance or variances. Means are subtracted only with
        `fit_intercept`; halfspaces without one stay homogeneous. Simulated tables go through the same.
    fit_intercept : bool, default=True
        False is the setting of the theory. With an intercept, a constant 1 is appended: one dimension more to certify.
    sigmas : array-like or "auto", default="auto"
        Widths of the bands, in the unit of the mapped rows; see `default_sigmas`.
    n_restarts : int, default=2
        Random starts of the descent, besides two good ones.
    solver : {"rgd", "psgd"}, default="rgd"
        See `ramp_path`.
    learn_fraction : float, default=0.5
        Share of the rows that learn.
    certificate : {"auto", "quartic", "norm", "sos"}, default="auto"
        Quartic minorants up to `max_quartic_dim` columns, and quadratic ones; quartic or an error; quadratic ones alone; quartic ones
        sharpened by a sum-of-squares program (at most 8 columns).
    calibration : {"simulate", "theory"}, default="simulate"
        Thresholds from simulated tables of the target, or fixed slacks of a factor two or so that need no simulation.
    n_calibration : int, default=199
        Simulated tables; the last 32 calibrations of a process are remembered.
    calibration_guarantee : {"rank", "tolerance"}, default="rank"
        ``"tolerance"`` suits thresholds that are used for many tables; see `calibrate`.
    max_quartic_dim : int, default=60
        Columns, the intercept included, up to which quartic forms are built; at most 60.
    on_reject : {"warn", "raise", "ignore"}, default="warn"
        What `fit` does when a test fails: DistributionRejectedWarning (and once more at the first `predict`), DistributionRejected (all
        attributes are set before), or nothing. With ``"warn"`` a certificate that is not good enough also warns.
    force : bool, default=False
        Fit even if `eps` is below what Gaussian rows of this number allow.
    random_state : None, int, Generator or RandomState, default=None
        Folds and random starts.
    n_jobs : int, default=1
        Threads of the simulations; results do not depend on their number.
    verbose : int, default=0
        1 prints a line for every step.

    Attributes
    ----------
    accepted_ : bool
        All tests passed, and the certificate is good enough.
    certificate_ : HalfspaceCertificate
        Massart: of `coef_`, on the rows with ``fold_ids_ == 1``. Agnostic: on all rows, of the candidate that proves most, since a lower
        bound on every halfspace may come from any. ``certificate_.verify(X[rows][:, columns_], y[rows])`` recomputes it.
    guarantee_ : Guarantee
        What is proved, accepted or not; kind ``"none"`` with the reason where nothing is. With Massart noise, a bound that is no better
        than the error itself is a promise, too, although its certificate counts as vacuous.
    eps_hat_ : float
        With probability 1 - `delta` the error exceeds that of the best halfspace by at most this; 1 if nothing is known. Agnostic: the
        upper limit of the error less `opt_lower_`.
    opt_lower_ : float
        Agnostic: with probability 1 - `delta` / 2 no halfspace errs less; NaN for Massart noise.
    error_upper_ : float
        Upper limit, at confidence 1 - `delta` / 2, of the error, from the rows that did not learn.
    eta_breakdown_ : float
        Massart: nearly the largest flip probability for which the certificate would still be good enough; NaN if there is none, and for
        agnostic noise.
    eps_ : float or None
        What `eps` came to.
    tests_ : list of TestResult
        Moments of all rows; band and disagreement on the rows that certify.
    direction_ : ndarray of shape (n_features,) or None
        Unit vector u of the test that failed most clearly: the rows' <u, x> are not those of the target.
    candidates_ : structured ndarray
        One entry for each width: ``sigma, loss, gradient_norm, n_iter, n_mistakes, status, start, promise, certified, w``. A `status` of
        ``"max_iter"`` is no cause for a warning: what is proved rests on the gradient measured, not on its being zero. `promise` is
        what the learning rows expect of a certificate (tangent of the excluded angle, or the share of mistakes of every halfspace), NaN
        where that was not looked at.
    coef_ : ndarray of shape (1, n_features)
    intercept_ : ndarray of shape (1,)
    classes_ : ndarray of shape (2,)
        The second one is predicted where ``X @ coef_ + intercept_ >= 0``.
    fold_ids_ : ndarray of shape (n_samples,)
        0 for rows that learned, 1 for the others.
    columns_ : ndarray of shape (n_features,), bool
        Columns in use. Constant ones (with an intercept) and those that depend on others are left out with a warning.
    band_width_ : float
        Width parameter of the band that was certified, in the unit of the margins.
    calibration_ : Calibration or None
        Thresholds of the tests.
    n_iter_ : int
        Descent steps of all candidates.
    seconds_ : dict of str to float
        Time of the steps ``"learn"``, ``"choose"``, ``"certify"``, ``"test"`` and ``"calibrate"``.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        If X had string names.

    See Also
    --------
    algos.testable_halfspaces.certify : A certificate for any linear classifier.
    algos.testable_halfspaces.HalfspaceDisplay : Picture of margins, band and offending direction.

    Notes
    -----
    Time: O(n d) for each descent step, :math:`n d^4/4` for the fourth moments, and the simulation, which is `n_calibration` times the
    tests on up to 50,000 rows. A simulated table costs at least about :math:`d^6` operations: little up to 10 columns, a second or two with
    30, ten or more with 50, where `n_jobs`, a smaller `max_quartic_dim` or ``calibration="theory"`` save most of an hour. A table in a
    memory-mapped file is read in blocks; only its bands are kept.

    The rows that certify have no part in the choice of the halfspaces and bands that they certify: one with agnostic noise, two with
    Massart noise, of which the better certificate is kept and among which `delta` is divided.

    References
    ----------
    A. Gollakota, A. Klivans, K. Stavropoulos, A. Vasilyan. "An Efficient Tester-Learner for Halfspaces". ICLR 2024. arXiv 2302.14853.

    Examples
    --------
    >>> from algos.testable_halfspaces import TestableHalfspace, make_halfspace
    >>> X, y, w = make_halfspace(20_000, 3, noise="rcn", rate=0.1, random_state=0)
    >>> model = TestableHalfspace("massart", eta=0.1, fit_intercept=False, n_calibration=79, random_state=0).fit(X, y)
    >>> model.accepted_, model.eps_hat_ < 0.1
    (True, True)
    >>> certifying = model.fold_ids_ == 1
    >>> bool(model.certificate_.verify(X[certifying], y[certifying]))
    True
    """

    __test__ = False  # pytest collects classes whose name begins with Test

    def __init__(
        self,
        noise: str = "agnostic",
        *,
        eta: float | None = None,
        eps: float | str | None = None,
        delta: float = 0.05,
        delta_complete: float = 0.05,
        factor: float | None = None,
        marginal: str | None = "gaussian",
        target_transform: str | None = None,
        fit_intercept: bool = True,
        sigmas: Any = "auto",
        n_restarts: int = 2,
        solver: str = "rgd",
        learn_fraction: float = 0.5,
        certificate: str = "auto",
        calibration: str = "simulate",
        n_calibration: int = 199,
        calibration_guarantee: str = "rank",
        max_quartic_dim: int = 60,
        on_reject: str = "warn",
        force: bool = False,
        random_state: RandomStateLike = None,
        n_jobs: int | None = 1,
        verbose: int = 0,
    ) -> None:
        self.noise = noise
        self.eta = eta
        self.eps = eps
        self.delta = delta
        self.delta_complete = delta_complete
        self.factor = factor
        self.marginal = marginal
        self.target_transform = target_transform
        self.fit_intercept = fit_intercept
        self.sigmas = sigmas
        self.n_restarts = n_restarts
        self.solver = solver
        self.learn_fraction = learn_fraction
        self.certificate = certificate
        self.calibration = calibration
        self.n_calibration = n_calibration
        self.calibration_guarantee = calibration_guarantee
        self.max_quartic_dim = max_quartic_dim
        self.on_reject = on_reject
        self.force = force
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: npt.ArrayLike) -> Self:
        """Learn, certify and test.

        Parameters
        ----------
        X : array-like or memmap of shape (n_samples, n_features)
            Rows; float32 stays float32, and sums are taken in float64.
        y : array-like of shape (n_samples,)
            Labels of two classes. There are no sample weights: the certificate is about equally weighted rows.

        Returns
        -------
        TestableHalfspace

        Raises
        ------
        ValueError
            Data or a parameter are invalid: one class, more than two, fewer than 8 rows, NaN, an eta outside [0, 1/2), ...
        InfeasibleEps
            `eps` is below what rows of this number can certify, and the certificate is not as good by luck.
        DistributionRejected
            A test fails, with ``on_reject="raise"``.

        Warns
        -----
        DistributionRejectedWarning
            A test fails.
        UserWarning
            Columns are left out, or the tests pass and the certificate is not good enough.
        """
        settings = Settings.of(self)
        settings.check_simulations()
        X, targets = validate_data(self, X, y, dtype=(np.float64, np.float32))
        labels = self._labels(targets)
        n, rng = len(labels), as_generator(self.random_state)
        certifies = split(n, settings.learn_fraction, rng)
        n_certify = int(np.count_nonzero(certifies))
        check_reach(settings, n_certify)
        settings.quartic(X.shape[1] + settings.lift)
        self.seconds_: dict[str, float] = {}
        forget_warning(self)
        with self._step("learn"):
            learned = learn(
                X, labels, ~certifies, transform=settings.transform, lift=settings.lift, rng=rng,
                sigmas=settings.sigmas, n_restarts=settings.n_restarts, solver=settings.solver,
            )  # fmt: skip
        self._warn_about_columns(learned.map.columns)
        self.fold_ids_ = certifies.astype(np.int8)
        with self._step("choose"):
            chosen = choose(
                learned, settings.noise, eta=settings.eta, delta=settings.delta, n_certify=n_certify,
                quartic=settings.quartic(learned.rows.n_features),
            )  # fmt: skip
        with self._step("certify"):
            table = Table.of(X, labels, certifies, self.columns_)
            made = self._certify(settings, table, learned, chosen)
        self.candidates_ = candidates_table(learned.path, chosen, (learned.map.normal(c.w) for c in learned.path))
        best = made.candidate if settings.noise == "massart" else learned.path.best
        self._set_halfspace(settings, table, learned, best)
        self._test(settings, table, learned, chosen)
        self._decide(settings, n, X.shape[1])
        return self

    def _labels(self, y: npt.NDArray[Any]) -> FloatArray:
        """Set the classes and return labels -1 and +1."""
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(y)}: y has {len(classes)} classes. "
                "A halfspace separates 2; wrap the estimator in sklearn.multiclass.OneVsRestClassifier"
            )
        if len(classes) < 2:
            raise ValueError(f"y has 1 class, {classes[:1].tolist()[0]!r}; a halfspace separates 2: give rows of both")
        self.classes_ = classes
        return np.where(np.ravel(codes) == 1, 1.0, -1.0)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds_[name] = self.seconds_.get(name, 0.0) + time.perf_counter() - begin
        if self.verbose:
            print(f"[TestableHalfspace] {name}: {self.seconds_[name]:.2f} s", flush=True)

    def _warn_about_columns(self, columns: BoolArray) -> None:
        self.columns_ = columns
        left_out = np.flatnonzero(~columns)
        if left_out.size:
            names = getattr(self, "feature_names_in_", np.arange(columns.size))[left_out]
            shown = ", ".join(str(name) for name in names[:5]) + (", ..." if left_out.size > 5 else "")
            warnings.warn(
                f"{left_out.size} column(s) of X are constant or depend on others: {shown}; they are left out, their coefficients are 0",
                UserWarning,
                stacklevel=3,
            )

    def _certify(self, settings: Settings, table: Table, learned: Learned, chosen: Chosen) -> Certified:
        whole = settings.noise == "agnostic"
        rows, used = (table.every, table.labels) if whole else (table.tested, table.tested_labels)
        quartic = settings.quartic(learned.rows.n_features)
        made = certify_chosen(
            rows,
            used,
            learned.map,
            chosen,
            settings.noise,
            eta=settings.eta,
            delta=settings.delta,
            quartic=quartic,
            sos=settings.certificate == "sos",
        )
        self.certificate_ = replace(made.certificate, classes=tuple(self.classes_.tolist()))
        self.guarantee_ = promise(self.certificate_)
        self.band_width_ = self.certificate_.sigma
        self.eta_breakdown_ = math.nan
        if settings.noise == "massart" and not made.certificate.vacuous:
            eps = settings.eps if isinstance(settings.eps, float) else None
            self.eta_breakdown_ = largest_noise(made.search, made.certificate, eps)
        return made

    def _set_halfspace(self, settings: Settings, table: Table, learned: Learned, best: Candidate) -> None:
        normal = learned.map.normal(best.w)
        self.coef_ = np.zeros((1, self.columns_.size))
        self.coef_[0, self.columns_] = normal[: len(normal) - settings.lift]
        self.intercept_ = normal[-1:].copy() if settings.lift else np.zeros(1)
        self.n_iter_ = int(sum(candidate.n_iter for candidate in learned.path))
        wrong = mistakes(table.tested, table.tested_labels, normal, lift=settings.lift)
        self.error_upper_ = clopper_pearson(wrong, table.tested.n_rows, 1.0 - settings.delta / 2.0, "upper")
        self.opt_lower_ = self.certificate_.opt_lower
        agnostic = min(1.0, max(0.0, self.error_upper_ - self.opt_lower_))
        self.eps_hat_ = self.certificate_.eps_hat if settings.noise == "massart" else agnostic
        self._map = learned.map

    def _test(self, settings: Settings, table: Table, learned: Learned, chosen: Chosen) -> None:
        self.tests_, self.direction_, self.calibration_ = [], None, None
        if settings.marginal is None:
            return
        place, d = TestPlace.of(learned, chosen), table.every.n_features
        wide = d <= settings.max_quartic_dim
        with self._step("test"):
            measured = measure_fit(table.every, table.tested, learned.map, place, certify=wide)
        with self._step("calibrate"):
            self.calibration_ = calibrate_fit(
                table.every.n_rows, d, table.tested.n_rows, place, transform=settings.transform, lift=settings.lift,
                marginal=settings.marginal, mode=settings.calibration, guarantee=settings.guarantee, level=settings.delta_complete / 2.0,
                n_calibration=settings.n_calibration, certify=wide, n_jobs=settings.n_jobs,
            )  # fmt: skip
        self.tests_ = [*self.calibration_.judge((*measured[0], *measured[1]))]
        self.direction_ = worst_direction(self.tests_)

    def _decide(self, settings: Settings, n: int, d: int) -> None:
        """Set the verdict, and warn or raise."""
        failed = [test for test in self.tests_ if not test.passed]
        self.eps_ = required_eps(settings, n, d, self.eps_hat_)
        missing = shortfall(settings, self.certificate_, self.eps_, self.error_upper_)
        self.accepted_ = not failed and not missing
        if settings.verbose:
            print(f"[TestableHalfspace] {self.explain()}", flush=True)
        if settings.on_reject == "raise" and failed:
            raise DistributionRejected(self.tests_)
        if settings.on_reject != "warn" or self.accepted_:
            return
        if failed:
            warnings.warn(str(DistributionRejected(self.tests_)), DistributionRejectedWarning, stacklevel=3)
        else:
            warnings.warn(f"the halfspace is not accepted: {missing}", UserWarning, stacklevel=3)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
