"""The stored fields of a certificate, before anything is computed with them: a file may come from a stranger."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from algos.common.blocks import RowSource
from algos.testable_halfspaces._geometry import is_invertible

if TYPE_CHECKING:
    from algos.testable_halfspaces._halfspace_certificate import HalfspaceCertificate

__all__ = ["malformed"]

_FINITE = ("sigma", "scale", "lam", "gradient", "deviation", "cone", "cone_scale", "cone_multiplier", "cone_lam", "delta", "error_upper")
_NUMBERS = (*_FINITE, "light_reach", "tau", "theta", "push", "push_limit")
_COUNTS = ("n", "n_band", "disagreement", "mistakes", "sure_mistakes", "sure_hits", "optimum")
_TEXTS = ("kind", "reason", "variant", "cone_method", "digest")
_ARRAYS = ("w", "edges", "curve_etas", "curve_eps")
_MOST_CANDIDATES = 2**53
_CLASS_KINDS = str | int | float | bool


def malformed(c: "HalfspaceCertificate", source: RowSource) -> str:
    """Return what is wrong with the stored fields themselves, or nothing."""
    return _wrong_type(c) or _wrong_size(c, source) or _wrong_value(c)


def _wrong_type(c: "HalfspaceCertificate") -> str:
    bad = [name for name in _NUMBERS if not _is_number(getattr(c, name))]
    bad += [name for name in _FINITE if name not in bad and not math.isfinite(getattr(c, name))]
    bad += [name for name in _COUNTS if not _is_count(getattr(c, name))]
    bad += [name for name in _TEXTS if not isinstance(getattr(c, name), str)]
    bad += [name for name in ("vacuous", "lift") if not isinstance(getattr(c, name), bool)]
    bad += [name for name in _ARRAYS if not _is_vector(getattr(c, name))]
    bad += [name for name in ("transform", "shift") if not (getattr(c, name) is None or _is_matrix(getattr(c, name)))]
    if not (_is_count(c.n_candidates) and 1 <= c.n_candidates <= _MOST_CANDIDATES):
        bad.append("n_candidates")
    if not (isinstance(c.classes, tuple) and len(c.classes) == 2 and all(isinstance(label, _CLASS_KINDS) for label in c.classes)):
        bad.append("classes")
    return f"a number is missing or is not one: {', '.join(bad)}" if bad else ""


def _wrong_size(c: "HalfspaceCertificate", source: RowSource) -> str:
    m = source.n_features + c.lift
    if c.n != source.n_rows or c.w.shape != (m,) or not abs(float(np.linalg.norm(c.w)) - 1.0) < 1e-9:
        return f"the data have {source.n_rows} rows and {source.n_features} columns, the certificate is for other sizes"
    if c.transform is not None and not is_invertible(c.transform, m):
        return "the transform is not an invertible matrix of the size of the rows"
    if max(getattr(c, name) for name in _COUNTS) > c.n:
        return "a count is larger than the number of rows"
    return ""


def _wrong_value(c: "HalfspaceCertificate") -> str:
    if c.kind not in ("massart", "agnostic") or c.variant not in ("norm", "quartic"):
        return "the kind or the variant is unknown"
    if c.cone_method not in ("mixed", "quadratic", "count", "trivial"):
        return "the method that bounds the cone is unknown"
    if not (0.0 < c.delta < 1.0 and c.scale > 0.0 and c.cone_scale > 0.0 and c.sigma > 0.0 and c.tau >= 0.0):
        return "a parameter is outside its range"
    if not np.all(np.diff(c.edges) > 0.0) or c.curve_etas.shape != c.curve_eps.shape:
        return "the edges do not rise, or the curve has two lengths"
    if c.kind == "massart":
        if not (_is_number(c.eta, c.eps_hat) and 0.0 <= c.eta < 0.5 and c.eps_hat >= 0.0):
            return "eta is outside [0, 1/2), or the bound on the excess is none"
        return "" if c.optimum == 0 and _is_blank(c.opt_lower) else "a massart certificate claims a lower bound"
    if not (_is_blank(c.eta) and _is_blank(c.eps_hat)):
        return "an agnostic certificate claims an excess or a flip probability"
    return "" if _is_number(c.opt_lower) and 0.0 <= c.opt_lower <= 1.0 else "the lower bound on the error is none"


def _is_number(*values: Any) -> bool:
    """Whether values are real numbers and not NaN."""
    return all(isinstance(value, float) and not math.isnan(value) for value in values)


def _is_blank(value: Any) -> bool:
    """Whether a number is NaN, which stands for what this kind of certificate does not claim."""
    return isinstance(value, float) and math.isnan(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == np.float64


def _is_matrix(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype == np.float64
