"""Pages for people, the JSON API for programs, health and metrics for whoever watches the engine."""
