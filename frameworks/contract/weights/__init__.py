"""The weights: where they start, what their names say, and how they are saved."""
