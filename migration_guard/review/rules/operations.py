"""What an operation says by itself, whatever SQL it sends: code, ways back, and what cannot be seen."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.migrations import Migration
from django.db.migrations.operations import AddField, AlterField, CreateModel, RunPython, RunSQL

from migration_guard.operations import RunSQLOnce
from migration_guard.review.code import Code
from migration_guard.review.collecting import Work
from migration_guard.review.findings import RULES, Rule, Severity, declare
from migration_guard.review.scene import Scene

# A foreign key alone locks two.
MANY_TABLES = 2
# A rule about an operation: what is wrong with it, each with the text that shows it.
Told = Iterator[tuple[Rule, str, str]]

IRREVERSIBLE = declare(
    Rule("irreversible", Severity.WARNING, "Give it a way back, or say in the migration's docstring why there is none.")
)
IMPORTED_HELPER = declare(
    Rule("imported-helper", Severity.WARNING, "Copy it into the migration: it must do in a year what it does today.")
)
MAY_NOT_RUN_TWICE = declare(
    Rule(
        "may-not-run-twice",
        Severity.WARNING,
        "RunPython(..., atomic=True) or RunSQLOnce; or say by a comment that it may run twice, and why.",
    )
)
UNSEEN_OPERATION = declare(
    Rule("unseen-operation", Severity.INFO, "Read what the operation does, or rehearse it on a copy.")
)
IMPORTS_MODELS = declare(
    Rule("python-imports-models", Severity.ERROR, 'apps.get_model("app", "Model") gives the model as it was then.')
)
UNBATCHED = declare(
    Rule(
        "python-unbatched",
        Severity.WARNING,
        "Work in batches by key, each committed: atomic = False on the migration, iterator() or slices.",
    )
)
EXTERNAL_SERVICE = declare(
    Rule("python-external-service", Severity.WARNING, "Do it beside the migration: a rollback does not undo it.")
)
RAW_CURSOR = declare(
    Rule("python-raw-cursor", Severity.WARNING, "RunSQL, which review can read; or rehearse it on a copy.")
)
COMPOSITE_KEY = declare(
    Rule("composite-primary-key", Severity.ERROR, "Change the key by RunSQL beside it, or make a new table.")
)
WITHOUT_INDEX = declare(
    Rule("foreign-key-without-index", Severity.INFO, "Leave db_index on, or let an index begin with the column.")
)
SEVERAL_PURPOSES = declare(
    Rule("several-purposes", Severity.WARNING, "One non-atomic migration for each such operation, the rest atomic.")
)
SEVERAL_TABLES = declare(
    Rule(
        "several-tables-locked",
        Severity.WARNING,
        "One table a migration: each is then locked for its own change only.",
        lock="ACCESS EXCLUSIVE",
    )
)
DROP_CONSTRAINT = declare(
    Rule(
        "drop-constraint",
        Severity.INFO,
        "Drop it in a release after the one that no longer relies on it.",
        lock="ACCESS EXCLUSIVE",
    )
)


def at_the_end(works: list[Work], scene: Scene) -> Iterator[tuple[Rule, Work, int, str, str]]:
    """What shows when all statements of the migration are known: also the work, and the operation's number or 0."""
    tables = scene.changed | scene.referred
    if works[0].migration.atomic and (len(scene.changed) > 1 or len(tables) > MANY_TABLES):
        *_, last = tables.values()
        told = f"{len(tables)} tables are locked together until it is committed: {', '.join(sorted(tables))}."
        yield SEVERAL_TABLES, works[0], 0, last, told
    for (table, _), action in scene.dropped.items():
        if not action.work.is_safer:
            told = f"Rows of {table} may break this rule from now on, and where it was unique, an upsert on it fails."
            yield DROP_CONSTRAINT, action.work, action.work.number, action.statement.text, told


def of_migration(migration: Migration, works: list[Work]) -> Told:
    """What concerns the migration as a whole."""
    outside = {work.number for work in works if _needs_no_transaction(work)}
    alone = {work.number for work in works} - outside
    if not migration.atomic and alone and outside:
        yield (
            SEVERAL_PURPOSES,
            "atomic = False",
            f"{len(alone)} of its operations could be undone together if they were a migration of their own.",
        )


def of_work(work: Work, scene: Scene) -> Told:
    if work.unseen and not _is_known(work):
        yield UNSEEN_OPERATION, _written(work), f"Its SQL cannot be had without a database ({work.unseen})."
    if not work.is_reversible and not (sys.modules[type(work.migration).__module__].__doc__ or _doc(work)):
        yield IRREVERSIBLE, _written(work), "rollback stops here, and only a restore point leads back."
    if not work.migration.atomic and _is_at_least_once(work):
        yield MAY_NOT_RUN_TWICE, _written(work), "A run that is killed between this and its record does it again."
    for name in _foreign_keys_without_index(work):
        yield WITHOUT_INDEX, _written(work), f"To delete a row that {name} may refer to reads the whole table."
    if _changes_composite_key(work):
        yield COMPOSITE_KEY, _written(work), "Django sends no SQL for it: the state has another key than the database."
    if work.code and not work.code.is_nothing and work.migration.atomic and scene.changed:
        tables = ", ".join(sorted(scene.changed))
        yield (
            RULES["data-with-schema-change"],
            _written(work),
            f"The lock that the change of {tables} took is held while the code runs.",
        )
    if work.code:
        yield from _of_code(work.code, work)


