# Forests grown in parts and put together.
suppressMessages(library(randomForest))

programs$a_forest_in_parts <- function() {
  forest <- foreach(part = 1:4, .combine = combine, .packages = "randomForest") %dopar% {
    set.seed(part)
    randomForest(Species ~ ., iris, ntree = 15)
  }
  list(forest$ntree, forest$importance, predict(forest, iris[c(1, 60, 110), ], type = "vote"))
}
programs$a_regression_in_parts_at_once <- function() {
  forest <- foreach(trees = rep(10, 3), part = 1:3, .combine = combine, .multicombine = TRUE, .packages = "randomForest") %dopar% {
    set.seed(part)
    randomForest(mpg ~ ., mtcars, ntree = trees)
  }
  predict(forest, mtcars)
}
programs$errors_by_mtry <- function() {
  foreach(mtry = 1:4, .combine = rbind, .packages = "randomForest") %dopar% {
    set.seed(mtry)
    c(mtry, tail(randomForest(Species ~ ., iris, mtry = mtry, ntree = 20)$err.rate[, "OOB"], 1))
  }
}
programs$predictions_of_an_exported_forest <- function() {
  set.seed(5)
  forest <- randomForest(Species ~ ., iris, ntree = 20)
  foreach(rows = split(1:150, rep(1:5, 30)), .combine = c, .packages = "randomForest") %dopar% as.character(predict(forest, iris[rows, ]))
}
with_doredis$the_seeds_of_the_workers <- function() {
  foreach(part = 1:3, .packages = "randomForest") %dopar% randomForest(Species ~ ., iris, ntree = 5)$importance
}
