-- Remove the results that came late of jobs that are over, and forget the agents that died.
--
-- KEYS  1 over (the jobs, by when they ended)  2 agents  3 live  4 count  5 queue
-- ARGV  1 what keys of environments begin with  2 of results  3 of what agents say of themselves  4 of tasks set aside
--       5 of records of batches  6 how long jobs stay in `over`, s  7 how many jobs to look at, at most
--       8 the first of them, by rank; empty: any  9 how many of the agents sweep, if there are more
--       10 a random number below 1, or 0: who leaves the sweep to others is told of no job
--       11 what keys begin with that tell what agents do
--
-- Returns the number of jobs that it looked at, and those that still are over. One whose environment is back
-- lives: its coordinator in R has submitted it again, and it is taken off the list.
if ARGV[10] * redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[9]) then
    return {0, {}}
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1] - ARGV[6])
local jobs, over
if ARGV[8] == '' then
    jobs = redis.call('ZRANDMEMBER', KEYS[1], ARGV[7])
else
    jobs = redis.call('ZRANGE', KEYS[1], ARGV[8], ARGV[8] + ARGV[7] - 1)
end
over = {}
for _, job in ipairs(jobs) do
    if redis.call('EXISTS', ARGV[1] .. job) == 1 then
        redis.call('ZREM', KEYS[1], job)
    else
        redis.call('UNLINK', ARGV[2] .. job)
        over[#over + 1] = job
    end
end

for _, agent in ipairs(redis.call('HKEYS', KEYS[2])) do
    -- Whoever lives says so; an agent that is only late counts itself in again.
    if redis.call('EXISTS', ARGV[3] .. agent) == 0 then
        forget(KEYS[3], KEYS[4], KEYS[2], KEYS[5], agent, ARGV[3] .. agent, ARGV[4] .. agent, ARGV[5] .. agent,
            ARGV[11] .. agent)
    end
end
return {#jobs, over}
