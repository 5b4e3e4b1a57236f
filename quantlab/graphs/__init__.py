"""Networks as graphs of layers: select, trace, match and edit."""
