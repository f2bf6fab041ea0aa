"""Django's history of a record, in the language of whoever reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest, HttpResponse
from django.utils import translation

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: How a message begins that Django made of changed fields; Django translates it itself.
DJANGOS_OWN = "["


class HistoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no class to subscript at run time
    """A model admin that keeps its history in English, and translates it when it is shown."""

    def log_change(self, request: HttpRequest, obj: Any, message: StrPromise | Any) -> LogEntry:
        """
        Log what was done to a record.

        :param message: a lazy sentence without values, or the list that Django makes
        """
        with translation.override(None):
            kept = message if isinstance(message, list) else str(message)
            return super().log_change(request, obj, kept)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().history_view(request, object_id, extra_context)
        for entry in getattr(response, "context_data", {}).get("action_list", ()):
            message = entry.change_message
            if message and not message.startswith(DJANGOS_OWN):
                entry.change_message = translation.gettext(message)
        return response
