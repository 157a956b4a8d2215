"""What the role that serves tries in vain, with all that psql gives it."""

from uuid import UUID

import psycopg
import pytest
from psycopg.errors import FeatureNotSupported, InsufficientPrivilege, SerializationFailure

from tests.factories import DAY
from tests.trader.conftest import Connect
from tests.trader.models.plain_sql import CHECK_REFERENCES, PlainBook, refused
from trader.models.keys import uuid7

ENTRY = "trader_posting_entry_rule"
POSTINGS = "trader_journalentry_postings_rule"
FILLS = "trader_order_fills_rule"
MULTIPLIER = "trader_instrument_currency_multiplier_factor_execution_rule"

XID = "SELECT pg_current_xact_id()::text::bigint"
FUNCTIONS = "SELECT proname, prosecdef, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
INSERT_ENTRY = """
    INSERT INTO public.trader_journalentry (id, account_id, value_date, kind, actor, recorded_at)
    VALUES (gen_random_uuid(), {account}, '{day}', 'DEPOSIT', 'a trader', now())
"""
INSERT_POSTING = "INSERT INTO public.trader_posting (entry_id, ledger_account_id, currency_id, amount, value_date)"
INSERT_EXECUTION = """
    INSERT INTO public.trader_execution (id, order_id, account_id, instrument_id, source, exec_id, exec_type, side,
        last_qty, last_px, last_mkt, transact_time, trade_date, actor, recorded_at)
    SELECT gen_random_uuid(), id, account_id, instrument_id, 'manual', '1', 'F', side,
        1, 1, '', transact_time, '2026-01-05', 'a trader', now()
    FROM public.trader_order
"""


