"""What is solved: one folder a problem, one folder a topology inside. The one place a user edits."""
