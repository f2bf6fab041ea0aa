"""Who may import whom, and how long functions may be: the architecture, as code that runs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.module_loading import import_string

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "zoho_crm"

WORDS = {"types", "exceptions", "datacenters", "conf", "matching", "signals"}
BELOW_THE_WAYS_IN = WORDS | {"services", "models"}

#: A layer may import itself and these. Nothing points up: services never enqueue, the ways in do.
MAY_IMPORT = {
    # values, errors, the closed table of Zoho's hosts, settings; then what is pure
    "types": set(),
    "exceptions": {"types"},
    "datacenters": {"types", "exceptions"},
    "conf": {"types", "exceptions", "datacenters"},
    "matching": WORDS - {"signals"},
    "signals": WORDS - {"matching"},
    # ciphertext in, Secret out
    "crypto": WORDS,
    # talks to Zoho; is given token, hosts, limits and deadlines: knows no model and no setting
    "client": {"types", "exceptions", "datacenters"},
    # remember
    "models": WORDS | {"crypto"},
    "migrations": {"models"},
    # decide: the only layer that writes to the tables and the only one that joins client and models
    "services": WORDS | {"crypto", "client", "models"},
    # ways in
    "tasks": BELOW_THE_WAYS_IN,
    "forms": BELOW_THE_WAYS_IN,
    "templatetags": BELOW_THE_WAYS_IN,
    # the address for host projects: calls services and wakes the worker
    "shortcuts": BELOW_THE_WAYS_IN | {"tasks"},
    "views": BELOW_THE_WAYS_IN | {"forms", "tasks"},
    "urls": {"views"},
    "admin": BELOW_THE_WAYS_IN | {"forms", "tasks", "views", "urls"},
    "management": BELOW_THE_WAYS_IN | {"forms", "tasks", "crypto", "checks", "simulator"},
    # what Django and Celery look for
    "checks": WORDS | {"crypto", "models"},
    "schedules": WORDS,
    "apps": WORDS | {"checks", "models"},
    # bridges to other programs
    "contrib": BELOW_THE_WAYS_IN | {"crypto", "client", "simulator"},
    # imports nothing of ours
    "simulator": set(),
}

#: The only modules outside the simulator that may import it.
MAY_IMPORT_THE_SIMULATOR = {
    "contrib/pytest.py",
    "management/commands/zoho_simulator.py",
}

MAX_FUNCTION_LINES = 40


def modules_in(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def in_package(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def offenders(paths: Iterable[Path], wrong: Callable[[Path], Any]) -> dict[str, Any]:
    """Return what is wrong in each of these modules in which something is."""
    found = {path.relative_to(ROOT).as_posix(): wrong(path) for path in paths}
    return {name: what for name, what in found.items() if what}


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield dotted names: ``from a import b`` is ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def our_layers_in(tree: ast.AST) -> set[str]:
    ours = {name.split(".")[1] for name in imports_of(tree) if name.startswith("zoho_crm.")}
    return ours - {"__version__"}


def functions_in(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})
        for kind in caught
    )


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


PACKAGE_MODULES = modules_in("zoho_crm")
LAYERED_MODULES = [path for path in PACKAGE_MODULES if path != PACKAGE / "__init__.py"]
SIMULATOR_MODULES = [path for path in PACKAGE_MODULES if layer_of(path) == "simulator"]
SHIPPED_MODULES = [
    *(path for path in PACKAGE_MODULES if "migrations" not in path.parts),
    *modules_in("testproject"),
]
ALL_MODULES = [
    ROOT / "manage.py",
    *modules_in("zoho_crm", "testproject", "tests", "benchmarks", "docs"),
]


def test_imports_point_down():
    def upwards(path: Path) -> set[str]:
        layer = layer_of(path)
        return our_layers_in(tree_of(path)) - MAY_IMPORT[layer] - {layer}

    assert not offenders(LAYERED_MODULES, upwards)


def test_only_its_doors_import_the_simulator():
    users = {
        in_package(path)
        for path in LAYERED_MODULES
        if layer_of(path) != "simulator" and "simulator" in our_layers_in(tree_of(path))
    }

    assert users <= MAY_IMPORT_THE_SIMULATOR


def test_simulator_needs_nothing_but_the_standard_library():
    def foreign(path: Path) -> set[str]:
        return {
            name
            for name in imports_of(tree_of(path))
            if name.split(".")[0] not in sys.stdlib_module_names
            and not name.startswith("zoho_crm.simulator")
        }

    assert not offenders(SIMULATOR_MODULES, foreign)


#: Modules with imports inside a function: what only a worker needs is loaded by a worker.
LOADED_LATE = {"zoho_crm/services/work/__init__.py"}


def test_our_imports_stand_at_the_top():
    def hidden(path: Path) -> set[str]:
        return {
            name
            for function in functions_in(tree_of(path))
            for name in imports_of(function)
            if name.split(".")[0] in {"zoho_crm", "testproject"}
        }

    assert offenders(SHIPPED_MODULES, hidden).keys() == LOADED_LATE


def test_annotations_are_postponed():
    def is_eager(path: Path) -> bool:
        if "\nfrom __future__ import annotations\n" in f"\n{path.read_text(encoding='utf-8')}":
            return False
        return any(not is_docstring(node) for node in tree_of(path).body)

    assert not offenders(ALL_MODULES, is_eager)


def test_functions_stay_small():
    def long_ones(path: Path) -> dict[str, int]:
        lengths = {
            function.name: (function.end_lineno or 0) - function.lineno + 1
            for function in functions_in(tree_of(path))
        }
        return {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES}

    assert not offenders(SHIPPED_MODULES, long_ones)


def test_texts_with_a_plural_make_no_class_each():
    def costly(path: Path) -> set[str]:
        return {"django.utils.translation.ngettext_lazy"} & {*imports_of(tree_of(path))}

    assert not offenders(SHIPPED_MODULES, costly)


def test_pages_of_the_admin_that_are_named_exist():
    calls = [
        node
        for path in (PACKAGE / "admin").glob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.url_pattern"
    ]
    views = [call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)]

    assert views
    assert all(callable(import_string(f"zoho_crm.admin.{view}")) for view in views)


def test_errors_are_caught_by_name():
    def broad(path: Path) -> list[int]:
        return [
            node.lineno
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.ExceptHandler) and is_broad(node)
        ]

    assert not offenders(SHIPPED_MODULES, broad)


def test_nothing_but_commands_prints():
    def printing(path: Path) -> list[int]:
        return [
            node.lineno
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Name) and node.id == "print"
        ]

    assert not offenders(
        [path for path in LAYERED_MODULES if layer_of(path) != "management"], printing
    )


def test_no_module_knows_the_machine_it_was_written_on():
    somebodys_folder = re.compile(r"/(?:home|root|Users|workspace)/\w|\b[A-Z]:\\\\")

    assert not offenders(
        ALL_MODULES, lambda path: somebodys_folder.findall(path.read_text(encoding="utf-8"))
    )


def test_what_hosts_are_shown_has_no_private_name_of_ours():
    code = [*modules_in("testproject", "examples")]
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    private = re.compile(
        r"^ *(?:from|import) zoho_crm\S*\b\._.*|^ *from zoho_crm\S* import .*\b_\w+", re.M
    )

    assert not offenders(
        [*code, *pages], lambda path: private.findall(path.read_text(encoding="utf-8"))
    )


def test_transactions_name_their_database_and_no_cursor_stays_open():
    def unnamed(path: Path) -> list[str]:
        calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
        methods = [call for call in calls if isinstance(call.func, ast.Attribute)]
        return [
            f"{call.func.attr} in line {call.lineno}"
            for call in methods
            if call.func.attr == "iterator"
            or (
                call.func.attr in {"atomic", "on_commit", "non_atomic_requests"}
                and "using" not in {keyword.arg for keyword in call.keywords}
            )
        ]

    assert not offenders(LAYERED_MODULES, unnamed)
