"""
Measure the pages of the admin on a site with many leads: queries, size and time of each.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/admin.py [--conversions 100000] [--run 10000] [--only REGEX]

Every address of the admin that shows a page of the app is opened, with each filter, search, order
and the last page of each list, and the pages of the actions for all rows of a list. Each is opened
on a site with few rows and on one with many, and has to need as many queries on both.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import environment
from admin_rows import Site, add_rows, connected_site
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.db import connection as database
from django.http import HttpRequest, QueryDict
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from recording_simulator import remote_simulator

#: Limits: bytes of a page, seconds of a list and of the overview (of CPU, as other programs use the
#: machine), fields of what confirms a run.
MAX_BYTES = 300_000
MAX_SECONDS = 0.5
MAX_FIELDS = 19
CONFIRMATIONS = re.compile(r"action: |mass conversion: (start|cancel)")
#: Times that a page is opened; the fastest counts.
REPEATS = 3
#: Seconds from which ``--slow`` prints a query with its plan.
SLOW_SECONDS = 0.05
LEADS_AT_ZOHO = 200
#: Filters of the review of a run, and a page in the middle.
REVIEW_FILTERS = [
    {"verdict": "ONE_MATCH", "decision": "create"},
    {"owner": str(7 * 10**18 + 7)},
    {"matched": "Email"},
    {"q": "Lovelace 7"},
    {"sample": "7"},
    {"p": "50"},
]
#: What the small site has.
FEW = {"conversions": 800, "in_run": 100}


@dataclass(frozen=True, kw_only=True)
class Page:
    """An address; of a group, such as a list with its filters, the slowest is shown."""

    group: str
    url: str
    variant: str = ""
    #: What is posted to the address first, which leads to the page.
    posted: dict[str, str] | None = None
    #: Whether it has to be there in half a second.
    is_list: bool = False

    @property
    def name(self) -> str:
        return f"{self.group} {self.variant}".strip()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a page costs; ``fields`` are those that its largest form posts."""

    page: Page
    queries: int
    size: int
    fields: int
    seconds: float
    #: Seconds of CPU, with those of the server's process for this connection.
    cpu: float


class Stopwatch:
    """Measures the time of a block, and its CPU time, which does not depend on other programs."""

    seconds = cpu = 0.0

    def __enter__(self) -> Stopwatch:
        self.cpu, self.seconds = -cpu_seconds(), -time.perf_counter()
        return self

    def __exit__(self, *_error: object) -> None:
        self.seconds += time.perf_counter()
        self.cpu += cpu_seconds()


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the PostgreSQL process that serves it."""
    spent = time.process_time()
    if database.vendor == "postgresql":
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--conversions", type=int, default=100_000)
    parser.add_argument("--run", type=int, default=10_000, help="leads of the run under review")
    parser.add_argument("--only", default="", help="a regular expression for the names of pages")
    parser.add_argument("--slow", action="store_true", help="print slow queries and their plans")
    given = parser.parse_args()
    with environment.new_database() as vendor, remote_simulator(LEADS_AT_ZOHO) as zoho:
        environment.point_to(zoho.origin)
        site = connected_site(zoho.grant_code)
        add_rows(site, **FEW)
        few = {each.page.name: each.queries for each in measure(site, given.only, repeats=0)}
        began = time.monotonic()
        add_rows(site, conversions=given.conversions, in_run=given.run)
        took = time.monotonic() - began
        print(f"{given.conversions} conversions on {vendor}, written in {took:.0f} s", flush=True)
        found = list(measure(site, given.only, repeats=REPEATS, explains=given.slow))
    return report(found, few)


# Which pages there are


def pages_of(site: Site) -> Iterator[Page]:
    """Yield the app's own page, and those of each model."""
    url = reverse("admin:app_list", args=["zoho_crm"])
    yield Page(group="overview", url=url, is_list=True)
    for model, pages in admin.site._registry.items():
        if model._meta.proxy:  # its list is read from Zoho
            yield Page(group=list_name(pages), url=url_of(pages, "changelist"))
        elif model._meta.app_label == "zoho_crm":
            yield from list_pages(site, pages)
            yield from other_pages(site, pages)
            yield from action_pages(pages)


