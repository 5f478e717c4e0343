"""Trackers: wandb, TensorBoard, MLflow and trackio, each fed in a process of its own."""
