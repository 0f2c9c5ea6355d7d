-- Count workers in again on a server that was restarted and has lost the queue.
--
-- KEYS  1 live  2 count  3 restarted (says for a while which run of the server began without the queue)
-- ARGV  1 run id of the server  2 how many workers  3 value of live  4 how long `restarted` stays, s
--
-- Called once per agent and run of the server. The first one finds no count; the others find what it left.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
    if redis.call('EXISTS', KEYS[2]) == 1 then
        return 0
    end
    redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[4])
end
redis.call('SET', KEYS[1], ARGV[3], 'NX')
redis.call('INCRBY', KEYS[2], ARGV[2])
return 1
