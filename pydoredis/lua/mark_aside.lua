-- Mark a task that was set aside because a script could not read it, and take it off that list, in one step.
--
-- KEYS  1 tasks set aside  2 env  3 start  4 alive
-- ARGV  1 the task's bytes  2 value of start  3 value of alive  4 its time to live, s
--
-- Not a task that is not there any more: it is marked, or the agent was taken for dead and the task is back on its
-- queue. Nor one whose job is over.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 and redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('SET', KEYS[4], ARGV[3], 'EX', ARGV[4])
    redis.call('SET', KEYS[3], ARGV[2])
end
