"""Packages whose modules are loaded when the first of their names is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late_names(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Return a package's ``__getattr__``, which loads a module when a name of it is first used.

    Who imports the package, and not a name from it, loads none of its modules.

    https://peps.python.org/pep-0562/

    :param names: of each module the names that the package has from it, with blanks between them
    """
    modules = {name: module for module, several in names.items() for name in several.split()}

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return load
