-- Take workers off a queue's count, if it is still there, and never below zero (protocol, section 15, rule 2).
--
-- KEYS  1 count    ARGV  1 how many workers leave
local count = tonumber(redis.call('GET', KEYS[1]))
if count then
    redis.call('SET', KEYS[1], tostring(math.max(0, count - tonumber(ARGV[1]))), 'KEEPTTL')
end
return count
