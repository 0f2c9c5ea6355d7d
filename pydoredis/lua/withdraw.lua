-- Take the tasks of one job off a stretch of a list. The others keep their places.
--
-- KEYS  1 list
-- ARGV  1 what the job's messages, and no others, begin with  2 what no task looks like
--       3 elements at the tail to skip  4 how many to look at, at most  5 bytes to look at, at most
--
-- From the tail, because workers take tasks from the head meanwhile. Returns how many elements it looked at and how
-- many of them it removed. It stops early once it has read so many bytes, so that a queue of large tasks does not
-- keep the server busy; the caller goes on where it ended.
local list, prefix, nothing = KEYS[1], ARGV[1], ARGV[2]
local skip, wanted, budget = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local seen, removed = 0, 0
while seen < wanted and budget > 0 do
    local page = redis.call('LRANGE', list, -(skip + seen + 16), -(skip + seen + 1))
    if #page == 0 then
        break
    end
    for at = 1, #page do
        budget = budget - #page[at]
        if string.sub(page[at], 1, #prefix) == prefix then
            redis.call('LSET', list, at - #page - 1 - skip - seen, nothing)
            removed = removed + 1
        end
    end
    seen = seen + #page
end
if removed > 0 then
    redis.call('LREM', list, -removed, nothing)
end
return {seen, removed}
