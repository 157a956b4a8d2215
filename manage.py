#!/usr/bin/env python
"""Django's command-line utility for administrative tasks."""

import gc
import io
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError, connection

from config.database import address_of, explain


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # Progress must show in a pipe as well, line by line.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 2
    except OperationalError as error:
        if connection.connection is not None:
            raise
        print(explain(error, address_of(connection)), file=sys.stderr)
        return 2
    finally:
        # The interpreter's end frees nothing that matters, and would look through all of it, for a third of a second.
        gc.freeze()
    return 0


if __name__ == "__main__":
    sys.exit(main())
