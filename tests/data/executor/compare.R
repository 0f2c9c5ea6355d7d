# Rscript compare.R FOLDER: every FOLDER/<case>/ holds expected-*.bin and actual-*.bin, result messages of the tasks
# of a job. Prints "<case> <iteration>" and the two values for each iteration whose value is not the same.

messages <- function(folder, kind) {
  files <- sort(list.files(folder, paste0("^", kind, "-"), full.names = TRUE))
  values <- do.call(c, lapply(files, function(f) unserialize(readBin(f, "raw", file.size(f)))))
  values[order(as.integer(names(values)))]
}

# The same for what releases of R make in their own ways: NA among complex numbers (4.4) and POSIXlt (4.3).
of_any_r <- function(x) {
  if (is.complex(x)) x[is.na(x) & !is.nan(x)] <- NA_complex_
  if (inherits(x, "POSIXlt")) as.POSIXct(x) else x
}

# Environments are the same if their contents are; R compares addresses.
plain <- function(x, seen = list()) {
  if (is.environment(x)) {
    if (identical(x, globalenv()) || isNamespace(x) || any(vapply(seen, identical, NA, x))) return("environment")
    seen <- c(seen, list(x))
    content <- as.list(x, all.names = TRUE, sorted = TRUE)
    return(list("environment", lapply(content, plain, seen)))
  }
  x <- of_any_r(x)
  if (is.list(x) && !is.pairlist(x)) {
    kept <- attributes(x)
    x <- lapply(unclass(x), plain, seen)
    attributes(x) <- kept
  }
  if (is.environment(attr(x, ".Environment"))) attr(x, ".Environment") <- plain(attr(x, ".Environment"), seen)
  x
}

same <- function(a, b) {
  identical(plain(a), plain(b), ignore.bytecode = TRUE, ignore.environment = TRUE, ignore.srcref = TRUE)
}

for (folder in list.dirs(commandArgs(TRUE)[1L], recursive = FALSE)) {
  expected <- messages(folder, "expected")
  actual <- messages(folder, "actual")
  if (!identical(names(expected), names(actual))) {
    cat(basename(folder), "names", names(expected), "|", names(actual), "\n")
  } else {
    for (i in names(expected)) if (!same(expected[[i]], actual[[i]])) {
      cat(basename(folder), i, "\n")
      str(expected[[i]])
      str(actual[[i]])
    }
  }
}
