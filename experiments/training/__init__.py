"""The training of one network: what is assembled, the loop, what it leaves behind."""
