"""Errors of the database: of values that a column does not take, and of nobody's fault."""

from __future__ import annotations

from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError

#: The classes of an outage: a cut connection, a lock or a deadlock.
OUTAGE_ERRORS = (OperationalError, InterfaceError, InternalError)
#: The classes that writing a row raises because of its values; some databases use the first too.
VALUE_ERRORS = (
    OperationalError,
    DataError,
    IntegrityError,
    OverflowError,
    TypeError,
    ValueError,
)
#: MySQL's and MariaDB's numbers of errors of values that have the class of an outage: a row or a
#: packet too large, a text that its column's character set lacks, JSON that is none.
#: https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
MYSQL_VALUE_ERRORS = frozenset({1118, 1153, 1292, 1300, 1366, 1411, 3140, 3141, 4038})
#: PostgreSQL's class of errors for a value that is too large for an index or a row.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
POSTGRESQL_PROGRAM_LIMIT = "54"


def is_outage(error: BaseException) -> bool:
    """Return whether an error is a cut connection, a lock or a deadlock: then a retry may help."""
    if not isinstance(error, OUTAGE_ERRORS):
        return False
    number = error.args[0] if error.args else None
    state = getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
    is_limit = str(state or "").startswith(POSTGRESQL_PROGRAM_LIMIT)
    return number not in MYSQL_VALUE_ERRORS and not is_limit
