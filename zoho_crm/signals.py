"""What the host project may listen to: sent after commit, at least once; we never listen."""

from __future__ import annotations

from django.dispatch import Signal

#: A connection needs to be connected again. Arguments: ``connection``.
connection_lost = Signal()

#: A lead became a contact, by us or elsewhere. Arguments: ``conversion``.
lead_converted = Signal()

#: A mass conversion finished, or was cancelled and has nothing under way any more. Arguments:
#: ``mass_conversion``.
mass_conversion_finished = Signal()
