"""Bridges to other programs; import only the ones you use."""
