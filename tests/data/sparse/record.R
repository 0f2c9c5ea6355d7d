# Writes tests/data/sparse/matrices: each kind of sparse matrix by name, and the same as an ordinary matrix.
#   Rscript tests/data/sparse/record.R tests/data/sparse/matrices
library(Matrix)
set.seed(1)
general <- rsparsematrix(6, 4, 0.4)
symmetric <- forceSymmetric(rsparsematrix(5, 5, 0.5))
upper <- triu(rsparsematrix(5, 5, 0.6))
ones <- upper
diag(ones) <- 1
named <- general
dimnames(named) <- list(letters[1:6], NULL)
both <- symmetric
dimnames(both) <- list(letters[1:5], letters[1:5])
missing <- general
missing@x[1] <- NA
logical_missing <- general > 0
logical_missing@x[1] <- NA
twice <- new("dgTMatrix", i = c(0L, 0L, 1L), j = c(1L, 1L, 0L), x = c(1, 2, 4), Dim = c(2L, 2L))
matrices <- list(
  dgC = general, dgR = as(general, "RsparseMatrix"), dgT = as(general, "TsparseMatrix"), twice = twice,
  dsC = symmetric, dsR = as(symmetric, "RsparseMatrix"), dsT = as(symmetric, "TsparseMatrix"),
  lower = forceSymmetric(symmetric, "L"), dtC = upper, transposed = t(upper), unit = Matrix:::diagN2U(as(ones, "triangularMatrix")),
  lgC = general > 0, ngC = as(general, "nMatrix"), named = named, both = both, missing = missing,
  logical_missing = logical_missing, empty = sparseMatrix(i = integer(), j = integer(), x = numeric(), dims = c(0L, 3L)),
  identity = Diagonal(3), ddi = Diagonal(x = c(1, 2)), ldi = Diagonal(x = c(TRUE, FALSE)),
  permutation = as(c(2L, 3L, 1L), "pMatrix"), indices = as(c(2L, 2L, 1L, 3L), "indMatrix")
)
dense <- lapply(matrices, function(x) {
  x <- as.matrix(x)
  dimnames(x) <- NULL
  x
})
file <- file(commandArgs(TRUE)[1], "wb")
writeBin(serialize(list(matrices, dense), NULL), file)
close(file)
