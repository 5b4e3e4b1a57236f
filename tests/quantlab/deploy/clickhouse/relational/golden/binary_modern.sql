-- bits: {'low': 0, 'step': 1, 'inner_0': 30, 'layer': 'layer 0'}
WITH channels AS (
    SELECT
        sample,
        element,
        value,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel
    FROM tensor_0
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

-- sums: {'places': 30, 'stride_y': 1, 'columns': 5, 'stride_x': 1, 'kernel_width': 3, 'taps': 9, 'coefficients': [1], 'planes': 1, 'top': 1, 'left': 1, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'padded_area': 56, 'padded_width': 7, 'padded_height': 8, 'cells': 3920, 'layer': 'layer 1', 'bottom': 7, 'right': 6, 'rows': 6}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS y,
        toUInt32(modulo(element, {size_2:UInt32})) AS x,
        value
    FROM tensor_1
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
), planes AS (
    SELECT
        sample,
        channel,
        y,
        x,
        value,
        arrayJoin(range({planes:UInt32})) AS plane
    FROM padded
), bits AS (
    SELECT
        sample,
        y,
        x,
        toUInt32(intDiv(channel, 64)) AS word,
        toInt64(arrayElement({coefficients:Array(Int64)}, plane + 1)) AS coefficient,
        bitShiftLeft(toUInt64(bitAnd(bitShiftRight(value, plane), 1)), modulo(channel, 64)) AS bit
    FROM planes
), packed AS (
    SELECT
        sample,
        y,
        x,
        word,
        coefficient,
        groupBitOr(bit) AS bits
    FROM bits
    GROUP BY sample, y, x, word, coefficient
), taps AS (
    SELECT
        sample,
        y,
        x,
        word,
        coefficient,
        bits,
        arrayJoin(range({taps:UInt32})) AS tap
    FROM packed
), starts AS (
    SELECT
        sample,
        tap,
        word,
        coefficient,
        bits,
        toInt64(y) - toInt64(intDiv(tap, {kernel_width:UInt32})) AS down,
        toInt64(x) - toInt64(modulo(tap, {kernel_width:UInt32})) AS across
    FROM taps
), windows AS (
    SELECT
        sample,
        word,
        coefficient,
        bits,
        toUInt32(intDiv(down, {stride_y:UInt32}) * {columns:UInt32} + intDiv(across, {stride_x:UInt32})) AS place,
        toUInt32(tap) AS tap
    FROM starts
    WHERE down >= 0
        AND down < {stride_y:UInt32} * {rows:UInt32}
        AND modulo(down, {stride_y:UInt32}) = 0
        AND across >= 0
        AND across < {stride_x:UInt32} * {columns:UInt32}
        AND modulo(across, {stride_x:UInt32}) = 0
), layer_words AS (
    SELECT
        neuron,
        tap,
        word,
        sign,
        mask
    FROM words
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
        coefficient * (toInt64(bitCount(sign)) - toInt64(bitCount(bitAnd(bitXor(bits, sign), mask)))) AS term
    FROM windows
    ALL INNER JOIN layer_words USING (tap, word)
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

-- codes: {'low': -1, 'step': 2, 'inner_0': 30, 'layer': 'layer 2'}
WITH channels AS (
    SELECT
        sample,
        element,
        value,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel
    FROM tensor_2
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

-- pooled: {'places': 20, 'stride_y': 1, 'columns': 4, 'stride_x': 1, 'kernel_width': 2, 'taps': 4, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'rows': 5}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS y,
        toUInt32(modulo(element, {size_2:UInt32})) AS x,
        value
    FROM tensor_3
), taps AS (
    SELECT
        sample,
        y,
        x,
        channel,
        value,
        arrayJoin(range({taps:UInt32})) AS tap
    FROM pixels
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

-- row: {}
SELECT
    sample,
    element,
    toInt32(value) AS value
FROM tensor_4

-- scores: {'outputs': 4, 'columns': 1, 'coefficients': [-2], 'first_bit': 1, 'planes': 1, 'inputs': 180, 'layer': 'layer 5', 'places': 1, 'offset': 1}
WITH pixels AS (
    SELECT
        sample,
        toUInt32(modulo(element, {inputs:UInt32})) AS channel,
        toUInt32(0) AS y,
        toUInt32(intDiv(element, {inputs:UInt32})) AS x,
        value
    FROM tensor_5
), planes AS (
    SELECT
        sample,
        channel,
        y,
        x,
        value,
        arrayJoin(range({planes:UInt32})) AS plane
    FROM pixels
), bits AS (
    SELECT
        sample,
        y,
        x,
        toUInt32(intDiv(channel, 64)) AS word,
        toInt64(arrayElement({coefficients:Array(Int64)}, plane + 1)) AS coefficient,
        bitShiftLeft(toUInt64(bitAnd(bitShiftRight(value, plane + {first_bit:UInt32}), 1)), modulo(channel, 64)) AS bit
    FROM planes
), packed AS (
    SELECT
        sample,
        y,
        x,
        word,
        coefficient,
        groupBitOr(bit) AS bits
    FROM bits
    GROUP BY sample, y, x, word, coefficient
), windows AS (
    SELECT
        sample,
        word,
        coefficient,
        bits,
        toUInt32(y * {columns:UInt32} + x) AS place,
        toUInt32(0) AS tap
    FROM packed
), layer_words AS (
    SELECT
        neuron,
        tap,
        word,
        sign,
        mask
    FROM words
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
    UNION ALL
    SELECT
        neuron,
        (toInt64(bitCount(sign)) * 2 - toInt64(bitCount(mask))) * {offset:Int64} AS constant
    FROM layer_words
), terms AS (
    SELECT
        sample,
        place,
        neuron,
        coefficient * (toInt64(bitCount(sign)) - toInt64(bitCount(bitAnd(bitXor(bits, sign), mask)))) AS term
    FROM windows
    ALL INNER JOIN layer_words USING (tap, word)
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
