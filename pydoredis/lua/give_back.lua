-- Put tasks back on a list and let go of them, in one step (protocol, section 15, worker rule 7).
--
-- KEYS  1 list; then for each task  1 env  2 start  3 given (says for a while that this claim was given back)  4 alive
-- ARGV  1 "head": to the head, so that the tasks are taken again in this order; else to the tail
--       2 how long `given` stays, s; then for each task  1 its bytes  2 "1" if we know that its alive key expired
--
-- Not if the job is over, nor if the coordinator already submitted the task again. Sending this twice gives the
-- tasks back once.
local LAPSED = 'lapsed' -- see beat.lua

local function give_back(push, env, start, given, alive, payload, lapsed)
    if redis.call('EXISTS', given) == 1 then
        return 'given-back'
    end
    if redis.call('EXISTS', env) == 0 then
        redis.call('DEL', start)
        return 'job-gone'
    end
    if redis.call('EXISTS', start) == 0 then
        local value = redis.call('GET', alive)
        if lapsed == '1' or not value or value == LAPSED then
            return 'resubmitted'
        end
    end
    redis.call('SET', given, '', 'EX', ARGV[2])
    redis.call(push, KEYS[1], payload)
    redis.call('DEL', start)
    return 'given-back'
end

local count, given = (#KEYS - 1) / 4, {}
local first, last, step, push = 1, count, 1, 'RPUSH'
if ARGV[1] == 'head' then
    first, last, step, push = count, 1, -1, 'LPUSH'
end
for n = first, last, step do
    local k, a = 4 * (n - 1) + 1, 2 * (n - 1) + 2
    given[n] = give_back(push, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4], ARGV[a + 1], ARGV[a + 2])
end
return given
