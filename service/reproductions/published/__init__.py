"""The reproductions: one file or package for each, named like the reproduction, that defines ``REPRODUCTION``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from service.reproductions.definition import Reproduction
from service.reproductions.errors import ReproductionNotFound


@functools.cache
def reproductions() -> Mapping[str, Reproduction]:
    """Return every reproduction of this folder by name.

    Raises:
        TypeError: A module defines no reproduction.
    """
    by_name = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        defined = getattr(importlib.import_module(f"{__name__}.{module.name}"), "REPRODUCTION", None)
        if not isinstance(defined, Reproduction):
            raise TypeError(f"{__name__}.{module.name} defines no REPRODUCTION: a file of this folder is one.")
        by_name[module.name] = defined
    return by_name


def reproduction(name: str) -> Reproduction:
    """Return one reproduction.

    Raises:
        ReproductionNotFound: No reproduction has this name.
    """
    try:
        return reproductions()[name]
    except KeyError:
        raise ReproductionNotFound(f"Unknown reproduction {name!r}. Known: {', '.join(reproductions())}.") from None
