"""Programs as modules of WebAssembly, written in pure Python."""

from quantlab.deploy.clickhouse.wasm.check import check_module
from quantlab.deploy.clickhouse.wasm.module import Tensor, WasmModule, module_of

__all__ = ["Tensor", "WasmModule", "check_module", "module_of"]
