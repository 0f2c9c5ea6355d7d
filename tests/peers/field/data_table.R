# Tables by reference: with a pointer to themselves that does not travel.
suppressMessages(library(data.table))

flights <- data.table(carrier = rep(c("AA", "UA", "DL"), 40), delay = seq_len(120) %% 17 - 3, month = rep(1:12, each = 10))
plain <- function(table) { setDF(table); attr(table, "index") <- NULL; table }

programs$groups <- function() {
  plain(foreach(part = split(flights, by = "carrier"), .combine = rbind, .packages = "data.table") %dopar% {
    part[, .(mean = mean(delay), n = .N), by = .(carrier, month)]
  })
}
programs$an_exported_table <- function() {
  plain(rbindlist(foreach(m = 1:6, .packages = "data.table", .export = "flights") %dopar% flights[month == m, .(m = m, worst = max(delay))]))
}
programs$assigned_by_reference <- function() {
  results <- foreach(part = split(flights, by = "month"), .packages = "data.table") %dopar% {
    part[, late := delay > 5]
    part[, share := mean(late)]
    part[1]
  }
  plain(rbindlist(results))
}
programs$the_export_stays_as_it_was <- function() {
  copies <- foreach(k = 1:4, .packages = "data.table", .export = "flights") %dopar% { mine <- copy(flights); mine[, delay := delay * k]; sum(mine$delay) }
  list(copies, sum(flights$delay))
}
programs$keys_and_joins <- function() {
  names <- data.table(carrier = c("AA", "DL"), name = c("American", "Delta"), key = "carrier")
  plain(foreach(m = 1:4, .combine = function(...) rbindlist(list(...)), .multicombine = TRUE, .packages = "data.table", .export = "flights") %dopar% {
    names[flights[month == m], on = "carrier", nomatch = NULL]
  })
}
programs$text_and_wide_tables <- function() {
  plain(foreach(k = 1:3, .combine = rbind, .packages = "data.table") %dopar% {
    read <- fread(text = paste0("id,x,y\n1,", k, ",a\n2,", 2 * k, ",b\n"))
    dcast(melt(read, id.vars = c("id", "y")), y ~ variable, value.var = "value")
  })
}
