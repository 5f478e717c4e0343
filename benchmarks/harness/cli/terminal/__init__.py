"""What a command writes to the terminal, and how that never ends the work."""
