"""Peers that tests talk to over real sockets, besides the installed ones."""
