"""
Bodies with a list of items, of which each one has its own result.

`Status codes <https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html>`_: 207 is for
lists that succeeded in part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zoho_crm.simulator import item_refusals, refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.request_context import RequestContext

Json = dict[str, Any]
MAX_ITEMS = 100


def object_of(context: RequestContext) -> Json:
    """
    Return the body.

    :raises RefusedError: if it is no JSON object
    """
    body = context.call.json()
    if not isinstance(body, dict):
        raise refusals.no_json_object()
    return body


def items_of(context: RequestContext, under: str = "data") -> list[Any]:
    """
    Return the items that the body lists under a key.

    :raises RefusedError: at the root for none, in the list itself for more than a hundred
    """
    items = object_of(context).get(under)
    if items is None:
        raise refusals.at_root(item_refusals.missing_value(under, f"$.{under}"))
    if not isinstance(items, list) or not items:
        raise refusals.at_root(item_refusals.wrong_type(under, f"$.{under}", "jsonarray"))
    if len(items) > MAX_ITEMS:
        raise refusals.in_list(under, item_refusals.too_many_items(under, MAX_ITEMS))
    return items


def act_on_each(
    items: Sequence[Any],
    act: Callable[[Json, str], Json],
    *,
    under: str = "data",
    done: int = 200,
) -> Answer:
    """Call ``act`` with every item and its JSON path; answer the results in the same order."""
    results = [_result(item, f"$.{under}[{number}]", act) for number, item in enumerate(items)]
    statuses = {result["status"] for result in results}
    if statuses == {"success"}:
        return Answer.json({under: results}, status=done)
    return Answer.json({under: results}, status=207 if "success" in statuses else _refused(results))


def _refused(results: list[Json]) -> int:
    """Return the status of an answer without a success."""
    codes = {result["code"] for result in results}
    return 412 if codes == {"ALREADY_MODIFIED"} else 400


def _result(item: Any, path: str, act: Callable[[Json, str], Json]) -> Json:
    try:
        if not isinstance(item, dict):
            raise item_refusals.wrong_type("data", path, "jsonobject")
        return act(item, path)
    except refusals.ItemRefusedError as refusal:
        return refusal.item
