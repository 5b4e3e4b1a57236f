"""Models in a database: their parameters as rows, and what is derived from these.

The parameters are the truth. A layer is named by a hash of its operation and constants, so that
models share what is equal; a program read back has the hash of the file that it came from. Modules
of WebAssembly and functions of SQL are derived, and are made anew where they are missing or differ.
"""

from quantlab.deploy.clickhouse.store.store import Model, Store

__all__ = ["Model", "Store"]
