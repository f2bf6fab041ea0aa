"""Checks of the connections: their secrets, the client, their status here and at Zoho."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    AuthorizationError,
    ClientRejectedError,
    PermissionDeniedError,
    SecretUnreadableError,
    ZohoError,
)
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    MassConversion,
    SdkFailure,
    SdkToken,
    Token,
    holds,
)
from zoho_crm.models._database import DbNow
from zoho_crm.services import clients, connect, keys, organisations, tokens, users
from zoho_crm.services.doctor._findings import Check, Finding, fail, local_time, ok, warn
from zoho_crm.services.presentation import backoff_text, describe_error

#: Tokens of Zoho's SDK without a connection that are named.
MAX_NAMED_TOKENS = 5


def secrets() -> Iterator[Finding]:
    """Check that every stored secret can be decrypted, with the newest key."""
    if not conf().ENCRYPTION_KEYS:
        fix = _("Make one with: manage.py zoho_new_key")
        yield fail(Check.ENCRYPTION_KEYS, _("There is none: nothing can be connected."), fix)
        return
    problems = keys.unreadable()
    for problem, names in problems.items():
        fix = _("Put the key back into ENCRYPTION_KEYS, or connect again: manage.py zoho_connect")
        message = f"{problem} ({', '.join(names)})"
        yield fail(Check.ENCRYPTION_KEYS, message, fix, is_connection=True)
    counts = keys.count_by_key()
    if not problems:
        shown = ", ".join(f"{key_id}: {number}" for key_id, number in counts.items())
        yield ok(Check.ENCRYPTION_KEYS, _("every ciphertext can be read (%s)") % shown)
    older = crypto.key_ids()[1:]
    if any(counts[key_id] for key_id in older):
        message = _("Some secrets are encrypted with an older key.")
        yield warn(Check.ENCRYPTION_KEYS, message, _("Run: manage.py zoho_rotate_keys"))


def client() -> Iterator[Finding]:
    """Check that the settings name a client, with which people can connect in a browser."""
    settings = conf()
    missing = [name for name in ("CLIENT_ID", "CLIENT_SECRET") if not getattr(settings, name)]
    if not missing:
        yield ok(Check.CLIENT, settings.CLIENT_ID)
    elif len(missing) == 1:
        message, fix = (
            _("One without the other cannot be used."),
            _("Set %s, from Zoho's API console."),
        )
        yield fail(Check.CLIENT, message, fix % missing[0])
    elif settings.LOCAL_URL:
        yield ok(Check.CLIENT, _("none in the settings; the simulator brings its own"))
    elif Token.objects.filter(status=Token.Status.ACTIVE).exists():
        yield ok(Check.CLIENT, _("none in the settings; each token brings its own"))
    else:
        fix = _("Set CLIENT_ID and CLIENT_SECRET, from Zoho's API console.")
        yield warn(Check.CLIENT, _("There is none: nobody can connect in a browser."), fix)


def connections() -> Iterator[Finding]:
    """Check the status of each connection, here and at Zoho, and its scopes."""
    backoff = holds(work__backoff_until__gt=DbNow())
    found = (
        Connection.objects.annotate(is_backing_off=backoff, lacks_default=tokens.lacks_default())
        .select_related("work")
        .order_by("name")
    )
    if not found:
        fix = _("Connect with: manage.py zoho_connect")
        yield warn(Check.CONNECTIONS, _("There is none yet."), fix)
    for connection in found:
        if connection.lacks_default:
            yield _without_default(connection)
        else:
            yield _status(connection, is_backing_off=connection.is_backing_off)
        token = Token.objects.filter(connection=connection, is_default=True).first()
        missing = connect.missing_scopes(token.scopes) if token else []
        if missing:
            message = _("not granted: %s") % ", ".join(missing)
            fix = _("Connect again with these scopes, or take them out of SCOPES.")
            yield warn(Check.SCOPES, message, fix, subject=str(connection))


def sdk_tokens() -> Iterator[Finding]:
    """Check that Zoho said of each grant of its SDK whose it is."""
    kept = SdkToken.objects.filter(token=None).order_by("pk")
    if not kept:
        return
    named = ", ".join(f"{row.user_name or row} ({row.problem})" for row in kept[:MAX_NAMED_TOKENS])
    message = _("%(count)d are kept without a connection: %(named)s")
    fix = _(
        "The SDK can use them, the worker cannot. Give them the scopes ZohoCRM.org.READ and"
        " ZohoCRM.users.READ, a refresh token and the client, or delete them in the SDK's program."
    )
    yield warn(Check.SDK_TOKENS, message % {"count": len(kept), "named": named}, fix)


def sdk_failures() -> Iterator[Finding]:
    """Check that Zoho's SDK could store its tokens, since it says nothing but in its log."""
    failures = SdkFailure.objects.order_by("-at")
    if not failures:
        return
    named = ", ".join(map(str, failures[:MAX_NAMED_TOKENS]))
    message = _("%(count)d could not be stored, the last one at %(at)s: %(named)s")
    values = {"count": len(failures), "at": local_time(failures[0].at), "named": named}
    fix = _(
        "Correct the cause: see above, and the log of zoho_crm.contrib.sdk. A program that still"
        " runs stores its token again when it renews it, within an hour; else start it with a new"
        " grant. This ends once the token is stored."
    )
    yield warn(Check.SDK_FAILURES, message % values, fix)


