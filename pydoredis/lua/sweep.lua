-- Remove the results that came late of jobs that are over.
--
-- KEYS  1 over (the jobs, by when they ended)  then env and out of each job in turn
-- ARGV  the jobs
-- Returns those that still are over. One whose environment is back lives: its coordinator in R has
-- submitted it again, and it is taken off the list.
local jobs = {}
for n, job in ipairs(ARGV) do
    if redis.call('EXISTS', KEYS[2 * n]) == 1 then
        redis.call('ZREM', KEYS[1], job)
    else
        redis.call('UNLINK', KEYS[2 * n + 1])
        jobs[#jobs + 1] = job
    end
end
return jobs
