"""The demo: a site with its own simulated Zoho, a Celery worker and beat, in one process."""
