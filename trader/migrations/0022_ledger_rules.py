"""What the database refuses of the ledger's entries and postings, whoever asks."""

from django.db import migrations

# Rows are looked up by their keys alone and compared afterwards: of a table that was never analyzed, the planner may
# take an index of any other column that is named, and read all of an account for each row.

# One look a statement, not one a row: a file brings thousands of entries at once. LATERAL with OFFSET looks up each by
# its keys, however many there are and whatever the planner believes of tables that it has not seen filled.
#
# The account stays locked until the entry is committed: what it is counted by is frozen from here on.
ENTRIES_OF_EXECUTIONS = """
CREATE FUNCTION trader_entries_of_executions() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp
SET enable_seqscan = off AS $$
DECLARE
    refused record;
BEGIN
    PERFORM FROM trader_account WHERE id = ANY(ARRAY(SELECT DISTINCT account_id FROM written)) FOR KEY SHARE;
    SELECT entry.id, entry.execution_id INTO refused
    FROM written entry
    LEFT JOIN LATERAL (SELECT id FROM trader_account WHERE id = entry.account_id OFFSET 0) account ON true
    LEFT JOIN LATERAL (SELECT * FROM trader_execution WHERE id = entry.execution_id OFFSET 0) execution ON true
    WHERE account.id IS NULL OR entry.kind = 'TRADE' AND (execution.account_id, execution.instrument_id)
        IS DISTINCT FROM (entry.account_id, entry.instrument_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format('Entry %s %s', refused.id, coalesce(
                'has another account or instrument than its execution ' || refused.execution_id
                    || '; take them from the execution',
                'is of an account that is not there; insert that first'));
    END IF;
    RETURN NULL;
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
# Asked at COMMIT, once for an entry, by when its postings are there.
ENTRY_IS_WHOLE = """
CREATE FUNCTION trader_entry_is_whole() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    legs bigint;
    balances boolean;
    reversal uuid := NEW.id;
    reversed uuid := NEW.reverses_id;
    fault text;
BEGIN
    SELECT sum(per_currency.legs), bool_and(per_currency.amount = 0) INTO legs, balances FROM (
        SELECT count(*) AS legs, sum(amount) AS amount FROM trader_posting WHERE entry_id = NEW.id GROUP BY currency_id
    ) per_currency;
    IF reversed IS NULL THEN
        SELECT id, reverses_id INTO reversal, reversed FROM trader_journalentry WHERE reverses_id = NEW.id;
    END IF;
    IF coalesce(legs, 0) < 2 THEN
        fault := 'has fewer than two postings: money comes from somewhere and goes somewhere; insert them in the '
            'transaction of the entry';
    ELSIF NOT balances THEN
        fault := 'does not sum to zero in each currency; insert the posting that is missing';
    ELSIF reversed IS NOT NULL AND EXISTS (
        -- OFFSET keeps the planner from reading all postings in the order of their ledger accounts.
        SELECT FROM (SELECT * FROM trader_posting WHERE entry_id IN (reversal, reversed) OFFSET 0) posting
        GROUP BY ledger_account_id HAVING sum(amount) <> 0
    ) THEN
        fault := format(
            'is not the exact negative of its other: %s reverses %s; negate each of its postings', reversal, reversed);
    END IF;
    IF fault IS NOT NULL THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format('Entry %s %s', NEW.id, fault);
    END IF;
    RETURN NULL;
END
$$
"""
# An entry may be written again as it is, by a trigger, in its own transaction: JOIN_ENTRY does.
ENTRY_TRIGGERS = """
CREATE TRIGGER trader_journalentry_execution_rule AFTER INSERT ON trader_journalentry
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION trader_entries_of_executions();
CREATE TRIGGER trader_journalentry_reverses_rule BEFORE INSERT ON trader_journalentry
    FOR EACH ROW WHEN (NEW.reverses_id IS NOT NULL) EXECUTE FUNCTION trader_entry_reverses();
CREATE TRIGGER trader_journalentry_posted_xid_stamp BEFORE INSERT ON trader_journalentry
    FOR EACH ROW EXECUTE FUNCTION trader_stamp_transaction();
CREATE CONSTRAINT TRIGGER trader_journalentry_postings_rule AFTER INSERT OR UPDATE ON trader_journalentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trader_entry_is_whole();
CREATE TRIGGER trader_journalentry_fact_rule BEFORE UPDATE ON trader_journalentry
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 OR age(OLD.xmin) > 0 OR OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION trader_refuse_change('insert a reversal');
CREATE TRIGGER trader_journalentry_delete_rule BEFORE DELETE ON trader_journalentry
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('insert a reversal');
CREATE TRIGGER trader_journalentry_truncate_rule BEFORE TRUNCATE ON trader_journalentry
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('insert reversals');
"""
DROP_ENTRY_TRIGGERS = """
DROP TRIGGER trader_journalentry_execution_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_reverses_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_posted_xid_stamp ON trader_journalentry;
DROP TRIGGER trader_journalentry_postings_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_fact_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_delete_rule ON trader_journalentry;
DROP TRIGGER trader_journalentry_truncate_rule ON trader_journalentry;
"""
# Ledger account and currency stay locked until the posting is committed: what it was counted by is frozen from here on.
# The entry's xmin is asked too: where a dump was restored, posted_xid is a number that comes again.
POSTINGS_OF_ENTRIES = """
CREATE FUNCTION trader_postings_of_entries() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp
SET enable_seqscan = off AS $$
DECLARE
    refused record;
