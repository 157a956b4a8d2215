"""What of a Flex Query's "Trades" the book has a place for, and what IBKR's words there stand for."""

from trader.importing.reading import Layout
from trader.models import Instrument

REQUIRED = (
    "ClientAccountID",
    "CurrencyPrimary",
    "AssetClass",
    "Symbol",
    "ListingExchange",
    "DateTime",
    "TradeDate",
    "Buy/Sell",
    "Quantity",
    "TradePrice",
    "IBCommission",
    "IBCommissionCurrency",
    "IBExecID",
    "LevelOfDetail",
)
COLUMNS = (
    *REQUIRED,
    "FXRateToBase",
    "SubCategory",
    "Description",
    "ISIN",
    "CUSIP",
    "Multiplier",
    "TradeID",
    "OrigTradeID",
    "SettleDateTarget",
    "Exchange",
    "Proceeds",
    "Taxes",
    "Open/CloseIndicator",
)
LAYOUT = Layout(columns=COLUMNS, required=REQUIRED, ignores=True, repeats=True)
NUMBERS = {"Quantity", "TradePrice", "IBCommission", "FXRateToBase", "Multiplier", "Proceeds", "Taxes"}
# The levels that sum fills up or show what they closed.
SUMMARIES = {
    "ORDER": "the executions of an order, summed up",
    "CLOSED_LOT": "a lot that an execution closed",
    "WASH_SALE": "a wash sale, which is a matter of tax",
    "SYMBOL_SUMMARY": "the executions of a symbol, summed up",
    "ASSET_SUMMARY": "the executions of an asset class, summed up",
}

TYPES = Instrument.SecurityType
# A future's own money is its margin, and a bond's price a percentage: neither is quantity x price.
ASSETS = {
    "STK": TYPES.COMMON_STOCK,
    "ETF": TYPES.EXCHANGE_TRADED_FUND,
    "FUND": TYPES.MUTUAL_FUND,
    "OPT": TYPES.OPTION,
    "WAR": TYPES.WARRANT,
}
STOCKS = {"ETF": TYPES.EXCHANGE_TRADED_FUND, "PREFERRED": TYPES.PREFERRED_STOCK}
CASH = "CASH"
# The listing's MIC by what IBKR calls its market.
MARKETS = {
    "AEB": "XAMS",
    "AMEX": "XASE",
    "ARCA": "ARCX",
    "ASX": "XASX",
    "BATS": "BATS",
    "BM": "XMAD",
    "BVL": "XLIS",
    "BVME": "XMIL",
    "BVME.ETF": "XMIL",
    "CBOE": "XCBO",
    "CPH": "XCSE",
    "DTB": "XEUR",
    "EBS": "XSWX",
    "ENEXT.BE": "XBRU",
    "FWB": "XFRA",
    "HEX": "XHEL",
    "IBIS": "XETR",
    "IBIS2": "XETR",
    "ISED": "XDUB",
    "LSE": "XLON",
    "LSEETF": "XLON",
    "NASDAQ": "XNAS",
    "NYSE": "XNYS",
    "OSE": "XOSL",
    "SBF": "XPAR",
    "SEHK": "XHKG",
    "SFB": "XSTO",
    "SGX": "XSES",
    "SWB": "XSTU",
    "TSE": "XTSE",
    "TSEJ": "XTKS",
    "VENTURE": "XTSX",
    "VSE": "XWBO",
    "WSE": "XWAR",
}
SIDES = {"BUY": 1, "SELL": -1}
CANCELS = {"BUY (Ca.)": 1, "SELL (Ca.)": -1}
