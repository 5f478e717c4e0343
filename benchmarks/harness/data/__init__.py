"""Texts, labels and tokenised examples, and where they come from."""
