-- Publish results of tasks, or refuse (design, promise 3; protocol 12.1).
--
-- KEYS  for each task: 1 env  2 out  3 start  4 alive  5 published; then, maybe, what the agent published last
-- ARGV  1 how long the records of published blocks stay, s  2 how long that of the agent does, s; then for each task
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
-- A coordinator of ours counts iterations, whatever comes twice. For it there is no record of blocks, which would grow
-- with the job, and no alive key that outlives the task. That this very batch was published before, and only the reply
-- lost, is told by the claims that the agent published last.
local LAPSED = 'lapsed' -- see beat.lua

local latest = KEYS[5 * math.floor(#KEYS / 5) + 1]
local published_last, ours_published = nil, {}

local function was_published_last(claim)
    if latest and not published_last then
        published_last = redis.call('GET', latest) or ''
    end
    return latest and string.find(published_last, '\n' .. claim .. '\n', 1, true)
end

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
    if redis.call('EXISTS', start) == 0 then
        if ours and was_published_last(claim) then
            ours_published[#ours_published + 1] = claim
            return 'published'
        end
        local value = redis.call('GET', alive)
        if lapsed == '1' or not value or value == LAPSED then
            return 'resubmitted'
        end
    end
    redis.call('LPUSH', out, result)
    if ours then
        redis.call('DEL', start, alive)
        ours_published[#ours_published + 1] = claim
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
for n = 1, math.floor(#KEYS / 5) do
    local k, a = 5 * (n - 1), 5 * (n - 1) + 2
    local done, outcome = pcall(publish, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4], KEYS[k + 5],
        ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5])
    if not done then
        outcome = 'error ' .. tostring(type(outcome) == 'table' and outcome.err or outcome)
    end
    outcomes[n] = outcome
end
if latest and #ours_published > 0 then
    redis.pcall('SET', latest, '\n' .. table.concat(ours_published, '\n') .. '\n', 'EX', ARGV[2])
end
return outcomes
