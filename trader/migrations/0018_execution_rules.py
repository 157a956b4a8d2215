"""What the database refuses of executions, their fees and lot selections, and how executions fill an order."""

from django.db import migrations

# A rule that takes a lock and then looks must see what was committed before the lock was given; the snapshot of
# REPEATABLE READ and SERIALIZABLE is older.
REFUSE_OLD_SNAPSHOT = """
CREATE FUNCTION trader_refuse_old_snapshot(rule text, changed text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = rule,
            TABLE = changed,
            MESSAGE = format(
                'A change of %s in a transaction of %s: its rule cannot see what others committed meanwhile; '
                'use READ COMMITTED', changed, upper(current_setting('transaction_isolation')));
    END IF;
END
$$
"""
STAMP_TRANSACTION = """
CREATE FUNCTION trader_stamp_transaction() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    NEW.posted_xid := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$
"""
# Of all locks that an execution takes, its order's comes first: its trigger's name sorts before that of the others.
EXECUTION_OF_ORDER = """
CREATE FUNCTION trader_execution_of_order() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    ordered trader_order;
BEGIN
    SELECT * INTO ordered FROM trader_order WHERE id = NEW.order_id FOR NO KEY UPDATE;
    IF (ordered.account_id, ordered.instrument_id, ordered.side)
        IS DISTINCT FROM (NEW.account_id, NEW.instrument_id, NEW.side) THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Execution %s has another account, instrument or side than its order %s; take them from the order',
                NEW.exec_id, NEW.order_id);
    END IF;
    RETURN NEW;
END
$$
"""
EXECUTION_REFERS = """
CREATE FUNCTION trader_execution_refers() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    former trader_execution;
BEGIN
    IF NEW.exec_ref_id IS NULL THEN
        NEW.trade_id := NEW.id;
        RETURN NEW;
    END IF;
    SELECT * INTO former FROM trader_execution WHERE id = NEW.exec_ref_id;
    IF coalesce(former.exec_type, 'H') = 'H'
        OR (former.order_id, former.account_id, former.instrument_id, former.source, former.side)
        IS DISTINCT FROM (NEW.order_id, NEW.account_id, NEW.instrument_id, NEW.source, NEW.side)
        OR (former.transact_time, former.trade_date) IS DISTINCT FROM (NEW.transact_time, NEW.trade_date) THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Execution %s refers to %s, which is not there, is cancelled, or is of another order, account, '
                'instrument, source, side or time; refer to the last report of the trade and take these from it',
                NEW.exec_id, NEW.exec_ref_id);
    END IF;
    NEW.trade_id := former.trade_id;
    RETURN NEW;
END
$$
"""
# One look a statement, not one a row: a file brings thousands of executions at once. LATERAL with OFFSET looks up each
# by its keys, however many there are and whatever the planner believes of tables that it has not seen filled.
#
# Account and instrument stay locked until the executions are committed: what these were counted by is frozen from here.
EXECUTIONS_OF_INCREMENT = """
CREATE FUNCTION trader_executions_of_increment() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp
SET enable_seqscan = off AS $$
DECLARE
    refused record;
BEGIN
    PERFORM FROM trader_instrument WHERE id = ANY(ARRAY(SELECT DISTINCT instrument_id FROM written)) FOR KEY SHARE;
    PERFORM FROM trader_account WHERE id = ANY(ARRAY(SELECT DISTINCT account_id FROM written)) FOR KEY SHARE;
    SELECT execution.exec_id, execution.last_qty, instrument.qty_increment INTO refused
    FROM written execution
    LEFT JOIN LATERAL (SELECT * FROM trader_instrument WHERE id = instrument_id OFFSET 0) instrument ON true
    LEFT JOIN LATERAL (SELECT id FROM trader_account WHERE id = account_id OFFSET 0) account ON true
    WHERE instrument.id IS NULL OR account.id IS NULL
        OR execution.last_qty < instrument.qty_increment AND execution.exec_type <> 'H'
    LIMIT 1;
    IF FOUND THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format('Execution %s of %s: %s', refused.exec_id, refused.last_qty, coalesce(
                'the instrument trades no less than ' || refused.qty_increment
                    || '; correct the quantity or the increment',
                'its instrument or account is not there; insert them first'));
    END IF;
    RETURN NULL;
END
$$
"""
# Each product is rounded before it is added, so that taking it back gives the former notional to the last digit.
FILL_ORDER = """
CREATE FUNCTION trader_fill_order() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    qty numeric := NEW.last_qty;
    amount numeric := round(NEW.last_qty * NEW.last_px, 18);
BEGIN
    IF TG_RELID <> 'public.trader_execution'::regclass THEN
        RAISE insufficient_privilege USING MESSAGE = 'Orders are filled by trader_execution alone; insert there';
    END IF;
    IF NEW.exec_ref_id IS NOT NULL THEN
        SELECT qty - last_qty, amount - round(last_qty * last_px, 18) INTO qty, amount
        FROM trader_execution WHERE id = NEW.exec_ref_id;
    END IF;
    UPDATE trader_order SET
        cum_qty = cum_qty + qty,
        notional = notional + amount,
        avg_px = CASE cum_qty + qty WHEN 0 THEN 0 ELSE round((notional + amount) / (cum_qty + qty), 18) END,
        lifecycle = CASE WHEN lifecycle = 'A' AND NEW.exec_type = 'F' THEN '0' ELSE lifecycle END
    WHERE id = NEW.order_id;
    RETURN NULL;
END
$$
"""
EXECUTION_TRIGGERS = """
CREATE TRIGGER trader_execution_exec_ref_rule BEFORE INSERT ON trader_execution
    FOR EACH ROW EXECUTE FUNCTION trader_execution_refers();
CREATE TRIGGER trader_execution_order_rule BEFORE INSERT ON trader_execution
    FOR EACH ROW WHEN (NEW.order_id IS NOT NULL) EXECUTE FUNCTION trader_execution_of_order();
CREATE TRIGGER trader_execution_posted_xid_stamp BEFORE INSERT ON trader_execution
    FOR EACH ROW EXECUTE FUNCTION trader_stamp_transaction();
CREATE TRIGGER trader_execution_qty_increment_rule AFTER INSERT ON trader_execution
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION trader_executions_of_increment();
CREATE TRIGGER trader_execution_order_fill AFTER INSERT ON trader_execution
    FOR EACH ROW WHEN (NEW.order_id IS NOT NULL) EXECUTE FUNCTION trader_fill_order();
CREATE TRIGGER trader_execution_fact_rule BEFORE UPDATE OR DELETE ON trader_execution
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('insert a correction (G) or a cancel (H)');
CREATE TRIGGER trader_execution_truncate_rule BEFORE TRUNCATE ON trader_execution
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('insert cancels (H)');
"""
DROP_EXECUTION_TRIGGERS = """
DROP TRIGGER trader_execution_exec_ref_rule ON trader_execution;
DROP TRIGGER trader_execution_order_rule ON trader_execution;
DROP TRIGGER trader_execution_posted_xid_stamp ON trader_execution;
DROP TRIGGER trader_execution_qty_increment_rule ON trader_execution;
DROP TRIGGER trader_execution_order_fill ON trader_execution;
DROP TRIGGER trader_execution_fact_rule ON trader_execution;
DROP TRIGGER trader_execution_truncate_rule ON trader_execution;
"""
# The trigger's argument is the column that names the execution. In a cluster that a dump was restored to, transactions
# are numbered anew and come to posted_xid again: the row's own xmin then is older than the transaction.
JOIN_EXECUTION = """
CREATE FUNCTION trader_join_execution() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    execution uuid := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    PERFORM FROM trader_execution
    WHERE id = execution AND posted_xid = pg_current_xact_id()::text::bigint AND age(xmin) <= 0;
    IF NOT FOUND THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'A row of %s for execution %s, which this transaction did not write: it comes with its execution or '
                'not at all; correct the execution', TG_TABLE_NAME, execution);
    END IF;
    RETURN NEW;
END
$$
"""
FEE_TRIGGERS = """
CREATE TRIGGER trader_executionfee_execution_rule BEFORE INSERT ON trader_executionfee
    FOR EACH ROW EXECUTE FUNCTION trader_join_execution('execution_id');
CREATE TRIGGER trader_executionfee_fact_rule BEFORE UPDATE OR DELETE ON trader_executionfee
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('correct the execution');
CREATE TRIGGER trader_executionfee_truncate_rule BEFORE TRUNCATE ON trader_executionfee
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('correct the executions');
"""
DROP_FEE_TRIGGERS = """
DROP TRIGGER trader_executionfee_execution_rule ON trader_executionfee;
DROP TRIGGER trader_executionfee_fact_rule ON trader_executionfee;
DROP TRIGGER trader_executionfee_truncate_rule ON trader_executionfee;
"""
# The splits' numerators and denominators are multiplied before the one division, whose 40 places keep a third exact
# enough to be rounded to 18 places when all are added up.
OPENED_QUANTITY = """
CREATE FUNCTION trader_opened_quantity(instrument bigint, opened date, closed date, quantity numeric) RETURNS numeric
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    split record;
    numerator numeric := 1;
    denominator numeric := 1;
BEGIN
    FOR split IN
        SELECT action.numerator, action.denominator FROM trader_corporateaction action
        WHERE action.instrument_id = instrument AND action.type = 'SPLIT'
            AND action.ex_date > opened AND action.ex_date <= closed
    LOOP
        numerator := numerator * split.numerator;
        denominator := denominator * split.denominator;
    END LOOP;
    RETURN round(quantity, 40) * denominator / numerator;
END
$$
"""
LOT_OF_SELECTION = """
CREATE FUNCTION trader_lot_of_selection() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    closing trader_execution;
    opening trader_execution;
BEGIN
    SELECT * INTO closing FROM trader_execution WHERE id = NEW.closing_execution_id;
    SELECT * INTO opening FROM trader_execution WHERE id = NEW.opening_execution_id;
    IF 'H' IN (coalesce(opening.exec_type, 'H'), coalesce(closing.exec_type, 'H'))
        OR (opening.account_id, opening.instrument_id) <> (closing.account_id, closing.instrument_id)
        OR (opening.side = 'BUY') = (closing.side = 'BUY')
        OR opening.transact_time > closing.transact_time THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Execution %s cannot close a lot of %s: that is not there, cancelled, later, on the same side, or of '
                'another account or instrument; choose a lot that it can close', NEW.closing_execution_id,
                NEW.opening_execution_id);
    END IF;
    RETURN NEW;
END
$$
"""
# What counts of a trade, be it the lot's or one that closes it, is the last report of its chain.
SELECTED_OF_LOT = """
CREATE FUNCTION trader_selected_of_lot() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    lot uuid := (SELECT trade_id FROM trader_execution WHERE id = NEW.opening_execution_id);
    held numeric;
    selected numeric;
BEGIN
    PERFORM trader_refuse_old_snapshot(TG_NAME, TG_TABLE_NAME);
    PERFORM FROM trader_execution WHERE id = lot FOR NO KEY UPDATE;
    SELECT last_qty INTO held FROM trader_execution last
    WHERE trade_id = lot AND NOT EXISTS (SELECT FROM trader_execution WHERE exec_ref_id = last.id);
    SELECT round(sum(trader_opened_quantity(instrument_id, opened, closed, quantity)), 18) INTO selected FROM (
        SELECT opening.instrument_id, opening.trade_date AS opened, closing.trade_date AS closed,
            sum(selection.quantity) AS quantity
        FROM trader_execution opening
        CROSS JOIN LATERAL (
            SELECT closing_execution_id, quantity FROM trader_lotselection WHERE opening_execution_id = opening.id
            UNION ALL SELECT NEW.closing_execution_id, NEW.quantity WHERE NEW.opening_execution_id = opening.id
            OFFSET 0
        ) selection
        CROSS JOIN LATERAL (SELECT * FROM trader_execution WHERE id = selection.closing_execution_id OFFSET 0) closing
        WHERE opening.trade_id = lot AND NOT EXISTS (SELECT FROM trader_execution WHERE exec_ref_id = closing.id)
        GROUP BY opening.instrument_id, opening.trade_date, closing.trade_date
    ) by_day;
    IF selected > held THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'With this, %s of the lot of %s are selected, which holds %s; select less, or another lot too',
                selected, lot, held);
    END IF;
    RETURN NEW;
END
$$
"""
SELECTION_TRIGGERS = """
CREATE TRIGGER trader_lotselection_closing_execution_rule BEFORE INSERT ON trader_lotselection
    FOR EACH ROW EXECUTE FUNCTION trader_join_execution('closing_execution_id');
CREATE TRIGGER trader_lotselection_opening_execution_rule BEFORE INSERT ON trader_lotselection
    FOR EACH ROW EXECUTE FUNCTION trader_lot_of_selection();
CREATE TRIGGER trader_lotselection_quantity_rule BEFORE INSERT ON trader_lotselection
    FOR EACH ROW EXECUTE FUNCTION trader_selected_of_lot();
CREATE TRIGGER trader_lotselection_fact_rule BEFORE UPDATE OR DELETE ON trader_lotselection
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('correct the closing execution');
CREATE TRIGGER trader_lotselection_truncate_rule BEFORE TRUNCATE ON trader_lotselection
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('correct the closing executions');
"""
DROP_SELECTION_TRIGGERS = """
DROP TRIGGER trader_lotselection_closing_execution_rule ON trader_lotselection;
DROP TRIGGER trader_lotselection_opening_execution_rule ON trader_lotselection;
DROP TRIGGER trader_lotselection_quantity_rule ON trader_lotselection;
DROP TRIGGER trader_lotselection_fact_rule ON trader_lotselection;
DROP TRIGGER trader_lotselection_truncate_rule ON trader_lotselection;
"""


