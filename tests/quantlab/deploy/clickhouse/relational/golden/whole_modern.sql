-- sums: {'places': 30, 'stride_y': 1, 'columns': 5, 'stride_x': 1, 'kernel_width': 3, 'taps': 9, 'top': 1, 'left': 1, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'padded_area': 56, 'padded_width': 7, 'padded_height': 8, 'cells': 112, 'layer': 'layer 0', 'bottom': 7, 'right': 6, 'rows': 6}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS y,
        toUInt32(modulo(element, {size_2:UInt32})) AS x,
        value
    FROM tensor_0
), samples AS (
    SELECT DISTINCT
        sample
    FROM tensor_0
), cells AS (
    SELECT
        sample,
        arrayJoin(range({cells:UInt32})) AS cell
    FROM samples
), placed_cells AS (
    SELECT
        sample,
        toUInt32(intDiv(cell, {padded_area:UInt32})) AS channel,
        toUInt32(modulo(intDiv(cell, {padded_width:UInt32}), {padded_height:UInt32})) AS y,
        toUInt32(modulo(cell, {padded_width:UInt32})) AS x
    FROM cells
), layer_paddings AS (
    SELECT
        channel,
        code
    FROM paddings
    WHERE layer = {layer:String}
), padded AS (
    SELECT
        sample,
        channel,
        toUInt32(y + {top:UInt32}) AS y,
        toUInt32(x + {left:UInt32}) AS x,
        value
    FROM pixels
    UNION ALL
    SELECT
        sample,
        channel,
        y,
        x,
        code AS value
    FROM placed_cells
    ALL INNER JOIN layer_paddings USING (channel)
    WHERE (y < {top:UInt32} OR y >= {bottom:UInt32} OR x < {left:UInt32} OR x >= {right:UInt32})
), taps AS (
    SELECT
        sample,
        y,
        x,
        channel,
        value,
        arrayJoin(range({taps:UInt32})) AS tap
    FROM padded
), starts AS (
    SELECT
        sample,
        tap,
        channel,
        value,
        toInt64(y) - toInt64(intDiv(tap, {kernel_width:UInt32})) AS down,
        toInt64(x) - toInt64(modulo(tap, {kernel_width:UInt32})) AS across
    FROM taps
), windows AS (
    SELECT
        sample,
        channel,
        value,
        toUInt32(intDiv(down, {stride_y:UInt32}) * {columns:UInt32} + intDiv(across, {stride_x:UInt32})) AS place,
        toUInt32(tap) AS tap
    FROM starts
    WHERE down >= 0
        AND down < {stride_y:UInt32} * {rows:UInt32}
        AND modulo(down, {stride_y:UInt32}) = 0
        AND across >= 0
        AND across < {stride_x:UInt32} * {columns:UInt32}
        AND modulo(across, {stride_x:UInt32}) = 0
), layer_weights AS (
    SELECT
        neuron,
        tap,
        channel,
        weight
    FROM weights
    WHERE layer = {layer:String}
), places AS (
    SELECT
        sample,
        arrayJoin(range({places:UInt32})) AS place
    FROM samples
), layer_biases AS (
    SELECT
        neuron,
        bias
    FROM biases
    WHERE layer = {layer:String}
), constants AS (
    SELECT
        neuron,
        toInt64(bias) AS constant
    FROM layer_biases
), terms AS (
    SELECT
        sample,
        place,
        neuron,
        toInt64(weight) * toInt64(value) AS term
    FROM windows
    ALL INNER JOIN layer_weights USING (tap, channel)
    UNION ALL
    SELECT
        sample,
        place,
        neuron,
        constant AS term
    FROM places
    CROSS JOIN constants
), sums AS (
    SELECT
        sample,
        place,
        neuron,
        sum(term) AS total
    FROM terms
    GROUP BY sample, place, neuron
)
SELECT
    sample,
    toUInt32(neuron * {places:UInt32} + place) AS element,
    toInt32(total) AS value
FROM sums

