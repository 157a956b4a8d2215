"""Splits: they act on every account that holds the instrument."""

from datetime import date

from trader.models import CorporateAction, Instrument
from trader.operations.positions import project_instrument
from trader.operations.retrying import in_one_transaction


@in_one_transaction
def record_split(*, instrument: Instrument, ex_date: date, numerator: int, denominator: int) -> CorporateAction:
    """Write a split of `numerator` new units for `denominator` old ones, and replay whom it concerns.

    IntegrityError when the instrument has one on that day already; Oversold and LotsExceeded when an account then never
    had what it sold.
    """
    split = CorporateAction.objects.create(
        instrument=instrument,
        type=CorporateAction.Type.SPLIT,
        ex_date=ex_date,
        numerator=numerator,
        denominator=denominator,
    )
    project_instrument(instrument, since=ex_date)
    return split


@in_one_transaction
def withdraw(action: CorporateAction) -> None:
    """Delete a corporate action that was entered wrongly, and replay whom it concerned.

    Oversold and LotsExceeded when an account then never had what it sold.
    """
    action.delete()
    if action.type == CorporateAction.Type.SPLIT:
        project_instrument(action.instrument, since=action.ex_date)
