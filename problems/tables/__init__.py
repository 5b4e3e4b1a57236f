"""What problems of tables share. Not a problem itself: it has no data."""
