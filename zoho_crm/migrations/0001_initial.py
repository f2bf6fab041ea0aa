from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import zoho_crm.models._database


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiUsage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hour", models.DateTimeField(verbose_name="hour")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("convert", "conversion of a lead"),
                            ("mass_convert", "mass convert job"),
                            ("count", "count of records"),
                            ("bulk_read", "bulk read job"),
                            ("write", "records written"),
                            ("other", "anything else"),
                        ],
                        max_length=20,
                        verbose_name="kind of call",
                    ),
                ),
                ("calls", models.PositiveIntegerField(default=0, verbose_name="calls")),
                ("credits", models.PositiveIntegerField(default=0, verbose_name="credits")),
                ("refusals", models.PositiveIntegerField(default=0, verbose_name="refused")),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "use of the API",
                "verbose_name_plural": "uses of the API",
            },
        ),
        migrations.CreateModel(
            name="Connection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                ("data_center", models.CharField(max_length=10, verbose_name="data center")),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("production", "production"),
                            ("sandbox", "sandbox"),
                            ("developer", "developer"),
                        ],
                        max_length=10,
                        verbose_name="environment",
                    ),
                ),
                ("org_id", models.CharField(max_length=30, verbose_name="organisation id")),
                ("zgid", models.CharField(blank=True, editable=False, max_length=30)),
                ("domain_name", models.CharField(blank=True, editable=False, max_length=100)),
                (
                    "org_name",
                    models.CharField(blank=True, max_length=200, verbose_name="organisation"),
                ),
                ("edition", models.CharField(blank=True, max_length=50, verbose_name="edition")),
                ("licences", models.PositiveIntegerField(default=0, verbose_name="licences")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("ACTIVE", "works"),
                            ("NEEDS_RECONNECT", "needs to be connected again"),
                            ("DISABLED", "disabled"),
                        ],
                        default="ACTIVE",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("is_default", models.BooleanField(default=False, verbose_name="default")),
                (
                    "mapped_fields",
                    models.JSONField(blank=True, default=list, verbose_name="mapped fields"),
                ),
                ("organisation_due_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
            ],
            options={
                "verbose_name": "connection",
                "verbose_name_plural": "connections",
                "permissions": [
                    ("connect_connection", "Can connect to Zoho"),
                    ("refresh_connection", "Can test a connection and renew its access token"),
                    ("disconnect_connection", "Can disconnect from Zoho"),
                    ("view_token", "Can view tokens"),
                    ("view_connectionevent", "Can view events of connections"),
                    ("view_apiusage", "Can view API usage"),
                    ("view_leadconversion", "Can view conversions"),
                    ("preview_leadconversion", "Can preview the conversion of a lead"),
                    ("approve_leadconversion", "Can convert leads"),
                    (
                        "resolve_leadconversion",
                        "Can settle conversions and close those that need it",
                    ),
                    ("export_leadconversion", "Can export conversions"),
                    ("view_payload_leadconversion", "Can see what was read and sent"),
                    ("view_massconversion", "Can view runs"),
                    ("prepare_massconversion", "Can prepare and decide runs"),
                    ("run_massconversion", "Can start runs"),
                    ("pause_massconversion", "Can pause, resume and cancel runs"),
                    ("view_outboxrecord", "Can view outgoing records"),
                    ("add_outboxrecord", "Can push records"),
                    ("resolve_outboxrecord", "Can send outgoing records again and leave them out"),
                    ("view_payload_outboxrecord", "Can see the values of outgoing records"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ConnectionEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True, verbose_name="at")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("connected", "connected"),
                            ("reconnected", "connected again"),
                            ("refreshed", "access token renewed"),
                            ("throttled", "Zoho gives no new access token now"),
                            ("lost", "consent withdrawn"),
                            ("user_lost", "consent of another user withdrawn"),
                            ("default_user", "another user made the default"),
                            ("tested", "tested"),
                            ("backed_off", "waiting"),
                            ("disconnected", "disconnected"),
                            ("user_disconnected", "one user disconnected"),
                            ("forgotten", "deleted here, not revoked at Zoho"),
                            ("exported", "tokens written to a file"),
                        ],
                        max_length=20,
                        verbose_name="what",
                    ),
                ),
                ("details", models.JSONField(blank=True, default=dict, verbose_name="details")),
                ("announced_at", models.DateTimeField(editable=False, null=True)),
                ("signal_lease_until", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "connection event",
                "verbose_name_plural": "connection events",
            },
        ),
        migrations.CreateModel(
            name="LeadConversion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("lead_id", models.CharField(max_length=19, verbose_name="lead")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("NEW", "to be previewed"),
                            ("PREVIEWED", "previewed"),
                            ("READY", "to be sent"),
                            ("RUNNING", "being sent"),
                            ("SCHEDULED", "scheduled at Zoho"),
                            ("UNKNOWN", "being checked"),
                            ("CONVERTED", "converted"),
                            ("FAILED", "refused"),
                            ("SKIPPED", "left out"),
                            ("NEEDS_REVIEW", "needs a person"),
                        ],
                        default="NEW",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=0, verbose_name="version")),
                ("claim_id", models.CharField(blank=True, editable=False, max_length=32)),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("NOT_FOUND", "not found"),
                            ("ALREADY_CONVERTED", "already converted"),
                            ("NOT_CONVERTIBLE", "cannot be converted"),
                            ("NO_MATCH", "no match"),
                            ("ONE_MATCH", "one match"),
                            ("ACCOUNT_ONLY", "account only"),
                            ("SEVERAL_MATCHES", "several matches"),
                        ],
                        max_length=20,
                        verbose_name="verdict",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                ("lead_owner_id", models.CharField(blank=True, editable=False, max_length=19)),
                ("matched_on", models.CharField(blank=True, editable=False, max_length=200)),
                ("lead_snapshot", models.JSONField(editable=False, null=True)),
                ("options_snapshot", models.JSONField(editable=False, null=True)),
                ("previewed_at", models.DateTimeField(null=True, verbose_name="previewed")),
                ("plan", models.JSONField(editable=False, null=True)),
                ("contact_id", models.CharField(blank=True, max_length=19, verbose_name="contact")),
                ("account_id", models.CharField(blank=True, max_length=19, verbose_name="account")),
                ("deal_id", models.CharField(blank=True, max_length=19, verbose_name="deal")),
                (
                    "converted_by",
                    models.CharField(
                        blank=True,
                        choices=[("us", "us"), ("elsewhere", "elsewhere")],
                        max_length=10,
                        verbose_name="converted by",
                    ),
                ),
                (
                    "evidence",
                    models.CharField(
                        blank=True,
                        choices=[("answer", "Zoho's answer"), ("read", "reading the lead")],
                        max_length=10,
                        verbose_name="evidence",
                    ),
                ),
                ("error_code", models.CharField(blank=True, max_length=60, verbose_name="code")),
                ("error_message", models.TextField(blank=True, verbose_name="message")),
                ("error_details", models.JSONField(editable=False, null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("in_doubt", models.BooleanField(default=False, verbose_name="in doubt")),
                ("negative_reads", models.PositiveSmallIntegerField(default=0)),
                ("empty_reads", models.PositiveIntegerField(default=0)),
                ("retry_count", models.PositiveSmallIntegerField(default=0)),
                ("quiet_until", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True, verbose_name="due")),
                (
                    "joins",
                    models.CharField(
                        blank=True,
                        choices=[("contact", "contact"), ("account", "account")],
                        max_length=10,
                    ),
                ),
                ("effect", models.CharField(blank=True, editable=False, max_length=32)),
                ("contact_key", models.CharField(blank=True, editable=False, max_length=32)),
                ("account_key", models.CharField(blank=True, editable=False, max_length=32)),
                ("similar_key", models.CharField(blank=True, editable=False, max_length=32)),
                ("grouping", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("run_revision", models.PositiveIntegerField(default=0, editable=False)),
                ("policy", models.CharField(blank=True, max_length=50, verbose_name="policy")),
                ("approved_at", models.DateTimeField(null=True, verbose_name="approved")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished")),
                ("announced_at", models.DateTimeField(editable=False, null=True)),
                ("signal_lease_until", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name": "lead conversion",
                "verbose_name_plural": "lead conversions",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LeadConversionEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(verbose_name="version")),
                (
                    "from_status",
                    models.CharField(
                        choices=[
                            ("NEW", "to be previewed"),
                            ("PREVIEWED", "previewed"),
                            ("READY", "to be sent"),
                            ("RUNNING", "being sent"),
                            ("SCHEDULED", "scheduled at Zoho"),
                            ("UNKNOWN", "being checked"),
                            ("CONVERTED", "converted"),
                            ("FAILED", "refused"),
                            ("SKIPPED", "left out"),
                            ("NEEDS_REVIEW", "needs a person"),
                        ],
                        max_length=20,
                        verbose_name="from",
                    ),
                ),
                (
                    "to_status",
                    models.CharField(
                        choices=[
                            ("NEW", "to be previewed"),
                            ("PREVIEWED", "previewed"),
                            ("READY", "to be sent"),
                            ("RUNNING", "being sent"),
                            ("SCHEDULED", "scheduled at Zoho"),
                            ("UNKNOWN", "being checked"),
                            ("CONVERTED", "converted"),
                            ("FAILED", "refused"),
                            ("SKIPPED", "left out"),
                            ("NEEDS_REVIEW", "needs a person"),
                        ],
                        max_length=20,
                        verbose_name="to",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="at")),
                ("by", models.CharField(blank=True, max_length=150, verbose_name="by")),
                (
                    "payload_hash",
                    models.CharField(blank=True, max_length=64, verbose_name="payload"),
                ),
                ("details", models.JSONField(blank=True, default=dict, verbose_name="details")),
            ],
            options={
                "verbose_name": "event of a conversion",
                "verbose_name_plural": "events of conversions",
            },
        ),
        migrations.CreateModel(
            name="MassConversion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=100, verbose_name="name")),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("STAGING", "taking leads in"),
                            ("PREVIEWING", "previewing"),
                            ("REVIEW", "waits for decisions"),
                            ("CONVERTING", "converting"),
                            ("FINISHED", "finished"),
                            ("CANCELLED", "cancelled"),
                        ],
                        default="STAGING",
                        max_length=20,
                        verbose_name="stage",
                    ),
                ),
                (
                    "paused_reason",
                    models.CharField(blank=True, max_length=50, verbose_name="paused"),
                ),
                ("paused_details", models.JSONField(blank=True, default=dict, editable=False)),
                ("revision", models.PositiveIntegerField(default=0, verbose_name="revision")),
                ("policy", models.JSONField(verbose_name="policy")),
                ("active_owners", models.JSONField(default=list)),
                ("source", models.CharField(blank=True, max_length=50, verbose_name="source")),
                ("source_details", models.JSONField(blank=True, default=dict, editable=False)),
                ("filters", models.JSONField(editable=False, null=True)),
                ("page_token", models.TextField(blank=True, editable=False)),
                ("seen", models.PositiveIntegerField(default=0, editable=False)),
                ("page_digests", models.JSONField(default=list, editable=False)),
                ("is_armed", models.BooleanField(default=False)),
                ("may_use_jobs", models.BooleanField(default=True)),
                ("counted_from", models.DateTimeField(null=True)),
                ("counts", models.JSONField(null=True, verbose_name="counts")),
                ("due_at", models.DateTimeField(null=True, verbose_name="due")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("announced_at", models.DateTimeField(editable=False, null=True)),
                ("signal_lease_until", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name": "run",
                "verbose_name_plural": "runs",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="MassConversionJob",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("zoho_job_id", models.CharField(blank=True, max_length=19, verbose_name="job")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("POSTING", "being posted"),
                            ("ACCEPTED", "accepted by Zoho"),
                            ("FINISHED", "finished"),
                            ("REFUSED", "refused"),
                            ("LOST", "its answer was lost"),
                            ("GIVEN_UP", "given up"),
                        ],
                        default="POSTING",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("effect", models.JSONField(verbose_name="effect")),
                ("counts", models.JSONField(null=True, verbose_name="counts")),
                ("polls", models.PositiveIntegerField(default=0)),
                ("posted_at", models.DateTimeField(verbose_name="posted")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("due_at", models.DateTimeField(null=True, verbose_name="due")),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
            },
        ),
        migrations.CreateModel(
            name="MassConversionLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="line")),
                ("text", models.CharField(max_length=50, verbose_name="text")),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("malformed", "no id of a lead"),
                            ("rounded", "rounded by a spreadsheet: export the ids as text"),
                            ("several_values", "several values: say which column has the ids"),
                            ("double", "named before"),
                            ("converted", "converted already"),
                            ("in_another_run", "in another run"),
                            ("on_its_way", "being converted singly"),
                        ],
                        max_length=20,
                        verbose_name="reason",
                    ),
                ),
            ],
            options={
                "verbose_name": "line that was left out",
                "verbose_name_plural": "lines that were left out",
            },
        ),
        migrations.CreateModel(
            name="Policy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=50, unique=True, verbose_name="name")),
                ("rules", models.JSONField(verbose_name="rules")),
                ("changed_at", models.DateTimeField(auto_now=True, verbose_name="changed")),
            ],
            options={
                "verbose_name": "policy",
                "verbose_name_plural": "policies",
            },
        ),
        migrations.CreateModel(
            name="Token",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("user_id", models.CharField(max_length=30, verbose_name="user id")),
                ("user_name", models.CharField(blank=True, max_length=200, verbose_name="user")),
                ("user_email", models.CharField(blank=True, max_length=200, verbose_name="e-mail")),
                ("client_id", models.CharField(max_length=100, verbose_name="client id")),
                ("scopes", models.JSONField(blank=True, default=list, verbose_name="scopes")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("ACTIVE", "works"),
                            ("NEEDS_RECONNECT", "needs to be connected again"),
                            ("REVOKED", "revoked"),
                        ],
                        default="ACTIVE",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("is_default", models.BooleanField(default=False, verbose_name="default")),
                ("generation", models.PositiveIntegerField(default=0, verbose_name="generation")),
                (
                    "expires_at",
                    models.DateTimeField(null=True, verbose_name="access token expires"),
                ),
                ("refreshed_at", models.DateTimeField(null=True, verbose_name="last refresh")),
                ("renews_early", models.BooleanField(default=True, editable=False)),
                ("refresh_owner", models.CharField(blank=True, editable=False, max_length=32)),
                ("refresh_until", models.DateTimeField(editable=False, null=True)),
                (
                    "throttled_until",
                    models.DateTimeField(editable=False, null=True, verbose_name="throttled until"),
                ),
                ("client_secret_cipher", models.TextField(blank=True, editable=False)),
                ("access_token_cipher", models.TextField(blank=True, editable=False)),
                ("refresh_token_cipher", models.TextField(blank=True, editable=False)),
                (
                    "access_token_hash",
                    models.CharField(blank=True, db_index=True, editable=False, max_length=64),
                ),
                (
                    "refresh_token_hash",
                    models.CharField(blank=True, db_index=True, editable=False, max_length=64),
                ),
                ("from_sdk", models.BooleanField(default=False, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "token",
                "verbose_name_plural": "tokens",
            },
        ),
        migrations.CreateModel(
            name="SdkToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("ACTIVE", "works"),
                            ("NEEDS_RECONNECT", "needs to be connected again"),
                            ("REVOKED", "revoked"),
                        ],
                        default="ACTIVE",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("generation", models.PositiveIntegerField(default=0, verbose_name="generation")),
                ("refreshed_at", models.DateTimeField(null=True, verbose_name="last refresh")),
                ("renews_early", models.BooleanField(default=True, editable=False)),
                ("refresh_owner", models.CharField(blank=True, editable=False, max_length=32)),
                ("refresh_until", models.DateTimeField(editable=False, null=True)),
                (
                    "throttled_until",
                    models.DateTimeField(editable=False, null=True, verbose_name="throttled until"),
                ),
                ("user_name", models.TextField(blank=True, verbose_name="user name")),
                (
                    "user_name_hash",
                    models.CharField(blank=True, db_index=True, editable=False, max_length=64),
                ),
                ("redirect_url", models.TextField(blank=True, verbose_name="redirect URL")),
                ("api_domain", models.TextField(blank=True, verbose_name="API domain")),
                ("client_id", models.TextField(blank=True, verbose_name="client id")),
                (
                    "expires_at",
                    models.DateTimeField(null=True, verbose_name="access token expires"),
                ),
                ("client_secret_cipher", models.TextField(blank=True, editable=False)),
                ("access_token_cipher", models.TextField(blank=True, editable=False)),
                ("refresh_token_cipher", models.TextField(blank=True, editable=False)),
                ("grant_token_cipher", models.TextField(blank=True, editable=False)),
                (
                    "access_token_hash",
                    models.CharField(blank=True, db_index=True, editable=False, max_length=64),
                ),
                (
                    "refresh_token_hash",
                    models.CharField(blank=True, db_index=True, editable=False, max_length=64),
                ),
                (
                    "grant_token_hash",
                    models.CharField(blank=True, db_index=True, editable=False, max_length=64),
                ),
                ("asked_at", models.DateTimeField(editable=False, null=True)),
                ("problem", models.CharField(blank=True, max_length=100, verbose_name="problem")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "token",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sdk_tokens",
                        to="zoho_crm.token",
                        verbose_name="token",
                    ),
                ),
            ],
            options={
                "verbose_name": "token of Zoho's SDK",
                "verbose_name_plural": "tokens of Zoho's SDK",
            },
        ),
        migrations.CreateModel(
            name="SdkFailure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=64, unique=True)),
                ("user_name", models.TextField(blank=True)),
                ("problem", models.CharField(max_length=100)),
                ("at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "error of Zoho's SDK",
                "verbose_name_plural": "errors of Zoho's SDK",
            },
        ),
        migrations.CreateModel(
            name="EnteredClient",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("session_hash", models.CharField(max_length=64)),
                ("client_id", models.CharField(max_length=100)),
                ("client_secret_cipher", models.TextField(blank=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "entered client",
                "verbose_name_plural": "entered clients",
            },
        ),
        migrations.CreateModel(
            name="AuthorizationRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("state_hash", models.CharField(max_length=64, unique=True)),
                ("session_hash", models.CharField(max_length=64)),
                ("data_center", models.CharField(max_length=10)),
                ("environment", models.CharField(max_length=10)),
                ("redirect_uri", models.CharField(max_length=500)),
                ("name", models.CharField(blank=True, max_length=100)),
                (
                    "client",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="zoho_crm.enteredclient",
                    ),
                ),
                ("verifier_cipher", models.TextField(blank=True)),
                ("next_path", models.CharField(blank=True, max_length=500)),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "authorization request",
                "verbose_name_plural": "authorization requests",
            },
        ),
        migrations.CreateModel(
            name="Selection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("of", models.CharField(max_length=100)),
                ("ids", models.JSONField(null=True)),
                ("filters", models.JSONField(default=dict)),
                ("newest_id", models.BigIntegerField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "connection",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="zoho_crm.connection",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "selection",
                "verbose_name_plural": "selections",
            },
        ),
        migrations.CreateModel(
            name="ConnectionWork",
            fields=[
                (
                    "connection",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="work",
                        serialize=False,
                        to="zoho_crm.connection",
                    ),
                ),
                ("lease_owner", models.CharField(blank=True, max_length=100)),
                ("lease_number", models.PositiveBigIntegerField(default=0)),
                ("lease_until", models.DateTimeField(null=True)),
                ("limit", models.FloatField(default=2, verbose_name="limit")),
                ("limit_met", models.BooleanField(default=False)),
                ("backoff_until", models.DateTimeField(null=True, verbose_name="waiting until")),
                ("backoff_reason", models.CharField(blank=True, max_length=50, verbose_name="why")),
                ("backoff_details", models.JSONField(blank=True, default=dict, editable=False)),
                (
                    "backoff_kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("limit", "a limit of Zoho's"),
                            ("person", "a person has to act"),
                            ("silence", "Zoho does not answer"),
                        ],
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("backoff_number", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "credits_remaining",
                    models.BigIntegerField(null=True, verbose_name="credits remaining"),
                ),
                ("wake_at", models.DateTimeField(null=True)),
                ("seen_at", models.DateTimeField(null=True, verbose_name="worker seen")),
                ("swept_at", models.DateTimeField(null=True, verbose_name="sweep seen")),
            ],
            options={
                "verbose_name": "work on a connection",
                "verbose_name_plural": "work on connections",
            },
        ),
        migrations.AddConstraint(
            model_name="connection",
            constraint=models.UniqueConstraint(
                fields=("org_id", "data_center", "environment"),
                name="zoho_crm_one_connection_per_organisation",
            ),
        ),
        migrations.AddField(
            model_name="authorizationrequest",
            name="connection",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="zoho_crm.connection",
            ),
        ),
        migrations.AddField(
            model_name="apiusage",
            name="connection",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="usage",
                to="zoho_crm.connection",
                verbose_name="connection",
            ),
        ),
        migrations.AddField(
            model_name="connectionevent",
            name="by",
            field=models.ForeignKey(
                null=True,
                db_constraint=False,
                on_delete=zoho_crm.models._database.set_null,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="by",
            ),
        ),
        migrations.AddField(
            model_name="connectionevent",
            name="connection",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="events",
                to="zoho_crm.connection",
                verbose_name="connection",
            ),
        ),
        migrations.AddField(
            model_name="leadconversion",
            name="approved_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                db_constraint=False,
                on_delete=zoho_crm.models._database.set_null,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="approved by",
            ),
        ),
        migrations.AddField(
            model_name="leadconversion",
            name="connection",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="conversions",
                to="zoho_crm.connection",
                verbose_name="connection",
            ),
        ),
        migrations.AddField(
            model_name="leadconversion",
            name="decided_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                db_constraint=False,
                on_delete=zoho_crm.models._database.set_null,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="leadconversion",
            name="follows",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="followers",
                to="zoho_crm.leadconversion",
            ),
        ),
        migrations.AddField(
            model_name="leadconversionevent",
            name="conversion",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="events",
                to="zoho_crm.leadconversion",
                verbose_name="conversion",
            ),
        ),
        migrations.AddField(
            model_name="massconversion",
            name="connection",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="zoho_crm.connection",
                verbose_name="connection",
            ),
        ),
        migrations.AddField(
            model_name="massconversion",
            name="created_by",
            field=models.ForeignKey(
                null=True,
                db_constraint=False,
                on_delete=zoho_crm.models._database.set_null,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="prepared by",
            ),
        ),
        migrations.AddField(
            model_name="massconversion",
            name="started_by",
            field=models.ForeignKey(
                null=True,
                db_constraint=False,
                on_delete=zoho_crm.models._database.set_null,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="started by",
            ),
        ),
        migrations.AddField(
            model_name="leadconversion",
            name="mass_conversion",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rows",
                to="zoho_crm.massconversion",
                verbose_name="run",
            ),
        ),
        migrations.AddField(
            model_name="massconversionjob",
            name="connection",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="jobs",
                to="zoho_crm.connection",
            ),
        ),
        migrations.AddField(
            model_name="massconversionjob",
            name="mass_conversion",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="jobs",
                to="zoho_crm.massconversion",
            ),
        ),
        migrations.AddField(
            model_name="leadconversion",
            name="job",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rows",
                to="zoho_crm.massconversionjob",
            ),
        ),
        migrations.AddField(
            model_name="massconversionline",
            name="mass_conversion",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="lines",
                to="zoho_crm.massconversion",
            ),
        ),
        migrations.AddField(
            model_name="token",
            name="connection",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="tokens",
                to="zoho_crm.connection",
                verbose_name="connection",
            ),
        ),
        migrations.AddConstraint(
            model_name="apiusage",
            constraint=models.UniqueConstraint(
                fields=("connection", "hour", "kind"), name="zoho_crm_one_count_an_hour"
            ),
        ),
        migrations.AddIndex(
            model_name="connectionevent",
            index=models.Index(fields=["kind", "announced_at"], name="zoho_crm_events_to_announce"),
        ),
        migrations.AddConstraint(
            model_name="leadconversionevent",
            constraint=models.UniqueConstraint(
                fields=("conversion", "version"), name="zoho_crm_one_event_per_version"
            ),
        ),
        migrations.AddIndex(
            model_name="massconversion",
            index=models.Index(fields=["connection", "due_at"], name="zoho_crm_runs_due"),
        ),
        migrations.AddIndex(
            model_name="massconversionjob",
            index=models.Index(fields=["connection", "due_at"], name="zoho_crm_jobs_due"),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=["connection", "due_at", "status"], name="zoho_crm_what_is_due"
            ),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=["connection", "status", "mass_conversion", "due_at", "id"],
                name="zoho_crm_the_queue",
            ),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=[
                    "status",
                    "announced_at",
                    "mass_conversion",
                    "finished_at",
                    "converted_by",
                ],
                name="zoho_crm_leads_by_status",
            ),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(fields=["mass_conversion", "status"], name="zoho_crm_rows_of_a_run"),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=["mass_conversion", "finished_at"], name="zoho_crm_last_outcomes"
            ),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=["mass_conversion", "contact_key", "id"], name="zoho_crm_same_contact"
            ),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=["mass_conversion", "account_key", "id"], name="zoho_crm_same_account"
            ),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=["mass_conversion", "similar_key", "account_key"],
                name="zoho_crm_similar_companies",
            ),
        ),
        migrations.AddIndex(
            model_name="leadconversion",
            index=models.Index(
                fields=["mass_conversion", "grouping", "id"], name="zoho_crm_rows_to_group"
            ),
        ),
        migrations.AddConstraint(
            model_name="leadconversion",
            constraint=models.UniqueConstraint(
                fields=("lead_id", "connection"), name="zoho_crm_a_lead_converts_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="leadconversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "CONVERTED"), _negated=True),
                    models.Q(("converted_by", ""), _negated=True),
                    _connector="OR",
                ),
                name="zoho_crm_converted_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="massconversionline",
            constraint=models.UniqueConstraint(
                fields=("mass_conversion", "number"), name="zoho_crm_one_reason_per_line"
            ),
        ),
        migrations.AddConstraint(
            model_name="token",
            constraint=models.UniqueConstraint(
                fields=("connection", "user_id", "client_id"),
                name="zoho_crm_one_token_per_user_and_client",
            ),
        ),
        migrations.CreateModel(
            name="OutboxRecord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("create", "create"),
                            ("update", "update"),
                            ("upsert", "update or create"),
                            ("delete", "delete"),
                            ("tag", "add tags"),
                            ("untag", "remove tags"),
                            ("note", "add a note"),
                            ("link", "attach a link"),
                        ],
                        max_length=10,
                        verbose_name="action",
                    ),
                ),
                ("module", models.CharField(max_length=100, verbose_name="module")),
                ("key", models.CharField(blank=True, max_length=200, verbose_name="key")),
                ("values", models.JSONField(editable=False, null=True)),
                (
                    "unique_field",
                    models.CharField(blank=True, max_length=100, verbose_name="unique field"),
                ),
                ("trigger", models.JSONField(editable=False, null=True)),
                (
                    "when_known",
                    models.CharField(
                        choices=[
                            ("hold", "let a person decide"),
                            ("update_contact", "update the contact"),
                            ("create", "create the lead"),
                        ],
                        default="hold",
                        max_length=20,
                        verbose_name="if the person is known",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("PENDING", "to be sent"),
                            ("RUNNING", "being sent"),
                            ("UNKNOWN", "being checked"),
                            ("SENT", "sent"),
                            ("REFUSED", "refused"),
                            ("NEEDS_REVIEW", "needs a person"),
                            ("SKIPPED", "left out"),
                        ],
                        default="PENDING",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=0, verbose_name="version")),
                ("claim_id", models.CharField(blank=True, editable=False, max_length=32)),
                ("record_id", models.CharField(blank=True, max_length=19, verbose_name="record")),
                (
                    "record_module",
                    models.CharField(
                        blank=True, max_length=100, verbose_name="module of the record"
                    ),
                ),
                (
                    "added_id",
                    models.CharField(blank=True, max_length=19, verbose_name="note or link"),
                ),
                ("known_people", models.JSONField(editable=False, null=True)),
                ("error_code", models.CharField(blank=True, max_length=60, verbose_name="code")),
                ("error_message", models.TextField(blank=True, verbose_name="message")),
                ("error_details", models.JSONField(editable=False, null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("in_doubt", models.BooleanField(default=False, verbose_name="in doubt")),
                ("negative_reads", models.PositiveSmallIntegerField(default=0)),
                ("retry_count", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField(null=True, verbose_name="due")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="pushed")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished")),
                ("announced_at", models.DateTimeField(editable=False, null=True)),
                ("signal_lease_until", models.DateTimeField(editable=False, null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outbox",
                        to="zoho_crm.connection",
                        verbose_name="connection",
                    ),
                ),
            ],
            options={
                "verbose_name": "outgoing record",
                "verbose_name_plural": "outgoing records",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="OutboxRecordEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(verbose_name="version")),
                (
                    "from_status",
                    models.CharField(
                        choices=[
                            ("PENDING", "to be sent"),
                            ("RUNNING", "being sent"),
                            ("UNKNOWN", "being checked"),
                            ("SENT", "sent"),
                            ("REFUSED", "refused"),
                            ("NEEDS_REVIEW", "needs a person"),
                            ("SKIPPED", "left out"),
                        ],
                        max_length=20,
                        verbose_name="from",
                    ),
                ),
                (
                    "to_status",
                    models.CharField(
                        choices=[
                            ("PENDING", "to be sent"),
                            ("RUNNING", "being sent"),
                            ("UNKNOWN", "being checked"),
                            ("SENT", "sent"),
                            ("REFUSED", "refused"),
                            ("NEEDS_REVIEW", "needs a person"),
                            ("SKIPPED", "left out"),
                        ],
                        max_length=20,
                        verbose_name="to",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="at")),
                ("by", models.CharField(blank=True, max_length=150, verbose_name="by")),
                (
                    "payload_hash",
                    models.CharField(blank=True, max_length=64, verbose_name="payload"),
                ),
                ("details", models.JSONField(blank=True, default=dict, verbose_name="details")),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="zoho_crm.outboxrecord",
                        verbose_name="outgoing record",
                    ),
                ),
            ],
            options={
                "verbose_name": "event of an outgoing record",
                "verbose_name_plural": "events of outgoing records",
            },
        ),
        migrations.AddIndex(
            model_name="outboxrecord",
            index=models.Index(
                fields=["connection", "due_at", "status"], name="zoho_crm_outbox_due"
            ),
        ),
        migrations.AddIndex(
            model_name="outboxrecord",
            index=models.Index(
                fields=["connection", "module", "key", "status"], name="zoho_crm_outbox_key"
            ),
        ),
        migrations.AddIndex(
            model_name="outboxrecord",
            index=models.Index(fields=["status", "announced_at"], name="zoho_crm_outbox_signals"),
        ),
        migrations.AddConstraint(
            model_name="outboxrecordevent",
            constraint=models.UniqueConstraint(
                fields=("record", "version"), name="zoho_crm_one_outbox_event"
            ),
        ),
        migrations.CreateModel(
            name="ZohoLead",
            fields=[],
            options={
                "verbose_name": "lead at Zoho",
                "verbose_name_plural": "leads at Zoho",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("zoho_crm.leadconversion",),
        ),
    ]
