-- bits: {'low': 0, 'step': 1, 'inner_0': 30, 'layer': 'layer 0'}
SELECT
    sample,
    element,
    toInt32(CAST(%(low)s AS Int64) + CAST(%(step)s AS Int64) * toInt64(number)) AS value
FROM (
    SELECT
        sample,
        element,
        sum(reached) AS number
    FROM (
        SELECT
            sample,
            element,
            toInt64(value) * toInt64(sign) >= threshold AS reached
        FROM (
            SELECT
                sample,
                element,
                value,
                toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32))) AS channel
            FROM tensor_0
        )
        ALL INNER JOIN (
            SELECT
                channel,
                level,
                sign,
                threshold
            FROM thresholds
            WHERE layer = CAST(%(layer)s AS String)
        ) USING (channel)
    )
    GROUP BY sample, element
)

-- sums: {'places': 30, 'stride_y': 1, 'columns': 5, 'stride_x': 1, 'kernel_width': 3, 'taps': 9, 'coefficients': [1], 'planes': 1, 'top': 1, 'left': 1, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'padded_area': 56, 'padded_width': 7, 'padded_height': 8, 'cells': 3920, 'layer': 'layer 1', 'bottom': 7, 'right': 6, 'rows': 6}
SELECT
    sample,
    toUInt32(neuron * CAST(%(places)s AS UInt32) + place) AS element,
    toInt32(total) AS value
FROM (
    SELECT
        sample,
        place,
        neuron,
        sum(term) AS total
    FROM (
        SELECT
            sample,
            place,
            neuron,
            coefficient * (toInt64(bitShiftRight((bitAnd(bitAnd(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 2), 3689348814741910323), 1085102592571150095) + bitAnd(bitShiftRight(bitAnd(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 2), 3689348814741910323), 4), 1085102592571150095)) * 72340172838076673, 56)) - toInt64(bitShiftRight((bitAnd(bitAnd(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 2), 3689348814741910323), 1085102592571150095) + bitAnd(bitShiftRight(bitAnd(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 2), 3689348814741910323), 4), 1085102592571150095)) * 72340172838076673, 56))) AS term
        FROM (
            SELECT
                sample,
                word,
                coefficient,
                bits,
                toUInt32(intDiv(down, CAST(%(stride_y)s AS UInt32)) * CAST(%(columns)s AS UInt32) + intDiv(across, CAST(%(stride_x)s AS UInt32))) AS place,
                toUInt32(tap) AS tap
            FROM (
                SELECT
                    sample,
                    tap,
                    word,
                    coefficient,
                    bits,
                    toInt64(y) - toInt64(intDiv(tap, CAST(%(kernel_width)s AS UInt32))) AS down,
                    toInt64(x) - toInt64(modulo(tap, CAST(%(kernel_width)s AS UInt32))) AS across
                FROM (
                    SELECT
                        sample,
                        y,
                        x,
                        word,
                        coefficient,
                        bits,
                        arrayJoin(range(CAST(%(taps)s AS UInt32))) AS tap
                    FROM (
                        SELECT
                            sample,
                            y,
                            x,
                            word,
                            coefficient,
                            groupBitOr(bit) AS bits
                        FROM (
                            SELECT
                                sample,
                                y,
                                x,
                                toUInt32(intDiv(channel, 64)) AS word,
                                toInt64(arrayElement(CAST(%(coefficients)s AS Array(Int64)), plane + 1)) AS coefficient,
                                bitShiftLeft(toUInt64(bitAnd(bitShiftRight(value, plane), 1)), modulo(channel, 64)) AS bit
                            FROM (
                                SELECT
                                    sample,
                                    channel,
                                    y,
                                    x,
                                    value,
                                    arrayJoin(range(CAST(%(planes)s AS UInt32))) AS plane
                                FROM (
                                    SELECT
                                        sample,
                                        channel,
                                        toUInt32(y + CAST(%(top)s AS UInt32)) AS y,
                                        toUInt32(x + CAST(%(left)s AS UInt32)) AS x,
                                        value
                                    FROM (
                                        SELECT
                                            sample,
                                            toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32))) AS channel,
                                            toUInt32(modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32))) AS y,
                                            toUInt32(modulo(element, CAST(%(size_2)s AS UInt32))) AS x,
                                            value
                                        FROM tensor_1
                                    )
                                    UNION ALL
                                    SELECT
                                        sample,
                                        channel,
                                        y,
                                        x,
                                        code AS value
                                    FROM (
                                        SELECT
                                            sample,
                                            toUInt32(intDiv(cell, CAST(%(padded_area)s AS UInt32))) AS channel,
                                            toUInt32(modulo(intDiv(cell, CAST(%(padded_width)s AS UInt32)), CAST(%(padded_height)s AS UInt32))) AS y,
                                            toUInt32(modulo(cell, CAST(%(padded_width)s AS UInt32))) AS x
                                        FROM (
                                            SELECT
                                                sample,
                                                arrayJoin(range(CAST(%(cells)s AS UInt32))) AS cell
                                            FROM (
                                                SELECT DISTINCT
                                                    sample
                                                FROM tensor_0
                                            )
                                        )
                                    )
                                    ALL INNER JOIN (
                                        SELECT
                                            channel,
                                            code
                                        FROM paddings
                                        WHERE layer = CAST(%(layer)s AS String)
                                    ) USING (channel)
                                    WHERE (y < CAST(%(top)s AS UInt32) OR y >= CAST(%(bottom)s AS UInt32) OR x < CAST(%(left)s AS UInt32) OR x >= CAST(%(right)s AS UInt32))
                                )
                            )
                        )
                        GROUP BY sample, y, x, word, coefficient
                    )
                )
            )
            WHERE down >= 0
                AND down < CAST(%(stride_y)s AS UInt32) * CAST(%(rows)s AS UInt32)
                AND modulo(down, CAST(%(stride_y)s AS UInt32)) = 0
                AND across >= 0
                AND across < CAST(%(stride_x)s AS UInt32) * CAST(%(columns)s AS UInt32)
                AND modulo(across, CAST(%(stride_x)s AS UInt32)) = 0
        )
        ALL INNER JOIN (
            SELECT
                neuron,
                tap,
                word,
                sign,
                mask
            FROM words
            WHERE layer = CAST(%(layer)s AS String)
        ) USING (tap, word)
        UNION ALL
        SELECT
            sample,
            place,
            neuron,
            constant AS term
        FROM (
            SELECT
                sample,
                arrayJoin(range(CAST(%(places)s AS UInt32))) AS place
            FROM (
                SELECT DISTINCT
                    sample
                FROM tensor_0
            )
        )
        CROSS JOIN (
            SELECT
                neuron,
                toInt64(bias) AS constant
            FROM (
                SELECT
                    neuron,
                    bias
                FROM biases
                WHERE layer = CAST(%(layer)s AS String)
            )
        )
    )
    GROUP BY sample, place, neuron
)

