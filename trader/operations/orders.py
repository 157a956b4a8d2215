"""The order's life: each step a conditional change of its lifecycle, and an event that says who asked for it."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from trader.booking.numbers import exact, plain
from trader.models import Account, Execution, Instrument, Order, OrderEvent
from trader.operations.executions import Terms, record_trade
from trader.operations.retrying import in_one_transaction

Lifecycle = Order.Lifecycle


class TransitionRefused(Exception):
    """An order moves only as FIX's order states allow."""


@in_one_transaction
def place_order(
    *,
    account: Account,
    instrument: Instrument,
    cl_ord_id: str,
    side: str,
    ord_type: str,
    order_qty: Decimal,
    actor: str,
    now: datetime,
    orig_order: Order | None = None,
    **conditions: Any,
) -> Order:
    """Write a new order, pending until its broker acknowledges it.

    `conditions` are time_in_force, price, stop_px and expire_time. IntegrityError names the rule that they break.
    """
    order = Order.objects.create(
        account=account,
        instrument=instrument,
        cl_ord_id=cl_ord_id,
        side=side,
        ord_type=ord_type,
        order_qty=order_qty,
        orig_order=orig_order,
        transact_time=now,
        **conditions,
    )
    _say(order, Lifecycle.PENDING_NEW, actor, now, {})
    return order


@in_one_transaction
def move_order(order: Order, to: Order.Lifecycle, *, actor: str, now: datetime, **payload: Any) -> Order:
    """Move the order to another state of its lifecycle; returns it as it stands then.

    Locks the order. Raises TransitionRefused where FIX does not allow the step; the database refuses the same.
    """
    order = _locked(order.pk)
    if to not in order.next_states:
        possible = ", ".join(state.label for state in order.next_states) or "nothing else any more"
        raise TransitionRefused(
            f"Order {order} is {order.get_lifecycle_display()} and cannot become {to.label}; it can become {possible}."
        )
    order.lifecycle = to
    order.save(update_fields=["lifecycle"])
    order.refresh_from_db()
    _say(order, to, actor, now, payload)
    return order


@in_one_transaction
def replace_order(
    order: Order, *, cl_ord_id: str, order_qty: Decimal, actor: str, now: datetime, **conditions: Any
) -> Order:
    """Put a successor in the order's place: `order_qty` is the whole chain's, of which its fills are taken off.

    Conditions that are not given are the order's own. Returns the successor, pending. Raises TransitionRefused where
    the order can no longer be replaced, or the fills leave nothing of the quantity.
    """
    if _locked(order.pk).lifecycle != Lifecycle.PENDING_REPLACE:
        move_order(order, Lifecycle.PENDING_REPLACE, actor=actor, now=now)
    order = move_order(order, Lifecycle.REPLACED, actor=actor, now=now, successor=cl_ord_id)
    with exact():
        filled = _filled_by_chain(order)
        rest = order_qty - filled
    if rest <= 0:
        raise TransitionRefused(
            f"Order {order} is filled for {plain(filled)} already: a total of {plain(order_qty)} leaves nothing."
        )
    own = {name: getattr(order, name) for name in ("time_in_force", "price", "stop_px", "expire_time")}
    return place_order(
        account=order.account,
        instrument=order.instrument,
        cl_ord_id=cl_ord_id,
        side=order.side,
        ord_type=order.ord_type,
        order_qty=rest,
        orig_order=order,
        actor=actor,
        now=now,
        **(own | conditions),
    )


@in_one_transaction
def fill_order(
    order: Order, *, terms: Terms, exec_id: str, source: str, transact_time: datetime, actor: str, now: datetime
) -> Execution:
    """Record a fill of the order; the database refuses one that overfills it. Raises what `record_trade` does."""
    return record_trade(
        account=order.account,
        instrument=order.instrument,
        side=order.side,
        terms=terms,
        transact_time=transact_time,
        exec_id=exec_id,
        source=source,
        actor=actor,
        now=now,
        order=order,
    )


def _filled_by_chain(order: Order) -> Decimal:
    filled, former = order.cum_qty, order.orig_order_id
    while former:
        # Locked, so that no late fill of it comes between.
        each = _locked(former)
        filled, former = filled + each.cum_qty, each.orig_order_id
    return filled


def _locked(order: UUID) -> Order:
    return Order.objects.select_for_update(no_key=True).get(pk=order)


def _say(order: Order, exec_type: str, actor: str, now: datetime, payload: dict[str, Any]) -> None:
    OrderEvent.objects.create(order=order, exec_type=exec_type, actor=actor, at=now, payload=payload)
