"""The claims of the package, one file per topic; the only place of ``proofs_check`` that knows the algorithms.

Every module ``proofs_check.claims.<system>.<topic>`` holds a :class:`~proofs_check.catalogue.Catalogue` named ``cat``.
"""

import importlib
import pkgutil
from functools import cache

from proofs_check.catalogue import Catalogue
from proofs_check.corpora import CORPUS


@cache
def catalogue() -> Catalogue:
    """Collect the claims of all modules, found by name; a module without ``cat`` is a definition error."""
    everything = Catalogue("epsdelta", corpus=CORPUS)
    for found in sorted(pkgutil.walk_packages(__path__, __name__ + "."), key=lambda module: module.name):
        if found.ispkg or found.name.rsplit(".", 1)[1].startswith("_"):
            continue
        cat = getattr(importlib.import_module(found.name), "cat", None)
        if not isinstance(cat, Catalogue):
            raise TypeError(f"{found.name} holds no Catalogue named `cat`; see the file TEMPLATE beside this package")
        everything.extend(cat)
    return everything
