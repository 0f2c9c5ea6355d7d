# The estimate of pi from doRedis's vignette, with braces: there, `%dopar%` binds more tightly than `*`, so the
# workers only return 4. Each task says too which process ran it.
#
#   Rscript pi.R HOST PORT QUEUE TASKS POINTS       (the password is in PYDOREDIS_PASSWORD)
#
# Prints, in a line that begins with "answer:", the estimate, the seconds that the loop took, and the process of each
# task, one after the other.
suppressMessages(library(doRedis))
arguments <- commandArgs(trailingOnly = TRUE)
password <- Sys.getenv("PYDOREDIS_PASSWORD")
points <- as.integer(arguments[[5]])

registerDoRedis(
  arguments[[3]],
  host = arguments[[1]], port = as.integer(arguments[[2]]), password = if (nzchar(password)) password
)
seconds <- system.time(
  found <- foreach(
    icount(as.integer(arguments[[4]])),
    .combine = rbind, .multicombine = TRUE, .inorder = FALSE
  ) %dopar% {
    inside <- runif(points)^2 + runif(points)^2 < 1
    c(estimate = 4 * mean(inside), process = Sys.getpid())
  }
)[["elapsed"]]
numbers <- c(mean(found[, "estimate"]), seconds, found[, "process"])
cat("\nanswer:", format(numbers, digits = 15, decimal.mark = "."), "\n")
