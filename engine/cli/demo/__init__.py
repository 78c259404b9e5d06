"""`isthmus demo`: a hospital's morning against a real engine, over real sockets, told as it happens, then checked."""
