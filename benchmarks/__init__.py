"""What is asked: one pytest-benchmark module per question."""
