"""What integrators write: settings, routes, mappings, tables, tests. Read, checked and compiled as one site."""
