"""Bounds of numeric columns. A numeric column takes NaN, which PostgreSQL sorts above every number: only an upper bound
keeps it out."""

from django.db import models


def positive(column: str) -> models.Q:
    return models.Q((f"{column}__gt", 0), (f"{column}__lt", 10**18))


def not_negative(column: str) -> models.Q:
    return models.Q((f"{column}__gte", 0), (f"{column}__lt", 10**20))


def a_number(column: str) -> models.Q:
    return models.Q((f"{column}__lt", 10**20))
