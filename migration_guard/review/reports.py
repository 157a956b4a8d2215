"""Findings for a person, for a program, for code scanning, for GitHub."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from migration_guard.review.findings import BLOCKS, RULES, Finding, Rule, Severity
from migration_guard.review.reviewing import Reviewed

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
DOCUMENTATION = "findings.md in the documentation of the guard"
SARIF_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
GITHUB_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_text(reviewed: list[Reviewed]) -> str:
    lines = [line for one in reviewed if one.findings for line in _of_migration(one)]
    return "\n".join([*lines, summary(reviewed)])


def _of_migration(one: Reviewed) -> Iterator[str]:
    yield f"{'.'.join(one.key)}  {_where(one, 0)}"
    for finding in one.findings:
        yield f"  {finding.severity} {finding.rule.id}, line {_line(one, finding.number)}, {finding.operation}"
        yield f"    {finding.message}"
        if finding.lock:
            yield f"    lock   {finding.lock}: blocks {BLOCKS[finding.lock]}"
        yield f"    {'code' if _is_code(finding) else 'SQL':<6} {' '.join(finding.statement.split())[:300]}"
        yield f"    safer  {finding.rule.hint}"
    yield ""


def _is_code(finding: Finding) -> bool:
    return finding.rule.id.startswith("python-") or finding.rule.id == "imported-helper"


def summary(reviewed: list[Reviewed]) -> str:
    counts = Counter(finding.severity for one in reviewed for finding in one.findings)
    looked_at = f"{len(reviewed)} migration{'' if len(reviewed) == 1 else 's'}"
    if not counts:
        return f"Nothing found in {looked_at}."
    parts = [f"{counts[severity]} {severity}" for severity in sorted(Severity, reverse=True) if counts[severity]]
    return f"Found in {looked_at}: {', '.join(parts)}. What each means: {DOCUMENTATION}"


def as_json(reviewed: list[Reviewed]) -> str:
    return json.dumps([finding.as_dict() for one in reviewed for finding in one.findings], indent=2)


def as_github(reviewed: list[Reviewed]) -> str:
    """GitHub's workflow commands: one annotation for each finding, at its line."""
    return "\n".join(
        f"::{GITHUB_LEVELS[finding.severity]} file={_escaped(_path(one))},line={_line(one, finding.number)},"
        f"title={finding.rule.id}::{_escaped(f'{finding.message} {finding.rule.hint}')}"
        for one in reviewed
        for finding in one.findings
    )


def _escaped(text: str) -> str:
    """As a workflow command wants its values; a comma or colon would end a property."""
    for character in "%\r\n,:":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def as_sarif(reviewed: list[Reviewed]) -> str:
    """SARIF 2.1.0, as code scanning reads it."""
    used = sorted({finding.rule.id for one in reviewed for finding in one.findings})
    driver = {
        "name": "migration_guard review",
        "informationUri": "https://docs.djangoproject.com/en/stable/topics/migrations/",
        "rules": [_sarif_rule(RULES[name]) for name in used],
    }
    results = [_sarif_result(one, finding) for one in reviewed for finding in one.findings]
    log = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2)


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.id.replace("-", " ")},
        "help": {"text": rule.hint},
        "defaultConfiguration": {"level": SARIF_LEVELS[rule.severity]},
    }


def _sarif_result(one: Reviewed, finding: Finding) -> dict[str, Any]:
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": _path(one)},
            "region": {"startLine": _line(one, finding.number)},
        }
    }
    return {
        "ruleId": finding.rule.id,
        "level": SARIF_LEVELS[finding.severity],
        "message": {"text": f"{finding.message} {finding.rule.hint}"},
        "locations": [location],
        "properties": finding.as_dict(),
    }


def _where(one: Reviewed, number: int) -> str:
    return f"{_path(one)}:{_line(one, number)}"


def _path(one: Reviewed) -> str:
    """Relative to the working directory, where the file is below it."""
    if one.layout.path is None:
        return "/".join(one.key)
    path = Path(os.path.relpath(one.layout.path))
    return (one.layout.path if path.parts[:1] == ("..",) else path).as_posix()


def _line(one: Reviewed, number: int) -> int:
    return one.layout.lines.get(number) or one.layout.lines.get(0) or 1
