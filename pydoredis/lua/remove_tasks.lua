-- Take some tasks off a list. The others keep their places; none is off the list at any moment.
--
-- KEYS  1 list
-- ARGV  1 what no task looks like  2 ... index (from the tail: -1 is the last) and bytes of each task, alternating
--
-- A task that is not there any more was taken by a worker. The list may have grown since it was read, so that all
-- indices are off by the same number: a task that is not in its place is looked for in the whole list, and tells
-- how far off the next ones are. That is slow, so it is soon given up; the caller looks the list over again in any
-- case. Returns how many tasks were removed.
local list, nothing = KEYS[1], ARGV[1]
local removed, shift, vain = 0, 0, 0
for at = 2, #ARGV, 2 do
    local index, payload = ARGV[at] - shift, ARGV[at + 1]
    local found = redis.call('LINDEX', list, index)
    if found and found ~= payload and vain < 5 then
        local place = redis.call('LPOS', list, payload)
        if place then
            found, index = payload, place - redis.call('LLEN', list)
            shift = ARGV[at] - index
        else
            vain = vain + 1
        end
    end
    if found == payload then
        redis.call('LSET', list, index, nothing)
        removed = removed + 1
    end
end
if removed > 0 then
    redis.call('LREM', list, 0, nothing)
end
return removed
