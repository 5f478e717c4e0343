"""Tests of benchmarks/harness/limits."""
