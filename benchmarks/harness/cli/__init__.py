"""The command line: what the user typed becomes calls, text and an exit code."""

from benchmarks.harness.cli.main import main as main
