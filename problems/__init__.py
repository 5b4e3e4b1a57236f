"""What is solved: one folder a problem, one folder a topology in it. The one place a user edits."""
