"""Rehearsal: pending migrations, run on a copy of a real database and measured before they meet it."""
