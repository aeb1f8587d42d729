"""Composition of the site: settings, URLs, ASGI, Celery and start-up. No behaviour lives here."""
