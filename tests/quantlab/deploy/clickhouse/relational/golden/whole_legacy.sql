-- sums: {'places': 30, 'stride_y': 1, 'columns': 5, 'stride_x': 1, 'kernel_width': 3, 'taps': 9, 'top': 1, 'left': 1, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'padded_area': 56, 'padded_width': 7, 'padded_height': 8, 'cells': 112, 'layer': 'layer 0', 'bottom': 7, 'right': 6, 'rows': 6}
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
            toInt64(weight) * toInt64(value) AS term
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
                            FROM tensor_0
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
                channel,
                weight
            FROM weights
            WHERE layer = CAST(%(layer)s AS String)
        ) USING (tap, channel)
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

-- codes: {'low': -100, 'high': 127, 'inner_0': 30, 'layer': 'layer 1'}
SELECT
    sample,
    element,
    toInt32(greatest(CAST(%(low)s AS Int64), least(CAST(%(high)s AS Int64), bitShiftRight(toInt64(value) * toInt64(left_multiplier) + offset, shift)))) AS value
FROM (
    SELECT
        sample,
        element,
        value,
        toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32))) AS cell
    FROM tensor_1
)
ALL INNER JOIN (
    SELECT
        cell,
        left_multiplier,
        right_multiplier,
        offset,
        shift
    FROM rescales
    WHERE layer = CAST(%(layer)s AS String)
) USING (cell)

-- largest: {'places': 9, 'stride_y': 2, 'columns': 3, 'stride_x': 2, 'kernel_width': 2, 'taps': 4, 'top': 0, 'left': 0, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'code': -128, 'padded_area': 36, 'padded_width': 6, 'padded_height': 6, 'cells': 144, 'bottom': 6, 'right': 5, 'rows': 3}
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
                        FROM tensor_2
                    )
                    UNION ALL
                    SELECT
                        sample,
                        channel,
                        y,
                        x,
                        CAST(%(code)s AS Int32) AS value
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
                    WHERE (y < CAST(%(top)s AS UInt32) OR y >= CAST(%(bottom)s AS UInt32) OR x < CAST(%(left)s AS UInt32) OR x >= CAST(%(right)s AS UInt32))
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

-- summed: {'places': 9, 'stride_y': 2, 'columns': 3, 'stride_x': 2, 'kernel_width': 2, 'taps': 4, 'top': 0, 'left': 1, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'code': -2, 'padded_area': 42, 'padded_width': 7, 'padded_height': 6, 'cells': 168, 'bottom': 6, 'right': 6, 'rows': 3}
SELECT
    sample,
    toUInt32(channel * CAST(%(places)s AS UInt32) + place) AS element,
    toInt32(pooled) AS value
FROM (
    SELECT
        sample,
        channel,
        place,
        sum(value) AS pooled
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
                        FROM tensor_2
                    )
                    UNION ALL
                    SELECT
                        sample,
                        channel,
                        y,
                        x,
                        CAST(%(code)s AS Int32) AS value
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
                    WHERE (y < CAST(%(top)s AS UInt32) OR y >= CAST(%(bottom)s AS UInt32) OR x < CAST(%(left)s AS UInt32) OR x >= CAST(%(right)s AS UInt32))
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

-- added: {'low': -9999, 'high': 9999, 'layer': 'layer 4'}
SELECT
    sample,
    element,
    toInt32(greatest(CAST(%(low)s AS Int64), least(CAST(%(high)s AS Int64), bitShiftRight(toInt64(left_value) * toInt64(left_multiplier) + toInt64(right_value) * toInt64(right_multiplier) + offset, shift)))) AS value
FROM (
    SELECT
        sample,
        element,
        left_value,
        right_value,
        toUInt32(0) AS cell
    FROM (
        SELECT
            sample,
            element,
            value AS left_value
        FROM tensor_3
    )
    ALL INNER JOIN (
        SELECT
            sample,
            element,
            value AS right_value
        FROM tensor_4
    ) USING (sample, element)
)
ALL INNER JOIN (
    SELECT
        cell,
        left_multiplier,
        right_multiplier,
        offset,
        shift
    FROM rescales
    WHERE layer = CAST(%(layer)s AS String)
) USING (cell)

