"""Tests of benchmarks/harness/cli."""
