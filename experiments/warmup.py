"""Compile every kernel before it is needed."""

import importlib
import pkgutil

__all__ = ["kernel_modules", "warm_kernels"]


def kernel_modules() -> list[str]:
    """Import all of `algos` and return the modules that hold kernels."""
    import algos
    from algos.common.kernels import registered_kernels

    for module in pkgutil.walk_packages(algos.__path__, "algos."):
        importlib.import_module(module.name)
    return sorted({kernel.__module__ for kernel in registered_kernels().values() if kernel.__module__.startswith("algos.")})


def warm_kernels() -> list[tuple[str, float]]:
    """Compile the declared signatures of every kernel of `algos`.

    Returns
    -------
    list of (str, float)
        Kernel and seconds; a kernel that the cache already holds takes milliseconds.
    """
    from algos.common.kernels import warmup

    return warmup(kernel_modules())
