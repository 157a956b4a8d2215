"""A written history, event by event, through the operations by which it would have come about."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from trader.models import Account, CorporateAction, Currency, Execution, Instrument, Order
from trader.operations.executions import Fee, Terms, bust, correct
from trader.operations.ledger import record_cash, record_exchange
from trader.operations.orders import fill_order, move_order, place_order, replace_order
from trader.operations.splits import record_split

Told = Mapping[str, Any]
# Of an order that is placed or replaced, where they are told.
CONDITIONS: dict[str, Callable[[Any], Any]] = {
    "time_in_force": str,
    "price": Decimal,
    "stop_px": Decimal,
    "expire_time": lambda at: at,
}


class Event(NamedTuple):
    """`day` is of the venue of the instrument that is told of, else of the account's zone; dates and times in `told`
    are read, numbers are text."""

    at: datetime
    day: date
    told: Told


class Replay:
    """Of one account; everything is recorded at the instant of its happening, by `actor`, who numbers the ExecIDs."""

    def __init__(self, account: Account, instruments: Mapping[str, Instrument], *, actor: str) -> None:
        self._account = account
        self._instruments = instruments
        self._actor = actor
        self._currencies = Currency.objects.in_bulk(field_name="code")
        self._orders: dict[str, Order] = {}
        self._executions: dict[str, Execution] = {}
        self._operations: dict[str, Callable[[Event], None]] = {
            "bust": self._bust,
            "cash": self._record_cash,
            "correct": self._correct,
            "dividend": self._announce_dividend,
            "exchange": self._exchange,
            "fill": self._fill,
            "move": self._move,
            "place": self._place,
            "replace": self._replace,
            "split": self._split,
        }

    def play(self, events: Iterable[Event]) -> None:
        """In the order given, in the caller's transaction; raises what the operations raise."""
        for event in events:
            self._operations[event.told["do"]](event)

    def _record_cash(self, event: Event) -> None:
        told = event.told
        record_cash(
            account=self._account,
            instrument=self._instruments.get(told.get("instrument", "")),
            kind=told["kind"],
            currency=self._currencies[told["currency"]],
            amount=Decimal(told["amount"]),
            value_date=event.day,
            actor=self._actor,
            now=event.at,
        )

    def _exchange(self, event: Event) -> None:
        record_exchange(
            account=self._account,
            bought=self._money(*event.told["bought"]),
            sold=self._money(*event.told["sold"]),
            value_date=event.day,
            actor=self._actor,
            now=event.at,
        )

    def _place(self, event: Event) -> None:
        told = event.told
        self._orders[told["order"]] = place_order(
            account=self._account,
            instrument=self._instruments[told["instrument"]],
            cl_ord_id=told["order"],
            side=told["side"],
            ord_type=told["ord_type"],
            order_qty=Decimal(told["order_qty"]),
            actor=self._actor,
            now=event.at,
            **_conditions(told),
        )

    def _move(self, event: Event) -> None:
        told = event.told
        said = {name: told[name] for name in ("text",) if name in told}
        move_order(self._orders[told["order"]], Order.Lifecycle(told["to"]), actor=self._actor, now=event.at, **said)

    def _replace(self, event: Event) -> None:
        told = event.told
        self._orders[told["by"]] = replace_order(
            self._orders[told["order"]],
            cl_ord_id=told["by"],
            order_qty=Decimal(told["order_qty"]),
            actor=self._actor,
            now=event.at,
            **_conditions(told),
        )

    def _fill(self, event: Event) -> None:
        told = event.told
        self._executions[told["exec_id"]] = fill_order(
            self._orders[told["order"]],
            terms=self._terms(told),
            exec_id=told["exec_id"],
            source=self._actor,
            transact_time=event.at,
            actor=self._actor,
            now=event.at,
        )

    def _correct(self, event: Event) -> None:
        told = event.told
        former, terms = self._executions[told["exec_ref"]], self._terms(told)
        self._executions[told["exec_id"]] = correct(
            former, terms=terms, exec_id=told["exec_id"], actor=self._actor, now=event.at
        )

    def _bust(self, event: Event) -> None:
        told = event.told
        bust(self._executions[told["exec_ref"]], exec_id=told["exec_id"], actor=self._actor, now=event.at)

    def _split(self, event: Event) -> None:
        told = event.told
        record_split(
            instrument=self._instruments[told["instrument"]],
            ex_date=event.day,
            numerator=told["numerator"],
            denominator=told["denominator"],
        )

    def _announce_dividend(self, event: Event) -> None:
        instrument = self._instruments[event.told["instrument"]]
        CorporateAction.objects.create(
            instrument=instrument,
            type=CorporateAction.Type.CASH_DIVIDEND,
            ex_date=event.day,
            pay_date=event.told["pay_date"],
            cash_per_unit=Decimal(event.told["cash_per_unit"]),
            currency=instrument.currency,
        )

    def _terms(self, told: Told) -> Terms:
        return Terms(
            quantity=Decimal(told["quantity"]),
            price=Decimal(told["price"]),
            fees=[
                Fee(type=type_, amount=Decimal(amount), currency=self._currencies.get(code))
                for type_, amount, code in told["fees"]
            ],
            settl_currency=self._currencies.get(told.get("settl_currency", "")),
            fx_rate=Decimal(told["fx_rate"]) if "fx_rate" in told else None,
        )

    def _money(self, code: str, amount: str) -> tuple[Currency, Decimal]:
        return self._currencies[code], Decimal(amount)


def _conditions(told: Told) -> dict[str, Any]:
    return {name: read(told[name]) for name, read in CONDITIONS.items() if name in told}