@pytest.fixture
def mine(application_connection: psycopg.Connection) -> PlainBook:
    """A book in a session of the application's role, which is rolled back."""
    return PlainBook(application_connection)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE trader_posting DISABLE TRIGGER trader_posting_entry_rule",
        "ALTER TABLE trader_posting DROP CONSTRAINT trader_posting_amount_check",
        "ALTER TABLE trader_posting OWNER TO CURRENT_USER",
        "DROP TRIGGER trader_order_fills_rule ON trader_order",
        "CREATE TRIGGER mine BEFORE INSERT ON trader_order EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE mine AS ON INSERT TO trader_posting DO INSTEAD NOTHING",
        "CREATE POLICY mine ON trader_posting USING (false)",
        "CREATE TEMPORARY TABLE mine () INHERITS (public.trader_posting)",
        "CREATE OR REPLACE FUNCTION trader_order_fills() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "ALTER FUNCTION trader_fill_order() SET search_path = pg_temp",
        "DROP FUNCTION trader_refuse_change() CASCADE",
        "CREATE FUNCTION public.round(numeric, smallint) RETURNS numeric LANGUAGE sql AS 'SELECT $1'",
        "CREATE OPERATOR public.<> (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = numeric_eq)",
        "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION trader_refuse_change()",
        "SELECT set_config('session_replication_role', 'replica', false)",
        "ALTER ROLE CURRENT_USER SET session_replication_role = replica",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "SELECT setval('trader_posting_id_seq', 1)",
        "UPDATE pg_trigger SET tgenabled = 'D'",
        "TRUNCATE trader_posting CASCADE",
        "COPY trader_posting TO PROGRAM 'cat'",
    ],
)
def test_the_application_cannot_disarm_a_rule(application_connection: psycopg.Connection, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        application_connection.execute(statement.encode())


@pytest.mark.django_db
def test_every_function_of_the_book_names_its_schema_and_two_run_as_the_owner(mine: PlainBook) -> None:
    functions = mine.execute(FUNCTIONS).fetchall()

    assert {name for name, is_definer, _ in functions if is_definer} == {"trader_fill_order", "trader_join_entry"}
    assert all("search_path=public, pg_temp" in (settings or ()) for *_, settings in functions)


FORGED_TRIGGER = """
    CREATE TEMPORARY TABLE bait (order_id uuid);
    CREATE FUNCTION pg_temp.fill() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE public.trader_order SET cum_qty = 5 WHERE id = NEW.order_id;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fill BEFORE INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.fill();
"""
BORROWED_TRIGGER = """
    CREATE TEMPORARY TABLE trader_execution (
        id uuid, order_id uuid, exec_ref_id uuid, exec_type text, last_qty numeric, last_px numeric
    );
    CREATE TRIGGER fill AFTER INSERT ON pg_temp.trader_execution
        FOR EACH ROW EXECUTE FUNCTION public.trader_fill_order();
"""


@pytest.mark.django_db
def test_the_application_cannot_pass_for_the_trigger_by_its_depth(mine: PlainBook) -> None:
    order = mine.order()
    mine.execute(FORGED_TRIGGER)

    with refused(mine.session, FILLS):
        mine.execute("INSERT INTO bait VALUES (%s)", order)


@pytest.mark.django_db
def test_the_application_cannot_borrow_the_trigger_for_a_table_of_its_own(mine: PlainBook) -> None:
    order = mine.order()
    mine.execute(BORROWED_TRIGGER)

    with pytest.raises(InsufficientPrivilege, match="filled by trader_execution alone"):
        mine.execute("INSERT INTO pg_temp.trader_execution VALUES (NULL, %s, NULL, 'F', 5, 1)", order)


BORROWED_STATEMENT_TRIGGER = """
    CREATE TEMPORARY TABLE trader_posting (entry_id uuid);
    CREATE TRIGGER ask AFTER INSERT ON pg_temp.trader_posting
        REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.trader_join_entry();
"""
FORGED_ENTRY_TRIGGER = """
    CREATE TEMPORARY TABLE bait (entry_id uuid, rate numeric);
    CREATE FUNCTION pg_temp.rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE public.trader_journalentry SET fx_rate = NEW.rate WHERE id = NEW.entry_id;
        RETURN NEW;
    END $$;
    CREATE TRIGGER rewrite BEFORE INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.rewrite();
"""


@pytest.mark.django_db
def test_the_application_cannot_ask_for_entries_by_a_table_of_its_own(mine: PlainBook) -> None:
    entry = mine.deposit()
    mine.execute(BORROWED_STATEMENT_TRIGGER)

    with pytest.raises(InsufficientPrivilege, match="joined by trader_posting alone"):
        mine.execute("INSERT INTO pg_temp.trader_posting VALUES (%s)", entry)


@pytest.mark.django_db
def test_the_application_cannot_change_an_entry_by_a_trigger_of_its_own(mine: PlainBook) -> None:
    entry = mine.deposit()
    mine.execute(FORGED_ENTRY_TRIGGER)
    mine.execute("INSERT INTO bait VALUES (%s, NULL)", entry)

    with refused(mine.session, "trader_journalentry_fact_rule"):
        mine.execute("INSERT INTO bait VALUES (%s, 2)", entry)


def test_the_application_cannot_write_an_old_entry_again(committed: Connect) -> None:
    session = committed("application")
    with session.transaction():
        entry = PlainBook(session).deposit()

    session.execute(FORGED_ENTRY_TRIGGER.encode())

    with refused(session, "trader_journalentry_fact_rule"):
        session.execute("INSERT INTO bait VALUES (%s, NULL)", [entry])


@pytest.mark.django_db
@pytest.mark.parametrize("function", ["trader_fill_order", "trader_join_entry"])
def test_the_application_cannot_call_the_owners_functions(mine: PlainBook, function: str) -> None:
    with pytest.raises(FeatureNotSupported):
        mine.execute(f"SELECT {function}()")


# The tables that the rules look into, as a liar would have them, and functions and an operator that the rules use.
DISGUISE = """
    CREATE TEMPORARY TABLE trader_order AS SELECT * FROM public.trader_order;
    UPDATE pg_temp.trader_order SET side = 'SELL', order_qty = 900;
    CREATE TEMPORARY TABLE trader_execution AS SELECT * FROM public.trader_execution;
    UPDATE pg_temp.trader_execution SET posted_xid = pg_current_xact_id()::text::bigint, last_qty = 900;
    CREATE TEMPORARY TABLE trader_journalentry AS SELECT * FROM public.trader_journalentry;
    UPDATE pg_temp.trader_journalentry SET posted_xid = pg_current_xact_id()::text::bigint;
    CREATE TEMPORARY TABLE trader_currency AS SELECT * FROM public.trader_currency;
    UPDATE pg_temp.trader_currency SET minor_unit = 18;
    CREATE TEMPORARY TABLE trader_instrument AS SELECT * FROM public.trader_instrument;
    UPDATE pg_temp.trader_instrument SET qty_increment = 1e-18;
    CREATE TEMPORARY TABLE trader_posting (LIKE public.trader_posting);
    CREATE TEMPORARY TABLE trader_lotselection (LIKE public.trader_lotselection);
    CREATE FUNCTION pg_temp.round(numeric, smallint) RETURNS numeric LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION pg_temp.pg_current_xact_id() RETURNS xid8 LANGUAGE sql
        AS 'SELECT min(posted_xid)::text::xid8 FROM public.trader_journalentry';
    CREATE OPERATOR pg_temp.<> (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = numeric_eq);
    SET search_path = pg_temp, public;
"""


def test_what_lies_in_the_applications_own_schema_is_never_taken_for_the_books(committed: Connect) -> None:
    session = committed("application")
    with session.transaction():
        book = PlainBook(session)
        entry, lot, order = book.deposit(), book.execution(last_qty="3"), book.order()

    with session.transaction():
        book.execute(DISGUISE)
        with refused(session, ENTRY):
            book.posting(entry, "CASH", "5")
        with refused(session, "trader_executionfee_execution_rule"):
            book.fee(lot)
        closing = book.execution(side="SELL")
        with refused(session, "trader_lotselection_quantity_rule"):
            book.selection(closing, lot, "4")
        with refused(session, "trader_execution_order_rule"):
            book.fill(order, "1", side="SELL")
        with refused(session, "trader_order_cum_qty_check"):
            book.fill(order, "101")
        with refused(session, "trader_execution_qty_increment_rule"):
            book.execution(last_qty="0.5")
        with refused(session, "trader_currency_minor_unit_posting_rule"):
            book.execute("UPDATE public.trader_currency SET minor_unit = 3 WHERE id = %s", book.currency)
        another = book.entry()
        with refused(session, ENTRY):
            book.posting(another, "CASH", "0.001")
        book.posting(another, "CASH", "2")
        book.posting(another, "EQUITY", "-1")
        with refused(session, POSTINGS):
            book.execute(CHECK_REFERENCES)
        book.posting(another, "EQUITY", "-1")


def test_commit_refuses_an_entry_out_of_balance_and_leaves_nothing_of_it(committed: Connect) -> None:
    session = committed("application")
    with session.transaction():
        book = PlainBook(session)

    with refused(session, POSTINGS):
        entry = book.deposit()
        book.posting(entry, "CASH", "0.01")

    assert book.value("SELECT count(*) FROM trader_posting") == 0
    assert book.value("SELECT count(*) FROM trader_journalentry") == 0


def test_nothing_joins_a_fact_of_an_earlier_transaction(committed: Connect) -> None:
    session = committed("application")
    with session.transaction():
        book = PlainBook(session)
        entry, lot, closing = book.deposit(), book.execution(), book.execution(side="SELL")

    for other in (session, committed("application"), committed("owner")):
        later = book.at(other)
        with refused(other, ENTRY):
            later.posting(entry, "CASH", "5")
            later.posting(entry, "CASH", "-5")
        with refused(other, "trader_executionfee_execution_rule"):
            later.fee(lot)
        with refused(other, "trader_lotselection_closing_execution_rule"):
            later.selection(closing, lot, "1")


def restore(book: PlainBook, posted_xid: int) -> tuple[UUID, UUID]:
    """An entry and an execution as a dump brings them: its rows are copied before the triggers are made."""
    with book.session.transaction():
        book.execute("SET LOCAL session_replication_role = replica")
        key = uuid7()
        return book.entry(posted_xid=posted_xid), book.execution(id=key, trade_id=key, posted_xid=posted_xid)


def test_nothing_joins_a_restored_fact_when_the_number_of_its_transaction_comes_again(committed: Connect) -> None:
    owner, session = committed("owner"), committed("application")
    with owner.transaction():
        book = PlainBook(owner)
        book.ledger_account("CASH")
    there = book.at(session)

    for _ in range(1000):
        number = book.value(XID) + 2
        entry, execution = restore(book, number)
        with session.transaction(force_rollback=True):
            if there.value(XID) != number:
                continue  # A session of another database was faster.
            with refused(session, ENTRY):
                there.posting(entry, "CASH", "5")
            with refused(session, "trader_executionfee_execution_rule"):
                there.fee(execution)
            return
    pytest.fail("the number was never the next one")


@pytest.mark.parametrize("legs", [{}, {"CASH": "2", "EQUITY": "-1"}])
def test_a_refusal_that_was_caught_is_not_forgotten(committed: Connect, legs: dict[str, str]) -> None:
    session = committed("application")
    with session.transaction():
        book = PlainBook(session)

    with refused(session, POSTINGS):
        entry = book.entry()
        for kind, amount in legs.items():
            book.posting(entry, kind, amount)
        book.execute(
            "DO $$ BEGIN SET CONSTRAINTS ALL IMMEDIATE; EXCEPTION WHEN integrity_constraint_violation THEN END $$"
        )
        book.execute("SET CONSTRAINTS ALL DEFERRED")


LATE_TRIGGER = """
    CREATE TEMPORARY TABLE bait (entry_id uuid, ledger_account_id bigint, currency_id bigint);
    CREATE FUNCTION pg_temp.post() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.trader_posting (entry_id, ledger_account_id, currency_id, amount, value_date)
        VALUES (NEW.entry_id, NEW.ledger_account_id, NEW.currency_id, 5, '2026-01-05');
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER post AFTER INSERT ON bait DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION pg_temp.post();
"""


def test_what_is_posted_while_the_transaction_commits_is_asked_about_too(committed: Connect) -> None:
    session = committed("application")
    with session.transaction():
        book = PlainBook(session)
        book.execute(LATE_TRIGGER)

    with refused(session, POSTINGS):
        entry = book.deposit()
        book.execute("INSERT INTO bait VALUES (%s, %s, %s)", entry, book.ledger_account("CASH"), book.currency)


@pytest.mark.django_db
@pytest.mark.parametrize(("credit", "balances"), [("-5", True), ("-4.99", False)])
def test_an_entry_and_its_postings_come_in_one_statement(mine: PlainBook, credit: str, balances: bool) -> None:
    cash, equity = mine.ledger_account("CASH"), mine.ledger_account("EQUITY")
    entry = INSERT_ENTRY.format(account=mine.account, day=DAY)

    posted = mine.execute(
        f"WITH entry AS ({entry} RETURNING id) {INSERT_POSTING}"
        f" SELECT id, leg.account, %s, leg.amount, %s FROM entry,"
        f" (VALUES (%s::bigint, 5), (%s, %s::numeric)) AS leg (account, amount)",
        mine.currency,
        DAY,
        cash,
        equity,
        credit,
    )

    assert posted.rowcount == 2
    if balances:
        mine.execute(CHECK_REFERENCES)
    else:
        with refused(mine.session, POSTINGS):
            mine.execute(CHECK_REFERENCES)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE trader_order SET lifecycle = '8' FROM fill WHERE id = fill.order_id", "lifecycle_cum_qty_check"),
        ("UPDATE trader_order SET lifecycle = '8'", "lifecycle_cum_qty_check"),
        ("UPDATE trader_order SET cum_qty = 1 FROM fill WHERE id = fill.order_id", "fills_rule"),
        ("UPDATE trader_order SET cum_qty = 1", "fills_rule"),
    ],
)
def test_a_fill_and_what_contradicts_it_do_not_pass_in_one_statement(
    mine: PlainBook, statement: str, rule: str
) -> None:
    mine.order()

    with refused(mine.session, f"trader_order_{rule}"):
        mine.execute(f"WITH fill AS ({INSERT_EXECUTION} RETURNING order_id) {statement}")


