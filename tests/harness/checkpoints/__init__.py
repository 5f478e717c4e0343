"""Tests of benchmarks/harness/checkpoints."""
