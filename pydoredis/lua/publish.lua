-- Publish results of tasks, or refuse (design, promise 3; protocol 12.1).
--
-- KEYS  for each job: 1 env  2 out  3 published; then what the agent published last
-- ARGV  1 how long the records of published blocks stay, s  2 how long that of the agent does, s; then for each job
--       1 what its start keys begin with  2 its alive keys  3 how long alive stays, ms; 0 if the coordinator is ours;
--       then for each task
--       1 number of its job  2 tag  3 name of the claim  4 "1" if our alive key was ever found missing  5 result message
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
-- lost, is told by the claims that the agent published last. All its results are pushed at once.
local LAPSED = 'lapsed' -- see beat.lua

local call = redis.call
local latest = KEYS[#KEYS]
local published_last
local outcomes, ours_published = {}, {}

local function was_published_last(claim)
    published_last = published_last or call('GET', latest) or ''
    return string.find(published_last, '\n' .. claim .. '\n', 1, true)
end

local function was_resubmitted(start, alive, lapsed)
    if call('EXISTS', start) == 1 then
        return false
    end
    local value = call('GET', alive)
    return lapsed == '1' or not value or value == LAPSED
end

-- --- a coordinator of ours ------------------------------------------------------------------------------------

-- Line a result up; nil: `push` tells what became of it.
local function publish_ours(job, number, start, alive, result, claim, lapsed)
    if call('EXISTS', start) == 0 and was_published_last(claim) then
        ours_published[#ours_published + 1] = claim
        return 'published'
    end
    if was_resubmitted(start, alive, lapsed) then
        return 'resubmitted'
    end
    local n = #job.numbers + 1
    job.numbers[n], job.claims[n], job.results[n] = number, claim, result
    job.marks[2 * n - 1], job.marks[2 * n] = start, alive
end

local function push(job)
    call('LPUSH', job.out, unpack(job.results))
    call('DEL', unpack(job.marks))
    for n, number in ipairs(job.numbers) do
        outcomes[number], ours_published[#ours_published + 1] = 'published', job.claims[n]
    end
    -- A coordinator of ours holds a lease on its job: what it leaves behind when it dies ends with it.
    local lease = call('PTTL', job.env)
    if lease > 0 then
        call('PEXPIRE', job.out, lease)
    end
end

-- --- a coordinator of R's -------------------------------------------------------------------------------------

local function refused_by_record(published, block, claim)
    local by = call('HGET', published, block)
    if by == claim then
        return 'published'
    end
    if by == 'refused ' .. claim then
        return 'duplicate'
    end
    if by and string.sub(by, 1, 8) ~= 'refused ' then
        -- A coordinator that submits the block yet again after this did not get the first result (its
        -- connection broke while the reply was under way): the next copy goes through.
        call('HSET', published, block, 'refused ' .. claim)
        return 'duplicate'
    end
end

local function publish_for_r(job, tag, start, alive, result, claim, lapsed)
    local block = string.match(tag, '^iters (%S+)')
    local refused = refused_by_record(job.published, block, claim)
    if refused then
        call('DEL', start)
        return refused
    end
    if was_resubmitted(start, alive, lapsed) then
        return 'resubmitted'
    end
    call('LPUSH', job.out, result)
    call('HSET', job.published, block, claim)
    call('EXPIRE', job.published, ARGV[1])
    call('DEL', start)
    -- Present for a while: a coordinator between its two KEYS would see a start key without an alive key (12.6).
    if call('PEXPIRE', alive, job.stay) == 0 then
        call('SET', alive, 'OK', 'PX', job.stay)
    end
    return 'published'
end

-- --- all of them ----------------------------------------------------------------------------------------------

local function publish(job, number, tag, claim, lapsed, result)
    local start, alive = job.start .. tag, job.alive .. tag
    if not job.lives then
        call('DEL', start)
        return 'job-gone'
    end
    if job.stay == '0' then
        return publish_ours(job, number, start, alive, result, claim, lapsed)
    end
    return publish_for_r(job, tag, start, alive, result, claim, lapsed)
end

-- What a function returns; if the server refuses, what it says.
local function try(...)
    local done, outcome = pcall(...)
    if done then
        return outcome
    end
    return 'error ' .. tostring(type(outcome) == 'table' and outcome.err or outcome)
end

local jobs, at = {}, 3
for n = 1, (#KEYS - 1) / 3 do
    local k = 3 * (n - 1)
    jobs[n] = {
        env = KEYS[k + 1], out = KEYS[k + 2], published = KEYS[k + 3], lives = call('EXISTS', KEYS[k + 1]) == 1,
        start = ARGV[at], alive = ARGV[at + 1], stay = ARGV[at + 2], numbers = {}, claims = {}, results = {}, marks = {},
    }
    at = at + 3
end
for number = 1, (#ARGV - at + 1) / 5 do
    outcomes[number] = try(publish, jobs[tonumber(ARGV[at])], number, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
        or 'error'
    at = at + 5
end
for _, job in ipairs(jobs) do
    if #job.numbers > 0 then
        local refused = try(push, job)
        for _, number in ipairs(refused and job.numbers or {}) do
            outcomes[number] = refused
        end
    end
end
if #ours_published > 0 then
    redis.pcall('SET', latest, '\n' .. table.concat(ours_published, '\n') .. '\n', 'EX', ARGV[2])
end
return outcomes
