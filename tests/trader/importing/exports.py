"""Exports of brokers, as tests write them: rows said with the least; and real ones."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

Row = Mapping[str, str]

FOLDER = Path(__file__).parent / "brokers"
DEGIRO, BINANCE = ((FOLDER / f"{name}_transactions.csv").read_bytes() for name in ("degiro", "binance"))

DEGIRO_HEADER = (
    *("Date", "Time", "Product", "ISIN", "Reference", "Venue", "Quantity", "Price", "", "Local value", "", "Value", ""),
    *("Exchange rate", "Transaction costs", "", "Total", "", "Order ID"),
)
DEGIRO_SINCE_AUTOFX = (
    *("Date", "Time", "Product", "ISIN", "Reference exchange", "Venue", "Quantity", "Price", "", "Local value", ""),
    *("Value EUR", "Exchange rate", "AutoFX Fee", "Transaction and/or third party fees EUR", "Total EUR", "Order ID"),
    "",
)
BINANCE_HEADER = ("User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark")
# As Flex Queries have them; the book has a place for some thirty.
FLEX_HEADER = (
    *("ClientAccountID", "AccountAlias", "Model", "CurrencyPrimary", "FXRateToBase", "AssetClass", "SubCategory"),
    *("Symbol", "Description", "Conid", "SecurityID", "SecurityIDType", "CUSIP", "ISIN", "FIGI", "ListingExchange"),
    *("UnderlyingConid", "UnderlyingSymbol", "UnderlyingSecurityID", "UnderlyingListingExchange", "Issuer"),
    *("Multiplier", "Strike", "Expiry", "TradeID", "Put/Call", "RelatedTradeID", "PrincipalAdjustFactor", "ReportDate"),
    *("DateTime", "TradeDate", "SettleDateTarget", "TransactionType", "Exchange", "Quantity", "TradePrice"),
    *("TradeMoney", "Proceeds", "Taxes", "IBCommission", "IBCommissionCurrency", "NetCash", "ClosePrice"),
    *("Open/CloseIndicator", "Notes/Codes", "CostBasis", "FifoPnlRealized", "FxPnl", "MtmPnl", "OrigTradePrice"),
    *("OrigTradeDate", "OrigTradeID", "OrigOrderID", "OrigTransactionID", "Buy/Sell", "ClearingFirmID", "IBOrderID"),
    *("TransactionID", "IBExecID", "RelatedTransactionID", "BrokerageOrderID", "OrderReference", "ExchOrderID"),
    *("ExtExecID", "OrderTime", "OpenDateTime", "HoldingPeriodDateTime", "WhenRealized", "WhenReopened"),
    *("LevelOfDetail", "ChangeInPrice", "ChangeInQuantity", "OrderType", "TraderID", "IsAPIOrder", "AccruedInterest"),
    *("SerialNumber", "DeliveryType", "CommodityType", "Fineness", "Weight"),
)

APPLE, DISNEY, TEMPLETON = "US0378331005", "US2546871060", "GB0008829292"
ORDER = "420be97a-265e-4b69-b7a7-acfad1ba8940"


def degiro(
    quantity: str = "16",
    price: str = "188.1200",
    local: str = "-3009.92",
    value: str = "-2533.39",
    costs: str = "-0.55",
    total: str = "-2533.94",
    **more: str,
) -> Sequence[str]:
    """The purchase of Disney, unless it says otherwise; amounts in their order, further cells by name."""
    cells = {
        "date": "07-04-2021",
        "time": "20:25",
        "product": "WALT DISNEY COMPANY (T",
        "isin": DISNEY,
        "reference": "NSY",
        "venue": "XNAS",
        "currency": "USD",
        "base": "EUR",
        "rate": "1.1869",
        "order": ORDER,
    } | more
    place = [cells[name] for name in ("date", "time", "product", "isin", "reference", "venue")]
    amounts = [quantity, price, cells["currency"], local, cells["currency"], value, cells["base"], cells["rate"]]
    return [*place, *amounts, costs, cells["base"] if costs else "", total, cells["base"], cells["order"]]


def flex(quantity: str = "10", price: str = "100", **more: str) -> Row:
    """An execution of Apple, unless it says otherwise; its proceeds are quantity x price x multiplier."""
    row = {
        "ClientAccountID": "U1234567",
        "CurrencyPrimary": "USD",
        "FXRateToBase": "0.91",
        "AssetClass": "STK",
        "Symbol": "AAPL",
        "Description": "APPLE INC",
        "ISIN": APPLE,
        "CUSIP": "037833100",
        "ListingExchange": "NASDAQ",
        "Multiplier": "1",
        "DateTime": "20230403;095853",
        "TradeDate": "20230403",
        "SettleDateTarget": "20230405",
        "TransactionType": "ExchTrade",
        "Exchange": "ARCA",
        "Quantity": quantity,
        "TradePrice": price,
        "Taxes": "0",
        "IBCommission": "-1",
        "IBCommissionCurrency": "USD",
        "Open/CloseIndicator": "O" if Decimal(quantity) > 0 else "C",
        "Buy/Sell": "BUY" if Decimal(quantity) > 0 else "SELL",
        "LevelOfDetail": "EXECUTION",
    } | more
    proceeds = -Decimal(quantity) * Decimal(price) * Decimal(row["Multiplier"] or 1)
    return {"Proceeds": str(proceeds), "TradeMoney": str(-proceeds)} | row


def flex_cancel(trade_id: str, quantity: str = "-10", price: str = "100", **more: str) -> Row:
    side = "BUY (Ca.)" if Decimal(quantity) < 0 else "SELL (Ca.)"
    cancelled = {"TransactionType": "TradeCancel", "OrigTradeID": trade_id, "Buy/Sell": side, "Exchange": "--"}
    return flex(quantity, price, **(cancelled | {"IBCommission": "0", "Open/CloseIndicator": "Ca"} | more))


def change(operation: str, coin: str, amount: str, at: str = "2021-11-29 09:56:38", **more: str) -> Sequence[str]:
    cells = {"user": "139221274", "account": "Spot", "remark": ""} | more
    return [cells["user"], at, cells["account"], operation, coin, amount, cells["remark"]]


def degiro_file(*rows: Sequence[str], header: Sequence[str] = DEGIRO_HEADER) -> bytes:
    return written([header, *rows])


def binance_file(*rows: Sequence[str]) -> bytes:
    return written([BINANCE_HEADER, *rows])


def flex_file(*rows: Row, header: Sequence[str] = FLEX_HEADER) -> bytes:
    lines = [[row.get(column, "") for column in header] for row in rows]
    return written([header, *lines], quoted=True)


def written(rows: Iterable[Sequence[str]], *, quoted: bool = False) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(rows)
    return text.getvalue().encode()
