"""Tests of results/schema."""
