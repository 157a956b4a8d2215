"""Migrations in their safer form: what `makemigrations` writes instead of Django's plain operations."""
