-- Remove ARGV[1] results that were read before from the end of the list KEYS[1], then read up to ARGV[2] more.
--
-- The oldest result is the last. Nothing is removed before it was received, so a lost reply costs nothing.
local read = tonumber(ARGV[1])
if read > 0 then
    redis.call('LTRIM', KEYS[1], 0, -(read + 1))
end
return redis.call('LRANGE', KEYS[1], -tonumber(ARGV[2]), -1)