def _status(connection: Connection, *, is_backing_off: bool) -> Finding:
    if connection.status == Connection.Status.DISABLED:
        return _disabled(connection)
    if connection.status == Connection.Status.NEEDS_RECONNECT:
        message = _("Zoho no longer accepts it; its leads wait.")
        return _failed(connection, message, _connect_again())
    if not is_backing_off:
        return _status_at_zoho(connection)
    why = backoff_text(connection.work)
    if connection.work.backoff_kind == ConnectionWork.BackoffKind.PERSON:
        fix = _("Correct it at Zoho, then run: manage.py zoho_status --test")
        return _failed(connection, why, fix)
    return warn(
        Check.CONNECTION,
        _("waits: %s") % why,
        _("It tries again by itself."),
        subject=str(connection),
    )


def _without_default(connection: Connection) -> Finding:
    message = _("Its default user is not connected any more; its leads wait.")
    others = ", ".join(users.other_users(connection))
    fix = _(
        "Choose another default user in the admin (%(users)s). %(again)s Or run:"
        " manage.py zoho_connect --make-default EMAIL --execute"
    )
    fix %= {"users": others, "again": _connect_again()}
    return _failed(connection, message, fix)


def _disabled(connection: Connection) -> Finding:
    leads = LeadConversion.objects.unfinished().filter(connection=connection).count()
    runs = MassConversion.objects.filter(connection=connection, due_at__isnull=False).count()
    if not (leads or runs):
        return ok(Check.CONNECTION, _("disabled"), subject=str(connection))
    message = _(
        "It is disabled, and %(leads)s of its leads and %(runs)s of its runs are still in progress."
    )
    return warn(
        Check.CONNECTION,
        message % {"leads": leads, "runs": runs},
        _connect_again(),
        subject=str(connection),
    )


def _status_at_zoho(connection: Connection) -> Finding:
    """Read the organisation, which fails if the consent was withdrawn at Zoho."""
    try:
        found = clients.client_for(connection).organisation()
    except (AuthorizationError, ImproperlyConfigured) as error:
        return _failed(connection, describe_error(error), _fix_for(error))
    except ZohoError as error:
        fix = _("Nothing is lost. Ask again with: manage.py zoho_status --test")
        return warn(
            Check.CONNECTION,
            _("Zoho could not be asked: %s") % describe_error(error),
            fix,
            subject=str(connection),
        )
    if difference := organisations.difference(connection, found):
        return _failed(connection, difference, _connect_again())
    return ok(Check.CONNECTION, _("works"), subject=str(connection))


def _failed(connection: Connection, message: str, fix: str) -> Finding:
    return fail(Check.CONNECTION, message, fix, subject=str(connection), is_connection=True)


def _fix_for(error: Exception) -> str:
    if isinstance(error, ClientRejectedError):
        fix = _("Put CLIENT_ID and CLIENT_SECRET of Zoho's API console into the settings. %s")
        return fix % _connect_again()
    if isinstance(error, PermissionDeniedError):
        return _("Grant it at Zoho, then run: manage.py zoho_status --test")
    if getattr(error, "code", "") == "no_ca_bundle":
        return _("Correct CA_BUNDLE in the settings.")
    if getattr(error, "code", "") == "unknown_data_center":
        return _("Correct LOCAL_URL or EXTRA_DATA_CENTERS in the settings.")
    if isinstance(error, SecretUnreadableError | ImproperlyConfigured):
        return _("Put the key back into ENCRYPTION_KEYS, or connect again: manage.py zoho_connect")
    return _connect_again()


def _connect_again() -> str:
    return _("Connect again: manage.py zoho_connect")
