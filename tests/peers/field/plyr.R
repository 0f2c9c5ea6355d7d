# Split, apply, combine: plyr's `.parallel` is a foreach with `.paropts`.
suppressMessages(library(plyr))

weights <- within(data.frame(ChickWeight), { Chick <- as.character(Chick); Diet <- factor(Diet) })
slope <- function(part) c(slope = unname(coef(lm(weight ~ Time, part))[2]), n = nrow(part))
double_it <- function(x) 2 * x

programs$llply_of_a_list <- function() llply(split(mtcars$mpg, mtcars$cyl), summary, .parallel = TRUE)
programs$laply_to_a_matrix <- function() laply(1:6, function(k) c(k, k^2), .parallel = TRUE)
programs$ldply_to_a_frame <- function() ldply(c(a = 1, b = 2, c = 3), function(x) data.frame(x, y = x / 3), .parallel = TRUE)
programs$l_ply_gives_nothing <- function() l_ply(1:4, identity, .parallel = TRUE)
# Arguments passed on through `...` are lost on any worker of doRedis.
with_doredis$ddply_by_two <- function() ddply(warpbreaks, .(wool, tension), summarise, mean = mean(breaks), sd = sd(breaks), .parallel = TRUE)
programs$ddply_models <- function() ddply(weights, .(Diet), slope, .parallel = TRUE)
programs$dlply_models <- function() lapply(dlply(weights, .(Diet), function(part) lm(weight ~ Time, part), .parallel = TRUE), coef)
programs$daply_to_an_array <- function() daply(warpbreaks, .(wool, tension), function(part) median(part$breaks), .parallel = TRUE)
programs$aaply_of_rows <- function() aaply(as.matrix(head(mtcars, 6)), 1, range, .parallel = TRUE)
programs$adply_of_an_array <- function() adply(iris3[1:5, , ], c(2, 3), mean, .parallel = TRUE)
programs$mlply_of_arguments <- function() mlply(data.frame(n = 1:4, mean = 4:1), function(n, mean) n * mean, .parallel = TRUE)
programs$mdply_of_arguments <- function() mdply(expand.grid(a = 1:3, b = 1:2), function(a, b) a^b, .parallel = TRUE)
# An export is beside the closure, which does not look there.
triple <- 3
with_doredis$what_paropts_export <- function() {
  llply(1:4, function(k) triple * double_it(k), .parallel = TRUE, .paropts = list(.export = c("triple", "double_it")))
}
programs$what_a_closure_has <- function() {
  by <- 3
  llply(1:4, function(k) by * k, .parallel = TRUE)
}
with_doredis$an_export_that_is_not_there <- function() {
  local_factor <- 3
  llply(1:4, function(k) local_factor * k, .parallel = TRUE, .paropts = list(.export = "local_factor"))
}
programs$what_paropts_attach <- function() {
  laply(1:4, function(k) length(bs(seq_len(10 + k), df = 4)), .parallel = TRUE, .paropts = list(.packages = "splines"))
}
with_doredis$rows_of_data_made_in_place <- function() {
  ddply(data.frame(g = rep(letters[1:4], each = 3), x = 1:12), "g", transform, share = x / sum(x), .parallel = TRUE)
}
programs$missing_groups_and_values <- function() {
  ddply(airquality, "Month", function(part) colMeans(part[1:4], na.rm = TRUE), .parallel = TRUE)
}
programs$an_error_names_its_cause <- function() {
  tryCatch(llply(1:3, function(k) if (k == 2) stop("no ", k) else k, .parallel = TRUE), error = function(e) {
    grepl("no 2", conditionMessage(e), fixed = TRUE)
  })
}
with_doredis$random_numbers <- function() laply(1:5, function(k) rnorm(2), .parallel = TRUE)
