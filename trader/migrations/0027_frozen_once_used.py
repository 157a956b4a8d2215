"""What facts were counted by stays as it was when they were counted."""

from django.db import migrations

# The arguments are the table and the column that refer to the row. Whoever inserts there holds FOR KEY SHARE on it, so
# that FOR UPDATE waits for a first use that is not committed yet. Deleting is refused here as well: the foreign keys
# are asked at COMMIT, when another row may stand under the same id.
REFUSE_WHEN_USED = """
CREATE FUNCTION trader_refuse_when_used() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    used boolean;
BEGIN
    PERFORM trader_refuse_old_snapshot(TG_NAME, TG_TABLE_NAME);
    EXECUTE format('SELECT FROM %I WHERE id = $1 FOR UPDATE', TG_TABLE_NAME) USING OLD.id;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I = $1)', TG_ARGV[0], TG_ARGV[1]) INTO used USING OLD.id;
    IF used THEN
        RAISE integrity_constraint_violation USING
            CONSTRAINT = TG_NAME,
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                '%s of %s %s: rows of %s were counted by it, so it stays as it is; make a new one beside it',
                TG_OP, TG_TABLE_NAME, OLD.id, TG_ARGV[0]);
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$
"""
CURRENCY = """
CREATE TRIGGER trader_currency_minor_unit_posting_rule BEFORE UPDATE ON trader_currency
    FOR EACH ROW WHEN ((OLD.id, OLD.minor_unit) IS DISTINCT FROM (NEW.id, NEW.minor_unit))
    EXECUTE FUNCTION trader_refuse_when_used('trader_posting', 'currency_id');
CREATE TRIGGER trader_currency_delete_posting_rule BEFORE DELETE ON trader_currency
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_when_used('trader_posting', 'currency_id');
"""
DROP_CURRENCY = """
DROP TRIGGER trader_currency_minor_unit_posting_rule ON trader_currency;
DROP TRIGGER trader_currency_delete_posting_rule ON trader_currency;
"""
INSTRUMENT = """
CREATE TRIGGER trader_instrument_currency_multiplier_factor_execution_rule BEFORE UPDATE ON trader_instrument
    FOR EACH ROW WHEN (
        (OLD.id, OLD.currency_id, OLD.multiplier, OLD.price_quotation_factor)
        IS DISTINCT FROM (NEW.id, NEW.currency_id, NEW.multiplier, NEW.price_quotation_factor)
    ) EXECUTE FUNCTION trader_refuse_when_used('trader_execution', 'instrument_id');
CREATE TRIGGER trader_instrument_delete_execution_rule BEFORE DELETE ON trader_instrument
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_when_used('trader_execution', 'instrument_id');
"""
DROP_INSTRUMENT = """
DROP TRIGGER trader_instrument_currency_multiplier_factor_execution_rule ON trader_instrument;
DROP TRIGGER trader_instrument_delete_execution_rule ON trader_instrument;
"""
ACCOUNT = """
CREATE TRIGGER trader_account_base_currency_method_fees_execution_rule BEFORE UPDATE ON trader_account
    FOR EACH ROW WHEN (
        (OLD.id, OLD.base_currency_id, OLD.cost_basis_method, OLD.fee_policy)
        IS DISTINCT FROM (NEW.id, NEW.base_currency_id, NEW.cost_basis_method, NEW.fee_policy)
    ) EXECUTE FUNCTION trader_refuse_when_used('trader_execution', 'account_id');
CREATE TRIGGER trader_account_base_currency_method_fees_entry_rule BEFORE UPDATE ON trader_account
    FOR EACH ROW WHEN (
        (OLD.id, OLD.base_currency_id, OLD.cost_basis_method, OLD.fee_policy)
        IS DISTINCT FROM (NEW.id, NEW.base_currency_id, NEW.cost_basis_method, NEW.fee_policy)
    ) EXECUTE FUNCTION trader_refuse_when_used('trader_journalentry', 'account_id');
CREATE TRIGGER trader_account_delete_execution_rule BEFORE DELETE ON trader_account
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_when_used('trader_execution', 'account_id');
CREATE TRIGGER trader_account_delete_entry_rule BEFORE DELETE ON trader_account
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_when_used('trader_journalentry', 'account_id');
"""
DROP_ACCOUNT = """
DROP TRIGGER trader_account_base_currency_method_fees_execution_rule ON trader_account;
DROP TRIGGER trader_account_base_currency_method_fees_entry_rule ON trader_account;
DROP TRIGGER trader_account_delete_execution_rule ON trader_account;
DROP TRIGGER trader_account_delete_entry_rule ON trader_account;
"""
LEDGER_ACCOUNT = """
CREATE TRIGGER trader_ledgeraccount_account_kind_currency_posting_rule BEFORE UPDATE ON trader_ledgeraccount
    FOR EACH ROW WHEN (
        (OLD.id, OLD.account_id, OLD.kind, OLD.currency_id)
        IS DISTINCT FROM (NEW.id, NEW.account_id, NEW.kind, NEW.currency_id)
    ) EXECUTE FUNCTION trader_refuse_when_used('trader_posting', 'ledger_account_id');
CREATE TRIGGER trader_ledgeraccount_delete_posting_rule BEFORE DELETE ON trader_ledgeraccount
    FOR EACH ROW EXECUTE FUNCTION trader_refuse_when_used('trader_posting', 'ledger_account_id');
"""
DROP_LEDGER_ACCOUNT = """
DROP TRIGGER trader_ledgeraccount_account_kind_currency_posting_rule ON trader_ledgeraccount;
DROP TRIGGER trader_ledgeraccount_delete_posting_rule ON trader_ledgeraccount;
"""


# review: create-trigger: it looks when a row is deleted or one of these columns changes, which is seldom
class Migration(migrations.Migration):
    dependencies = [("trader", "0026_lot_rules")]

    operations = [
        migrations.RunSQL(REFUSE_WHEN_USED, reverse_sql="DROP FUNCTION trader_refuse_when_used()"),
        migrations.RunSQL(CURRENCY, reverse_sql=DROP_CURRENCY),
        migrations.RunSQL(INSTRUMENT, reverse_sql=DROP_INSTRUMENT),
        migrations.RunSQL(ACCOUNT, reverse_sql=DROP_ACCOUNT),
        migrations.RunSQL(LEDGER_ACCOUNT, reverse_sql=DROP_LEDGER_ACCOUNT),
    ]
