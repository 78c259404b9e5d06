"""The history of the tables: one revision per change, expand first, contract later."""
