"""The certificate of a halfspace: its numbers, what they say, how it is checked, stored and read."""

import json
import math
import os
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Certificate, Guarantee
from algos.common.validation import check_range
from algos.testable_halfspaces import _verify
from algos.testable_halfspaces._verify import VerifyReport
from algos.testable_halfspaces.bounds import side_deviation

__all__ = ["HalfspaceCertificate"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HalfspaceCertificate(Certificate):
    r"""What is proved about a halfspace, and every number that the proof needs.

    Attributes
    ----------
    kind : {"massart", "agnostic"}
    vacuous : bool
        Whether nothing beyond the trivial is proved; `reason` says why.
    reason : str
    w : ndarray of shape (d,) or (d + 1,)
        Unit normal; the intercept last if `lift`.
    lift : bool
        Whether a constant 1 is appended to every row: the statement is then about halfspaces with an intercept.
    transform : ndarray or None
        Invertible map of the rows under which the band was measured; the statement does not depend on it.
    classes : tuple
        Labels that stand for -1 and +1.
    n, n_band : int
        Rows, and rows in the band.
    sigma : float
        Width parameter of the band.
    scale, light_reach, edges :
        Length unit in the complement, length from which rows are treated apart, upper edges of the bins of the margin.
    tau, theta : float
        Excluded are all halfspaces at an angle :math:`\theta'` to w and to -w with :math:`|\tan\theta'|\ge\tau=\tan\theta`.
        It holds for the best halfspace (massart), or for all with fewer than `optimum` mistakes (agnostic).
    variant, lam : str, float
        Minorant and multiplier that prove it.
    shift : ndarray or None
        Matrix, for features of mapped rows, that was added to the quartic form; its own form vanishes (``"sos"`` only).
    push, push_limit : float
        LB at `tau`, and at the largest angle: what could be excluded at best.
    gradient, deviation : float
        Length G of the gradient, and what noise (massart) or `optimum` - 1 mistakes (agnostic) can add. ``push > gradient + deviation``.
    cone, cone_method, cone_scale, cone_multiplier, cone_lam :
        Angle of at least `theta` at which disagreement was bounded, and what proves the bound.
    disagreement : int
        No halfspace within `cone` of w (or -w) differs from it on more rows.
    mistakes, sure_mistakes, sure_hits : int
        Rows that w gets wrong; rows certainly wrong, and certainly right, whatever the rounding of margins near 0.
    eta, delta : float
        Bound on the flip probability (NaN if agnostic), and probability that the population statement is false.
    n_candidates : int
        Halfspaces among which this one may be chosen after looking at their certificates.
    eps_hat : float
        massart: with probability 1 - delta the error of w exceeds that of the best halfspace by at most this; 1 if vacuous. Else NaN.
    optimum : int
        agnostic: every halfspace makes at least so many mistakes on the rows; 0 if vacuous or massart.
    opt_lower : float
        agnostic: with probability 1 - delta / 2 the error of every halfspace is at least this, if rows are independent draws. Else NaN.
    error_upper : float
        Upper limit at confidence 1 - delta / 2 of the error of w; it needs w to be independent of the rows.
    curve_etas, curve_eps : ndarray
        Values of `eps_hat` for other flip probabilities, if asked for.
    digest : str
        Fingerprint of rows and labels, in their order.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import massart_certificate
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((20_000, 3))
    >>> y = np.where((X[:, 0] > 0) ^ (rng.random(20_000) < 0.1), 1, -1)
    >>> certificate = massart_certificate(X, y, [1.0, 0.0, 0.0], sigma=0.2, eta=0.1)
    >>> certificate.eps_hat < 0.1, bool(certificate.verify(X, y)), bool(certificate.verify(X, -y))
    (True, True, False)
    """

    kind: str
    vacuous: bool
    reason: str
    w: FloatArray
    lift: bool
    transform: FloatArray | None
    classes: tuple[Any, ...]
    n: int
    n_band: int
    sigma: float
    scale: float
    light_reach: float
    edges: FloatArray
    tau: float
    theta: float
    variant: str
    lam: float
    shift: FloatArray | None
    push: float
    push_limit: float
    gradient: float
    deviation: float
    cone: float
    cone_method: str
    cone_scale: float
    cone_multiplier: float
    cone_lam: float
    disagreement: int
    mistakes: int
    sure_mistakes: int
    sure_hits: int
    eta: float
    delta: float
    n_candidates: int
    eps_hat: float
    optimum: int
    opt_lower: float
    error_upper: float
    curve_etas: FloatArray
    curve_eps: FloatArray
    digest: str

    @property
    def o_low(self) -> float:
        """Lower bound on the share of mistakes of every halfspace on the rows (agnostic): ``optimum / n``."""
        return self.optimum / self.n

    @property
    def confined(self) -> bool:
        """Whether the best halfspace is certified to lie within `theta` of this one (massart): also where `eps_hat` is trivial."""
        if self.kind != "massart" or not self.tau < math.inf:
            return False
        deviation = side_deviation(log_term=math.log(4.0 * self.n_candidates / self.delta), n=self.n)
        return self.sure_hits > self.n * (self.eta + deviation) + self.disagreement

    @property
    def guarantee(self) -> Guarantee:
        """The statement as a number with its premises."""
        if self.vacuous:
            return Guarantee("none", reason=self.reason)
        if self.kind == "agnostic":
            return Guarantee("lower bound on the optimum", self.o_low, (), "every halfspace makes at least so large a share of mistakes")
        premises = (
            f"labels are flipped independently with probability at most {self.eta:g}",
            "the rows are independent draws",
            "the halfspace was chosen without these rows",
        )
        return Guarantee("bound on the excess error", self.eps_hat, premises, f"it fails with probability at most {self.delta:g}")

    @property
    def statement(self) -> str:
        """What is proved, in one sentence."""
        space = "halfspace with an intercept" if self.lift else "homogeneous halfspace"
        if self.vacuous:
            return f"Nothing is certified: {self.reason}."
        if self.kind == "agnostic":
            return f"Every {space} makes at least {self.optimum} mistakes on these {self.n} rows; this one makes {self.mistakes}."
        return (
            f"With probability {1.0 - self.delta:g} the error of this halfspace exceeds that of the best {space} by at most "
            f"{self.eps_hat:.4g}, if labels are flipped independently with probability at most {self.eta:g}."
        )

    def explain(self) -> str:
        """Return the statement with the slack budget: what to change to certify more."""
        if self.n == 0 or self.w.size < 2:
            return self.statement
        spent = self.gradient + self.deviation
        noise = "noise in the labels" if self.kind == "massart" else f"{max(self.optimum - 1, 0)} mistakes of a rival"
        budget = (
            f" In a band of {self.n_band} rows the gradient is {self.gradient:.3g} and {noise} can add {self.deviation:.3g}; "
            f"rivals at a right angle push with {self.push_limit:.3g} at least."
        )
        if self.push_limit <= spent:
            advice = " That is too little to exclude any angle. " + self._remedy()
        else:
            advice = (
                f" Excluded are angles whose tangent is {self.tau:.3g} or more; within, {self.disagreement} rows can change sides. "
                + self._remedy()
            )
        return self.statement + budget + advice

    def _remedy(self) -> str:
        features = (self.w.size - 1) * self.w.size // 2
        if self.n_band < 10 * features:
            return f"The band has few rows for {features} quadratic features, use more rows or a wider band."
        if self.gradient > self.deviation:
            return "The gradient dominates, so that a halfspace trained by the ramp loss at this width would be certified better."
        if self.kind == "massart":
            return "Noise dominates, so that more rows would help."
        return "The rival's mistakes dominate, which a wider band may lower."

    def verify(self, X: Any, y: npt.ArrayLike) -> VerifyReport:
        """Recompute every number from the data; nothing stored is believed.

        Parameters
        ----------
        X : array-like or any source of rows of shape (n, d)
            The rows, in the order in which they were certified.
        y : array-like of shape (n,)
            Labels.

        Returns
        -------
        VerifyReport
            True where the data are the same and support every claim. A certificate that claims less than the data support passes as far
            as its derived bounds are concerned; measured numbers must agree to nine digits.

        Raises
        ------
        ValueError
            The data themselves are malformed.

        Notes
        -----
        One pass, and one factorisation for each stored multiplier.
        """
        return _verify.verify(self, X, y)

    def curve(self, etas: npt.ArrayLike, X: Any = None, y: npt.ArrayLike | None = None) -> FloatArray:
        """Return the certified excess for other bounds on the flip probability.

        Parameters
        ----------
        etas : array-like
            Flip probabilities in [0, 1/2).
        X, y : optional
            The data. Without them, values stored with the certificate are used: that of the next larger stored eta, which is safe.

        Returns
        -------
        ndarray of the shape of `etas`
            Never falling in eta; 1 where no angle is excluded.

        Raises
        ------
        ValueError
            An agnostic certificate, an eta outside [0, 1/2), or no data and no stored values.
        """
        if self.kind != "massart":
            raise ValueError("this certificate is agnostic: it assumes no flip probability, and has no curve")
        wanted = np.asarray(etas, dtype=np.float64)
        for eta in wanted.ravel():
            check_range(float(eta), name="etas", low=0.0, high=0.5, high_open=True)
        if X is not None:
            if y is None:
                raise ValueError("y is missing; give the labels with X, or neither")
            from algos.testable_halfspaces._certificate_steps import excess_curve_of

            known, values = excess_curve_of(self, X, y, np.unique(wanted))
        else:
            known, values = self.curve_etas, self.curve_eps
            if not known.size:
                raise ValueError("no curve is stored; give X and y, or etas to massart_certificate")
        place = np.searchsorted(known, wanted)
        return np.asarray(np.append(values, 1.0)[place])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate as a compressed ``.npz`` file without pickled objects.

        Parameters
        ----------
        path : path-like
            File to write; the ending ``.npz`` is added if it is missing, as by `numpy.savez_compressed`.
        """
        content = json.loads(self.to_json())
        arrays = {field.name: value for field in fields(self) if isinstance(value := getattr(self, field.name), np.ndarray)}
        for name in arrays:
            del content["fields"][name]
        np.savez_compressed(path, allow_pickle=False, statement=np.array(json.dumps(content)), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` has written.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        HalfspaceCertificate
            With the same numbers, bit for bit.

        Raises
        ------
        ValueError
            The file is something else; pickled content is refused, not executed.
        """
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        try:
            content = json.loads(str(arrays.pop("statement")))
            known = {field.name for field in fields(cls)}
            if not set(arrays) <= known:
                raise ValueError(f"unknown entries {sorted(set(arrays) - known)}")
            content["fields"] |= dict.fromkeys(arrays, None)
            return replace(cls.from_json(json.dumps(content)), **arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold a {cls.__name__} ({error}); give a file that its save() wrote") from error
