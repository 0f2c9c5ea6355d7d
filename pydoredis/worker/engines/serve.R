# Frames in, frames out: the loop of the R child (pydoredis/worker/frames.py). Sourced after evaluate.R.

# From the agent: 1 ENVIRONMENT, 2 TASK, 3 FORGET, 4 ANSWER, 5 VERDICT, 6 KEPT, 7 BARRIER, 8 CUT, 9 SKIP,
# 10 ENV_FILE. From here:
# 16 READY, 17 RESULT, 18 FAILED, 19 REQUEST, 20 PARTIAL, 21 INTERRUPTED, 22 LOADED.

# The three pipes, opened anew for each use: base R has no other way to a descriptor than a connection, and bodies could
# find one that stays open, and close it.
#
# `from`, `to` and `starts` are their names. Enclosed by base: redisGet() and its like hold on to `ask`, and a body that returns
# one of them must not send the whole engine along.
make_pipes <- function(from, to, starts, files) {
  rest <- raw()  # what was read and belongs to the next frame
  kept <- list()  # frames that came while a body waited for an answer
  requests <- 0L
  token <- integer()  # what was read of `starts` and not met by a task yet

  # So many bytes, or what there is before the end. A fifo() gives what the pipe has, without a buffer of its own.
  take <- function(size) {
    have <- length(rest)
    if (have < size) {
      pieces <- list(rest)
      input <- files$open_fifo(from)
      while (have < size) {
        # A part of a big frame, or as many small ones as there are.
        most <- if (size - have > 65536L) min(size - have, 1048576L) else 65536L
        piece <- .Internal(readBin(input, "raw", most, NA_integer_, TRUE, FALSE))
        if (!length(piece)) break
        pieces <- c(pieces, list(piece))  # options(check.bounds = ) has something against pieces[[n + 1L]]
        have <- have + length(piece)
      }
      .Internal(close(input, "rw"))
      rest <<- unlist(pieces, use.names = FALSE)
    }
    if (have <= size) {
      taken <- rest
      rest <<- raw()
    } else {
      taken <- rest[seq_len(size)]
      rest <<- rest[(size + 1L):have]
    }
    taken
  }
  integers <- function(bytes) .Internal(readBin(bytes, "integer", 3L, NA_integer_, TRUE, swapped))
  swapped <- .Platform$endian != "little"

  # A frame as list(kind, token, bytes, what stands before the bytes), or NULL at the end. The numbers or the
  # status byte in front are taken apart: taking them off a big raw vector would copy that and more.
  read <- function() {
    header <- integers(take(12L))
    if (length(header) < 3L) return(NULL)
    size <- switch(header[1L], 0L, 8L, 0L, 1L, 4L, 4L, 0L, 0L, 0L, 0L)
    before <- take(size)
    list(header[1L], header[2L], take(header[3L] - size), if (size > 1L) integers(before) else before)
  }
  # Whether the agent lets us begin this task. It may read in the same pipe, so nothing is read ahead of use.
  begins <- function(number) {
    if (!length(token)) {
      input <- files$open_fifo(starts)
      token <<- .Internal(readBin(input, "integer", 1L, NA_integer_, TRUE, swapped))
      .Internal(close(input, "rw"))
      if (!length(token)) quit("no", 0L)
    }
    if (token != number) return(FALSE)
    token <<- integer()
    TRUE
  }
  receive <- function() {
    if (!length(kept)) return(read())
    frame <- kept[[1L]]
    kept <<- kept[-1L]
    frame
  }
  send <- function(kind, token, ...) {
    parts <- list(...)
    output <- files$open_file(to, "wb")
    .Internal(writeBin(c(kind, token, sum(lengths(parts))), output, NA_integer_, swapped, FALSE))
    for (part in parts) .Internal(writeBin(part, output, NA_integer_, FALSE, FALSE))
    .Internal(close(output, "rw"))
  }
  # Bodies call this, and must not be interrupted in the middle of a frame.
  ask <- function(data) suspendInterrupts({
    requests <<- requests + 1L
    send(19L, requests, data)
    repeat {
      frame <- read()
      if (is.null(frame)) quit("no", 0L)
      if (frame[[1L]] == 4L && frame[[2L]] == requests) break
      kept <<- c(kept, list(frame))
    }
    frame[4:3]
  })
  list(receive = receive, send = send, ask = ask, begins = begins)
}
environment(make_pipes) <- .BaseNamespaceEnv

# A sleep carries out an interrupt that R has been asked for.
forget_interrupt <- function() tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(e) NULL)

most <- 536870912  # bytes of a value, for Redis

read_file <- function(path) {
  input <- files$open_file(path, "rb")
  data <- .Internal(readBin(input, "raw", .Internal(file.info(path, FALSE))[[1L]], NA_integer_, TRUE, FALSE))
  .Internal(close(input, "rw"))
  data
}

too_large <- function(what, size) sprintf("%s has %.0f bytes; Redis takes %.0f", what, size, most)

send_partial <- NULL  # for evaluate.R, once there are pipes

serve <- function(descriptors) {
  pipes <- make_pipes(path_of(descriptors[1L]), path_of(descriptors[2L]), path_of(descriptors[4L]), files)
  begins <- pipes$begins
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
    if (is.raw(result) && length(result) > most) result <- too_large("the result", length(result))
    if (is.raw(result) && length(result) == 4L) {
      send(21L, token, result)
    } else if (is.raw(result)) {
      send(17L, token, writeBin(now() - began, raw(), endian = "little"), result)
    } else {
      text <- charToRaw(enc2utf8(result))
      send(18L, token, text[seq_len(min(length(text), 1048576L))])
    }
  }
  handle <- function(frame) switch(frame[[1L]],
    load_environment(frame[[3L]], frame[[2L]]),
    if (!begins(frame[[2L]])) {
      key <- key_of(frame[[2L]])
      verdicts[[key]] <<- NULL
      kept[[key]] <<- NULL
    } else {
      began <<- now()
      token <<- frame[[2L]]
      if (length(verdicts)) {
        key <- key_of(token)
        for (v in verdicts[[key]]) verdict(v[[3L]], v[[4L]])
        verdicts[[key]] <<- NULL
      }
      if (length(kept)) {
        key <- key_of(token)
        for (part in kept[[key]]) restore(part[[3L]], part[[4L]])
        kept[[key]] <<- NULL
      }
      busy <<- TRUE
      answer(run_task(frame[[3L]], frame[[4L]]))
    },
    forget_environment(NULL, frame[[2L]]),
    NULL,
    {
      key <- key_of(frame[[2L]])
      verdicts[[key]] <<- c(verdicts[[key]], list(frame))
    },
    {
      key <- key_of(frame[[2L]])
      kept[[key]] <<- c(kept[[key]], list(frame))
    },
    forget_interrupt(),
    watch_output(frame[[3L]], c(descriptors[3L], frame[[2L]])),
    begins(frame[[2L]]),
    {
      load_environment(read_file(rawToChar(frame[[3L]])), frame[[2L]])
      send(22L, frame[[2L]])
    },
    stop("unknown frame of kind ", frame[[1L]])
  )

  send_partial <<- function(finished, data) {
    if (length(data) <= most) send(20L, token, writeBin(finished, raw(), endian = "little"), data)
  }
  attach_doredis(pipes$ask)
  own_functions()
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
  catch <- function() withRestarts(loop(), abort = function(...) FALSE)
  while (!isTRUE(catch())) {
    if (!busy) quit("no", 1L)
    jumped <- TRUE
  }
  quit("no", 0L)
}
