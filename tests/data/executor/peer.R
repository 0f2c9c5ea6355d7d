# An R that makes messages for tests and reads results. Each line on standard input is R code; the answer is the
# length of a raw vector in decimal, a newline, and its bytes. Code that gives something else than a raw vector is
# answered with its deparsed value.

job <- function(expr, ..., packages = NULL, parentenv = NULL, kind = "Mersenne-Twister") {
  exportenv <- list2env(list(...), parent = emptyenv())
  if (!is.null(kind)) exportenv$.RNGkind <- kind
  for (name in names(exportenv)) {
    if (is.function(exportenv[[name]])) environment(exportenv[[name]]) <- exportenv
  }
  message <- list(expr = substitute(expr), parentenv = parentenv, exportenv = exportenv, packages = packages)
  serialize(message, NULL)
}

# A task of iterations first, first + 1 ... with the variables given, one value of each per iteration.
task <- function(..., first = 1L) {
  values <- list(...)
  n <- max(1L, lengths(values))
  arguments <- lapply(seq_len(n), function(k) c(lapply(values, `[[`, k), list(.Random.seed = first + k - 1L)))
  names(arguments) <- first + seq_len(n) - 1L
  serialize(list(ID = "1_u_h_2026-01-01-00:00:00.001", argsList = arguments), NULL)
}

read <- function(file) unserialize(readBin(file, "raw", file.size(file)))

input <- file("stdin", "r")
output <- pipe("cat", "wb")
while (length(line <- readLines(input, 1L))) {
  value <- eval(parse(text = line, keep.source = FALSE), new.env())
  if (!is.raw(value)) value <- charToRaw(enc2utf8(paste(deparse(value, 500L, backtick = TRUE), collapse = " ")))
  writeBin(c(charToRaw(paste0(length(value), "\n")), value), output)
  flush(output)
}
