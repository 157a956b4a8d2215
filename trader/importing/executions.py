"""Reports of trades on their way into the book, each with its fees, its lots and its entry."""

from datetime import date, datetime
from typing import NamedTuple, TypeVar

from trader.booking.fees import UnitsExceedPurchase
from trader.booking.numbers import ZERO
from trader.booking.postings import SettlementUnknown
from trader.importing.activities import Trade
from trader.importing.copying import NULL, Copies, escaped
from trader.importing.journal import Amount, Entry, Journal, Written
from trader.importing.listings import Currencies
from trader.importing.placing import Figures
from trader.importing.problems import Refusal
from trader.models import Account, Execution, Instrument, JournalEntry
from trader.operations.executions import Fee, Terms, legs_of
from trader.operations.rates import Rates

TRADE, CORRECTION, CANCEL = (kind.value for kind in Execution.ExecType)
ENTRY = JournalEntry.Kind.TRADE.value
NOTHING = Terms(quantity=ZERO, price=ZERO)

Value = TypeVar("Value")


class Report(NamedTuple):
    """A trade (F), its correction (G) or its cancel (H); keys in hexadecimal. `entry` is the key of what it posts."""

    id: str
    entry: str
    line: int
    import_row: int
    exec_id: str
    exec_type: str
    exec_ref: str
    instrument: int
    side: str
    transact_time: datetime
    trade_date: date


class Executions:
    def __init__(
        self, account: Account, source: str, copies: Copies, journal: Journal, written: Written, currencies: Currencies
    ) -> None:
        self._account = account
        self._source = escaped(source)
        self._copies = copies
        self._journal = journal
        self._written = written
        self._currencies = currencies
        self._rates = Rates()

    def state(self, report: Report, trade: Trade, instrument: Instrument, figures: Figures) -> list[Amount]:
        """Write a trade, or its correction, with its fees and its entry; returns what that posts. Raises Refusal."""
        terms = self._terms(trade, figures)
        self._write(report, terms)
        for fee in terms.fees:
            paid_in = fee.currency.pk if fee.currency else NULL
            self._copies.add("trader_executionfee", report.line, report.id, fee.type, fee.amount, paid_in)
        return self._post(report, terms, instrument)

    def cancel(self, report: Report) -> None:
        self._write(report, NOTHING)

    def _terms(self, trade: Trade, figures: Figures) -> Terms:
        settlement, named = trade.settlement, self._currencies.named
        return Terms(
            quantity=trade.quantity,
            price=figures.last_px,
            gross=figures.gross_trade_amt,
            fees=[
                Fee(amount=fee.amount, currency=named(fee.currency) if fee.currency else None, type=fee.type)
                for fee in trade.fees
            ],
            settl_currency=named(settlement.currency) if settlement else None,
            settl_amount=settlement.amount if settlement else None,
            settl_date=trade.settl_date,
            fx_rate=trade.fx_rate,
            last_mkt=trade.last_mkt,
        )

    def _write(self, report: Report, terms: Terms) -> None:
        self._copies.add(
            "trader_execution",
            report.line,
            report.id,
            self._account.pk,
            report.instrument,
            self._source,
            escaped(report.exec_id),
            report.exec_type,
            report.exec_ref,
            report.side,
            terms.quantity,
            terms.price,
            _or_null(terms.gross),
            terms.last_mkt,
            report.transact_time,
            report.trade_date,
            _or_null(terms.settl_date),
            terms.settl_currency.pk if terms.settl_currency else NULL,
            _or_null(terms.settl_amount),
            _or_null(terms.fx_rate),
            *self._written,
            report.import_row,
        )

    def _post(self, report: Report, terms: Terms, instrument: Instrument) -> list[Amount]:
        try:
            legs = legs_of(
                self._account,
                instrument,
                side=report.side,
                terms=terms,
                trade_date=report.trade_date,
                rates=self._rates,
            )
        except SettlementUnknown as error:
            raise Refusal("settl_amount", "", f"an amount. {error}") from error
        except UnitsExceedPurchase as error:
            raise Refusal("fee", "", f"a smaller fee. {error}") from error
        entry = Entry(
            report.entry,
            report.line,
            report.import_row,
            ENTRY,
            report.trade_date,
            report.instrument,
            report.id,
            fx_rate=_or_null(terms.fx_rate),
        )
        return self._journal.post(entry, legs)


def _or_null(value: Value | None) -> Value | str:
    return NULL if value is None else value
