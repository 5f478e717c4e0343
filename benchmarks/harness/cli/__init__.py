"""The command line: what the user typed becomes calls, text and an exit code."""
