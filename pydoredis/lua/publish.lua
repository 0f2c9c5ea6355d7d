-- Publish the result of one task, or refuse (design, promise 3; protocol 12.1).
--
-- KEYS  1 env  2 out  3 start  4 alive  5 published
-- ARGV  1 result message  2 block ("4...6")  3 name of the claim  4 "1" if our alive key was ever found missing
--       5 how long alive stays, ms; 0 if the coordinator is ours  6 how long the record of published blocks stays, s
--
-- An R coordinator counts messages, not iterations: a duplicate makes it return with a result missing. It
-- deletes the start key before it submits a task again, so "start is gone" means that someone else has the task,
-- unless we never lapsed: then a third party deleted the key, and the record tells whether the block is out. Whether
-- we lapsed is seen here too: an agent that was stopped may publish before its heart has found out.
-- Sending this twice, as a client does that lost the reply, does no harm: the second says "published" again.
local env, out, start, alive, published = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local result, block, claim, lapsed = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

if redis.call('EXISTS', env) == 0 then
    redis.call('DEL', start)
    return 'job-gone'
end
local by = redis.call('HGET', published, block)
if by == claim then
    return 'published'
end
if by == 'refused ' .. claim then
    return 'duplicate'
end
if by and string.sub(by, 1, 8) ~= 'refused ' then
    -- A coordinator that submits the block yet again after this did not get the first result (its connection
    -- broke while the reply was under way): the next copy goes through.
    redis.call('HSET', published, block, 'refused ' .. claim)
    redis.call('DEL', start)
    return 'duplicate'
end
if redis.call('EXISTS', start) == 0 and (lapsed or redis.call('EXISTS', alive) == 0) then
    return 'resubmitted'
end
redis.call('LPUSH', out, result)
redis.call('HSET', published, block, claim)
redis.call('EXPIRE', published, ARGV[6])
redis.call('DEL', start)
if ARGV[5] == '0' then
    redis.call('DEL', alive)
    -- A coordinator of ours holds a lease on its job: what it leaves behind when it dies ends with the lease.
    local lease = redis.call('PTTL', env)
    if lease > 0 then
        redis.call('PEXPIRE', out, lease)
    end
    return 'published'
end
-- Present for a while: a coordinator between its two KEYS would see a start key without an alive key (12.6).
if redis.call('PEXPIRE', alive, ARGV[5]) == 0 then
    redis.call('SET', alive, 'OK', 'PX', ARGV[5])
end
return 'published'
