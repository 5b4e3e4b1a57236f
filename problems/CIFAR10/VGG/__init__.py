"""Plain stacks of 3x3 convolutions."""
