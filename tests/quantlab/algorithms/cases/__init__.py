"""The cases of all algorithms, by name. A new algorithm adds a file and a line here."""

from tests.quantlab.algorithms.cases import learned, ste
from tests.quantlab.algorithms.cases.case import Case

CASES: dict[str, Case] = {**ste.CASES, **learned.CASES}