def _of_code(code: Code, work: Work) -> Told:
    if not code.is_of(type(work.migration).__module__):
        yield (
            IMPORTED_HELPER,
            _written(work),
            f"{code.name} stands in {code.module}: a later edit there changes what this migration does, unnoticed.",
        )
    rules: list[tuple[Rule, Callable[[], Iterator[str]], str]] = [
        (
            IMPORTS_MODELS,
            code.imported_models,
            "It uses a model as the code has it now, not as the schema has it then.",
        ),
        (
            IMPORTED_HELPER,
            code.imported_calls,
            "It stands in another module: a later edit there changes what this migration does, unnoticed.",
        ),
        (EXTERNAL_SERVICE, code.external_calls, "It talks to something that no transaction undoes, and waits for it."),
        (RAW_CURSOR, code.raw_cursors, "SQL that is sent from here was not reviewed."),
        (UNBATCHED, code.whole_changes, "All rows that this finds are changed by one statement."),
    ]
    if work.migration.atomic or getattr(work.operation, "atomic", None):
        rules += [
            (UNBATCHED, code.whole_loops, "All rows that this finds are loaded, in one transaction."),
            (UNBATCHED, code.long_writes, "The rows that this loop writes stay locked until the commit."),
        ]
    for rule, find, message in rules:
        for line in dict.fromkeys(find()):
            yield rule, line, message


def _needs_no_transaction(work: Work) -> bool:
    """Whether the operation is of the kind for which a migration is made non-atomic."""
    concurrent = any("CONCURRENTLY" in script.upper() or "VALIDATE" in script.upper() for script in work.scripts)
    return concurrent or bool(work.code) or isinstance(work.operation, RunSQLOnce) or not _is_of_django(work)


def _is_of_django(work: Work) -> bool:
    return type(work.operation).__module__.startswith("django.db.")


def _is_at_least_once(work: Work) -> bool:
    if isinstance(work.operation, RunPython) and work.code:
        return not work.operation.atomic and not work.code.is_nothing
    return isinstance(work.operation, RunSQL) and _is_outside_transactions(work)


def _is_outside_transactions(work: Work) -> bool:
    """VACUUM and its like, which have no catalog to be asked; CONCURRENTLY has one."""
    begins = ("VACUUM", "ALTER SYSTEM", "CREATE DATABASE", "DROP DATABASE", "CREATE TABLESPACE", "DROP TABLESPACE")
    once = isinstance(work.operation, RunSQLOnce)
    return not once and any(script.lstrip().upper().startswith(begins) for script in work.scripts)


def _is_known(work: Work) -> bool:
    """What asks the database, and is no surprise: the safer operations, and extensions and collations of Django's."""
    return work.is_safer or bool(work.code) or type(work.operation).__module__.startswith("django.contrib.")


def _foreign_keys_without_index(work: Work) -> Iterator[str]:
    operation: Any = work.operation
    fields: list[tuple[str, Any]]
    if isinstance(operation, AddField | AlterField):
        fields = [(operation.name, operation.field)]
    else:
        fields = list(operation.fields) if isinstance(operation, CreateModel) else []
    indexed = set(_first_columns(operation.options)) if isinstance(operation, CreateModel) else set()
    for name, field in fields:
        is_checked = field.many_to_one and field.db_constraint
        if is_checked and not (field.db_index or field.unique or field.primary_key or name in indexed):
            yield name


def _first_columns(options: dict[str, Any]) -> Iterator[str]:
    """The fields that some index of the model begins with."""
    indexes = [
        index.fields
        for index in [*options.get("indexes", []), *options.get("constraints", [])]
        if hasattr(index, "fields")
    ]
    for fields in [*indexes, *options.get("unique_together", []), *options.get("index_together", [])]:
        yield from list(fields)[:1]


def _changes_composite_key(work: Work) -> bool:
    composite: Any = getattr(models, "CompositePrimaryKey", ())
    return isinstance(work.operation, AddField | AlterField) and isinstance(work.operation.field, composite)


def _doc(work: Work) -> str | None:
    own: Any = type(work.migration).__dict__.get("__doc__")
    return own or (work.code.function.__doc__ if work.code else None)


def _written(work: Work) -> str:
    """The operation in a line: its SQL, or what it is called."""
    return " ".join(" ".join(work.scripts).split()) or work.title
