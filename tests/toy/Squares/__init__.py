"""Gray images of 16 x 16 pixels with one or two squares, dark or bright, to be found."""
