"""The outside worlds: one folder each, and they do not know each other."""
