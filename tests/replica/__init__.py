"""A replica for tests, which none of ours may be read from: see ``base``."""
