"""Models on emulated microcontrollers."""
