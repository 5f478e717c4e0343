"""Does the harness cost anything? Training scripts as a user would write them, without ftbench,
against ftbench's jobs on the same weights and texts, as a command that anyone can run."""
