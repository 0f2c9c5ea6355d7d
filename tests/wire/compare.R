# Are two R values the same? Reads file names on stdin; per file one line per expected message and
# one per message that nobody expected, then "END".
# Base R only, so that it runs wherever R does, whatever the workers had attached.
#
# FILE: expected messages, each as three parts: job, bytes, R code for the value of an iteration (empty: as in the
# bytes); a part of length -1; published messages, each as two parts: job, bytes. A part is a big-endian int32
# length and that many bytes. Messages belong together if job and names of iterations are equal.
# Line: job, iterations and a verdict, with tabs in between. The verdict is "same", or what differs and where.

short <- function(x) {
  text <- tryCatch(paste(deparse(x, nlines = 3), collapse = " "), error = conditionMessage)
  substr(gsub("[\n\t]", " ", text[[1]]), 1, 160)
}

differ <- function(where, what, a, b) {
  stop(structure(class = c("difference", "condition"), list(
    message = paste0(where, ": ", what, ": expected ", short(a), ", got ", short(b)), call = NULL)))
}

# identical() as strict as it gets, except for what two R processes can never share: the identity of environments.
alike <- function(a, b) {
  identical(a, b, num.eq = FALSE, single.NA = TRUE, attrib.as.set = TRUE,
            ignore.bytecode = TRUE, ignore.environment = TRUE, ignore.srcref = TRUE)
}

# The call of an error that the body raises at its top level is the one by which the worker evaluated it: a matter
# of the worker's inner build. It is recognized by R's worker's own global or by a function that has no name.
is_inner_call <- function(call) {
  is.call(call) && (".doRedisGlobals" %in% all.names(call) || is.call(call[[1]]))
}

fixed_environment <- function(e) {
  identical(e, globalenv()) || identical(e, baseenv()) || identical(e, emptyenv()) || isNamespace(e) ||
    !is.null(attr(e, "name", exact = TRUE))
}

dots_of <- function(e) tryCatch(eval(quote(list(...)), e), error = function(err) NULL)

same_environment <- function(a, b, where, seen) {
  if (fixed_environment(a) || fixed_environment(b)) {
    if (!identical(a, b)) differ(where, "environment", a, b)
    return(invisible())
  }
  # Environments refer to themselves: a pair that is being compared counts as the same.
  for (pair in seen$pairs) if (identical(pair[[1]], a) && identical(pair[[2]], b)) return(invisible())
  seen$pairs <- c(seen$pairs, list(list(a, b)))
  names_a <- ls(a, all.names = TRUE)
  names_b <- ls(b, all.names = TRUE)
  if (!identical(names_a, names_b)) differ(where, "names in environment", names_a, names_b)
  for (name in setdiff(names_a, "...")) same(a[[name]], b[[name]], paste0(where, "$", name), seen)
  if ("..." %in% names_a) same(dots_of(a), dots_of(b), paste0(where, "$..."), seen)
  same(attributes(a), attributes(b), paste0("attributes of ", where), seen)
  same_environment(parent.env(a), parent.env(b), paste0("parent of ", where), seen)
}

same_parts <- function(a, b, where, seen) {
  if (length(a) != length(b)) differ(where, "length", length(a), length(b))
  labels <- names(a)
  for (k in seq_along(a)) {
    label <- if (!is.null(labels) && nzchar(labels[[k]])) paste0("$", labels[[k]]) else paste0("[[", k, "]]")
    inner <- inherits(a, "condition") && identical(label, "$call") && is_inner_call(a[[k]])
    if (inner && (is.null(b[[k]]) || is.call(b[[k]]))) next
    # The empty symbol (a missing argument) can be compared but not passed on.
    if (identical(a[[k]], quote(expr = )) || identical(b[[k]], quote(expr = ))) {
      if (!identical(a[[k]], b[[k]])) differ(where, "argument", "present or missing", "the other")
      next
    }
    same(a[[k]], b[[k]], paste0(where, label), seen)
  }
}

# The same for what releases of R make in their own ways: NA among complex numbers (4.4) and POSIXlt (4.3).
of_any_r <- function(x) {
  if (is.complex(x)) x[is.na(x) & !is.nan(x)] <- NA_complex_
  if (inherits(x, "POSIXlt")) as.POSIXct(x) else x
}

