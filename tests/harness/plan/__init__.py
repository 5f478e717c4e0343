"""Tests of benchmarks/harness/plan."""
