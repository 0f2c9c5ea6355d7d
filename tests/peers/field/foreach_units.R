# foreach's own unit tests, with the few functions of testthat that they use.
#
#   Rscript foreach_units.R HOST PORT DIRECTORY QUEUE

suppressMessages(library(doRedis))
options(warn = 1)
arguments <- commandArgs(trailingOnly = TRUE)
registerDoRedis(arguments[[4]], host = arguments[[1]], port = as.integer(arguments[[2]]), ftinterval = 5)
setChunkSize(50) # one test has thousands of iterations
Sys.setenv(FOREACH_BACKEND = "doRedis") # any but SEQ: iterations cannot assign here

context <- function(name) invisible()
teardown <- function(code) invisible(code)
check <- function(found, what) if (!isTRUE(found)) stop(what, ": ", paste(found, collapse = "; "), call. = FALSE)
expect_true <- function(value) check(value, "not true")
expect_identical <- function(value, expected) check(identical(value, expected), "not identical")
expect_equal <- function(value, expected) check(all.equal(value, expected), "not equal")
expect_is <- function(value, class) check(inherits(value, class), "another class")
expect_error <- function(code) check(tryCatch({ code; FALSE }, error = function(condition) TRUE), "no error")
file <- ""
test_that <- function(name, code) {
  answer <- tryCatch({ code; "ok" }, error = function(condition) paste("bad", conditionMessage(condition)))
  cat("\n", gsub("\n", " ", paste0(sub(" .*", "", answer), " ", file, ", ", name, sub("^[a-z]+", ":", answer))), "\n", sep = "")
}

for (path in sort(list.files(arguments[[3]], pattern = "^test_.*\\.R$", full.names = TRUE))) {
  file <- basename(path)
  source(path, local = new.env(parent = globalenv()))
}
