"""The book through its front door: files in, reports out, by the commands that a person types."""

import io
import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management import call_command

from trader.operations.accounts import create_account

COLUMNS = "transact_time,type,symbol,side,quantity,price,amount,currency,fee,fee_currency,external_id"


def open_account(code: str, currency: str = "USD", **rules: Any) -> None:
    create_account(code=code, name=code, currency=currency, **rules)


def take_in(folder: Path, account: str, rows: str, *, columns: str = COLUMNS) -> dict[str, Any]:
    """Import rows of those columns; returns what --json says, also of a refused file."""
    path = folder / f"{account}.csv"
    lines = (line.strip() for line in rows.strip().splitlines())
    path.write_text("\n".join([columns, *lines]) + "\n", encoding="utf-8")
    return said("import_executions", str(path), "--account", account, "--format", "generic")


def positions(account: str, *arguments: str, as_of: date | str = "2026-12-31") -> dict[str, Any]:
    return said("positions", "--account", account, "--as-of", str(as_of), *arguments)


def only_position(account: str, *arguments: str, as_of: date | str = "2026-12-31") -> dict[str, Any]:
    """The one instrument that the account ever traded."""
    (position,) = positions(account, "--closed", *arguments, as_of=as_of)["positions"]
    return dict(position)


def said(*arguments: str) -> dict[str, Any]:
    """What a command prints with --json, also where it exits 1."""
    output = io.StringIO()
    with suppress(SystemExit):
        call_command(*arguments, "--json", stdout=output)
    data: dict[str, Any] = json.loads(output.getvalue())
    return data
