# R's side of rinterop.runtime.session, in an environment of its own. Python provides three functions, raw
# vector in, raw vector out: call_python(request), retain(id), release(id).
#
# Python calls evaluate(), parse_text(), pack() and unpack().

# A value as bytes. Native byte order, which R writes faster. What stands for a Python object keeps its name.
pack <- function(value) serialize(value, NULL, xdr = FALSE, refhook = name_of)

unpack <- function(data) unserialize(data, refhook = meaning_of)

name_of <- function(x) if (inherits(x, "python_object")) c("rinterop", get("id", envir = x, inherits = FALSE))

meaning_of <- function(name) {
  if (length(name) != 2L || !(name[1L] %in% c("rinterop", "rinterop.function"))) {
    stop("an object by the name of ", paste(name, collapse = " "), ", which means nothing here")
  }
  object <- new.env(parent = topenv_of_session)
  object$id <- name[2L]
  if (!length(retain(charToRaw(name[2L])))) stop("Python object ", name[2L], " is gone")
  reg.finalizer(object, forget)
  class(object) <- "python_object"
  if (name[1L] == "rinterop") return(object)
  f <- function(...) {
    arguments <- list(...)
    ask_python(id, arguments)
  }
  environment(f) <- object
  f
}

forget <- function(object) release(charToRaw(object$id))

topenv_of_session <- environment()

ask_python <- function(id, arguments) {
  answer <- unpack(call_python(pack(list(id, arguments))))
  if (length(answer) == 1L) return(answer[[1L]])
  if (!length(answer)) invokeRestart("abort")  # KeyboardInterrupt and the like: out of all of R
  stop(structure(class = c("python_error", "error", "condition"),
                 list(message = answer$message, call = sys.call(-1L), type = answer$type,
                      exception = answer$exception)))
}

# Evaluates list(code, frame): code is an expression, an expression vector, or with text = TRUE a source text.
# The vectors, if any, are arguments of the call `code` at `places`: too big to travel as bytes.
#
# Returns the value as bytes, or list(bytes or NULL, vector, report as bytes or NULL): a big plain vector is
# given as it is, and a report says what went wrong.
evaluate <- function(data, vectors = NULL, places = NULL, text = FALSE) {
  warned <- list()
  calls <- NULL
  tryCatch(
    withCallingHandlers({
      request <- unpack(data)
      code <- request[[1L]]
      if (text) code <- parse(text = code, keep.source = FALSE, encoding = "UTF-8")
      if (length(vectors)) code <- with_vectors(code, vectors, places)
      value <- run(code, frame_of(request[[2L]]))
      told <- if (length(warned)) report(warned)
      if (is_big(value)) list(NULL, value, told)
      else if (is.null(told)) pack(value)
      else list(pack(value), NULL, told)
    },
    warning = function(w) {
      level <- getOption("warn")
      if (level >= 2L) return(NULL)  # R makes it an error
      if (level >= 0L) warned[[length(warned) + 1L]] <<- w
      invokeRestart("muffleWarning")
    },
    error = function(e) calls <<- user_calls(),
    interrupt = function(i) stop(structure(class = c("rinterop_interrupt", "error", "condition"),
                                           list(message = "interrupted", call = NULL)))),
    error = function(e) list(NULL, NULL, report(warned, e, calls)))
}

# By way of a list: assigning to an element of a call copies what is assigned.
with_vectors <- function(code, vectors, places) {
  parts <- as.list(code)
  parts[places] <- vectors
  as.call(parts)
}

run <- function(code, frame) {
  if (!is.expression(code)) return(eval(code, frame))
  value <- NULL
  for (part in code) value <- eval(part, frame)
  value
}

frame_of <- function(frame) {
  if (is.null(frame)) globalenv() else if (is.environment(frame)) frame else list2env(frame, parent = globalenv())
}

# Whether a vector is worth moving as memory: long, of numbers, without attributes but dim. Python looks again.
is_big <- function(value) {
  if (is.object(value) || length(value) < 8192L || !is.atomic(value) || is.character(value)) return(FALSE)
  shape <- attributes(value)
  is.null(shape) || identical(names(shape), "dim")
}

report <- function(warned, error = NULL, calls = NULL) {
  pack(list(warnings = lapply(warned, condition_report), error = if (!is.null(error)) condition_report(error),
            calls = calls))
}

condition_report <- function(condition) {
  call <- tryCatch(conditionCall(condition), error = function(e) NULL)
  list(message = tryCatch(enc2utf8(as.character(conditionMessage(condition))[1L]), error = function(e) ""),
       call = if (!is.null(call)) one_line(call),
       condition = condition)
}

# The calls between run() and the handler of an error: without eval()'s own, and R's way into the handler.
user_calls <- function() {
  calls <- sys.calls()
  last <- length(calls) - 2L  # user_calls() and the handler
  if (last > 0L && identical(calls[[last]][[1L]], quote(.handleSimpleError))) last <- last - 1L
  first <- last
  while (first > 0L && !identical(sys.function(first), run)) {
    if (identical(sys.function(first), ask_python)) last <- first - 1L  # the error of a Python function
    first <- first - 1L
  }
  if (first == 0L || first + 3L > last) return(character())
  vapply(calls[(first + 3L):last], one_line, "")
}

one_line <- function(call) {
  text <- deparse(call, 120L, nlines = 2L)
  enc2utf8(if (length(text) > 1L) paste(text[1L], "...") else text)
}
