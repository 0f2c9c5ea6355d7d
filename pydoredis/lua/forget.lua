-- Forget an agent, in front of `leave_queues.lua` and `sweep.lua`.
--
-- Takes its workers off the count, if they are counted, if there is a count, and never below zero (protocol, section 15,
-- rule 2). Tasks that it had set aside go back to the head of the queue, in their order, unless the queue was removed.
-- To forget an agent that is forgotten changes nothing.
local function forget(live, count, agents, queue, agent, presence, aside, batch, activity)
    local workers = tonumber(redis.call('HGET', agents, agent))
    if workers then
        redis.call('HDEL', agents, agent)
        local counted = tonumber(redis.call('GET', count))
        if counted then
            redis.call('SET', count, string.format('%.0f', math.max(0, counted - workers)), 'KEEPTTL')
        end
    end
    redis.call('UNLINK', presence, batch, activity)
    if redis.call('EXISTS', live) == 0 then
        redis.call('UNLINK', aside)
    end
    while redis.call('LMOVE', aside, queue, 'RIGHT', 'LEFT') do end
end