-- codes: {'low': -100, 'high': 127, 'inner_0': 30, 'layer': 'layer 1'}
WITH cells AS (
    SELECT
        sample,
        element,
        value,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS cell
    FROM tensor_1
), layer_rescales AS (
    SELECT
        cell,
        left_multiplier,
        right_multiplier,
        offset,
        shift
    FROM rescales
    WHERE layer = {layer:String}
)
SELECT
    sample,
    element,
    toInt32(greatest({low:Int64}, least({high:Int64}, bitShiftRight(toInt64(value) * toInt64(left_multiplier) + offset, shift)))) AS value
FROM cells
ALL INNER JOIN layer_rescales USING (cell)

-- largest: {'places': 9, 'stride_y': 2, 'columns': 3, 'stride_x': 2, 'kernel_width': 2, 'taps': 4, 'top': 0, 'left': 0, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'code': -128, 'padded_area': 36, 'padded_width': 6, 'padded_height': 6, 'cells': 144, 'bottom': 6, 'right': 5, 'rows': 3}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS y,
        toUInt32(modulo(element, {size_2:UInt32})) AS x,
        value
    FROM tensor_2
), samples AS (
    SELECT DISTINCT
        sample
    FROM tensor_0
), cells AS (
    SELECT
        sample,
        arrayJoin(range({cells:UInt32})) AS cell
    FROM samples
), placed_cells AS (
    SELECT
        sample,
        toUInt32(intDiv(cell, {padded_area:UInt32})) AS channel,
        toUInt32(modulo(intDiv(cell, {padded_width:UInt32}), {padded_height:UInt32})) AS y,
        toUInt32(modulo(cell, {padded_width:UInt32})) AS x
    FROM cells
), padded AS (
    SELECT
        sample,
        channel,
        toUInt32(y + {top:UInt32}) AS y,
        toUInt32(x + {left:UInt32}) AS x,
        value
    FROM pixels
    UNION ALL
    SELECT
        sample,
        channel,
        y,
        x,
        {code:Int32} AS value
    FROM placed_cells
    WHERE (y < {top:UInt32} OR y >= {bottom:UInt32} OR x < {left:UInt32} OR x >= {right:UInt32})
), taps AS (
    SELECT
        sample,
        y,
        x,
        channel,
        value,
        arrayJoin(range({taps:UInt32})) AS tap
    FROM padded
), starts AS (
    SELECT
        sample,
        tap,
        channel,
        value,
        toInt64(y) - toInt64(intDiv(tap, {kernel_width:UInt32})) AS down,
        toInt64(x) - toInt64(modulo(tap, {kernel_width:UInt32})) AS across
    FROM taps
), windows AS (
    SELECT
        sample,
        channel,
        value,
        toUInt32(intDiv(down, {stride_y:UInt32}) * {columns:UInt32} + intDiv(across, {stride_x:UInt32})) AS place,
        toUInt32(tap) AS tap
    FROM starts
    WHERE down >= 0
        AND down < {stride_y:UInt32} * {rows:UInt32}
        AND modulo(down, {stride_y:UInt32}) = 0
        AND across >= 0
        AND across < {stride_x:UInt32} * {columns:UInt32}
        AND modulo(across, {stride_x:UInt32}) = 0
), pooled AS (
    SELECT
        sample,
        channel,
        place,
        max(value) AS pooled
    FROM windows
    GROUP BY sample, channel, place
)
SELECT
    sample,
    toUInt32(channel * {places:UInt32} + place) AS element,
    toInt32(pooled) AS value
FROM pooled

