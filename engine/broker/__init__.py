"""The way of a message: intake, route, apply, outbox, delivery. Loads what linkage needs, stores what it decides."""
