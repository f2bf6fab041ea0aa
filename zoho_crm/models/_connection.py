"""Connections, their tokens, the requests for consent that made them, and their events."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from zoho_crm import crypto
from zoho_crm.models._at_hand import KEPT_SECONDS, connections_at_hand, tokens_at_hand
from zoho_crm.models._database import (
    DbNow,
    ModelT_co,
    PrimaryModel,
    PrimaryQuerySet,
    database,
    from_now,
    holds,
    user_reference,
)
from zoho_crm.types import Environment, Secret

Grant = TypeVar("Grant", bound="GrantModel")


class ConnectionQuerySet(PrimaryQuerySet[ModelT_co]):
    """Connections; what this process has at hand of any is forgotten when it writes some."""

    def update(self, **values: Any) -> int:
        """Update the rows, and forget."""
        number = super().update(**values)
        connections_at_hand.forget_on_commit(self.db)
        return number

    update.alters_data = True  # type: ignore[attr-defined]


class Connection(PrimaryModel):
    """One Zoho organisation in one data center and environment."""

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", _("works")
        NEEDS_RECONNECT = "NEEDS_RECONNECT", _("needs to be connected again")
        DISABLED = "DISABLED", _("disabled")

    class Environments(models.TextChoices):
        PRODUCTION = Environment.PRODUCTION.value, _("production")
        SANDBOX = Environment.SANDBOX.value, _("sandbox")
        DEVELOPER = Environment.DEVELOPER.value, _("developer")

    name = models.CharField(_("name"), max_length=100, unique=True)
    data_center = models.CharField(_("data center"), max_length=10)
    environment = models.CharField(_("environment"), max_length=10, choices=Environments)
    org_id = models.CharField(_("organisation id"), max_length=30)
    #: The organisation's id in Zoho's accounts, with which Zoho's SDK names a user.
    zgid = models.CharField(max_length=30, blank=True, editable=False)
    #: What names the organisation in the addresses of Zoho CRM's own pages.
    domain_name = models.CharField(max_length=100, blank=True, editable=False)
    org_name = models.CharField(_("organisation"), max_length=200, blank=True)
    edition = models.CharField(_("edition"), max_length=50, blank=True)
    licences = models.PositiveIntegerField(_("licences"), default=0)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.ACTIVE)
    is_default = models.BooleanField(_("default"), default=False)
    #: API names of the fields of a lead that a conversion carries over in this organisation.
    mapped_fields = models.JSONField(_("mapped fields"), default=list, blank=True)
    #: When edition, licences and mapped fields are to be read again; null: not before a test.
    organisation_due_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects: ClassVar = ConnectionQuerySet.as_manager()

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["org_id", "data_center", "environment"],
                name="zoho_crm_one_connection_per_organisation",
            )
        ]
        # Those of all that belongs to a connection are here, so that a backend with permissions of
        # objects, such as django-guardian's, can give each for one connection.
        permissions: ClassVar = [
            ("connect_connection", _("Can connect to Zoho")),
            ("refresh_connection", _("Can test a connection and renew its access token")),
            ("disconnect_connection", _("Can disconnect from Zoho")),
            ("view_token", _("Can view tokens")),
            ("view_connectionevent", _("Can view events of connections")),
            ("view_apiusage", _("Can view API usage")),
            ("view_leadconversion", _("Can view conversions")),
            ("preview_leadconversion", _("Can preview the conversion of a lead")),
            ("approve_leadconversion", _("Can convert leads")),
            ("resolve_leadconversion", _("Can settle conversions and close those that need it")),
            ("export_leadconversion", _("Can export conversions")),
            ("view_payload_leadconversion", _("Can see what was read and sent")),
            ("view_massconversion", _("Can view runs")),
            ("prepare_massconversion", _("Can prepare and decide runs")),
            ("run_massconversion", _("Can start runs")),
            ("pause_massconversion", _("Can pause, resume and cancel runs")),
            ("view_outboxrecord", _("Can view outgoing records")),
            ("add_outboxrecord", _("Can push records")),
            ("resolve_outboxrecord", _("Can send outgoing records again and leave them out")),
            ("view_payload_outboxrecord", _("Can see the values of outgoing records")),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **options: Any) -> None:
        """Insert or update the row; what this process has at hand of any is forgotten."""
        super().save(**options)
        connections_at_hand.forget_on_commit(self._state.db or database())

    # Mutators

    def lock(self) -> None:
        """
        Lock the row until the transaction ends, by a write that changes nothing.

        What changes the default among its tokens begins with it, so that one at a time does.
        """
        Connection.objects.filter(pk=self.pk).update(status=F("status"))

    def set_default(self) -> None:
        """Make this the connection that is used when none is named."""
        others = Connection.objects.exclude(pk=self.pk).filter(is_default=True)
        Connection.objects.filter(pk=self.pk).update(is_default=True)
        others.update(is_default=False)
        self.is_default = True

    def record_event(self, kind: str, by: Any = None, **details: Any) -> ConnectionEvent:
        """Insert an event of this connection; details must be JSON values and no secrets."""
        by_id = by.pk if by else None
        return ConnectionEvent.objects.create(
            connection=self, kind=kind, by_id=by_id, details=details
        )


class EncryptedModel(PrimaryModel):
    """A model with encrypted values, some of which can be looked up by their SHA-256."""

    #: Names of the encrypted values; each is in a column ``<name>_cipher``.
    SECRETS: ClassVar[tuple[str, ...]] = ()
    #: Those of them whose SHA-256 is in a column ``<name>_hash``.
    HASHED: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def encrypted_columns(self, **secrets: Secret) -> dict[str, str]:
        """Return the columns that store these secrets, encrypted for this row, and their hashes."""
        ciphers = {
            f"{name}_cipher": crypto.encrypt(secret, place=self._place(name)) if secret else ""
            for name, secret in secrets.items()
        }
        hashed = [name for name in secrets if name in self.HASHED]
        return ciphers | {f"{name}_hash": crypto.digest(secrets[name]) for name in hashed}

    def reveal(self, name: str) -> Secret:
        """
        Decrypt one of ``SECRETS``.

        :raises SecretUnreadableError: if its key is missing or it is damaged
        """
        return crypto.decrypt(getattr(self, f"{name}_cipher"), place=self._place(name))

    def _place(self, name: str) -> str:
        return f"{self._meta.db_table}.{name}:{self.pk}"


class GrantQuerySet(PrimaryQuerySet[Grant]):
    """Grants, with flags that compare their times with the database's clock."""

    def with_freshness(self, *, early: float, margin: float) -> GrantQuerySet[Grant]:
        """
        Annotate what the database's clock says about the access token of each row.

        * ``is_fresh``: it is not yet time to refresh it
        * ``is_valid``: it has not expired
        * ``is_throttled``: Zoho gives out no new one now
        * ``is_being_refreshed``: a process holds the lease to refresh it
        * ``is_lasting``: it stays fresh for as long as a process keeps it at hand

        :param early: seconds before its expiry from which on it is refreshed
        :param margin: seconds before its expiry from which on it is not used any more
        """
        flags: dict[str, Any] = {
            "is_fresh": _is_fresh(early, margin),
            "is_lasting": _is_fresh(early + KEPT_SECONDS, margin + KEPT_SECONDS),
            "is_valid": holds(expires_at__gt=from_now(margin)),
            "is_throttled": holds(throttled_until__gt=DbNow()),
            "is_being_refreshed": holds(refresh_until__gt=DbNow()),
        }
        annotated: GrantQuerySet[Grant] = self.annotate(**flags)
        return annotated

    def update(self, **values: Any) -> int:
        """Update the rows; what this process has at hand of any is forgotten."""
        number = super().update(**values)
        tokens_at_hand.forget_on_commit(self.db)
        return number

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows; what this process has at hand of any is forgotten."""
        deleted = super().delete()
        tokens_at_hand.forget_on_commit(self.db)
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


def _is_fresh(early: float, margin: float) -> models.Case:
    """Return an expression: whether it is not yet time to refresh an access token."""
    in_time = Q(expires_at__gt=from_now(early))
    return holds(in_time | Q(renews_early=False, expires_at__gt=from_now(margin)))


class GrantModel(EncryptedModel):
    """A refresh token with its access token, which one process at a time refreshes."""

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", _("works")
        NEEDS_RECONNECT = "NEEDS_RECONNECT", _("needs to be connected again")
        REVOKED = "REVOKED", _("revoked")

    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.ACTIVE)
    #: Grows with every new access token; a refresh is written only if it did not grow meanwhile.
    generation = models.PositiveIntegerField(_("generation"), default=0)
    expires_at = models.DateTimeField(_("access token expires"), null=True)
    refreshed_at = models.DateTimeField(_("last refresh"), null=True)
    #: Whether its lifetime is long enough to refresh it some minutes before it expires.
    renews_early = models.BooleanField(default=True, editable=False)
    #: The lease to refresh it: its owner, and until when no other process refreshes it.
    refresh_owner = models.CharField(max_length=32, blank=True, editable=False)
    refresh_until = models.DateTimeField(null=True, editable=False)
    #: Until when Zoho gives out no new access token.
    throttled_until = models.DateTimeField(_("throttled until"), null=True, editable=False)
    client_secret_cipher = models.TextField(blank=True, editable=False)
    access_token_cipher = models.TextField(blank=True, editable=False)
    refresh_token_cipher = models.TextField(blank=True, editable=False)
    access_token_hash = models.CharField(max_length=64, blank=True, editable=False, db_index=True)
    refresh_token_hash = models.CharField(max_length=64, blank=True, editable=False, db_index=True)

    objects: ClassVar = GrantQuerySet.as_manager()

    #: Set by ``with_freshness``.
    is_fresh: bool
    is_valid: bool
    is_throttled: bool
    is_being_refreshed: bool
    is_lasting: bool

    class Meta:
        abstract = True

    # Mutators

    def take_refresh_lease(self, *, owner: str, seconds: float) -> bool:
        """Acquire the lease to refresh this generation of the token; return whether it was free."""
        free = Q(refresh_until=None) | Q(refresh_until__lte=DbNow())
        # The process that had the lease before may have been throttled since this row was read.
        allowed = Q(throttled_until=None) | Q(throttled_until__lte=DbNow())
        rows = type(self).objects.filter(
            free, allowed, pk=self.pk, generation=self.generation, status=self.Status.ACTIVE
        )
        return bool(rows.update(refresh_owner=owner, refresh_until=from_now(seconds)))

    def end_refresh(self, *, owner: str, **values: Any) -> bool:
        """End the lease and write these columns; return whether the lease was still held."""
        rows = type(self).objects.filter(
            pk=self.pk,
            generation=self.generation,
            refresh_owner=owner,
            refresh_until__gt=DbNow(),
        )
        return bool(rows.update(refresh_owner="", refresh_until=None, **values))


class Token(GrantModel):
    """A user's consent to a client, with its refresh and access token, encrypted."""

    connection = models.ForeignKey(
        Connection, models.PROTECT, related_name="tokens", verbose_name=_("connection")
    )
    user_id = models.CharField(_("user id"), max_length=30)
    user_name = models.CharField(_("user"), max_length=200, blank=True)
    user_email = models.CharField(_("e-mail"), max_length=200, blank=True)
    client_id = models.CharField(_("client id"), max_length=100)
    scopes = models.JSONField(_("scopes"), default=list, blank=True)
    is_default = models.BooleanField(_("default"), default=False)
    #: Whether the grant came through the token store of Zoho's SDK, which then may delete it.
    from_sdk = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    SECRETS: ClassVar = ("client_secret", "access_token", "refresh_token")
    HASHED: ClassVar = ("access_token", "refresh_token")

    class Meta:
        default_permissions = ()  # ``Connection`` has them.
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "user_id", "client_id"],
                name="zoho_crm_one_token_per_user_and_client",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_label} ({self.client_id[:12]}…)"

    @property
    def user_label(self) -> str:
        """The e-mail address of its user, or Zoho's id of a user without one."""
        return self.user_email or self.user_id


