"""One job, its process, its events, and its outcome: both ends of the pipe."""