BEGIN
    PERFORM FROM trader_ledgeraccount
    WHERE id = ANY(ARRAY(SELECT DISTINCT ledger_account_id FROM written)) FOR KEY SHARE;
    PERFORM FROM trader_currency WHERE id = ANY(ARRAY(SELECT DISTINCT currency_id FROM written)) FOR KEY SHARE;
    SELECT posting.amount, posting.entry_id, posting.reason INTO refused FROM (
        SELECT written.amount, written.entry_id, CASE
            WHEN entry.id IS NULL OR ledger.id IS NULL OR currency.id IS NULL
                THEN 'entry, ledger account or currency is not there'
            WHEN entry.posted_xid <> pg_current_xact_id()::text::bigint OR age(entry.xmin) > 0
                THEN 'the entry is of an earlier transaction'
            WHEN entry.value_date <> written.value_date THEN 'the entry has another value date'
            WHEN entry.account_id <> ledger.account_id THEN 'the ledger account is of another account than the entry'
            WHEN ledger.currency_id <> written.currency_id THEN 'the ledger account has another currency'
            WHEN round(written.amount, currency.minor_unit) <> written.amount
                THEN 'the amount is finer than the minor unit'
        END AS reason
        FROM written
        LEFT JOIN LATERAL (SELECT *, xmin FROM trader_journalentry WHERE id = entry_id OFFSET 0) entry ON true
        LEFT JOIN LATERAL (SELECT * FROM trader_ledgeraccount WHERE id = ledger_account_id OFFSET 0) ledger ON true
        LEFT JOIN LATERAL (SELECT * FROM trader_currency WHERE id = written.currency_id OFFSET 0) currency ON true
    ) posting
    WHERE posting.reason IS NOT NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Posting of %s to entry %s: %s; insert what agrees with the entry, in its transaction',
                refused.amount, refused.entry_id, refused.reason);
    END IF;
    RETURN NULL;
END
$$
"""
# SET CONSTRAINTS may have asked for an entry's rule before its last postings came: those that join others ask for it
# again, by an update that changes nothing.
JOIN_ENTRY = """
CREATE FUNCTION trader_join_entry() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off AS $$
DECLARE
    joined uuid;
BEGIN
    IF TG_RELID <> 'public.trader_posting'::regclass THEN
        RAISE insufficient_privilege USING MESSAGE = 'Entries are joined by trader_posting alone; insert there';
    END IF;
    FOR joined IN
        SELECT entry_id FROM written GROUP BY entry_id
        HAVING count(*) < (SELECT count(*) FROM trader_posting WHERE trader_posting.entry_id = written.entry_id)
    LOOP
        UPDATE trader_journalentry SET posted_xid = posted_xid WHERE id = joined;
    END LOOP;
    RETURN NULL;
END
$$
"""
POSTING_TRIGGERS = """
CREATE TRIGGER trader_posting_entry_rule AFTER INSERT ON trader_posting
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION trader_postings_of_entries();
CREATE TRIGGER trader_posting_entry_whole AFTER INSERT ON trader_posting
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION trader_join_entry();
CREATE TRIGGER trader_posting_fact_rule BEFORE UPDATE OR DELETE ON trader_posting
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('reverse its entry');
CREATE TRIGGER trader_posting_truncate_rule BEFORE TRUNCATE ON trader_posting
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('reverse their entries');
"""
DROP_POSTING_TRIGGERS = """
DROP TRIGGER trader_posting_entry_rule ON trader_posting;
DROP TRIGGER trader_posting_entry_whole ON trader_posting;
DROP TRIGGER trader_posting_fact_rule ON trader_posting;
DROP TRIGGER trader_posting_truncate_rule ON trader_posting;
"""


# review: create-trigger: the tables are new and empty, and these triggers are what they are kept by
class Migration(migrations.Migration):
    dependencies = [("trader", "0021_posting")]

    operations = [
        migrations.RunSQL(ENTRIES_OF_EXECUTIONS, reverse_sql="DROP FUNCTION trader_entries_of_executions()"),
        migrations.RunSQL(ENTRY_REVERSES, reverse_sql="DROP FUNCTION trader_entry_reverses()"),
        migrations.RunSQL(ENTRY_IS_WHOLE, reverse_sql="DROP FUNCTION trader_entry_is_whole()"),
        migrations.RunSQL(ENTRY_TRIGGERS, reverse_sql=DROP_ENTRY_TRIGGERS),
        migrations.RunSQL(POSTINGS_OF_ENTRIES, reverse_sql="DROP FUNCTION trader_postings_of_entries()"),
        migrations.RunSQL(JOIN_ENTRY, reverse_sql="DROP FUNCTION trader_join_entry()"),
        migrations.RunSQL(POSTING_TRIGGERS, reverse_sql=DROP_POSTING_TRIGGERS),
    ]
