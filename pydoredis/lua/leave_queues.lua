-- An agent leaves: forget it.
--
-- KEYS  for each queue: 1 live  2 count  3 agents  4 queue  5 what the agent says of itself  6 its tasks set aside
--       7 record of its last batch  8 what it does
-- ARGV  1 agent
for n = 1, #KEYS, 8 do
    forget(KEYS[n], KEYS[n + 1], KEYS[n + 2], KEYS[n + 3], ARGV[1], KEYS[n + 4], KEYS[n + 5], KEYS[n + 6],
        KEYS[n + 7])
end
