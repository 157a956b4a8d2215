"""A broker's file on its way through the browser: what it would do is shown first, and then done.

Between the two pages the file is in the second one, so that any backend can take it in, after a restart too.
"""

import gzip
import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from io import BytesIO
from typing import Any, BinaryIO

from django import forms
from django.core.exceptions import ValidationError

from trader.importing.files import FORMATS
from trader.models import Account

MOST_BYTES = 2**25
# Under DATA_UPLOAD_MAX_MEMORY_SIZE, by more than the other fields take.
MOST_CARRIED = 2**24 - 2**16
TOO_LARGE = f"This page takes files of up to {MOST_BYTES >> 20} MB: `manage.py import_executions` takes larger ones."
NOT_AS_SENT = "The file has not come back as it was sent: choose it again."


class DestinationForm(forms.Form):
    account = forms.ModelChoiceField(Account.objects.select_related("base_currency").order_by("code"))
    file_format = forms.ChoiceField(label="Format", choices=[(name, name) for name in FORMATS])


class UploadForm(DestinationForm):
    file = forms.FileField(help_text="CSV, as the broker exports it. You see what it would do before it does it.")

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise ValidationError(TOO_LARGE)
        return file

    def carried(self) -> "CarriedForm":
        """What is sent when the person agrees. Raises ValidationError for a file that is too large."""
        given = self.cleaned_data
        content = packed(given["file"])
        if len(content) > MOST_CARRIED:
            raise ValidationError(TOO_LARGE)
        initial = {"account": given["account"], "file_format": given["file_format"]}
        return CarriedForm(initial=initial | {"file_name": given["file"].name, "content": content})


class CarriedForm(DestinationForm):
    """The file that was shown, compressed."""

    file_name = forms.CharField(max_length=255, widget=forms.HiddenInput)
    content = forms.CharField(widget=forms.HiddenInput, error_messages={"required": NOT_AS_SENT})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = field.hidden_widget()

    def error_texts(self) -> list[str]:
        return [str(message) for messages in self.errors.values() for message in messages]

    def clean_content(self) -> BinaryIO:
        return unpacked(self.cleaned_data["content"])


def packed(file: BinaryIO) -> str:
    file.seek(0)
    return b64encode(gzip.compress(file.read(), compresslevel=6, mtime=0)).decode("ascii")


def unpacked(text: str) -> BinaryIO:
    """Raises ValidationError for what `packed` has not made."""
    broken = ValidationError(NOT_AS_SENT)
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacking.decompress(b64decode(text, validate=True), MOST_BYTES + 1)
    except (NotBase64, zlib.error) as error:
        raise broken from error
    if len(content) > MOST_BYTES or not unpacking.eof:
        raise broken
    return BytesIO(content)