-- few: {'places': 1, 'inner_0': 9, 'inner_1': 3, 'size_1': 3, 'size_2': 3, 'columns': 1, 'height': 3, 'rows': 1, 'width': 3}
SELECT
    sample,
    toUInt32(channel * CAST(%(places)s AS UInt32) + place) AS element,
    toInt32(pooled) AS value
FROM (
    SELECT
        sample,
        channel,
        place,
        sum(value) AS pooled
    FROM (
        SELECT
            sample,
            channel,
            value,
            toUInt32(place) AS place
        FROM (
            SELECT
                sample,
                channel,
                y,
                x,
                value,
                arrayJoin(range(CAST(%(places)s AS UInt32))) AS place
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
        WHERE y >= intDiv(intDiv(place, CAST(%(columns)s AS UInt32)) * CAST(%(height)s AS UInt32), CAST(%(rows)s AS UInt32))
            AND y < intDiv((intDiv(place, CAST(%(columns)s AS UInt32)) + 1) * CAST(%(height)s AS UInt32) + (CAST(%(rows)s AS UInt32) - 1), CAST(%(rows)s AS UInt32))
            AND x >= intDiv(modulo(place, CAST(%(columns)s AS UInt32)) * CAST(%(width)s AS UInt32), CAST(%(columns)s AS UInt32))
            AND x < intDiv((modulo(place, CAST(%(columns)s AS UInt32)) + 1) * CAST(%(width)s AS UInt32) + (CAST(%(columns)s AS UInt32) - 1), CAST(%(columns)s AS UInt32))
    )
    GROUP BY sample, channel, place
)

-- gate: {'low': 0, 'high': 255, 'layer': 'layer 6'}
SELECT
    sample,
    element,
    toInt32(greatest(CAST(%(low)s AS Int64), least(CAST(%(high)s AS Int64), bitShiftRight(toInt64(value) * toInt64(left_multiplier) + offset, shift)))) AS value
FROM (
    SELECT
        sample,
        element,
        value,
        toUInt32(0) AS cell
    FROM tensor_6
)
ALL INNER JOIN (
    SELECT
        cell,
        left_multiplier,
        right_multiplier,
        offset,
        shift
    FROM rescales
    WHERE layer = CAST(%(layer)s AS String)
) USING (cell)

-- gated: {'left_zero': -7, 'right_zero': 3, 'stride_0': 9, 'copies_1': 3, 'length_1': 3, 'stride_1': 3, 'length_2': 3, 'copies': 9}
SELECT
    sample,
    element,
    toInt32((toInt64(left_value) - CAST(%(left_zero)s AS Int64)) * (toInt64(right_value) - CAST(%(right_zero)s AS Int64))) AS value
FROM (
    SELECT
        sample,
        element,
        value AS left_value
    FROM tensor_3
)
ALL INNER JOIN (
    SELECT
        sample,
        moved AS element,
        value AS right_value
    FROM (
        SELECT
            sample,
            toUInt32(element * CAST(%(stride_0)s AS UInt32) + modulo(intDiv(copy, CAST(%(copies_1)s AS UInt32)), CAST(%(length_1)s AS UInt32)) * CAST(%(stride_1)s AS UInt32) + modulo(copy, CAST(%(length_2)s AS UInt32))) AS moved,
            value
        FROM (
            SELECT
                sample,
                element,
                value,
                arrayJoin(range(CAST(%(copies)s AS UInt32))) AS copy
            FROM tensor_7
        )
    )
) USING (sample, element)

-- levels: {'low': -1, 'step': 1, 'inner_0': 9, 'layer': 'layer 8'}
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
            FROM tensor_8
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

-- looked: {'lowest': -128, 'layer': 'layer 9'}
SELECT
    sample,
    element,
    toInt32(result) AS value
FROM (
    SELECT
        sample,
        element,
        toUInt32(toInt64(value) - CAST(%(lowest)s AS Int64)) AS entry
    FROM tensor_9
)
ALL INNER JOIN (
    SELECT
        entry,
        result
    FROM lookups
    WHERE layer = CAST(%(layer)s AS String)
) USING (entry)

-- both: {'inner_0': 9, 'stride_0': 18, 'inner_1': 3, 'size_1': 3, 'before': 0, 'stride_1': 3, 'size_2': 3, 'before_2': 3}
SELECT
    sample,
    moved AS element,
    toInt32(value) AS value
FROM (
    SELECT
        sample,
        toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32)) * CAST(%(stride_0)s AS UInt32) + (modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32)) + CAST(%(before)s AS UInt32)) * CAST(%(stride_1)s AS UInt32) + modulo(element, CAST(%(size_2)s AS UInt32))) AS moved,
        value
    FROM tensor_9
    UNION ALL
    SELECT
        sample,
        toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32)) * CAST(%(stride_0)s AS UInt32) + (modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32)) + CAST(%(before_2)s AS UInt32)) * CAST(%(stride_1)s AS UInt32) + modulo(element, CAST(%(size_2)s AS UInt32))) AS moved,
        value
    FROM tensor_10
)

