"""The messages that the package has for a catalogue, found in its code without gettext's tools."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.template import Engine
from django.template.base import Node, NodeList
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

import zoho_crm

PACKAGE = Path(zoho_crm.__file__).parent
SINGLE = {"_", "gettext", "gettext_lazy", "gettext_noop"}
COUNTED = {"ngettext", "ngettext_lazy"}


class Message(NamedTuple):
    singular: str
    plural: str = ""


def messages_in_code() -> set[Message]:
    """Return every message of the package."""
    modules = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    found = {message for source in modules for message in _in_python(source)}
    for path in (PACKAGE / "templates").rglob("*.html"):
        found.update(_in_template(path.read_text(encoding="utf-8")))
    return found


def _in_python(source: str) -> Iterator[Message]:
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in SINGLE:
            yield Message(_text(node.args[0]))
        elif node.func.id in COUNTED:
            yield Message(_text(node.args[0]), _text(node.args[1]))


def _text(argument: ast.expr) -> str:
    """
    Return the text that is written out as this argument.

    :raises AssertionError: if it is made while the program runs, so that no catalogue can have it
    """
    assert isinstance(argument, ast.Constant), ast.unparse(argument)
    assert isinstance(argument.value, str), ast.unparse(argument)
    return argument.value


def _in_template(source: str) -> Iterator[Message]:
    template = Engine.get_default().from_string(source)
    for node in _nodes(template.nodelist):
        if isinstance(node, TranslateNode):
            assert node.message_context is None
            yield Message(node.filter_expression.var.literal)
        elif isinstance(node, BlockTranslateNode):
            assert node.message_context is None
            yield Message(
                *(node.render_token_list(part)[0] for part in (node.singular, node.plural))
            )


def _nodes(nodes: NodeList) -> Iterator[Node]:
    for node in nodes:
        yield node
        for attribute in node.child_nodelists:
            yield from _nodes(getattr(node, attribute, None) or NodeList())
