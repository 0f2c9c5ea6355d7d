-- Store a job's environment and submit its first tasks, in one step.
--
-- KEYS  1 env  2 count of workers  3 queue
-- ARGV  1 environment  2 its lease, s  3 "1" if tasks are submitted only if there are workers; then the tasks
--
-- Returns the count of workers as it stands there, or an empty string if there is none; nil if the job's ID is taken.
-- Then nothing has changed.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then
    return nil
end
local count = redis.call('GET', KEYS[2]) or ''
if #ARGV > 3 and (ARGV[3] == '0' or (tonumber(count) or 0) > 0) then
    redis.call('RPUSH', KEYS[3], unpack(ARGV, 4))
end
return count
