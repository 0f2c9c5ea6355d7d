# What R sessions are like: options, objects of all sorts, and where loops get things from.

with_options <- function(..., code) {
  old <- options(...)
  on.exit(options(old))
  code
}

programs$another_decimal_sign <- function() with_options(OutDec = ",", code = foreach(x = c(0.5, 1.5, 2.5), .combine = c) %dopar% (2 * x))
programs$numbers_as_powers_of_ten <- function() with_options(scipen = -20, code = foreach(x = c(1e5, 1e6), .combine = c) %dopar% (x + 1))
programs$few_digits <- function() with_options(digits = 3, code = foreach(x = pi * 1:3, .combine = c) %dopar% x)
programs$sources_kept <- function() {
  square <- eval(parse(text = "function(x) {\n  x^2 # squared\n}", keep.source = TRUE))
  foreach(x = 1:3, .combine = c) %dopar% square(x)
}
programs$factors_and_dates <- function() {
  days <- as.POSIXct("2024-03-31 01:30", tz = "Europe/Vienna") + 3600 * 0:2
  foreach(when = days, grade = factor(c("b", NA, "a"))) %dopar% list(when, as.Date("2024-02-29"), grade, format(when, "%H:%M", tz = "UTC"))
}
programs$strings_of_all_encodings <- function() {
  latin <- "caf\xe9"
  Encoding(latin) <- "latin1"
  foreach(text = list("\u00e9t\u00e9", latin, "\U0001F600", "", NA_character_)) %dopar% list(text, nchar(text), toupper(text))
}
programs$numbers_at_the_edge <- function() {
  foreach(x = list(NA_integer_, NaN, NA_real_, -Inf, .Machine$integer.max, 5e-324, -0, 1i, as.raw(255))) %dopar% list(x, is.na(x))
}
programs$nothing_at_all <- function() list(foreach(i = 1:2) %dopar% NULL, foreach(i = integer()) %dopar% i, foreach(i = 1:2, .combine = c) %dopar% NULL)
programs$a_million_by_their_ends <- function() foreach(n = c(1, 1e6), .combine = c) %dopar% sum(seq_len(n))
programs$environments_and_closures <- function() {
  counter <- local({ n <- 10; function() n + 1 })
  shared <- new.env()
  shared$values <- 1:3
  foreach(i = 1:2) %dopar% list(counter(), sum(shared$values), i)
}
programs$an_active_binding <- function() {
  here <- new.env()
  makeActiveBinding("now", function() 42, here)
  foreach(i = 1:2, .combine = c) %dopar% (here$now + i)
}
with_doredis$reference_classes <- function() {
  Account <- setRefClass("Account", fields = list(balance = "numeric"), methods = list(pay = function(x) { balance <<- balance - x; invisible(.self) }))
  account <- Account$new(balance = 100)
  foreach(x = 1:3, .combine = c) %dopar% account$copy()$pay(x)$balance
}
programs$s4_objects_and_generics <- function() {
  setClass("Point", representation(x = "numeric", y = "numeric"), where = globalenv())
  on.exit(removeClass("Point", where = globalenv()))
  found <- foreach(k = 1:3) %dopar% {
    methods::setClass("Point", methods::representation(x = "numeric", y = "numeric"), where = globalenv())
    methods::new("Point", x = k, y = -k)@y
  }
  unlist(found)
}
programs$formulas_and_models <- function() {
  fit <- lm(mpg ~ wt, mtcars)
  foreach(power = 1:2, .combine = rbind) %dopar% coef(lm(as.formula(paste0("mpg ~ poly(wt, ", power, ")[, 1]")), mtcars)) + 0 * coef(fit)
}
programs$conditions_as_values <- function() {
  foreach(i = 1:3) %dopar% tryCatch(if (i == 2) warning("two") else i, warning = function(w) list(class(w), conditionMessage(w)))
}
programs$warnings_on_the_way <- function() foreach(x = c("1", "b"), .combine = c) %dopar% suppressWarnings(as.integer(x))
programs$loops_in_loops <- function() {
  foreach(a = 1:3, .combine = rbind) %:% when(a != 2) %:% foreach(b = 1:2, .combine = c) %dopar% (10 * a + b)
}
programs$recursion_and_dispatch <- function() {
  area <- function(shape) UseMethod("area")
  area.square <- function(shape) shape$side^2
  area.default <- function(shape) NA
  shapes <- list(structure(list(side = 3), class = "square"), 1)
  fibonacci <- function(n) if (n < 2) n else Recall(n - 1) + Recall(n - 2)
  foreach(shape = shapes, n = 8:9, .export = c("area.square", "area.default")) %dopar% list(area(shape), fibonacci(n))
}
programs$regular_expressions <- function() {
  foreach(line = c("a=1;b=22", "c=333"), .combine = c) %dopar% as.integer(regmatches(line, gregexpr("[0-9]+", line))[[1]])
}
programs$files_of_the_worker <- function() {
  foreach(k = 1:3, .combine = c) %dopar% {
    path <- tempfile()
    on.exit(unlink(path))
    saveRDS(seq_len(k), path)
    sum(readRDS(path))
  }
}
programs$a_hash_table <- function() {
  if (!exists("hashtab", asNamespace("utils"))) return(NULL)
  table <- utils::hashtab()
  table[["a"]] <- 1
  table[[c(1, 2)]] <- "two"
  # R 4.2.2 is wrong as often as not about the first key that is looked up after unserialize().
  look <- function(table) { table[["nothing"]]; list(table[["a"]], table[[c(1, 2)]]) }
  list(
    foreach(i = 1:2) %dopar% look(table),
    foreach(own = list(table, table)) %dopar% look(own),
    look((foreach(i = 1) %dopar% { made <- utils::hashtab(); made[["a"]] <- i; made })[[1]])
  )
}
with_doredis$who_counts <- function() list(getDoParWorkers() > 0, getDoParName(), getDoParRegistered())
with_doredis$seeds_by_iteration <- function() foreach(i = 1:4, .combine = rbind) %dopar% c(runif(1), rnorm(1))
with_doredis$an_error_that_stops <- function() foreach(i = 1:3) %dopar% if (i == 2) stop("no two") else i
with_doredis$errors_passed <- function() {
  lapply(foreach(i = 1:3, .errorhandling = "pass") %dopar% if (i == 2) log(-1:0 + "a") else i, function(x) if (inherits(x, "error")) conditionMessage(x) else x)
}
