"""Tests of results/analysis."""
