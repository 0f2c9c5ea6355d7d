-- Put one task back on its queue and let go of it, in one step (protocol, section 15, worker rule 7).
--
-- KEYS  1 list  2 env  3 start  4 given (says for a while that this claim was given back)  5 alive
-- ARGV  1 the task's bytes  2 "head", else the tail  3 "1" if our alive key was ever found missing
--       4 how long `given` stays, s
--
-- Not if the job is over, nor if the coordinator already submitted the task again. Sending this twice gives the
-- task back once.
if redis.call('EXISTS', KEYS[4]) == 1 then
    return 'given-back'
end
if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('DEL', KEYS[3])
    return 'job-gone'
end
if redis.call('DEL', KEYS[3]) == 0 and (ARGV[3] == '1' or redis.call('EXISTS', KEYS[5]) == 0) then
    return 'resubmitted'
end
redis.call('SET', KEYS[4], '', 'EX', ARGV[4])
redis.call(ARGV[2] == 'head' and 'LPUSH' or 'RPUSH', KEYS[1], ARGV[1])
return 'given-back'
