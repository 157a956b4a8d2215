"""The book's arithmetic: lots, fees, P&L and postings as pure functions of what happened. No Django, no floats.

Amounts are Decimal, in a context of their own (`numbers.exact`); quantities and money are kept at 18 decimal places,
rounded half to even, and only postings at the currency's minor unit, rounded half up.
"""
