"""What a rehearsal found, as data: measured by the other modules, judged by verdict.py, shown by report.py and page.py.

Times are in milliseconds but for `seconds`; moments are milliseconds since the migration began.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from migration_guard.review.findings import Severity


class Verdict(StrEnum):
    """WARNED has passed too. COULD_NOT_RUN: something was not measured that the verdict needs."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    COULD_NOT_RUN = "could not run"


class Lock(NamedTuple):
    """A lock on a table, by PostgreSQL's name of the mode, as "ACCESS EXCLUSIVE"."""

    relation: str
    mode: str


@dataclass
class StatementResult:
    """One statement; `locks` are those that no statement before it had taken in the same transaction."""

    sql: str
    ms: float
    # When it began and when what it locked was released: at the end of its transaction.
    began: float = 0.0
    released: float = 0.0
    # What Django calls the operation that sent it.
    operation: str = ""
    locks: list[Lock] = field(default_factory=list)
    # Tables and indexes that were written anew.
    rewritten: list[str] = field(default_factory=list)
    wal_bytes: int | None = None
    # Whether the locks are those that PostgreSQL documents: it could not be asked within the statement.
    documented: bool = False
    error: str = ""
    # How often it was sent: of the many that differ in their values only, the first ones are told by themselves.
    times: int = 1


class Wait(NamedTuple):
    """A time for which a prober stood still."""

    began: float
    ended: float


@dataclass
class Stall:
    """How long a reader and a writer of a table took at most, and (`floor`) with no migration beside them.

    `read_wait` and `write_wait`: how long they waited for a lock within that time, as the server says.
    """

    read: float
    write: float
    floor: float
    read_wait: float = 0.0
    write_wait: float = 0.0
    # Rows of the table where it was measured, and where it will be met.
    rows: int = 0
    rows_in_source: int = 0
    # The longest waits, for a picture; those of the floor are left out.
    reads: list[Wait] = field(default_factory=list)
    writes: list[Wait] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """How many times the rows of the copy the source has; 1 for a whole copy, and where it is not known."""
        return max(self.rows_in_source / self.rows, 1.0) if self.rows else 1.0


class Outcome(StrEnum):
    """How something that the previous release does went after the migration."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_PROBED = "not probed"


class Probe(NamedTuple):
    """What the previous release does to a model, as "select"; `error` is also the reason why it was not probed."""

    model: str
    operation: str
    outcome: Outcome
    error: str = ""


class RowLoss(NamedTuple):
    """Rows, or values of a column, that are not there any more after forward and back; None: not counted."""

    table: str
    column: str | None
    rows: int | None


class Finding(NamedTuple):
    """Something that the verdict rests on, or that a reader has to know."""

    id: str
    severity: Severity
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        return self._asdict() | {"severity": str(self.severity)}


class Size(NamedTuple):
    """Of a table with its indexes, in bytes; None where it is not there."""

    table: str
    before: int | None
    after: int | None


@dataclass
class MigrationResult:
    """One migration. What was not measured is empty or None, and a finding says why."""

    app: str
    name: str
    # Whether its app is the project's own.
    is_guarded: bool = True
    verdict: Verdict = Verdict.PASSED
    seconds: float = 0.0
    statements: list[StatementResult] = field(default_factory=list)
    # What reached the database past Django's cursors, so that no statement of it was measured.
    unseen: list[str] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    # By table, the fingerprints of its schema before and after; empty where there is none.
    schema: dict[str, tuple[str, str]] = field(default_factory=dict)
    # By table.
    stall_ms: dict[str, Stall] = field(default_factory=dict)
    previous_release: list[Probe] = field(default_factory=list)
    reversible: bool = True
    reverse_lossless: bool | None = None
    losses: list[RowLoss] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.app}.{self.name}"


class TableRows(NamedTuple):
    """How many rows of a table are in the source (an estimate of the statistics) and in the copy."""

    table: str
    in_source: int
    in_copy: int


@dataclass
class Source:
    """What was copied; `kind` is live, dump, sample, schema or history."""

    kind: str
    # The database's or the file's name.
    name: str
    server_version: str
    copied_bytes: int = 0
    copy_seconds: float = 0.0
    percent: float | None = None
    tables: list[TableRows] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Rehearsal:
    """A whole rehearsal; `error` says where it broke off."""

    source: Source
    # Of the server that held the copy.
    server_major: int = 0
    verdict: Verdict = Verdict.PASSED
    migrations: list[MigrationResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""


def as_dict(value: Any) -> Any:
    """The value as JSON can hold it, by the names of its fields."""
    match value:
        case Finding():
            return value.as_dict()
        case list():
            return [as_dict(item) for item in value]
        case dict():
            return {key: as_dict(item) for key, item in value.items()}
        case tuple() if not hasattr(value, "_asdict"):
            return [as_dict(item) for item in value]
        case tuple():
            return {key: as_dict(item) for key, item in value._asdict().items()}  # type: ignore[attr-defined]
        case float():
            return round(value, 3)
        case _ if hasattr(value, "__dataclass_fields__"):
            return {name: as_dict(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
