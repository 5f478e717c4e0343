"""The child process: one framework, one job, one measurement."""
