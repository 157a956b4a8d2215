"""What the database refuses of orders and their events, whoever asks."""

from django.db import migrations

# The rule that is broken is the trigger's name; the trigger's argument says what to do instead.
REFUSE_CHANGE = """
CREATE FUNCTION trader_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE integrity_constraint_violation USING
        CONSTRAINT = TG_NAME,
        TABLE = TG_TABLE_NAME,
        MESSAGE = format('%s of %s: what is recorded there stays as it is; %s', TG_OP, TG_TABLE_NAME, TG_ARGV[0]);
END
$$
"""
ORDER_BIRTH = """
CREATE FUNCTION trader_order_birth() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.lifecycle NOT IN ('A', '0') OR NEW.cum_qty <> 0 OR NEW.avg_px <> 0 OR NEW.notional <> 0 THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Order %s with lifecycle %s and %s filled: an order begins as A or 0 without a fill; '
                'insert it so, then its executions', NEW.cl_ord_id, NEW.lifecycle, NEW.cum_qty);
    END IF;
    RETURN NEW;
END
$$
"""
ORDER_REPLACES = """
CREATE FUNCTION trader_order_replaces() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    former trader_order;
BEGIN
    SELECT * INTO former FROM trader_order WHERE id = NEW.orig_order_id;
    IF (former.account_id, former.instrument_id, former.side)
        IS DISTINCT FROM (NEW.account_id, NEW.instrument_id, NEW.side) THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Order %s replaces %s, which is not there or has another account, instrument or side; '
                'name the order that it replaces, or none', NEW.cl_ord_id, NEW.orig_order_id);
    END IF;
    RETURN NEW;
END
$$
"""
ORDER_LIFECYCLE = """
CREATE FUNCTION trader_order_lifecycle() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    legal text := CASE OLD.lifecycle
        WHEN 'A' THEN '0468CE'
        WHEN '0' THEN '345689CE'
        WHEN '3' THEN '04C'
        WHEN '6' THEN '04CE'
        WHEN '9' THEN '046C'
        WHEN 'E' THEN '0456C'
        ELSE ''
    END;
BEGIN
    IF strpos(legal, NEW.lifecycle) = 0 THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Order %s from lifecycle %s to %s: that step is not legal; from %s it goes to %s',
                NEW.cl_ord_id, OLD.lifecycle, NEW.lifecycle, OLD.lifecycle,
                coalesce(nullif(array_to_string(string_to_array(legal, NULL), ', '), ''), 'nothing else'));
    END IF;
    RETURN NEW;
END
$$
"""
# The trigger of the order's executions runs as the owner of the table. The depth alone would not do: a role may put a
# trigger on a temporary table of its own.
ORDER_FILLS = """
CREATE FUNCTION trader_order_fills() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF pg_trigger_depth() < 2
        OR current_user <> (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID) THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'Order %s from %s filled to %s: only its executions say what is filled; insert an execution',
                NEW.cl_ord_id, OLD.cum_qty, NEW.cum_qty);
    END IF;
    RETURN NEW;
END
$$
"""
ORDER_TRIGGERS = """
CREATE TRIGGER trader_order_birth_rule BEFORE INSERT ON trader_order
    FOR EACH ROW EXECUTE FUNCTION trader_order_birth();
CREATE TRIGGER trader_order_orig_order_rule BEFORE INSERT ON trader_order
    FOR EACH ROW WHEN (NEW.orig_order_id IS NOT NULL) EXECUTE FUNCTION trader_order_replaces();
CREATE TRIGGER trader_order_identity_rule BEFORE UPDATE ON trader_order
    FOR EACH ROW WHEN (
        (OLD.id, OLD.account_id, OLD.instrument_id, OLD.cl_ord_id, OLD.orig_order_id, OLD.side, OLD.ord_type,
            OLD.time_in_force, OLD.order_qty, OLD.price, OLD.stop_px, OLD.expire_time)
        IS DISTINCT FROM
        (NEW.id, NEW.account_id, NEW.instrument_id, NEW.cl_ord_id, NEW.orig_order_id, NEW.side, NEW.ord_type,
            NEW.time_in_force, NEW.order_qty, NEW.price, NEW.stop_px, NEW.expire_time)
    ) EXECUTE FUNCTION trader_refuse_change('replace the order by a new one');
CREATE TRIGGER trader_order_lifecycle_rule BEFORE UPDATE ON trader_order
    FOR EACH ROW WHEN (OLD.lifecycle IS DISTINCT FROM NEW.lifecycle) EXECUTE FUNCTION trader_order_lifecycle();
CREATE TRIGGER trader_order_fills_rule BEFORE UPDATE ON trader_order
    FOR EACH ROW WHEN (
        (OLD.cum_qty, OLD.avg_px, OLD.notional) IS DISTINCT FROM (NEW.cum_qty, NEW.avg_px, NEW.notional)
    ) EXECUTE FUNCTION trader_order_fills();
CREATE TRIGGER trader_order_delete_rule BEFORE DELETE ON trader_order
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('cancel the order');
CREATE TRIGGER trader_order_truncate_rule BEFORE TRUNCATE ON trader_order
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('cancel the orders');
"""
DROP_ORDER_TRIGGERS = """
DROP TRIGGER trader_order_birth_rule ON trader_order;
DROP TRIGGER trader_order_orig_order_rule ON trader_order;
DROP TRIGGER trader_order_identity_rule ON trader_order;
DROP TRIGGER trader_order_lifecycle_rule ON trader_order;
DROP TRIGGER trader_order_fills_rule ON trader_order;
DROP TRIGGER trader_order_delete_rule ON trader_order;
DROP TRIGGER trader_order_truncate_rule ON trader_order;
"""
EVENT_TRIGGERS = """
CREATE TRIGGER trader_orderevent_fact_rule BEFORE UPDATE OR DELETE ON trader_orderevent
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_change('record what came after it');
CREATE TRIGGER trader_orderevent_truncate_rule BEFORE TRUNCATE ON trader_orderevent
    FOR EACH STATEMENT EXECUTE FUNCTION trader_refuse_change('record what came after it');
"""
DROP_EVENT_TRIGGERS = """
DROP TRIGGER trader_orderevent_fact_rule ON trader_orderevent;
DROP TRIGGER trader_orderevent_truncate_rule ON trader_orderevent;
"""


# review: create-trigger: the tables are new and empty, and these triggers are what they are kept by
class Migration(migrations.Migration):
    dependencies = [("trader", "0013_order_event")]

    operations = [
        migrations.RunSQL(REFUSE_CHANGE, reverse_sql="DROP FUNCTION trader_refuse_change()"),
        migrations.RunSQL(ORDER_BIRTH, reverse_sql="DROP FUNCTION trader_order_birth()"),
        migrations.RunSQL(ORDER_REPLACES, reverse_sql="DROP FUNCTION trader_order_replaces()"),
        migrations.RunSQL(ORDER_LIFECYCLE, reverse_sql="DROP FUNCTION trader_order_lifecycle()"),
        migrations.RunSQL(ORDER_FILLS, reverse_sql="DROP FUNCTION trader_order_fills()"),
        migrations.RunSQL(ORDER_TRIGGERS, reverse_sql=DROP_ORDER_TRIGGERS),
        migrations.RunSQL(EVENT_TRIGGERS, reverse_sql=DROP_EVENT_TRIGGERS),
    ]
