from trader.models.accounts import Account
from trader.models.fixtures import LoadedFixture
from trader.models.identifiers import InstrumentIdentifier
from trader.models.imports import ImportBatch, ImportRow
from trader.models.ledger import JournalEntry, LedgerAccount, Posting
from trader.models.orders import Execution, ExecutionFee, LotSelection, Order, OrderEvent, Side
from trader.models.positions import LotMatch, Position, TaxLot
from trader.models.prices import CorporateAction, FxRate, PriceBar
from trader.models.reference import Currency, Instrument, Venue
from trader.models.users import User

__all__ = [
    "Account",
    "CorporateAction",
    "Currency",
    "Execution",
    "ExecutionFee",
    "FxRate",
    "ImportBatch",
    "ImportRow",
    "Instrument",
    "InstrumentIdentifier",
    "JournalEntry",
    "LedgerAccount",
    "LoadedFixture",
    "LotMatch",
    "LotSelection",
    "Order",
    "OrderEvent",
    "Position",
    "Posting",
    "PriceBar",
    "Side",
    "TaxLot",
    "User",
    "Venue",
]
