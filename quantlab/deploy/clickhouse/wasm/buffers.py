"""The buffers through which ClickHouse and a module exchange rows (its ABI BUFFERED_V1).

ClickHouse has the module allocate a buffer for the rows, calls the function, reads the buffer that
it returns, and destroys both. The memory of a buffer begins with its handle: the address of the
bytes and their number, 32 bits each. Buffers lie one behind the other; once none is left the next
one begins at the start again, as an instance of a module lives through many calls.

Source: ClickHouse, docs/en/sql-reference/functions/wasm_udf.md.
"""

from quantlab.deploy.clickhouse.wasm.binary import Function
from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32, load

ALLOCATE, DESTROY = "clickhouse_create_buffer", "clickhouse_destroy_buffer"
TOP, COUNT = 0, 1  # global variables: where free memory begins, how many buffers there are
_HANDLE = 16  # bytes before those of the buffer
_SLACK = 32  # bytes behind them, which vectors may read


def allocate(end: int) -> Function:
    """Return the function that makes a buffer of so many bytes. end: of the memory.

    A buffer that has no room is an error, which ends the call.
    """
    body = Body([I32])
    size = body.parameter(I32, 0)
    handle = body.new(body.get_global(TOP))
    room = I32.of(end - _HANDLE - _SLACK - 15) - handle
    with body.when(size.unsigned_above(room)):
        body.trap()
    body.set_global(TOP, (handle + _HANDLE + size + _SLACK + 15) & -16)
    body.set_global(COUNT, body.get_global(COUNT) + 1)
    body.store("i32.store", handle, handle + _HANDLE)
    body.store("i32.store", handle, size, 4)
    body.give(handle)
    return Function(body=body, num_parameters=1, has_result=True)


def destroy(start: int, *, is_poisoned: bool) -> Function:
    """Return the function that frees a buffer. start: of the memory of buffers.

    is_poisoned: whether its bytes are set to others, so that reading them later gives wrong
    results: for tests.
    """
    body = Body([I32])
    handle = body.parameter(I32, 0)
    if is_poisoned:
        size = load(I32, "i32.load", handle, 4)
        body.fill(handle, 0xA5, size + _HANDLE)
    left = body.new(body.get_global(COUNT) - 1)
    body.set_global(COUNT, left)
    with body.when(left.equals(0)):
        body.set_global(TOP, I32.of(start))
    return Function(body=body, num_parameters=1)


def bytes_of(handle: I32) -> I32:
    """Return the address of a buffer's bytes."""
    return load(I32, "i32.load", handle)


def size_of(handle: I32) -> I32:
    """Return the number of a buffer's bytes."""
    return load(I32, "i32.load", handle, 4)
