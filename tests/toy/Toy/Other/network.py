"""The same networks under another topology's name."""

from problems.Toy.Tiny.network import Exploding, PassesBy, Plain, Tiny

__all__ = ["Exploding", "PassesBy", "Plain", "Tiny"]
