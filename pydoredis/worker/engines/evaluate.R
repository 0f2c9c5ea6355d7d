# How a worker evaluates the tasks of a job: the behaviour of doRedis 3.0.2's redisWorker, found by
# experiment (docs: protocol, sections 5, 8 and 9). Both R engines source this file into an environment of its
# own, enclosed by base: nothing here may be seen by, or be changed by, what users run.
#
# The host calls
#   watch_output(cut, descriptors) once, own_functions() when it has sourced all that it needs,
#   load_environment(data, number), forget_environment(NULL, number), verdict(data, index), restore(data, finished),
#   run_task(data, c(number, place)), then resume_task(NULL, NULL) for as long as R leaves them by a jump.
# Both return the result message as a raw vector; the 4 bytes of an INTERRUPTED frame if the task was interrupted; or a
# string, why there can be no result. Bodies can be interrupted, nothing else can, if the host has suspended interrupts. The host provides
# send_partial(finished, data): a PARTIAL frame of the running task.

# The job in use: an environment with expr, exportenv, kind. Its name, and the calls that mention it, are seen by
# users: an error at the top level of a body has the call of eval() as its `call`.
.doRedisGlobals <- new.env(parent = emptyenv())

# All jobs by number: a raw vector until the first task, then the job's environment.
jobs <- new.env(parent = emptyenv())
used <- NA_integer_  # number of the job in use

# The task at work: stage is what an error outside of a body would have hit, reading, running or packing.
stage <- ""
in_body <- FALSE  # whether a body runs
reason <- ""
arguments <- list()
values <- list()
at <- 0L
first <- 0L  # the task's place
several <- FALSE  # whether it has more than one iteration
shown <- 0L  # warnings
verdicts <- list()
restored <- list()  # values of iterations that another executor finished
struck <- FALSE  # whether the task was interrupted
sent <- 0L  # how many values the agent has
due <- 0  # when it is time to send more
large <- FALSE  # whether the last result was: then the next one is written in native byte order, which R peers read, too
process <- Sys.getpid()

# Without a handler, R ends a process that isn't interactive at the first error nobody caught.
if (is.null(getOption("error"))) options(error = expression(NULL))

# Bodies may trace, debug or replace functions of base. So each that is named in here becomes a copy of our own; one
# that stays compiled, since nothing about it has changed in the end.
own_functions <- function() {
  ours <- parent.env(environment())
  names <- unlist(lapply(as.list(ours, all.names = TRUE), function(f) if (is.function(f)) all.names(body(f))))
  for (name in unique(names)) {
    if (exists(name, envir = ours, inherits = FALSE) || !exists(name, envir = baseenv(), inherits = FALSE)) next
    f <- get(name, envir = baseenv())
    if (typeof(f) != "closure") next
    attr(f, "ours") <- TRUE
    attr(f, "ours") <- NULL
    assign(name, f, envir = ours)
  }
}

# --- jobs ---

key_of <- function(number) sprintf("%d", number[1L])  # whatever options(scipen = ) says

load_environment <- function(data, number) assign(key_of(number), data, envir = jobs)

forget_environment <- function(data, number) {
  key <- key_of(number)
  job <- jobs[[key]]
  if (is.null(job)) return(NULL)
  size <- if (is.raw(job)) length(job) else job$size
  rm(list = key, envir = jobs)
  if (identical(used, as.integer(key))) {
    used <<- NA_integer_
    .doRedisGlobals <<- new.env(parent = emptyenv())
  }
  job <- NULL
  collect(size)
}

# What is large is not left to R's own time, which comes when as much again has been allocated.
collect <- function(size) if (size > 1e7) gc()

# Make job `number` the one in use; NULL, or why that's impossible.
use_job <- function(number) {
  key <- key_of(number)
  job <- jobs[[key]]
  if (is.null(job)) return(paste0("job environment ", key, " was never sent"))
  if (output != "") undivert()  # else we are a guest in somebody's session
  if (is.raw(job)) {
    size <- length(job)
    job <- open_job(job)
    job$size <- size
    assign(key, job, envir = jobs)
    collect(size)
  } else if (!is.null(job$kind)) {
    # The kind of generator belongs to the process: another job may have changed it.
    withCallingHandlers(RNGkind(job$kind), warning = muffle)
  }
  .doRedisGlobals <<- job
  used <<- number
  NULL
}