-- summed: {'places': 9, 'stride_y': 2, 'columns': 3, 'stride_x': 2, 'kernel_width': 2, 'taps': 4, 'top': 0, 'left': 1, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'code': -2, 'padded_area': 42, 'padded_width': 7, 'padded_height': 6, 'cells': 168, 'bottom': 6, 'right': 6, 'rows': 3}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS y,
        toUInt32(modulo(element, {size_2:UInt32})) AS x,
        value
    FROM tensor_2
), samples AS (
    SELECT DISTINCT
        sample
    FROM tensor_0
), cells AS (
    SELECT
        sample,
        arrayJoin(range({cells:UInt32})) AS cell
    FROM samples
), placed_cells AS (
    SELECT
        sample,
        toUInt32(intDiv(cell, {padded_area:UInt32})) AS channel,
        toUInt32(modulo(intDiv(cell, {padded_width:UInt32}), {padded_height:UInt32})) AS y,
        toUInt32(modulo(cell, {padded_width:UInt32})) AS x
    FROM cells
), padded AS (
    SELECT
        sample,
        channel,
        toUInt32(y + {top:UInt32}) AS y,
        toUInt32(x + {left:UInt32}) AS x,
        value
    FROM pixels
    UNION ALL
    SELECT
        sample,
        channel,
        y,
        x,
        {code:Int32} AS value
    FROM placed_cells
    WHERE (y < {top:UInt32} OR y >= {bottom:UInt32} OR x < {left:UInt32} OR x >= {right:UInt32})
), taps AS (
    SELECT
        sample,
        y,
        x,
        channel,
        value,
        arrayJoin(range({taps:UInt32})) AS tap
    FROM padded
), starts AS (
    SELECT
        sample,
        tap,
        channel,
        value,
        toInt64(y) - toInt64(intDiv(tap, {kernel_width:UInt32})) AS down,
        toInt64(x) - toInt64(modulo(tap, {kernel_width:UInt32})) AS across
    FROM taps
), windows AS (
    SELECT
        sample,
        channel,
        value,
        toUInt32(intDiv(down, {stride_y:UInt32}) * {columns:UInt32} + intDiv(across, {stride_x:UInt32})) AS place,
        toUInt32(tap) AS tap
    FROM starts
    WHERE down >= 0
        AND down < {stride_y:UInt32} * {rows:UInt32}
        AND modulo(down, {stride_y:UInt32}) = 0
        AND across >= 0
        AND across < {stride_x:UInt32} * {columns:UInt32}
        AND modulo(across, {stride_x:UInt32}) = 0
), pooled AS (
    SELECT
        sample,
        channel,
        place,
        sum(value) AS pooled
    FROM windows
    GROUP BY sample, channel, place
)
SELECT
    sample,
    toUInt32(channel * {places:UInt32} + place) AS element,
    toInt32(pooled) AS value
FROM pooled

-- added: {'low': -9999, 'high': 9999, 'layer': 'layer 4'}
WITH left_value AS (
    SELECT
        sample,
        element,
        value AS left_value
    FROM tensor_3
), right_value AS (
    SELECT
        sample,
        element,
        value AS right_value
    FROM tensor_4
), cells AS (
    SELECT
        sample,
        element,
        left_value,
        right_value,
        toUInt32(0) AS cell
    FROM left_value
    ALL INNER JOIN right_value USING (sample, element)
), layer_rescales AS (
    SELECT
        cell,
        left_multiplier,
        right_multiplier,
        offset,
        shift
    FROM rescales
    WHERE layer = {layer:String}
)
SELECT
    sample,
    element,
    toInt32(greatest({low:Int64}, least({high:Int64}, bitShiftRight(toInt64(left_value) * toInt64(left_multiplier) + toInt64(right_value) * toInt64(right_multiplier) + offset, shift)))) AS value
FROM cells
ALL INNER JOIN layer_rescales USING (cell)

-- few: {'places': 1, 'inner_0': 9, 'inner_1': 3, 'size_1': 3, 'size_2': 3, 'columns': 1, 'height': 3, 'rows': 1, 'width': 3}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS y,
        toUInt32(modulo(element, {size_2:UInt32})) AS x,
        value
    FROM tensor_3
), places AS (
    SELECT
        sample,
        channel,
        y,
        x,
        value,
        arrayJoin(range({places:UInt32})) AS place
    FROM pixels
), windows AS (
    SELECT
        sample,
        channel,
        value,
        toUInt32(place) AS place
    FROM places
    WHERE y >= intDiv(intDiv(place, {columns:UInt32}) * {height:UInt32}, {rows:UInt32})
        AND y < intDiv((intDiv(place, {columns:UInt32}) + 1) * {height:UInt32} + ({rows:UInt32} - 1), {rows:UInt32})
        AND x >= intDiv(modulo(place, {columns:UInt32}) * {width:UInt32}, {columns:UInt32})
        AND x < intDiv((modulo(place, {columns:UInt32}) + 1) * {width:UInt32} + ({columns:UInt32} - 1), {columns:UInt32})
), pooled AS (
    SELECT
        sample,
        channel,
        place,
        sum(value) AS pooled
    FROM windows
    GROUP BY sample, channel, place
)
SELECT
    sample,
    toUInt32(channel * {places:UInt32} + place) AS element,
    toInt32(pooled) AS value
