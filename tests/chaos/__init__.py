"""Proof by machines that nothing is lost: see ``__main__``."""
