"""Tests of benchmarks/harness/equivalence."""
