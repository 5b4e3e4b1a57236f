"""Neural networks inside ClickHouse: integer programs as tables, SQL and WebAssembly."""
