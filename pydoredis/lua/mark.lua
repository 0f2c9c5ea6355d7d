-- Say that tasks were taken and run.
--
-- KEYS  alive and start of each task in turn
-- ARGV  1 value of alive  2 its time to live, s  3... values of the start keys
for n = 1, #KEYS, 2 do
    redis.call('SET', KEYS[n], ARGV[1], 'EX', ARGV[2])
    redis.call('SET', KEYS[n + 1], ARGV[2 + (n + 1) / 2])
end
return #KEYS / 2
