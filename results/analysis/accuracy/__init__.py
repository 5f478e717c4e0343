"""How accurate the backends are, and whether they differ: scores, pairs and their evidence."""
