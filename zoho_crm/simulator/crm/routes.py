"""The routes of Zoho CRM v8, with their scopes, permissions and credits."""

from __future__ import annotations

from zoho_crm.simulator.crm import (
    attachments,
    bulk_read,
    conversion,
    coql,
    deal_roles,
    deleted,
    mass,
    matching,
    metadata,
    not_imitated,
    notes,
    reading,
    related,
    search,
    tags,
    timeline,
    upsert,
    users,
    writing,
)
from zoho_crm.simulator.request_context import Handler, Route

BASE = "/crm/v8"


def _route(
    method: str,
    path: str,
    kind: str,
    handler: Handler,
    *scopes: str,
    permission: str = "",
    cost: int = 1,
    heavy: bool = False,
) -> Route:
    return Route(
        method=method,
        path=BASE + path,
        kind=kind,
        handler=handler,
        scopes=tuple(f"ZohoCRM.{scope}" if scope[0].islower() else scope for scope in scopes),
        permission=permission,
        credits=cost,
        heavy=heavy,
    )


def _settings(method: str, path: str, handler: Handler, scope: str) -> Route:
    return _route(method, f"/settings/{path}", "metadata", handler, f"settings.{scope}")


def _tag_routes(action: str, handler: Handler) -> tuple[Route, ...]:
    """Return the routes of an action with tags: for the record in the path, and for many."""
    scope = "modules.{module}.CREATE"
    paths = (f"/{{module}}/{{id}}/actions/{action}", f"/{{module}}/actions/{action}")
    return tuple(_route("POST", path, "tags", handler, scope) for path in paths)


def _note_routes() -> tuple[Route, ...]:
    """Return the routes of all notes, and of the notes of a record."""
    handlers = {
        "GET": (notes.list_notes, notes.get_note, "notes", "READ"),
        "POST": (notes.create_notes, None, "note_write", "CREATE"),
        "PUT": (notes.update_notes, notes.update_notes, "note_write", "UPDATE"),
        "DELETE": (notes.delete_notes, notes.delete_notes, "note_write", "DELETE"),
    }
    routes = []
    for base, module in (("", ()), ("/{module}/{id}", ("modules.{module}.READ",))):
        for method, (of_many, of_one, kind, operation) in handlers.items():
            scopes = (f"modules.notes.{operation}", *module)
            routes.append(_route(method, f"{base}/Notes", kind, of_many, *scopes))
            if of_one:
                routes.append(_route(method, f"{base}/Notes/{{note_id}}", kind, of_one, *scopes))
    return tuple(routes)


def _attachment_routes() -> tuple[Route, ...]:
    base = "/{module}/{id}/Attachments"
    one = f"{base}/{{attachment_id}}"
    module = "modules.{module}.READ"
    return (
        _route(
            "GET",
            base,
            "attachments",
            attachments.list_attachments,
            "modules.attachments.READ",
            module,
        ),
        _route("POST", base, "upload", attachments.upload, "modules.attachments.CREATE", module),
        _route("GET", one, "download", attachments.download, "modules.attachments.READ", module),
        *(
            _route(
                "DELETE",
                path,
                "attachments",
                attachments.delete,
                "modules.attachments.DELETE",
                module,
            )
            for path in (base, one)
        ),
    )


def _bulk_routes() -> tuple[Route, ...]:
    """Return the routes of bulk read, which has a base path of its own."""
    base, scope = "/crm/bulk/v8/read", ("ZohoCRM.bulk.READ",)
    job = f"{base}/{{id}}"
    return (
        Route(
            method="POST",
            path=base,
            kind="bulk_create",
            handler=bulk_read.create,
            scopes=scope,
            credits=50,
        ),
        Route(method="GET", path=job, kind="bulk_status", handler=bulk_read.status, scopes=scope),
        Route(
            method="GET",
            path=f"{job}/result",
            kind="bulk_result",
            handler=bulk_read.result,
            scopes=scope,
        ),
    )


def _not_imitated(method: str, path: str) -> Route:
    """Return a route that answers 501 to everybody."""
    return Route(
        method=method,
        path=BASE + path,
        kind="not_imitated",
        handler=not_imitated.refuse,
        public=True,
    )


_VIEW = "Crm_Implied_View_{module}"

