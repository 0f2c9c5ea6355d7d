# Estimates pi with all workers of the pool: an R session as it would be on any machine, with doRedis alone.
suppressMessages(library(doRedis))
registerDoRedis(Sys.getenv("PYDOREDIS_QUEUE", "RJOBS"), host = "redis", password = Sys.getenv("PYDOREDIS_PASSWORD"))
cat("Workers:", getDoParWorkers(), "\n")

points <- 1e5
hits <- foreach(icount(200), .combine = `+`, .inorder = FALSE) %dopar% {
  sum(sqrt(runif(points)^2 + runif(points)^2) < 1)
}
cat("pi is about", format(4 * hits / (200 * points), digits = 8), "\n")
