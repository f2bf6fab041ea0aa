"""Queries: no value changes what a query asks, and its rows come call by call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from zoho_crm.client import Api, TokenAuth, ZohoClient, open_session
from zoho_crm.client._coql import Parameter, parse_query
from zoho_crm.exceptions import RequestRefusedError, ServerError, TransientError
from zoho_crm.types import Record, Reference, Secret

QUERY = "select Last_Name from Leads where Email = :email"
LITERAL = re.compile(r"'(?:[^']|'')*'")


def question(canned: Canned) -> list[str]:
    """Return the queries that were sent."""
    return [json.loads(request.body or b"")["select_query"] for request in canned.requests]


class Paged(Canned):
    """Answers each query with the next of some answers."""

    def __init__(self, *bodies: bytes) -> None:
        super().__init__(200, b"")
        self._bodies = list(bodies)

    def send(self, *args: Any, **kwargs: Any) -> Any:
        self._answer = (200, self._bodies.pop(0), {})
        return super().send(*args, **kwargs)


def page(*ids: str, more: bool = False) -> bytes:
    data = [{"id": each, "Last_Name": each} for each in ids]
    return json.dumps({"data": data, "info": {"count": len(ids), "more_records": more}}).encode()


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("O'Neil", "'O''Neil'"),
        ("''", "''''''"),
        ("Bonn", "'Bonn'"),
        ("100%", "'100%'"),
        (True, "'true'"),
        (5, "5"),
        (Decimal("1000.50"), "1000.50"),
        (-1.5, "-1.5"),
        (date(2027, 1, 31), "'2027-01-31'"),
        (datetime(2027, 1, 31, 9, tzinfo=UTC), "'2027-01-31T09:00:00+00:00'"),
        (Reference(id="7"), "'7'"),
        (Record("8", {}), "'8'"),
        (["Bonn", "Köln"], "('Bonn', 'Köln')"),
        ((1, 2), "(1, 2)"),
    ],
    ids=repr,
)
def test_a_value_is_quoted_by_its_type(value: Parameter, literal: str) -> None:
    query = parse_query("select id from Leads where City = :value", {"value": value})

    assert str(query) == f"select id from Leads where City = {literal}"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a\\", "unusable_backslash"),
        ("\\'", "unusable_backslash"),
        ("a\nb", "unusable_control"),
        ("\x85", "unusable_control"),
        ("\ud800", "unusable_control"),
        ("", "unusable_empty"),
        (None, "unusable_type"),
        (datetime(2027, 1, 1), "unusable_zone"),
        (float("nan"), "unusable_number"),
        ([], "number_of_values"),
        (["x"] * 51, "number_of_values"),
        (["a", "b\\"], "unusable_backslash"),
    ],
    ids=repr,
)
def test_what_zoho_may_misread_is_refused_without_a_call(value: Any, code: str) -> None:
    canned = Canned(200, b"{}")

    with pytest.raises(RequestRefusedError) as caught:
        client_of(canned).coql(QUERY, email=value)

    assert caught.value.code == code
    assert caught.value.field == "email"
    assert canned.requests == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "select id from Leads",
        "from Leads select id where id is not null",
        "select id where id = 1 from Leads",
        "update Leads where id = 1",
        "select from Leads where id = 1",
        "select id from Leads where",
        "select id from Leads where (id = 1",
        "select id from Leads where id = 1)",
        "select id from Leads where id = 1) or (id = 2",
        "select id from Leads where id = 1; select id from Deals where id = 2",
        "select id from Leads where City = 'Bonn",
        'select id from Leads where City = "Bonn"',
        "select id from Leads where City = 'Bo\\nn'",
        "select id from Leads where City = 'Bo\nnn'",
        "select id from Leads where id = 1 -- and so on",
        "select id from Leads where id = 1 limit 5 order by id",
        "select Größe from Leads where id = 1",
    ],
)
def test_what_is_no_query_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="A query"):
        parse_query(query, {})


@pytest.mark.parametrize(("query", "values"), [(QUERY, {}), (QUERY, {"email": "a", "b": 1})])
def test_each_parameter_has_a_value(query: str, values: Mapping[str, Parameter]) -> None:
    with pytest.raises(TypeError, match="differ in: (email|b)"):
        parse_query(query, values)


def test_what_looks_like_a_parameter_inside_a_text_is_text() -> None:
    query = parse_query(
        "select id from Leads where City = ':email' and Email = :email", {"email": "a"}
    )

    assert query.where == "City = ':email' and Email = 'a'"


PIECES = st.sampled_from([*"'\\%();:,\" ", "''", " or ", "--", "limit 1", ":email", "Ö", "🏛", "\n"])
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join)


@pytest.mark.slow
@pytest.mark.parametrize("examples", [300, pytest.param(2_500, marks=pytest.mark.long)])
def test_values_are_literals_whatever_they_contain(examples: int) -> None:
    @settings(max_examples=examples)
    @given(texts=st.lists(TEXTS, min_size=3, max_size=3))
    def check(texts: list[str]) -> None:
        first, second, third = texts
        values = {"a": first, "b": [second, third]}
        try:
            query = str(parse_query("select id from Leads where A = :a and B in :b", values))
        except RequestRefusedError:
            return  # the client sends no value that might be misread

        found = [literal[1:-1].replace("''", "'") for literal in LITERAL.findall(query)]
        assert found == texts
        assert LITERAL.sub("?", query) == "select id from Leads where A = ? and B in (?, ?)"
        assert str(parse_query(query, {})) == query

    check()


def test_records_are_read_by_growing_id() -> None:
    canned = Paged(page("1", "2", more=True), page("5", more=True), page("7"))

    rows = list(client_of(canned).coql(QUERY, email="o'neil@engine.example"))

    assert [row["id"] for row in rows] == ["1", "2", "5", "7"]
    head = "select Last_Name from Leads where"
    where = "Email = 'o''neil@engine.example'"
    tail = "order by id asc limit 200"
    assert question(canned) == [
        f"{head} {where} {tail}",
        f"{head} (({where}) and id > '2') {tail}",
        f"{head} (({where}) and id > '5') {tail}",
    ]


def test_rows_are_read_as_they_are_needed() -> None:
    canned = Paged(page("1", "2", more=True))

    rows = client_of(canned).coql(QUERY, email="a@b.example")

    assert canned.requests == []
    assert [next(rows)["id"], next(rows)["id"]] == ["1", "2"]
    assert len(canned.requests) == 1


@pytest.mark.parametrize(
    "query",
    [
        "select City from Leads where id is not null order by City desc",
        "select COUNT(id) from Leads where id is not null group by City",
        "select SUM(Amount) from Deals where id is not null",
    ],
)
def test_sorted_and_grouped_rows_are_read_by_number(query: str) -> None:
    more = b'{"data": [{"City": "Bonn"}], "info": {"more_records": true}}'
    canned = Paged(more, b'{"data": [{"City": "Ulm"}], "info": {"more_records": false}}')

    rows = list(client_of(canned).coql(query))

    assert rows == [{"City": "Bonn"}, {"City": "Ulm"}]
    assert question(canned) == [f"{query} limit 200 offset {offset}" for offset in (0, 200)]


def test_beyond_10000_sorted_rows_the_iterator_says_so() -> None:
    canned = Canned(200, b'{"data": [{"City": "Bonn"}], "info": {"more_records": true}}')
    rows = client_of(canned).coql("select City from Leads where id is not null order by City")

    with pytest.raises(RequestRefusedError) as caught:
        list(rows)

    assert caught.value.code == "query_limit"
    assert len(canned.requests) == 50


def test_a_query_with_a_limit_of_its_own_is_one_call() -> None:
    canned = Paged(page("9", "8", more=True))
    query = "select id from Leads where id is not null order by id desc limit 2"

    assert [row["id"] for row in client_of(canned).coql(query)] == ["9", "8"]
    assert question(canned) == [query]


def test_rows_that_repeat_end_with_an_error() -> None:
    crm = client_of(Canned(200, page("1", "2", more=True)))

    with pytest.raises(ServerError) as caught:
        list(crm.coql(QUERY, email="a@b.example"))

    assert caught.value.code == "endless_list"


def test_a_query_that_finds_nothing_has_no_rows() -> None:
    assert list(client_of(Canned(204, b"")).coql(QUERY, email="a@b.example")) == []


def test_a_query_is_a_read_and_is_allowed_where_changes_are_not() -> None:
    canned = Canned(500, b"")
    session = open_session(lambda: canned)

    def before_change() -> None:
        raise AssertionError("a query changes nothing")

    auth = TokenAuth(Secret("1000.token"))
    api = Api(origin="https://www.zohoapis.eu", session=session, auth=auth)
    api.before_change = before_change

    with pytest.raises(TransientError):
        list(ZohoClient(api=api).coql(QUERY, email="a@b.example"))


# With the simulator


@pytest.mark.parametrize("name", ["O'Neil", "''", "' or id is not null or City = '", "100%", "Ö🏛"])
def test_a_record_is_found_by_a_value_and_no_other(
    transport: Transport, crm: ZohoClient, name: str
) -> None:
    wanted = transport.simulator.add("Contacts", Last_Name=name, Email="ada@engine.example")
    transport.simulator.add("Contacts", Last_Name=f"{name} jr.")
    transport.simulator.add("Contacts", Last_Name="King")

    rows = list(crm.coql("select Email from Contacts where Last_Name = :name", name=name))

    assert rows == [{"id": wanted.id, "Email": "ada@engine.example"}]


def test_all_records_of_a_query_are_read_once(transport: Transport, crm: ZohoClient) -> None:
    ids = [transport.simulator.add("Accounts", Account_Name=f"No. {n}").id for n in range(450)]
    query = "select Account_Name from Accounts where Account_Name like :name"

    rows = list(crm.coql(query, name="No.%"))

    assert [row["id"] for row in rows] == ids
    assert rows[7]["Account_Name"] == "No. 7"


def test_the_order_and_the_limit_of_a_query_stand(transport: Transport, crm: ZohoClient) -> None:
    for number in range(250):
        city = ("Bonn", "Ulm")[number % 2]
        transport.simulator.add("Accounts", Account_Name=f"{number:03}", Billing_City=city)
    accounts = "from Accounts where Billing_City in :cities"
    cities = ["Bonn", "Ulm"]

    by_name = crm.coql(f"select Account_Name {accounts} order by Account_Name desc", cities=cities)
    first = crm.coql(f"select Account_Name {accounts} order by id asc limit 3", cities=cities)
    groups = crm.coql(
        f"select Billing_City, COUNT(id) {accounts} group by Billing_City", cities=cities
    )

    assert [row["Account_Name"] for row in by_name] == [f"{n:03}" for n in reversed(range(250))]
    assert [row["Account_Name"] for row in first] == ["000", "001", "002"]
    assert sorted((row["Billing_City"], row["COUNT(id)"]) for row in groups) == [
        ("Bonn", 125),
        ("Ulm", 125),
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("select Nonsense from Leads where id is not null", "INVALID_QUERY"),
        ("select Last_Name from Unicorns where id is not null", "INVALID_MODULE"),
    ],
)
def test_what_zoho_does_not_understand_is_refused(crm: ZohoClient, query: str, code: str) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        list(crm.coql(query))

    assert caught.value.code in {code, "INVALID_QUERY"}


def test_a_query_whose_answer_was_lost_may_be_repeated(transport: Transport) -> None:
    crm = transport.client()
    transport.simulator.fail("any", "close_after")

    with pytest.raises(TransientError) as caught:
        list(crm.coql(QUERY, email="a@b.example"))

    assert caught.value.may_repeat is True
    assert list(crm.coql(QUERY, email="a@b.example")) == []