#: The first one that matches is used.
ROUTES = (
    _route("GET", "/users", "users", users.list_users, "users.READ"),
    _route("GET", "/users/{id}", "users", users.get_user, "users.READ"),
    _route("GET", "/org", "org", users.organisation, "org.READ"),
    _settings("GET", "modules", metadata.modules, "modules.READ"),
    _settings("GET", "modules/{name}", metadata.module, "modules.READ"),
    _settings("GET", "fields", metadata.fields, "fields.READ"),
    _settings("GET", "fields/{id}", metadata.field, "fields.READ"),
    _settings("GET", "layouts", metadata.layouts, "layouts.READ"),
    _settings("GET", "layouts/{id}", metadata.layout, "layouts.READ"),
    _settings("GET", "pipeline", metadata.pipelines, "pipeline.READ"),
    _settings("GET", "roles", metadata.roles, "roles.READ"),
    _settings("GET", "tags", tags.list_tags, "tags.READ"),
    _settings("POST", "tags", tags.create_tags, "tags.CREATE"),
    _settings(
        "GET",
        "duplicate_check_preference",
        metadata.duplicate_check,
        "duplicate_check_preference.READ",
    ),
    _route("GET", "/Contacts/roles", "metadata", metadata.contact_roles, "modules.contacts.READ"),
    _route(
        "GET", "/Contacts/roles/{id}", "metadata", metadata.contact_role, "modules.contacts.READ"
    ),
    _route(
        "GET",
        "/Deals/{id}/Contact_Roles",
        "deal_roles",
        deal_roles.list_roles,
        "modules.contacts.READ",
        "modules.deals.READ",
    ),
    _route(
        "PUT",
        "/Deals/{id}/Contact_Roles/{contact_id}",
        "deal_roles",
        deal_roles.set_role,
        "modules.deals.UPDATE",
    ),
    _route(
        "GET",
        "/Leads/{id}/__conversion_options",
        "options",
        matching.options,
        "modules.leads.READ",
        permission="Crm_Implied_View_Leads",
    ),
    _route(
        "POST",
        "/Leads/{id}/actions/convert",
        "convert",
        conversion.convert,
        "modules.leads.CREATE",
        permission="Crm_Implied_Convert_Leads",
        cost=5,
        heavy=True,
    ),
    _route(
        "POST",
        "/Leads/actions/mass_convert",
        "mass_convert",
        mass.mass_convert,
        "mass_convert.leads.CREATE",
        permission="Crm_Implied_Mass_Convert_Leads",
        cost=200,
    ),
    _route(
        "GET",
        "/Leads/actions/mass_convert",
        "mass_status",
        mass.status,
        "mass_convert.leads.READ",
        permission="Crm_Implied_Mass_Convert_Leads",
    ),
    _route(
        "GET",
        "/{module}/search",
        "search",
        search.search,
        "modules.{module}.READ",
        "ZohoSearch.securesearch.READ",
        permission=_VIEW,
        heavy=True,
    ),
    *_note_routes(),
    *_attachment_routes(),
    *_tag_routes("add_tags", tags.add_tags),
    *_tag_routes("remove_tags", tags.remove_tags),
    *(_not_imitated(method, path) for method, path in not_imitated.ADDRESSES),
    *_bulk_routes(),
    _route(
        "GET",
        "/{module}/{id}/__timeline",
        "timeline",
        timeline.timeline,
        "modules.{module}.READ",
        permission=_VIEW,
    ),
    _route("POST", "/coql", "coql", coql.query, "coql.READ", heavy=True),
    _route(
        "GET",
        "/{module}/actions/count",
        "count",
        search.count,
        "modules.{module}.READ",
        permission=_VIEW,
        cost=50,
    ),
    _route(
        "GET",
        "/{module}/deleted",
        "deleted",
        deleted.list_deleted,
        "modules.{module}.READ",
        permission=_VIEW,
    ),
    _route(
        "POST",
        "/{module}/upsert",
        "upsert",
        upsert.upsert,
        "modules.{module}.CREATE",
        "modules.{module}.UPDATE",
        permission="Crm_Implied_Create_{module}",
    ),
    _route("GET", "/{module}", "list", reading.get_many, "modules.{module}.READ", permission=_VIEW),
    _route(
        "GET", "/{module}/{id}", "get", reading.get_one, "modules.{module}.READ", permission=_VIEW
    ),
    _route(
        "POST",
        "/{module}",
        "insert",
        writing.insert,
        "modules.{module}.CREATE",
        permission="Crm_Implied_Create_{module}",
    ),
    _route(
        "PUT",
        "/{module}",
        "update",
        writing.update_many,
        "modules.{module}.UPDATE",
        permission="Crm_Implied_Edit_{module}",
    ),
    _route(
        "PUT",
        "/{module}/{id}",
        "update",
        writing.update_one,
        "modules.{module}.UPDATE",
        permission="Crm_Implied_Edit_{module}",
    ),
    _route(
        "DELETE",
        "/{module}",
        "delete",
        writing.delete,
        "modules.{module}.DELETE",
        permission="Crm_Implied_Delete_{module}",
    ),
    _route(
        "DELETE",
        "/{module}/{id}",
        "delete",
        writing.delete,
        "modules.{module}.DELETE",
        permission="Crm_Implied_Delete_{module}",
    ),
    _route(
        "GET",
        "/{module}/{id}/{list}",
        "related",
        related.list_related,
        "modules.{module}.READ",
        "modules.{list}.READ",
        permission=_VIEW,
    ),
    _route(
        "GET",
        "/{module}/{id}/{list}/{related_id}",
        "related",
        related.get_related,
        "modules.{module}.READ",
        "modules.{list}.READ",
        permission=_VIEW,
    ),
    *(_not_imitated(method, path) for method, path in not_imitated.RELATIONS),
)
