"""Tests of benchmarks/harness/machine."""
