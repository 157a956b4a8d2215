"""What is matched of a lot is no more than it holds."""

from django.db import migrations

# One look a statement, not one a row: a rebuild writes a million matches at once. EXECUTE plans it anew each time; a
# plan that was made for a million rows would read the whole table for the next one.
MATCHES_WITHIN_LOT = """
CREATE FUNCTION trader_matches_within_lot() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    broken record;
BEGIN
    EXECUTE '
        SELECT match.opening_trade_id AS trade, sum(match.opened_quantity) AS matched, lot.quantity AS held
        FROM trader_lotmatch match LEFT JOIN trader_taxlot lot
            ON (lot.position_id, lot.trade_id) = (match.position_id, match.opening_trade_id)
        WHERE (match.position_id, match.opening_trade_id) IN (SELECT position_id, opening_trade_id FROM written)
        GROUP BY match.position_id, match.opening_trade_id, lot.quantity
        HAVING lot.quantity IS NULL OR sum(match.opened_quantity) > lot.quantity
        LIMIT 1' INTO broken;
    IF broken.trade IS NOT NULL THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                '%s are matched of the lot of %s, which holds %s; write the lot first, match no more than it holds',
                broken.matched, broken.trade, coalesce(broken.held, 0));
    END IF;
    RETURN NULL;
END
$$
"""
LOT_HOLDS_MATCHES = """
CREATE FUNCTION trader_lot_holds_matches() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    broken record;
BEGIN
    EXECUTE '
        SELECT lot.trade_id AS trade, sum(match.opened_quantity) AS matched, lot.quantity AS held
        FROM written lot JOIN former ON former.id = lot.id AND former.quantity > lot.quantity
        JOIN trader_lotmatch match
            ON (match.position_id, match.opening_trade_id) = (lot.position_id, lot.trade_id)
        GROUP BY lot.id, lot.trade_id, lot.quantity
        HAVING sum(match.opened_quantity) > lot.quantity
        LIMIT 1' INTO broken;
    IF broken.trade IS NOT NULL THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                '%s are matched of the lot of %s, which would hold %s; delete the matches first',
                broken.matched, broken.trade, broken.held);
    END IF;
    RETURN NULL;
END
$$
"""
TRIGGERS = """
CREATE TRIGGER trader_lotmatch_insert_opened_quantity_rule AFTER INSERT ON trader_lotmatch
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION trader_matches_within_lot();
CREATE TRIGGER trader_lotmatch_update_opened_quantity_rule AFTER UPDATE ON trader_lotmatch
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION trader_matches_within_lot();
CREATE TRIGGER trader_taxlot_quantity_rule AFTER UPDATE ON trader_taxlot
    REFERENCING OLD TABLE AS former NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION trader_lot_holds_matches();
"""
DROP_TRIGGERS = """
DROP TRIGGER trader_lotmatch_insert_opened_quantity_rule ON trader_lotmatch;
DROP TRIGGER trader_lotmatch_update_opened_quantity_rule ON trader_lotmatch;
DROP TRIGGER trader_taxlot_quantity_rule ON trader_taxlot;
"""


# review: create-trigger: the tables are new and empty, and these triggers are what they are kept by
class Migration(migrations.Migration):
    dependencies = [("trader", "0025_lot_match")]

    operations = [
        migrations.RunSQL(MATCHES_WITHIN_LOT, reverse_sql="DROP FUNCTION trader_matches_within_lot()"),
        migrations.RunSQL(LOT_HOLDS_MATCHES, reverse_sql="DROP FUNCTION trader_lot_holds_matches()"),
        migrations.RunSQL(TRIGGERS, reverse_sql=DROP_TRIGGERS),
    ]
