"""Tests of benchmarks/harness/worker."""
