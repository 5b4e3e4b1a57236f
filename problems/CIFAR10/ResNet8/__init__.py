"""A residual network of eight layers for microcontrollers."""
