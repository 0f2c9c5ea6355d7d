-- A worker died: take its task from it, if its alive key is really gone, and submit the task again.
--
-- KEYS  1 start  2 alive  3 queue    ARGV  1 the task's bytes, empty: do not submit it again
-- Returns 1 if the task was taken.
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('EXISTS', KEYS[2]) == 1 then
    return 0
end
redis.call('DEL', KEYS[1])
if ARGV[1] ~= '' then
    redis.call('RPUSH', KEYS[3], ARGV[1])
end
return 1
