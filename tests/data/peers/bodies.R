# Loops for tests/peers/test_r_bodies.py, which compares what they give on R's own workers and on ours: a name, a program.

## connections closed
foreach(i = 1:4, .combine = c) %dopar% { closeAllConnections(); i }

## connections
foreach(i = 1:2) %dopar% list(getAllConnections(), nrow(showConnections()))

## a sink over a chunk
setChunkSize(6)
f <- tempfile(tmpdir = "/tmp")
foreach(i = 1:6) %dopar% { if (i == 1) sink(f, append = TRUE); cat("iter", i, "\n"); if (i == 6) sink(); i }
setChunkSize(1)
lines <- readLines(f)
unlink(f)
lines

## a sink over tasks
f <- tempfile(tmpdir = "/tmp")
foreach(i = 1:3) %dopar% { if (i == 1) sink(f, append = TRUE); cat("iter", i, "\n"); if (i == 3) sink(); i }
lines <- readLines(f)
unlink(f)
lines

## the search path
foreach(i = 1) %dopar% search()

## variables of the environment
foreach(i = 1) %dopar% sort(names(Sys.getenv()))

## directories
foreach(i = 1) %dopar% {
  c(R.home(), R.home("share"), R.home("include"), R.home("doc"), .libPaths(), Sys.getenv("LD_LIBRARY_PATH"), getwd())
}

## options
foreach(i = 1) %dopar% options()[setdiff(names(options()), "error")]

## what R can do
foreach(i = 1) %dopar% list(capabilities(), Sys.getlocale(), interactive(), l10n_info())

## input
foreach(i = 1) %dopar% list(readLines(file("stdin")), readline())

## a signalled interrupt
foreach(i = 1:3, .combine = c) %dopar% {
  signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))
  i
}

## signals of children
foreach(i = 1, .combine = c) %dopar% {
  system("bash -c 'yes | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}' 2>/dev/null", intern = TRUE)
}

## a broken pipe
foreach(i = 1, .errorhandling = "pass") %dopar% {
  p <- pipe("exec true", "w")
  Sys.sleep(0.3)
  writeLines(strrep("x", 1e5), p)
  flush(p)
}

## files of R
foreach(i = 1, .combine = c) %dopar% nchar(format(citation("stats"), style = "text")[1])

## hash tables
if (exists("hashtab", asNamespace("utils"))) {
  h <- utils::hashtab()
  h[["a"]] <- 1
  list(foreach(h = list(h, h)) %dopar% utils::numhash(h), foreach(i = 1:2) %dopar% utils::numhash(h))
}

## a masked function
c <- function(...) "mine"
foreach(i = 1:2, .export = "c") %dopar% c(i)

## warnings as errors
foreach(i = 1, .errorhandling = "pass") %dopar% {
  old <- options(warn = 2)
  on.exit(options(old))
  as.integer("x")
}

## a trace
foreach(i = 1:2) %dopar% {
  suppressMessages(trace(sum, quote(NULL), print = FALSE))
  x <- sum(1, i)
  suppressMessages(untrace(sum))
  x
}
