"""Bounds of dates and times. PostgreSQL's reach from 4713 BC to infinity, and Python's do not: what lies outside could
be written by SQL and never be read."""

from datetime import UTC, date, datetime

from django.db import models

DATES = (date(1800, 1, 1), date(9999, 12, 30))
# A day in UTC is one in every time zone then.
TIMES = (datetime(1800, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
OUT_OF_BOUNDS = "A date lies in the years from 1800 to 9999."


def dates_within_bounds(*columns: str) -> models.Q:
    return models.Q(*((f"{column}__range", DATES) for column in columns))


def times_within_bounds(*columns: str) -> models.Q:
    return models.Q(*((f"{column}__range", TIMES) for column in columns))
