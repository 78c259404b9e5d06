"""What integrators write: settings, routes, mappings, tables and their tests. Read, checked and compiled as one site."""
