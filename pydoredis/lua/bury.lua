-- Move a payload that nobody can read from the tasks set aside to where a human finds it, or to nowhere.
--
-- KEYS  1 tasks set aside  2 dead
-- ARGV  1 payload  2 "1": keep it  3 how many to keep; the oldest go first
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 and ARGV[2] == '1' then
    redis.call('RPUSH', KEYS[2], ARGV[1])
    redis.call('LTRIM', KEYS[2], -ARGV[3], -1)
end
