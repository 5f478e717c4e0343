"""Several runs: merged into one comparison, compared with each other, and over time."""
