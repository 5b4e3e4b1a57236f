"""Integer programs as C for microcontrollers."""