class SdkToken(GrantModel):
    """
    A token as Zoho's Python SDK knows it: its id there, and the name that the program gave it.

    Its grant is that of ``token``. While Zoho has not said whose grant it is, ``token`` is null and
    the grant is kept, and refreshed, here; the worker does not use it.
    """

    token = models.ForeignKey(
        Token, models.CASCADE, null=True, related_name="sdk_tokens", verbose_name=_("token")
    )
    user_name = models.TextField(_("user name"), blank=True)
    user_name_hash = models.CharField(max_length=64, blank=True, editable=False, db_index=True)
    redirect_url = models.TextField(_("redirect URL"), blank=True)
    api_domain = models.TextField(_("API domain"), blank=True)
    client_id = models.TextField(_("client id"), blank=True)
    grant_token_cipher = models.TextField(blank=True, editable=False)
    grant_token_hash = models.CharField(max_length=64, blank=True, editable=False, db_index=True)
    #: When Zoho was asked last whose grant it is, and why it did not say, as a code and its values.
    asked_at = models.DateTimeField(null=True, editable=False)
    problem = models.CharField(_("problem"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    SECRETS: ClassVar = ("client_secret", "access_token", "refresh_token", "grant_token")
    HASHED: ClassVar = ("access_token", "refresh_token", "grant_token")

    class Meta:
        verbose_name = _("token of Zoho's SDK")
        verbose_name_plural = _("tokens of Zoho's SDK")

    def __str__(self) -> str:
        return f"#{self.pk}"


class SdkFailure(PrimaryModel):
    """A grant that Zoho's SDK could not store, of which it says nothing but in its log."""

    #: SHA-256 of the name of its user, else of its token.
    key = models.CharField(max_length=64, unique=True)
    user_name = models.TextField(blank=True)
    #: Why, as the code of the error.
    problem = models.CharField(max_length=100)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("error of Zoho's SDK")
        verbose_name_plural = _("errors of Zoho's SDK")

    def __str__(self) -> str:
        return f"{self.user_name or f'#{self.pk}'} ({self.problem})"


class EnteredClient(EncryptedModel):
    """
    A client that a person enters while connecting, until the connection is made.

    Only in the session in which it was entered can it be used.
    """

    SECRETS = ("client_secret",)

    session_hash = models.CharField(max_length=64)
    # Once the user is deleted, nobody can use it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    client_id = models.CharField(max_length=100)
    client_secret_cipher = models.TextField(blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = _("entered client")
        verbose_name_plural = _("entered clients")

    def __str__(self) -> str:
        return self.client_id


class AuthorizationRequest(PrimaryModel):
    """A request for consent that a browser took to Zoho; for one use within ten minutes."""

    state_hash = models.CharField(max_length=64, unique=True)
    session_hash = models.CharField(max_length=64)
    # Once the user is deleted, nobody can use it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    data_center = models.CharField(max_length=10)
    environment = models.CharField(max_length=10)
    redirect_uri = models.CharField(max_length=500)
    name = models.CharField(max_length=100, blank=True)
    #: The client that asks; null for that of the settings.
    client = models.ForeignKey(EnteredClient, models.SET_NULL, null=True, related_name="+")
    #: The connection to be connected again; null for a new one.
    connection = models.ForeignKey(Connection, models.CASCADE, null=True, related_name="+")
    verifier_cipher = models.TextField(blank=True)
    next_path = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("authorization request")
        verbose_name_plural = _("authorization requests")

    def __str__(self) -> str:
        return f"{self.data_center} {self.environment} #{self.pk}"


class ConnectionEvent(PrimaryModel):
    """An event of a connection: connected, token refreshed, consent withdrawn, and so on."""

    class Kind(models.TextChoices):
        CONNECTED = "connected", _("connected")
        RECONNECTED = "reconnected", _("connected again")
        REFRESHED = "refreshed", _("access token renewed")
        THROTTLED = "throttled", _("Zoho gives no new access token now")
        LOST = "lost", _("consent withdrawn")
        USER_LOST = "user_lost", _("consent of another user withdrawn")
        DEFAULT_USER = "default_user", _("another user made the default")
        TESTED = "tested", _("tested")
        BACKED_OFF = "backed_off", _("waiting")
        DISCONNECTED = "disconnected", _("disconnected")
        USER_DISCONNECTED = "user_disconnected", _("one user disconnected")
        FORGOTTEN = "forgotten", _("deleted here, not revoked at Zoho")
        EXPORTED = "exported", _("tokens written to a file")

    connection = models.ForeignKey(
        Connection, models.PROTECT, related_name="events", verbose_name=_("connection")
    )
    at = models.DateTimeField(_("at"), auto_now_add=True)
    kind = models.CharField(_("what"), max_length=20, choices=Kind)
    by = user_reference(_("by"))
    details = models.JSONField(_("details"), default=dict, blank=True)
    #: When the signal was sent to the host project, for the kinds that have one.
    announced_at = models.DateTimeField(null=True, editable=False)
    #: Until when a process that is sending the signal has the row to itself; null if none is.
    signal_lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        default_permissions = ()  # ``Connection`` has them.
        verbose_name = _("connection event")
        verbose_name_plural = _("connection events")
        indexes: ClassVar = [
            models.Index(fields=["kind", "announced_at"], name="zoho_crm_events_to_announce")
        ]

    def __str__(self) -> str:
        return f"{self.connection}: {self.get_kind_display()} #{self.pk}"