# review: create-trigger: the tables are new and empty, and these triggers are what they are kept by
class Migration(migrations.Migration):
    dependencies = [("trader", "0017_lot_selection")]

    operations = [
        migrations.RunSQL(REFUSE_OLD_SNAPSHOT, reverse_sql="DROP FUNCTION trader_refuse_old_snapshot(text, text)"),
        migrations.RunSQL(STAMP_TRANSACTION, reverse_sql="DROP FUNCTION trader_stamp_transaction()"),
        migrations.RunSQL(EXECUTION_OF_ORDER, reverse_sql="DROP FUNCTION trader_execution_of_order()"),
        migrations.RunSQL(EXECUTION_REFERS, reverse_sql="DROP FUNCTION trader_execution_refers()"),
        migrations.RunSQL(EXECUTIONS_OF_INCREMENT, reverse_sql="DROP FUNCTION trader_executions_of_increment()"),
        migrations.RunSQL(FILL_ORDER, reverse_sql="DROP FUNCTION trader_fill_order()"),
        migrations.RunSQL(EXECUTION_TRIGGERS, reverse_sql=DROP_EXECUTION_TRIGGERS),
        migrations.RunSQL(JOIN_EXECUTION, reverse_sql="DROP FUNCTION trader_join_execution()"),
        migrations.RunSQL(FEE_TRIGGERS, reverse_sql=DROP_FEE_TRIGGERS),
        migrations.RunSQL(
            OPENED_QUANTITY, reverse_sql="DROP FUNCTION trader_opened_quantity(bigint, date, date, numeric)"
        ),
        migrations.RunSQL(LOT_OF_SELECTION, reverse_sql="DROP FUNCTION trader_lot_of_selection()"),
        migrations.RunSQL(SELECTED_OF_LOT, reverse_sql="DROP FUNCTION trader_selected_of_lot()"),
        migrations.RunSQL(SELECTION_TRIGGERS, reverse_sql=DROP_SELECTION_TRIGGERS),
    ]
