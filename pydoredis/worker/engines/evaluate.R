# How a worker evaluates the tasks of a job: the behaviour of doRedis 3.0.2's redisWorker, found by
# experiment (docs: protocol, sections 5, 8 and 9). Both R engines source this file into an environment of its
# own, enclosed by base: nothing here may be seen by, or be changed by, what users run.
#
# The host calls
#   load_environment(data, number), forget_environment(NULL, number), verdict(data, index), restore(data, finished)
#   run_task(data, number), then resume_task(NULL, NULL) for as long as R leaves them by a jump.
# Both return the result message as a raw vector, an empty one if the task was interrupted, or a string: why there
# can be none. Bodies can be interrupted, nothing else can, if the host has suspended interrupts. The host provides
# send_partial(data): the body of a PARTIAL frame of the running task.

# The job in use: an environment with expr, exportenv, kind. Its name, and the calls that mention it, are seen by
# users: an error at the top level of a body has the call of eval() as its `call`.
.doRedisGlobals <- new.env(parent = emptyenv())

# All jobs by number: a raw vector until the first task, then the job's environment.
jobs <- new.env(parent = emptyenv())
used <- NA_integer_  # number of the job in use

# The task at work: stage is what an error outside of a body would have hit, reading, running or packing.
stage <- ""
reason <- ""
arguments <- list()
values <- list()
at <- 0L
marked <- FALSE
shown <- 0L  # warnings
verdicts <- list()
restored <- list()  # values of iterations that another executor finished
struck <- FALSE  # whether the task was interrupted
sent <- 0L  # how many values the agent has
due <- 0  # when it is time to send more

# Without a handler, R ends a process that isn't interactive at the first error nobody caught.
if (is.null(getOption("error"))) options(error = expression(NULL))

load_environment <- function(data, number) assign(format(number[1L]), data, envir = jobs)

forget_environment <- function(data, number) {
  key <- format(number[1L])
  if (exists(key, envir = jobs, inherits = FALSE)) rm(list = key, envir = jobs)
  if (identical(used, as.integer(key))) {
    used <<- NA_integer_
    .doRedisGlobals <<- new.env(parent = emptyenv())
  }
}

# The iteration at `index` (from 0) of the next task is not run: its value is an error that says so.
verdict <- function(data, index) verdicts[[format(index[1L])]] <<- text_of(data)

# What another executor had finished of the next task; what cannot be read is run again.
restore <- function(data, finished) {
  values <- tryCatch(unserialize(data), error = function(e) NULL)
  if (length(restored) + length(values) == finished[1L]) restored <<- c(restored, values)
}

text_of <- function(data) {
  text <- rawToChar(data[data != 0L])
  Encoding(text) <- "UTF-8"
  text
}

# A tryCatch() costs 4 microseconds, as much as all else that is done for a small task. So there is one for each
# iteration, and what goes wrong with R's own functions in between leaves by a jump and is told by resume_task().
run_task <- function(data, number) {
  withCallingHandlers(start_task(data, number), warning = on_warning, error = on_error, interrupt = on_interrupt)
}

start_task <- function(data, number) {
  refused <- verdicts
  verdicts <<- list()
  finished <- restored
  restored <<- list()
  shown <<- 0L
  struck <<- FALSE
  stage <<- "reading"
  task <- unserialize(data)
  if (!is.list(task)) return("the task is not a list")
  if (!is.list(task[["argsList"]]) && length(task[["argsList"]])) return("the task's argsList is not a list")
  number <- number[1L]  # a copy: the host writes the next task's number in its place
  if (!identical(used, number)) {
    unknown <- use_job(number)
    if (!is.null(unknown)) return(unknown)
  }
  stage <<- "running"
  arguments <<- task[["argsList"]]
  marked <<- length(arguments) > 1L
  values <<- vector("list", length(arguments))
  names(values) <<- names(arguments)
  at <<- sent <<- length(finished)
  values[seq_len(at)] <<- finished
  due <<- now() + 0.05
  for (key in names(refused)) {
    class <- sub("\n.*", "", refused[[key]])
    message <- substring(refused[[key]], nchar(class) + 2L)
    error <- structure(class = c(class, "error", "condition"), list(message = message, call = NULL))
    arguments[[as.integer(key) + 1L]] <<- structure(list(error), class = "pydoredis_verdict")
  }
  go_on()
}

# R left run_task by a jump to top level. In a body that is invokeRestart("abort"), or stop() with a condition that
# is no error (a redisWorker dies of that one): that iteration's value is an error, and the next one has its turn.
resume_task <- function(data, number) {
  if (struck) return(finish(raw()))
  if (stage == "reading") return(paste("R cannot read the task:", reason))
  if (stage == "packing") return(finish(serialize_each()))
  said <- sub("\n$", "", geterrmessage())
  .Internal(seterrmessage(""))  # or a later jump would be put down to this error
  text <- paste0("the evaluation jumped to top level", if (nzchar(said)) ": ", said)
  values[[at]] <<- simpleError(text, quote(eval(.doRedisGlobals[["expr"]], envir = .doRedisGlobals[["exportenv"]])))
  withCallingHandlers(go_on(), warning = on_warning, error = on_error, interrupt = on_interrupt)
}

# A body that catches its interrupt itself goes on.
on_interrupt <- function(e) struck <<- TRUE

on_error <- function(e) {
  if (stage == "running") return(NULL)  # iteration() takes care
  reason <<- conditionMessage(e)
  invokeRestart("abort")
}

