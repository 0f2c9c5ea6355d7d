-- Refresh the alive key of one task in flight, and put back a start key that a third party deleted.
--
-- KEYS  1 env  2 start  3 alive  4 published  5 given  6 cancelled
-- ARGV  1 "1" if we lapsed before  2 value of start  3 value of alive  4 its time to live, s
--       5 block ("4...6")  6 name of the claim
--
-- doRedis deletes the start keys of all jobs of a queue when one job is interrupted (protocol 12.5). If our alive
-- key never expired, the coordinator cannot have declared a fault, so the task is still ours. A claim that was
-- published or given back while this was under way is not restored.
local env, start, alive, published, given = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

if redis.call('EXISTS', KEYS[6]) == 1 and redis.call('EXISTS', env) == 0 then
    return 'cancelled'
end
local started = redis.call('EXISTS', start) == 1

if redis.call('SET', alive, ARGV[3], 'XX', 'EX', ARGV[4]) then
    if not started and ARGV[1] == '0' and redis.call('EXISTS', env) == 1
        and redis.call('EXISTS', given) == 0 and redis.call('HGET', published, ARGV[5]) ~= ARGV[6] then
        redis.call('SET', start, ARGV[2])
        return 'restored'
    end
    return 'alive'
end
if started then
    -- Lapsed, but nobody has taken the task from us yet.
    redis.call('SET', alive, ARGV[3], 'EX', ARGV[4])
end
return 'lapsed'
