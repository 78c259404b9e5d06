"""The plain data that rooms hand to each other: what is kept (records) and what is said (facts)."""
