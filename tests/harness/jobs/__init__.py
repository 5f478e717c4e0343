"""Tests of benchmarks/harness/jobs."""
