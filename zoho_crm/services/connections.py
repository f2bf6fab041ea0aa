"""Find a connection, and the data center of one."""

from __future__ import annotations

from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter
from zoho_crm.exceptions import AuthorizationError, ConnectionLostError
from zoho_crm.models import Connection


def default_connection() -> Connection:
    """
    Return the connection that is used when none is named.

    :raises ConnectionLostError: if there is none
    """
    connection = Connection.objects.order_by("-is_default", "pk").first()
    if connection is None:
        raise ConnectionLostError(code="no_connection")
    return connection


def data_center_of(connection: Connection) -> DataCenter:
    """
    Return the data center of a connection.

    :raises AuthorizationError: if it is not configured, as ``local`` without ``LOCAL_URL``
    """
    center = conf().data_centers.get(connection.data_center)
    if center is None:
        details = {"data_center": connection.data_center}
        raise AuthorizationError(code="unknown_data_center", details=details)
    return center
