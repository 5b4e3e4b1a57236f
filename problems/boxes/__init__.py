"""What problems of detection share. Not a problem itself: it has no data."""
