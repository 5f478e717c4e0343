"""Tests of benchmarks/harness/data."""
