"""What the database refuses of the ledger's entries and postings, whoever asks."""

from django.db import migrations

# Rows are looked up by their keys alone and compared afterwards: of a table that was never analyzed, the planner may
# take an index of any other column that is named, and read all of an account for each row.

# The account stays locked until the entry is committed: what it is counted by is frozen from here on.
ENTRY_OF_ACCOUNT = """
CREATE FUNCTION trader_entry_of_account() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM trader_account WHERE id = NEW.account_id FOR KEY SHARE;
    RETURN NEW;
END
$$
"""
ENTRY_OF_EXECUTION = """
CREATE FUNCTION trader_entry_of_execution() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    traded trader_execution;
BEGIN
    SELECT * INTO traded FROM trader_execution WHERE id = NEW.execution_id;
    IF (traded.account_id, traded.instrument_id) IS DISTINCT FROM (NEW.account_id, NEW.instrument_id) THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Entry %s has another account or instrument than its execution %s; take them from the execution',
                NEW.id, NEW.execution_id);
    END IF;
    RETURN NEW;
END
$$
"""
ENTRY_REVERSES = """
CREATE FUNCTION trader_entry_reverses() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    reversed trader_journalentry;
BEGIN
    SELECT * INTO reversed FROM trader_journalentry WHERE id = NEW.reverses_id;
    IF coalesce(reversed.kind, 'REVERSAL') = 'REVERSAL'
        OR (reversed.account_id, reversed.instrument_id, reversed.value_date)
        IS DISTINCT FROM (NEW.account_id, NEW.instrument_id, NEW.value_date) THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Entry %s reverses %s, which is not there, is a reversal itself, or has another account, instrument or '
                'value date; reverse an entry that is none, on its own value date', NEW.id, NEW.reverses_id);
    END IF;
    RETURN NEW;
END
$$
"""
ENTRY_HAS_POSTINGS = """
CREATE FUNCTION trader_entry_has_postings() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM trader_posting WHERE entry_id = NEW.id) < 2 THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Entry %s has fewer than two postings: money comes from somewhere and goes somewhere; insert them in '
                'the transaction of the entry', NEW.id);
    END IF;
    RETURN NULL;
END
$$
"""
ENTRY_TRIGGERS = """
CREATE TRIGGER trader_journalentry_account_hold BEFORE INSERT ON trader_journalentry
    FOR EACH ROW EXECUTE FUNCTION trader_entry_of_account();
CREATE TRIGGER trader_journalentry_execution_rule BEFORE INSERT ON trader_journalentry
    FOR EACH ROW WHEN (NEW.kind = 'TRADE') EXECUTE FUNCTION trader_entry_of_execution();
CREATE TRIGGER trader_journalentry_reverses_rule BEFORE INSERT ON trader_journalentry
    FOR EACH ROW WHEN (NEW.reverses_id IS NOT NULL) EXECUTE FUNCTION trader_entry_reverses();
CREATE TRIGGER trader_journalentry_posted_xid_stamp BEFORE INSERT ON trader_journalentry
    FOR EACH ROW EXECUTE FUNCTION trader_stamp_transaction();
CREATE CONSTRAINT TRIGGER trader_journalentry_postings_rule AFTER INSERT ON trader_journalentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trader_entry_has_postings();
CREATE TRIGGER trader_journalentry_fact_rule BEFORE UPDATE OR DELETE ON trader_journalentry
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('insert a reversal');
CREATE TRIGGER trader_journalentry_truncate_rule BEFORE TRUNCATE ON trader_journalentry
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('insert reversals');
"""
DROP_ENTRY_TRIGGERS = """
DROP TRIGGER trader_journalentry_account_hold ON trader_journalentry;
DROP TRIGGER trader_journalentry_execution_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_reverses_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_posted_xid_stamp ON trader_journalentry;
DROP TRIGGER trader_journalentry_postings_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_fact_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_truncate_rule ON trader_journalentry;
"""
# Ledger account and currency stay locked until the posting is committed: what it was counted by is frozen from here on.
# The entry's xmin is asked too: where a dump was restored, posted_xid is a number that comes again.
POSTING_OF_ENTRY = """
CREATE FUNCTION trader_posting_of_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    refused text;
BEGIN
    SELECT CASE
        WHEN entry.posted_xid <> pg_current_xact_id()::text::bigint OR age(entry.xmin) > 0
            THEN 'the entry is of an earlier transaction'
        WHEN entry.value_date <> NEW.value_date THEN 'the entry has another value date'
        WHEN entry.account_id <> ledger.account_id THEN 'the ledger account is of another account than the entry'
        WHEN ledger.currency_id <> NEW.currency_id THEN 'the ledger account has another currency'
        WHEN round(NEW.amount, currency.minor_unit) <> NEW.amount THEN 'the amount is finer than the minor unit'
    END INTO refused
    FROM trader_journalentry entry, trader_ledgeraccount ledger, trader_currency currency
    WHERE entry.id = NEW.entry_id AND ledger.id = NEW.ledger_account_id AND currency.id = NEW.currency_id
    FOR KEY SHARE OF ledger, currency;
    IF refused IS NOT NULL OR NOT FOUND THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Posting of %s to entry %s: %s; insert what agrees with the entry, in its transaction',
                NEW.amount, NEW.entry_id, coalesce(refused, 'entry, ledger account or currency is not there'));
    END IF;
    RETURN NEW;
END
$$
"""
ENTRY_BALANCES = """
CREATE FUNCTION trader_entry_balances() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM trader_posting WHERE entry_id = NEW.entry_id GROUP BY currency_id HAVING sum(amount) <> 0;
    IF FOUND THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'The postings of entry %s do not sum to zero in each currency; insert the leg that is missing',
                NEW.entry_id);
    END IF;
    RETURN NULL;
END
$$
"""
# Asked for each posting of either entry: both may be written in one transaction, in any order.
REVERSAL_NEGATES = """
CREATE FUNCTION trader_reversal_negates() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    reversal uuid;
    reversed uuid;
BEGIN
    SELECT id, reverses_id INTO reversal, reversed FROM trader_journalentry WHERE id = NEW.entry_id;
    IF reversed IS NULL THEN
        SELECT id, reverses_id INTO reversal, reversed FROM trader_journalentry WHERE reverses_id = NEW.entry_id;
    END IF;
    IF reversed IS NULL THEN
        RETURN NULL;
    END IF;
    -- OFFSET keeps the planner from reading all postings in the order of their ledger accounts.
    PERFORM FROM (SELECT * FROM trader_posting WHERE entry_id IN (reversal, reversed) OFFSET 0) posting
    GROUP BY ledger_account_id HAVING sum(amount) <> 0;
    IF FOUND THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Entry %s is not the exact negative of %s, which it reverses; negate each of its postings',
                reversal, reversed);
    END IF;
    RETURN NULL;
END
$$
"""
POSTING_TRIGGERS = """
CREATE TRIGGER trader_posting_entry_rule BEFORE INSERT ON trader_posting
    FOR EACH ROW EXECUTE FUNCTION trader_posting_of_entry();
CREATE CONSTRAINT TRIGGER trader_posting_balance_rule AFTER INSERT ON trader_posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trader_entry_balances();
CREATE CONSTRAINT TRIGGER trader_posting_reversal_rule AFTER INSERT ON trader_posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trader_reversal_negates();
CREATE TRIGGER trader_posting_fact_rule BEFORE UPDATE OR DELETE ON trader_posting
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('reverse its entry');
CREATE TRIGGER trader_posting_truncate_rule BEFORE TRUNCATE ON trader_posting
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('reverse their entries');
"""
DROP_POSTING_TRIGGERS = """
DROP TRIGGER trader_posting_entry_rule ON trader_posting;
DROP TRIGGER trader_posting_balance_rule ON trader_posting;
DROP TRIGGER trader_posting_reversal_rule ON trader_posting;
DROP TRIGGER trader_posting_fact_rule ON trader_posting;
DROP TRIGGER trader_posting_truncate_rule ON trader_posting;
"""


