-- Read whose a task is and which iterations it has, in front of `claim.lua`.
--
-- A job ID stands at the head of a message, the numbers of the iterations at its end (protocol, section 3). Both are
-- read only from the forms in which R and coordinators of ours write them. A message of any other form is set
-- aside for the agent, which reads it with more patience. Each reader here gives up by an error or by nil.

local sub, byte, find, unpack_words = string.sub, string.byte, string.find, struct.unpack

local MOST_ITERATIONS = 20000 -- a task of more is set aside: to read it takes longer than a server may stand still
local HEAD_SIZE = 512

-- Words of R's serialization, XDR form.
local NIL, PAIR, SYMBOL, INTEGERS, DOUBLES = '\0\0\0\254', '\0\0\0\2', '\0\0\0\1', '\0\0\0\13', '\0\0\0\14'
local ASCII, ALTREP, BYTES = '\0\4\0\9', '\0\0\0\238', '\0\0\0\24'
local ONE_STRING, ONE_INTEGER = '\0\0\0\16\0\0\0\1', '\0\0\0\13\0\0\0\1'
local LIST_WITH_NAMES, EMPTY_LIST = '\0\0\2\19', '\0\0\0\19\0\0\0\0'
local NAMES = '\0\0\4\2\0\0\0\1\0\4\0\9\0\0\0\5names' -- the symbol, where it occurs for the first time
local NAMES_AGAIN = '\0\0\4\2\0\0\1\255'
local ID_ARGS = '\0\4\0\9\0\0\0\2ID\0\4\0\9\0\0\0\8argsList'
local LAST = '\0\0\0\16\0\0\0\2' .. ID_ARGS .. NIL
local LAST_OF_OURS = NAMES_AGAIN .. '\0\0\0\16\0\0\0\3' .. ID_ARGS .. '\0\4\0\9\0\0\0\9arguments' .. NIL
local DEFERRED = ALTREP .. PAIR .. SYMBOL .. ASCII .. '\0\0\0\15deferred_string' .. PAIR .. SYMBOL .. ASCII
    .. '\0\0\0\4base' .. PAIR .. ONE_INTEGER .. '\0\0\0\16' .. NIL

local CHARSETS = {[ASCII] = true, ['\0\0\0\9'] = true, ['\0\0\64\9'] = true, ['\0\0\128\9'] = true}

local UTF8 = {
    '[\194-\223][\128-\191]', '\224[\160-\191][\128-\191]', '[\225-\236\238\239][\128-\191][\128-\191]',
    '\237[\128-\159][\128-\191]', '\240[\144-\191][\128-\191][\128-\191]',
    '[\241-\243][\128-\191][\128-\191][\128-\191]', '\244[\128-\143][\128-\191][\128-\191]',
}

local function word(message, at)
    return sub(message, at, at + 3)
end

local function is_utf8(text)
    for _, pattern in ipairs(UTF8) do
        text = string.gsub(text, pattern, ' ')
    end
    return not find(text, '[\128-\255]')
end

-- The job ID, where the elements of argsList begin, how many there are, and how many fields the message has; nil if it
-- does not begin as a task's.
local function read_head(message)
    local at = 15
    if byte(message, 6) == 3 then -- version 3, with the name of an encoding
        at = 19 + unpack_words('>I4', message, 15)
    end
    if word(message, at) ~= LIST_WITH_NAMES or sub(message, at + 8, at + 15) ~= ONE_STRING then
        return nil
    end
    local size = unpack_words('>i4', message, at + 20)
    local after = at + 24 + size
    if size < 0 or after > HEAD_SIZE then -- NA, or longer than any
        return nil
    end
    local job, charset = sub(message, at + 24, after - 1), word(message, at + 16)
    if find(job, '[%z\128-\255]') then
        -- Text in UTF-8, which R marks as such or not.
        if find(job, '%z') or (charset ~= '\0\0\128\9' and charset ~= '\0\0\0\9') or not is_utf8(job) then
            return nil
        end
    elseif not CHARSETS[charset] then
        return nil
    end
    if word(message, after) ~= LIST_WITH_NAMES then
        return nil
    end
    return job, after + 8, unpack_words('>I4', message, after + 4), unpack_words('>I4', message, at + 4)
end

-- Iteration numbers in decimal, each an element of a character vector, and where they end.
local function read_decimals(message, at, count)
    local numbers = {}
    for n = 1, count do
        local _, last, size, text = find(message, '^%z\4%z\9%z%z%z(.)(%-?%d+)', at)
        local number = tonumber(text)
        if byte(size) ~= #text or #text > 11 or number >= 2147483648 or number <= -2147483648 then
            return nil
        end
        numbers[n], at = number + 0, last + 1
    end
    return numbers, at
end

