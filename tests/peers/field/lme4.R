# Mixed models: S4 objects with environments and compiled state inside.
suppressMessages(library(lme4))

programs$models_of_subsets <- function() {
  foreach(left_out = levels(sleepstudy$Subject)[1:5], .combine = rbind, .packages = "lme4") %dopar% {
    fixef(lmer(Reaction ~ Days + (Days | Subject), subset(sleepstudy, Subject != left_out)))
  }
}
programs$whole_models_come_back <- function() {
  models <- foreach(formula = c("Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)"), .packages = "lme4") %dopar% {
    lmer(as.formula(formula), sleepstudy, REML = FALSE)
  }
  list(lapply(models, fixef), lapply(models, logLik), as.data.frame(do.call(anova, models)))
}
programs$predictions_of_an_exported_model <- function() {
  model <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  foreach(days = 0:4, .combine = c, .packages = "lme4") %dopar% {
    unname(predict(model, data.frame(Days = days, Subject = "308")))
  }
}
programs$generalized <- function() {
  foreach(left_out = levels(cbpp$period), .packages = "lme4") %dopar% {
    ranef(glmer(cbind(incidence, size - incidence) ~ 1 + (1 | herd), subset(cbpp, period != left_out), family = binomial))$herd[[1]]
  }
}
programs$a_parametric_bootstrap <- function() {
  model <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  foreach(seed = 1:4, .combine = rbind, .packages = "lme4") %dopar% fixef(refit(model, simulate(model, seed = seed)[[1]]))
}