FROM pooled

-- gate: {'low': 0, 'high': 255, 'layer': 'layer 6'}
WITH cells AS (
    SELECT
        sample,
        element,
        value,
        toUInt32(0) AS cell
    FROM tensor_6
), layer_rescales AS (
    SELECT
        cell,
        left_multiplier,
        right_multiplier,
        offset,
        shift
    FROM rescales
    WHERE layer = {layer:String}
)
SELECT
    sample,
    element,
    toInt32(greatest({low:Int64}, least({high:Int64}, bitShiftRight(toInt64(value) * toInt64(left_multiplier) + offset, shift)))) AS value
FROM cells
ALL INNER JOIN layer_rescales USING (cell)

-- gated: {'left_zero': -7, 'right_zero': 3, 'stride_0': 9, 'copies_1': 3, 'length_1': 3, 'stride_1': 3, 'length_2': 3, 'copies': 9}
WITH left_value AS (
    SELECT
        sample,
        element,
        value AS left_value
    FROM tensor_3
), copies AS (
    SELECT
        sample,
        element,
        value,
        arrayJoin(range({copies:UInt32})) AS copy
    FROM tensor_7
), placed_copies AS (
    SELECT
        sample,
        toUInt32(element * {stride_0:UInt32} + modulo(intDiv(copy, {copies_1:UInt32}), {length_1:UInt32}) * {stride_1:UInt32} + modulo(copy, {length_2:UInt32})) AS moved,
        value
    FROM copies
), right_value AS (
    SELECT
        sample,
        moved AS element,
        value AS right_value
    FROM placed_copies
)
SELECT
    sample,
    element,
    toInt32((toInt64(left_value) - {left_zero:Int64}) * (toInt64(right_value) - {right_zero:Int64})) AS value
FROM left_value
ALL INNER JOIN right_value USING (sample, element)

-- levels: {'low': -1, 'step': 1, 'inner_0': 9, 'layer': 'layer 8'}
WITH channels AS (
    SELECT
        sample,
        element,
        value,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel
    FROM tensor_8
), layer_thresholds AS (
    SELECT
        channel,
        level,
        sign,
        threshold
    FROM thresholds
    WHERE layer = {layer:String}
), compared AS (
    SELECT
        sample,
        element,
        toInt64(value) * toInt64(sign) >= threshold AS reached
    FROM channels
    ALL INNER JOIN layer_thresholds USING (channel)
), counted AS (
    SELECT
        sample,
        element,
        sum(reached) AS number
    FROM compared
    GROUP BY sample, element
)
SELECT
    sample,
    element,
    toInt32({low:Int64} + {step:Int64} * toInt64(number)) AS value
FROM counted

-- looked: {'lowest': -128, 'layer': 'layer 9'}
WITH entries AS (
    SELECT
        sample,
        element,
        toUInt32(toInt64(value) - {lowest:Int64}) AS entry
    FROM tensor_9
), layer_lookups AS (
    SELECT
        entry,
        result
    FROM lookups
    WHERE layer = {layer:String}
)
SELECT
    sample,
    element,
    toInt32(result) AS value
FROM entries
ALL INNER JOIN layer_lookups USING (entry)

