# Evaluates expressions, and writes their values by R's serialize() with a description of each. See record.py.
# Usage: Rscript --vanilla record.R EXPRESSIONS FORMS FOLDER; base R only, in a UTF-8 locale.
#
# EXPRESSIONS: `name <- expression`, one after the other.
# FORMS: lines of name <TAB> version <TAB> form (xdr, native-le, ascii, asciihex) <TAB> file.
# FOLDER: where the files go; beside them `items`, a line of JSON for each expression that has forms, and `version`.
#
# A description is made by walking the value as R shows it to programs in R. There is none of a value with a part that
# these cannot see as it is (promises, pointers, S4 objects, references to sources): walk() leaves by stop().

json_text <- function(x) {
  x <- gsub("\\", "\\\\", enc2utf8(x), fixed = TRUE)
  x <- gsub("\"", "\\\"", x, fixed = TRUE)
  for (code in 1:31) x <- gsub(intToUtf8(code), sprintf("\\u%04x", code), x, fixed = TRUE)
  paste0("\"", x, "\"")
}
json_list <- function(items) paste0("[", paste(unlist(items), collapse = ", "), "]")
json_object <- function(...) {
  parts <- Filter(Negate(is.null), list(...))
  paste0("{", paste0("\"", names(parts), "\": ", unlist(parts), collapse = ", "), "}")
}
json_flag <- function(x) ifelse(is.na(x), "null", ifelse(x, "true", "false"))

hex <- function(bytes) paste(as.character(bytes), collapse = "")
bits <- function(x) {
  digits <- as.character(writeBin(as.double(x), raw(), endian = "big"))
  if (length(x)) json_list(paste0("\"", apply(matrix(digits, 8), 2, paste, collapse = ""), "\"")) else "[]"
}
text <- function(x) {
  if (is.na(x)) return("null")
  if (Encoding(x) %in% c("latin1", "bytes")) {
    return(json_object(enc = json_text(Encoding(x)), hex = json_text(hex(charToRaw(x)))))
  }
  json_text(x)
}
no_description <- function() stop("no description")

# Whatever a call, a list or an environment has in it may be the empty symbol, which no variable of ours can hold.
is_empty_symbol <- function(x) identical(x, quote(expr = ))
EMPTY <- json_object(t = "\"symbol\"", name = "\"\"")

