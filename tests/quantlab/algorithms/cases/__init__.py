"""The cases of all algorithms, by name. A new algorithm adds a file and a line here."""

from tests.quantlab.algorithms.cases import ana, few_levels, learned, partial, ste
from tests.quantlab.algorithms.cases.case import Case

CASES: dict[str, Case] = {
    **ste.CASES,
    **learned.CASES,
    **few_levels.CASES,
    **partial.CASES,
    **ana.CASES,
}
