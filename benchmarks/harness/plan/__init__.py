"""Profile and command line become a list of jobs."""