def list_pages(site: Site, pages: Any) -> Iterator[Page]:
    """Yield a list as it is, its last page, and the list with each filter, order and search."""
    url, group = url_of(pages, "changelist"), list_name(pages)
    for query in ["", *list_queries(site, pages)]:
        yield Page(group=group, variant=query, url=f"{url}?{query}", is_list=True)


def list_queries(site: Site, pages: Any) -> list[str]:
    request: HttpRequest = RequestFactory().get("/")
    request.user = site.boss
    shown = pages.get_changelist_instance(request)
    queries = [{PAGE_VAR: shown.paginator.num_pages}]
    if pages.search_fields:
        texts = site.searches.get(pages.opts.model_name, ["bench"])
        queries += [{SEARCH_VAR: text} for text in texts]
    orders = [getattr(pages, str(name), None) for name in shown.list_display]
    for number, column in enumerate(orders):
        if column is None or getattr(column, "admin_order_field", None):
            queries += [{ORDER_VAR: number}, {ORDER_VAR: -number}]
    if pages.opts.model_name == "leadconversion" and site.run:
        queries += [{"run": site.run.pk, **more} for more in ({}, {"status__exact": "FAILED"})]
    found = [urlencode(query) for query in queries]
    choices = [choice for spec in shown.filter_specs for choice in spec.choices(shown)]
    found += [choice["query_string"].removeprefix("?") for choice in choices]
    return sorted({query for query in found if QueryDict(query)})


def other_pages(site: Site, pages: Any) -> Iterator[Page]:
    """Yield the pages without a record, of the newest one, of the large run, of each state."""
    record = site.run if pages.model is type(site.run) else pages.model.objects.latest("pk")
    records = {"": record}
    if pages.opts.model_name == "leadconversion":
        records = {f"{row.status} {row.verdict}": row for row in latest_by_state(pages.model)}
    names = [pattern.name for pattern in pages.get_urls() if pattern.name]
    for name in dict.fromkeys(names):
        page_name = name.removeprefix(f"zoho_crm_{pages.opts.model_name}_")
        if page_name == "changelist" or page_name.startswith("action_"):
            continue
        group = f"{pages.opts.verbose_name}: {page_name}"
        with_record = [(variant, (row.pk,)) for variant, row in records.items()]
        for variant, args in [("", ()), *with_record]:
            try:
                url = reverse(f"admin:{name}", args=args)
            except NoReverseMatch:
                continue
            yield Page(group=group, variant=variant, url=url)
            if page_name == "decide" and record is site.run:
                queries = (urlencode(query) for query in REVIEW_FILTERS)
                yield from (Page(group=group, variant=q, url=f"{url}?{q}") for q in queries)


def latest_by_state(model: Any) -> list[Any]:
    rows = model.objects.filter(pk__gt=model.objects.latest("pk").pk - 500).order_by("-pk")
    return list({(row.status, row.verdict): row for row in rows}.values())


def action_pages(pages: Any) -> Iterator[Page]:
    """Yield the pages of the actions of a list, for all of its rows."""
    for action in getattr(pages, "list_actions", ()):
        yield Page(
            group=f"action: {pages.opts.verbose_name_plural}",
            variant=action.name,
            url=url_of(pages, "changelist"),
            posted={"action": action.name, "index": "0", "scope": "matching"},
        )


def list_name(pages: Any) -> str:
    return f"list: {pages.opts.verbose_name_plural}"


def url_of(pages: Any, name: str) -> str:
    return reverse(f"admin:zoho_crm_{pages.opts.model_name}_{name}")


# What each costs


