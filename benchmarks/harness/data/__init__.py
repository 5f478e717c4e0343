"""Texts, labels and tokenized examples, and where they come from."""