walker <- function() {
  known <- list()

  walk <- function(x) {
    if (is_empty_symbol(x)) return(EMPTY)
    if (isS4(x)) no_description()
    kind <- typeof(x)
    if (kind == "environment") return(walk_environment(x))
    # As a list: a class of its own may say what length() and `[[` are.
    plain <- if (is.object(x)) unclass(x) else x
    body <- switch(kind,
      "NULL" = list(),
      logical = list(v = json_list(json_flag(plain))),
      integer = list(v = json_list(ifelse(is.na(plain), "null", format(plain, scientific = FALSE, trim = TRUE)))),
      double = list(bits = bits(plain)),
      complex = list(rebits = bits(Re(plain)), imbits = bits(Im(plain))),
      character = list(v = json_list(vapply(plain, text, "", USE.NAMES = FALSE))),
      raw = list(hex = json_text(hex(plain))),
      symbol = list(name = json_text(as.character(x))),
      builtin = , special = list(name = json_text(sub('.*"(.*)".*', "\\1", deparse(x)))),
      list = , expression = list(v = json_list(lapply(seq_along(plain), function(i) walk(plain[[i]])))),
      pairlist = , language = list(v = walk_cells(plain)),
      closure = list(formals = walk(formals(x)), body = walk(body(x)), env = walk(environment(x))),
      no_description()
    )
    do.call(json_object, c(list(t = json_text(kind)), body, list(attr = walk_attributes(x))))
  }

  walk_cells <- function(cells) {
    tags <- names(cells)
    items <- as.list(cells)
    json_list(lapply(seq_along(items), function(i) {
      tag <- if (is.null(tags) || tags[[i]] == "") "null" else json_text(tags[[i]])
      json_object(tag = tag, value = walk(items[[i]]))
    }))
  }

  walk_attributes <- function(x) {
    # The names of a pairlist are its tags.
    found <- attributes(if (typeof(x) %in% c("pairlist", "language")) `names<-`(x, NULL) else x)
    if ("srcref" %in% names(found)) no_description()
    if (is.null(found)) return(NULL)
    if (is.data.frame(x)) found[["row.names"]] <- .row_names_info(x, 0L)
    json_list(lapply(names(found), function(name) json_list(list(json_text(name), walk(found[[name]])))))
  }

  walk_environment <- function(e) {
    for (i in seq_along(known)) if (identical(known[[i]], e)) return(json_object(t = "\"environment\"", ref = i))
    id <- length(known) + 1L
    known[[id]] <<- e
    named <- function(kind, name = NULL, ...) {
      json_object(t = "\"environment\"", id = id, kind = json_text(kind), name = name, ...)
    }
    if (identical(e, globalenv())) return(named("global"))
    if (identical(e, emptyenv())) return(named("empty"))
    if (identical(e, baseenv())) return(named("base"))
    if (isNamespace(e)) return(named("namespace", json_text(getNamespaceName(e))))
    if (startsWith(environmentName(e), "package:") || !is.null(attr(e, "path"))) {
      return(named("package", json_text(attr(e, "name"))))
    }
    variables <- sort(ls(e, all.names = TRUE), method = "radix")
    is_active <- vapply(variables, bindingIsActive, NA, env = e)
    is_locked <- vapply(variables, bindingIsLocked, NA, env = e)
    values <- as.list.environment(e, all.names = TRUE)
    inner <- lapply(variables[!is_active], function(name) {
      if (is_empty_symbol(values[[name]])) return(EMPTY)
      # What is no promise stands for itself.
      shown <- eval(call("substitute", as.name(name), e))
      if (name == "..." || !identical(shown, values[[name]])) no_description()
      walk(values[[name]])
    })
    contents <- if (length(inner)) paste0(json_text(variables[!is_active]), ": ", unlist(inner), collapse = ", ")
    attributes_there <- walk_attributes(e)
    named("local",
      vars = paste0("{", contents, "}"),
      active = if (any(is_active)) json_list(json_text(variables[is_active])),
      locked = if (environmentIsLocked(e)) "true",
      locked_bindings = if (any(is_locked)) json_list(json_text(variables[is_locked])),
      parent = walk(parent.env(e)),
      attr = attributes_there
    )
  }
  walk
}

description <- function(x) tryCatch(walker()(x), error = function(e) NULL)

main <- function(expressions, forms, folder) {
  parsed <- parse(expressions, keep.source = TRUE, encoding = "UTF-8")
  sources <- vapply(attr(parsed, "srcref"), function(one) paste(as.character(one), collapse = "\n"), "")
  forms <- read.delim(forms, header = FALSE, col.names = c("name", "version", "form", "file"), quote = "")
  items <- file(file.path(folder, "items"), "wb")
  for (i in seq_along(parsed)) {
    name <- as.character(parsed[[i]][[2]])
    wanted <- forms[forms$name == name, ]
    if (nrow(wanted) == 0) next
    code <- sub("^[^<]*<- ", "", sources[[i]])
    value <- tryCatch(
      eval(parse(text = code, keep.source = FALSE, encoding = "UTF-8"), globalenv()),
      error = function(e) structure(list(conditionMessage(e)), class = "not here")
    )
    if (inherits(value, "not here")) {
      message(name, ": not with this R: ", value[[1]])
      next
    }
    for (j in seq_len(nrow(wanted))) {
      form <- wanted$form[[j]]
      ascii <- switch(form, ascii = TRUE, asciihex = NA, FALSE)
      bytes <- serialize(value, NULL, ascii = ascii, xdr = form != "native-le", version = wanted$version[[j]])
      writeBin(bytes, file.path(folder, wanted$file[[j]]))
    }
    line <- json_object(name = json_text(name), expr = json_text(code), expected = description(value))
    writeBin(c(charToRaw(line), as.raw(10L)), items)
  }
  close(items)
  writeLines(as.character(getRversion()), file.path(folder, "version"))
}

do.call(main, as.list(commandArgs(TRUE)))
