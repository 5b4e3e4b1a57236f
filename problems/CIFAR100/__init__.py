"""Small photos: 50,000 + 10,000 RGB images of 32 x 32 pixels, a hundred classes."""