# What another job has left diverted: its files are not for the output of this one.
undivert <- function() tryCatch({
  if (sink.number(type = "message") != 2L) sink(type = "message")
  while (sink.number() > 0L) sink()
}, error = print_error)

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

# --- tasks ---

# The iteration at `index` (from 0) of the next task is not run: its value is an error that says so.
verdict <- function(data, index) verdicts[[key_of(index)]] <<- text_of(data)

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
run_task <- function(data, numbers) {
  withCallingHandlers(start_task(data, numbers), warning = on_warning, error = on_error, interrupt = on_interrupt)
}

start_task <- function(data, numbers) {
  refused <- verdicts
  verdicts <<- list()
  finished <- restored
  restored <<- list()
  shown <<- 0L
  struck <<- FALSE
  in_body <<- FALSE
  reason <<- ""
  stage <<- "reading"
  number <- numbers[1L]  # copies: the host writes the next task's numbers in their place
  first <<- numbers[2L]
  reach(first)
  task <- unserialize(data)
  if (!is.list(task)) return("the task is not a list")
  if (!is.list(task[["argsList"]]) && length(task[["argsList"]])) return("the task's argsList is not a list")
  if (!identical(used, number)) {
    unknown <- use_job(number)
    if (!is.null(unknown)) return(unknown)
  }
  stage <<- "running"
  arguments <<- task[["argsList"]]
  several <<- length(arguments) > 1L
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
resume_task <- function(data, numbers) {
  if (struck) return(finish(writeBin(at - 1L, raw(), endian = "little")))
  if (in_body) {
    in_body <<- FALSE
    said <- sub("\n$", "", .Internal(geterrmessage()))
    .Internal(seterrmessage(""))  # or a later jump would be put down to this error
    text <- paste0("the evaluation jumped to top level", if (nzchar(said)) ": ", said)
    values[[at]] <<- simpleError(text, quote(eval(.doRedisGlobals[["expr"]], envir = .doRedisGlobals[["exportenv"]])))
    return(withCallingHandlers(go_on(), warning = on_warning, error = on_error, interrupt = on_interrupt))
  }
  if (stage == "packing") {
    stage <<- "packing one by one"
    return(finish(withCallingHandlers(serialize_each(), warning = on_warning, error = on_error)))
  }
  arguments <<- values <<- list()
  if (stage == "reading") paste("R cannot read the task:", reason) else paste0("R failed when ", stage, ": ", reason)
}

go_on <- function() {
  total <- length(arguments)
  suspended <- .Internal(interruptsSuspended())
  while (at < total) {
    at <<- at + 1L
    if (several) reach(first + at)
    # A limit that a body has left behind is not for others. None can strike while interrupts are suspended.
    if (output != "") {
      .Internal(setSessionTimeLimit(Inf, Inf))  # first: the other one puts it into force again
      .Internal(setTimeLimit(Inf, Inf, FALSE))
    }
    in_body <<- TRUE
    .Internal(interruptsSuspended(FALSE))
    values[at] <<- list(iteration(arguments[[at]]))
    .Internal(interruptsSuspended(suspended))
    in_body <<- FALSE
    # A body forked, and its child has come to the end of the body.
    if (.Internal(Sys.getpid()) != process) get("pskill", envir = asNamespace("tools"))(Sys.getpid(), 9L)
    if (at < total && now() >= due) send_values()
  }
  stage <<- "packing"
  finish(serialize(values, NULL, xdr = !large, version = 3L))
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

now <- function() .Internal(Sys.time())

# Big values pay a tenth at most for it, small ones next to nothing.
send_values <- function() {
  began <- now()
  data <- tryCatch(serialize(values[(sent + 1L):at], NULL, xdr = FALSE, version = 3L), error = function(e) NULL)
  if (!is.null(data)) {
    send_partial(at, data)
    sent <<- at
  }
  ended <- now()
  due <<- ended + max(0.05, 10 * (ended - began))
}

# A value that R can't serialize costs its own iteration, not the task.
serialize_each <- function() {
  for (i in seq_along(values)) {
    tryCatch(serialize(values[i], NULL, version = 3L), error = function(e) {
      values[[i]] <<- simpleError(paste("the value cannot be serialized:", conditionMessage(e)))
    })
  }
  serialize(values, NULL, version = 3L)
}

finish <- function(result) {
  force(result)
  large <<- length(result) > 1e6 && .Platform$endian == "little"
  arguments <<- list()
  values <<- list()
  # What a body has left behind that our own code, too, would suffer from.
  if (output != "") .Internal(gctorture(FALSE))
  allow_depth()
  stage <<- "answering"
  result
}

# Our own calls are nested deeper than the 25 that a body may set as the limit. (For handlers, R itself allows more.)
allow_depth <- function() if (getOption("expressions") < 500L) options(expressions = 5000L)

# --- conditions ---

# An interrupt ends the task, unless its body deals with it. What a body signals itself under that name does not: it
# has a content, or no "resume" to go on with.
on_interrupt <- function(e) {
  if (length(e) || !identical(computeRestarts()[[1L]][[1L]], "resume")) return(NULL)
  struck <<- TRUE
  invokeRestart("abort")
}

on_error <- function(e) {
  allow_depth()
  if (in_body) return(NULL)  # iteration() takes care
  reason <<- tryCatch(conditionMessage(e), error = function(e) "an error without a message")
  invokeRestart("abort")
}

# Warnings are printed as they come; a redisWorker prints them when it exits. (R keeps them until it is back at
# top level, where an embedded R never is.)
on_warning <- function(w) {
  if (in_body && !identical(as.integer(getOption("warn")), 0L)) return(NULL)
  shown <<- shown + 1L
  if (shown <= 50L) print_warning(w)
  if (shown == 51L) cat("Further warnings are not shown.\n", file = stderr())
  muffle(w)
}

muffle <- function(w) {
  for (restart in computeRestarts(w)) {
    if (identical(restart$name, "muffleWarning")) invokeRestart(restart)
  }
}

print_warning <- function(w) {
  call <- conditionCall(w)
  where <- if (is.null(call)) "Warning: " else paste0("Warning in ", deparse(call, nlines = 1L)[1L], " : ")
  cat(where, conditionMessage(w), "\n", sep = "", file = stderr())
}

print_error <- function(e) {
  text <- tryCatch(as.character(e), error = function(e) "an error that cannot be shown")
  cat(text, "\n", file = stderr())
}

# --- where the process is: see pydoredis/worker/frames.py ---

output <- ""
times <- NULL
cut <- raw()
place <- 0

# Descriptors: of the output, and of what has the times that tell the place, which may be the same.
watch_output <- function(data, descriptors) {
  output <<- path_of(descriptors[1L])
  times <<- if (descriptors[2L] != descriptors[1L]) path_of(descriptors[2L])
  cut <<- data
}

# The name of a descriptor: the short way where there are two.
path_of <- function(descriptor) {
  path <- paste0("/proc/self/fd/", descriptor)
  if (file.exists(path)) path else paste0("/dev/fd/", descriptor)
}

reach <- function(where) {
  if (output == "") return(NULL)
  modified <- .Internal(file.info(output, FALSE))[[4L]]
  if (!identical(modified, place)) cut_output()
  .Internal(setFileTime(output, where))
  if (!is.null(times)) .Internal(setFileTime(times, where))
  place <<- as.double(where)
}

cut_output <- function() tryCatch({
  to <- files$open_file(output, "wb")
  writeBin(c(as.raw(0x1e), charToRaw(key_of(as.integer(place))), cut), to)
  close(to)
}, error = print_error)

# Connections for a moment. We keep none: bodies could find it, and close it. Enclosed by base, see make_pipes().
files <- local({
  open_file <- function(path, mode) {
    if (length(.Internal(getAllConnections())) > 100L) make_room()
    .Internal(file(path, mode, TRUE, "native.enc", "default", TRUE))
  }
  open_fifo <- function(path) {
    if (length(.Internal(getAllConnections())) > 100L) make_room()
    .Internal(fifo(path, "rb", TRUE, "native.enc"))
  }
  # Bodies may have left open as many connections as R has: then the last one that can be closed makes room.
  make_room <- function() {
    full <- tryCatch({ close(rawConnection(raw())); FALSE }, error = function(e) TRUE)
    if (!full) return(NULL)
    open <- .Internal(getAllConnections())
    for (number in rev(open[open > 2L])) {
      closed <- tryCatch({
        connection <- getConnection(number)
        text <- summary(connection)$description
        close(connection)
        TRUE
      }, error = function(e) FALSE)
      if (closed) break
    }
    if (closed) cat("R has no connection left: closed the one to ", text, "\n", sep = "", file = stderr())
  }
  environment()
}, new.env(parent = .BaseNamespaceEnv))
