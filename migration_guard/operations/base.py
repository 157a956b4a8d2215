"""What the operations of this package have in common."""

from django.contrib.postgres.operations import NotInTransactionMixin


class InSteps(NotInTransactionMixin):
    """An operation that commits by itself several times; each run of it begins at its start and does what is missing.

    Its migration needs `atomic = False`. What a killed run has left of it is no error to the next one.
    """
