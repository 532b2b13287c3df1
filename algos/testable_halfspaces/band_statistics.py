r"""What is measured in the band around a halfspace: the numbers on which every certificate rests.

All are means over the n rows, weighted by the slope :math:`\psi_\sigma(t_i)` of the ramp, and involve only rows with
:math:`|t_i|<\sigma/2`. Coordinates in the complement are divided by the typical length
:math:`s=\sqrt{\operatorname{tr}M_2/(m_0(d-1))}` of the band's rows, so that nothing depends on the unit of the data.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces._arguments import checked_labels, checked_sigma
from algos.testable_halfspaces._geometry import View
from algos.testable_halfspaces.bounds import HALF_WIDTH, mistake_push, ramp_density
from algos.testable_halfspaces.quartic_forms import quartic_gram, spectral_supremum

__all__ = ["MAX_QUARTIC_DIM", "Band", "BandStatistics", "band_statistics"]

FloatArray = npt.NDArray[np.float64]

MAX_QUARTIC_DIM = 60
"""Number of columns up to which quartic forms are built: 1770 features, a matrix of 25 MB for every bin of the margin."""

_HEAVY = 3.0
"""Rows longer than this many times the upper quartile of the band's lengths are treated apart: in a quartic each would outweigh the rest.
Among Gaussian rows they are less than one in a thousand in the plane, and none in higher dimension."""


@dataclass(frozen=True, eq=False)
class Band:
    """Rows of a band, in normalised coordinates.

    Attributes
    ----------
    n : int
        Rows of the whole table.
    sigma : float
    scale : float
        The length s by which z was divided.
    t, psi : ndarray of shape (b,)
        Absolute margins and weights, margins rising.
    z : ndarray of shape (b, k)
    rho : ndarray of shape (b,)
        Lengths of z.
    light : ndarray of shape (b,), bool
        Rows of ordinary length.
    light_reach : float
        Length between those of the light rows and of the others, in units of `scale`.
    """

    n: int
    sigma: float
    scale: float
    t: FloatArray
    psi: FloatArray
    z: FloatArray
    rho: FloatArray
    light: npt.NDArray[np.bool_]
    light_reach: float

    @classmethod
    def of(cls, view: View, sigma: float) -> "tuple[Band, npt.NDArray[np.intp]]":
        """Return the band and the row numbers of its rows."""
        inside = np.abs(view.t) < HALF_WIDTH * sigma
        z = view.coordinates(inside)
        rows = np.flatnonzero(inside)
        order = np.argsort(np.abs(view.t[rows]), kind="stable")
        rows, z = rows[order], np.ascontiguousarray(z[order])
        t = np.abs(view.t[rows])
        psi = ramp_density(margin=t, sigma=sigma)
        rho = np.sqrt(np.einsum("ij,ij->i", z, z))
        light, scale = _typical_length(psi, rho, view.k)
        return cls(view.n, sigma, scale, t, psi, z / scale, rho / scale, light, _light_reach(rho / scale, light)), rows

    @property
    def k(self) -> int:
        """Dimension of the complement."""
        return int(self.z.shape[1])

    def second_moments(self, weights: FloatArray, rows: npt.NDArray[np.bool_] | slice = slice(None)) -> FloatArray:
        """Return ``mean weights z z^T`` over chosen rows of the band, as a share of all rows of the table."""
        z = self.z[rows] * np.sqrt(weights[rows])[:, None]
        return np.asarray(z.T @ z / self.n)

    def gradient(self, labels: FloatArray) -> FloatArray:
        """Return ``mean psi y z`` for labels in the order of the band's rows."""
        return np.asarray((self.psi * labels) @ self.z / self.n)


def _light_reach(rho: FloatArray, light: npt.NDArray[np.bool_]) -> float:
    return math.inf if np.all(light) else float(rho[light].max() + rho[~light].min()) / 2.0


def _typical_length(psi: FloatArray, rho: FloatArray, k: int) -> tuple[npt.NDArray[np.bool_], float]:
    light = rho <= _HEAVY * np.quantile(rho, 0.75) if rho.size else np.ones(0, dtype=bool)
    total = float(psi[light].sum())
    largest = float(rho[light].max()) if np.any(light) else 0.0
    if k == 0 or total == 0.0 or largest == 0.0:
        return np.ones(rho.size, dtype=bool), 1.0
    mean = float(psi[light] @ (rho[light] / largest) ** 2) / (total * k)
    scale = largest * float(np.sqrt(mean))
    return light, scale if scale > 0.0 else 1.0


