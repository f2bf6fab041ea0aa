"""Zoho CRM's API, one module per resource."""
