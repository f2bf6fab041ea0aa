"""The pages of the host: above all a contact form whose enquiries become leads at Zoho."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from testproject.models import Enquiry


class EnquiryForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Enquiry
        fields = ("name", "company", "email", "message")


def front_page(request: HttpRequest) -> HttpResponse:
    """Show the contact form, and keep what was entered together with what is to be sent to Zoho."""
    form = EnquiryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save().push()
        messages.success(request, "Thank you. We will be in touch.")
        return redirect("front-page")
    return render(request, "testproject/front_page.html", {"form": form})


def no_icon(request: HttpRequest) -> HttpResponse:
    """Answer that there is no icon: a browser asks for one on each of the admin's pages."""
    return HttpResponse(status=204)
