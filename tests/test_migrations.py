"""The project's own migrations, as a developer must leave them."""

from django_linear_migrations.apps import check_max_migration_files


def test_history_is_a_line_that_ends_at_max_migration() -> None:
    assert check_max_migration_files() == []
