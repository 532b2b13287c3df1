"""What the certificates of the regressions share: how they are stored, and what their fields must be."""

import json
import numbers
import os
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Certificate

__all__ = ["DualCertificate", "are_real", "is_finite_array", "is_finite_vector"]

FloatArray = npt.NDArray[np.float64]


class DualCertificate(Certificate):
    """Base of certificates that consist of coefficients, dual vectors and a few numbers; subclasses are frozen dataclasses."""

    _arrays: ClassVar[tuple[str, ...]] = ("coef", "dual")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate as a compressed ``.npz`` file without pickled objects.

        Parameters
        ----------
        path : path-like
            File to write; the ending ``.npz`` is added if it is missing, as by `numpy.savez_compressed`.
        """
        arrays = {name: getattr(self, name) for name in self._arrays}
        values = {name: getattr(self, name) for name in _numbers(type(self))}
        np.savez_compressed(path, numbers=np.array(json.dumps(values)), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` has written.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        certificate
            Of this class, with the same numbers, bit for bit.

        Raises
        ------
        ValueError
            If the file is something else; pickled content is refused, not executed.
        """
        with np.load(path, allow_pickle=False) as stored:
            content = {name: stored[name] for name in stored.files}
        values = json.loads(str(content.pop("numbers", "{}")))
        if set(content) != set(cls._arrays) or set(values) != set(_numbers(cls)):
            found = sorted([*content, *values])
            raise ValueError(f"{path} has entries {found}, not those of a {cls.__name__}; give a file that its save() wrote.")
        return cls(**content, **values)


def _numbers(cls: type[DualCertificate]) -> list[str]:
    return [field.name for field in fields(cls) if field.name not in cls._arrays]  # type: ignore[arg-type]


def are_real(*values: Any) -> bool:
    """Whether stored numbers are numbers."""
    return all(isinstance(value, numbers.Real) for value in values)


def is_finite_vector(values: npt.NDArray[Any], length: int) -> bool:
    """Whether a stored vector is one: of real numbers, of this length, without NaN or infinity."""
    return is_finite_array(values, (length,))


def is_finite_array(values: npt.NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Whether a stored array has this shape and holds real numbers without NaN or infinity."""
    return values.shape == shape and values.dtype.kind in "fiu" and bool(np.all(np.isfinite(values)))
