"""SQL as typed nodes, and their text in two dialects."""
