-- Publish results of tasks, or refuse (design, promise 3; protocol 12.1).
--
-- KEYS  for each task: 1 env  2 out  3 start  4 alive  5 published
-- ARGV  1 how long the records of published blocks stay, s; then for each task
--       1 result message  2 block ("4...6")  3 name of the claim  4 "1" if our alive key was ever found missing
--       5 how long alive stays, ms; 0 if the coordinator is ours
--
-- Returns for each task what became of it, or "error ..." if the server would not do it.
--
-- An R coordinator counts messages, not iterations: a duplicate makes it return with a result missing. It
-- deletes the start key before it submits a task again, so "start is gone" means that someone else has the task,
-- unless we never lapsed: then a third party deleted the key, and the record tells whether the block is out. Whether
-- we lapsed is seen here too: an agent that was stopped may publish before its heart has found out.
-- Sending this twice, as a client does that lost the reply, does no harm: the second says "published" again.
--
-- A coordinator of ours counts iterations, whatever comes twice. For it there is no record, which would grow with
-- the job, and no alive key that outlives the task.

local function refused_by_record(published, block, claim)
    local by = redis.call('HGET', published, block)
    if by == claim then
        return 'published'
    end
    if by == 'refused ' .. claim then
        return 'duplicate'
    end
    if by and string.sub(by, 1, 8) ~= 'refused ' then
        -- A coordinator that submits the block yet again after this did not get the first result (its
        -- connection broke while the reply was under way): the next copy goes through.
        redis.call('HSET', published, block, 'refused ' .. claim)
        return 'duplicate'
    end
end

local function publish(env, out, start, alive, published, result, block, claim, lapsed, stay)
    local ours = stay == '0'
    if redis.call('EXISTS', env) == 0 then
        redis.call('DEL', start)
        return 'job-gone'
    end
    local refused = not ours and refused_by_record(published, block, claim)
    if refused then
        redis.call('DEL', start)
        return refused
    end
    if redis.call('EXISTS', start) == 0 and (lapsed == '1' or redis.call('EXISTS', alive) == 0) then
        return 'resubmitted'
    end
    redis.call('LPUSH', out, result)
    if ours then
        redis.call('DEL', start, alive)
        -- A coordinator of ours holds a lease on its job: what it leaves behind when it dies ends with it.
        local lease = redis.call('PTTL', env)
        if lease > 0 then
            redis.call('PEXPIRE', out, lease)
        end
        return 'published'
    end
    redis.call('HSET', published, block, claim)
    redis.call('EXPIRE', published, ARGV[1])
    redis.call('DEL', start)
    -- Present for a while: a coordinator between its two KEYS would see a start key without an alive key (12.6).
    if redis.call('PEXPIRE', alive, stay) == 0 then
        redis.call('SET', alive, 'OK', 'PX', stay)
    end
    return 'published'
end

local outcomes = {}
for n = 1, #KEYS / 5 do
    local k, a = 5 * (n - 1), 5 * (n - 1) + 1
    local done, outcome = pcall(publish, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4], KEYS[k + 5],
        ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5])
    if not done then
        outcome = 'error ' .. tostring(type(outcome) == 'table' and outcome.err or outcome)
    end
    outcomes[n] = outcome
end
return outcomes
