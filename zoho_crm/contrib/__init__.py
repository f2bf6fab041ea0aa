"""Integrations with other packages; import only those that you use."""
