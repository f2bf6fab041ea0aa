"""
Which rows of a set an action can be done to, and why not to the others.

For each action there is a sequence of obstacles. The first one that fits a row is the reason why
the row is left out; a row that none fits can be acted on. For one row, ````states`` has the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Value, When

from zoho_crm.matching import CONVERTIBLE, Action
from zoho_crm.models import Connection, LeadConversion, MassConversion, OutboxRecord, Token
from zoho_crm.services import lifecycle
from zoho_crm.services.plans import actions_for
from zoho_crm.services.run_results import TO_RETRY
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.types import CountedText, ValueObject, ngettext_lazy

Stage = MassConversion.Stage
Status = LeadConversion.Status


class Obstacle(ValueObject):
    """Why an action cannot be done to some rows, with the sentence for a number of them."""

    code: str
    #: A condition; one with a query is a function, since a query needs the models of all apps.
    rows: Q | Callable[[], Q]
    text: CountedText

    @property
    def condition(self) -> Q:
        """The condition on the rows."""
        return self.rows() if callable(self.rows) else self.rows

    def describe(self, count: int) -> str:
        """Return the sentence for so many rows."""
        return self.text % {"count": count}


Obstacles: TypeAlias = Sequence[Obstacle]


def not_permitted(rows: Q) -> Obstacle:
    """Return the obstacle for rows of connections for which the user lacks the permission."""
    text = ngettext_lazy(
        "%(count)s is of a connection for which you lack the permission.",
        "%(count)s are of connections for which you lack the permission.",
        "count",
    )
    return Obstacle(code="not_permitted", rows=rows, text=text)


def without_obstacles(rows: QuerySet[Any], obstacles: Obstacles) -> QuerySet[Any]:
    """Return the rows that an action can be done to."""
    return rows.annotate(obstacle=_first(obstacles)).filter(obstacle="") if obstacles else rows


def count_by_obstacle(
    rows: QuerySet[Any], obstacles: Obstacles
) -> tuple[int, list[tuple[Obstacle, int]]]:
    """
    Return how many rows an action can be done to, and how many each obstacle leaves out.

    One query; obstacles that leave nothing out are not named.
    """
    groups = rows.order_by().annotate(obstacle=_first(obstacles)).values_list("obstacle")
    counts: dict[str, int] = dict(groups.annotate(Count("pk", distinct=True)))
    left_out = [(each, counts[each.code]) for each in obstacles if each.code in counts]
    return counts.get("", 0), left_out


def _first(obstacles: Obstacles) -> Case:
    """Return an expression for the code of the first obstacle of a row; empty if it has none."""
    whens = (When(each.condition, then=Value(each.code)) for each in obstacles)
    return Case(*whens, default=Value(""), output_field=CharField())


# Lead conversions

_CONVERTED = Obstacle(
    code="converted",
    rows=Q(status=Status.CONVERTED),
    text=ngettext_lazy(
        "%(count)s lead is converted already.", "%(count)s leads are converted already.", "count"
    ),
)
_IN_RUN = Obstacle(
    code="in_run",
    rows=Q(mass_conversion__stage__in=MassConversion.OPEN_STAGES),
    text=ngettext_lazy(
        "%(count)s lead is in a run that has not ended: decide it there, or cancel that first.",
        "%(count)s leads are in runs that have not ended: decide them there, or cancel those "
        "first.",
        "count",
    ),
)
_ON_ITS_WAY = Obstacle(
    code="on_its_way",
    rows=Q(status__in=[Status.READY, Status.RUNNING, Status.SCHEDULED, Status.UNKNOWN]),
    text=ngettext_lazy(
        "%(count)s lead is being converted, or checked after that.",
        "%(count)s leads are being converted, or checked after that.",
        "count",
    ),
)
_WAITS_FOR_PREVIEW = Obstacle(
    code="waits_for_preview",
    rows=Q(status=Status.NEW),
    text=ngettext_lazy(
        "%(count)s lead waits to be read from Zoho already.",
        "%(count)s leads wait to be read from Zoho already.",
        "count",
    ),
)
_NEEDS_PERSON = Obstacle(
    code="needs_person",
    rows=Q(status=Status.NEEDS_REVIEW),
    text=ngettext_lazy(
        "%(count)s lead needs a person: open it here, and look at it in Zoho.",
        "%(count)s leads need a person: open each here, and look at it in Zoho.",
        "count",
    ),
)

#: For a new preview of leads.
PREVIEW_OBSTACLES = (_CONVERTED, _IN_RUN, _ON_ITS_WAY, _WAITS_FOR_PREVIEW, _NEEDS_PERSON)
#: For taking leads into a new run.
RUN_OBSTACLES = (
    _CONVERTED,
    _IN_RUN,
    _NEEDS_PERSON,
    Obstacle(code=_ON_ITS_WAY.code, rows=~Q(status__in=lifecycle.MOVABLE), text=_ON_ITS_WAY.text),
)


def decision_obstacles(action: str, *, takes_left_out: bool, revision: int) -> Obstacles:
    """
    Return the obstacles for a decision about many leads of a run under review.

    :param action: ``attach``, ``create`` or ``skip``
    :param takes_left_out: whether leads that are left out are taken in again
    :param revision: of the run when these leads were chosen; what is decided since then stays so
    """
    fitting = [verdict for verdict in CONVERTIBLE if action in actions_for(verdict)]
    leaves_out = action == Action.SKIP
    return (
        Obstacle(code="decided", rows=Q(run_revision__gt=revision), text=_DECIDED_MEANWHILE_TEXT),
        _NOT_CONVERTIBLE,
        *([] if takes_left_out and not leaves_out else [_LEFT_OUT_OF_RUN]),
        *([] if leaves_out else [_UNREAD]),
        Obstacle(code="not_clear", rows=~Q(verdict__in=fitting), text=_NOT_CLEAR_TEXT),
    )


def look_again_obstacles(*, takes_left_out: bool) -> Obstacles:
    """
    Return the obstacles for reading leads of a run under review from Zoho again.

    :param takes_left_out: whether leads that are left out are taken in again
    """
    return (
        _CONVERTED,
        _ON_ITS_WAY,
        _WAITS_FOR_PREVIEW,
        _MAY_HAVE_BEEN_SENT,
        *([] if takes_left_out else [_LEFT_OUT_OF_RUN]),
    )


_DECIDED_MEANWHILE_TEXT = ngettext_lazy(
    "%(count)s lead was decided since then, by you or somebody else, and stays so.",
    "%(count)s leads were decided since then, by you or somebody else, and stay so.",
    "count",
)
_MAY_HAVE_BEEN_SENT = Obstacle(
    code=_NEEDS_PERSON.code,
    rows=_NEEDS_PERSON.condition & (Q(in_doubt=True) | Q(attempts__gt=0)),
    text=_NEEDS_PERSON.text,
)
_NOT_CONVERTIBLE = Obstacle(
    code="not_convertible",
    rows=~Q(status__in=[Status.PREVIEWED, Status.SKIPPED]) | ~Q(verdict__in=CONVERTIBLE),
    text=ngettext_lazy(
        "%(count)s lead cannot be converted now.",
        "%(count)s leads cannot be converted now.",
        "count",
    ),
)
_UNREAD = Obstacle(
    code="unread",
    rows=lifecycle.TO_BE_READ_AGAIN,
    text=ngettext_lazy(
        "%(count)s lead has to be read from Zoho first: “Look again” does it.",
        "%(count)s leads have to be read from Zoho first: “Look again” does it.",
        "count",
    ),
)
_LEFT_OUT_OF_RUN = Obstacle(
    code="left_out",
    rows=Q(status=Status.SKIPPED),
    text=ngettext_lazy(
        "%(count)s lead is left out, and stays so: tick it to take it in again.",
        "%(count)s leads are left out, and stay so: show those only to take them in again.",
        "count",
    ),
)
_NOT_CLEAR_TEXT = ngettext_lazy(
    "%(count)s lead has no single record to join; decide about it by itself.",
    "%(count)s leads have no single record to join; decide about each by itself.",
    "count",
)
#: For finding out whether leads were converted.
SETTLE_OBSTACLES = (
    Obstacle(
        code="being_sent",
        rows=Q(status=Status.RUNNING),
        text=ngettext_lazy(
            "%(count)s lead is being sent at this moment.",
            "%(count)s leads are being sent at this moment.",
            "count",
        ),
    ),
    Obstacle(
        code="known",
        rows=~Q(status__in=IN_DOUBT),
        text=ngettext_lazy(
            "%(count)s lead needs no check: it is known what became of it.",
            "%(count)s leads need no check: it is known what became of them.",
            "count",
        ),
    ),
)
_IN_REVIEW = Q(mass_conversion__stage=Stage.REVIEW)


def skip_obstacles(
    *, single_in: Collection[int] | None, in_runs_of: Collection[int] | None
) -> Obstacles:
    """
    Return the obstacles for leaving leads out; connections are primary keys, ``None`` is all.

    :param single_in: connections in which the user may decide about leads that no run decides about
    :param in_runs_of: connections in which the user may decide about leads of runs under review
    """
    obstacles = [
        _CONVERTED,
        Obstacle(
            code="not_undecided",
            rows=~Q(status__in=[Status.PREVIEWED, Status.READY]),
            text=ngettext_lazy(
                "%(count)s lead is not waiting to be decided or sent.",
                "%(count)s leads are not waiting to be decided or sent.",
                "count",
            ),
        ),
    ]
    if in_runs_of is not None:
        text = ngettext_lazy(
            "%(count)s lead is in a run, whose leads you may not decide.",
            "%(count)s leads are in runs, whose leads you may not decide.",
            "count",
        )
        obstacles.append(
            Obstacle(code="of_run", rows=_IN_REVIEW & ~Q(connection__in=in_runs_of), text=text)
        )
    if single_in is not None:
        text = ngettext_lazy(
            "%(count)s lead is in no run under review, and only such leads may you decide.",
            "%(count)s leads are in no run under review, and only such leads may you decide.",
            "count",
        )
        outside = (Q(mass_conversion=None) | ~_IN_REVIEW) & ~Q(connection__in=single_in)
        obstacles.append(Obstacle(code="of_no_run", rows=outside, text=text))
    return obstacles


# Runs

_ENDED = Obstacle(
    code="ended",
    rows=Q(stage__in=[Stage.FINISHED, Stage.CANCELLED]),
    text=ngettext_lazy("%(count)s run has ended.", "%(count)s runs have ended.", "count"),
)

PAUSE_OBSTACLES = (
    _ENDED,
    Obstacle(
        code="paused",
        rows=~Q(paused_reason=""),
        text=ngettext_lazy(
            "%(count)s run is paused already.", "%(count)s runs are paused already.", "count"
        ),
    ),
    Obstacle(
        code="not_running",
        rows=~Q(stage__in=[Stage.PREVIEWING, Stage.CONVERTING]),
        text=ngettext_lazy(
            "%(count)s run is not running: it takes leads in, or waits for decisions.",
            "%(count)s runs are not running: they take leads in, or wait for decisions.",
            "count",
        ),
    ),
)
RESUME_OBSTACLES = (
    _ENDED,
    Obstacle(
        code="not_paused",
        rows=Q(paused_reason=""),
        text=ngettext_lazy(
            "%(count)s run is not paused.", "%(count)s runs are not paused.", "count"
        ),
    ),
)
CANCEL_OBSTACLES = (_ENDED,)


def _has_none_to_retry() -> Q:
    leads = LeadConversion.objects.filter(TO_RETRY, mass_conversion=OuterRef("pk"))
    return ~Q(Exists(leads.order_by()))


RETRY_OBSTACLES = (
    Obstacle(
        code="cancelled",
        rows=Q(stage=Stage.CANCELLED),
        text=ngettext_lazy(
            "%(count)s run was cancelled; its leads can be taken into another.",
            "%(count)s runs were cancelled; their leads can be taken into another.",
            "count",
        ),
    ),
    Obstacle(
        code="not_finished",
        rows=~Q(stage=Stage.FINISHED),
        text=ngettext_lazy(
            "%(count)s run has not finished.", "%(count)s runs have not finished.", "count"
        ),
    ),
    Obstacle(
        code="nothing_to_retry",
        rows=_has_none_to_retry,
        text=ngettext_lazy(
            "%(count)s run has no refused or undecided lead.",
            "%(count)s runs have no refused or undecided lead.",
            "count",
        ),
    ),
)


# Connections

_DISCONNECTED = Obstacle(
    code="disconnected",
    rows=Q(status=Connection.Status.DISABLED),
    text=ngettext_lazy(
        "%(count)s connection is disconnected.", "%(count)s connections are disconnected.", "count"
    ),
)

DISCONNECT_OBSTACLES = (_DISCONNECTED,)
RENEW_OBSTACLES = (
    _DISCONNECTED,
    Obstacle(
        code="lost",
        rows=~Q(status=Connection.Status.ACTIVE),
        text=ngettext_lazy(
            "%(count)s connection has to be connected again first.",
            "%(count)s connections have to be connected again first.",
            "count",
        ),
    ),
)
DEFAULT_OBSTACLES = (
    Obstacle(
        code="default",
        rows=Q(is_default=True),
        text=ngettext_lazy(
            "%(count)s connection is the default already.",
            "%(count)s connections are the default already.",
            "count",
        ),
    ),
)


# Tokens

DEFAULT_TOKEN_OBSTACLES = (
    Obstacle(
        code="default",
        rows=Q(is_default=True),
        text=ngettext_lazy(
            "%(count)s user is the default already.",
            "%(count)s users are the default already.",
            "count",
        ),
    ),
    Obstacle(
        code="lost",
        rows=~Q(status=Token.Status.ACTIVE),
        text=ngettext_lazy(
            "The consent of %(count)s user has ended: connect again as this user.",
            "The consents of %(count)s users have ended: connect again as these users.",
            "count",
        ),
    ),
)
DISCONNECT_TOKEN_OBSTACLES = (
    Obstacle(
        code="disconnected",
        rows=Q(refresh_token_cipher=""),
        text=ngettext_lazy(
            "%(count)s user is disconnected already.",
            "%(count)s users are disconnected already.",
            "count",
        ),
    ),
)


# Outgoing records

_Outbox = OutboxRecord.Status
_SENT = Obstacle(
    code="sent",
    rows=Q(status=_Outbox.SENT),
    text=ngettext_lazy(
        "%(count)s record is at Zoho already.", "%(count)s records are at Zoho already.", "count"
    ),
)
_LEFT_OUT = Obstacle(
    code="left_out",
    rows=Q(status=_Outbox.SKIPPED),
    text=ngettext_lazy(
        "%(count)s record was left out: let it be pushed again.",
        "%(count)s records were left out: let them be pushed again.",
        "count",
    ),
)
_BEING_SENT = Obstacle(
    code="being_sent",
    rows=Q(status__in=[_Outbox.RUNNING, _Outbox.UNKNOWN]),
    text=ngettext_lazy(
        "%(count)s record is being sent, or checked after that.",
        "%(count)s records are being sent, or checked after that.",
        "count",
    ),
)

#: For sending outgoing records again.
SEND_AGAIN_OBSTACLES = (
    _SENT,
    _LEFT_OUT,
    _BEING_SENT,
    Obstacle(
        code="pending",
        rows=Q(status=_Outbox.PENDING),
        text=ngettext_lazy(
            "%(count)s record is sent by itself.",
            "%(count)s records are sent by themselves.",
            "count",
        ),
    ),
    Obstacle(
        code="in_doubt",
        rows=Q(in_doubt=True),
        text=ngettext_lazy(
            "%(count)s record may be at Zoho already: open it here, and look for it there.",
            "%(count)s records may be at Zoho already: open each here, and look for it there.",
            "count",
        ),
    ),
)
#: For leaving outgoing records out.
LEAVE_OUT_OBSTACLES = (_SENT, _LEFT_OUT, _BEING_SENT)
