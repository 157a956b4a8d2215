"""Many sessions in one account for a while, and a long history: nothing is lost, refused or slow."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from django.db import connection, transaction

from tests.factories import InstrumentFactory
from tests.trader.conftest import Connect
from tests.trader.operations.books import Book, assert_as_if_entered_so, fee, on_day
from tests.trader.operations.threads import elsewhere
from trader.models import Execution, Order, Side
from trader.operations.positions import project

pytestmark = pytest.mark.endurance

SESSIONS = 50
SECONDS = 20

COUNTING = """
    CREATE TEMPORARY VIEW counting AS
    SELECT e.*, CASE e.side WHEN 'BUY' THEN 1 ELSE -1 END AS sign FROM trader_execution e
    WHERE e.exec_type <> 'H' AND NOT EXISTS (SELECT FROM trader_execution later WHERE later.exec_ref_id = e.id)
"""
# Each finds rows that contradict the executions; none is there.
CONTRADICTIONS = {
    "an order": """
        SELECT o.cl_ord_id FROM trader_order o LEFT JOIN counting e ON e.order_id = o.id GROUP BY o.id
        HAVING (o.cum_qty, o.notional) IS DISTINCT FROM
            (coalesce(sum(e.last_qty), 0), coalesce(sum(e.last_qty * e.last_px), 0))
    """,
    "a position": """
        SELECT p.id FROM trader_position p LEFT JOIN counting e
            ON (e.account_id, e.instrument_id) = (p.account_id, p.instrument_id)
        GROUP BY p.id
        HAVING (p.quantity, p.fees) IS DISTINCT FROM (
            coalesce(sum(e.sign * e.last_qty), 0),
            coalesce(sum((SELECT sum(amount) FROM trader_executionfee f WHERE f.execution_id = e.id)), 0)
        )
    """,
    "the money of a position": """
        SELECT p.id FROM trader_position p LEFT JOIN counting e
            ON (e.account_id, e.instrument_id) = (p.account_id, p.instrument_id)
        GROUP BY p.id
        HAVING p.cost - p.realized_pnl IS DISTINCT FROM coalesce(sum(e.sign * e.last_qty * e.last_px), 0)
    """,
    "the lots of a position": """
        SELECT p.id FROM trader_position p LEFT JOIN trader_taxlot l ON l.position_id = p.id GROUP BY p.id
        HAVING (abs(p.quantity), abs(p.cost)) IS DISTINCT FROM
            (coalesce(sum(l.remaining), 0), coalesce(sum(l.cost), 0))
    """,
    "the matches of a lot": """
        SELECT l.id FROM trader_taxlot l LEFT JOIN trader_lotmatch m
            ON (m.position_id, m.opening_trade_id) = (l.position_id, l.trade_id)
        GROUP BY l.id HAVING l.quantity - l.remaining IS DISTINCT FROM coalesce(sum(m.quantity), 0)
    """,
    "the matches of a position": """
        SELECT p.id FROM trader_position p LEFT JOIN trader_lotmatch m ON m.position_id = p.id
        GROUP BY p.id HAVING p.realized_pnl IS DISTINCT FROM coalesce(sum(m.realized_pnl), 0)
    """,
    "what a trade opened and closed": """
        SELECT e.id FROM counting e
        LEFT JOIN trader_taxlot l ON l.trade_id = e.trade_id
        LEFT JOIN trader_lotmatch m ON m.closing_trade_id = e.trade_id
        GROUP BY e.id, e.last_qty, l.quantity
        HAVING e.last_qty IS DISTINCT FROM coalesce(l.quantity, 0) + coalesce(sum(m.quantity), 0)
    """,
    "the ledger": """
        SELECT kind FROM (
            SELECT l.kind, sum(p.amount) AS posted
            FROM trader_posting p JOIN trader_ledgeraccount l ON l.id = p.ledger_account_id GROUP BY l.kind
        ) booked
        FULL JOIN (
            SELECT 'SECURITIES' AS kind, sum(sign * round(last_qty * last_px, 2)) AS due FROM counting
            UNION ALL SELECT 'EXPENSE', sum(f.amount)
            FROM counting e JOIN trader_executionfee f ON f.execution_id = e.id
            UNION ALL SELECT 'CASH', -sum(sign * round(last_qty * last_px, 2) + f.amount)
            FROM counting e JOIN trader_executionfee f ON f.execution_id = e.id
        ) owed USING (kind)
        WHERE posted IS DISTINCT FROM due
    """,
}


class Trader:
    """Fills orders as fast as it can, and now and then corrects or takes back one of its fills."""

    def __init__(self, number: int, book: Book, orders: list[Order], until: float) -> None:
        self.reports: list[str] = []
        self._book = book
        self._orders = orders
        self._until = until
        self._random = Random(number)
        self._fees = [fee("1.25")]
        self._counting: list[Execution] = []

    def work(self) -> None:
        while time.monotonic() < self._until:
            act = self._random.choices([self._fill, self._correct, self._bust], [88, 6, 6])[0]
            self.reports.append(act().exec_id)

    def _fill(self) -> Execution:
        return self._count(self._book.fill(self._random.choice(self._orders), *self._terms(), fees=self._fees))

    def _correct(self) -> Execution:
        report = self._takes_one()
        return self._count(self._book.correct(report, *self._terms(), fees=self._fees)) if report else self._fill()

    def _bust(self) -> Execution:
        report = self._takes_one()
        return self._book.bust(report) if report else self._fill()

    def _count(self, report: Execution) -> Execution:
        self._counting.append(report)
        return report

    def _takes_one(self) -> Execution | None:
        return self._counting.pop(self._random.randrange(len(self._counting))) if self._counting else None

    def _terms(self) -> tuple[str, str]:
        return f"{self._random.randint(1, 9_999) / 1000:.3f}", f"{self._random.randint(1, 999_999) / 10_000:.4f}"


def test_many_sessions_fill_the_orders_of_one_account(transactional_db: Connect) -> None:
    book = Book(allow_short=True)
    instruments = [InstrumentFactory.create() for _ in range(4)]
    sides = [Side.BUY, Side.SELL, Side.BUY]
    orders = [book.order("1000000", side, instrument=each) for each in instruments for side in sides]
    until = time.monotonic() + SECONDS
    traders = [Trader(number, book, orders, until) for number in range(SESSIONS)]

    with ThreadPoolExecutor(max_workers=SESSIONS) as pool:
        for future in [elsewhere(pool, trader.work) for trader in traders]:
            future.result()

    reported = [report for trader in traders for report in trader.reports]
    observer = transactional_db("owner")
    observer.execute(COUNTING)
    print(f"{len(reported)} reports in {SECONDS} s")
    assert sorted(Execution.objects.values_list("exec_id", flat=True)) == sorted(reported)
    assert all(trader.reports for trader in traders)
    for what, statement in CONTRADICTIONS.items():
        assert observer.execute(statement.encode()).fetchall() == [], what
    assert_as_if_entered_so(book.account)


EXECUTIONS = """
    INSERT INTO trader_execution (id, account_id, instrument_id, source, exec_id, exec_type, trade_id, side, last_qty,
        last_px, last_mkt, transact_time, trade_date, actor, recorded_at, posted_xid)
    SELECT id, %(account)s, %(instrument)s, 'bulk', n, 'F', id, CASE n %% 3 WHEN 0 THEN 'SELL' ELSE 'BUY' END,
        1 + n %% 7, 100 + n %% 13 + 0.37, '', at, at::date, 'a trader', at, 0
    FROM (
        SELECT gen_random_uuid() AS id, n, %(first)s::timestamptz + n * interval '1 minute' AS at
        FROM generate_series(1, %(count)s) AS n
    ) AS generated
"""


def add_in_bulk(book: Book) -> None:
    """9,999 trades, a minute each from the first day on."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            EXECUTIONS,
            {"account": book.account.pk, "instrument": book.instrument.pk, "first": on_day(1), "count": 9_999},
        )
        project(book.account)
        cursor.execute("ANALYZE")


@pytest.mark.parametrize("method", ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"])
def test_the_first_of_ten_thousand_trades_is_taken_back_in_under_five_seconds(
    transactional_db: Connect, method: str
) -> None:
    book = Book(cost_basis_method=method, allow_short=True)
    without = Book(instrument=book.instrument, cost_basis_method=method, allow_short=True)
    first = book.buy("10", "100", day=1)
    for each in (book, without):
        add_in_bulk(each)

    start = time.perf_counter()
    book.bust(first)
    seconds = time.perf_counter() - start

    print(f"{method}: {seconds:.2f} s")
    assert seconds < 5
    assert book.state == without.state
