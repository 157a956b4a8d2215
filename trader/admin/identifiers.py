from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget

from trader.admin.pages import BookForm, BookInline, BookModelAdmin
from trader.models import InstrumentIdentifier

FIELDS = ("source", "value", "mic", "valid")


@admin.register(InstrumentIdentifier)
class InstrumentIdentifierAdmin(BookModelAdmin):
    fields = ("instrument", *FIELDS)
    list_display = ("value", "source", "instrument", "mic", "valid")
    list_filter = ("source",)
    related = ("instrument__venue", "instrument__currency")
    search_fields = ("value", "instrument__symbol")
    search_help_text = "Value, or the instrument's symbol"
    ordering = ("source", "value", "pk")
    autocomplete_fields = ("instrument",)


class NarrowForm(BookForm):
    class Meta:
        widgets = {
            "value": AdminTextInputWidget({"style": "width: 10em"}),
            "mic": AdminTextInputWidget({"style": "width: 4em"}),
        }


class InstrumentIdentifierInline(BookInline):
    model = InstrumentIdentifier
    form = NarrowForm
    fields = FIELDS
    ordering = ("source", "pk")