@dataclass(frozen=True, eq=False)
class BandStatistics:
    r"""Statistics of the band around a halfspace.

    Attributes
    ----------
    n, n_band : int
        All rows, and rows with :math:`|t|<\sigma/2`.
    sigma, scale : float
        Width parameter, and the length s by which z was divided.
    m0, B : float
        Means of :math:`\psi` and of :math:`\psi|t|`.
    M2 : ndarray of shape (k, k)
        Mean of :math:`\psi zz^\top`; its trace is :math:`m_0k`, but for rows far longer than the others.
    N2 : float
        Largest eigenvalue of the mean of :math:`\psi^2zz^\top`.
    g : ndarray of shape (k,)
        Mean of :math:`\psi yz`: minus the gradient of the ramp loss, in units of s.
    K4 : float
        Certified supremum over directions of the mean of :math:`\psi\langle v,z\rangle^4`; infinite above 60 columns.
    largest : float
        Largest :math:`\psi\rho`.
    weights, pushes : ndarray of shape (n_band,)
        Sums of the largest :math:`\psi_i` and of the largest :math:`\psi_i\rho_i`, divided by n: entry j - 1 for j rows.
    basis : ndarray of shape (d, k)
        Maps a row to z before the division by s: ``z = x @ basis / scale``.
    """

    n: int
    n_band: int
    sigma: float
    scale: float
    m0: float
    B: float
    M2: FloatArray
    N2: float
    g: FloatArray
    K4: float
    largest: float
    weights: FloatArray
    pushes: FloatArray
    basis: FloatArray

    @property
    def G(self) -> float:
        """Length of g."""
        return float(np.linalg.norm(self.g))

    @property
    def covariance(self) -> float:
        """Largest eigenvalue of M2."""
        return float(np.linalg.eigvalsh(self.M2)[-1]) if self.M2.size else 0.0

    def mistake_push(self, mistakes: int) -> float:
        """Return the bound H on what that many mistakes can add to the gradient; see `bounds.mistake_push`."""
        if mistakes == 0 or self.n_band == 0:
            return 0.0
        last = min(mistakes, self.n_band) - 1
        return mistake_push(
            share=mistakes / self.n,
            weight=float(self.weights[last]),
            second=self.N2,
            covariance=self.covariance,
            fourth=self.K4,
            largest_pushes=float(self.pushes[last]),
        )


def band_statistics(X: Any, y: npt.ArrayLike, w: npt.ArrayLike, sigma: float) -> BandStatistics:
    r"""Measure the band :math:`|t|<\sigma/2` around the hyperplane orthogonal to w.

    Parameters
    ----------
    X : array-like, memmap, dask array or re-iterable of blocks, of shape (n, d)
        Rows.
    y : array-like of shape (n,)
        Labels -1 and +1.
    w : array-like of shape (d,)
        Normal of the halfspace; its length does not matter.
    sigma : float
        Width parameter, in the unit of X.

    Returns
    -------
    BandStatistics

    Raises
    ------
    ValueError
        NaN, infinite or huge entries, labels other than -1 and +1, w zero or of another length, sigma not positive.

    Notes
    -----
    One pass for the margins, one for the rows of the band; only these are kept, and cost :math:`d^4/4` operations each. Blocks of any size
    give the same numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces import band_statistics
    >>> X = np.random.default_rng(0).standard_normal((50_000, 4))
    >>> band = band_statistics(X, np.sign(X[:, 0]), [1.0, 0.0, 0.0, 0.0], 0.5)
    >>> abs(band.m0 - 0.399) < 0.02, abs(band.K4 / band.m0 - 3.0) < 0.4
    (True, True)
    """
    sigma = checked_sigma(sigma)
    view = View.of(X, w)
    labels = checked_labels(y, view.n)
    band, rows = Band.of(view, sigma)
    return statistics_of(band, rows, view, labels)


def statistics_of(
    band: Band, rows: npt.NDArray[np.intp], view: View, labels: FloatArray, fourths: FloatArray | None = None
) -> BandStatistics:
    """Return the statistics of a band; `fourths` is the quartic form of its light rows, where it is known already."""
    psi, k = band.psi, band.k
    pushed = psi * band.rho
    N2 = float(np.linalg.eigvalsh(band.second_moments(psi * psi))[-1]) if k else 0.0
    return BandStatistics(
        n=band.n,
        n_band=len(psi),
        sigma=band.sigma,
        scale=band.scale,
        m0=float(psi.sum()) / band.n,
        B=float(psi @ band.t) / band.n,
        M2=band.second_moments(psi),
        N2=max(N2, 0.0),
        g=band.gradient(labels[rows]),
        K4=_fourth_moment(band, fourths),
        largest=float(pushed.max()) if pushed.size else 0.0,
        weights=np.cumsum(np.sort(psi)[::-1]) / band.n,
        pushes=np.cumsum(np.sort(pushed)[::-1]) / band.n,
        basis=view.project,
    )


def _fourth_moment(band: Band, fourths: FloatArray | None) -> float:
    k, light = band.k, band.light
    if k >= MAX_QUARTIC_DIM:
        return math.inf
    with np.errstate(over="ignore"):
        heavy = float(band.psi[~light] @ band.rho[~light] ** 4) / band.n
    if k == 0 or not np.any(light):
        return heavy
    if fourths is None:
        fourths = quartic_gram(band.z[light], band.psi[light]) / band.n
    return heavy + max(spectral_supremum(fourths, k)[0], 0.0)
