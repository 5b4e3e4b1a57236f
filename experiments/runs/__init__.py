"""What a run leaves on disk: its folder, record, checkpoints and logs."""
