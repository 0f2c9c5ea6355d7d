# What `extract.py` must know of R payloads: which of them are tasks or results, of which job and iterations.
# Usage: Rscript payloads.R FILE; base R only.
# FILE: per payload a big-endian int32 length and that many bytes. One line per payload goes to stdout:
# kind <TAB> job ID <TAB> names of the iterations, joined by commas <TAB> what the worker suffered, if anything.

describe <- function(payload) {
  # Only bytes that R's own peers would unserialize; R's text format and other text reach them as strings.
  if (!any(payload == 0)) return(c("foreign", "", "", ""))
  value <- tryCatch(unserialize(payload), error = function(e) e)
  if (!is.list(value) || inherits(value, "error")) return(c("foreign", "", "", ""))
  if (!is.null(value[["argsList"]])) {
    if (!is.character(value[["ID"]]) || length(value[["ID"]]) != 1) return(c("foreign", "", "", ""))
    return(c("task", value[["ID"]], paste(names(value[["argsList"]]), collapse = ","), ""))
  }
  # An R worker that loses its liveness connection gives the user this error (a fault of the worker, not of the
  # body), so its message is not what another worker has to answer.
  broken <- any(vapply(value, function(v) {
    inherits(v, "condition") && identical(conditionMessage(v), "ignoring SIGPIPE signal")
  }, NA))
  c("result", "", paste(names(value), collapse = ","), if (broken) "liveness connection lost" else "")
}

input <- file(commandArgs(TRUE)[[1]], "rb")
while (length(size <- readBin(input, "integer", 1, endian = "big"))) {
  payload <- readBin(input, "raw", size)
  cat(paste(describe(payload), collapse = "\t"), "\n", sep = "")
}
