"""LEB128: integers in as few bytes as they need, 7 bits each."""


def unsigned(value: int) -> bytes:
    """Return an integer from 0 on as unsigned LEB128."""
    assert value >= 0
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def signed(value: int) -> bytes:
    """Return an integer as signed LEB128: bit 6 of its last byte is the sign."""
    encoded = bytearray()
    while not -64 <= value < 64:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value & 0x7F])


def read_unsigned(data: bytes, start: int) -> tuple[int, int]:
    """Return an unsigned integer and where the next byte lies. Raises IndexError at the end."""
    value, shift, place = 0, 0, start
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place
