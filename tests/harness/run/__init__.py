"""Tests of benchmarks/harness/run."""