-- part: {'inner_0': 18, 'stride_0': 6, 'inner_1': 3, 'size_1': 6, 'start': 1, 'step': 2, 'stride_1': 3, 'size_2': 3, 'stop': 5}
SELECT
    sample,
    moved AS element,
    toInt32(value) AS value
FROM (
    SELECT
        sample,
        toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32)) * CAST(%(stride_0)s AS UInt32) + intDiv(toInt64(modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32))) - CAST(%(start)s AS UInt32), CAST(%(step)s AS UInt32)) * CAST(%(stride_1)s AS UInt32) + modulo(element, CAST(%(size_2)s AS UInt32))) AS moved,
        value
    FROM tensor_11
    WHERE modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32)) >= CAST(%(start)s AS UInt32)
        AND modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32)) < CAST(%(stop)s AS UInt32)
        AND modulo(toInt64(modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32))) - CAST(%(start)s AS UInt32), CAST(%(step)s AS UInt32)) = 0
)

-- turned: {'inner_1': 3, 'size_1': 2, 'stride_0': 12, 'size_2': 3, 'stride_1': 4, 'inner_0': 6}
SELECT
    sample,
    moved AS element,
    toInt32(value) AS value
FROM (
    SELECT
        sample,
        toUInt32(modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32)) * CAST(%(stride_0)s AS UInt32) + modulo(element, CAST(%(size_2)s AS UInt32)) * CAST(%(stride_1)s AS UInt32) + intDiv(element, CAST(%(inner_0)s AS UInt32))) AS moved,
        value
    FROM tensor_12
)

-- scores: {'outputs': 3, 'columns': 6, 'inputs': 4, 'layer': 'layer 13', 'places': 6}
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
            toInt64(weight) * toInt64(value) AS term
        FROM (
            SELECT
                sample,
                channel,
                value,
                toUInt32(y * CAST(%(columns)s AS UInt32) + x) AS place,
                toUInt32(0) AS tap
            FROM (
                SELECT
                    sample,
                    toUInt32(modulo(element, CAST(%(inputs)s AS UInt32))) AS channel,
                    toUInt32(0) AS y,
                    toUInt32(intDiv(element, CAST(%(inputs)s AS UInt32))) AS x,
                    value
                FROM tensor_13
            )
        )
        ALL INNER JOIN (
            SELECT
                neuron,
                tap,
                channel,
                weight
            FROM weights
            WHERE layer = CAST(%(layer)s AS String)
        ) USING (tap, channel)
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

-- best: {'inner_0': 9, 'stride_0': 3, 'inner_1': 3, 'size_1': 3, 'size_2': 3}
SELECT
    sample,
    place AS element,
    toInt32(4294967295 - bitAnd(largest, 4294967295)) AS value
FROM (
    SELECT
        sample,
        place,
        max(rank) AS largest
    FROM (
        SELECT
            sample,
            toUInt32(intDiv(element, CAST(%(inner_0)s AS UInt32)) * CAST(%(stride_0)s AS UInt32) + modulo(intDiv(element, CAST(%(inner_1)s AS UInt32)), CAST(%(size_1)s AS UInt32))) AS place,
            toInt64(value) * 4294967296 + (4294967295 - modulo(element, CAST(%(size_2)s AS UInt32))) AS rank
        FROM tensor_14
    )
    GROUP BY sample, place
)
