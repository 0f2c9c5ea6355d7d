# Reproducible loops: streams of random numbers that depend on the seed alone.
suppressMessages({ library(doRNG); library(iterators) })

plain <- function(value) { attributes(value) <- attributes(value)[c("names", "dim", "dimnames")]; value }

programs$a_seed_of_the_loop <- function() plain(foreach(i = 1:5, .combine = c, .options.RNG = 123) %dorng% rnorm(1))
programs$the_seeds_are_attached <- function() attr(foreach(i = 1:3, .options.RNG = 123) %dorng% runif(1), "rng")
programs$a_seed_before_the_loop <- function() {
  set.seed(42)
  plain(foreach(i = 1:4, .combine = rbind) %dorng% c(runif(1), rnorm(1), sample.int(100, 1)))
}
programs$two_loops_differ <- function() {
  set.seed(42)
  list(plain(foreach(i = 1:3) %dorng% runif(2)), plain(foreach(i = 1:3) %dorng% runif(2)))
}
programs$registered <- function() {
  registerDoRNG(7)
  plain(foreach(i = 1:5, .combine = c) %dopar% runif(1))
}
programs$other_seeds_by_iteration <- function() {
  seeds <- list(c(407L, 1:6), c(407L, 7:12), c(407L, 13:18))
  seeds <- lapply(seeds, as.integer)
  attempt <- try(plain(foreach(i = 1:3, .options.RNG = seeds) %dorng% rnorm(2)), silent = TRUE)
  if (inherits(attempt, "try-error")) "refused" else attempt
}
programs$a_bootstrap <- function() {
  means <- foreach(i = 1:8, .combine = c, .options.RNG = 2024) %dorng% mean(sample(faithful$eruptions, replace = TRUE))
  c(mean(means), sd(means))
}
programs$pi_in_chunks <- function() {
  hits <- foreach(n = idiv(20000, chunks = 6), .combine = `+`, .options.RNG = 1) %dorng% sum(runif(n)^2 + runif(n)^2 < 1)
  plain(hits) / 5000
}
programs$a_walk_and_its_state <- function() {
  plain(foreach(i = 1:4, .options.RNG = 9) %dorng% { walk <- cumsum(rnorm(50)); c(min(walk), max(walk), length(.Random.seed)) })
}
programs$nested_with_one_stream_each <- function() {
  set.seed(3)
  rng <- rngtools::RNGseq(6, 3)
  foreach(a = 1:2, .combine = rbind) %:% foreach(b = 1:3, r = rng[(a - 1) * 3 + 1:3], .combine = c, .packages = "rngtools") %dopar% {
    setRNG(r)
    rnorm(1, a * b)
  }
}
programs$errors_among_them <- function() {
  found <- foreach(i = 1:4, .errorhandling = "pass", .options.RNG = 5) %dorng% if (i == 3) stop("no ", i) else runif(1)
  lapply(plain(found), function(value) if (inherits(value, "error")) conditionMessage(value) else value)
}
