"""Certificates of real backends: with and without deliberate faults."""
