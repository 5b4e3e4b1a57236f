"""One box for each of four cells."""
