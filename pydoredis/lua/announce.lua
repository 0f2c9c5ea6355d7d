-- Say that an agent serves queues, and count its workers in where they are not counted.
--
-- KEYS  for each queue: 1 live  2 count  3 agents (workers that are counted, by agent)  4 what the agent says of itself
--                     5 what it does  6 says that it is to leave
-- ARGV  1 agent  2 its workers  3 "1": open queues that are not open  4 value of live
--       5 how long the agent's word stays, s  6 how long `agents` stays, s  7 how long what it does stays, s
--       8 "0", or the number of queues: what it does follows, for each; then fields and values of what it says
--
-- Returns 1 if at least one of the queues is open, how many agents serve the one that has most, 1 if somebody wants
-- the agent to leave, and the numbers of the queues where the workers were counted in by this. Nothing is said on one
-- that is not open.
local agent, workers, open, most, draining, joined = ARGV[1], tonumber(ARGV[2]), 0, 0, 0, {}
local activities = tonumber(ARGV[8])
for n = 1, #KEYS, 6 do
    local live, count, agents, presence, activity = KEYS[n], KEYS[n + 1], KEYS[n + 2], KEYS[n + 3], KEYS[n + 4]
    local number = (n + 5) / 6
    if redis.call('EXISTS', KEYS[n + 5]) == 1 then
        draining = 1
    end
    if ARGV[3] == '1' then
        redis.call('SET', live, ARGV[4], 'NX')
    end
    if redis.call('EXISTS', live) == 1 then
        open = 1
        if redis.call('EXISTS', count) == 0 then
            -- The queue was removed and opened again: nobody is counted any more.
            for _, other in ipairs(redis.call('HKEYS', agents)) do
                redis.call('HSET', agents, other, 0)
            end
        end
        local counted = tonumber(redis.call('HGET', agents, agent)) or 0
        if counted ~= workers then
            -- What is no number was not written by a peer, and stays as it is.
            redis.pcall('INCRBY', count, workers - counted)
            joined[#joined + 1] = number
        end
        redis.call('HSET', agents, agent, workers)
        redis.call('EXPIRE', agents, ARGV[6])
        redis.call('HSET', presence, unpack(ARGV, 9 + activities))
        redis.call('EXPIRE', presence, ARGV[5])
        if activities > 0 then
            redis.call('SET', activity, ARGV[8 + number], 'EX', ARGV[7])
        end
        most = math.max(most, redis.call('HLEN', agents))
    end
end
return {open, most, draining, unpack(joined)}
