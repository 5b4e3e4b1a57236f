"""A network that learns from the scores of another one, its teacher.

G. Hinton, O. Vinyals, J. Dean, Distilling the knowledge in a neural network, arXiv:1503.02531.
"""
