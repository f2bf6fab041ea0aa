"""Read records of any module from Zoho; nothing is stored."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import and_

from zoho_crm.client import Criteria, field


def equal_to(values: Iterable[tuple[str, str]]) -> Criteria:
    """
    Return the criteria that fields have these values.

    :param values: API names of fields with the value of each, at least one
    :raises RequestRefusedError: if a name or a value is none
    """
    return reduce(and_, (field(name) == value for name, value in values))
