"""
Django signals for the host project; the app itself connects no receivers.

They are sent with ``send_robust`` after the transaction of what they tell, by the task
``send_signals`` or by ``manage.py zoho_work``: usually within seconds, at the latest with the next
sweep while a worker runs. The error of a receiver is logged, and changes nothing.

Each is sent at least once: again if the process that sends it dies, or takes longer than ``LEASE``
(90 seconds) for its receivers. So a receiver must not mind a repetition, and what takes long
belongs into a task of its own.
"""

from __future__ import annotations

from django.dispatch import Signal

#: Zoho no longer accepts the consent of a connection's default user: connect again.
#: Sender: ``models.Connection``. Arguments: ``connection``. For each loss.
connection_lost = Signal()

#: A lead was converted, by us or elsewhere (``conversion.converted_by``), as an answer or a read
#: proved. Sender: ``models.LeadConversion``. Arguments: ``conversion``. Once for each lead; again
#: only where a sandbox or a simulator that was reset shows the lead open again.
lead_converted = Signal()

#: A mass conversion finished, or was cancelled and no lead of it is in progress any more.
#: Sender: ``models.MassConversion``. Arguments: ``mass_conversion``. Each time that it ends: again
#: after a retry.
mass_conversion_finished = Signal()

#: A pushed record was sent: Zoho has the change, as an answer or a read proved.
#: Sender: ``models.OutboxRecord``. Arguments: ``record``. Once for each push, also for those whose
#: values went out together.
record_pushed = Signal()

#: Zoho, or a rule of this app, refused a pushed record; ``record.error_code`` and ``error_details``
#: say why. It waits for a person, or for a later push of its key.
#: Sender: ``models.OutboxRecord``. Arguments: ``record``. Each time that it is refused; not if the
#: record is sent again before the signal is.
record_refused = Signal()
