"""Find the connection that is meant."""

from __future__ import annotations

from django.utils.translation import gettext as _

from zoho_crm.exceptions import ConnectionLostError, RequestRefusedError
from zoho_crm.models import Connection, connections_at_hand
from zoho_crm.types import storable


def find_connection(chosen: Connection | str | int | None = None) -> Connection:
    """
    Return the connection that is meant.

    :param chosen: a connection, its name (a text) or its primary key (a number); ``None`` for the
        default one
    :raises RequestRefusedError: if there is none of this name or key; it names the existing ones
    :raises ConnectionLostError: if the default one is meant, and there is none at all
    """
    if isinstance(chosen, Connection):
        return chosen
    if chosen is None:
        return default_connection()
    meant = {"name": storable(chosen)} if isinstance(chosen, str) else {"pk": chosen}
    connection = Connection.objects.filter(**meant).first()
    if connection is None:
        message = _("There is no connection “%(name)s”; known are: %(known)s.")
        words = {"name": chosen, "known": _names() or _("none")}
        raise RequestRefusedError(message % words, code="no_such_connection")
    return connection


def connection_at_hand(chosen: Connection | str | int | None = None) -> Connection:
    """
    Return the connection that is meant, only to be read; raise as ``find_connection``.

    One that was read in the last 30 seconds is at hand: its row is not read again.
    """
    if isinstance(chosen, Connection):
        return chosen
    at_hand: Connection | None = connections_at_hand.find(chosen)
    if at_hand is None:
        times_forgotten = connections_at_hand.times_forgotten
        at_hand = find_connection(chosen)
        connections_at_hand.keep(chosen, at_hand, times_forgotten)
    return at_hand


def default_connection() -> Connection:
    """
    Return the connection that is used when none is named.

    :raises ConnectionLostError: if there is none
    :raises RequestRefusedError: if there are several, and none of them is the default
    """
    connections = Connection.objects.order_by("-is_default", "pk")[:2]
    if not connections:
        raise ConnectionLostError(code="no_connection")
    if len(connections) > 1 and not connections[0].is_default:
        message = _("Several connections exist, and none is the default; name one of: %s.")
        raise RequestRefusedError(message % _names(), code="no_default_connection")
    return connections[0]


def _names() -> str:
    return ", ".join(Connection.objects.order_by("name").values_list("name", flat=True))
