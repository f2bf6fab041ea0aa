"""Every form in which exports and spreadsheets write the id of a lead."""

from __future__ import annotations

import pytest

from zoho_crm.models import MassConversionLine
from zoho_crm.services.lead_ids import (
    ReadId,
    id_in_line,
    ids_in_text,
    read_lead_id,
    read_lead_ids,
)

Reason = MassConversionLine.Reason

ID = "7130042000000418003"
OTHER = "7130042000000418005"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f"zcrm_{ID}",
        f"ZCRM_{ID}",
        f'"{ID}"',
        f"'{ID}'",
        f"'{ID}",
        f"“{ID}”",
        f'="{ID}"',
        f'"=""{ID}"""',
        f"={ID}",
        f' "zcrm_{ID}" ',
        f"\ufeff{ID}",
        f"\u00a0{ID}\u00a0",
        f"\u200b{ID}\r\n",
    ],
)
def test_an_id_is_taken_without_what_is_around_it(text: str) -> None:
    assert read_lead_id(text) == ReadId(lead_id=ID)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7.13004E+18", Reason.ROUNDED),
        ("7,13004E+18", Reason.ROUNDED),
        ("7.13004e18", Reason.ROUNDED),
        ("7E+18", Reason.ROUNDED),
        ("7130042000000418003.0", Reason.ROUNDED),
        ("7130042000000420000,00", Reason.ROUNDED),
        ("7,130,042,000,000,420,000", Reason.ROUNDED),
        ("7.130.042.000.000.420.000", Reason.ROUNDED),
        ("7 130 042 000 000 420 000", Reason.ROUNDED),
        ("7\u202f130\u202f042\u202f000\u202f000\u202f420\u202f000", Reason.ROUNDED),
        ("7’130’042’000’000’420’000", Reason.ROUNDED),
        (f"{ID},{OTHER}", Reason.SEVERAL_VALUES),
        (f"zcrm_{ID};Ada", Reason.SEVERAL_VALUES),
        (f"{ID} {OTHER}", Reason.MALFORMED),
        (f"zcrm_{'9' * 20}", Reason.MALFORMED),
        (f"crm_{ID}", Reason.MALFORMED),
        (f"{ID}x", Reason.MALFORMED),
        (f"-{ID}", Reason.MALFORMED),
        ("７１３００４２０００", Reason.MALFORMED),
        ("zcrm_", Reason.MALFORMED),
        ("Record Id", Reason.MALFORMED),
        ("12.5", Reason.MALFORMED),
    ],
)
def test_what_is_not_certain_is_named_with_its_reason(text: str, reason: str) -> None:
    assert read_lead_id(text) == ReadId(reason=reason)


@pytest.mark.parametrize("end", [",", ";", "\t", "|"])
def test_beside_other_cells_the_only_id_is_taken(end: str) -> None:
    for cells in (
        [ID, "Ada", "20095"],
        ["Ada", f'"zcrm_{ID}"', ""],
        [f'="{ID}"', "+49 40 5550000"],
        ["", "", ID],
        ["", f"zcrm_{ID}", ID],
    ):
        assert read_lead_id(id_in_line(end.join(cells))).lead_id == ID


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{ID};{OTHER}", Reason.SEVERAL_VALUES),
        (f"7.13004E+18;Ada;zcrm_{OTHER}", Reason.SEVERAL_VALUES),
        ("7.13004E+18;Ada", Reason.MALFORMED),
        ("Ada;20095", Reason.MALFORMED),
        ("11;12", Reason.MALFORMED),
        ("7,13004E+18", Reason.ROUNDED),
    ],
)
def test_a_line_whose_id_is_not_certain_is_left_as_it_is(line: str, reason: str) -> None:
    assert id_in_line(line) == line
    assert read_lead_id(line).reason == reason


def test_a_pasted_list_is_one_of_lines_and_of_cells_but_no_number_is_torn() -> None:
    pasted = f" {ID} ,zcrm_{OTHER};;\r\n\n7,13004E+18\t\n7,130,042,000,000,420,000\n11|12\t13"

    texts = list(ids_in_text(pasted))

    numbers = ["7,13004E+18", "7,130,042,000,000,420,000"]
    assert texts == [ID, f"zcrm_{OTHER}", *numbers, "11", "12", "13"]


def test_ids_that_all_end_in_zeros_were_rounded() -> None:
    rounded = ["7130042000000410000", "7130042000000420000"]
    reasons = {number: ReadId(reason=Reason.ROUNDED) for number in (1, 2)}

    found = read_lead_ids({1: rounded[0], 2: f"zcrm_{rounded[1]}", 3: "11", 4: "Ada"})

    assert found == reasons | {3: ReadId(lead_id="11"), 4: ReadId(reason=Reason.MALFORMED)}
    assert read_lead_ids({1: rounded[0]}) == {1: ReadId(lead_id=rounded[0])}
    assert read_lead_ids({1: rounded[0], 2: ID})[1] == ReadId(lead_id=rounded[0])
