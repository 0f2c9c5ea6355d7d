# What bodies find of doRedis on a worker: redisGet, redisSet, redisDelete and logger, with the values and errors of
# doRedis 3.0.2 (found by experiment). An executor has no connection to Redis: its agent answers.
#
# Sourced into the same environment as evaluate.R. The host provides `ask`: the body of a REQUEST frame in,
# list(status byte, value) out.

# The functions, defined in `place`: a value that holds one of them carries `place` along, and nothing else.
make_doredis <- function(place, ask) {
  place$.ask <- ask
  functions <- list(
    .request = function(operation, key, value = raw()) {
      if (length(value) > 536870912) stop("the value is larger than Redis takes", call. = FALSE)
      key <- charToRaw(as.character(key))
      reply <- .ask(c(charToRaw(operation), writeBin(length(key), raw(), endian = "little"), key, value))
      status <- rawToChar(reply[[1L]])
      if (status == "-") {
        text <- rawToChar(reply[[2L]])
        Encoding(text) <- "UTF-8"
        stop(text, call. = FALSE)
      }
      if (status == "0") NULL else reply[[2L]]
    },
    redisGet = function(key) {
      if (length(key) != 1L) stop("key must be a scalar", call. = FALSE)
      x <- .request("G", key)
      if (is.null(x)) return(NULL)
      # redux takes what holds no NUL for text, unless it begins like a serialization.
      binary <- length(x) > 1L && (x[1L] == 0x58 || x[1L] == 0x42) && x[2L] == 0x0a || any(x == as.raw(0L))
      if (binary) unserialize(x) else rawToChar(x)
    },
    redisSet = function(key, val) {
      if (length(key) != 1L) stop("key must be a scalar", call. = FALSE)
      .request("S", key, serialize(val, NULL))
      structure("OK", class = "redis_status")
    },
    redisDelete = function(key) {
      removed <- 0L
      for (k in key) {
        reply <- .request("D", k)
        removed <- removed + if (length(reply)) as.integer(rawToChar(reply)) else 1L
      }
      removed
    },
    logger = function(msg) {
      line <- paste("@", format(Sys.time(), "%Y-%m-%d %H:%M:%S"), Sys.info()[["nodename"]], Sys.getpid(), msg)
      cat(line, "\n", file = stderr())
      line
    }
  )
  for (name in names(functions)) {
    environment(functions[[name]]) <- place
    assign(name, functions[[name]], envir = place)
  }
  functions[-1L]
}

# The search path of a redisWorker: doRedis and what it depends on. It is not loaded before somebody uses more of it
# than the functions that are ours, since that takes 0.2 s.
attach_doredis <- function(ask) {
  attach_quietly("foreach")
  attach_quietly("iterators")
  path <- find.package("doRedis", quiet = TRUE)
  if (!length(path)) return(register_doredis(ask))
  # Its own functions would need its own connection.
  functions <- make_doredis(new.env(parent = .BaseNamespaceEnv), ask)
  if (isNamespaceLoaded("doRedis")) replace_doredis(functions)
  setHook(packageEvent("doRedis", "onLoad"), function(...) replace_doredis(functions), action = "append")
  if ("package:doRedis" %in% search()) return(NULL)  # a profile has attached it
  tryCatch(attach_unloaded(path[1L], functions), error = function(e) attach_quietly("doRedis"))
}

attach_quietly <- function(package) {
  if (length(find.package(package, quiet = TRUE))) {
    tryCatch(suppressPackageStartupMessages(library(package, character.only = TRUE)), error = print_error)
  }
}

# What library() attaches, with promises in place of the functions that are not ours.
attach_unloaded <- function(path, functions) {
  info <- readRDS(file.path(path, "Meta", "nsInfo.rds"))
  if (length(info$exportPatterns)) stop("only the loaded package knows what it exports")
  others <- setdiff(info$exports, names(functions))
  place <- attach_functions(functions)
  for (name in others) {
    do.call("delayedAssign", list(name, call("getExportedValue", "doRedis", name), baseenv(), place))
  }
  attr(place, "path") <- path
  lockEnvironment(place, TRUE)
}

attach_functions <- function(functions) {
  get("attach", envir = baseenv())(functions, name = "package:doRedis", warn.conflicts = FALSE)
}

replace_doredis <- function(functions) {
  places <- list(asNamespace("doRedis"))
  if ("package:doRedis" %in% search()) places <- c(places, list(as.environment("package:doRedis")))
  for (place in places) for (name in names(functions)) {
    if (exists(name, envir = place, inherits = FALSE)) {
      locked <- bindingIsLocked(name, place)
      if (locked) get("unlockBinding", envir = baseenv())(name, place)
      assign(name, functions[[name]], envir = place)
      if (locked) lockBinding(name, place)
    }
  }
}

# Where doRedis is not installed: job environments may refer to its namespace (a loop in a function with dots
# does), and bodies may say doRedis::redisGet() or library(doRedis).
register_doredis <- function(ask) {
  namespace <- new.env(hash = TRUE, parent = .BaseNamespaceEnv)
  functions <- make_doredis(namespace, ask)
  info <- new.env(hash = TRUE, parent = baseenv())
  assign(".__NAMESPACE__.", info, envir = namespace)
  exports <- new.env(hash = TRUE, parent = baseenv())
  for (name in names(functions)) {
    assign(name, structure(name, names = name), envir = exports)
  }
  info$spec <- c(name = "doRedis", version = "3.0.2")
  info$exports <- exports
  info$imports <- list(base = TRUE)
  info$dynlibs <- NULL
  info$S3methods <- matrix(NA_character_, 0L, 4L)
  info$path <- ""
  .Internal(registerNamespace("doRedis", namespace))
  # library("doRedis") has nothing to do once this name is on the search path.
  attach_functions(functions)
}
