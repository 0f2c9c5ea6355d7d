-- Count the death of an executor on a task, or count none; tell all that were counted for the task.
--
-- KEYS  1 crashes
-- ARGV  1 job  2 block ("4...6")  3 iterations (4 bytes each, the first is the highest)
--       4 field that tells this death from all others; empty: count none
--       5 run of iterations that it is counted for ("5...5")  6 why it died  7 how long the counts stay, s
--
-- Returns for each run of iterations that somebody died on: the iteration (empty: the block as a whole), how many
-- did, and why the last one did. A death is counted once, however often this is sent.
local crashes, job = KEYS[1], ARGV[1] .. ':'
if ARGV[4] ~= '' and redis.call('HSETNX', crashes, ARGV[4], '') == 1 then
    redis.call('HINCRBY', crashes, job .. ARGV[5], 1)
    -- So that whoever takes the block knows that there is something to look up.
    redis.call('HINCRBY', crashes, job .. ARGV[2], 0)
    redis.call('HSET', crashes, job .. ARGV[5] .. ':cause', ARGV[6])
    redis.call('EXPIRE', crashes, ARGV[7])
end
local found = {}

local function look_up(iterations, fields)
    local values = redis.call('HMGET', crashes, unpack(fields))
    for n, iteration in ipairs(iterations) do
        local deaths = tonumber(values[2 * n - 1]) or 0
        if deaths > 0 then
            local last = #found
            found[last + 1], found[last + 2], found[last + 3] = iteration, deaths, values[2 * n] or ''
        end
    end
end

local count = #ARGV[3] / 4
if count > 1 then
    look_up({''}, {job .. ARGV[2], job .. ARGV[2] .. ':cause'})
end
for first = 0, count - 1, 500 do
    local iterations, fields = {}, {}
    for n = first, math.min(first + 500, count) - 1 do
        local iteration = string.format('%.0f', (struct.unpack('>i4', ARGV[3], 4 * n + 1)))
        local field = job .. iteration .. '...' .. iteration
        iterations[#iterations + 1] = iteration
        fields[#fields + 1], fields[#fields + 2] = field, field .. ':cause'
    end
    look_up(iterations, fields)
end
return found