-- codes: {'low': -1, 'step': 2, 'inner_0': 30, 'layer': 'layer 2'}
SELECT
    sample,
    element,
    toInt32(CAST(%(low)s AS Int64) + CAST(%(step)s AS Int64) * toInt64(number)) AS value
FROM (
    SELECT
        sample,
        element,
        sum(reached) AS number
    FROM (
        SELECT
            sample,
            element,
            toInt64(value) * toInt64(sign) >= threshold AS reached
        FROM (
            SELECT
                sample,
                element,
                value,
                toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32))) AS channel
            FROM tensor_2
        )
        ALL INNER JOIN (
            SELECT
                channel,
                level,
                sign,
                threshold
            FROM thresholds
            WHERE layer = CAST(%(layer)s AS String)
        ) USING (channel)
    )
    GROUP BY sample, element
)

-- pooled: {'places': 20, 'stride_y': 1, 'columns': 4, 'stride_x': 1, 'kernel_width': 2, 'taps': 4, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'rows': 5}
SELECT
    sample,
    toUInt32(channel * CAST(%(places)s AS UInt32) + place) AS element,
    toInt32(pooled) AS value
FROM (
    SELECT
        sample,
        channel,
        place,
        max(value) AS pooled
    FROM (
        SELECT
            sample,
            channel,
            value,
            toUInt32(intDiv(down, CAST(%(stride_y)s AS UInt32)) * CAST(%(columns)s AS UInt32) + intDiv(across, CAST(%(stride_x)s AS UInt32))) AS place,
            toUInt32(tap) AS tap
        FROM (
            SELECT
                sample,
                tap,
                channel,
                value,
                toInt64(y) - toInt64(intDiv(tap, CAST(%(kernel_width)s AS UInt32))) AS down,
                toInt64(x) - toInt64(modulo(tap, CAST(%(kernel_width)s AS UInt32))) AS across
            FROM (
                SELECT
                    sample,
                    y,
                    x,
                    channel,
                    value,
                    arrayJoin(range(CAST(%(taps)s AS UInt32))) AS tap
                FROM (
                    SELECT
                        sample,
                        toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32))) AS channel,
                        toUInt32(modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32))) AS y,
                        toUInt32(modulo(element, CAST(%(size_2)s AS UInt32))) AS x,
                        value
                    FROM tensor_3
                )
            )
        )
        WHERE down >= 0
            AND down < CAST(%(stride_y)s AS UInt32) * CAST(%(rows)s AS UInt32)
            AND modulo(down, CAST(%(stride_y)s AS UInt32)) = 0
            AND across >= 0
            AND across < CAST(%(stride_x)s AS UInt32) * CAST(%(columns)s AS UInt32)
            AND modulo(across, CAST(%(stride_x)s AS UInt32)) = 0
    )
    GROUP BY sample, channel, place
)

-- row: {}
SELECT
    sample,
    element,
    toInt32(value) AS value
FROM tensor_4

