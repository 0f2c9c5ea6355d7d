# The embedded R's side of evaluate.R and doredis.R: Python provides send_part(), ask_agent() and agent_answer().

send_partial <- function(finished, data) send_part(c(data, writeBin(finished, raw(), endian = "little")))

attach_doredis(local(
  function(data) {
    status <- ask_agent(data)
    if (!length(status)) quit("no", 0L)  # the agent is gone
    list(status, agent_answer(raw()))
  },
  list2env(list(ask_agent = ask_agent, agent_answer = agent_answer), parent = .BaseNamespaceEnv)
))

# R keeps NULL from functions of no use for their value; the host wants a raw vector.
for (name in c("load_environment", "forget_environment", "verdict", "restore", "watch_output")) local({
  original <- get(name)
  assign(name, function(data, number) { original(data, number); raw() }, envir = parent.env(environment()))
})

own_functions()
