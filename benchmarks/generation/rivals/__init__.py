"""Other ways to small files, one a module, in plain torch.

`convert(network)` replaces convolutions in place and returns the network; new layers begin with the
nearest ones to the replaced weights that a closed form gives. All that has numbers of its own is an
`nn.Conv2d`, an `nn.Linear` or a batch norm, or says what it takes in a file (`stored.py`), so that
`quantize` gives any of them its bits.

Shapes: O output channels, I input channels, K x K pixels of a kernel.
"""
