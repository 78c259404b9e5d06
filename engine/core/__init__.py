"""What every room may lean on: ids, the clock, errors, the outcome table, limits."""
