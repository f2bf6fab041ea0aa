"""The pages that decide all leads of a verdict, and that start a mass conversion."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib import messages
from django.db.models import Count, Model, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy

from zoho_crm import tasks
from zoho_crm.admin import _run_statistics
from zoho_crm.admin._base import CustomPagesAdmin, has_any_permission, signed_in_user
from zoho_crm.admin._policies import describe_policy
from zoho_crm.admin._run_states import available_actions, describe_run
from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.forms import StartForm, VerdictForm
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import mass_convert

Status = LeadConversion.Status
NEW_CONTACT, NEW_ACCOUNT = Q(plan__contact_id=""), Q(plan__account_id="")
NOT_FOLLOWING = Q(follows=None)
#: Conditions on the rows that a start sends, each with its sentence for a number of rows.
START_FACTS = {
    "contact": (
        NOT_FOLLOWING & ~NEW_CONTACT,
        ngettext_lazy(
            "%(count)s joins an existing contact.", "%(count)s join existing contacts.", "count"
        ),
    ),
    "account": (
        NOT_FOLLOWING & NEW_CONTACT & ~NEW_ACCOUNT,
        ngettext_lazy(
            "%(count)s becomes a new contact in an existing account.",
            "%(count)s become new contacts in existing accounts.",
            "count",
        ),
    ),
    "new": (
        NOT_FOLLOWING & NEW_CONTACT & NEW_ACCOUNT,
        ngettext_lazy(
            "%(count)s becomes a new contact, and a new account if it has a company.",
            "%(count)s become new contacts, and new accounts if they have a company.",
            "count",
        ),
    ),
    "follows": (
        ~NOT_FOLLOWING,
        ngettext_lazy(
            "%(count)s joins what another lead of this run becomes.",
            "%(count)s join what other leads of this run become.",
            "count",
        ),
    ),
    "deal": (
        ~Q(plan__deal=None),
        ngettext_lazy("%(count)s gets a deal.", "%(count)s get a deal each.", "count"),
    ),
    "owner": (
        ~Q(plan__owner_id=""),
        ngettext_lazy(
            "%(count)s is given to another owner.", "%(count)s are given to another owner.", "count"
        ),
    ),
    "notified": (
        Q(plan__notify_lead_owner=True) | Q(plan__notify_new_owner=True),
        ngettext_lazy(
            "Of %(count)s Zoho tells the owner.", "Of %(count)s Zoho tells the owners.", "count"
        ),
    ),
}


class RunDecisionPages(CustomPagesAdmin):
    """The decision page and the start page of a mass conversion."""

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the decisions by verdict; on POST decide all leads of one verdict."""
        run = get_run_or_404(pk)
        if request.method == "POST":
            return self._decide(request, run)
        counts = mass_convert.counts(run)
        in_review = run.stage == MassConversion.Stage.REVIEW
        return self.render_page(
            request,
            "decide.html",
            page_name=_("Decide"),
            title=_("Decide: %s") % run,
            original=run,
            run=run,
            state=describe_run(run, counts),
            verdicts=[
                (verdict, _verdict_form(run, verdict))
                for verdict in _run_statistics.decision_counts(run)
            ],
            in_review=in_review,
            **available_actions(run, counts),
        )

    def _decide(self, request: HttpRequest, run: MassConversion) -> HttpResponse:
        form = VerdictForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Please choose a decision."))
            return redirect(self.page_url("decide", run.pk))
        try:
            if form.cleaned_data["revision"] != run.revision:
                raise StaleDecisionError
            decided = mass_convert.decide(
                run_id=run.pk,
                verdict=form.cleaned_data["verdict"],
                action=form.cleaned_data["action"],
                by=signed_in_user(request),
            )
        except RequestRefusedError as error:
            messages.warning(request, str(error))
        else:
            self._report_decided(request, run, decided)
        return redirect(self.page_url("decide", run.pk))

    def _report_decided(self, request: HttpRequest, run: MassConversion, count: int) -> None:
        text = ngettext(
            "%(count)s lead is decided; nothing is sent yet.",
            "%(count)s leads are decided; nothing is sent yet.",
            count,
        )
        self.log_change(request, run, text % {"count": count})
        tasks.wake(run.connection_id)
        messages.success(request, text % {"count": count})

    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what a start does; on POST start, if the number of leads is typed in correctly."""
        run = get_run_or_404(pk)
        form = StartForm.for_run(run.revision, request.POST or None)
        if form.is_valid():
            return self._start(request, run, form)
        return self._show_start_page(request, run, form)

    def _show_start_page(
        self, request: HttpRequest, run: MassConversion, form: StartForm
    ) -> HttpResponse:
        counts = mass_convert.counts(run)
        in_review = run.stage == MassConversion.Stage.REVIEW
        return self.render_page(
            request,
            "start.html",
            page_name=_("Start"),
            title=_("Start: %s") % run,
            original=run,
            run=run,
            state=describe_run(run, counts),
            form=form,
            count=counts["decided"],
            can_be_started=in_review and run.due_at is None and counts["decided"] > 0,
            sentences=describe_start(run) if in_review else [],
            policy=describe_policy(run.rules),
            **_run_statistics.estimate_context(run),
            **available_actions(run, counts),
        )

    def _start(self, request: HttpRequest, run: MassConversion, form: StartForm) -> HttpResponse:
        try:
            mass_convert.start(run_id=run.pk, by=signed_in_user(request), **form.cleaned_data)
        except PlanError as error:
            form.add_service_error(error)
            return self._show_start_page(request, run, form)
        except StaleDecisionError as error:
            messages.warning(request, str(error))
            return redirect(self.page_url("start", run.pk))
        text = ngettext(
            "Started: %(count)s lead is being converted.",
            "Started: %(count)s leads are being converted.",
            form.cleaned_data["count"],
        )
        self.log_change(request, run, text % form.cleaned_data)
        tasks.wake(run.connection_id)
        messages.success(request, text % form.cleaned_data)
        return redirect(self.record_url(request, run))

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if not self.has_view_permission(request, row) and has_any_permission(
            request, "prepare_massconversion"
        ):
            return self.page_url("decide", row.pk)
        return super().record_url(request, row)


def get_run_or_404(pk: int) -> MassConversion:
    """Return a run with its connection and the connection's work state, or raise ``Http404``."""
    return get_object_or_404(MassConversion.objects.select_related("connection__work"), pk=pk)


def _verdict_form(run: MassConversion, verdict: _run_statistics.VerdictCount) -> VerdictForm | None:
    is_open = run.stage == MassConversion.Stage.REVIEW and verdict.can_be_decided
    if not is_open or not verdict.affected:
        return None
    return VerdictForm.for_verdict(verdict.verdict, run.revision)


def describe_start(run: MassConversion) -> list[str]:
    """Return what a start would do, as sentences with the number of leads; one query."""
    sent = LeadConversion.objects.filter(
        mass_conversion=run, status=Status.PREVIEWED, plan__isnull=False
    )
    found: Mapping[str, int] = sent.aggregate(
        **{name: Count("pk", filter=condition) for name, (condition, _texts) in START_FACTS.items()}
    )
    sentences = [
        texts % {"count": found[n]} for n, (_condition, texts) in START_FACTS.items() if found[n]
    ]
    return sentences if found["notified"] else [*sentences, _("Nobody is notified by Zoho.")]
