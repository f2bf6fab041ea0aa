from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class TestProjectConfig(AppConfig):
    name = "testproject"

    def ready(self) -> None:
        import_module("testproject.receivers")
