-- Take tasks off lists and mark them, in one step: at no instant is a task neither in a queue nor marked.
--
-- KEYS  1 record of the agent's last batch  2... lists, in order of preference
-- ARGV  1 number of the batch  2 how many tasks of any job to take  3 host  4 begin (for the tags)
--       5 value of alive  6 its time to live, s  7 what start keys begin with: R's integer vector up to its length
--       8 how long the record stays, s  9 how long tasks set aside stay, s
--       10 bytes up to which an environment is read  11 number of pids  12 of jobs with tasks ahead  13 of
--       environments known  14 of lists of loops inside of bodies; they are the first  15 of queues  16 of rooms; then
--       for the first lists, as many as there are rooms: how many tasks of any job to take from it and those before it
--       for each list: the number of its queue
--       for each queue: what its env, start and alive keys begin with; its crashes; its tasks set aside
--       pids; env and number of tasks ahead, alternating; env and known length, alternating
--
-- Returns  1 for each task: number of its list, message, tag ('' if it was set aside), 1 if an executor died on it
--          2 for each job: env, what follows (0 nothing: it is over, 1 the value, 2 as known, 3 too large), value
--          3 1 if tasks are left, of loops that are in no body  4... numbers of other lists where some are left

local call = redis.call

local MOST_BYTES = 32 * 1024 * 1024 -- of messages, after which a batch ends
local PAGE_BYTES = 1024 * 1024

local record, batch, free = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local inner, rooms, queues, lists = tonumber(ARGV[14]), tonumber(ARGV[16]), {}, {}
local at = 17 + rooms + #KEYS - 1
for n = 1, tonumber(ARGV[15]) do
    queues[n] = {
        env = ARGV[at], start = ARGV[at + 1], alive = ARGV[at + 2], crashes = ARGV[at + 3], aside = ARGV[at + 4],
    }
    at = at + 5
end
for n = 1, #KEYS - 1 do
    local queue = queues[tonumber(ARGV[16 + rooms + n])]
    lists[n] = {key = KEYS[n + 1], queue = queue, room = n <= rooms and tonumber(ARGV[16 + n]) or free}
end
local pids, ahead, ahead_left, known = {}, {}, 0, {}
for n = 1, tonumber(ARGV[11]) do
    pids[n], at = ARGV[at], at + 1
end
for _ = 1, tonumber(ARGV[12]) do
    ahead[ARGV[at]] = tonumber(ARGV[at + 1])
    ahead_left, at = ahead_left + ahead[ARGV[at]], at + 2
end
for _ = 1, tonumber(ARGV[13]) do
    known[ARGV[at]], at = tonumber(ARGV[at + 1]), at + 2
end

local taken, marked, bytes, jobs, environments, any_crashes = {}, 0, 0, {}, {}, {}
local begun = 0 -- tasks that were taken because an executor is free for them

-- The length of an environment, -1 if the job is over. Reads it if it is new in this batch.
local function look_up(env)
    local length = jobs[env]
    if length then
        return length
    end
    length = redis.pcall('STRLEN', env)
    if type(length) ~= 'number' or call('EXISTS', env) == 0 then
        length = -1
    end
    local kind, value = 3, ''
    if length < 0 then
        kind = 0
    elseif length <= tonumber(ARGV[10]) then
        kind, value = 1, call('GET', env)
    elseif length == known[env] then
        kind = 2
    end
    local last = #environments
    environments[last + 1], environments[last + 2], environments[last + 3] = env, kind, value
    jobs[env] = length
    return length
end

local function died_on_it(queue, job, block)
    if any_crashes[queue] == nil then
        any_crashes[queue] = call('EXISTS', queue.crashes) == 1
    end
    return any_crashes[queue] and call('HEXISTS', queue.crashes, job .. ':' .. block) or 0
end

