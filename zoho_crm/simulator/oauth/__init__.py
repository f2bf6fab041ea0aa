"""Zoho Accounts: codes, tokens and the authorization page."""
