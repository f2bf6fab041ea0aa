"""Mass conversions: what is decided about a whole verdict, and the count that starts one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from zoho_crm.matching import CONVERTIBLE, Action
from zoho_crm.types import Verdict

#: Where it is clear what a lead would join.
CLEAR = frozenset({Verdict.ONE_MATCH, Verdict.ACCOUNT_ONLY})
WORDS = {
    Action.ATTACH: _("join what matches"),
    Action.CREATE: _("create everything anew"),
    Action.SKIP: _("leave out"),
}


class RevisionForm(forms.Form):
    """Which state of a mass conversion was on the screen when the button was pressed."""

    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class VerdictForm(RevisionForm):
    """What becomes of all the leads of one verdict."""

    verdict = forms.ChoiceField(
        choices=[(verdict, verdict) for verdict in sorted(CONVERTIBLE)], widget=forms.HiddenInput
    )
    action = forms.ChoiceField(
        label=_("Decision"), choices=[("", _("please choose")), *WORDS.items()]
    )

    @classmethod
    def about(cls, verdict: str, revision: int) -> VerdictForm:
        """Return the form for one verdict, with what can be said of it."""
        form = cls(
            initial={"verdict": verdict, "revision": revision}, auto_id=f"{verdict.lower()}_%s"
        )
        field = form.fields["action"]
        assert isinstance(field, forms.ChoiceField)
        offered = [a for a in WORDS if a != Action.ATTACH or verdict in CLEAR]
        field.choices = [("", _("please choose")), *((a, WORDS[a]) for a in offered)]
        return form


class StartForm(RevisionForm):
    """The count, typed in by the person who starts."""

    count = forms.IntegerField(
        label=_("How many leads will be converted?"),
        min_value=0,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text=_("Type in the number that stands above, without separators."),
    )

    def refuse(self, error: Exception) -> None:
        """Show what the service had against it at the count."""
        self.add_error("count", str(error))

    @classmethod
    def for_run(cls, revision: int, data: Any = None) -> StartForm:
        """Return the form for the state of a run that is shown."""
        return cls(data, initial={"revision": revision})
