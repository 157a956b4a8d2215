"""Search of long lists: each place that a word may stand in is looked up by an index of its own."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection, models
from django.db.models import Q
from django.db.models.constants import LOOKUP_SEP
from django.utils.text import smart_split, unescape_string_literal
from psycopg import sql

# The index of a number that is unique under others, such as an ExecID under account and source, by all of the others
# that there are: from each it leaps to the next. PostgreSQL does so by itself from version 18 on.
LEAP = sql.SQL("""
    WITH RECURSIVE reached AS (
        (SELECT {leading} FROM {table} WHERE {number} <> '' ORDER BY {leading} LIMIT 1)
        UNION ALL
        SELECT next.* FROM reached, LATERAL (
            SELECT {leading} FROM {table} WHERE ({leading}) > ({reached}) AND {number} <> '' ORDER BY {leading} LIMIT 1
        ) next
    )
    SELECT found.id FROM reached, LATERAL (
        SELECT id FROM {table} WHERE ({leading}) = ({reached}) AND {number} = %s AND {number} <> '' OFFSET 0
    ) found
""")


def matching(model: type[models.Model], places: Sequence[str], text: str, searched_in: Mapping[str, Q]) -> Q:
    """The rows that have each of the words in one of the places: columns, of related rows too, with a lookup or without
    one for a part of the text; `searched_in` says of a column in which rows it is looked at.
    """
    found = Q()
    for word in _words(text):
        found &= reduce(or_, (_in_place(model, place, word) & _rows(searched_in, place) for place in places))
    return found


def _rows(searched_in: Mapping[str, Q], place: str) -> Q:
    return searched_in.get(place.partition(LOOKUP_SEP)[0], Q())


def _words(text: str) -> Iterator[str]:
    """Words, and what stands in quotes."""
    for word in smart_split(text):
        quoted = word[0] in "\"'" and word[0] == word[-1]
        yield unescape_string_literal(word) if quoted else word


def _in_place(model: type[models.Model], place: str, word: str) -> Q:
    name, _, rest = place.partition(LOOKUP_SEP)
    field: Any = model._meta.get_field(name)
    if field.is_relation:
        return _of_related(field, rest, word)
    lookup = rest or "icontains"
    leading = _leading(model, name) if lookup == "exact" else []
    if leading:
        return Q(pk__in=_numbered(model, leading, field.column, word))
    return Q((f"{name}__{lookup}", word))


def _of_related(field: Any, place: str, word: str) -> Q:
    rows = field.related_model._default_manager.filter(_in_place(field.related_model, place, word))
    if field.concrete:
        return Q((f"{field.name}__in", list(rows.values_list("pk", flat=True))))
    return Q(pk__in=list(rows.values_list(field.field.attname, flat=True)))


def _leading(model: type[models.Model], name: str) -> list[str]:
    """Columns that lead an index which ends with that one."""
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.fields[-1:] == (name,):
            return [_column(model, each) for each in constraint.fields[:-1]]
    return []


def _column(model: type[models.Model], name: str) -> str:
    field: Any = model._meta.get_field(name)
    return str(field.column)


def _numbered(model: type[models.Model], leading: list[str], number: str, word: str) -> list[Any]:
    columns = [sql.Identifier(column) for column in leading]
    statement = LEAP.format(
        table=sql.Identifier(model._meta.db_table),
        number=sql.Identifier(number),
        leading=sql.SQL(", ").join(columns),
        reached=sql.SQL(", ").join(sql.SQL("reached.{}").format(column) for column in columns),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [word])
        return [key for (key,) in cursor.fetchall()]
