-- Refresh the alive keys of tasks in flight, and put back start keys that a third party deleted.
--
-- KEYS  for each task: 1 env  2 start  3 alive  4 published  5 given  6 cancelled
-- ARGV  1 value of alive  2 its time to live, s; then for each task
--       1 "1" if we know that it lapsed before  2 value of start  3 block ("4...6")  4 name of the claim
--
-- doRedis deletes the start keys of all jobs of a queue when one job is interrupted (protocol 12.5). If our alive
-- key never expired, the coordinator cannot have declared a fault, so the task is still ours. A claim that was
-- published or given back while this was under way is not restored.
--
-- An alive key that expired and was set again says so by its value, which no peer reads: the reply that first told it
-- may have been lost.
local LAPSED = 'lapsed'

local function beat(env, start, alive, published, given, cancelled, known, value, block, claim)
    if redis.call('EXISTS', cancelled) == 1 and redis.call('EXISTS', env) == 0 then
        return 'cancelled'
    end
    local started = redis.call('EXISTS', start) == 1
    local before = redis.call('SET', alive, ARGV[1], 'XX', 'GET', 'EX', ARGV[2])
    if before and (before ~= LAPSED or known == '1') then
        if not started and known == '0' and redis.call('EXISTS', env) == 1
            and redis.call('EXISTS', given) == 0 and redis.call('HGET', published, block) ~= claim then
            redis.call('SET', start, value)
            return 'restored'
        end
        return 'alive'
    end
    if started or before then
        -- Nobody has taken the task from us yet, or it has been told before.
        redis.call('SET', alive, LAPSED, 'EX', ARGV[2])
    end
    return 'lapsed'
end

local beats = {}
for n = 1, #KEYS / 6 do
    local k, a = 6 * (n - 1), 4 * (n - 1) + 2
    beats[n] = beat(KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4], KEYS[k + 5], KEYS[k + 6],
        ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])
end
return beats
