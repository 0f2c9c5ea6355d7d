# Values to be compared each with each. Neighbours differ in one respect: one that counts, or one that does not.
latin1 <- "caf\xe9"; Encoding(latin1) <- "latin1"
bytes <- "caf\xe9"; Encoding(bytes) <- "bytes"
e <- new.env(); f <- new.env()
frame <- data.frame(x = 1:3); spelled <- frame; attr(spelled, "row.names") <- c(1L, 2L, 3L)
source_of <- function(text) eval(parse(text = text, keep.source = TRUE))
compiled <- compiler::cmpfun(function(x) { x + 1 })
setClass("P", representation(x = "numeric"), where = globalenv())
values <- list(
    NULL, 0, -0, NA_real_, NaN, 0/0, c(1, NA), c(1, NaN), 1L, 1, TRUE, NA, NA_integer_, NA_character_, "NA", "a",
    1:3, c(1L, 2L, 3L), as.numeric(1:3), c(1, 2, 3), as.character(1:3), c("1", "2", "3"), sort(c(3L, 1L, 2L)),
    latin1, "caf\u00e9", bytes, "", character(), integer(), numeric(), logical(), raw(), list(), complex(),
    1i, complex(real = -0, imaginary = 1), complex(real = NA, imaginary = 1), complex(real = 1, imaginary = NaN),
    NA_complex_, as.raw(1), as.raw(1:2),
    list(1), list(1L), list(NULL), list(a = 1), list(b = 1), pairlist(a = 1), pairlist(a = 1L), expression(a),
    expression(b), list(quote(a)), quote(a), quote(b), quote(f(x)), quote(f(y)), quote(f(a = x)), quote(f(b = x)),
    quote(f(x, )), structure(1, a = 1, b = 2), structure(1, b = 2, a = 1), structure(1, a = 1),
    structure(1, a = 1, b = 3), structure(1, class = "k"), structure(list(1), class = "k"), structure(1, names = "k"),
    frame, spelled, data.frame(x = 1:4), data.frame(x = 1:3, row.names = c("a", "b", "c")), frame[3:1, , drop = FALSE],
    factor("a"), factor("a", levels = c("a", "b")), matrix(1:4, 2), 1:4, table(c("x", "y")),
    e, f, globalenv(), baseenv(), emptyenv(), asNamespace("stats"), asNamespace("base"), as.environment("package:stats"),
    list(e, f), list(f, e), function(x) { x + 1 }, compiled, source_of("function(x) { x + 1 }"),
    source_of("function(x)   { x +1 }"), function(x) { x + 2 }, function(y) { x + 1 }, function(x = 1) { x + 1 },
    local(function(x) { x + 1 }, e), local(function(x) { x + 1 }, f), structure(function(x) { x + 1 }, a = 1),
    sum, `if`, mean, y ~ x, y ~ z, `environment<-`(y ~ x, e), new("P", x = 1), new("P", x = 1L + 0), new("P", x = 2),
    asS4(structure(1, class = "k")), asS4(1), structure(1:3, class = "k"), structure(c(1L, 2L, 3L), class = "k"),
    Sys.Date()[0], as.POSIXct(character()), simpleError("a"), simpleError("b"), quote(function(x) x),
    quote({ a }), source_of("quote({ a })"), as.name("caf\u00e9"), -1L, structure(1, dim = 1L), structure(c(a = 1), dim = 1L)
)
values <- unserialize(serialize(values, NULL))
