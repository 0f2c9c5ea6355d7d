-- Publish results of tasks, or refuse (design, promise 3; protocol 12.1).
--
-- KEYS  for each job: 1 env  2 out  3 published
-- ARGV  1 how long the records of published blocks stay, s  2 "1" if the results were pushed just before; then for each job
--       1 what its start keys begin with  2 its alive keys  3 how long alive stays, ms; 0 if the coordinator is ours;
--       then for each task
--       1 number of its job  2 tag  3 name of the claim  4 "1" if our alive key was ever found missing
--       5 result message, '' if it was pushed
--
-- Arguments of a script are copied several times. So where a result is large all are pushed in front of the script, in one
-- transaction with it, and those that are refused are taken off again.
--
-- Returns for each task what became of it, or "error ..." if the server would not do it.
--
-- An R coordinator counts messages, not iterations: a duplicate makes it return with a result missing. It
-- deletes the start key before it submits a task again, so "start is gone" means that someone else has the task,
-- unless we never lapsed: then a third party deleted the key, and the record tells whether the block is out. Whether
-- we lapsed is seen here too: an agent that was stopped may publish before its heart has found out.
-- Sending this twice, as a client does that lost the reply, does no harm: the second says "published" again.
--
-- A coordinator of ours counts iterations, whatever comes twice. So for it there is no record of blocks, which would
-- grow with the job, no alive key that outlives the task, and nothing is refused. All its results are pushed at once.
local LAPSED = 'lapsed' -- see beat.lua
local REFUSED = 'pydoredis: refused' -- no result is that

local call = redis.call
local outcomes = {}
local pushed = ARGV[2] == '1'
local used = {} -- of the results that were pushed, by number: those that stay

-- --- a coordinator of ours ------------------------------------------------------------------------------------

local function line_up(job, number, start, alive, result)
    local n = #job.numbers + 1
    job.numbers[n], job.results[n], job.marks[2 * n - 1], job.marks[2 * n] = number, result, start, alive
end

local function push(job)
    if pushed then
        call('LLEN', job.out) -- fails as the push did if it is no list
    else
        call('LPUSH', job.out, unpack(job.results))
    end
    call('DEL', unpack(job.marks))
    -- A coordinator of ours holds a lease on its job: what it leaves behind when it dies ends with it.
    local lease = call('PTTL', job.env)
    if lease > 0 then
        call('PEXPIRE', job.out, lease)
    end
    for _, number in ipairs(job.numbers) do
        used[number] = true
    end
    return 'published'
end

-- --- a coordinator of R's -------------------------------------------------------------------------------------

local function was_resubmitted(start, alive, lapsed)
    if call('EXISTS', start) == 1 then
        return false
    end
    local value = call('GET', alive)
    return lapsed == '1' or not value or value == LAPSED
end

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

local function publish_for_r(job, number, tag, start, alive, result, claim, lapsed)
    local block = string.match(tag, '^iters (%S+)')
    local refused = refused_by_record(job.published, block, claim)
    if refused then
        call('DEL', start)
        return refused
    end
    if was_resubmitted(start, alive, lapsed) then
        return 'resubmitted'
    end
    if pushed then
        call('LLEN', job.out)
        used[number] = true
    else
        call('LPUSH', job.out, result)
    end
    call('HSET', job.published, block, claim)
    call('EXPIRE', job.published, ARGV[1])
    call('DEL', start)
    -- Present for a while: a coordinator between its two KEYS would see a start key without an alive key (12.6).
    call('SET', alive, 'OK', 'PX', job.stay)
    return 'published'
end

-- --- all of them ----------------------------------------------------------------------------------------------

-- What became of a task; nil: `push` tells.
local function publish(job, number, tag, claim, lapsed, result)
    local start, alive = job.start .. tag, job.alive .. tag
    if not job.lives then
        call('DEL', start)
        return 'job-gone'
    end
    if job.stay == '0' then
        return line_up(job, number, start, alive, result)
    end
    return publish_for_r(job, number, tag, start, alive, result, claim, lapsed)
end

-- What a function returns; if the server refuses, what it says.
local function try(...)
    local done, outcome = pcall(...)
    if done then
        return outcome
    end
    return 'error ' .. tostring(type(outcome) == 'table' and outcome.err or outcome)
end

-- The last one that was pushed is the first in its list.
local function take_back_what_was_refused(jobs, owners)
    for number = #owners, 1, -1 do
        local job = jobs[owners[number]]
        if used[number] then
            job.kept = job.kept + 1
        elseif call('TYPE', job.out).ok == 'list' then
            call('LSET', job.out, job.kept, REFUSED)
            call('LREM', job.out, 1, REFUSED)
        end
    end
end

local jobs, owners, at = {}, {}, 3
for n = 1, #KEYS / 3 do
    local k = 3 * (n - 1)
    jobs[n] = {
        env = KEYS[k + 1], out = KEYS[k + 2], published = KEYS[k + 3], lives = call('EXISTS', KEYS[k + 1]) == 1,
        start = ARGV[at], alive = ARGV[at + 1], stay = ARGV[at + 2], numbers = {}, results = {}, marks = {}, kept = 0,
    }
    at = at + 3
end
for number = 1, (#ARGV - at + 1) / 5 do
    local job, tag, claim, lapsed, result = unpack(ARGV, at, at + 4)
    owners[number] = tonumber(job)
    outcomes[number] = try(publish, jobs[owners[number]], number, tag, claim, lapsed, result) or 'lined up'
    at = at + 5
end
for _, job in ipairs(jobs) do
    if #job.numbers > 0 then
        local outcome = try(push, job)
        for _, number in ipairs(job.numbers) do
            outcomes[number] = outcome
        end
    end
end
if pushed then
    take_back_what_was_refused(jobs, owners)
end
return outcomes
