-- {'places': 30, 'stride_y': 1, 'columns': 5, 'stride_x': 1, 'kernel_width': 3, 'taps': 9, 'coefficients': [1], 'planes': 1, 'top': 1, 'left': 1, 'inner_0': 30, 'inner_1': 5, 'size_1': 6, 'size_2': 5, 'sample': 2, 'padded_area': 56, 'padded_width': 7, 'padded_height': 8, 'cells': 3920, 'integers': 1, 'layer': 'layer 1', 'constant': 'padding_codes', 'bottom': 7, 'right': 6, 'rows': 6, 'place': 7, 'weights': 630, 'lowest_weight': -1, 'constant_2': 'weight', 'neuron': 0, 'stored_coefficients': [2], 'constant_3': 'bias', 'element': 7}
WITH given_bits AS (
    SELECT
        sample,
        element,
        value
    FROM bits
    WHERE sample = {sample:UInt32}
), pixels AS (
    SELECT
        sample,
        toUInt32(intDiv(element, {inner_0:UInt32})) AS channel,
        toUInt32(modulo(intDiv(element, {inner_1:UInt32}), {size_1:UInt32})) AS y,
        toUInt32(modulo(element, {size_2:UInt32})) AS x,
        value
    FROM given_bits
), given_x AS (
    SELECT
        sample,
        element,
        value
    FROM x
    WHERE sample = {sample:UInt32}
), samples AS (
    SELECT DISTINCT
        sample
    FROM given_x
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
), numbers_of_padding_codes AS (
    SELECT DISTINCT
        place,
        integers
    FROM quantlab.numbers
    WHERE layer = {layer:String}
        AND constant = {constant:String}
), places_of_padding_codes AS (
    SELECT
        place,
        integers,
        arrayJoin(range({integers:UInt32})) AS position
    FROM numbers_of_padding_codes
), padding_codes AS (
    SELECT
        toUInt32(place * {integers:UInt32} + position) AS channel,
        arrayElement(integers, position + 1) AS code
    FROM places_of_padding_codes
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
    ALL INNER JOIN padding_codes USING (channel)
    WHERE (y < {top:UInt32} OR y >= {bottom:UInt32} OR x < {left:UInt32} OR x >= {right:UInt32})
), planes_2 AS (
    SELECT
        sample,
        channel,
        y,
        x,
        value,
        arrayJoin(range({planes:UInt32})) AS plane
    FROM padded
), bits_2 AS (
    SELECT
        sample,
        y,
        x,
        toUInt32(intDiv(channel, 64)) AS word,
        toInt64(arrayElement({coefficients:Array(Int64)}, plane + 1)) AS coefficient,
        bitShiftLeft(toUInt64(bitAnd(bitShiftRight(value, plane), 1)), modulo(channel, 64)) AS bit
    FROM planes_2
), packed AS (
    SELECT
        sample,
        y,
        x,
        word,
        coefficient,
        groupBitOr(bit) AS bits
    FROM bits_2
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
), chosen_windows AS (
    SELECT
        sample,
        word,
        coefficient,
        bits,
        place,
        tap
    FROM windows
    WHERE place = {place:UInt32}
), planes_of_weight AS (
    SELECT DISTINCT
        neuron,
        plane,
        kept,
        words
    FROM quantlab.planes
    WHERE layer = {layer:String}
        AND constant = {constant_2:String}
        AND neuron = {neuron:UInt32}
), neurons AS (
    SELECT DISTINCT
        neuron
    FROM planes_of_weight
), stored_words AS (
    SELECT
        neuron,
        plane,
        arrayJoin(arrayZip(if(empty(kept), range(length(words)), kept), words)) AS pair
    FROM planes_of_weight
), stored_places AS (
    SELECT
        neuron,
        plane,
        pair,
        arrayJoin(range(64)) AS bit
    FROM stored_words
), stored_bits AS (
    SELECT
        neuron,
        plane,
        toUInt32(tupleElement(pair, 1) * 64 + bit) AS place,
        bitAnd(bitShiftRight(tupleElement(pair, 2), bit), 1) AS is_set
    FROM stored_places
), weight_terms AS (
    SELECT
        neuron,
        toUInt32(arrayJoin(range({weights:UInt32}))) AS place,
        {lowest_weight:Int64} AS term
    FROM neurons
    UNION ALL
    SELECT
        neuron,
        place,
        arrayElement({stored_coefficients:Array(Int64)}, plane + 1) AS term
    FROM stored_bits
    WHERE is_set = 1
        AND place < {weights:UInt32}
), placed_weights AS (
    SELECT
        neuron,
        place,
        sum(term) AS weight
    FROM weight_terms
    GROUP BY neuron, place
), layer_weights AS (
    SELECT
        neuron,
        weight,
        toUInt32(modulo(place, {taps:UInt32})) AS tap,
        toUInt32(intDiv(place, {taps:UInt32})) AS channel
    FROM placed_weights
    WHERE weight <> 0
), weight_bits AS (
    SELECT
        neuron,
        tap,
        toUInt32(intDiv(channel, 64)) AS word,
        bitShiftLeft(toUInt64(weight = 1), modulo(channel, 64)) AS sign,
        bitShiftLeft(toUInt64(1), modulo(channel, 64)) AS mask
    FROM layer_weights
), joined_bits AS (
    SELECT
        neuron,
        tap,
        word,
        groupBitOr(sign) AS sign_bits,
        groupBitOr(mask) AS mask_bits
    FROM weight_bits
    GROUP BY neuron, tap, word
), layer_words AS (
    SELECT
        neuron,
        tap,
        word,
        sign_bits AS sign,
        mask_bits AS mask
    FROM joined_bits
), chosen_layer_words AS (
    SELECT
        neuron,
        tap,
        word,
        sign,
        mask
    FROM layer_words
    WHERE neuron = {neuron:UInt32}
), places AS (
    SELECT
        sample,
        arrayJoin(range({places:UInt32})) AS place
    FROM samples
), chosen_places AS (
    SELECT
        sample,
        place
    FROM places
    WHERE place = {place:UInt32}
), numbers_of_bias AS (
    SELECT DISTINCT
        place,
        integers
    FROM quantlab.numbers
    WHERE layer = {layer:String}
        AND constant = {constant_3:String}
), places_of_bias AS (
    SELECT
        place,
        integers,
        arrayJoin(range({integers:UInt32})) AS position
    FROM numbers_of_bias
), bias AS (
    SELECT
        toUInt32(place * {integers:UInt32} + position) AS neuron,
        arrayElement(integers, position + 1) AS bias
    FROM places_of_bias
), chosen_bias AS (
    SELECT
        neuron,
        bias
    FROM bias
    WHERE neuron = {neuron:UInt32}
), constants AS (
    SELECT
        neuron,
        toInt64(bias) AS constant
    FROM chosen_bias
), terms AS (
    SELECT
        sample,
        place,
        neuron,
        coefficient * (toInt64(bitCount(sign)) - toInt64(bitCount(bitAnd(bitXor(bits, sign), mask)))) AS term
    FROM chosen_windows
    ALL INNER JOIN chosen_layer_words USING (tap, word)
    UNION ALL
    SELECT
        sample,
        place,
        neuron,
        constant AS term
    FROM chosen_places
    CROSS JOIN constants
), sums AS (
    SELECT
        sample,
        place,
        neuron,
        sum(term) AS total
    FROM terms
    GROUP BY sample, place, neuron
), made_sums AS (
    SELECT
        sample,
        toUInt32(neuron * {places:UInt32} + place) AS element,
        toInt32(total) AS value
    FROM sums
)
SELECT
    sample,
    element,
    value
FROM made_sums
WHERE element = {element:UInt32}
