"""The only door to stored objects: bytes named by their SHA-256."""
