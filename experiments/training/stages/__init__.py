"""What a configuration makes of a network before it is trained, one stage a file."""
