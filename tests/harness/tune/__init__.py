"""Tests of benchmarks/harness/tune."""
