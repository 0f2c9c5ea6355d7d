-- Keep the records of published blocks of jobs that live, delete the others'.
--
-- KEYS  for each job: 1 env  2 published    ARGV  1 how long a record stays, s
-- Returns for each job whether it lives.
local lives = {}
for n = 1, #KEYS, 2 do
    local alive = redis.call('EXISTS', KEYS[n])
    if alive == 1 then
        redis.call('EXPIRE', KEYS[n + 1], ARGV[1])
    else
        redis.call('UNLINK', KEYS[n + 1])
    end
    lives[#lives + 1] = alive
end
return lives
