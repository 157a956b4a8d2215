"""Scripts, each for a claim: `uv run python -m benchmarks.NAME`. They run in the project's own Django, as in production
without a log of each statement."""

import os

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
settings.DEBUG = False
