"""PostgreSQL for tests: see ``base``."""
