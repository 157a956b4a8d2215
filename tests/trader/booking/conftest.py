"""How often the laws of the book are tried: `--hypothesis-profile=thorough` goes on where the quick suite stops."""

from hypothesis import settings

settings.register_profile("quick", derandomize=True, database=None, deadline=None, max_examples=50)
settings.register_profile("thorough", derandomize=False, deadline=None, max_examples=1_000)
settings.load_profile("quick")
