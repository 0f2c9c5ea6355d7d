-- Look at the task at the head of a list, the next to be taken: its first bytes, and its last ones.
--
-- KEYS  1 list    ARGV  1 how many of the first bytes  2 how many of the last
-- Returns nothing if the list is empty.
local task = redis.call('LINDEX', KEYS[1], 0)
if not task then
    return {}
end
return {string.sub(task, 1, ARGV[1]), string.sub(task, -ARGV[2])}
