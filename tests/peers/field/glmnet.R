# Cross-validation: cv.glmnet(parallel = TRUE) has a task for each fold.
suppressMessages(library(glmnet))

set.seed(20)
x <- matrix(rnorm(120 * 8), 120)
noise <- rnorm(120)
y <- x[, 1] - 2 * x[, 3] + noise
folds <- rep(1:5, length.out = 120)
shown <- function(fit) list(fit$lambda, fit$cvm, fit$cvsd, fit$lambda.min, fit$lambda.1se, as.matrix(coef(fit)))
cv <- function(...) shown(cv.glmnet(..., foldid = folds, parallel = TRUE))

programs$gaussian <- function() cv(x, y)
programs$ridge_with_weights <- function() cv(x, y, alpha = 0, weights = rep(1:2, 60))
programs$elastic_net_by_absolute_error <- function() cv(x, y, alpha = 0.5, type.measure = "mae")
programs$binomial_by_class <- function() cv(x, factor(y > 0), family = "binomial", type.measure = "class")
programs$binomial_by_auc <- function() cv(x, as.integer(y > 0), family = "binomial", type.measure = "auc")
programs$poisson <- function() cv(x, round(exp(y / 4)), family = "poisson")
programs$multinomial <- function() {
  fit <- cv.glmnet(x, cut(y, 3), family = "multinomial", foldid = folds, parallel = TRUE, nlambda = 20)
  list(fit$lambda, fit$cvm, lapply(coef(fit), as.matrix))
}
programs$several_responses <- function() {
  fit <- cv.glmnet(x, cbind(y, noise), family = "mgaussian", foldid = folds, parallel = TRUE, nlambda = 20)
  list(fit$lambda, fit$cvm)
}
programs$sparse_matrix <- function() cv(Matrix::Matrix(x * (abs(x) > 1), sparse = TRUE), y)
programs$relaxed <- function() {
  fit <- cv.glmnet(x, y, foldid = folds, parallel = TRUE, relax = TRUE, nlambda = 15)
  list(fit$relaxed$lambda.min, fit$relaxed$gamma.min)
}
programs$kept_predictions <- function() cv.glmnet(x, y, foldid = folds, parallel = TRUE, keep = TRUE)$fit.preval
with_doredis$globals_that_are_not_exported <- function() foreach(k = 1:2, .combine = c) %dopar% dim(x)[k]
programs$several_alphas_of_our_own <- function() {
  foreach(alpha = c(0, 0.5, 1), .combine = rbind, .packages = "glmnet", .export = c("x", "y", "folds")) %dopar% {
    fit <- cv.glmnet(x, y, alpha = alpha, foldid = folds)
    c(alpha, fit$lambda.min, min(fit$cvm))
  }
}
