# What `record.py` has a coordinator run; `queue`, `host` and `port` are set, and doRedis is attached. Its values must be
# the same on every R: that of the worker which is tested with the recording is another one.

registerDoRedis(queue, host = host, port = port)
foreach(i = 1:6, .combine = c) %dopar% sqrt(i)

# Several iterations per task, variables that are found, functions that come with their own environment.
offsets <- c(a = 10, b = 20)
make <- function(k) function(x) x * k
triple <- make(3)
compiled <- compiler::cmpfun(function(n) { s <- 0; for (k in seq_len(n)) s <- s + k^2; s })
setChunkSize(3)
foreach(i = 1:7) %dopar% list(triple(i) + offsets[["b"]], compiled(i), compiled)
setChunkSize(1)

# Arguments of many kinds come back as they are, and what was made of them.
setClass("Point", representation(x = "numeric"))
table <- utils::hashtab()
table[["key"]] <- 1:3
things <- list(
  NULL, NA, 1:3, c(1.5, NaN, NA, -Inf), 1i, c("caf\u00e9", NA), as.raw(0:2), list(a = 1, b = list("x")),
  factor(c("u", "v")), data.frame(x = 1:2, y = c("p", "q")), as.Date("2024-02-29"),
  as.POSIXct("2024-02-29 12:34:56.5", tz = "UTC"), as.POSIXlt("2024-02-29", tz = "UTC"), matrix(1:4, 2), y ~ x + 1,
  quote(f(x, y = 2, )), expression(a + b), function(x, ...) x |> sum(), sum, as.character(1:3), sort(c(3L, 1L)),
  new("Point", x = 1), pairlist(p = 1), numeric_version("1.2")
)
foreach(thing = things, n = icount(), .packages = "methods") %dopar% list(thing, class(thing), length(thing), n)
foreach(t = list(table)) %dopar% list(class(t), utils::numhash(t))

# Conditions, and the random numbers of an iteration.
foreach(i = 1:4, .errorhandling = "pass") %dopar% switch(i,
  no_such_function(i),
  stop(structure(class = c("custom", "error", "condition"), list(message = "own", call = NULL, data = 1:3))),
  simpleError("returned, not raised"),
  list(1)[["a"]])
RNGkind("L'Ecuyer-CMRG")
set.seed(1)
foreach(i = 1:4) %dopar% list(RNGkind(), runif(2), rnorm(1), sample(10, 3))
