# Frames in, frames out: the loop of the R child (pydoredis/worker/frames.py). Sourced after evaluate.R.

KINDS <- list(ENVIRONMENT = 1L, TASK = 2L, FORGET = 3L, ANSWER = 4L, VERDICT = 5L,
              READY = 16L, RESULT = 17L, FAILED = 18L, REQUEST = 19L)

serve <- function(fd_in, fd_out) {
  # /dev/fd opens the pipe a second time; base R has no other way to a descriptor above 2. Binary connections are
  # not buffered by R, and stdio returns what one read() brought: a frame that is complete is never waited for.
  input <- file(paste0("/dev/fd/", fd_in), "rb", raw = TRUE)
  output <- file(paste0("/dev/fd/", fd_out), "wb", raw = TRUE)
  verdicts <- list()  # frames, by the task they belong to
  kept <- list()  # frames that came while a body waited for an answer
  requests <- 0L

  read <- function() {
    header <- readBin(input, "integer", 3L, endian = "little")
    if (length(header) < 3L) return(NULL)
    # What stands before the bytes is read apart: taking it off a big raw vector would copy that and more.
    before <- switch(as.character(header[1L]), "2" = readBin(input, "integer", 3L, endian = "little"),
                     "5" = readBin(input, "integer", 1L, endian = "little"), "4" = readBin(input, "raw", 1L))
    size <- if (is.raw(before)) 1L else 4L * length(before)
    list(header[1L], header[2L], readBin(input, "raw", header[3L] - size), before)
  }
  write <- function(kind, token, ...) {
    parts <- list(...)
    writeBin(c(kind, token, sum(lengths(parts))), output, endian = "little")
    for (part in parts) writeBin(part, output)
    flush(output)
  }
  ask <- function(data) {
    requests <<- requests + 1L
    write(KINDS$REQUEST, requests, data)
    repeat {
      frame <- read()
      if (is.null(frame)) quit("no", 0L)
      if (frame[[1L]] == KINDS$ANSWER && frame[[2L]] == requests) return(frame[4:3])
      kept[[length(kept) + 1L]] <<- frame
    }
  }

  began <- 0
  token <- 0L
  busy <- FALSE  # whether it's a task that R would jump out of
  answer <- function(result) {
    busy <<- FALSE
    if (is.raw(result)) {
      took <- writeBin(as.double(Sys.time()) - began, raw(), endian = "little")
      write(KINDS$RESULT, token, took, result)
    } else {
      write(KINDS$FAILED, token, charToRaw(enc2utf8(result)))
    }
  }
  handle <- function(frame) {
    kind <- frame[[1L]]
    body <- frame[[3L]]
    if (kind == KINDS$TASK) {
      began <<- as.double(Sys.time())
      token <<- frame[[2L]]
      for (v in verdicts[[as.character(token)]]) verdict(v[[3L]], v[[4L]])
      if (length(verdicts)) verdicts[[as.character(token)]] <<- NULL
      busy <<- TRUE
      answer(run_task(body, frame[[4L]]))
    } else if (kind == KINDS$ENVIRONMENT) {
      load_environment(body, frame[[2L]])
    } else if (kind == KINDS$FORGET) {
      forget_environment(NULL, frame[[2L]])
    } else if (kind == KINDS$VERDICT) {
      key <- as.character(frame[[2L]])
      verdicts[[key]] <<- c(verdicts[[key]], list(frame))
    } else if (kind != KINDS$ANSWER) {
      stop("unknown frame of kind ", kind)
    }
  }

  attach_doredis(ask)
  write(KINDS$READY, 0L, charToRaw(paste("Rscript", R.version.string)))
  jumped <- FALSE
  loop <- function() {
    if (jumped) {
      jumped <<- FALSE
      answer(resume_task(NULL, NULL))
    }
    repeat {
      if (length(kept)) {
        frame <- kept[[1L]]
        kept <<- kept[-1L]
      } else {
        frame <- read()
      }
      if (is.null(frame)) return(TRUE)
      handle(frame)
    }
  }
  # An uncaught jump to top level invokes this restart on its way.
  while (!isTRUE(withRestarts(loop(), abort = function(...) FALSE))) {
    if (!busy) quit("no", 1L)
    jumped <- TRUE
  }
  quit("no", 0L)
}