go_on <- function() {
  total <- length(arguments)
  suspended <- .Internal(interruptsSuspended())
  while (at < total) {
    at <<- at + 1L
    if (marked) cat("\036", names(arguments)[at], "\n", sep = "")
    .Internal(interruptsSuspended(FALSE))
    values[at] <<- list(iteration(arguments[[at]]))
    .Internal(interruptsSuspended(suspended))
    if (at < total && now() >= due) send_values()
  }
  stage <<- "packing"
  finish(serialize(values, NULL, version = 3L))
}

now <- function() .Internal(Sys.time())

# Big values pay a tenth at most for it, small ones next to nothing.
send_values <- function() {
  began <- now()
  data <- tryCatch(serialize(values[(sent + 1L):at], NULL, version = 3L), error = function(e) NULL)
  if (!is.null(data)) {
    send_partial(c(writeBin(at, raw(), endian = "little"), data))
    sent <<- at
  }
  ended <- now()
  due <<- ended + max(0.05, 10 * (ended - began))
}

finish <- function(result) {
  force(result)
  arguments <<- list()
  values <<- list()
  result
}

# Warnings are printed as they come; a redisWorker prints them when it exits. (R keeps them until it is back at
# top level, where an embedded R never is.)
on_warning <- function(w) {
  if (!identical(as.integer(getOption("warn")), 0L)) return(NULL)
  shown <<- shown + 1L
  if (shown <= 50L) print_warning(w)
  if (shown == 51L) cat("Further warnings are not shown.\n", file = stderr())
  for (restart in computeRestarts(w)) {
    if (identical(restart$name, "muffleWarning")) invokeRestart(restart)
  }
}

print_warning <- function(w) {
  call <- conditionCall(w)
  where <- if (is.null(call)) "Warning: " else paste0("Warning in ", deparse(call, nlines = 1L)[1L], " : ")
  cat(where, conditionMessage(w), "\n", sep = "", file = stderr())
}

print_error <- function(e) cat(as.character(e), "\n", file = stderr())

# A value that R can't serialize costs its own iteration, not the task.
serialize_each <- function() {
  for (i in seq_along(values)) {
    tryCatch(serialize(values[i], NULL, version = 3L), error = function(e) {
      values[[i]] <<- simpleError(paste("the value cannot be serialized:", conditionMessage(e)))
    })
  }
  serialize(values, NULL, version = 3L)
}

# The calls in here are the ones seen in conditions of an R worker, hence the names `n` and `args`.
iteration <- function(args) tryCatch({
  if (inherits(args, "pydoredis_verdict")) stop(args[[1L]])
  seed <- NULL
  for (n in names(args)) {
    if (n == ".Random.seed") seed <- args[[n]] else assign(n, args[[n]], pos = .doRedisGlobals$exportenv)
  }
  if (is.integer(seed) && length(seed) == 1L) set.seed(seed)
  if (exists("set.seed.worker", envir = .doRedisGlobals$exportenv)) {
    tryCatch(eval(quote(set.seed.worker(0)), .doRedisGlobals$exportenv), error = print_error)
  }
  eval(.doRedisGlobals[["expr"]], envir = .doRedisGlobals[["exportenv"]])
}, error = function(e) e)

# Make job `number` the one in use; NULL, or why that's impossible.
use_job <- function(number) {
  key <- format(number)
  job <- jobs[[key]]
  if (is.null(job)) return(paste0("job environment ", key, " was never sent"))
  if (is.raw(job)) {
    job <- open_job(job)
    assign(key, job, envir = jobs)
  } else if (!is.null(job$kind)) {
    # The kind of generator belongs to the process: another job may have changed it.
    suppressWarnings(RNGkind(job$kind))
  }
  .doRedisGlobals <<- job
  used <<- number
  NULL
}

open_job <- function(data) {
  job <- new.env(parent = emptyenv())
  job$exportenv <- new.env(parent = globalenv())
  job$expr <- NULL
  failure <- tryCatch({
    message <- unserialize(data)
    if (!is.list(message)) stop("it is not a list", call. = FALSE)
    if (!is.environment(message[["exportenv"]])) stop("it has no exportenv", call. = FALSE)
    NULL
  }, error = function(e) simpleError(paste("R cannot read the job environment:", conditionMessage(e))))
  if (is.null(failure)) {
    job$exportenv <- message[["exportenv"]]
    assign("expr", message[["expr"]], envir = job)
    failure <- set_up(job, message[["packages"]], message[["parentenv"]])
  }
  if (!is.null(failure)) {
    print_error(failure)
    job$expr <- failure
  }
  job
}

# Packages, generator, parent, worker.init; NULL, or the error of the step that failed. R's own worker gives
# `exportenv` its parent last, so that no worker.init finds so much as assign(): a defect nobody can rely on.
set_up <- function(job, packages, parentenv) tryCatch({
  exportenv <- job$exportenv
  for (p in packages) library(p, character.only = TRUE)
  kind <- exportenv[[".RNGkind"]]
  if (!is.null(kind)) {
    do.call("RNGkind", list(kind))
    job$kind <- kind
  }
  parent.env(exportenv) <- if (is.null(parentenv)) globalenv() else asNamespace(parentenv)
  init <- exportenv[["worker.init"]]
  if (is.function(init)) do.call(init, list())
  NULL
}, error = function(e) e)
