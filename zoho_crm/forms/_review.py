"""The forms of the review of a run: which leads are shown, and what is done to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm.matching import Action
from zoho_crm.services.plans import actions_for
from zoho_crm.services.run_review import MAX_SEARCH_LENGTH, ReviewFilter
from zoho_crm.types import Verdict

DECISION_LABELS = {
    Action.ATTACH: gettext_lazy("join what matches"),
    Action.CREATE: gettext_lazy("create everything anew"),
    Action.SKIP: gettext_lazy("leave out"),
}
#: The action that decides nothing, but reads leads from Zoho again.
LOOK_AGAIN = "again"


class ReviewFilterForm(forms.Form):
    """Which leads of a run are shown, besides the verdict; never bound: odd values are ignored."""

    owner = forms.ChoiceField(label=gettext_lazy("Owner"))
    matched = forms.ChoiceField(label=gettext_lazy("Matched by"))
    decision = forms.ChoiceField(label=gettext_lazy("Decision"))
    q = forms.CharField(
        label=gettext_lazy("Name, company, e-mail or id"),
        max_length=MAX_SEARCH_LENGTH,
        widget=forms.TextInput(attrs={"type": "search", "spellcheck": "false"}),
    )

    @classmethod
    def for_filter(
        cls, chosen: ReviewFilter, **offered: Iterable[tuple[str, str]]
    ) -> ReviewFilterForm:
        """Return the form with what is chosen, and with the choices of each field."""
        form = cls(initial=chosen.values(), use_required_attribute=False)
        for name, choices in offered.items():
            field = form.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", gettext_lazy("any")), *choices]
        return form


class DecisionForm(forms.Form):
    """What is done to the ticked leads of a run, or to all that match the filter."""

    #: Value of ``scope``: not the ticked leads, but all that match.
    MATCHING = "matching"

    action = forms.ChoiceField(
        label=gettext_lazy("New decision"),
        required=False,
        choices=[("", gettext_lazy("please choose")), *DECISION_LABELS.items()],
    )
    scope = forms.ChoiceField(
        label=gettext_lazy("For"),
        required=False,
        choices=[("", gettext_lazy("the ticked ones")), (MATCHING, gettext_lazy("all that match"))],
    )
    #: Sent by the button that does not decide.
    again = forms.CharField(required=False)

    def clean(self) -> dict[str, Any]:
        """Set the action, which is ``LOOK_AGAIN`` by its own button."""
        given = super().clean() or {}
        if given.get("again"):
            return {**given, "action": LOOK_AGAIN}
        if not given.get("action"):
            raise ValidationError(_("Please choose a decision."), code="no_action")
        return given

    @classmethod
    def for_leads(cls, count: int, verdict: str) -> DecisionForm:
        """Return an unbound form for so many leads that match, all of a verdict if one is given."""
        form, text = (
            cls(),
            ngettext("the %(count)s that matches", "all %(count)s that match", count),
        )
        action, scope = form.fields["action"], form.fields["scope"]
        assert isinstance(action, forms.ChoiceField)
        assert isinstance(scope, forms.ChoiceField)
        actions = actions_for(Verdict(verdict)) if verdict else tuple(DECISION_LABELS)
        offered = ((action, DECISION_LABELS[action]) for action in actions)
        action.choices = [("", gettext_lazy("please choose")), *offered]
        scope.choices = [("", _("the ticked ones")), (cls.MATCHING, text % {"count": count})]
        return form
