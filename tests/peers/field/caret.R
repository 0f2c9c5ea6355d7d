# Resampling: caret has a task for each resample and set of parameters.
suppressMessages(library(caret))

seeds_for <- function(resamples, parameters) c(lapply(seq_len(resamples), function(k) k * 100 + seq_len(parameters)), 1)
control <- function(method, resamples, parameters, ...) {
  trainControl(method, seeds = seeds_for(resamples, parameters), allowParallel = TRUE, ...)
}
shown <- function(fit) list(fit$results, fit$bestTune, fit$resample[order(fit$resample$Resample), ])

programs$linear_model_by_cv <- function() shown(train(mpg ~ wt + hp, mtcars, "lm", trControl = control("cv", 5, 1, number = 5)))
programs$neighbours_by_repeated_cv <- function() {
  shown(train(Species ~ ., iris, "knn",
    tuneGrid = data.frame(k = c(3, 5, 7)), preProcess = c("center", "scale"),
    trControl = control("repeatedcv", 6, 3, number = 3, repeats = 2)
  ))
}
programs$neighbours_by_bootstrap <- function() {
  shown(train(Species ~ ., iris, "knn", tuneLength = 2, trControl = control("boot", 6, 2, number = 6)))
}
programs$leave_one_out <- function() {
  train(mpg ~ wt, head(mtcars, 10), "lm", trControl = control("LOOCV", 10, 1))$results
}
programs$class_probabilities <- function() {
  two <- droplevels(subset(iris, Species != "setosa"))
  fit <- train(Species ~ Sepal.Length + Petal.Width, two, "glm",
    metric = "ROC", trControl = control("cv", 4, 1, number = 4, classProbs = TRUE, savePredictions = "final", summaryFunction = function(data, lev, model) c(ROC = mean(data$pred == data$obs)))
  )
  list(fit$results, fit$pred[order(fit$pred$rowIndex), ])
}
programs$a_summary_of_our_own <- function() {
  spread <- 2
  worst <- function(data, lev = NULL, model = NULL) c(worst = max(abs(data$pred - data$obs)) * spread)
  shown(train(mpg ~ wt, mtcars, "lm", metric = "worst", maximize = FALSE, trControl = control("cv", 4, 1, number = 4, summaryFunction = worst)))
}
programs$a_model_of_our_own <- function() {
  shrunken <- list(
    label = "shrunken mean", library = NULL, type = "Regression",
    parameters = data.frame(parameter = "by", class = "numeric", label = "by"),
    grid = function(x, y, len = NULL, search = "grid") data.frame(by = c(0, 0.5)),
    fit = function(x, y, wts, param, lev, last, weights, classProbs, ...) list(mean = mean(y) * (1 - param$by)),
    predict = function(modelFit, newdata, submodels = NULL) rep(modelFit$mean, nrow(newdata)),
    prob = NULL, sort = function(x) x
  )
  shown(train(mpg ~ wt, mtcars, shrunken, trControl = control("cv", 4, 2, number = 4)))
}
# An error on any worker of doRedis.
with_doredis$features_by_elimination <- function() {
  found <- rfe(mtcars[, 2:7], mtcars$mpg, sizes = 2:4, rfeControl = rfeControl(lmFuncs, "cv", number = 4, seeds = seeds_for(4, 4), allowParallel = TRUE))
  list(found$results, predictors(found))
}
programs$features_by_filter <- function() {
  found <- sbf(mtcars[, 2:7], mtcars$mpg, sbfControl = sbfControl(lmSBF, "cv", number = 4, seeds = 1:5, allowParallel = TRUE))
  found$results
}
programs$a_bag <- function() {
  fit <- bag(mtcars[, 2:4], mtcars$mpg, B = 4, bagControl = bagControl(
    fit = function(x, y, ...) lm(y ~ ., data = data.frame(x, y = y)), predict = function(object, x) predict(object, data.frame(x)),
    aggregate = function(x, type) Reduce(`+`, x) / length(x), allowParallel = FALSE
  ))
  foreach(rows = split(1:32, rep(1:4, 8)), .combine = c, .packages = "caret") %dopar% predict(fit, mtcars[rows, 2:4])
}
