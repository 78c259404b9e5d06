"""Reads the settings, builds the parts, starts and stops them in order; knows whether all is well."""
