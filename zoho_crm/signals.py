"""
Django signals for the host project, sent after the commit, at least once each.

The app itself connects no receivers.
"""

from __future__ import annotations

from django.dispatch import Signal

#: A connection has to be connected again. Arguments: ``connection``.
connection_lost = Signal()

#: A lead was converted, by us or elsewhere. Arguments: ``conversion``.
lead_converted = Signal()

#: A mass conversion finished, or was cancelled and no lead of it is in progress any more.
#: Arguments: ``mass_conversion``.
mass_conversion_finished = Signal()
