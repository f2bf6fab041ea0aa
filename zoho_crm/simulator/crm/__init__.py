"""Zoho CRM itself, one module per resource."""
