"""Examples of what `review` finds and what it does not: those of docs/findings.md, and further ones."""
