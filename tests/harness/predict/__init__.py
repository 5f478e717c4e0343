"""Tests of benchmarks/harness/predict."""