local function mark(queue, job, tag, numbers)
    local words = {ARGV[7], struct.pack('>I4', #numbers)}
    for n, number in ipairs(numbers) do
        words[n + 2] = struct.pack('>i4', number)
    end
    call('SET', queue.alive .. job .. '.' .. tag, ARGV[5], 'EX', ARGV[6])
    call('SET', queue.start .. job .. '.' .. tag, table.concat(words))
end

-- How many tasks may still be taken from a list.
local function left(list)
    return math.max(0, list.room - begun) + ahead_left
end

-- Whether a task may be taken from a list, of a job with this environment.
local function has_room(list, env)
    if begun < list.room then
        begun = begun + 1
        return true
    end
    if (ahead[env] or 0) > 0 then
        ahead[env], ahead_left = ahead[env] - 1, ahead_left - 1
        return true
    end
    return false
end

-- Take one task, if it may be taken.
local function take(number, list, message)
    local queue, sound, job, numbers = list.queue, pcall(read_task, message)
    local env = sound and job and queue.env .. job or nil
    if not has_room(list, env) then
        return false
    end
    local tag, crashed = '', 0
    if env then
        local block = string.format('%.0f...%.0f', numbers[1], numbers[#numbers])
        tag = 'iters ' .. block .. ' host ' .. ARGV[3] .. ' pid ' .. pids[marked % #pids + 1]
            .. ' begin ' .. ARGV[4]
        marked = marked + 1
        if look_up(env) >= 0 then
            mark(queue, job, tag, numbers)
            crashed = died_on_it(queue, job, block)
        end
    else
        call('RPUSH', queue.aside, message)
        call('EXPIRE', queue.aside, ARGV[9])
    end
    local last = #taken
    taken[last + 1], taken[last + 2], taken[last + 3], taken[last + 4] = number, message, tag, crashed
    bytes = bytes + #message
    return true
end

-- How many tasks were taken from the head of a list.
local function take_from(number, list)
    local count, page = 0, 1
    while left(list) > 0 and bytes < MOST_BYTES do
        local messages, size = call('LRANGE', list.key, count, count + page - 1), 0
        for _, message in ipairs(messages) do
            if bytes >= MOST_BYTES or not take(number, list, message) then
                return count
            end
            count, size = count + 1, size + #message
        end
        if #messages < page then
            break
        end
        -- Larger pages cost less, unless the messages are large.
        page = math.max(1, math.min(4 * page, math.floor(PAGE_BYTES * page / size), left(list)))
    end
    return count
end

-- --- what is done ---------------------------------------------------------------------------------------------

-- Tasks and environments: those of the last batch if it is asked for again, because its reply was lost. A request that
-- comes after a later one gets nothing: nobody waits for its reply.
local function tasks_and_environments(first)
    local last_batch = tonumber(call('GETRANGE', record, 0, 15))
    if last_batch and batch <= last_batch then
        return batch == last_batch and cmsgpack.unpack(sub(call('GET', record), 17)) or {{}, {}}
    end
    local counts = {}
    for number = first, #lists do
        counts[number] = take_from(number, lists[number])
    end
    local found = {taken, environments}
    if #taken > 0 then
        call('SET', record, string.format('%016.0f', batch) .. cmsgpack.pack(found), 'EX', ARGV[8])
        -- Last: a server that refuses to write has said so at the first mark, and nothing has changed.
        for number = first, #lists do
            if counts[number] > 0 then
                call('LTRIM', lists[number].key, counts[number], -1)
            end
        end
    end
    return found
end

-- The first list where there may be tasks: most often no loop inside of a body is about.
local function first_list()
    return inner > 0 and call('EXISTS', unpack(KEYS, 2, inner + 1)) == 0 and inner + 1 or 1
end

local reply = tasks_and_environments(first_list())
reply[3] = 0
-- After the last write: a client that is told of changes (CLIENT TRACKING) hears of those after it last read a list.
for number = first_list(), #lists do
    if call('LLEN', lists[number].key) > 0 then
        if number > inner then
            reply[3] = 1
        else
            reply[#reply + 1] = number
        end
    end
end
return reply
