"""Decide: the only layer that writes to the tables, and the only one that joins them with Zoho."""