# review: create-trigger: the tables are new and empty, and these triggers are what they are kept by
class Migration(migrations.Migration):
    dependencies = [("trader", "0021_posting")]

    operations = [
        migrations.RunSQL(ENTRY_OF_ACCOUNT, reverse_sql="DROP FUNCTION trader_entry_of_account()"),
        migrations.RunSQL(ENTRY_OF_EXECUTION, reverse_sql="DROP FUNCTION trader_entry_of_execution()"),
        migrations.RunSQL(ENTRY_REVERSES, reverse_sql="DROP FUNCTION trader_entry_reverses()"),
        migrations.RunSQL(ENTRY_HAS_POSTINGS, reverse_sql="DROP FUNCTION trader_entry_has_postings()"),
        migrations.RunSQL(ENTRY_TRIGGERS, reverse_sql=DROP_ENTRY_TRIGGERS),
        migrations.RunSQL(POSTING_OF_ENTRY, reverse_sql="DROP FUNCTION trader_posting_of_entry()"),
        migrations.RunSQL(ENTRY_BALANCES, reverse_sql="DROP FUNCTION trader_entry_balances()"),
        migrations.RunSQL(REVERSAL_NEGATES, reverse_sql="DROP FUNCTION trader_reversal_negates()"),
        migrations.RunSQL(POSTING_TRIGGERS, reverse_sql=DROP_POSTING_TRIGGERS),
    ]