def measure(site: Site, only: str, *, repeats: int, explains: bool = False) -> Iterator[Figures]:
    """Open each page once for its queries, and ``repeats`` times for its time."""
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(site.boss)
    for page in pages_of(site):
        if re.search(only, page.name) and (found := figures(client, page, repeats, explains)):
            yield found


def figures(client: Client, page: Page, repeats: int, explains: bool) -> Figures | None:
    """Return what a page costs; ``None`` if the address has no page, but a file or a button."""
    url = page.url
    if page.posted:
        url = client.post(page.url, page.posted)["Location"]
    answer = client.get(url)  # the first one fills caches, as that of templates
    if answer.status_code != 200 or answer.streaming:
        return None
    with CaptureQueriesContext(database) as captured:
        client.get(url)
    queries = list(captured)  # the next request forgets them
    if explains:
        explain(page, queries)
    times = []
    for _number in range(repeats):
        with Stopwatch() as stopwatch:
            client.get(url)
        times.append(stopwatch)
    return Figures(
        page=page,
        queries=len(queries),
        size=len(answer.content),
        fields=most_fields(answer.content.decode()),
        seconds=min((each.seconds for each in times), default=0.0),
        cpu=min((each.cpu for each in times), default=0.0),
    )


def most_fields(html: str) -> int:
    """Return the number of fields of the form with the most of them, as a browser posts it."""
    forms = re.findall(r"<form\b[^>]*method=\"post\".*?</form>", html, flags=re.DOTALL)
    named = r"<(?:input|select|textarea)\b[^>]*\bname=\"([^\"]+)\""
    return max((len(set(re.findall(named, form))) for form in forms), default=0)


def explain(page: Page, queries: list[dict[str, str]]) -> None:
    """Print the slow queries of a page, and how the database carries them out."""
    for query in queries:
        if float(query["time"]) < SLOW_SECONDS:
            continue
        print(f"{page.name}: {query['time']} s\n  {query['sql']}")
        verb = "EXPLAIN QUERY PLAN" if database.vendor == "sqlite" else "EXPLAIN ANALYZE"
        with database.cursor() as cursor:
            cursor.execute(f"{verb} {query['sql']}".replace("%", "%%"), ())
            for row in cursor.fetchall():
                print(f"    {row[-1]}")


# Report


def report(found: list[Figures], few: dict[str, int]) -> int:
    """Print a line for each group of pages, and what is beyond the limits; return 1 if any is."""
    print("| page | variants | queries | KB | fields | s | s of CPU |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for group, of_group in groupby(found, key=lambda each: each.page.group):
        pages = list(of_group)
        slowest = max(pages, key=lambda each: each.cpu)
        queries = sorted({each.queries for each in pages})
        print(
            f"| {group} | {len(pages)} | {queries[0]} to {queries[-1]}"
            f" | {max(each.size for each in pages) / 1000:.0f}"
            f" | {max(each.fields for each in pages)}"
            f" | {max(each.seconds for each in pages):.2f}"
            f" | {slowest.cpu:.2f} {slowest.page.variant} |"
        )
    complaints = [text for each in found for text in beyond(each, few.get(each.page.name))]
    print(*complaints, sep="\n")
    return 1 if complaints else 0


def beyond(found: Figures, queries_of_few: int | None) -> Iterator[str]:
    """Yield which limits a page is beyond."""
    name = found.page.name
    if found.size > MAX_BYTES:
        yield f"{name}: {found.size} bytes"
    if found.page.is_list and found.cpu > MAX_SECONDS:
        yield f"{name}: {found.cpu:.2f} s of CPU, {found.seconds:.2f} s"
    if CONFIRMATIONS.match(name) and found.fields > MAX_FIELDS:
        yield f"{name}: a form with {found.fields} fields"
    if queries_of_few is not None and found.queries > queries_of_few:
        yield f"{name}: {found.queries} queries, {queries_of_few} with few rows"


if __name__ == "__main__":
    sys.exit(main())
