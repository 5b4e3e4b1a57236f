"""How chDB is opened: WebAssembly and the log of queries are off by default."""

from collections.abc import Mapping

CONFIG_FILE = "quantlab.xml"
CONFIG = b"""<clickhouse>
    <allow_experimental_webassembly_udf>1</allow_experimental_webassembly_udf>
    <webassembly_udf_engine>wasmtime</webassembly_udf_engine>
    <query_log>
        <database>system</database>
        <table>query_log</table>
    </query_log>
</clickhouse>
"""


def session_settings(timeout_s: float) -> Mapping[str, str]:
    """Return the settings of a session. timeout_s: what a query may take.

    A NULL is no 0. Rows are whole images (FixedString above 256 bytes), modules and weights travel
    in long queries, and an endless loop ends by time: fuel would have to grow with the rows.
    """
    return {
        "input_format_null_as_default": "0",
        "allow_suspicious_fixed_string_types": "1",
        "max_query_size": "1000000000",
        "output_format_arrow_string_as_string": "0",
        "webassembly_udf_max_fuel": "0",
        "webassembly_udf_max_memory": str(2**30),
        "max_execution_time": f"{timeout_s:g}",
    }
