"""Float programs as C."""
