"""A bench that runs whole sites under kills and faults: see ``__main__``."""
