"""The corpus of real messages: what the listener makes of each, and the table that says so."""
