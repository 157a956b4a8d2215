"""A book of any size, written by SQL alone within seconds: every table that grows with trading, in proportion.

It ends now, with a trade each five minutes until then; keys follow time as UUIDv7 do. Of the 50 accounts BOOK1 has a
twentieth of all executions. BOOK50 traded at first and never again, BOOK49 of late only: of a table one of them has its
rows at the far end.
"""

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

# The book is right by its making, as far as lists show; the rules' triggers would ask about each row.
WITHOUT_TRIGGERS = "SET LOCAL session_replication_role = replica"
FUNCTIONS = """
    CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS
        $$ SELECT %(began)s::timestamptz + n * interval '5 minutes' $$;
    CREATE FUNCTION pg_temp.key(kind int, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
        SELECT (lpad(to_hex((extract(epoch FROM pg_temp.at(n)) * 1000)::bigint), 12, '0') || '7' ||
            lpad(kind::text, 3, '0') || '8000' || lpad(to_hex(n), 12, '0'))::uuid
    $$;
    CREATE FUNCTION pg_temp.instrument(n bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS
        $$ SELECT 1 + n / 7 %% 199 $$;
    CREATE FUNCTION pg_temp.account(n bigint, executions bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$
        SELECT CASE WHEN n <= executions / 50 THEN 50 WHEN n > executions - executions / 50 THEN 49
            WHEN n / 10 %% 20 = 0 THEN 1 ELSE 2 + n / 10 %% 47 END
    $$;
"""
REFERENCE = """
    INSERT INTO trader_currency (id, code, minor_unit) OVERRIDING SYSTEM VALUE
        SELECT n, (ARRAY['USD', 'CHF', 'EUR', 'GBP'])[n], 2 FROM generate_series(1, 4) n;
    INSERT INTO trader_venue (id, mic, name, time_zone, calendar) OVERRIDING SYSTEM VALUE
        VALUES (1, 'XNAS', 'Nasdaq', 'America/New_York', 'XNAS'),
            (2, 'XSWX', 'SIX Swiss Exchange', 'Europe/Zurich', 'XSWX');
    INSERT INTO trader_instrument (id, venue_id, symbol, name, currency_id, security_type, multiplier,
            price_quotation_factor, qty_increment, active) OVERRIDING SYSTEM VALUE
        SELECT n, 1 + n % 2, 'SYM' || n, 'Instrument ' || n, 1 + n % 2, 'CS', 1, 1, 0.00000001, true
        FROM generate_series(1, 200) n;
    INSERT INTO trader_instrumentidentifier (instrument_id, source, value, mic, valid)
        SELECT n, 'TICKER', 'TICK' || n, '', daterange('2015-01-01', NULL) FROM generate_series(1, 200) n;
    INSERT INTO trader_account (id, code, name, base_currency_id, time_zone, cost_basis_method, fee_policy, allow_short,
            broker) OVERRIDING SYSTEM VALUE
        SELECT n, 'BOOK' || n, 'Account ' || n, 1, 'UTC', 'FIFO', 'EXPENSED', false, 'a broker'
        FROM generate_series(1, 50) n;
    INSERT INTO trader_ledgeraccount (id, account_id, kind, currency_id) OVERRIDING SYSTEM VALUE
        SELECT account * 10 + kind * 2, account, (ARRAY['CASH', 'SECURITIES', 'EXPENSE', 'EQUITY'])[kind + 1], 1
        FROM generate_series(1, 50) account, generate_series(0, 3) kind;
    INSERT INTO trader_ledgeraccount (id, account_id, kind, currency_id) OVERRIDING SYSTEM VALUE
        VALUES (11, 1, 'CASH', 2), (17, 1, 'EQUITY', 2);
    INSERT INTO trader_corporateaction (instrument_id, type, ex_date, cash_per_unit, currency_id)
        SELECT 1 + n % 200, 'CASH_DIVIDEND', date '2015-01-01' + n::int, 1, 1 FROM generate_series(1, 1000) n;
"""
ORDERS = """
    INSERT INTO trader_order (id, account_id, instrument_id, cl_ord_id, side, ord_type, time_in_force, order_qty,
            lifecycle, transact_time, cum_qty, avg_px, notional)
        SELECT pg_temp.key(1, n), pg_temp.account(n, %(executions)s), pg_temp.instrument(n), 'ORDER' || n,
            CASE WHEN n / 10 %% 2 = 0 THEN 'BUY' ELSE 'SELL' END, 'MARKET', 'DAY', 10, '0', pg_temp.at(n), 10, 100, 1000
        FROM generate_series(10, %(executions)s, 10) n;
    INSERT INTO trader_orderevent (order_id, exec_type, actor, at, payload)
        SELECT pg_temp.key(1, n), type, 'a trader', pg_temp.at(n), '{}'
        FROM generate_series(10, %(executions)s, 10) n, unnest(ARRAY['A', '0']) type;
"""
IMPORTS = """
    INSERT INTO trader_importbatch (id, account_id, source, file_name, sha256, actor, imported_at)
        OVERRIDING SYSTEM VALUE
        SELECT n, 1 + n %% 50, 'generic', 'trades-' || n || '.csv', lpad(to_hex(n), 64, '0'), 'a trader',
            pg_temp.at(n * 1000)
        FROM generate_series(0, %(executions)s / 1000) n;
    INSERT INTO trader_importrow (batch_id, account_id, source, row_number, raw, external_id, row_hash, ordinal, state)
        SELECT n / 1000, pg_temp.account(n, %(executions)s), 'generic', n %% 1000 + 2,
            '2026-01-05,TRADE,SYM' || n %% 200 || ',BUY,10,100,USD', 'T' || n, lpad(to_hex(n), 32, '0'), 0, 'IMPORTED'
        FROM generate_series(1, %(executions)s) n;
"""
EXECUTIONS = """
    INSERT INTO trader_execution (id, trade_id, order_id, account_id, instrument_id, source, exec_id, exec_type,
            exec_ref_id, side, last_qty, last_px, last_mkt, transact_time, trade_date, actor, recorded_at, posted_xid)
        SELECT pg_temp.key(2, n), pg_temp.key(2, n - (n %% 1000 = 0)::int),
            CASE WHEN n %% 10 = 0 THEN pg_temp.key(1, n) END, pg_temp.account(n, %(executions)s), pg_temp.instrument(n),
            CASE WHEN n %% 2 = 0 THEN 'generic' ELSE 'manual' END, 'T' || n,
            CASE WHEN n %% 1000 = 0 THEN 'G' ELSE 'F' END,
            CASE WHEN n %% 1000 = 0 THEN pg_temp.key(2, n - 1) END, CASE WHEN n %% 2 = 0 THEN 'BUY' ELSE 'SELL' END, 10,
            100 + n %% 977 / 100.0, '', pg_temp.at(n), pg_temp.at(n)::date, 'a trader', pg_temp.at(n), 0
        FROM generate_series(1, %(executions)s) n;
    INSERT INTO trader_executionfee (execution_id, type, amount, currency_id)
        SELECT pg_temp.key(2, n), 'COMMISSION', 1.25, 1 FROM generate_series(2, %(executions)s, 2) n;
    INSERT INTO trader_lotselection (closing_execution_id, opening_execution_id, quantity)
        SELECT pg_temp.key(2, n), pg_temp.key(2, n - 1), 10 FROM generate_series(101, %(executions)s, 100) n;
"""
LEDGER = """
    INSERT INTO trader_journalentry (id, account_id, instrument_id, value_date, kind, execution_id, actor, recorded_at,
            posted_xid)
        SELECT pg_temp.key(3, n), pg_temp.account(n, %(executions)s), pg_temp.instrument(n), pg_temp.at(n)::date,
            'TRADE', pg_temp.key(2, n), 'a trader', pg_temp.at(n), 0
        FROM generate_series(1, %(executions)s) n;
    INSERT INTO trader_journalentry (id, account_id, value_date, kind, actor, recorded_at, posted_xid)
        SELECT pg_temp.key(4, n), pg_temp.account(n, %(executions)s), pg_temp.at(n)::date, 'DEPOSIT', 'a trader',
            pg_temp.at(n), 0
        FROM generate_series(1, %(executions)s / 10, 100) n;
    INSERT INTO trader_posting (entry_id, ledger_account_id, currency_id, amount, value_date)
        SELECT pg_temp.key(3, n), pg_temp.account(n, %(executions)s) * 10 + kind * 2, 1,
            CASE kind WHEN 0 THEN -1001.25 WHEN 1 THEN 1000 ELSE 1.25 END, pg_temp.at(n)::date
        FROM generate_series(1, %(executions)s) n, generate_series(0, 1 + (n %% 2 = 0)::int) kind;
    INSERT INTO trader_posting (entry_id, ledger_account_id, currency_id, amount, value_date)
        SELECT pg_temp.key(4, n), pg_temp.account(n, %(executions)s) * 10 + kind * 2, 1, 1000 - kind * 2000 / 3,
            pg_temp.at(n)::date
        FROM generate_series(1, %(executions)s / 10, 100) n, unnest(ARRAY[0, 3]) kind;
    INSERT INTO trader_journalentry (id, account_id, value_date, kind, actor, recorded_at, posted_xid)
        VALUES (pg_temp.key(5, 1), 1, pg_temp.at(1)::date, 'DEPOSIT', 'a trader', pg_temp.at(1), 0);
    INSERT INTO trader_posting (entry_id, ledger_account_id, currency_id, amount, value_date)
        VALUES (pg_temp.key(5, 1), 11, 2, 100, pg_temp.at(1)::date),
            (pg_temp.key(5, 1), 17, 2, -100, pg_temp.at(1)::date);
"""
PROJECTIONS = """
    INSERT INTO trader_position (id, account_id, instrument_id, quantity, cost, gross, realized_pnl, fees,
            fees_expensed, rated_cost_base, unrated_lots, realized_pnl_base, fees_base, fees_expensed_base,
            as_of_execution_id)
        OVERRIDING SYSTEM VALUE
        SELECT account_id * 1000 + instrument_id, account_id, instrument_id, 10 * lots, 1000 * lots, 1000 * lots, 50, 2,
            2, 1000 * lots, 0, 50, 2, 2, last
        FROM (
            SELECT account_id, instrument_id, max(id::text)::uuid AS last,
                sum(CASE side WHEN 'BUY' THEN 1 ELSE -1 END) AS lots
            FROM trader_execution GROUP BY account_id, instrument_id
        ) traded;
    INSERT INTO trader_taxlot (position_id, trade_id, acquired_at, quantity, unclosed, remaining, unit_cost, cost,
            gross)
        SELECT account_id * 1000 + instrument_id, id, transact_time, 10, 10,
            (substr(exec_id, 2)::int %% 10 = 0)::int * 10, 100, 1000, 1000
        FROM trader_execution WHERE side = 'BUY' ORDER BY id;
    INSERT INTO trader_lotmatch (position_id, opening_trade_id, closing_trade_id, quantity, opened_quantity, proceeds,
            cost, gross_proceeds, gross_cost)
        SELECT account_id * 1000 + instrument_id, id, id, 10, 10, 1050, 1000, 1050, 1000
        FROM trader_execution WHERE side = 'SELL' ORDER BY id;
"""
PRICES = """
    INSERT INTO trader_pricebar (instrument_id, source, timeframe, ts, open, high, low, close, volume, split_adjusted)
        SELECT 1 + n %% 200, 'a vendor', '1h', timestamptz '2015-01-01 00:00+00' + n / 200 * interval '1 hour', 100,
            110, 90, 105, 1000, false
        FROM generate_series(0, %(executions)s / 2 - 1) n;
    INSERT INTO trader_pricebar (instrument_id, source, timeframe, ts, open, high, low, close, volume, split_adjusted)
        SELECT instrument, 'a vendor', '1d', day, 100, 110, 90, 100 + instrument %% 7 + extract(doy FROM day) / 100,
            1000, false
        FROM generate_series(date_trunc('day', pg_temp.at(1)), pg_temp.at(%(executions)s), interval '1 day') day,
            generate_series(1, 200) instrument
        WHERE extract(isodow FROM day) < 6;
    INSERT INTO trader_fxrate (base_id, quote_id, source, at, rate)
        SELECT 1, 2 + n %% 3, 'a vendor', date_trunc('day', pg_temp.at(%(executions)s)) - n / 3 * interval '1 day', 0.91
        FROM generate_series(0, %(executions)s / 50 - 1) n;
"""
WRITTEN = (ORDERS, IMPORTS, EXECUTIONS, LEDGER, PROJECTIONS, PRICES)
VACUUM = "VACUUM (ANALYZE)"


def write_large_book(executions: int) -> None:
    """Into an empty, migrated database, as a superuser; vacuumed and analyzed, as a database in use is."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(WITHOUT_TRIGGERS)
        cursor.execute(FUNCTIONS, {"began": timezone.now() - executions * timedelta(minutes=5)})
        cursor.execute(REFERENCE)
        for statements in WRITTEN:
            cursor.execute(statements, {"executions": executions})
    with connection.cursor() as cursor:
        cursor.execute(VACUUM)
