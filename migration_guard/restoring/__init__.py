"""Restore points: what a migration destroys, kept in files before it is gone, and brought back."""
