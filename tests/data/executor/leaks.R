# What bodies leave behind, for tests/worker/test_executor_leaks.py: a name, one statement a line, and after "undo:" what
# takes it back.

## all connections closed
closeAllConnections()

## each connection closed
for (n in 0:127) try(close(getConnection(n)), silent = TRUE)
gc()

## connections without end
kept <<- list()
try(repeat kept[[length(kept) + 1L]] <<- file(tempfile(), "w"), silent = TRUE)
undo:
closeAllConnections()

## leaked connections
try(for (n in 1:200) file(tempfile(), "w"), silent = TRUE)
undo:
gc()

## input read
c(readLines(stdin()), readLines(file("stdin")), scan("", quiet = TRUE), readline())

## sinks
for (n in 1:5) sink(tempfile())
sink(file(tempfile(), "w"), type = "message")

## a full stack of sinks
try(for (n in 1:100) sink(tempfile()), silent = TRUE)
undo:
closeAllConnections()

## a limit of time
setTimeLimit(elapsed = 0.001)

## a limit of processor time
setTimeLimit(cpu = 0.001)

## a limit of time for the session
setSessionTimeLimit(elapsed = 0.001)

## an error option
options(error = quote(quit("no", 9)))
undo:
options(error = expression(NULL))

## no error option
options(error = NULL)
undo:
options(error = expression(NULL))

## warnings as errors
options(warn = 2)
undo:
options(warn = 0)

## a warning expression
options(warning.expression = quote(stop("w")))
undo:
options(warning.expression = NULL)

## few expressions
options(expressions = 25)

## odd numbers
options(OutDec = ",", digits = 1, scipen = -100, digits.secs = 6)
undo:
options(OutDec = ".", digits = 7, scipen = 0, digits.secs = NULL)

## an odd encoding
options(encoding = "UTF-16")
undo:
options(encoding = "native.enc")

## sources kept
options(keep.source = TRUE)
undo:
options(keep.source = FALSE)

## all checks
options(warnPartialMatchArgs = TRUE, warnPartialMatchDollar = TRUE, check.bounds = TRUE, warn = 2)
undo:
options(warnPartialMatchArgs = FALSE, warnPartialMatchDollar = FALSE, check.bounds = FALSE, warn = 0)

## debugged functions
for (f in c("serialize", "unserialize", "assign", "exists", "eval")) debug(f)
undo:
for (f in c("serialize", "unserialize", "assign", "exists", "eval")) undebug(f)

## masked names
names <- c("c", "list", "serialize", "unserialize", "tryCatch", "stop", "eval", "names", "[[", "cat")
names <- c(names, "conditionMessage.simpleError", "format.integer", "as.character.integer", "length.raw", "reach")
for (f in names) assign(f, function(...) base::stop("masked"), envir = globalenv())
base::assign("T", FALSE, envir = base::globalenv())
base::assign("F", TRUE, envir = base::globalenv())
undo:
base::rm(list = base::ls(envir = base::globalenv()), envir = base::globalenv())

## masks attached
attach(list(c = function(...) stop("c"), serialize = function(...) stop("s"), is.raw = 7), name = "mask")
undo:
detach("mask")

## things detached
try(detach("package:base"), silent = TRUE)
detach("package:utils")
detach("package:methods")
undo:
library(methods)
library(utils)

## nothing in the global environment
x <<- 1
rm(list = ls(all.names = TRUE, envir = globalenv()), envir = globalenv())

## its own environment locked
y <- 1
lockBinding("y", environment())
lockEnvironment(environment())

## another locale
Sys.setlocale("LC_ALL", "C")
undo:
Sys.setlocale("LC_ALL", "C.UTF-8")

## a directory that is gone
setwd(tempdir())
dir.create("d")
setwd("d")
unlink(getwd(), TRUE)
undo:
setwd("/")

## another generator
RNGkind("Wichmann-Hill")
undo:
RNGkind("default", "default", "default")

## no seed
runif(1)
rm(".Random.seed", envir = globalenv())

## finalizers that fail
for (n in 1:20) reg.finalizer(new.env(), function(e) stop("finalizer"), onexit = TRUE)
gc()

## a finalizer that jumps
reg.finalizer(new.env(), function(e) invokeRestart("abort"))
gc()

## gctorture
gctorture(TRUE)

## on.exit at top level
on.exit(stop("on exit"))

## on.exit of our own functions
for (n in 1:10) do.call("on.exit", list(quote(cat("on exit\n"))), envir = sys.frame(n))
sys.on.exit()

## suspended interrupts
.Internal(interruptsSuspended(TRUE))

## the profiler
Rprof(tempfile(), interval = 0.001)
undo:
Rprof(NULL)

## a task callback
addTaskCallback(function(...) stop("callback"))
undo:
removeTaskCallback(1)

## a browser
browser()

## no compiler
compiler::enableJIT(0)
undo:
compiler::enableJIT(3)
