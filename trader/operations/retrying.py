"""Doing a whole transaction again when the database ended it for another one's sake."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import psycopg
from django.db import OperationalError, connection, transaction

P = ParamSpec("P")
R = TypeVar("R")

# 5 tries, the last after 0.8 s at most: a deadlock's victim finds the others gone.
TRIES = 5
FIRST_PAUSE = 0.05


def in_one_transaction(function: Callable[P, R]) -> Callable[P, R]:
    """Run it in a transaction, and again from the start when that one was a deadlock's victim.

    Within somebody else's transaction, which is theirs to repeat, it leaves nothing behind when it raises.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            with transaction.atomic():
                return function(*args, **kwargs)
        for attempt in range(TRIES):
            try:
                with transaction.atomic():
                    return function(*args, **kwargs)
            except OperationalError as error:
                if attempt == TRIES - 1 or not _is_deadlock(error):
                    raise
                time.sleep(FIRST_PAUSE * 2**attempt * random.random())  # noqa: S311 -- so that two do not meet again
        raise AssertionError("unreachable")

    return run


def _is_deadlock(error: OperationalError) -> bool:
    return isinstance(error.__cause__, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)
