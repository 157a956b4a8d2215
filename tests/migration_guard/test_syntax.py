"""What review makes of the tree that squawk prints: this holds the pinned version to its form."""

import pytest

from migration_guard.review.syntax import SYNTAX_ERROR, ParserMissing, Statement, parse


def only(script: str) -> Statement:
    ((statement,),) = parse([script])
    return statement


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("ALTER TABLE t ADD COLUMN c int", "ALTER_TABLE"),
        ("CREATE INDEX i ON t (c)", "CREATE_INDEX"),
        ("DO $$ BEGIN PERFORM 1; END $$", "DO"),
        ("UPDATE t SET c = ';'", "UPDATE"),
        ("\\d t", "PSQL_COMMAND"),
        ("VACUUM FULL t", "VACUUM"),
        ("ALTER TABLE t ADD COLUMN", SYNTAX_ERROR),
    ],
)
def test_statement_is_recognised(script: str, kind: str) -> None:
    assert only(script).kind == kind


def test_statements_of_a_script_are_parted_where_the_parser_parts_them() -> None:
    script = "SELECT 'a;b'; -- a; comment\nSELECT $$ ; $$; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1;'"

    (statements,) = parse([script])

    assert [statement.text for statement in statements] == [
        "SELECT 'a;b';",
        "SELECT $$ ; $$;",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1;'",
    ]


def test_offsets_are_of_bytes() -> None:
    statement = only('CREATE INDEX "größe🙂" ON "t ""x""" (b)')

    assert statement.node.name("INDEX") == "größe🙂"
    assert statement.node.name("TABLE_NAME_REF") == 't "x"'


@pytest.mark.parametrize(
    ("written", "stored"),
    [("Items", "items"), ('"Items"', "Items"), ("public.items", "items"), ('"Other"."Items"', "Other.Items")],
)
def test_name_is_as_postgresql_stores_it(written: str, stored: str) -> None:
    assert only(f"ALTER TABLE ONLY {written} ADD c int").node.name("TABLE_NAME_REF") == stored


def test_error_is_the_one_statements_that_has_it() -> None:
    (statements,) = parse(["SELECT 1; ALTER TABLE t ADD COLUMN; SELECT 2"])

    assert [statement.kind for statement in statements] == ["SELECT", SYNTAX_ERROR, "SELECT"]
    assert statements[1].errors == ["expected name", "expected type name"]


def test_many_scripts_keep_their_order_and_an_empty_one_has_no_statement() -> None:
    parsed = parse([f"SELECT {number}" if number % 2 else "-- nothing" for number in range(2500)])

    assert [statements[0].text for statements in parsed[1::2]] == [f"SELECT {number}" for number in range(1, 2500, 2)]
    assert not any(parsed[::2])


def test_missing_parser_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_guard.review.syntax.get_path", lambda _: "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(ParserMissing, match=r"pip install squawk-cli==") as refusal:
        parse(["SELECT 1"])

    assert refusal.value.returncode == 2
