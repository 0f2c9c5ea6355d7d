-- Take up to ARGV[1] tasks off the queues KEYS, a later queue only when all earlier ones are empty.
--
-- Returns index of the queue (from 1) and payload, alternating.
local wanted, taken = tonumber(ARGV[1]), {}
for index, queue in ipairs(KEYS) do
    for _, payload in ipairs(redis.call('LPOP', queue, wanted) or {}) do
        taken[#taken + 1] = index
        taken[#taken + 1] = payload
        wanted = wanted - 1
    end
    if wanted == 0 then
        break
    end
end
return taken
