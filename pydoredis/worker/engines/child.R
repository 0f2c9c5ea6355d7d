# An executor that is an R process and nothing else: Rscript child.R FD_IN FD_OUT FD_OUTPUT FD_STARTS. Base R, 3.5 or later.
# The other end is described in pydoredis/worker/frames.py.

local({
  here <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[1L])
  engine <- new.env(parent = .BaseNamespaceEnv)
  for (name in c("evaluate.R", "doredis.R", "serve.R")) {
    file <- file.path(dirname(here), name)
    eval(parse(file, keep.source = FALSE, encoding = "UTF-8"), engine)
  }
  # R has set a handler of its own, whatever the process ignored before.
  suspendInterrupts(engine$serve(as.integer(commandArgs(TRUE))))
})
