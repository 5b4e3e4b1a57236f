"""From torch networks to packs; the only part of `quantlab.packs` that needs torch."""

from quantlab.packs.lower.lower import FloatName, make_pack

__all__ = ["FloatName", "make_pack"]