-- Where something ends that says in which form of its own R wrote what follows.
local function skip_class(message, at)
    if word(message, at) ~= ALTREP then
        return nil
    end
    at = at + 4
    while word(message, at) == PAIR do
        local item = word(message, at + 4)
        if item == SYMBOL then
            at = at + 16 + unpack_words('>I4', message, at + 12)
        elseif item == INTEGERS then
            at = at + 12 + 4 * unpack_words('>I4', message, at + 8)
        elseif byte(item, 4) == 255 then -- a symbol that has occurred before
            at = at + 8
        else
            return nil
        end
    end
    return word(message, at) == NIL and at + 4
end

-- Iteration numbers that R has not turned into text: integers as such, or from one to another.
local function read_deferred(message, at, count)
    at = sub(message, at, at + #DEFERRED - 1) == DEFERRED and at + #DEFERRED or skip_class(message, at)
    if word(message, at) ~= PAIR then
        return nil
    end
    at = at + 4
    local numbers = {}
    if word(message, at) == INTEGERS then
        if unpack_words('>I4', message, at + 4) ~= count then
            return nil
        end
        at = at + 8
        for n = 1, count do
            numbers[n] = unpack_words('>i4', message, at + 4 * n - 4)
            if numbers[n] == -2147483648 then -- NA
                return nil
            end
        end
        at = at + 4 * count
    else
        at = skip_class(message, at)
        if sub(message, at, at + 7) ~= DOUBLES .. '\0\0\0\3' or word(message, at + 32) ~= NIL then
            return nil
        end
        local size, first, step = unpack_words('>ddd', message, at + 8)
        local last = first + step * (count - 1)
        if size ~= count or first ~= math.floor(first) or (step ~= 1 and step ~= -1)
            or math.max(first, last) >= 2147483648 or math.min(first, last) <= -2147483648 then
            return nil
        end
        for n = 1, count do
            numbers[n] = first + step * (n - 1) + 0 -- never -0
        end
        at = at + 36
    end
    -- The option scipen; no attributes.
    if sub(message, at, at + 7) ~= ONE_INTEGER or word(message, at + 12) ~= NIL then
        return nil
    end
    return numbers, at + 16
end

-- Iterations of a task whose argsList is `count` empty lists: those of Python, whose arguments follow it. Checks every
-- byte of the message.
local function read_empty(message, at, count, fields)
    local names = at + 8 * count
    if sub(message, names, names + #NAMES - 1) ~= NAMES
        or sub(message, at, names - 1) ~= string.rep(EMPTY_LIST, count) then
        return nil
    end
    if byte(message, 6) == 3 and sub(message, 15, 23) ~= '\0\0\0\5UTF-8' then
        return nil
    end
    local begin = names + #NAMES
    if word(message, begin) ~= '\0\0\0\16' or unpack_words('>I4', message, begin + 4) ~= count then
        return nil
    end
    local numbers, after = read_decimals(message, begin + 8, count)
    if not numbers or word(message, after) ~= NIL then
        return nil
    end
    local rest = #message - after - 3
    if fields == 2 then
        return sub(message, after + 4) == NAMES_AGAIN .. LAST and numbers
    end
    return fields == 3 and word(message, after + 4) == BYTES
        and unpack_words('>I4', message, after + 8) == rest - 8 - #LAST_OF_OURS
        and sub(message, -#LAST_OF_OURS) == LAST_OF_OURS and numbers
end

-- Iterations of a task in which nothing follows argsList.
local function read_tail(message, count)
    if sub(message, -#LAST) ~= LAST then
        return nil
    end
    local stop = #message - #LAST - 7 -- where the names of the message begin
    local names = sub(message, stop, stop + 7)
    if not find(names, '^%z%z\4\2...\255$') then
        return nil
    end
    -- The names of argsList begin in the same way. They are its last attribute, and this is its last place.
    local at
    for _, size in ipairs({24 + 19 * count, 512 + 4 * count}) do
        local from = math.max(1, stop - size)
        local window, found = sub(message, from, stop - 1), 0
        repeat
            found = find(window, names, found + 1, true)
            at = found and from + found + 7 or at
        until not found
        if at then
            break
        end
    end
    local numbers, after
    if word(message, at) == '\0\0\0\16' then
        if unpack_words('>I4', message, at + 4) ~= count then
            return nil
        end
        numbers, after = read_decimals(message, at + 8, count)
    else
        numbers, after = read_deferred(message, at, count)
    end
    return word(message, after) == NIL and after + 4 == stop and numbers
end

-- Job ID and iterations of a task; nil if it is in no form that is known here, or has none.
local function read_task(message)
    local job, at, count, fields = read_head(message)
    if not job or count < 1 or count > MOST_ITERATIONS then
        return nil
    end
    local numbers = read_empty(message, at, count, fields) or read_tail(message, count)
    if numbers then
        return job, numbers
    end
end
