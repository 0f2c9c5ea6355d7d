# Frames in, frames out: the loop of the R child (pydoredis/worker/frames.py). Sourced after evaluate.R.

# From the agent: 1 ENVIRONMENT, 2 TASK, 3 FORGET, 4 ANSWER, 5 VERDICT, 6 KEPT, 7 BARRIER. From here: 16 READY,
# 17 RESULT, 18 FAILED, 19 REQUEST, 20 PARTIAL, 21 INTERRUPTED.

# The two pipes. Enclosed by base: redisGet() and its like hold on to `ask`, and a body that returns one of them
# must not send the whole engine along.
open_pipes <- function(fd_in, fd_out) {
  # /dev/fd opens the pipe a second time; base R has no other way to a descriptor above 2. Binary connections are
  # not buffered by R, and stdio returns what one read() brought: a frame that is complete is never waited for.
  input <- file(paste0("/dev/fd/", fd_in), "rb", raw = TRUE)
  output <- file(paste0("/dev/fd/", fd_out), "wb", raw = TRUE)
  kept <- list()  # frames that came while a body waited for an answer
  requests <- 0L
  process <- Sys.getpid()

  # A frame as list(kind, token, bytes, what stands before the bytes), or NULL at the end. The number or the
  # status byte in front is read apart: taking it off a big raw vector would copy that and more.
  read <- function() {
    header <- readBin(input, "integer", 3L, endian = "little")
    if (length(header) < 3L) return(NULL)
    before <- switch(header[1L], NULL, readBin(input, "integer", 1L, endian = "little"), NULL,
                     readBin(input, "raw", 1L), readBin(input, "integer", 1L, endian = "little"),
                     readBin(input, "integer", 1L, endian = "little"))
    size <- if (is.raw(before)) 1L else 4L * length(before)
    list(header[1L], header[2L], readBin(input, "raw", header[3L] - size), before)
  }
  receive <- function() {
    if (!length(kept)) return(read())
    frame <- kept[[1L]]
    kept <<- kept[-1L]
    frame
  }
  send <- function(kind, token, ...) {
    # A body forked, and its child has come to the end of the body.
    if (Sys.getpid() != process) get("pskill", envir = asNamespace("tools"))(Sys.getpid(), 9L)
    parts <- list(...)
    writeBin(c(kind, token, sum(lengths(parts))), output, endian = "little")
    for (part in parts) writeBin(part, output)
    flush(output)
  }
  # Bodies call this, and must not be interrupted in the middle of a frame.
  ask <- function(data) suspendInterrupts({
    requests <<- requests + 1L
    send(19L, requests, data)
    repeat {
      frame <- read()
      if (is.null(frame)) quit("no", 0L)
      if (frame[[1L]] == 4L && frame[[2L]] == requests) break
      kept[[length(kept) + 1L]] <<- frame
    }
    frame[4:3]
  })
  list(receive = receive, send = send, ask = ask)
}
environment(open_pipes) <- .BaseNamespaceEnv

# A sleep carries out an interrupt that R has been asked for.
forget_interrupt <- function() tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(e) NULL)

send_partial <- NULL  # for evaluate.R, once there are pipes

serve <- function(fd_in, fd_out) {
  pipes <- open_pipes(fd_in, fd_out)
  receive <- pipes$receive
  send <- pipes$send
  verdicts <- list()  # frames, by the task they belong to
  kept <- list()  # the same
  began <- 0
  token <- 0L
  busy <- FALSE  # whether it's a task that R would jump out of

  answer <- function(result) {
    force(result)  # this is where the task is run
    busy <<- FALSE
    if (is.raw(result) && !length(result)) {
      send(21L, token)
    } else if (is.raw(result)) {
      send(17L, token, writeBin(as.double(Sys.time()) - began, raw(), endian = "little"), result)
    } else {
      send(18L, token, charToRaw(enc2utf8(result)))
    }
  }
  handle <- function(frame) switch(frame[[1L]],
    load_environment(frame[[3L]], frame[[2L]]),
    {
      began <<- as.double(Sys.time())
      token <<- frame[[2L]]
      if (length(verdicts)) {
        key <- as.character(token)
        for (v in verdicts[[key]]) verdict(v[[3L]], v[[4L]])
        verdicts[[key]] <<- NULL
      }
      if (length(kept)) {
        key <- as.character(token)
        for (part in kept[[key]]) restore(part[[3L]], part[[4L]])
        kept[[key]] <<- NULL
      }
      busy <<- TRUE
      answer(run_task(frame[[3L]], frame[[4L]]))
    },
    forget_environment(NULL, frame[[2L]]),
    NULL,
    {
      key <- as.character(frame[[2L]])
      verdicts[[key]] <<- c(verdicts[[key]], list(frame))
    },
    {
      key <- as.character(frame[[2L]])
      kept[[key]] <<- c(kept[[key]], list(frame))
    },
    forget_interrupt(),
    stop("unknown frame of kind ", frame[[1L]])
  )

  send_partial <<- function(data) send(20L, token, data)
  attach_doredis(pipes$ask)
  send(16L, 0L, charToRaw(paste0("R ", R.version$major, ".", R.version$minor, " (Rscript)")))
  jumped <- FALSE
  loop <- function() {
    if (jumped) {
      jumped <<- FALSE
      answer(resume_task(NULL, NULL))
    }
    while (!is.null(frame <- receive())) handle(frame)
    TRUE
  }
  # An uncaught jump to top level invokes this restart on its way.
  catch <- function() tryCatch(withRestarts(loop(), abort = function(...) FALSE), interrupt = function(e) FALSE)
  while (!isTRUE(catch())) {
    if (!busy) quit("no", 1L)
    jumped <- TRUE
  }
  quit("no", 0L)
}
