"""What problems of image classification share. Not a problem itself: it has no data."""