-- scores: {'outputs': 4, 'columns': 1, 'coefficients': [-2], 'first_bit': 1, 'planes': 1, 'inputs': 180, 'layer': 'layer 5', 'places': 1, 'offset': 1}
SELECT
    sample,
    toUInt32(place * CAST(%(outputs)s AS UInt32) + neuron) AS element,
    toInt32(total) AS value
FROM (
    SELECT
        sample,
        place,
        neuron,
        sum(term) AS total
    FROM (
        SELECT
            sample,
            place,
            neuron,
            coefficient * (toInt64(bitShiftRight((bitAnd(bitAnd(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 2), 3689348814741910323), 1085102592571150095) + bitAnd(bitShiftRight(bitAnd(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 2), 3689348814741910323), 4), 1085102592571150095)) * 72340172838076673, 56)) - toInt64(bitShiftRight((bitAnd(bitAnd(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 2), 3689348814741910323), 1085102592571150095) + bitAnd(bitShiftRight(bitAnd(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(bitAnd(bitXor(bits, sign), mask), 6148914691236517205) + bitAnd(bitShiftRight(bitAnd(bitXor(bits, sign), mask), 1), 6148914691236517205), 2), 3689348814741910323), 4), 1085102592571150095)) * 72340172838076673, 56))) AS term
        FROM (
            SELECT
                sample,
                word,
                coefficient,
                bits,
                toUInt32(y * CAST(%(columns)s AS UInt32) + x) AS place,
                toUInt32(0) AS tap
            FROM (
                SELECT
                    sample,
                    y,
                    x,
                    word,
                    coefficient,
                    groupBitOr(bit) AS bits
                FROM (
                    SELECT
                        sample,
                        y,
                        x,
                        toUInt32(intDiv(channel, 64)) AS word,
                        toInt64(arrayElement(CAST(%(coefficients)s AS Array(Int64)), plane + 1)) AS coefficient,
                        bitShiftLeft(toUInt64(bitAnd(bitShiftRight(value, plane + CAST(%(first_bit)s AS UInt32)), 1)), modulo(channel, 64)) AS bit
                    FROM (
                        SELECT
                            sample,
                            channel,
                            y,
                            x,
                            value,
                            arrayJoin(range(CAST(%(planes)s AS UInt32))) AS plane
                        FROM (
                            SELECT
                                sample,
                                toUInt32(modulo(element, CAST(%(inputs)s AS UInt32))) AS channel,
                                toUInt32(0) AS y,
                                toUInt32(intDiv(element, CAST(%(inputs)s AS UInt32))) AS x,
                                value
                            FROM tensor_5
                        )
                    )
                )
                GROUP BY sample, y, x, word, coefficient
            )
        )
        ALL INNER JOIN (
            SELECT
                neuron,
                tap,
                word,
                sign,
                mask
            FROM words
            WHERE layer = CAST(%(layer)s AS String)
        ) USING (tap, word)
        UNION ALL
        SELECT
            sample,
            place,
            neuron,
            constant AS term
        FROM (
            SELECT
                sample,
                arrayJoin(range(CAST(%(places)s AS UInt32))) AS place
            FROM (
                SELECT DISTINCT
                    sample
                FROM tensor_0
            )
        )
        CROSS JOIN (
            SELECT
                neuron,
                toInt64(bias) AS constant
            FROM (
                SELECT
                    neuron,
                    bias
                FROM biases
                WHERE layer = CAST(%(layer)s AS String)
            )
            UNION ALL
            SELECT
                neuron,
                (toInt64(bitShiftRight((bitAnd(bitAnd(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 2), 3689348814741910323), 1085102592571150095) + bitAnd(bitShiftRight(bitAnd(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(sign, 6148914691236517205) + bitAnd(bitShiftRight(sign, 1), 6148914691236517205), 2), 3689348814741910323), 4), 1085102592571150095)) * 72340172838076673, 56)) * 2 - toInt64(bitShiftRight((bitAnd(bitAnd(bitAnd(mask, 6148914691236517205) + bitAnd(bitShiftRight(mask, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(mask, 6148914691236517205) + bitAnd(bitShiftRight(mask, 1), 6148914691236517205), 2), 3689348814741910323), 1085102592571150095) + bitAnd(bitShiftRight(bitAnd(bitAnd(mask, 6148914691236517205) + bitAnd(bitShiftRight(mask, 1), 6148914691236517205), 3689348814741910323) + bitAnd(bitShiftRight(bitAnd(mask, 6148914691236517205) + bitAnd(bitShiftRight(mask, 1), 6148914691236517205), 2), 3689348814741910323), 4), 1085102592571150095)) * 72340172838076673, 56))) * CAST(%(offset)s AS Int64) AS constant
            FROM (
                SELECT
                    neuron,
                    tap,
                    word,
                    sign,
                    mask
                FROM words
                WHERE layer = CAST(%(layer)s AS String)
            )
        )
    )
    GROUP BY sample, place, neuron
)
