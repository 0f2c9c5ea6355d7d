# Makes the values to measure, writes them for the others to read, and measures R itself.
#
#     Rscript rserialize.R FOLDER
#
# FOLDER gets NAME.rds (not compressed) of each value, and NAME.small.rds with a hundredth of its elements.
# Prints one JSON object: milliseconds by name, [read, write].

folder <- commandArgs(TRUE)[[1]]

frame <- function(n) data.frame(
  a = runif(n), b = runif(n), c = rnorm(n), d = rnorm(n), e = sample.int(n), f = sample.int(100L, n, TRUE),
  g = runif(n) < 0.5, h = factor(sample(letters, n, TRUE)), i = sample(month.name, n, TRUE),
  j = paste("row", sample.int(n)))
lists <- function(n) lapply(seq_len(n), function(i) list(id = i, name = paste0("n", i), value = i / 2))
task <- function(n) {
  arguments <- lapply(seq_len(n), function(i) list(i = i, x = i / 3))
  names(arguments) <- seq_len(n)
  list(ID = "doRedis_queue_1a2b3c4d", argsList = arguments)
}
make <- list(
  double = function(share) runif(1e7 / share),
  int = function(share) sample.int(1e7 / share),
  strings = function(share) paste("string", sample.int(1e6 / share)),
  frame = function(share) frame(1e6 / share),
  lists = function(share) lists(1e5 / share),
  message = function(share) task(12))

milliseconds <- function(f) {
  once <- function(times) {
    clock <- Sys.time()
    for (k in seq_len(times)) f()
    as.numeric(Sys.time() - clock, units = "secs") * 1000 / times
  }
  times <- if (once(1) < 1) 1000 else 1
  median(vapply(1:7, function(k) once(times), 0))
}

set.seed(1)
figures <- vapply(names(make), function(name) {
  for (share in c(1, 100)) {
    file <- file.path(folder, paste0(name, if (share > 1) ".small", ".rds"))
    x <- make[[name]](share)
    saveRDS(x, file, compress = FALSE)
    if (share == 1) {
      bytes <- serialize(x, NULL)
      figure <- sprintf('"%s": [%.5f, %.5f]', name, milliseconds(function() unserialize(bytes)),
                        milliseconds(function() serialize(x, NULL)))
      rm(bytes)
    }
  }
  figure
}, "")
cat("{", paste(figures, collapse = ", "), "}\n", sep = "")