@pytest.mark.django_db
def test_a_first_use_and_a_change_of_what_it_is_counted_by_do_not_pass_in_one_statement(mine: PlainBook) -> None:
    mine.order()

    with refused(mine.session, MULTIPLIER):
        mine.execute(
            f"WITH fill AS ({INSERT_EXECUTION} RETURNING instrument_id)"
            " UPDATE trader_instrument SET multiplier = 2 FROM fill WHERE id = fill.instrument_id"
        )


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["instrument_id", "account_id"])
def test_an_execution_does_not_come_before_what_it_is_of(mine: PlainBook, missing: str) -> None:
    with refused(mine.session, "trader_execution_qty_increment_rule"):
        mine.execution(**{missing: 1_000_000})


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_does_not_hide_what_others_selected(committed: Connect, level: str) -> None:
    session, other = committed("application"), committed("application")
    with session.transaction():
        book = PlainBook(session)
        lot = book.execution()

    with refused(session, "trader_lotselection_quantity_rule"):
        book.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        book.value("SELECT count(*) FROM trader_execution")
        with other.transaction():
            there = book.at(other)
            there.selection(there.execution(side="SELL"), lot, "6")
        book.selection(book.execution(side="SELL"), lot, "6")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_does_not_hide_a_first_use(committed: Connect, level: str) -> None:
    session, other = committed("application"), committed("application")
    with session.transaction():
        book = PlainBook(session)

    with refused(session, MULTIPLIER):
        book.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        book.value("SELECT count(*) FROM trader_execution")
        book.at(other).execution()
        book.execute("UPDATE trader_instrument SET multiplier = 2")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_does_not_overfill(committed: Connect, level: str) -> None:
    session, other = committed("application"), committed("application")
    with session.transaction():
        book = PlainBook(session)
        order = book.order()

    def overfill() -> None:
        with session.transaction():
            book.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            book.value("SELECT count(*) FROM trader_execution")
            book.at(other).fill(order, "60")
            book.fill(order, "60")

    with pytest.raises(SerializationFailure):
        overfill()
    assert book.value("SELECT cum_qty FROM trader_order") == 60
