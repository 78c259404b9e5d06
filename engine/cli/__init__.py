"""What a person types: one module per command, found by engine/cli/main.py when it is asked for."""
