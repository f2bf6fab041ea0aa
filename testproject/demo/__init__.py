"""A site with a Zoho of its own: each module is one of the things that a demo needs."""
