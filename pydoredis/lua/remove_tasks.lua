-- Take some tasks off a list. The others keep their places; none is off the list at any moment.
--
-- KEYS  1 list
-- ARGV  1 what no task looks like  2 ... index (from the tail: -1 is the last) and bytes of each task, alternating
--
-- The list may have grown since it was read, so that all indices are off by the same number: a task that is not
-- in its place is looked for in the whole list, and tells how far off the next ones are. One that is nowhere was
-- taken by a worker. Returns how many tasks were removed.
local list, nothing = KEYS[1], ARGV[1]
local removed, shift = 0, 0
for at = 2, #ARGV, 2 do
    local index, payload = ARGV[at] - shift, ARGV[at + 1]
    local here = redis.call('LINDEX', list, index) == payload
    if not here then
        local place = redis.call('LPOS', list, payload)
        if place then
            here, index = true, place - redis.call('LLEN', list)
            shift = ARGV[at] - index
        end
    end
    if here then
        redis.call('LSET', list, index, nothing)
        removed = removed + 1
    end
end
if removed > 0 then
    redis.call('LREM', list, 0, nothing)
end
return removed
