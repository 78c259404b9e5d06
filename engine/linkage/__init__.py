"""The heart: how patient, order, step and study change, match and are held. Pure functions on records.

Each function is handed what is known and what was said, and writes its decision into a `Change`: records to write,
events, holds, reasons. Nothing here touches a database, so every rule of the tables is tested by itself.
"""
