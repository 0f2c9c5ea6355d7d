# Runs programs of a field's package on several backends of foreach and compares what they give.
#
#   Rscript harness.R HOST PORT FILE QUEUE...
#
# FILE fills two lists of functions: `programs`, which give under registerDoSEQ() what they give on the workers of every
# queue; and `with_doredis`, which give something else there (random numbers by doRedis's seeds, or an error), so that
# only workers have to agree. The first queue is served by R's own workers.
#
# A line "ok NAME QUEUE" or "bad NAME QUEUE: why" for each program and queue.

suppressMessages(library(doRedis))
options(warn = 1, width = 200)
arguments <- commandArgs(trailingOnly = TRUE)
queues <- arguments[-(1:3)]

programs <- with_doredis <- list()
source(arguments[[3]])

use <- function(queue) {
  if (is.null(queue)) {
    registerDoSEQ()
  } else {
    registerDoRedis(queue, host = arguments[[1]], port = as.integer(arguments[[2]]), ftinterval = 5)
  }
}

run <- function(program, queue) {
  use(queue)
  RNGkind("Mersenne-Twister", "Inversion", "Rejection")
  set.seed(1)
  tryCatch(program(), error = function(condition) {
    # Which task fails first is a matter of time.
    structure(list(sub("task [0-9]+ ", "", conditionMessage(condition))), class = "failed")
  })
}

judge <- function(name, queue, value, expected) {
  why <- if (inherits(value, "failed") && !inherits(expected, "failed")) {
    paste("error:", value[[1]])
  } else if (!identical(value, expected)) {
    # Compiled code may come to another last bit in another process: not so the rest.
    found <- all.equal(value, expected, tolerance = 1e-12)
    if (!isTRUE(found)) paste(found, collapse = "; ")
  }
  answer <- if (is.null(why)) paste("ok", name, queue) else paste0("bad ", name, " ", queue, ": ", why)
  cat("\n", gsub("\n", " ", answer), "\n", sep = "")
}

for (name in names(programs)) {
  expected <- run(programs[[name]], NULL)
  if (inherits(expected, "failed")) stop(name, " fails without workers: ", expected[[1]])
  for (queue in queues) judge(name, queue, run(programs[[name]], queue), expected)
}
for (name in names(with_doredis)) {
  expected <- run(with_doredis[[name]], queues[[1]])
  for (queue in queues) judge(name, queue, run(with_doredis[[name]], queue), expected)
}
