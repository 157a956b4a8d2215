from trader.models.accounts import Account
from trader.models.fixtures import LoadedFixture
from trader.models.reference import Currency, Instrument, Venue
from trader.models.users import User

__all__ = ["Account", "Currency", "Instrument", "LoadedFixture", "User", "Venue"]