-- both: {'inner_0': 9, 'stride_0': 18, 'inner_1': 3, 'size_1': 3, 'before': 0, 'stride_1': 3, 'size_2': 3, 'before_2': 3}
WITH parts AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32}) * {stride_0:UInt32} + (modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32}) + {before:UInt32}) * {stride_1:UInt32} + modulo(element, {size_2:UInt32})) AS moved,
        value
    FROM tensor_9
    UNION ALL
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32}) * {stride_0:UInt32} + (modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32}) + {before_2:UInt32}) * {stride_1:UInt32} + modulo(element, {size_2:UInt32})) AS moved,
        value
    FROM tensor_10
)
SELECT
    sample,
    moved AS element,
    toInt32(value) AS value
FROM parts

-- part: {'inner_0': 18, 'stride_0': 6, 'inner_1': 3, 'size_1': 6, 'start': 1, 'step': 2, 'stride_1': 3, 'size_2': 3, 'stop': 5}
WITH moved_elements AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32}) * {stride_0:UInt32} + intDiv(toInt64(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) - {start:UInt32}, {step:UInt32}) * {stride_1:UInt32} + modulo(element, {size_2:UInt32})) AS moved,
        value
    FROM tensor_11
    WHERE modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32}) >= {start:UInt32}
        AND modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32}) < {stop:UInt32}
        AND modulo(toInt64(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) - {start:UInt32}, {step:UInt32}) = 0
)
SELECT
    sample,
    moved AS element,
    toInt32(value) AS value
FROM moved_elements

-- turned: {'inner_1': 3, 'size_1': 2, 'stride_0': 12, 'size_2': 3, 'stride_1': 4, 'inner_0': 6}
WITH moved_elements AS (
    SELECT
        sample,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32}) * {stride_0:UInt32} + modulo(element, {size_2:UInt32}) * {stride_1:UInt32} + intDiv(element, {inner_0:UInt32})) AS moved,
        value
    FROM tensor_12
)
SELECT
    sample,
    moved AS element,
    toInt32(value) AS value
FROM moved_elements

-- scores: {'outputs': 3, 'columns': 6, 'inputs': 4, 'layer': 'layer 13', 'places': 6}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(modulo(element, {inputs:UInt32})) AS channel,
        toUInt32(0) AS y,
        toUInt32(intDiv(element, {inputs:UInt32})) AS x,
        value
    FROM tensor_13
), windows AS (
    SELECT
        sample,
        channel,
        value,
        toUInt32(y * {columns:UInt32} + x) AS place,
        toUInt32(0) AS tap
    FROM pixels
), layer_weights AS (
    SELECT
        neuron,
        tap,
        channel,
        weight
    FROM weights
    WHERE layer = {layer:String}
), samples AS (
    SELECT DISTINCT
        sample
    FROM tensor_0
), places AS (
    SELECT
        sample,
        arrayJoin(range({places:UInt32})) AS place
    FROM samples
), layer_biases AS (
    SELECT
        neuron,
        bias
    FROM biases
    WHERE layer = {layer:String}
), constants AS (
    SELECT
        neuron,
        toInt64(bias) AS constant
    FROM layer_biases
), terms AS (
    SELECT
        sample,
        place,
        neuron,
        toInt64(weight) * toInt64(value) AS term
    FROM windows
    ALL INNER JOIN layer_weights USING (tap, channel)
    UNION ALL
    SELECT
        sample,
        place,
        neuron,
        constant AS term
    FROM places
    CROSS JOIN constants
), sums AS (
    SELECT
        sample,
        place,
        neuron,
        sum(term) AS total
    FROM terms
    GROUP BY sample, place, neuron
)
SELECT
    sample,
    toUInt32(place * {outputs:UInt32} + neuron) AS element,
    toInt32(total) AS value
FROM sums

-- best: {'inner_0': 9, 'stride_0': 3, 'inner_1': 3, 'size_1': 3, 'size_2': 3}
WITH ranked AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32}) * {stride_0:UInt32} + modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS place,
        toInt64(value) * 4294967296 + (4294967295 - modulo(element, {size_2:UInt32})) AS rank
    FROM tensor_14
), largest_ranks AS (
    SELECT
        sample,
        place,
        max(rank) AS largest
    FROM ranked
    GROUP BY sample, place
)
SELECT
    sample,
    place AS element,
    toInt32(4294967295 - bitAnd(largest, 4294967295)) AS value
FROM largest_ranks