same <- function(a, b, where, seen) {
  a <- of_any_r(a)
  b <- of_any_r(b)
  if (typeof(a) != typeof(b)) differ(where, "type", typeof(a), typeof(b))
  if (isS4(a) != isS4(b)) differ(where, "S4 bit", isS4(a), isS4(b))
  if (is.environment(a)) return(same_environment(a, b, where, seen))
  if (typeof(a) == "closure") {
    same(as.list(formals(a)), as.list(formals(b)), paste0("formals of ", where), seen)
    if (!alike(body(a), body(b))) differ(where, "body", body(a), body(b))
    same_environment(environment(a), environment(b), paste0("environment of ", where), seen)
  } else if (is.list(a) || is.pairlist(a) || is.language(a) && !is.symbol(a)) {
    plain <- function(x) if (is.expression(x) || is.list(x)) unclass(x) else as.list(x)
    if (is.pairlist(a) && !is.null(a)) same(names(a), names(b), paste0("names of ", where), seen)
    same_parts(if (inherits(a, "condition")) a else plain(a), plain(b), where, seen)
  } else if (!alike(a, b)) {
    differ(where, "value", a, b)
  } else if (is.character(a) && !identical(Encoding(a), Encoding(b))) {
    differ(where, "encoding", Encoding(a), Encoding(b))
  }
  ours <- attributes(a)
  theirs <- attributes(b)
  keep <- function(x) x[setdiff(sort(names(x)), c("srcref", "srcfile", "wholeSrcref"))]
  if (length(keep(ours)) || length(keep(theirs))) {
    if (!identical(names(keep(ours)), names(keep(theirs)))) {
      differ(where, "attributes", names(ours), names(theirs))
    }
    for (name in names(keep(ours))) same(ours[[name]], theirs[[name]], paste0(where, "@", name), seen)
  }
  invisible()
}

read_message <- function(bytes) tryCatch(unserialize(bytes), error = function(e) e)

block <- function(job, value) {
  names <- if (is.list(value) && !inherits(value, "error")) paste(names(value), collapse = ",") else "unreadable"
  paste(job, names, sep = "\t")
}

verdict <- function(wanted, value, code) {
  if (nzchar(code)) {
    make <- eval(parse(text = code), new.env(parent = globalenv()))
    wanted <- lapply(stats::setNames(nm = names(wanted)), function(n) make(as.integer(n)))
  }
  seen <- new.env()
  seen$pairs <- list()
  tryCatch({
    same(wanted, value, "result", seen)
    "same"
  }, difference = conditionMessage, error = function(e) paste("cannot compare:", conditionMessage(e)))
}

part <- function(input) {
  size <- readBin(input, "integer", 1, endian = "big")
  if (length(size) && size >= 0) readBin(input, "raw", size)
}

answer <- function(input) {
  expected <- list()
  while (!is.null(job <- part(input))) {
    expected[[length(expected) + 1]] <- list(job = rawToChar(job), value = unserialize(part(input)),
                                             code = rawToChar(part(input)))
  }
  got <- list()
  while (!is.null(job <- part(input))) {
    value <- read_message(part(input))
    # In a list, since a NULL would vanish on assignment.
    got[[length(got) + 1]] <- list(block = block(rawToChar(job), value), value = value)
  }
  blocks <- vapply(got, function(g) g$block, "")
  used <- rep(FALSE, length(got))
  for (e in expected) {
    name <- block(e$job, e$value)
    k <- which(blocks == name & !used)
    text <- if (length(k)) verdict(e$value, got[[k[[1]]]]$value, e$code) else "not answered"
    if (length(k)) used[[k[[1]]]] <- TRUE
    cat(name, "\t", gsub("[\n\t]", " ", text), "\n", sep = "")
  }
  for (k in which(!used)) cat(blocks[[k]], "\tnot expected: ", short(got[[k]]$value), "\n", sep = "")
  cat("END\n")
}

requests <- file("stdin", "r")
while (length(name <- readLines(requests, 1))) {
  input <- file(name, "rb")
  answer(input)
  close(input)
}
