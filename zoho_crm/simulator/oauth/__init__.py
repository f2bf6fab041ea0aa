"""Zoho Accounts: codes, tokens, and the page on which a person says yes or no."""
