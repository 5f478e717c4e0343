"""One module per question: what a worker does with its session, and what it answers."""
