"""The same networks under another topology's name."""

from problems.Toy.Tiny.network import Exploding, Plain, Tiny

__all__ = ["Exploding", "Plain", "Tiny"]
