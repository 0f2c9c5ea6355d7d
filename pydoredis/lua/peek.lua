-- Look over a stretch of a list, from its tail on: the first bytes of each element, and its size.
--
-- KEYS  1 list
-- ARGV  1 elements at the tail to skip  2 how many at most  3 bytes of each  4 bytes to read in all
--
-- From the tail, because workers take tasks from the head meanwhile. Returns beginning and size, alternating; less
-- than asked for once so many bytes were read, so that a queue of large tasks does not keep the server busy. The
-- caller goes on where this ended.
local skip, wanted, head, budget = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local found = {}
while wanted > 0 and budget > 0 do
    local page = redis.call('LRANGE', KEYS[1], -(skip + math.min(wanted, 16)), -(skip + 1))
    if #page == 0 then
        break
    end
    for at = #page, 1, -1 do
        found[#found + 1] = string.sub(page[at], 1, head)
        found[#found + 1] = #page[at]
        budget = budget - #page[at]
    end
    skip, wanted = skip + #page, wanted - #page
end
return found
