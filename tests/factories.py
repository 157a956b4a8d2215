"""factory-boy factories: each makes a valid row; a test names only what it is about."""

import factory
from factory.django import DjangoModelFactory

from trader.models import Account, Currency, Instrument, User, Venue


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    full_name = factory.Faker("name")


class CurrencyFactory(DjangoModelFactory[Currency]):
    class Meta:
        model = Currency
        django_get_or_create = ("code",)

    code = "CHF"
    minor_unit = 2


class VenueFactory(DjangoModelFactory[Venue]):
    class Meta:
        model = Venue
        django_get_or_create = ("mic",)

    mic = "XSWX"
    name = "SIX Swiss Exchange"
    time_zone = "Europe/Zurich"
    calendar = "XSWX"


class InstrumentFactory(DjangoModelFactory[Instrument]):
    class Meta:
        model = Instrument

    venue = factory.SubFactory(VenueFactory)
    symbol = factory.Sequence(lambda n: f"SYM{n}")
    name = factory.Sequence(lambda n: f"Instrument {n}")
    currency = factory.SubFactory(CurrencyFactory)
    security_type = Instrument.SecurityType.COMMON_STOCK


class AccountFactory(DjangoModelFactory[Account]):
    class Meta:
        model = Account

    code = factory.Sequence(lambda n: f"ACC{n}")
    name = factory.Sequence(lambda n: f"Account {n}")
    owner = factory.SubFactory(UserFactory)
    base_currency = factory.SubFactory(CurrencyFactory)
    time_zone = "Europe/Zurich"
