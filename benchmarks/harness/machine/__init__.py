"""What this computer has, what it is doing, and how much of it a job may use."""
